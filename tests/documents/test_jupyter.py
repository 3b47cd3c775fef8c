"""Notebooks: what cells printed is a log, their tables are curves, their sources are scripts."""

import ast
import copy
import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.documents import notebook as notebooks
from forensics.errors import ForensicsError
from forensics.investigate import investigate, read

LOSSES = [1.96, 1.5, 1.2, 0.9, 0.7]
SUMMARY = (
    "TrainOutput(global_step=50, training_loss=1.252, metrics={'train_runtime': 61.5, 'total_flos': 1e+15,"
    " 'train_loss': 1.252, 'epoch': 1.0})"
)


def stream(text: str, name: str = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text.splitlines(keepends=True)}


def shown(page: str, plain: str = "<IPython.core.display.HTML object>") -> dict[str, Any]:
    return {"output_type": "display_data", "data": {"text/html": [page], "text/plain": [plain]}, "metadata": {}}


def returned(plain: str) -> dict[str, Any]:
    data = {"text/plain": plain.splitlines(keepends=True)}
    return {"output_type": "execute_result", "data": data, "execution_count": 1, "metadata": {}}


def cell(source: str, *outputs: dict[str, Any]) -> dict[str, Any]:
    lines = source.splitlines(keepends=True)
    return {"cell_type": "code", "source": lines, "outputs": list(outputs), "metadata": {}, "execution_count": 1}


def table(header: list[str], rows: list[list[object]]) -> str:
    """The page of `NotebookProgressCallback` (transformers, `utils/notebook.py`): a bar, then the table."""
    head = "".join(f"      <th>{name}</th>\n" for name in header)
    body = "".join("    <tr>\n" + "".join(f"      <td>{v}</td>\n" for v in row) + "    </tr>\n" for row in rows)
    return (
        "\n    <div>\n      <progress value='50' max='50'></progress>\n      [50/50 01:01, Epoch 1/1]\n    </div>\n"
        f'    <table border="1" class="dataframe">\n  <thead>\n <tr style="text-align: left;">\n{head}    </tr>\n'
        f"  </thead>\n  <tbody>\n{body}  </tbody>\n</table><p>"
    )


def notebook(*cells: dict[str, Any]) -> dict[str, Any]:
    prose = {"cell_type": "markdown", "source": ["# Loss\n", "step 7 loss 99.0\n"], "metadata": {}}
    return {"cells": [prose, *cells], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


STEPS = table(["Step", "Training Loss"], [[10 * n, f"{v:.6f}"] for n, v in enumerate(LOSSES, 1)])
TRAINED = notebook(cell("trainer.train()", stream("Starting\n", "stderr"), shown(STEPS), returned(SUMMARY)))


def old_format(book: dict[str, Any]) -> dict[str, Any]:
    """Format 3: cells in a worksheet, `input` for source, outputs without `data`."""
    cells = copy.deepcopy(book["cells"])
    for one in cells[1:]:
        one["input"] = one.pop("source")
        for output in one["outputs"]:
            for kind, lines in output.pop("data", {}).items():
                output[kind.partition("/")[2].replace("plain", "text")] = lines
    return {"worksheets": [{"cells": cells}], "metadata": {}, "nbformat": 3, "nbformat_minor": 0}


FORMS = {
    "saved": json.dumps(TRAINED, indent=1),
    "minified": json.dumps(TRAINED, separators=(",", ":")),
    "texts-whole": json.dumps(TRAINED, default=str),
    "format-3": json.dumps(old_format(TRAINED)),
    "marked": "\ufeff" + json.dumps(TRAINED, indent=1),
}


def told(path: Path, name: str = "loss") -> list[tuple[int, float]]:
    series = read(path).timeline.series.get(name)
    return [] if series is None else list(zip(series.steps.tolist(), series.values.tolist(), strict=True))


def write(tmp_path: Path, book: dict[str, Any]) -> Path:
    path = tmp_path / "train.ipynb"
    path.write_text(json.dumps(book, indent=1))
    return path


@pytest.mark.parametrize("form", FORMS)
def test_the_table_of_the_callback_is_the_curve(tmp_path: Path, form: str) -> None:
    """Saved, minified, of an older format; prose is no metric, nor is the mean that `train` returns."""
    (tmp_path / "train.ipynb").write_text(FORMS[form])
    run = read(tmp_path / "train.ipynb")

    assert told(tmp_path / "train.ipynb") == [(10 * n, v) for n, v in enumerate(LOSSES, 1)]
    assert "train_loss" not in run.timeline.series
    assert run.environment.value("results.train_loss") == 1.252
    assert str(run.timeline.series["loss"].source_at(0)).startswith("train.ipynb:output line ")


def test_evaluation_stands_in_the_same_table(tmp_path: Path) -> None:
    """`No log` and empty cells are no values; metrics keep their names; epochs without steps are epochs."""
    header = ["Epoch", "Training Loss", "Validation Loss", "Accuracy"]
    page = table(header, [[1, "No log", "1.4", "0.5"], [2, "1.2", "nan", "0.7"], [3, "0.9", "1.1", "0.8"]])
    path = write(tmp_path, notebook(cell("trainer.train()", shown(page))))

    assert [value for _, value in told(path)] == [1.2, 0.9]
    assert [repr(value) for _, value in told(path, "eval_loss")] == ["1.4", "nan", "1.1"]
    assert [value for _, value in told(path, "Accuracy")] == [0.5, 0.7, 0.8]


def test_several_trainings_are_told_apart(tmp_path: Path) -> None:
    """Two cells trained: the second curve is not averaged into the first one."""
    second = table(["Step", "Training Loss"], [[10 * n, 5.0 - n] for n in range(1, 4)])
    path = write(tmp_path, notebook(cell("trainer.train()", shown(STEPS)), cell("trainer.train()", shown(second))))
    run = read(path)

    assert len(run.timeline.segments) == 2 or any(run.timeline.events_of("step-rewind"))
    blocks = [block for block in run.timeline.samples if block.name == "loss"]
    assert sum(len(block.values) for block in blocks) == len(LOSSES) + 3


def test_printed_dictionaries_are_read(tmp_path: Path) -> None:
    """Streams of one cell and of several are one console; a carriage return redraws."""
    lines = "".join(f"{{'loss': {v}, 'learning_rate': 1e-05, 'epoch': {n / 10}}}\n" for n, v in enumerate(LOSSES, 1))
    path = write(tmp_path, notebook(cell("a", stream(lines[:40]), stream(lines[40:])), cell("b")))

    assert [value for _, value in told(path)] == LOSSES


def test_an_evaluation_that_is_returned_is_an_entry(tmp_path: Path) -> None:
    plain = "{'eval_loss': 0.5,\n 'eval_accuracy': 0.75,\n 'epoch': 3.0}"
    path = write(tmp_path, notebook(cell("trainer.evaluate()", returned(plain))))

    assert [value for _, value in told(path, "eval_loss")] == [0.5]
    assert [value for _, value in told(path, "eval_accuracy")] == [0.75]


def test_a_traceback_with_colours_is_a_crash(tmp_path: Path) -> None:
    frames = [
        "\x1b[0;31m--------------------------------------------------------------------------\x1b[0m",
        "\x1b[0;31mOutOfMemoryError\x1b[0m                          Traceback (most recent call last)",
        "\x1b[0;32m<ipython-input-5>\x1b[0m in \x1b[0;36m<module>\x1b[0m\n\x1b[0;32m----> 1\x1b[0;31m trainer.train()",
        "\x1b[0;31mOutOfMemoryError\x1b[0m: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 1.20 GiB free.",
    ]
    error = {"output_type": "error", "ename": "OutOfMemoryError", "evalue": "CUDA", "traceback": frames}
    path = write(tmp_path, notebook(cell("trainer.train()", shown(STEPS), error)))

    assert "crash-oom" in {finding.symptom for finding in investigate(path).findings}


FRAMES = {
    "data set": "<table><tr><th></th><th>text</th><th>loss</th></tr><tr><th>0</th><td>a</td><td>9</td></tr></table>",
    "vocabulary": "<table><tr><th>token</th><th>step</th></tr><tr><td>loss</td><td>8987</td></tr></table>",
    "scores": "<table><tr><th>Model</th><th>Loss</th></tr><tr><td>a</td><td>0.0</td></tr></table>",
}


@pytest.mark.parametrize("page", FRAMES.values(), ids=list(FRAMES))
def test_other_tables_are_no_curves(tmp_path: Path, page: str) -> None:
    """A table without a counter, or whose counter holds words, tells no loss."""
    path = write(tmp_path, notebook(cell("trainer.train()", shown(STEPS)), cell("df.head()", shown(page))))

    assert [value for _, value in told(path)] == LOSSES


SETUP = """\
!pip install -q transformers==4.46.1 "trl[peft]==0.12.0" \\
    deepspeed==0.12.5
%env NCCL_P2P_DISABLE=1
import os
os.environ["HF_TOKEN"] = "hf_abcdefghijklmnopqrstuvwxyz"
lr = 2e-4
if True:
    !nvidia-smi
model = AutoModelForCausalLM.from_pretrained("gpt2", torch_dtype=torch.float16, load_in_4bit=True, revision="x")
model = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules=["q_proj", "v_proj"]))
args = TrainingArguments(
    "out",
    learning_rate=lr,
    fp16=not is_bfloat16_supported(),
    bf16=False,
    optim="adamw_8bit",
    deepspeed="zero2.json",
    max_steps=60,
)
ds_config = {"zero_optimization": {"stage": 2, "overlap_comm": True}, "bf16": {"enabled": True}}
"""


def test_cells_tell_how_the_run_was_set_up(tmp_path: Path) -> None:
    """Arguments, adapters, variables, exact versions, a configuration; what only a program knows is left out."""
    environment = read(write(tmp_path, notebook(cell(SETUP), cell("trainer.train()", shown(STEPS))))).environment
    found = {
        name: environment.value(name)
        for name in ("learning_rate", "bf16", "optim", "max_steps", "torch_dtype", "load_in_4bit", "adapter.r")
    }

    assert found == {
        "learning_rate": 2e-4,
        "bf16": False,
        "optim": "adamw_8bit",
        "max_steps": 60,
        "torch_dtype": "float16",
        "load_in_4bit": True,
        "adapter.r": 16,
    }
    assert environment.value("fp16") is None
    assert environment.value("revision") is None
    assert environment.value("zero_optimization.overlap_comm") is True
    assert environment.value("NCCL_P2P_DISABLE", "variable") == "1"
    assert environment.value("HF_TOKEN", "variable") == "<redacted>"
    assert {name: environment.version(name) for name in ("transformers", "trl", "deepspeed")} == {
        "transformers": "4.46.1",
        "trl": "0.12.0",
        "deepspeed": "0.12.5",
    }
    rate = environment.best("learning_rate")
    assert rate is not None
    assert (str(rate.source), rate.standing.name) == ("train.ipynb:cell 1 line 13", "INTENDED")


def test_a_notebook_on_standard_input_is_one(tmp_path: Path) -> None:
    book = notebook(cell("args = TrainingArguments(learning_rate=1e-5)"), cell("trainer.train()", shown(STEPS)))
    (tmp_path / "stdin.log").write_text(json.dumps(book))

    assert read(tmp_path / "stdin.log").environment.value("learning_rate") == 1e-5
    assert [value for _, value in told(tmp_path / "stdin.log")] == LOSSES


BANNER = """\
==((====))==  Unsloth 2024.8: Fast Llama patching. Transformers = 4.43.3.
   \\\\   /|    GPU: Tesla T4. Max memory: 14.748 GB. Platform = Linux.
O^O/ \\_/ \\    Pytorch: 2.3.1+cu121. CUDA = 7.5. CUDA Toolkit = 12.1.
\\        /    Bfloat16 = FALSE. FA [Xformers = 0.0.27. FA2 = False]
"""


def test_the_banner_of_unsloth_is_an_environment(tmp_path: Path) -> None:
    path = write(tmp_path, notebook(cell("load()", stream(BANNER)), cell("trainer.train()", shown(STEPS))))
    environment = read(path).environment
    found = {name: environment.version(name) for name in ("unsloth", "transformers", "torch", "xformers")}

    assert found == {"unsloth": "2024.8", "transformers": "4.43.3", "torch": "2.3.1+cu121", "xformers": "0.0.27"}
    assert environment.value("cuda", "hardware") == "12.1"
    assert environment.value("gpu", "hardware") == "Tesla T4"


def test_files_and_scripts_that_cells_write_are_read(tmp_path: Path) -> None:
    """`%%writefile` by its name, `%%bash` as a script, `!` as a command."""
    book = notebook(
        cell('%%writefile /content/ds.json\n{"zero_optimization": {"stage": 3}, "steps_per_print": 10}'),
        cell("%%bash\nexport OMP_NUM_THREADS=4\ntorchrun --nproc_per_node 2 train.py --weight_decay 0.1"),
        cell("!python train.py --seed 7 \\\n  --learning_rate 1e-5"),
        cell("trainer.train()", shown(STEPS)),
    )
    environment = read(write(tmp_path, book)).environment

    assert environment.value("zero_optimization.stage") == 3
    assert environment.value("OMP_NUM_THREADS", "variable") == "4"
    assert environment.value("world_size") == 2
    assert environment.value("weight_decay") == 0.1
    assert environment.value("seed") == 7
    assert environment.value("learning_rate") == 1e-5


def test_brackets_in_texts_are_no_nesting(tmp_path: Path) -> None:
    """Printed brackets that never close (a tensor cut off, a board game) do not make the JSON deep."""
    path = write(tmp_path, notebook(cell("x", stream("[" * 5000)), cell("trainer.train()", shown(STEPS))))

    assert [value for _, value in told(path)] == LOSSES


def test_a_notebook_that_is_cut_off_keeps_what_stands_before(tmp_path: Path) -> None:
    text = json.dumps(notebook(cell("trainer.train()", shown(STEPS)), cell("x", stream("y" * 500))), indent=1)
    (tmp_path / "train.ipynb").write_text(text[:-300])
    run = read(tmp_path / "train.ipynb")

    assert [value for _, value in told(tmp_path / "train.ipynb")] == LOSSES
    assert any("breaks off" in skip.reason for skip in run.skips)


def test_a_notebook_without_training_says_so(tmp_path: Path) -> None:
    path = write(tmp_path, notebook(cell("1 + 1", returned("2"))))

    with pytest.raises(ForensicsError, match="nothing readable"):
        read(path)


@given(part=st.floats(0, 1), junk=st.binary(max_size=20))
def test_any_damage_ends_in_facts_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, part: float, junk: bytes
) -> None:
    data = FORMS["saved"].encode()
    path = tmp_path_factory.getbasetemp() / "damaged.ipynb"
    cut = int(part * len(data))
    path.write_bytes(data[:cut] + junk + data[cut + len(junk) :])
    try:
        report = investigate(path)
    except ForensicsError:
        return
    assert not report.failures


def test_the_code_of_a_cell_is_no_log(tmp_path: Path) -> None:
    """What a cell would print, or what a comment quotes, happened nowhere."""
    lines = [f"{{'loss': {value}, 'epoch': {number}}}" for number, value in enumerate(LOSSES)]
    source = "\n".join(["lora = LoraConfig(", "    r=32,  # rank", ")", "# Killed", *lines])
    (tmp_path / "train.ipynb").write_text(json.dumps(notebook(cell(source))))
    run = read(tmp_path)

    assert "loss" not in run.timeline
    assert not run.timeline.events
    assert not [s for found in run.environment.entries.values() for s in found if "rank" in str(s.value)]


def test_the_code_of_a_cell_is_read_wherever_the_notebook_lies(tmp_path: Path) -> None:
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    source = "from transformers import TrainingArguments\nargs = TrainingArguments(learning_rate=0.25)"
    (tmp_path / "a" / "b" / "c" / "train.ipynb").write_text(json.dumps(notebook(cell(source))))

    assert read(tmp_path).environment.value("learning_rate") == 0.25


def test_a_cell_costs_little_more_than_its_code(tmp_path: Path) -> None:
    """The unit is what Python takes to parse the cells: 9 of them, above 40 where each was looked at as a log."""
    sources = [f"rate_{number} = 0.{number}\ntrain(rate_{number})" for number in range(2_000)]
    (tmp_path / "train.ipynb").write_text(
        json.dumps(notebook(*map(cell, sources), cell("train()", stream("{'loss': 2.5}\\n"))))
    )
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "train.ipynb").write_text(json.dumps(notebook(cell(sources[0], stream("{'loss': 2.5}\\n")))))
    read(tmp_path / "one")
    begun = time.process_time()
    for source in sources:
        compile(source, "cell", "exec", ast.PyCF_ONLY_AST)
    unit = time.process_time() - begun
    begun = time.process_time()
    read(tmp_path)

    assert time.process_time() - begun < 16 * unit


def test_cells_and_files_beyond_the_first_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebooks, "MOST_FILES", 2)
    monkeypatch.setattr(notebooks, "MOST_CELLS", 6)
    files = [cell(f"%%writefile f{n}.yaml\nlearning_rate: 0.{n + 1}\nbf16: true\nmax_steps: 5\n") for n in range(5)]
    book = {"cells": [cell("train()", stream("{'loss': 2.5}\n")), *files, cell("x = 1")], "nbformat": 4}
    (tmp_path / "train.ipynb").write_text(json.dumps(book))
    run = read(tmp_path)

    reasons = {skip.reason for skip in run.skips if skip.what == "train.ipynb"}
    assert reasons == {"its last 1 cells were not read", "3 files that its cells write were not read"}
    assert {s.value for s in run.environment.entries["setting", "learning_rate"]} == {0.1, 0.2}
