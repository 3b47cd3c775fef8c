"""Metrics as JSON lines."""

import json
import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensics.model import UNKNOWN_STEP, Artifact, Fact, Samples, Setting, Skip
from forensics.readers import _json_lines
from forensics.readers.metrics_jsonl import looks_like_metrics, metrics_jsonl

LLAMA_FACTORY = """\
{"current_steps": 10, "total_steps": 1752, "loss": 3.5534, "lr": 2.0454545454545457e-06, "epoch": 0.0057, "percentage": 0.57, "elapsed_time": "0:00:29", "remaining_time": "1:24:17"}
{"current_steps": 20, "total_steps": 1752, "loss": NaN, "lr": 4.3e-06, "epoch": 0.0114, "throughput": "4211.77", "total_tokens": 240128}
{"current_steps": 500, "total_steps": 1752, "eval_loss": 1.2345678, "epoch": 0.2853}
"""  # noqa: E501  (lines as the tool writes them)
MS_SWIFT = """\
{"loss": 1.61643, "grad_norm": 1.25, "learning_rate": 1e-05, "epoch": 0.01, "global_step/max_steps": "10/1200", "memory(GiB)": 38.51}
{"last_model_checkpoint": "out/checkpoint-1200", "best_metric": 1.5, "global_step": 1200, "log_history": [{"loss": 9.0}], "memory": 38.5}
"""  # noqa: E501
OTHERS = """\
{"step": 3, "loss": 1.75, "lr": 9e-06, "tokens_per_second_per_gpu": 829.9}

{"lr": 1.0001e-05, "loss": 1.9876, "iter": 10, "step": 10}
{"step": 11, "data": {"train/loss": 1.5}}
"""


def read(tmp_path: Path, data: str | bytes) -> list[Fact]:
    path = tmp_path / "log.jsonl"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return list(metrics_jsonl.read(Artifact(tmp_path, path.name, path.stat().st_size, 0.0)))


def block(facts: list[Fact], name: str) -> Samples:
    (found,) = [fact for fact in facts if isinstance(fact, Samples) and fact.name == name]
    return found


def test_an_entry_within_the_message_of_a_structured_log(tmp_path: Path) -> None:
    """tracing-subscriber and cloud loggers put it one level down, beside a time; settings with a step are none."""
    lines = "".join(
        json.dumps({"timestamp": "2025-02-01T10:00:00Z", "level": "INFO", "fields": {"step": s, "loss": x, "lr": 3e-4}})
        + "\n"
        for s, x in ((25, 2.5), (50, "NaN"))
    )
    facts = read(tmp_path, lines)

    assert block(facts, "loss").steps.tolist() == [25, 50]
    assert block(facts, "loss").values[0] == 2.5
    assert math.isnan(block(facts, "loss").values[1])
    assert block(facts, "learning_rate").values.tolist() == [3e-4, 3e-4]
    assert not any(
        isinstance(fact, Samples)
        for text in (
            {"level": "INFO", "config": {"step": 1, "loss": 2.5}},
            {"a": {"step": 1, "loss": 2.5}, "b": {"step": 2, "loss": 2.0}},
            {"fields": {"step": 1, "message": "saved"}},
        )
        for fact in read(tmp_path, json.dumps(text) + "\n")
    )


def test_llama_factory(tmp_path: Path) -> None:
    """Steps, NaN, the renamed learning rate, numbers in text; the planned steps are a setting."""
    facts = read(tmp_path, LLAMA_FACTORY)

    assert block(facts, "loss").steps.tolist() == [10, 20]
    assert block(facts, "loss").values[0] == 3.5534
    assert math.isnan(block(facts, "loss").values[1])
    assert block(facts, "learning_rate").values.tolist() == [2.0454545454545457e-06, 4.3e-06]
    assert block(facts, "throughput").values.tolist() == [4211.77]
    assert block(facts, "eval_loss").steps.tolist() == [500]
    assert block(facts, "eval_loss").records.tolist() == [3]
    epochs = block(facts, "loss").epochs
    assert epochs is not None
    assert epochs.tolist() == [0.0057, 0.0114]
    assert [(fact.name, fact.value) for fact in facts if isinstance(fact, Setting)] == [("max_steps", 1752)]
    assert not {"percentage", "elapsed_time"} & {fact.name for fact in facts if isinstance(fact, Samples)}


def test_ms_swift(tmp_path: Path) -> None:
    """The counter is a text with the total; the summary in the last line adds no point to the metrics."""
    facts = read(tmp_path, MS_SWIFT)

    assert block(facts, "loss").steps.tolist() == [10]
    assert block(facts, "grad_norm").values.tolist() == [1.25]
    assert [fact.value for fact in facts if isinstance(fact, Setting)] == [1200]


def test_other_tools(tmp_path: Path) -> None:
    """torchtune, mmengine and verl in one file: blank lines count as lines."""
    facts = read(tmp_path, OTHERS)

    assert block(facts, "loss").steps.tolist() == [3, 10, 11]
    assert block(facts, "loss").records.tolist() == [1, 3, 4]
    assert block(facts, "learning_rate").values.tolist() == [9e-06, 1.0001e-05]


def test_lines_that_name_their_metric(tmp_path: Path) -> None:
    """A table in long form is one series for each name; mappings of parts stay apart."""
    rows = [(n, name, value) for n in range(1, 9) for name, value in (("train/loss", n / 8), ("lr", 0.001))]
    long = read(tmp_path, "".join(f'{{"name": "{name}", "value": {value}, "step": {n}}}\n' for n, name, value in rows))
    nested = read(
        tmp_path,
        "".join(
            f'{{"step": {n}, "metrics": {{"train": {{"loss": {n / 8}}}, "val": {{"loss": 2.5}}}}}}\n' for n in range(9)
        ),
    )

    assert block(long, "loss").values.tolist() == [n / 8 for n in range(1, 9)]
    assert block(long, "learning_rate").steps.tolist() == list(range(1, 9))
    assert block(nested, "loss").values.tolist() == [n / 8 for n in range(9)]
    assert block(nested, "eval_loss").values.tolist() == [2.5] * 9


def test_damage_costs_the_line(tmp_path: Path) -> None:
    """A line that is cut or no JSON is reported; the others are read."""
    facts = read(tmp_path, '{"step": 1, "loss": 2.0}\nnot json\n{"step": 2, "loss": 1.0}\n{"step": 3, "lo')

    assert block(facts, "loss").steps.tolist() == [1, 2]
    (skip,) = [fact for fact in facts if isinstance(fact, Skip)]
    assert skip.reason == "2 lines are no whole JSON object, the first of them line 2"


def test_rows_without_a_place_are_left_out(tmp_path: Path) -> None:
    """A number without step and epoch belongs nowhere; with an epoch alone its step is unknown."""
    facts = read(tmp_path, '{"loss": 9.0}\n{"loss": 2.0, "epoch": 1}\n{"step": true, "loss": 8.0}\n')

    assert block(facts, "loss").values.tolist() == [2.0]
    assert block(facts, "loss").steps.tolist() == [UNKNOWN_STEP]


@pytest.mark.parametrize(
    ("head", "taken"),
    [
        (LLAMA_FACTORY.encode(), True),
        (MS_SWIFT.encode(), True),
        (b'{"messages": [{"role": "user"}]}\n', False),
        (b'{"step": 1}\nplain text\nmore\n', False),
        (b"", False),
    ],
)
def test_sniffing(head: bytes, taken: bool) -> None:
    """Metrics are told from data sets in the same format."""
    assert looks_like_metrics(head) is taken


STEPS = st.one_of(st.integers(0, 10**7), st.sampled_from([-1, 1.0, 2.5, None, 2**60, True]))
VALUES = st.one_of(st.floats(width=64), st.integers(-(10**18), 10**18), st.sampled_from([0.0, "1.5", "nan", None]))
ROWS = (
    lambda step, one, other: {"step": step, "loss": one, "lr": other},
    lambda step, one, other: {"current_steps": step, "total_steps": 900, "loss": one, "epoch": other, "eta": "0:00:29"},
    lambda step, one, other: {"global_step/max_steps": f"{step}/900", "loss": one, "memory(GiB)": other},
    lambda step, one, other: {"mode": "train", "epoch": 1, "iter": step, "lr": one, "loss": other},
    lambda step, one, other: {"_step": step, "_timestamp": other, "info": {"learner": {"loss": one}}, "perf": {"x": 1}},
    lambda step, one, other: {"step": step, "data": {"train/loss": one, "loss": other}},
    lambda step, one, other: {"prompt": "x" * 300, "step": step, "score": one, "n": other},
    lambda step, one, other: {
        "step": step,
        "shape": [1, 2],
        "v": one,
        "date": "2025-01-01",
        "name": "a-7b",
        "w": other,
    },
    lambda step, one, other: {"loss": one, "norm": other, "note": str(step)[:1]},
)


def _told(data: bytes) -> list[tuple[object, ...]]:
    with tempfile.TemporaryDirectory() as folder:
        facts = read(Path(folder), data)
    return sorted(
        (
            fact.name,
            str(fact.steps.tolist()),
            repr(fact.values.tolist()),
            str(fact.records.tolist()),
            str(fact.epochs),
            str(fact.wall_times),
        )
        if isinstance(fact, Samples)
        else (repr(fact),)
        for fact in facts
    )


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(ROWS), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, 2), STEPS, VALUES, VALUES), max_size=30),
    st.sampled_from([(", ", ": "), (",", ":")]),
)
def test_columns_give_what_parsing_every_line_gives(
    layouts: list[object], numbers: list[tuple[int, object, object, object]], separators: tuple[str, str]
) -> None:
    """Whatever steps, spellings and keys are mixed."""
    rows = [layouts[kind % len(layouts)](*rest) for kind, *rest in numbers]  # type: ignore[operator]
    data = "".join(json.dumps(row, separators=separators) + "\n" for row in rows).encode()
    with pytest.MonkeyPatch.context() as patch, np.printoptions(threshold=10**6):
        patch.setattr(_json_lines, "FEW", 2)
        patch.setattr(_json_lines, "OFTEN", 2)
        quickly = _told(data)
        patch.setattr(_json_lines, "OFTEN", 1 << 60)

        assert _told(data) == quickly


def test_lines_of_one_shape_are_not_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first of them are; a line of another shape among them is."""
    parsed: list[int] = []
    parse = _json_lines.JsonLines._parse

    def counted(self: _json_lines.JsonLines, line: bytes, record: int) -> bool:
        parsed.append(record)
        return parse(self, line, record)

    monkeypatch.setattr(_json_lines.JsonLines, "_parse", counted)
    lines = [f'{{"step": {step}, "loss": {1 / step!r}}}' for step in range(1, 2001)]
    lines[1500] = '{"step": 1501, "loss": 0.5, "note": "x"}'
    facts = read(tmp_path, "\n".join(lines))

    assert block(facts, "loss").steps.tolist() == list(range(1, 2001))
    assert block(facts, "loss").records.tolist() == list(range(1, 2001))
    assert len(parsed) < 100


def test_a_rate_that_mmcv_rounded_away_is_left_out_of_columns(tmp_path: Path) -> None:
    """Its hook keeps five decimals; the loss beside it stays."""
    rates = [1e-05] * 10 + [0.0] * 10
    lines = [
        f'{{"mode": "train", "epoch": 1, "iter": {n}, "lr": {rate:.5f}, "loss": 2.5}}'
        for n, rate in enumerate(rates, 1)
    ]
    facts = read(tmp_path, "\n".join(lines))

    assert block(facts, "learning_rate").steps.tolist() == list(range(1, 11))
    assert block(facts, "loss").steps.tolist() == list(range(1, 21))


def test_rows_that_keep_their_place_and_their_numbers_in_mappings(tmp_path: Path) -> None:
    """Rows of evaluation are no entries of the training loss, by template or parsed."""
    rows = [
        {"kind": kind, "at": {"step": step}, "values": {"xent": 1 / step, "lr": 0.01}}
        for step in range(1, 41)
        for kind in ("train", "eval")
    ]
    facts = read(tmp_path, "".join(f"{json.dumps(row)}\n" for row in rows))

    assert block(facts, "xent").steps.tolist() == list(range(1, 41))
    assert block(facts, "eval_xent").values.tolist() == [1 / step for step in range(1, 41)]


def test_a_mapping_with_more_than_counters_is_no_place(tmp_path: Path) -> None:
    """A step among settings or beside a loss of its own tells no place of the row."""
    rows = (
        {"config": {"epoch": 3, "width": 5}, "values": {"loss": 1.5}},
        {"at": {"step": 1}, "to": {"step": 2}, "a": 1.5},
    )

    assert not [f for f in read(tmp_path, "".join(f"{json.dumps(r)}\n" for r in rows)) if isinstance(f, Samples)]


def test_flat_rows_that_name_their_part(tmp_path: Path) -> None:
    """A name that says so itself stays as it is."""
    facts = read(
        tmp_path,
        '{"step": 1, "split": "train", "loss": 2.5}\n{"step": 1, "split": "val", "loss": 2.75}\n'
        '{"step": 2, "split": "train", "loss": 2.25}\n{"step": 2, "type": "eval", "eval_loss": 2.625}\n',
    )

    assert block(facts, "loss").values.tolist() == [2.5, 2.25]
    assert block(facts, "eval_loss").values.tolist() == [2.75, 2.625]
