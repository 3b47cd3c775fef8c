"""A metric of evaluation that has the one value of a model which gives one answer to everything."""

import re

import numpy as np

from forensics.analysis import robust
from forensics.analysis.learning import QUALITY, finite, rank
from forensics.deferred.patterns import expression
from forensics.model import Floats, Run, Series
from forensics.model.statistics import median
from forensics.names import EVALUATION, is_loss

NEARLY_ALL, HIGHEST, SOME, WORSE_THAN_MEAN = 0.97, 2.0, 0.01, -0.1
EXPLAINED = expression(r"(?:^|[/_ ])(?:r[_ ]?2|r[_ ]squared|explained_var(?:iance)?)(?:[_ ]score)?$", re.IGNORECASE)
EXPLAINS, NO_MORE, RISES, SINKS = (
    expression(
        r"(?:^|[/_ ])(?:r[_ ^]?2|r[_ ]squared|kappa|mcc|matthews\w{0,12}|spearman\w{0,3}|pearson\w{0,3})"
        r"(?:[_ ](?:score|corr\w{0,8}))?$",
        re.IGNORECASE,
    ),
    0.02,
    0.35,
    0.2,
)
"""Scores that are 0 for one answer to every input; what chance may add to it; the rank correlation with time of one
that rises, and the share by which a loss falls."""
BARE = expression(
    r"^(?:(?:macro|micro|weighted|mean|avg)[/_ -])?(?:f1|recall|dice|m?iou|mcc)"
    r"(?:[-_ ](?:macro|micro|weighted|score))?$",
    re.IGNORECASE,
)
"""Scores that are logged of held-out data though their names do not say so: 0 throughout is no right answer ever."""
ALWAYS = 10
"""Evaluations throughout which it must be that value: a model needs some before its first right answer."""
WORST = expression(r"(?<![A-Za-z])(?:wer|cer|word_error_rate)(?![A-Za-z])", re.IGNORECASE)


def stuck(run: Run) -> tuple[Series, str] | None:
    """Return a metric of ten evaluations and more that is at its worst in all of them, and how to say so.

    An error rate of words or characters of 1 (100 %), 0.97 at the least, a score of 0, never more than 0.01 and not
    rising, a share of explained variance below 0: answering the mean is better, or a score that one answer to every
    input makes 0 and that is never above 0.02 while no loss falls. Not where the losses of evaluation
    are 0 throughout as well: Ultralytics writes that where it did not evaluate.
    """
    skipped = any(
        EVALUATION.search(name) and is_loss(name) and len(s) > 1 and not s.values.any()
        for name, s in run.timeline.series.items()
    )
    losses = [finite(series) for name, series in run.timeline.series.items() if is_loss(name)]
    learns = any(robust.trend(values, least=SINKS).falls for values in losses)
    for name, series in sorted(run.timeline.series.items()):
        known = series.values
        if len(known) < ALWAYS or not bool(np.isfinite(known).all()):
            continue
        none = (QUALITY.search(name) and _nothing(known)) or (BARE.search(name) and not known.any())
        if (WORST.search(name) and _all_wrong(known)) or (none and not skipped):
            same = float(np.ptp(known)) == 0
            level = f"{float(known[0]):g}" if same else f"{float(known.min()):.3g} to {float(known.max()):.3g}"
            return series, f"{name} is {level} in all of {len(known)} evaluations"
        if EXPLAINED.search(name) and EVALUATION.search(name) and float(known.max()) < WORSE_THAN_MEAN:
            return series, (
                f"{name} is {float(known.max()):.3g} at best in {len(known)} evaluations: the mean answers better"
            )
        if EXPLAINS.search(name) and float(known.max()) <= NO_MORE and not (learns or rank(known) > RISES):
            return series, (
                f"{name} is {float(known.max()):.3g} at best in {len(known)} entries: one answer to every input does "
                "as well"
            )
    return None


def _all_wrong(known: Floats) -> bool:
    whole = 100.0 if float(known.max()) > HIGHEST else 1.0
    return NEARLY_ALL * whole <= float(known.min()) <= float(known.max()) <= whole


def _nothing(known: Floats) -> bool:
    """Tell whether a score is next to 0 throughout and gets no better: a third of the evaluations tells its level."""
    third = len(known) // 3
    rises = median(known[-third:]) > 2 * max(median(known[:third]), SOME / 10)
    return float(np.abs(known).max()) < SOME and not rises
