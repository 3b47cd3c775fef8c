"""The share beside a word is what the record of first contacts says, and nothing where too few claims were made."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark_modules import loaded
from forensics.diagnosis import reliability as measured
from forensics.diagnosis.reliability import LEAST, Reliability, reliability_of
from forensics.model import Evidence, Hypothesis
from forensics.report._view import score_text
from forensics.report.json import _hypothesis

CAUSE = Hypothesis("a", "A1", "a", ("loss-nan",), ("a", "loss-nan"), (Evidence(10, "x"),))


def test_the_package_holds_what_the_record_says() -> None:
    """`python benchmarks/first_contact.py reliability` writes it."""
    held = json.loads(Path(measured.__file__).with_name("reliability.json").read_text(encoding="utf-8"))

    loaded("calibration")
    assert held == loaded("first_contact").reliability()


@pytest.mark.parametrize(("of", "shown"), [(LEAST - 1, False), (LEAST, True)])
def test_a_share_of_too_few_claims_is_not_printed(of: int, shown: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "_measured", lambda: {"established": Reliability(of - 1, of)})
    told = f"established, +10 (claims like this were right in {of - 1} of {of} runs never seen before)"

    assert score_text(CAUSE) == (told if shown else "established, +10")
    expected = {"right": of - 1, "of": of, "set": "first contact"} if shown else None
    assert _hypothesis(1, CAUSE)["reliability"] == expected


def test_benign_explanations_and_other_words_were_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "_measured", lambda: {"established": Reliability(28, 31)})

    assert reliability_of(CAUSE) == Reliability(28, 31)
    assert reliability_of(replace(CAUSE, benign=True)) is None
    assert reliability_of(replace(CAUSE, evidence=(Evidence(1, "x"),))) is None


def test_a_bound_is_judged_by_the_sources_that_it_was_not_fitted_to() -> None:
    """One source alone holds the wrong claims at 7 points: the bound is 8 with it, 7 without, and wrong there."""
    loaded("calibration")
    loo = loaded("leave_one_out")
    fresh = "first contact, fresh"
    good = [loo.Scored(fresh, f"s{score}{i}", score, right=True) for score in (7, 8, 9) for i in range(4)]
    bad = [loo.Scored(fresh, "one", 7, right=False) for _ in range(4)]
    tuned = [loo.Scored("fixture", "f", score, right=False) for score in (7, 8)]

    assert loo.bound([*good, *bad], 0.85) == 8
    assert loo.left_out([*good, *bad, *tuned], 0.85) == (
        [8] * 12 + [7, 8],
        {fresh: [True] * 8 + [False] * 4, "fixture": [False]},
    )
    assert loo.table([*good, *bad]).splitlines()[-1].startswith("likely")
    assert loo.left_out(good[:3], 0.85) == ([], {})
