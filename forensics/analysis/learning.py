"""Whether anything that a run logged shows that it learned: curves that came down, qualities that rose."""

import re

import numpy as np

from forensics.analysis import context, robust
from forensics.deferred.patterns import expression
from forensics.model import Floats, Run, Series
from forensics.model.statistics import median
from forensics.names import EVAL_LOSS, LOSS, TRAIN_LOSS, is_loss

ERROR = expression(
    r"(?:^|[/_ (-])(?:mse|msle|mae|rmse|mape|err|error|nll|perplexity|ppl|wer|cer|mpjpe|deviance)(?:$|[/_ )])",
    re.IGNORECASE,
)
"""What sinks as a model gets better, and is no loss."""
PREFIX = r"(?:(?:ema|swa)[/_ ])?(?:eval|val|valid|validation|test|dev)[/_ ]"
WHOLE = r"(?:(?:macro|micro|weighted|mean|avg|overall)[/_ ])?"
QUALITY = expression(
    rf"^{PREFIX}{WHOLE}(?:acc|accuracy|(?:acc|prec)@1|top[-_]?1|f1|f1_score|recall|precision|mcc|matthews_correlation|bleu|rouge\w{{0,5}}|auc"
    r"|m?ap|m?iou|dice|exact_match|em|score|psnr|ssim|ndcg|mrr|token_acc(?:uracy)?|(?:recall|precision|ndcg|hits?|hr|map)"
    r"@\d{1,3}|map\d{2})(?:[-_ ](?:macro|micro|weighted|score))?$"
    r"|^metrics/(?:precision|recall|map\d{0,3}(?:-\d{1,3})?)(?:\([a-z]\))?$",
    re.IGNORECASE,
)
"""The quality of the whole; that of one class or head of several may be lost, or never be there."""
LOSSES = (LOSS, TRAIN_LOSS, "epoch_loss", EVAL_LOSS)
LEAST, ABOVE, SPREADS = 0.01, 0.02, 3.0
"""Share by which a curve fell by more than chance; share and point-to-point deviations by which its first entry lies
above its median: it came down within that entry."""
RANKED, MOST, SURE = 5, 400, 1.4
"""Entries among which ranks are compared, and the standard deviations of a rank correlation that chance gives in one
of twelve curves: enough not to leave a run open, too little to call one learned for that alone."""
SUMMED, UNITS, FALLING = 5, 100.0, 0.05
"""Entries and the size of a loss that is printed as a sum since the beginning; by what share a part of it may exceed
the one before, and what the last part is of the first."""
KNOWS, GAINS, RISES = 0.9, 0.02, 0.5
"""A quality that leaves nothing to learn; the share by which one rose, and its rank correlation with time."""


def may_rest(run: Run) -> bool:
    """Tell whether a run may learn though its loss shows nothing of it.

    Its model was trained before, its log begins in the middle or behind a restart, or its loss is no measure of it:
    that of a policy, of adversaries, of pairs of answers.
    """
    return (
        context.policy_gradient(run)
        or context.adversarial(run)
        or context.may_know(run)
        or context.is_excerpt(run)
        or run.timeline.excerpt
        or run.has("event resumed")
        or any(name in run.timeline for name in context.PAIRS)
    )


def finite(series: Series) -> Floats:
    return series.values[np.isfinite(series.values)]


def losses(run: Run) -> dict[str, Floats]:
    """Return the finite values of all that should come down, terms and evaluations too, by name."""
    return {name: finite(s) for name, s in run.timeline.series.items() if is_loss(name) or name in LOSSES}


def qualities(run: Run) -> list[Floats]:
    """Return what is better when it is higher, and the negatives of what is better when it is lower."""
    found = []
    for name, series in run.timeline.series.items():
        if is_loss(name) or name in LOSSES or len(finite(series)) < 2:
            continue
        if context.BETTER_HIGHER.search(name):
            found.append(finite(series))
        elif ERROR.search(name):
            found.append(-finite(series))
    return found


def came_down(values: Floats) -> bool:
    """Tell whether a curve fell: by more than chance, within its first entry, or steadily."""
    if len(values) < 2:
        return False
    level, scatter = median(values), robust.noise(values)
    within = float(values[0]) - level > SPREADS * scatter + ABOVE * abs(level)
    return within or robust.trend(values, least=LEAST).falls or _ranks_fall(values) or running_sum(values)


def _ranks_fall(values: Floats) -> bool:
    """Tell whether a curve falls by Kendall's test, of long ones the medians of 400 stretches.

    Tau of n entries in any order has the variance 2 (2 n + 5) / (9 n (n - 1)) (M. G. Kendall, Rank Correlation
    Methods, 1948).
    """
    if len(values) < RANKED:
        return False
    levels = np.array([median(part) for part in np.array_split(values, min(MOST, len(values)))])
    n = len(levels)
    return rank(levels) < -SURE * float(np.sqrt(2 * (2 * n + 5) / (9 * n * (n - 1))))


def running_sum(values: Floats) -> bool:
    """Tell whether each entry adds its own loss to the sum of those before, as gensim's `get_latest_training_loss`.

    The first one is then the largest part, and the parts get smaller; what diverges to a level jumps about there.
    """
    if len(values) < SUMMED or not bool(np.isfinite(values).all()) or float(values[-1]) < UNITS:
        return False
    parts = np.diff(values, prepend=0.0)
    steady = float(np.max(parts[1:] / parts[:-1])) < 1 + FALLING if parts.min() > 0 else False
    return steady and float(parts[-1]) > FALLING * float(parts[0])


def rank(values: Floats) -> float:
    """Return Kendall's rank correlation of a curve with its order, from -1 to 1."""
    return float(np.sign(values[None, :] - values[:, None])[np.triu_indices(len(values), 1)].mean())


def rose(values: Floats) -> bool:
    """Tell whether a quality rose, or leaves nothing to learn."""
    if len(values) < 2:
        return False
    first, last, best = float(values[0]), float(values[-1]), float(values.max())
    whole = 100.0 if best > 1 else 1.0
    if KNOWS * whole <= best <= whole:
        return True
    thinned = values[:: max(1, len(values) // MOST)]
    return rank(thinned) >= RISES and last > first + GAINS * abs(first)


def learned(run: Run) -> bool:
    """Tell whether any loss came down or any quality rose."""
    return any(map(came_down, losses(run).values())) or any(map(rose, qualities(run)))
