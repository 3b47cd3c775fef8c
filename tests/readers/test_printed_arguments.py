"""Arguments that a program prints when it starts; packages that pip shows; images that a job names."""

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forensics.plugin import Reader
from forensics.readers.container_image import container_image
from forensics.readers.pip_freeze import pip_freeze
from forensics.readers.printed_arguments import printed_arguments
from readers.reading import facts_of, settings_of, survives

PRINTED = {
    "namespace": (
        "Namespace(lr=0.0001, fp16=True, name='a, (b', betas=[0.9, 0.95], device=device(type='cuda'), seed=None)",
        {"lr": 0.0001, "fp16": True, "name": "a, (b", "betas": "0.9, 0.95", "seed": None},
    ),
    "dataclass": (
        ("[INFO:swift] args: SftArguments(model_type='qwen2', learning_rate=1e-05, opt=<Opt.A: 'a'>, "
        "deepspeed={'zero_optimization': {'stage': 2}})"),
        {"model_type": "qwen2", "learning_rate": 1e-05, "deepspeed.zero_optimization.stage": 2},
    ),
    "nested": (
        ("(TaskRunner pid=4711) {'actor_rollout_ref': {'actor': {'clip_ratio': 0.2,\n"
        "(TaskRunner pid=4711)                                  'optim': {'lr': 1e-06}}},\n"
        "(TaskRunner pid=4711)  'trainer': {'total_epochs': 15}}\n"),
        {"actor_rollout_ref.actor.optim.lr": 1e-06, "trainer.total_epochs": 15},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), PRINTED.values(), ids=list(PRINTED))
def test_printed_arguments_are_recorded(tmp_path: Path, text: str, expected: dict[str, object]) -> None:
    """Written-out values under their names; what was printed as an object is left out."""
    log = f"starting\n{text}\nstep 1 loss 2.0\n"
    found = settings_of(facts_of(printed_arguments, tmp_path, "train.log", log))

    assert printed_arguments.sniff is not None
    assert printed_arguments.sniff(log.encode())
    assert {name: value for _, name, value, _, _ in found if name in expected} == expected
    assert {(place, standing) for *_, place, standing in found} == {("line 2", "RECORDED")}
    assert not any(name in {"device", "opt"} for _, name, *_ in found)


NO_ARGUMENTS = [
    "{'loss': 1.5, 'epoch': 0.5}",
    "{'rouge': {'rouge1': 0.5, 'rouge2': 0.25}}",
    "{'actor': {'optim': {'lr': 1e-06}",
    "def main(args: TrainingArguments):",
    "Namespace()",
]


@pytest.mark.parametrize("line", NO_ARGUMENTS)
def test_results_and_programs_are_no_arguments(tmp_path: Path, line: str) -> None:
    assert settings_of(facts_of(printed_arguments, tmp_path, "train.log", f"{line}\n")) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    reader=st.sampled_from([printed_arguments, container_image, pip_freeze]),
    text=st.text(alphabet="Namespace(a='[{,}]\\): \n#/:.1", max_size=200),
)
def test_any_text_is_survived(tmp_path: Path, reader: Reader, text: str) -> None:
    assert reader.sniff is not None
    reader.sniff(text.encode())
    assert survives(reader, tmp_path, "any.txt", f"Namespace(a=1, {text}\n{{'a': {{'{text}".encode())


SHOWN = """\
Name: torch
Version: 2.1.2+cu121
Summary: Tensors and Dynamic neural networks in Python
---
Name: deepspeed
Version: 0.12.5
Requirement already satisfied: transformers in /usr/local/lib/python3.10/dist-packages (4.35.2)
Requirement already satisfied: numpy>=1.17 in /usr/lib/python3 (from transformers) (1.23.5)
Requirement already satisfied: x in /usr/lib
Name: lost
"""


def test_pip_shows_what_is_installed(tmp_path: Path) -> None:
    """`pip show`, and what an installation found to be there already."""
    found = settings_of(facts_of(pip_freeze, tmp_path, "notes.txt", SHOWN))

    assert pip_freeze.sniff is not None
    assert pip_freeze.sniff(SHOWN.encode())
    assert sorted(s[1:3] for s in found if s[0] == "package") == [
        ("deepspeed", "0.12.5"),
        ("numpy", "1.23.5"),
        ("torch", "2.1.2+cu121"),
        ("transformers", "4.35.2"),
    ]


JOBS = {
    "pod": "spec:\n  containers:\n  - image: nvcr.io/nvidia/pytorch:25.04-py3\n",
    "compose": 'services:\n  train:\n    image: "nvcr.io/nvidia/pytorch:25.04-py3"\n',
    "slurm": "#!/bin/bash\n#SBATCH --container-image=nvcr.io#nvidia/pytorch:25.04-py3\n",
    "singularity": "singularity exec --nv docker://nvcr.io/nvidia/pytorch:25.04-py3 python train.py\n",
}


@pytest.mark.parametrize("text", JOBS.values(), ids=list(JOBS))
def test_a_job_names_its_image(tmp_path: Path, text: str) -> None:
    assert container_image.sniff is not None
    assert container_image.sniff(text.encode())
    found = {name: value for _, name, value, _, _ in settings_of(facts_of(container_image, tmp_path, "job", text))}

    assert found == {"container_image": "nvcr.io/nvidia/pytorch:25.04-py3", "torch": "2.7.0a0", "cuda": "12.9"}


def test_pictures_are_no_images(tmp_path: Path) -> None:
    text = "image: data/cat.png\nimage: 12\n  image_size: 224\n"

    assert settings_of(facts_of(container_image, tmp_path, "data.yaml", text)) == []


def test_dictionaries_that_never_end_cost_what_their_lines_cost(tmp_path: Path) -> None:
    """Each line begins one, as in a mutant of a log: the lines behind it are not counted again for each."""

    def calls(lines: int) -> int:
        made = 0

        def count(_frame: object, event: str, _argument: object) -> None:
            nonlocal made
            made += event == "c_call"

        sys.setprofile(count)
        try:
            assert not facts_of(printed_arguments, tmp_path, f"{lines}.log", "{'a': {'b\n" * lines)
        finally:
            sys.setprofile(None)
        return made

    assert calls(2000) < 2.5 * calls(1000)
