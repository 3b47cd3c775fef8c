"""The record of first contacts: it only grows, labels come before answers, and what counts as right is stated."""

import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmark_modules import BENCHMARKS, loaded

if TYPE_CHECKING:
    import calibration
    import first_contact as fc
else:
    calibration, fc = loaded("calibration"), loaded("first_contact")

BROKEN = fc.Label(
    "a",
    "fresh",
    "https://example.org/1",
    "o/r",
    "a.txt",
    "loss is nan",
    "broken",
    ("loss-nan",),
    ("lr-too-high",),
    onset=(10, 12),
)
HEALTHY = replace(BROKEN, id="b", verdict="healthy", symptoms=(), causes=(), onset=None)


def report(cause: str, word: str, *, step: int = 11, severity: str = "error") -> dict[str, object]:
    return {
        "verdict": "broken",
        "findings": [{"symptom": "loss-nan", "severity": severity, "step": step, "step_range": [step - 1, step]}],
        "hypotheses": [{"cause": cause, "rank": 1, "verdict": word, "score": 8, "benign": False}],
    }


@pytest.mark.parametrize(
    ("label", "said", "expected"),
    [
        (BROKEN, report("lr-too-high", "likely"), {"verdict": True, "symptom": True, "cause": True, "onset": True}),
        (BROKEN, report("overfit", "likely"), {"cause": False, "first": False, "three": False}),
        (BROKEN, report("overfit", "unlikely"), {"cause": None, "first": False}),
        (BROKEN, report("lr-too-high", "likely", step=30), {"onset": False}),
        (BROKEN, report("lr-too-high", "likely", severity="notice"), {"symptom": False, "cause": None}),
        (BROKEN, {}, {"verdict": False, "symptom": False, "onset": False}),
        (HEALTHY, report("overfit", "possible"), {"verdict": False, "cause": False, "first": None}),
        (HEALTHY, {"verdict": "healthy"}, {"verdict": True, "cause": None}),
        (replace(BROKEN, causes=()), report("overfit", "likely"), {"cause": None, "first": None}),
        (replace(BROKEN, on_file=False), report("overfit", "likely"), {"cause": False, "first": None}),
    ],
)
def test_what_counts_as_right(label: fc.Label, said: dict[str, object], expected: dict[str, bool | None]) -> None:
    right = fc.answer_of(label, "x", said).right

    assert {key: right[key] for key in expected} == expected


def test_a_record_is_read_as_it_was_written() -> None:
    said = fc.answer_of(BROKEN, "x", report("lr-too-high", "likely"))
    text = "\n".join(json.dumps({"record": kind, **asdict(row)}) for kind, row in (("label", BROKEN), ("answer", said)))

    assert fc.read_record(text) == ({"a": BROKEN}, {"a": [said]})


def line(kind: str, name: str) -> str:
    return json.dumps({"record": kind, "id": name})


@pytest.mark.parametrize(
    ("history", "fault"),
    [
        ([("c1", [line("label", "a")]), ("c2", [line("label", "a"), line("answer", "a")])], ""),
        ([("c1", [line("label", "a"), line("answer", "a")])], "before its label"),
        ([("c1", [line("answer", "a")]), ("c2", [line("answer", "a"), line("label", "a")])], "before its label"),
        ([("c1", [line("label", "a")]), ("c2", [line("label", "b")])], "changes or removes"),
        ([("c1", [line("label", "a"), line("label", "b")]), ("c2", [line("label", "a")])], "changes or removes"),
        (
            [
                ("c1", [line("label", "a"), line("label", "b")]),
                ("c2", [line("label", "a")]),
                ("c3", [line("label", "a"), line("label", "b"), line("answer", "b")]),
            ],
            "",
        ),
        (
            [
                ("c1", [line("label", "a"), line("label", "b")]),
                ("c2", [line("label", "a")]),
                ("c3", [line("label", "a"), line("label", "c")]),
            ],
            "c2 changes or removes",
        ),
    ],
)
def test_the_history_tells_what_was_turned_round(history: list[tuple[str, list[str]]], fault: str) -> None:
    found = list(fc.faults(history))

    assert bool(found) is bool(fault)
    assert fault in "".join(found)


def test_intervals_and_tables() -> None:
    low, high = calibration.wilson(28, 31)
    assert (round(low, 2), round(high, 2)) == (0.75, 0.97)
    assert calibration.wilson(0, 0) == (0.0, 1.0)
    claim = calibration.Claim("g", "c", False, "broken", "likely", 1, 1, 0, {"cause": True, "first": True})
    text = calibration.tables(
        [claim, replace(claim, right={"cause": False}), replace(claim, healthy=True, right={"cause": False})]
    )

    assert "1/3 = 0.33" in text
    assert "too few" in text


def test_a_run_of_many_symptoms_is_one_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    diagnosis = loaded("diagnosis")
    truth = diagnosis.Truth("fixture", "run", "loss-nan", ("lr-too-high",), None)
    unread = [
        (diagnosis.Judged(replace(truth, symptom=symptom), None), Path("run")) for symptom in ("loss-nan", "lr-zero")
    ]
    calm = (diagnosis.Judged(replace(truth, symptom=None, causes=()), None), Path("calm"))

    broken, healthy = diagnosis.calibrated([*unread, calm])

    assert (broken.group, broken.verdict, broken.healthy, healthy.healthy) == ("fixture", "unread", False, True)
    assert broken.right == {
        "verdict": False,
        "symptom": False,
        "cause": None,
        "first": False,
        "three": False,
        "onset": None,
    }


def test_the_readme_shows_the_record() -> None:
    """What stands in the README is what the command prints of the last two sets of the record that is committed."""
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    found = re.search(r"<!-- first-contact -->\n```text\n(.*?)\n```", readme, re.DOTALL)

    assert found is not None
    assert [line.rstrip() for line in found[1].splitlines()] == [
        line.rstrip() for line in calibration.tables(fc.claims(fc.COUNTED[-2:])).splitlines()
    ]
