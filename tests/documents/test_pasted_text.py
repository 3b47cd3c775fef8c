"""Issues as people paste them: what the folder of a run tells, its pasted text tells as well."""

import html
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.documents import _blocks, _markdown
from forensics.documents._blocks import MOST_LITERAL, Block, _loosened, recognised
from forensics.documents._markdown import split
from forensics.errors import ForensicsError
from forensics.investigate import investigate, read
from forensics.model import Report, Run
from forensics.plugin import Piece
from pasted import ISSUE
from runs import BROKEN, FOUNDING, Case


def report_of(tmp_path: Path, text: str, name: str = "issue.md") -> Report:
    (tmp_path / name).write_text(text)
    return investigate(tmp_path / name)


def leading(report: Report) -> tuple[str, set[str]]:
    first = report.hypotheses[0].cause if report.hypotheses else "unknown"
    return first, {finding.symptom for finding in report.findings if finding.severity == "error"}


def pieces_of(lines: Sequence[str]) -> list[Piece]:
    return [piece for piece in split(lines) if isinstance(piece, Piece)]


def as_html() -> str:
    """The page that GitHub makes of the issue, as far as it matters: paragraphs, and `<pre>` for the fences."""
    parts = ISSUE.split("```")
    texts = [f"<p>{html.escape(part)}</p>" for part in parts[::2]]
    blocks = [f"<div><pre>{html.escape(part.partition(chr(10))[2])}</pre></div>" for part in parts[1::2]]
    body = "".join(text + block for text, block in zip(texts, [*blocks, ""], strict=True))
    return f"<!DOCTYPE html><html><head><title>x</title><style>p{{}}</style></head><body>{body}</body></html>"


FORMS = {
    "issue.md": ISSUE,
    "issue.txt": ISSUE.replace("\n", "\r\n"),
    "quoted.md": "\n".join(f"> {line}" for line in ISSUE.split("\n")),
    "no-language.md": ISSUE.replace("```json", "```").replace("```bash", "```"),
    "loose.md": ISSUE.replace('"stage": 2,', '"stage": 2, // a guide', 1).replace("true\n    }", "true,\n    }"),
    "no-fence.md": ISSUE.replace("```json", "").replace("```bash", "").replace("```", ""),
    "issue.html": as_html(),
    "issue.json": json.dumps({"title": "loss is 0", "user": {"login": "ada"}, "body": ISSUE, "comments": 3}),
    "thread.json": json.dumps(
        {
            "author": {"login": "ada"},
            "body": ISSUE.partition("### Reproduction")[0],
            "comments": [
                {"author": {"login": "bob"}, "body": 'Try\n```json\n{"zero_optimization": {"stage": 3}}\n```'},
                {"author": {"login": "ada"}, "body": "### Reproduction" + ISSUE.partition("### Reproduction")[2]},
            ],
        }
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ["issue.md", "issue.html", "issue.json"])
def test_standard_input_is_what_stands_in_it(tmp_path: Path, name: str) -> None:
    """`medforensics analyze -` has no name to go by: the same text is told by its content."""
    assert leading(report_of(tmp_path, FORMS[name], "stdin.log"))[0] == "ds-zero12-comm-corruption"


@pytest.mark.parametrize("name", FORMS)
def test_the_founding_case_pasted_gives_what_its_folder_gives(tmp_path: Path, name: str) -> None:
    """Same first cause, same errors, as Markdown, as a quote, as a page, as JSON of an API, with and without fences."""
    folder, pasted = investigate(FOUNDING.run), report_of(tmp_path, FORMS[name], name)

    assert leading(pasted)[0] == "ds-zero12-comm-corruption"
    assert leading(pasted)[0] == leading(folder)[0]
    assert "loss-to-zero" in leading(pasted)[1]
    environment = pasted.run.environment
    assert environment.value("zero_optimization.stage") == 2
    assert environment.value("zero_optimization.overlap_comm") is True
    assert environment.version("deepspeed") == "0.12.5"
    assert environment.value("bf16") is True


def test_a_place_in_the_text_is_told(tmp_path: Path) -> None:
    """Lines are those of the pasted text; a key of a configuration is told behind the line where that begins."""
    run = report_of(tmp_path, ISSUE).run
    lines = ISSUE.split("\n")
    stage = run.environment.best("zero_optimization.stage")
    package = run.environment.best("deepspeed", "package")
    loss = run.timeline.series["loss"]
    places = [loss.source_at(index) for index in range(len(loss))]

    assert stage is not None
    assert package is not None
    assert str(stage.source) == f"issue.md:line {lines.index('```json') + 2}, zero_optimization.stage"
    assert str(package.source) == f"issue.md:line {lines.index('deepspeed==0.12.5') + 1}"
    assert all(place.path == "issue.md" for place in places)
    assert all("'loss'" in lines[place.record - 1] for place in places)


def test_standing_follows_the_kind(tmp_path: Path) -> None:
    """A command line was meant, a configuration was given."""
    environment = report_of(tmp_path, ISSUE).run.environment
    found = {name: environment.best(name) for name in ("zero_optimization.stage", "world_size")}

    assert {name: setting and setting.standing.name for name, setting in found.items()} == {
        "zero_optimization.stage": "CONFIGURED",
        "world_size": "INTENDED",
    }


def test_others_do_not_testify(tmp_path: Path) -> None:
    """Settings and runs of those who answer are not the run's."""
    report = report_of(tmp_path, FORMS["thread.json"], "thread.json")

    assert report.run.environment.conflicts("zero_optimization.stage") == ()
    assert any("1 comments of others" in skip.reason for skip in report.run.skips)


LOGGED = [case for case in BROKEN if (case.run / "train.log").exists()]


@pytest.mark.parametrize("case", LOGGED[::6], ids=str)
def test_a_fenced_log_is_read_as_the_log(tmp_path: Path, case: Case) -> None:
    """Every series of a log is the same between two fences."""
    log = case.run / "train.log"
    (tmp_path / "pasted.md").write_text(f"My run broke:\n\n```\n{log.read_text()}\n```\nWhy?\n")

    def told(run: Run) -> dict[str, list[tuple[int, str]]]:
        series = run.timeline.series
        return {
            name: [(step, repr(value)) for step, value in zip(one.steps.tolist(), one.values.tolist(), strict=True)]
            for name, one in series.items()
        }

    assert told(read(tmp_path / "pasted.md")) == told(read(log))


COMPLETIONS = """\
{'loss': 0.5, 'grad_norm': 1.0, 'learning_rate': 1e-05, 'epoch': 0.1}
Completion 1:
```python
def f(x):
    return x
```
{'loss': 0.4, 'grad_norm': 1.0, 'learning_rate': 1e-05, 'epoch': 0.2}
```json
{"answer": {"stage": 3}}
{'loss': 0.3, 'grad_norm': 1.0, 'learning_rate': 1e-05, 'epoch': 0.3}
"""


def test_a_log_that_prints_fences_loses_nothing(tmp_path: Path) -> None:
    """What a model answered is no fence of the author's: entries behind a fence that is never closed are read."""
    (tmp_path / "train.log").write_text(COMPLETIONS)

    assert read(tmp_path / "train.log").timeline.series["loss"].values.tolist() == [0.5, 0.4, 0.3]


BLOCKS = {
    "object": ("json", '{"a": {"b": 1}}', "block.json"),
    "object-of-model": ("", '{"architectures": ["L"],\n "model_type": "llama",\n "x": 1}', "config.json"),
    "adapter": ("json", '{"peft_type": "LORA",\n "r": 8,\n "x": {}}', "adapter_config.json"),
    "python-dictionary": ("python", "{'a': {'b': True}}", "block.json"),
    "objects": ("", '{"step": 1, "loss": 2}\n{"step": 2, "loss": 1}', "block.jsonl"),
    "entry": ("json", '{"loss": 1.0, "epoch": 0.5}', None),
    "entries": ("json", "{'loss': 1.0, 'epoch': 0.5}\n{'loss': 0.9, 'epoch': 0.6}", None),
    "cut": ("json", '{"a": {"b": 1', None),
    "yaml": ("yaml", "stage: sft", "block.yaml"),
    "yaml-unnamed": ("", "stage: sft\nbf16: true\n# note\nlora:\n  r: 8", "block.yaml"),
    "notes": ("", "Note: see below\nit was slow", None),
    "toml": ("", "[training]\nsteps = 10\nseq_len = 2048", "block.toml"),
    "python": ("", "args = TrainingArguments(bf16=True)", "block.py"),
    "log-called-python": ("python", "{'loss': 1.0}\n{'loss': 0.9}", None),
    "table": ("", "step,loss\n1,2.0\n2,1.0", "block.csv"),
    "counted": ("", "epoch 1, loss 2.0\nepoch 2, loss 1.0", None),
    "empty": ("json", "", None),
}  # fmt: skip


@pytest.mark.parametrize(("language", "text", "name"), BLOCKS.values(), ids=list(BLOCKS))
def test_a_block_is_what_stands_in_it(language: str, text: str, name: str | None) -> None:
    found = recognised(Block(1, language, tuple(f"  {line}" for line in text.split("\n"))))

    assert (found[0] if found else None) == name


COMMANDS = {
    "$ torchrun --nproc_per_node 8 train.py --bf16": True,
    "(base) user@host:~/x$ CUDA_VISIBLE_DEVICES=0,1 accelerate launch train.py": True,
    "!pip install torch==2.1.0": True,
    "export NCCL_P2P_DISABLE=1": True,
    "+ python -m trainer lr=1e-5": True,
    "python is slow on this machine - why": False,
    "deepspeed version 0.12.5 was installed": False,
    "swift is a nice tool": False,
    "step 1 loss 2.0": False,
    "1. I ran `python3 -m axolotl.cli.train llama2.yml --debug` and it stopped": True,
    "It says `--num_processes` was set to `1`, see `accelerate config`": False,
}


@pytest.mark.parametrize(("line", "is_command"), COMMANDS.items(), ids=str)
def test_commands_are_told_from_prose(line: str, is_command: bool) -> None:
    names = [piece.name for piece in pieces_of(["text", line, "text"])]

    assert ("launch.sh" in names) == is_command


def test_a_command_goes_on_over_lines(tmp_path: Path) -> None:
    """With backslashes, and without them where the copy lost them."""
    text = "```\ntorchrun --nproc_per_node 4 \\\n  train.py\n  --learning_rate 1e-4\n  --bf16 true\nloss is 0\n```\n"
    environment = report_of(tmp_path, f"{text}\n{{'loss': 1.0, 'epoch': 1.0}}\n").run.environment

    assert environment.value("learning_rate") == 1e-4
    assert environment.value("world_size") == 4
    assert environment.flag("bf16") is True


SCRIPT = """\
I start it with a script:
```
#!/bin/bash -e
export MASTER_PORT=12345
mkdir -p out
export LAUNCHER="python -m torch.distributed.run \\
    --nproc_per_node 8 \\
    --nnodes 2 \\
    "
export COMMAND=" \\
    train_mem.py \\
    --deepspeed ./scripts/zero2.json \\
    --learning_rate 2e-5 \\
    "
$LAUNCHER $COMMAND
```
"""
UNFENCED = """\
Start command: `FPS=1 \\
NNODES=2 \\
NPROC_PER_NODE=8 swift sft \\
  --deepspeed zero2 \\
  --learning_rate 2e-5 \\`
"""


@pytest.mark.parametrize("text", [SCRIPT, UNFENCED], ids=["variables", "one-backtick"])
def test_commands_in_other_clothes(tmp_path: Path, text: str) -> None:
    """A command in variables of its script, a command between single backticks and without a fence."""
    environment = report_of(tmp_path, text).run.environment

    assert environment.value("learning_rate") == 2e-5
    assert environment.value("zero_optimization.stage") == 2
    assert environment.value("world_size") == 16


SECTIONS = """\
### Reproduction

model_name_or_path:  glm-4-9b-chat

### method
stage: sft
bf16: true

### train
learning_rate: 0.000005
warmup_ratio: 0.1

{'loss': 1.6228, 'learning_rate': 4.9e-06, 'epoch': 0.16}
{'loss': 1.6573, 'learning_rate': 4.9e-06, 'epoch': 0.17}
"""


def test_a_configuration_without_a_fence_may_have_sections(tmp_path: Path) -> None:
    """LLaMA-Factory's examples part their YAML by comments that look like headings."""
    run = report_of(tmp_path, SECTIONS).run
    found = {name: run.environment.value(name) for name in ("stage", "bf16", "learning_rate", "warmup_ratio")}

    assert found == {"stage": "sft", "bf16": True, "learning_rate": 5e-6, "warmup_ratio": 0.1}
    assert run.timeline.series["loss"].values.tolist() == [1.6228, 1.6573]


def test_overrides_are_told_when_a_job_fails(tmp_path: Path) -> None:
    text = "Error executing job with overrides: ['optim.lr=5e-7', '+trainer.n=8', \"data.path='/a b'\"]\nTraceback\n"
    environment = report_of(tmp_path, text, "job.log").run.environment

    assert environment.value("optim.lr") == 5e-7
    assert environment.value("trainer.n") == 8


TABLES = {
    "bars": "| Step | Training Loss |\n|---|---|\n| 10 | 1.5 |\n| 20 | 1.25 |\n",
    "no-outer-bars": "Step | Training Loss\n---|---\n10 | 1.5\n20 | 1.25\n",
    "html": "<table>\n<tr><th>Step</th>\n<th>Training Loss</th></tr>\n<tr><td>10</td>\n<td>1.5</td></tr>\n"
    "<tr><td>20</td>\n<td>1.25</td></tr>\n</table>\n",
}


@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test_tables_are_curves(tmp_path: Path, table: str) -> None:
    """In Markdown and in HTML; a table of scores without a counter is none."""
    scores = "| Model | Loss |\n|---|---|\n| a | 0.0 |\n"
    loss = report_of(tmp_path, f"Results:\n\n{table}\nand\n\n{scores}").run.timeline.series["loss"]

    assert (loss.steps.tolist(), loss.values.tolist()) == ([10, 20], [1.5, 1.25])


@pytest.mark.parametrize("name", ["README.md", "docs/guide.md", "examples/sft.txt", "CHANGELOG.md"])
def test_pages_of_a_project_are_no_account_of_a_run(tmp_path: Path, name: str) -> None:
    (tmp_path / "train.log").write_text("{'loss': 1.5, 'epoch': 0.5}\n")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(ISSUE)

    assert read(tmp_path).environment.value("zero_optimization.stage") is None


def test_a_reply_that_repeats_is_read_once(tmp_path: Path) -> None:
    entries = [f"{{'loss': {1 - n / 10}, 'learning_rate': 1e-05, 'epoch': {n / 10}}}" for n in range(1, 6)]
    quoted = [f"> {entry}" for entry in entries]
    (tmp_path / "issue.md").write_text("\n".join(["```", *entries, "```", "", *quoted, "", "Did you try bf16?"]))
    loss = read(tmp_path / "issue.md").timeline.series["loss"]

    assert loss.values.tolist() == [0.9, 0.8, 0.7, 0.6, 0.5]


@given(text=st.text(alphabet=st.sampled_from('`~> {}[]":,=\nabc-_1.\\#'), max_size=300))
def test_any_text_is_taken_apart(text: str) -> None:
    """No text breaks the splitter, no piece has more lines than the text, every kept line stands where it stood."""
    lines = text.split("\n")
    for piece in pieces_of(lines):
        kept = piece.text.split("\n")

        assert len(kept) <= len(lines)
        for number, line in enumerate(kept):
            if piece.name == "rest.log" and line.strip():
                assert line.strip() in lines[number]


@given(data=st.binary(max_size=400))
def test_any_bytes_end_in_a_report_or_one_line(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.md"
    path.write_bytes(b"```\n" + data)
    try:
        report = investigate(path)
    except ForensicsError:
        return
    assert not report.failures


def test_a_literal_of_python_is_parsed_up_to_a_size() -> None:
    """What stands in a pasted text is as long as somebody likes; the parser takes a hundred times its size."""
    small = "{'a': True, 'b': [1, 2]}"

    assert json.loads(_loosened(small) or "") == {"a": True, "b": [1, 2]}
    assert _loosened(small[:-1] + ", 'c': '" + "x" * MOST_LITERAL + "'}") is None


def test_a_block_far_down_carries_no_empty_lines_and_is_told_at_its_place(tmp_path: Path) -> None:
    """Thousands of blocks, each with all lines before it, took minutes for a megabyte."""
    above = [f"word {number}" for number in range(5000)]
    launch = ["```bash", "torchrun train.py --learning_rate 1e-3", "```"]
    pieces = pieces_of([*above, *launch])
    report = report_of(tmp_path, "\n".join([*above, *launch]))
    rate = report.run.environment.best("learning_rate")

    assert [(piece.first, piece.text) for piece in pieces if piece.name.endswith(".sh")] == [(5002, launch[1])]
    assert rate is not None
    assert (rate.source.place, rate.source.record) == ("line 5002", 5002)


def test_an_entry_of_a_log_in_a_fence_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line without an object within is no configuration, whatever it means: pages hold ten thousands of them."""
    monkeypatch.setattr(_blocks, "_whole", None)

    assert recognised(Block(1, "", ("{'loss': 1.5, 'epoch': 0.1}",))) is None


def test_blocks_beyond_the_first_are_read_as_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece costs what a file costs; a death behind thousands of configurations is told all the same."""
    monkeypatch.setattr(_markdown, "MOST_BLOCKS", 3)
    fences = "".join(f"```python\nTrainingArguments(learning_rate=0.{n + 1})\n```\n" for n in range(9))
    death = "```\nTraceback (most recent call last):\n  File 'a.py', line 1\nValueError: the end\n```\n"
    report = report_of(tmp_path, fences + death)

    assert sum(piece.name == "block.py" for piece in pieces_of(fences.splitlines())) == 3
    assert [skip.what for skip in report.run.skips if skip.what.endswith("further blocks")] == ["7 further blocks"]
    assert any("the end" in event.text_at(0) for event in report.run.timeline.events)
