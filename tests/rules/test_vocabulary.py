"""A file of known issues that uses a word nobody knows is refused when it is loaded, with what is near."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from click.testing import CliRunner

from forensics import catalog
from forensics.cli import main
from forensics.errors import MalformedError
from forensics.rules import _vocabulary
from forensics.rules._issue_files import load
from forensics.rules._known_issues import OBSERVATIONS

ENTRY: dict[str, Any] = {
    "code": "X001", "name": "x", "title": "X", "explains": ["loss-nan"], "date": date(2026, 1, 1), "confidence": "",
    "checked": "", "mechanism": "", "tell": "", "sources": [],
}  # fmt: skip


def check(**changed: Any) -> None:
    _vocabulary.check({**ENTRY, **changed}, "x.toml", OBSERVATIONS)


def test_what_is_shipped_is_in_the_vocabulary() -> None:
    assert len(list(load())) > 70


@pytest.mark.parametrize(
    ("evidence", "said"),
    [
        ({"event": "exception", "yes": 3}, "'exception' is no event"),
        ({"event": "out-of-memroy", "yes": 3}, "did you mean out-of-memory"),
        ({"observation": "norm is zeros", "yes": 3}, "did you mean norm is zero"),
        ({"metric": "los", "yes": 3}, "'los' is no metric; did you mean loss"),
        ({"setting": "bf16", "yes": 3}, "must be asked for one of is, set"),
        ({"setting": "bf16", "equals": True, "yes": 3}, "'equals' is no key beside 'setting'"),
        ({"event": "killed", "metric": "loss"}, "not at event and metric"),
        ({"yes": 3}, "not at nothing"),
        ({"setting": "bf16", "is": [True], "unless": [{"event": "exceptions"}]}, "'exceptions' is no event"),
    ],
)
def test_an_unknown_word_is_refused_with_what_is_near(evidence: dict[str, object], said: str) -> None:
    with pytest.raises(MalformedError, match=r"x\.toml") as caught:
        check(evidence=[evidence])

    assert said in str(caught.value)


def test_keys_that_are_missing_or_unknown_are_named() -> None:
    with pytest.raises(MalformedError, match="did you mean sources"):
        check(sorces=[])
    with pytest.raises(MalformedError, match="'package_name' is no key of"):
        check(affected=[{"package_name": "torch"}])
    entry = {key: value for key, value in ENTRY.items() if key != "tell"}
    with pytest.raises(MalformedError, match="lacks 'tell'"):
        _vocabulary.check(entry, "x.toml", OBSERVATIONS)


def words() -> Iterator[str]:
    for found in catalog.vocabulary().values():
        yield from found


def test_the_vocabulary_is_printed_whole() -> None:
    done = CliRunner().invoke(main, ["rules", "--vocabulary"])

    assert done.exit_code == 0
    assert all(f"- `{word}`" in done.output for word in words())
    assert len(set(words())) > 150


def test_what_an_entry_explains_is_found_by_something() -> None:
    """A misspelt symptom would make an entry that is never asked."""
    known = {*catalog.symptoms(), *(rule.name for rule in catalog.rules() if rule.mechanism)}
    unknown = [(rule.code, name) for rule in catalog.rules() for name in rule.explains if name not in known]

    assert not unknown, f"no detector, signature or mechanism has these names: {unknown}"


@pytest.mark.parametrize(
    ("affected", "said"),
    [
        ({"package": "torch"}, "lacks 'versions'"),
        ({"package": "torch", "versions": "0.5.0"}, "did you mean '==0.5.0'"),
        ({"package": "torch", "versions": ">=0.5,<0.6", "fixed": "unknown"}, "lacks 'first'"),
        ({"package": "torch", "versions": "<0.6"}, "lacks 'fixed'"),
        ({"package": "torch", "versions": "<0.6", "fixed": "I guess"}, "there are commit and tag"),
    ],
)
def test_a_range_that_cannot_be_judged_is_refused_when_it_is_loaded(affected: dict[str, str], said: str) -> None:
    with pytest.raises(MalformedError, match=r"x\.toml") as caught:
        check(affected=[affected])

    assert said in str(caught.value)


def test_points_and_dates_are_bounded() -> None:
    with pytest.raises(MalformedError, match="yes = 30 is out of bounds"):
        check(evidence=[{"metric": "loss", "yes": 30}])
    with pytest.raises(MalformedError, match="'yesterday' is no date"):
        check(date="yesterday")


@pytest.mark.parametrize(("subject", "key"), [("setting", "matches"), ("event", "says"), ("hardware", "hardware")])
def test_a_pattern_has_an_example_that_it_fits(subject: str, key: str) -> None:
    table = {"setting": "optim", "event": "out-of-memory", "hardware": "lion"}[subject]
    evidence: dict[str, object] = {subject: table, key: "lion", "yes": 3}
    check(evidence=[{**evidence, "example": "lion_8bit"}])

    with pytest.raises(MalformedError, match="lacks an 'example'"):
        check(evidence=[evidence])
    with pytest.raises(MalformedError, match="does not fit its example 'adamw'"):
        check(evidence=[{**evidence, "example": "adamw"}])


def test_a_release_named_as_good_or_bad_is_held_against_the_range() -> None:
    table = {"package": "torch", "versions": ">=2.1,<2.3", "first": "thread", "fixed": "thread"}
    check(affected=[{**table, "bad": ["2.1.0", "2.2.2"], "good": ["2.0.1", "2.3.0"]}])

    with pytest.raises(MalformedError, match=r"2\.3\.0 is named as bad but lies outside of the range"):
        check(affected=[{**table, "bad": ["2.3.0"]}])
    with pytest.raises(MalformedError, match=r"2\.1\.0 is named as good but lies in the range"):
        check(affected=[{**table, "good": ["2.1.0"]}])
