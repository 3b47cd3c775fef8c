"""What leaves a run open in which no symptom was found, and what does not."""

from typing import Any

import numpy as np
import pytest

from forensics.diagnosis import doubts
from forensics.diagnosis.doubts import doubt
from forensics.investigate import judge
from forensics.model import Floats
from forensics.model.statistics import median
from forensics.testing import make_run

FALLS = [2.0, 1.6, 1.4, 1.2, 1.1, 1.0, 0.95, 0.9, 0.88, 0.86]
HARDLY = [*np.linspace(0.8, 0.68, 10)]
LONG = [*np.linspace(2.0, 1.0, 20)]
RESTS = [0.815, 0.603, 0.601, 0.604, 0.602, 0.6, 0.603, 0.601, 0.604, 0.602]
LOST = [*np.linspace(2.0, 0.5, 20), *[1.6] * 5, *np.linspace(1.2, 0.4, 15)]
AT_ONCE = [2.0, 0.5, 0.02, *[0.002] * 12]
SIGNS: list[tuple[dict[str, Any], str]] = [
    ({"loss": FALLS, "eval_loss": [0.9, 0.85, 0.92]}, "the evaluation loss is 0.9 at first and 0.92 at the end"),
    ({"loss": FALLS, "val_pair_loss": [0.9, 0.85, 0.92]}, "the evaluation loss is 0.9 at first and 0.92 at the end"),
    ({"loss": FALLS, "eval_loss": [1.2, 0.8, 0.9, 1.0]}, "the evaluation loss was 0.8 at its best and ends at 1"),
    (
        {"loss": FALLS, "eval_accuracy": [0.5, 0.9, 0.8, 0.75, 0.7]},
        "eval_accuracy was 0.9 at its best and ends at 0.7",
    ),
    ({"loss": FALLS, "val_wer": [2.0, 1.0, 1.5, 2.1]}, "val_wer was 1 at its best and ends at 2.1"),
    (
        {"loss": FALLS, "eval_loss": [4.0, 3.0, 2.9, 2.9, 2.9, 2.91]},
        "the evaluation loss rests at 2.91 while training goes to 0.86",
    ),
    (
        {"loss": FALLS, "eval_acc": [99.8, 100.0, 100.0]},
        "eval_acc is 99.8 from the first evaluation on, as where labels leak",
    ),
    (
        {"loss": FALLS, "eval_loss": [9.0, 8.0, 7.0, 6.0, 5.0], "eval_acc": [40.0, 60.0, 65.0, 68.0, 70.0]},
        "the evaluation loss ends at 5 where eval_acc is 70",
    ),
    ({"loss": AT_ONCE}, "the loss is next to 0 within 3 of 15 entries, as where labels leak"),
    ({"loss": RESTS}, "the loss rests at 0.602 after its first entries, and nothing else got better"),
    (
        {"loss": [0.3, 0.308, 0.307, 0.303, 0.3, 0.2995], "eval_loss": [0.316, 0.312, 0.309, 0.306]},
        "the loss goes from 0.3 to 0.2995, and nothing else got better",
    ),
    ({"loss": LOST}, "the loss stood far above what it had reached in 13 of its 40 entries"),
    ({"loss": [3.0 * x for x in FALLS], "eval_loss": FALLS}, "the training loss ends at 3 times the evaluation loss"),
    (
        {"loss": [-3.8, -9.0, -20.0, -40.0, -60.0, -79.0]},
        "the loss goes from -3.8 to -79, and nothing tells how low is right",
    ),
    ({"loss": FALLS, "train/entropy": [1.9459101] * 10}, "train/entropy is 1.946 in all of 10 entries"),
    ({"loss": FALLS, "grad_norm": [0.0] * 10}, "the gradient norm is 0 in all of 10 entries while the loss is not"),
    ({"loss": HARDLY, "top1": [0.9525] * 10, "acc": [0.9525] * 10}, "acc is 0.9525 in all of 10 entries"),
    (
        {"loss": [*np.geomspace(0.67, 0.3, 100)], "val_auc": [0.6, *[1.0] * 99]},
        "val_auc is 1 within a fiftieth of the run, as where labels leak",
    ),
    ({"loss": FALLS, "r2": [-2.7, -2.0, -1.5, -0.9, -0.6]}, "r2 is -0.6 at its best: answering the mean is better"),
    (
        {"loss": FALLS, "learning_rate": [1e-3] * 6 + [1e-9] * 4},
        "the learning rate is next to 0 in the last 4 of 10 entries",
    ),
]
FINE: list[dict[str, Any]] = [
    {"loss": FALLS, "eval_loss": [0.9, 0.85, 0.903]},
    {"loss": FALLS, "eval_loss": [1.2, 0.8, 0.9, 0.91]},
    {"loss": FALLS, "eval_loss": [0.9], "val_loss_a": [0.5, 0.6], "val_loss_b": [0.5, 0.6]},
    {"loss": FALLS, "val_perplexity": [20.0, 30.0]},
    {"loss": FALLS, "eval_accuracy": [0.5, 0.9, 0.85, 0.82, 0.83]},
    {"loss": FALLS, "val_wer": [2.0, 1.0, 1.5, 1.9]},
    {"loss": FALLS, "val_wer": [1.0, 0.9, 1.0, 1.1]},
    {"loss": FALLS, "val_cardinality_error_0": [2.0, 1.0, 1.5, 2.1]},
    {"loss": FALLS, "eval_loss": [4.0, 3.0, 2.9, 2.5, 2.4]},
    {"loss": FALLS, "eval_loss": [4.0, 3.0, 2.9, 2.9, 2.9, 2.91], "eval_acc": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]},
    {"loss": FALLS, "eval_loss": [2.6, 2.5, 2.5, 2.5, 2.5, 2.51]},
    {"loss": FALLS, "eval_loss": [9.0, 8.0, 7.0, 6.0, 4.0], "eval_acc": [40.0, 60.0, 65.0, 68.0, 70.0]},
    {"loss": FALLS, "eval_loss": [9.0, 8.0, 7.0, 5.0], "eval_acc": [40.0, 60.0, 65.0, 70.0]},
    {"loss": FALLS, "eval_loss": [9.0, 8.0, 7.0, 6.0, 5.0], "eval_acc": [0.9, 0.98, 0.982, 0.984, 0.985]},
    {"loss": FALLS, "eval_acc": [0.9, 0.99, 1.0]},
    {"loss": [2.0, 1.5, 1.0, 0.5, 0.2, 0.02, *[0.002] * 5]},
    {"loss": AT_ONCE, "residual": AT_ONCE},
    {"loss": RESTS, "eval_loss": [1.0, 0.9, 0.8, 0.7, 0.6]},
    {"loss": RESTS, "accuracy": [0.3, 0.4, 0.5, 0.6, 0.7]},
    {"loss": [9.0, 2.0, *RESTS[1:]]},
    {"loss": [0.3, 0.308, 0.307, 0.303, 0.3, 0.2995], "eval_loss": [0.316, 0.312, 0.309, 0.3]},
    {"loss": [0.3, 0.308, 0.307, 0.303, 0.3, 0.2845]},
    {"loss": [0.3, 0.308, 0.307, 0.303, 0.3, 0.2995], "accuracy": [0.2, 0.3, 0.4, 0.5, 0.6, 0.7]},
    {"loss": [0.8, 0.3, 0.9, 0.4, 0.7, 0.5, 0.9, 0.3, 0.8, 0.4]},
    {"loss": [100.0 * n for n in (1.0, 1.9, 2.7, 3.4, 4.0, 4.5)]},
    {"loss": [*np.linspace(2.0, 0.5, 40), 1.6, 1.6, *[0.4] * 18]},
    {"loss": [2.0 * x for x in FALLS], "eval_loss": FALLS},
    {"loss": [0.8 * x for x in FALLS], "eval_loss": [0.2 * x for x in FALLS]},
    {"loss": [-0.5, -1.0, -2.0, -3.0, -4.0]},
    {"loss": FALLS, "train/entropy": [1.9459101] * 9 + [1.94]},
    {"loss": FALLS, "learning_rate": [0.0, *[1e-3] * 8, 0.0]},
    {"loss": FALLS, "learning_rate": [0.0] * 10},
    {"loss": FALLS, "acc": [1.0] * 10},
    {"loss": FALLS, "acc": [0.9525] * 10},
    {"loss": [*np.geomspace(0.67, 0.3, 100)], "val_auc": [*np.linspace(0.6, 0.95, 20), *[1.0] * 80]},
    {},
]


@pytest.mark.parametrize(("metrics", "told"), SIGNS, ids=[told[:40] for _, told in SIGNS])
def test_each_sign_is_told_with_its_numbers(metrics: dict[str, Any], told: str) -> None:
    """A reader sees from the reason alone what was seen."""
    assert doubt(make_run(**metrics)) == told


@pytest.mark.parametrize("metrics", FINE, ids=[str(i) for i in range(len(FINE))])
def test_what_is_usual_leaves_nothing_open(metrics: dict[str, Any]) -> None:
    """Each is the case next to a sign: the bound, the exception, the name."""
    assert doubt(make_run(**metrics)) == ""


def test_a_policy_or_a_model_that_was_trained_before_may_rest() -> None:
    """Their loss is no measure of progress, or begins where it ends."""
    assert doubt(make_run(loss=RESTS, reward=[0.1] * 10)) == ""
    assert doubt(make_run(loss=RESTS, frameworks=("transformers",))) == ""
    assert doubt(make_run(loss=LOST, episode_reward=LONG[::-1])) == ""
    assert doubt(make_run(loss=AT_ONCE, reward=[0.1] * 15)) == ""


def test_a_run_with_a_sign_is_unknown_and_says_which() -> None:
    """Not healthy, and no symptom either."""
    report = judge(make_run(loss=FALLS, eval_loss=[0.9, 0.85, 0.92]))

    assert report.verdict == "unknown"
    assert report.headline == ("Nothing was found wrong, but the evaluation loss is 0.9 at first and 0.92 at the end.")
    assert judge(make_run(loss=FALLS, eval_loss=[0.9, 0.85, 0.84])).verdict == "healthy"


def test_a_long_curve_is_looked_at_every_few_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a curve of a hundred thousand entries had lost meanwhile is seen in few medians, not one an entry."""
    asked = 0

    def counted(values: Floats) -> float:
        nonlocal asked
        asked += 1
        return median(values)

    monkeypatch.setattr(doubts, "median", counted)
    values = np.repeat(LOST, 2500)

    told = doubt(make_run(loss=values.tolist()))

    assert told.startswith("the loss stood far above what it had reached in 27,")
    assert asked < 1000
