"""What lies beside a run in the folder of a project is not told as what happened to the run."""

import doctest
from pathlib import Path

import pytest

from forensics import analyze
from forensics.discovery import aside

LOG = "".join(f"{{'loss': {2 - 0.1 * step:.1f}, 'step': {step}}}\n" for step in range(1, 9))
BROKEN_LOG = "step 10 loss 2.1\nstep 20 loss nan\nstep 30 loss nan\nstep 40 loss nan\n"
DEATH = "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB\n"
TRACE = 'Traceback (most recent call last):\n  File "train.py", line 3, in <module>\n' + DEATH
BESIDE = {
    "README.md": f"# A trainer\n\nWith fp16 it dies:\n\n```\n{BROKEN_LOG}{TRACE}```\n",
    "docs/troubleshooting.txt": f"{BROKEN_LOG}Segmentation fault (core dumped)\nKilled\n",
    "tests/expected.log": BROKEN_LOG + TRACE,
    "data/weather.csv": "step,temperature,loss\n" + "".join(f"{step},20.5,0.0\n" for step in range(100)),
    "generated_predictions.jsonl": '{"step": 1, "loss": NaN}\n' * 5,
    "train.py": f'def main():\n    """{BROKEN_LOG}"""\n    raise RuntimeError("CUDA out of memory")\n',
}


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.mark.parametrize("name", BESIDE)
def test_the_folder_of_a_project_is_as_healthy_as_its_run(tmp_path: Path, name: str) -> None:
    report = analyze(write(tmp_path, **{"outputs/train.log": LOG, name: BESIDE[name]}))

    assert report.verdict == "healthy"
    assert report.run.timeline["loss"].steps.tolist() == list(range(1, 9))
    assert not [finding for finding in report.findings if finding.severity != "notice"]


@pytest.mark.parametrize("name", ["README.md", "docs/troubleshooting.txt", "tests/expected.log", "data/weather.csv"])
def test_it_says_what_it_left_out_and_reads_it_where_there_is_nothing_else(tmp_path: Path, name: str) -> None:
    both = analyze(write(tmp_path / "both", **{"outputs/train.log": LOG, name: BESIDE[name]}))
    alone = analyze(write(tmp_path / "alone", **{name: BESIDE[name]}))

    assert any(skip.what == name and "not a record of this run" in skip.reason for skip in both.run.skips)
    assert alone.verdict == "broken"


def test_settings_beside_a_run_are_kept(tmp_path: Path) -> None:
    script = "#!/bin/bash\ntorchrun --nproc_per_node 2 train.py --learning_rate 1e-5 --bf16 True\n"
    report = analyze(write(tmp_path, **{"train.log": LOG, "run.sh": script}))

    assert report.run.environment.number("learning_rate") == 1e-5


@pytest.mark.parametrize(
    "name",
    [
        "data.log",
        "dataset_a/train.log",
        "logs/test.log",
        "readme_run/train.log",
        "todos.log",
        "news_classifier.log",
        "install.log",
        "security-bert.out",
        "history.csv",
        "prediction_run.log",
        "predictions.log",
        "logs/test/events.out.tfevents.1.a",
    ],
)
def test_a_log_is_no_data(name: str) -> None:
    assert aside.aside(name) == ""


@pytest.mark.parametrize(
    "name", ["README", "README_zh.md", "docs/a.log", "CHANGELOG.rst", "faq.txt", "predictions-3.csv"]
)
def test_what_is_aside(name: str) -> None:
    assert aside.aside(name)


def test_the_death_in_a_log_of_any_name_is_told_beside_a_curve(tmp_path: Path) -> None:
    report = analyze(write(tmp_path, **{"train.log": LOG, "news_classifier.log": TRACE}))

    assert "crash-oom" in [finding.symptom for finding in report.findings]


def test_examples() -> None:
    assert doctest.testmod(aside).failed == 0
