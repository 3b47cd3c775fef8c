"""Losses that are 0 or infinite because of what a batch held: comparisons of one sample, CTC without an alignment."""

from typing import Any

import pytest

from forensics import catalog
from forensics.testing import make_events
from rules.rule_judging import ask, state_of

INF, NAN = float("inf"), float("nan")
ALONE: dict[str, Any] = {"loss": [0.0] * 7, "grad_norm": [0.0] * 7, "onset": 1}
EMBEDS: dict[str, Any] = {"settings": {"model.architectures": "['BertModel']"}}
CTC: dict[str, Any] = {"ctc_loss": [5.0, 4.8, 4.7, 4.6, INF, NAN, NAN], "onset": 5, "name": "loss-nan"}
BROKE: dict[str, Any] = {"loss": [5.0, 4.8, 4.7, 4.6, INF, NAN, NAN], "onset": 5, "name": "loss-nan"}

NAMED: dict[str, Any] = {"settings": {"criterion": "CTCLoss"}}


def settings(**given: Any) -> dict[str, Any]:
    return {"settings": {name.replace("__", "."): value for name, value in given.items()}}


ROWS: list[tuple[str, str, dict[str, Any], int | None]] = [
    ("no-negatives-in-batch", "has no gradient", {**ALONE, **EMBEDS}, 3),
    ("no-negatives-in-batch", "has no gradient", {**ALONE, **EMBEDS, "name": "gradients-all-zero"}, 3),
    ("no-negatives-in-batch", "has no gradient", ALONE, 1),
    ("no-negatives-in-batch", "from the first entry", ALONE, 1),
    ("no-negatives-in-batch", "batch_size is 1", {**ALONE, **settings(per_device_train_batch_size=1)}, 1),
    (
        "no-negatives-in-batch",
        "batch_size is 1",
        {**ALONE, **settings(loss_type="InfoNCE", trainer_state__train_batch_size=1)},
        3,
    ),
    ("no-negatives-in-batch", "batch_size is 8", {**ALONE, **settings(per_device_train_batch_size=8)}, -2),
    ("no-negatives-in-batch", "learn by comparing", {**ALONE, **EMBEDS}, 1),
    ("no-negatives-in-batch", "learn by comparing", {**ALONE, **settings(loss="MultipleNegativesRankingLoss")}, 1),
    (
        "no-negatives-in-batch",
        "no head",
        {**ALONE, **settings(model__architectures="['LlamaForCausalLM']")},
        None,
    ),
    ("no-negatives-in-batch", "stands still", {**ALONE, "loss": [2.0] * 7}, None),
    ("no-negatives-in-batch", "a gradient flows", {**ALONE, "grad_norm": [1.0] * 7}, None),
    ("ctc-input-too-short", "the first bad loss", {**BROKE, **NAMED}, 4),
    ("ctc-input-too-short", "the first bad loss", {**BROKE, **NAMED, "name": "loss-nan-transient"}, 4),
    ("ctc-input-too-short", "the first bad loss", {**BROKE, **NAMED, "name": "nan-gradient-applied"}, 4),
    ("ctc-input-too-short", "ctc_loss is logged", CTC, 1),
    ("ctc-input-too-short", "['Wav2Vec2ForCTC']", {**BROKE, **settings(model__architectures="['Wav2Vec2ForCTC']")}, 1),
    ("ctc-input-too-short", "fewer frames", {**CTC, **BROKE, "frames": [80.0, 80.0, 80.0, 80.0, 16.0, 80.0, 80.0]}, 3),
    ("ctc-input-too-short", "is kept", {**BROKE, **settings(model__ctc_zero_infinity=False)}, 1),
    ("ctc-input-too-short", "fp16 ends early", {**BROKE, **settings(fp16=True)}, -1),
    ("ctc-input-too-short", "set to zero", {**BROKE, **settings(model__ctc_zero_infinity=True)}, None),
    ("ctc-input-too-short", "another head", {**BROKE, **settings(model__architectures="['LlamaForCausalLM']")}, None),
]


@pytest.mark.parametrize(
    ("name", "words", "facts", "points"), [pytest.param(*row, id=f"{row[0]}: {row[1]} {row[3]}") for row in ROWS]
)
def test_a_piece_of_evidence_has_its_points(name: str, words: str, facts: dict[str, Any], points: int | None) -> None:
    hypothesis = ask(catalog.find_rule(name), facts)
    found = [e.points for e in hypothesis.evidence if e.state is None and words in e.statement]

    assert found == ([] if points is None else [points])
    assert points is not None or hypothesis.verdict == "ruled out"


@pytest.mark.parametrize(
    ("name", "facts", "states"),
    [
        ("no-negatives-in-batch", {**ALONE, **EMBEDS}, [True, True]),
        ("no-negatives-in-batch", {"events": [make_events("resumed", [1])]}, [None, None]),
        ("ctc-input-too-short", CTC, [True, None]),
        ("ctc-input-too-short", {**BROKE, **settings(loss_type="ctc", zero_infinity=False)}, [True, True]),
        ("ctc-input-too-short", BROKE, [None, None]),
    ],
)
def test_a_condition_is_true_false_or_unknown(name: str, facts: dict[str, Any], states: list[bool | None]) -> None:
    rule = catalog.find_rule(name)

    assert [state_of(condition, rule, facts) for condition in rule.requires] == states


def test_a_loss_that_is_nan_at_once_is_not_for_want_of_frames() -> None:
    """NaN without inf before it has other causes: the cause has no sign of its own then."""
    said = ask(catalog.find_rule("ctc-input-too-short"), {**BROKE, "loss": [5.0, 4.8, 4.7, 4.6, NAN, NAN, NAN]})

    assert said.verdict not in {"established", "likely"}
    assert not any(item.points > 2 for item in said.evidence)


@pytest.mark.parametrize(
    "facts", [{**ALONE, **EMBEDS, "loss": [1.0, 0.8, 0.7]}, {**ALONE, **EMBEDS, "loss": [], "grad_norm": []}]
)
def test_a_model_that_learns_compares_something(facts: dict[str, Any]) -> None:
    assert ask(catalog.find_rule("no-negatives-in-batch"), facts).verdict in {"ruled out", "unlikely", "possible"}
