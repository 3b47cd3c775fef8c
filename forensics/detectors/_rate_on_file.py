"""A loss that rests where a configured rate that no optimizer bears threw it."""

import re

import numpy as np

from forensics.analysis import context, robust
from forensics.analysis.learning import qualities, rose
from forensics.deferred.patterns import expression
from forensics.detectors._wording import number
from forensics.model import Finding, Run
from forensics.model.statistics import median
from forensics.names import EVAL_LOSS, LEARNING_RATE, LOSS

LEAST = 6
ADAPTIVE = expression(r"adam|rmsprop|adagrad|lion", re.IGNORECASE)
OF_ITS_OWN = expression(r"l-?bfgs|prodigy|d_?adapt|adafactor|adadelta|schedule_?free|rprop|boost", re.IGNORECASE)
"""Optimizers whose rate is a factor that is usually 1, and trees, which shrink by theirs."""
BEARABLE, ANY = 0.1, 0.5
"""Adam moves every weight by about its rate in one step (arXiv 1412.6980, section 2.1), and weights are smaller than
this; without the name of an optimizer the rate must be larger still, as plain gradient descent bears 0.1 to 0.4 and
trees shrink by 0.3."""
RESTS, HARDLY, THROWN = 0.05, 0.8, 1000.0
"""Shares by which a loss that is learned falls in its second half and in all, and how far above its end one begins
that the first updates threw."""


def thrown_by_its_rate(run: Run) -> Finding | None:
    """Return a plateau that the rate on file explains; None where the loss falls, or the rate may be borne.

    Six entries and more that end above 0.8 of the first and whose second half does not fall by a twentieth, or that end
    a thousand times below it: no loss of untrained weights is as high, so that the first updates made it.
    """
    rate, setting = run.environment.number(LEARNING_RATE), run.environment.best(LEARNING_RATE)
    named = run.environment.value("optim") or run.environment.value("optimizer")
    told = " ".join(str(each) for each in (named, run.environment.value("booster")) if each)
    adaptive = ADAPTIVE.search(told) is not None
    if rate is None or setting is None or rate < (BEARABLE if adaptive else ANY) or OF_ITS_OWN.search(told):
        return None
    if context.policy_gradient(run) or context.adversarial(run) or context.is_excerpt(run):
        return None
    if any(map(rose, qualities(run))):
        return None
    for name in (EVAL_LOSS, LOSS):
        series = context.recorded(run, name)
        values = series.values[np.isfinite(series.values)]
        if len(values) < LEAST:
            continue
        first, level = float(values[0]), median(values[-(len(values) // 3) :])
        stands = level > HARDLY * abs(first) and not robust.trend(values[len(values) // 2 :], least=RESTS).falls
        if not stands and first <= THROWN * abs(level):
            continue
        step = int(series.steps[0])
        return Finding(
            symptom="loss-plateau",
            severity="warning",
            statement=f"the loss does not learn at a rate of {number(rate)}: it begins at {number(first)} and rests at "
            f"{number(level)}",
            source=series.source_at(0),
            step=step,
            step_range=(None, step),
        )
    return None
