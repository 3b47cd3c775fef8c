"""Causes that a black box tells: one row for each branch of their evidence."""

from typing import Any

import pytest

from forensics import catalog
from forensics.diagnosis.reason import reason
from forensics.investigate import detect
from forensics.model import Recording
from forensics.names import Kind
from forensics.testing import TENSORS, make_events, make_recording, make_run
from rules.rule_judging import FOUNDING, ask

NORM = {5: TENSORS[1:]}
LASTING = dict.fromkeys(range(5, 13), TENSORS[1:])


def both(**named: Any) -> dict[str, Any]:
    return {"recordings": [make_recording(0, **named), make_recording(1, **named)]}


def large(recording: Recording) -> Recording:
    """Return the recording with gradients that float16 cannot hold."""
    recording.values[:, :, 1] = 1e5
    return recording


def alone(**named: Any) -> Recording:
    return make_recording(0, world=1, kind="single", **named)


BATCHES = {step: f"batch {step}" for step in range(1, 13)}
LATER = {step + 12: text for step, text in BATCHES.items()}
FRESH = {step + 12: f"batch {step + 12}" for step in BATCHES}
TOLD = {"events": [make_events(Kind.RANKS_DIFFER, text="the checksum differs")]}
STALLED = {"recordings": [alone(still=0.9, dtype="bfloat16")]}


def resumed(batches: dict[int, str]) -> dict[str, Any]:
    after = alone(steps=range(13, 25), batches=batches, start=9000.0)
    return {"recordings": [alone(batches=BATCHES), after], "loss": [2.0] * 12, "symptom": "data-repeated"}


MADE = both(reduced_bad=NORM)
OWN = {"recordings": [make_recording(0, reduced_bad=NORM), make_recording(1, local_bad=NORM, reduced_bad=NORM)]}
ROWS: list[tuple[str, str, dict[str, Any], int]] = [
    ("reduction-made-nan", "finite before, not finite after the reduction", MADE, 10),
    ("reduction-made-nan", "", OWN, 0),
    ("reduction-made-nan", "", {"recordings": [make_recording(0, reduced_bad=NORM)]}, 0),
    (
        "fp16-reduction-overflow",
        "float16 ends at 65504",
        {"recordings": [large(make_recording(rank, reduced_bad=NORM)) for rank in (0, 1)]},
        7,
    ),
    ("fp16-reduction-overflow", "65504", MADE, 0),
    ("update-below-precision", "kept every bit", STALLED, 5),
    ("bf16-update-underflow", "kept every bit", STALLED, 4),
    ("update-below-precision", "kept every bit", {"recordings": [alone(dtype="bfloat16")]}, 0),
    ("resume-data-repeated", "by their check sums", resumed(LATER), 10),
    ("resume-data-repeated", "by their check sums", resumed(FRESH), -2),
    ("ranks-not-synchronised", "equal those before it", both(unreduced=True), 10),
    (
        "ranks-not-synchronised",
        "checksum differs",
        TOLD,
        7,
    ),
    ("ranks-not-synchronised", "", both(), 0),
    ("ranks-not-synchronised", "", both(kind="fsdp2", unreduced=True), 0),
    ("ranks-not-synchronised", "", {"recordings": [make_recording(0, world=1, kind="single")]}, 0),
]


@pytest.mark.parametrize(("cause", "words", "facts", "points"), ROWS, ids=lambda v: v if isinstance(v, str) else "")
def test_evidence(cause: str, words: str, facts: dict[str, Any], points: int) -> None:
    evidence = ask(catalog.find_rule(cause), facts).evidence

    assert [e.points for e in evidence if not words or words in e.statement] == ([points] if points else [])


def causes_of(**facts: Any) -> dict[str, str]:
    run = make_run(**facts)
    findings, _, failures = detect(run)
    assert not failures
    reasoned = reason(run, findings, catalog.rules())
    return {h.cause: h.verdict for h in (*reasoned.mechanisms, *reasoned.causes)}


def test_the_mechanism_is_established_by_both_sides_of_the_reduction() -> None:
    assert causes_of(**MADE)["reduction-made-nan"] == "established"
    assert "reduction-made-nan" not in {k for k, v in causes_of(**OWN).items() if v in {"established", "likely"}}


def test_the_founding_cause_needs_finite_gradients_before_the_reduction() -> None:
    """The same settings: proven by both sides, refuted by a rank's own NaN and by gradients beyond float16."""

    def verdict(recordings: list[Recording]) -> str:
        return causes_of(**{**FOUNDING, "recordings": recordings})["ds-zero12-comm-corruption"]

    beyond = [large(make_recording(rank, reduced_bad=LASTING)) for rank in (0, 1)]

    assert verdict([make_recording(rank, reduced_bad=LASTING) for rank in (0, 1)]) == "likely"
    assert verdict([make_recording(rank, local_bad=LASTING, reduced_bad=LASTING) for rank in (0, 1)]) == "ruled out"
    assert verdict(beyond) == "ruled out"
    assert causes_of(**{**FOUNDING, "recordings": beyond})["fp16-reduction-overflow"] == "likely"


def test_a_stall_of_bfloat16_weights_names_its_cause() -> None:
    causes = causes_of(**STALLED, learning_rate=[2e-6] * 12)

    assert (causes["update-below-precision"], causes["bf16-update-underflow"]) == ("likely", "likely")


def test_repeated_data_name_their_cause() -> None:
    assert (
        causes_of(**{k: v for k, v in resumed(LATER).items() if k != "symptom"})["resume-data-repeated"]
        == "established"
    )
