"""The training loss is a multiple of the evaluation loss."""

import re
from collections.abc import Iterator

import numpy as np

from forensics.analysis import context
from forensics.detectors._wording import number
from forensics.model import Finding, Floats, Run, Severity
from forensics.model.statistics import median
from forensics.names import EVAL_LOSS, LOSS
from forensics.plugin import detector

NEAR = 0.15
LEAST = 2
GUESSED = 0.12
LARGEST = 13.8
"""ln of a million: no vocabulary in use is larger."""
HIGH, FLAT = 5.0, 5
"""A loss that no model has which was fine-tuned, and the entries of its end that must agree."""
SMALL = 0.05
"""Evaluation losses below this give no ratio worth comparing."""


@detector("loss-scale-wrong", needs=("loss",))
def loss_scale_wrong(run: Run) -> Iterator[Finding]:
    """Find a training loss that is the evaluation loss times the accumulated micro-steps.

    Source: transformers 4.46.0-4.47.1 and models that ignore `num_items_in_batch` log the sum over the
    accumulated micro-steps (`Trainer.compute_loss`); evaluation is not accumulated. Without evaluation: a first
    loss above ln(vocabulary) by half that is plausible once divided.
    Minimum: two evaluations and an accumulation of 4 or more recorded that the ratio equals within 15 %, an
    error; a warning with an accumulation of 2 (three evaluations within 8 %), by the vocabulary size, or when
    nothing is recorded and three evaluations, the last half of all, give the same power of two from 4 on, within
    12 %, and none before a smaller one: the two are means over different steps of a curve that falls steeply. One
    evaluation is enough where the last third of the training loss is flat, above 5, and such a multiple of it within
    5 %.
    Silenced by: any other ratio; a policy-gradient trainer.
    Known false alarms: a training loss with further terms that happens to be just that much higher.
    """
    accumulation = context.accumulation(run)
    series = context.recorded(run, LOSS)
    if accumulation == 1 or context.policy_gradient(run) or len(series) == 0:
        return
    ratios = _ratios(run)
    if accumulation is None:
        judged = _guess(ratios) or _once(run)
    elif len(ratios):
        judged = _known(ratios, accumulation)
    else:
        judged = _first(run, float(series.values[0]), accumulation)
    if judged is not None:
        severity, told = judged
        yield Finding(
            symptom="loss-scale-wrong",
            severity=severity,
            statement=f"{told}: the logged loss is a sum over micro-steps where it should be a mean",
            source=series.source_at(0),
            step=int(series.steps[0]),
            step_range=(None, int(series.steps[0])),
        )


Judgement = tuple[Severity, str] | None


def _known(ratios: Floats, accumulation: int) -> Judgement:
    near, least = (NEAR, LEAST) if accumulation > 2 else (NEAR / 2, LEAST + 1)
    if len(ratios) < least or not bool(np.all(np.abs(ratios / accumulation - 1) < near)):
        return None
    times = number(median(ratios))
    told = f"the training loss is {times} times the evaluation loss, with an accumulation of {accumulation}"
    return ("error" if accumulation > 2 else "warning"), told


def _guess(ratios: Floats) -> Judgement:
    """Judge by the ratio alone, when the accumulation is not recorded."""
    if len(ratios) <= LEAST:
        return None
    every, ratios = ratios, ratios[-max(LEAST + 1, len(ratios) // 2) :]
    times = median(ratios)
    if not 1 <= times < np.inf:
        return None
    power = 2 ** round(float(np.log2(times)))
    grew = float(every.min()) < (1 - GUESSED) * power  # as where dropout or smoothing acts on what training learns
    if power < 4 or grew or not bool(np.all(np.abs(ratios / power - 1) < GUESSED)):
        return None
    at = f"at each of the last {len(ratios)} evaluations"
    return "warning", f"the training loss is about {power} times the evaluation loss {at}"


def _once(run: Run) -> Judgement:
    """Judge by the last evaluation alone: the loss before it is flat, and higher than a mean over tokens could be."""
    series = context.recorded(run, LOSS)
    evals = run.timeline.beside(series, EVAL_LOSS)
    if evals is None or not len(evals) or not SMALL < float(evals.values[-1]) < HIGH:
        return None
    values = series.values[np.isfinite(series.values) & (series.steps <= evals.steps[-1])]
    late = values[-(len(values) // 3) :]
    if len(late) < FLAT or float(np.ptp(late)) > NEAR * median(late) or float(late.min()) < HIGH:
        return None
    times = median(late[-FLAT:]) / float(evals.values[-1])
    power = 2 ** round(float(np.log2(times)))
    if power < 4 or abs(times / power - 1) > NEAR / 3:
        return None
    return "warning", f"the training loss is about {power} times the evaluation loss beside it, {number(times)}"


def _first(run: Run, first: float, accumulation: int) -> Judgement:
    if not _above_uniform(run, first, accumulation):
        return None
    return "warning", f"the first loss, {number(first)}, is far above that of uniform guessing"


def _ratios(run: Run) -> Floats:
    """Return training over evaluation loss, with the mean training loss since the evaluation before; (n,)."""
    series = context.recorded(run, LOSS)
    evals = run.timeline.beside(series, EVAL_LOSS) or context.NOTHING
    ends = np.searchsorted(series.steps, evals.steps, side="right")
    starts = np.concatenate(([0], ends))[: len(ends)]
    kept = (ends > starts) & np.isfinite(evals.values) & (evals.values > SMALL)
    # Zeros and what is no number count as NaN, so that their whole stretch gives no ratio.
    counted = np.where(np.isfinite(series.values) & (series.values > 0), series.values, np.nan)
    sums = np.concatenate(([0.0], np.cumsum(np.nan_to_num(counted))))
    gaps = np.concatenate(([0], np.cumsum(np.isnan(counted))))
    kept &= gaps[ends] == gaps[starts]
    starts, ends = starts[kept], ends[kept]
    return np.asarray((sums[ends] - sums[starts]) / (ends - starts) / evals.values[kept], dtype=np.float64)


def _above_uniform(run: Run, first: float, accumulation: int) -> bool:
    uniform = context.uniform_loss(run)
    if uniform is None:
        # Without a vocabulary only a release that is known to sum is believed, and no vocabulary is larger.
        uniform = LARGEST if accumulation >= 4 and _sums(run) else None
    if uniform is None or not np.isfinite(first):
        return False
    return first > 1.5 * uniform and 0.3 < first / accumulation < uniform


def _sums(run: Run) -> bool:
    """Tell whether the release of transformers on file logs the sum over micro-steps (issues 34263, 35663)."""
    setting = run.environment.best("transformers", "package")
    return setting is not None and re.match(r"4\.(?:46\.|47\.|48\.0)", str(setting.value)) is not None
