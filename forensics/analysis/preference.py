"""What a preference run (DPO and its kin) logs of its start, where the policy still equals its reference."""

import math

from forensics.analysis import context
from forensics.model import Run
from forensics.names import LOSS

LN2 = math.log(2)
FAR = 0.05
"""A margin of noise with standard deviation s adds s**2 / 8 to ln 2: 0.05 needs 0.6, some six nats at beta 0.1."""
MOVED = 0.2
"""Rewards are beta times a difference of log-probabilities; rounding in bf16 leaves them below 0.1."""
START_AT_LN2 = frozenset({"sigmoid", "robust", "aot", "aot_unpaired", "aot_pair", "discopop"})
"""TRL 1.16, `DPOTrainer._compute_loss`: with equal policies these losses are ln 2, whatever the label smoothing."""
OTHER_LOSS = "kl"
"""TRL's KTOTrainer logs it, DPOTrainer does not; the loss of KTO does not start at ln 2."""
NO_REFERENCE = ("nll_loss", "sft_loss", "log_odds_ratio", "log_odds_chosen", "odds_ratio_loss")
"""Metrics of ORPO, CPO and SimPO (TRL, LLaMA-Factory), which have no reference and reward log-probabilities."""


def loss_type(run: Run) -> str | None:
    """Return the preference loss that was asked for (TRL `loss_type`, LLaMA-Factory `pref_loss`), None if unknown."""
    for name in ("loss_type", "pref_loss"):
        setting = run.environment.best(name)
        if setting is not None and setting.value is not None:
            return str(setting.value).strip("[]'\" ").lower()
    return None


def first_loss(run: Run) -> float | None:
    """Return the loss of step 1 where equal policies must give ln 2 there; None where the run does not tell.

    An entry that averages several steps has already moved, and trainers without a reference start anywhere.
    """
    loss, kind = context.recorded(run, LOSS), loss_type(run)
    without = any(name in run.timeline for name in (*NO_REFERENCE, OTHER_LOSS)) or run.timeline.excerpt
    if not len(loss) or int(loss.steps[0]) != 1 or without or (kind is not None and kind not in START_AT_LN2):
        return None
    first = float(loss.values[0])
    return first if math.isfinite(first) and has_reference(run) else None


def first_rewards(run: Run) -> tuple[float, float] | None:
    """Return the mean rewards of the chosen and the rejected answers at step 1; None where not both were logged."""
    chosen, rejected = (_at_step_1(run, f"rewards/{kind}") for kind in ("chosen", "rejected"))
    return None if chosen is None or rejected is None else (chosen, rejected)


def has_reference(run: Run) -> bool:
    """Tell whether a reference took part: without one both rewards are the same multiple of their log-probabilities."""
    if loss_type(run) in START_AT_LN2:
        return True
    rewards = first_rewards(run)
    logs = [_at_step_1(run, f"logps/{kind}") for kind in ("chosen", "rejected")]
    if rewards is not None and max(rewards) > 0:
        return True  # Log-probabilities are negative, and so is every multiple of them that is a reward.
    known = [value for value in logs if value is not None and value < 0]
    if rewards is None or len(known) < len(logs):
        return False
    first, second = (reward / value for reward, value in zip(rewards, known, strict=True))
    # A reward of log-probabilities is a positive multiple of them.
    apart = abs(first - second) > 0.05 * max(abs(first), abs(second))
    return apart or first < 0 or first == second == 0


def _at_step_1(run: Run, name: str) -> float | None:
    series = run.timeline.get(name)
    value = series.value_at(1) if series is not None and len(series) else None
    return value if value is not None and math.isfinite(value) else None
