"""All rules together: the cause that fits wins, and what must not be blamed is not."""

from typing import Any

import pytest

from forensics import catalog
from forensics.diagnosis.reason import reason
from forensics.model import Finding, Run, Source
from forensics.names import Kind
from forensics.testing import make_checkpoint, make_events, make_run, make_table
from rules.rule_judging import DEAD, FALL, FOUNDING, GOOD, NAN, WHOLE

BF16 = {"model.layers.0.mlp.weight": 30, "model.norm.weight": 64}
CASES: list[tuple[str, str, int, dict[str, Any], tuple[str, ...]]] = [
    (
        "founding case",
        "loss-to-zero",
        5,
        {**FOUNDING, "checkpoints": WHOLE},
        ("ds-zero12-comm-corruption", "nan-gradient-applied", "nan-loss-logged-as-zero", "loss-to-zero"),
    ),
    (
        "all labels masked",
        "loss-to-zero",
        1,
        {"loss": [0.0] * 6, "grad_norm": [0.0] * 6, "learning_rate": [6e-6, 5e-6, 4e-6, 3e-6, 2e-6, 1e-6]},
        ("all-labels-masked", "all-labels-ignored", "loss-to-zero"),
    ),
    (
        "tokenization mismatch",
        "loss-to-zero",
        1,
        {
            "loss": [0.0] * 6,
            "grad_norm": [0.0] * 6,
            "learning_rate": [6e-6, 5e-6, 4e-6, 3e-6, 2e-6, 1e-6],
            "events": [make_events(Kind.TOKENIZATION_MISMATCH, [-1] * 50, text="tokenization mismatch: 1 vs. 812.")],
        },
        ("tokenization-mismatch", "all-labels-ignored", "loss-to-zero"),
    ),
    (
        "SDPA in torch 2.5.0",
        "loss-to-zero",
        2,
        {
            "loss": [0.87, 0.0, 0.0, 0.0],
            "grad_norm": [NAN] * 4,
            "packages": {"torch": "2.5.0"},
            "settings": {"attn_implementation": "sdpa"},
        },
        ("attention-impl-nan", "nan-gradient-applied", "nan-loss-logged-as-zero", "loss-to-zero"),
    ),
    (
        "bf16 weights that cannot move",
        "weights-unchanged",
        6,
        {
            "checkpoints": [make_checkpoint(6, make_table(same=BF16, dtype="BF16"))],
            "grad_norm": [0.5, 0.6] * 4,
            "settings": {"learning_rate": 2e-6, "deepspeed": None},
        },
        ("bf16-update-underflow", "update-below-precision", "weights-unchanged"),
    ),
    (
        "bf16 model in fp16",
        "loss-scale-collapse",
        5,
        {
            "settings": {"fp16.enabled": True, "model.torch_dtype": "bfloat16"},
            "events": [make_events(Kind.OVERFLOW, list(range(1, 20))), make_events(Kind.LOSS_SCALE_AT_MINIMUM)],
        },
        ("fp16-bf16-pretrained-model", "overflow-steps-skipped", "loss-scale-collapse"),
    ),
    (
        "GRPO",
        "loss-to-zero",
        1,
        {"loss": [0.0] * 7, "grad_norm": [0.4, 0.5] * 4, "reward": [0.1] * 8},
        ("grpo-zero-loss", "loss-to-zero"),
    ),
    (
        "memorised",
        "loss-to-zero",
        8,
        {"loss": [2.0, 0.9, 0.3, 0.04, 0.01, 0.002, 0.001, 0.0, 0.0], "grad_norm": [0.1, 0.01] * 5},
        ("memorised", "log-precision-rounds-to-zero", "loss-to-zero"),
    ),
]


def rank(run: Run, symptom: str, step: int) -> Any:
    finding = Finding(symptom, "error", symptom, Source("log"), step, (step - 1, step))
    found = reason(run, [finding], catalog.rules())

    assert found.failures == ()
    return found


@pytest.mark.parametrize(
    ("symptom", "step", "facts", "chain"), [pytest.param(s, at, f, c, id=name) for name, s, at, f, c in CASES]
)
def test_the_cause_that_fits_wins(symptom: str, step: int, facts: dict[str, Any], chain: tuple[str, ...]) -> None:
    """The first cause is the right one, with its whole chain."""
    best = rank(make_run(**facts), symptom, step).causes[0]

    assert best.chain == chain
    assert best.holds


def test_a_cause_behind_a_link_that_is_not_known_is_possible() -> None:
    """Without a gradient norm the NaN is not seen; the race is argued all the same, and comes first."""
    rates = [7e-6, 6e-6, 5e-6, 4e-6, 3e-6, 2e-6, 1e-6]
    best = rank(make_run(**{**FOUNDING, "grad_norm": [], "learning_rate": rates}), "loss-to-zero", 5).causes[0]

    assert (best.cause, best.verdict, best.at_most) == ("ds-zero12-comm-corruption", "possible", "possible")


def test_a_zero_loss_alone_is_not_blamed_on_anything() -> None:
    """Where only the zeros are known, no cause is likely."""
    found = rank(make_run(loss=FALL), "loss-to-zero", 5)

    assert not any(cause.holds for cause in found.causes)


def test_an_isolated_nan_norm_in_fp16_is_benign() -> None:
    """One NaN norm under a scaler, with finite ones after it, is how fp16 works."""
    run = make_run(loss=[2.0, 1.9, 1.8] * 3, grad_norm=[*GOOD, NAN, 1.0, 1.1, 1.0, 0.9], settings={"fp16": True})
    best = rank(run, "grad-norm-nan-isolated", 5).causes[0]

    assert (best.cause, best.benign, best.holds) == ("fp16-scaler-skip", True, True)


def test_deepspeed_is_not_blamed_where_it_did_not_run() -> None:
    """With the argument empty and no package recorded, every cause of DeepSpeed's own is ruled out."""
    found = rank(make_run(**DEAD, settings={"deepspeed": None}), "loss-to-zero", 5)
    verdicts = {h.cause: h.verdict for h in found.causes if h.cause.startswith(("ds-", "zero3-"))}

    assert verdicts
    assert set(verdicts.values()) == {"ruled out"}


def test_warnings_of_a_frozen_tower_are_not_blamed() -> None:
    """ "None of the inputs have requires_grad" beside a gradient above zero is harmless."""
    run = make_run(loss=[2.0] * 7, grad_norm=[0.5, 0.6] * 4, events=[make_events(Kind.NO_INPUT_REQUIRES_GRAD)])
    found = rank(run, "loss-plateau", 1)

    assert not any(cause.holds for cause in found.causes)
