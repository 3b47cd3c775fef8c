"""The package as a library: what `import forensics` offers, and how its objects introduce themselves."""

import pytest

import forensics
from forensics import catalog
from forensics.errors import UsageError
from runs import BROKEN
from runs import FOUNDING as FOUNDING_CASE

FOUNDING = FOUNDING_CASE.run
STEPPED = next(case.run for case in BROKEN if case.name == "all-labels-masked")


def test_everything_that_is_offered_is_there() -> None:
    for name in forensics.__all__:
        assert getattr(forensics, name) is not None


def test_a_report_is_filtered_and_judged_again() -> None:
    """Without the founding rule another cause, or none, stands first; the verdict on the symptoms stays."""
    whole = forensics.analyze(FOUNDING, weights="off")
    less = forensics.analyze(FOUNDING, weights="off", ignore=["DIST001"])

    assert whole.hypotheses[0].cause == "ds-zero12-comm-corruption"
    assert all(h.cause != "ds-zero12-comm-corruption" for h in less.hypotheses)
    assert less.verdict == whole.verdict == "broken"


@pytest.mark.parametrize("names", [["los-nan"], ["DIST999"], ["nothing-like-it"]])
def test_unknown_names_are_a_usage_error(names: list[str]) -> None:
    with pytest.raises(UsageError, match="neither a rule nor a symptom"):
        forensics.analyze(FOUNDING, weights="off", select=names)


def test_a_near_name_is_suggested() -> None:
    with pytest.raises(UsageError, match="did you mean loss-nan"):
        catalog.require_known(["los-nan"])


def test_every_symptom_of_the_fixtures_can_be_selected() -> None:
    """What the shipped runs show is known by name, so that it can be selected, ignored and explained."""
    told = {symptom for case in BROKEN for symptom in case.truth["symptoms"]}

    assert told <= set(catalog.symptoms())


@pytest.mark.parametrize("form", ["terminal", "markdown", "html", "json", "sarif"])
def test_every_format_is_rendered(form: str) -> None:
    report = forensics.analyze(STEPPED, weights="off")

    assert "all-labels-masked" in forensics.render(report, form)  # type: ignore[arg-type]  # a Literal by value


def test_an_unknown_format_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="there is no format"):
        forensics.render(forensics.analyze(STEPPED, weights="off"), "pdf")  # type: ignore[arg-type]  # on purpose


def test_objects_introduce_themselves_in_a_line() -> None:
    report = forensics.analyze(STEPPED, weights="off")
    for shown in (repr(report), repr(report.run), repr(report.run.timeline)):
        assert "\n" not in shown
        assert len(shown) < 200 + len(str(STEPPED))
    assert str(report).startswith("BROKEN  ")
    assert len(str(report).splitlines()) <= 23


def test_scan_and_diff_take_paths() -> None:
    checkpoints = sorted(FOUNDING.glob("checkpoint-*"))[:2]
    scanned, skips = forensics.scan(checkpoints[0])
    compared, _ = forensics.diff(*checkpoints)

    assert len(scanned) == 1
    assert not skips
    assert len(compared) == 2


def test_compare_and_triage_answer() -> None:
    """Also after their modules were imported: no package of ours takes the name of a function."""
    found = forensics.compare(STEPPED, FOUNDING)
    rows = forensics.triage(STEPPED.parent, weights="off", workers=1)

    assert found.cause is not None
    assert [row.verdict for row in rows] == ["broken"]


@pytest.mark.parametrize(
    ("word", "exact", "said"),
    [("DIST001", True, "rule"), ("loss-to-zero", True, "symptom"), ("LOSS-NAN", True, "symptom"), ("nan", False, "")],
)
def test_explain_understands_rules_symptoms_and_words(word: str, exact: bool, said: str) -> None:
    found = catalog.find(word)

    assert found.exact is exact
    if exact:
        assert len(found.rules) == (said == "rule")
        assert len(found.symptoms) == (said == "symptom")
    else:
        assert found.rules
        assert found.symptoms


def test_words_that_nothing_speaks_of_are_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no rule, symptom or word"):
        catalog.find("zebra")
