"""Of all that differs between two runs, the difference that matters comes first."""

from pathlib import Path

import pytest

from comparison.run_pair import Pair
from forensics import catalog
from forensics.comparison import Comparison, Side, compare
from forensics.comparison.find import differences, same
from forensics.investigate import investigate, judge
from forensics.model import Run
from forensics.names import Kind
from forensics.redaction.identities import redactor_for
from forensics.report import comparison as page
from forensics.testing import make_events, make_run

HEALTHY = [2.0, 1.8, 1.7, 1.6, 1.55, 1.5, 1.48, 1.45]
DIED = [2.0, 1.8, 1.7, 1.6, 0.0, 0.0, 0.0, 0.0]


def compared(good: Run, bad: Run) -> Comparison:
    return compare(Side("good", judge(good)), Side("bad", judge(bad)), catalog.rules())


def setup(version: str, overlap: bool, loss: list[float], seed: int = 1) -> Run:
    settings = {
        "zero_optimization.stage": 2,
        "zero_optimization.overlap_comm": overlap,
        "world_size": 8,
        "bf16.enabled": True,
        "seed": seed,
    }
    return make_run(
        loss=loss,
        grad_norm=[0.5 if value else float("nan") for value in loss],
        settings=settings,
        packages={"deepspeed": version, "rich": "13.7"},
        frameworks=("transformers", "deepspeed"),
    )


@pytest.fixture(scope="module")
def seed_case(pair: Pair) -> Comparison:
    sides = [Side(path.name, investigate(path)) for path in (pair.good, pair.bad)]
    return compare(sides[0], sides[1], catalog.rules())


def test_the_version_that_broke_the_run_is_named_in_one_sentence(seed_case: Comparison) -> None:
    expected = (
        "deepspeed 0.11.1 -> 0.12.5 is the difference that matters for loss-to-zero"
        " (DIST001 ds-zero12-comm-corruption)."
    )

    assert expected == seed_case.headline


def test_the_version_comes_first_and_decides(seed_case: Comparison) -> None:
    top = seed_case.differences[0]

    assert (top.group, top.name, top.good, top.bad) == ("package", "deepspeed", "0.11.1", "0.12.5")
    assert (top.relevance, top.code) == ("decides", "DIST001")
    assert top.points > 0


def test_the_loss_parts_where_the_run_died(seed_case: Comparison) -> None:
    loss = next(d for d in seed_case.divergences if d.metric == "loss")

    assert (loss.differs_from, loss.parts_from, loss.bad) == (18, 18, 0.0)


def test_each_difference_is_weighed_alone() -> None:
    """Two differences that each save the run both decide; a seed that no rule knows of is told last."""
    comparison = compared(setup("0.11.1", True, HEALTHY), setup("0.12.5", True, DIED, seed=2))

    assert {d.name: d.relevance for d in comparison.differences} == {"deepspeed": "decides", "seed": "other"}
    assert comparison.differences[0].name == "deepspeed"


def test_a_setting_that_a_rule_argues_with_counts() -> None:
    comparison = compared(setup("0.12.5", False, HEALTHY), setup("0.12.5", True, DIED))
    overlap = comparison.differences[0]

    assert overlap.name == "zero_optimization.overlap_comm"
    assert overlap.relevance in {"decides", "counts"}
    assert overlap.points >= 3


def test_the_comparison_is_not_symmetric() -> None:
    """Asked the other way round there is nothing to explain: BAD is the healthy one."""
    comparison = compared(setup("0.12.5", True, DIED), setup("0.11.1", True, HEALTHY))

    assert comparison.symptom is None
    assert comparison.headline.startswith("Nothing is wrong with BAD; its loss parts from GOOD's at step 5")


def test_a_good_run_with_the_same_symptom_is_no_witness() -> None:
    comparison = compared(setup("0.11.1", True, DIED), setup("0.12.5", True, DIED))

    assert comparison.headline == "Both runs show loss-to-zero, so GOOD is no witness for what causes it."


def test_what_nobody_knows_to_matter_is_not_said_to_matter() -> None:
    good, bad = (make_run(loss=loss, packages={"rich": v}) for loss, v in ((HEALTHY, "13.0"), (DIED, "13.9")))

    assert compared(good, bad).headline == "None of the 1 differences is known to matter for loss-to-zero."


def test_a_value_that_only_one_run_recorded_never_decides() -> None:
    good = make_run(loss=HEALTHY)
    comparison = compared(good, setup("0.12.5", True, DIED))

    assert comparison.differences
    assert all(d.relevance in {"concerned", "other"} for d in comparison.differences)


def test_equal_runs_differ_in_nothing() -> None:
    run = setup("0.12.5", True, DIED)

    assert list(differences(run, run)) == []


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("1e-5", 1e-05, True),
        (1, "1", True),
        (True, "true", True),
        (None, "none", True),
        ("auto", 16777216, False),
        ("0.12.4", "0.12.5", False),
        ("12", "12.0", True),
    ],
)
def test_values_are_compared_by_what_they_mean(one: object, other: object, expected: bool) -> None:
    assert expected == same(one, other)  # type: ignore[arg-type]  # scalars


def test_warnings_are_counted_on_both_sides() -> None:
    good = make_run(loss=HEALTHY, events=[make_events(Kind.CHECKPOINT_SAVED, [8])])
    bad = make_run(loss=DIED, events=[make_events(Kind.TOKENIZATION_MISMATCH, [-1] * 12)])
    found = {d.name: (d.good, d.bad) for d in differences(good, bad)}

    assert found == {Kind.TOKENIZATION_MISMATCH: (0, 12)}


def test_where_there_is_no_log_no_warning_is_missing() -> None:
    """A run whose log was not kept did not have 0 warnings."""
    bad = make_run(loss=DIED, events=[make_events(Kind.TOKENIZATION_MISMATCH, [-1] * 12)])

    assert list(differences(make_run(loss=HEALTHY), bad)) == []


def test_output_folders_are_no_difference(tmp_path: Path) -> None:
    good, bad = (make_run(loss=HEALTHY, settings={"output_dir": str(tmp_path / n)}) for n in "ab")

    assert list(differences(good, bad)) == []


def test_a_secret_is_told_as_a_difference_and_not_as_a_value() -> None:
    tokens = ("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", "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")
    good, bad = (make_run(loss=HEALTHY, settings={"hub_token": token}) for token in tokens)
    redactor = redactor_for(good, bad, identities=False, names={})
    shown = page.render(page.masked(compared(good, bad), redactor), "json")

    assert "hub_token" in shown
    assert not any(token in shown for token in tokens)
