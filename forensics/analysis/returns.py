"""What tells how well a policy does: returns, rewards, scores, how often it succeeds. Its losses do not."""

import re

import numpy as np

from forensics.analysis import context, robust
from forensics.analysis.learning import finite
from forensics.deferred.patterns import expression
from forensics.model import Floats, Run, Series
from forensics.model.statistics import median
from forensics.names import snake_case

RETURN = expression(
    r"(?:^|[/_ ])(?:returns?|rewards?|scores?|(?:ep|eval)_?(?:rew|ret)|rew|r)(?:[/_ ](?:mean|avg|average))?$"
    r"|(?:^|[/_ ])(?:success|win|solved?)(?:[/_ ]?(?:rate|ratio))?(?:[/_ ]mean)?$",
    re.IGNORECASE,
)
"""stable-baselines3 `rollout/ep_rew_mean`, CleanRL `charts/episodic_return`, RLlib `episode_reward_mean`, Spinning Up
`AverageEpRet`, Tianshou `test/reward`, baselines `test/success_rate`, verl `critic/score/mean`; loops of one's own."""
LEAST, SHOWS = 10, 0.25
"""Entries of a return, and the share of its level by which a rise would show through its noise."""
TOP, CALM = 0.85, 0.02
"""Share of the best level from the worst at which a policy that has solved its task rests; how far it then scatters."""


def returns(run: Run) -> list[Series]:
    """Return the series of a run that tell how well its policy does, ten finite entries and more."""
    if context.MARGIN in run.timeline:
        return []
    named = [series for name, series in sorted(run.timeline.series.items()) if RETURN.search(snake_case(name))]
    return [series for series in named if len(finite(series)) >= LEAST]


def never_rose(run: Run) -> Series | None:
    """Return the first of the returns of a policy where none of them rises by more than chance; None where one does.

    None too where one rests at its best: the task was solved before, or within the first entries.
    """
    found = returns(run)
    if not found or any(_may_rise(finite(each)) or solved(finite(each)) for each in found):
        return None
    return found[0]


def _may_rise(values: Floats) -> bool:
    """Tell whether values rise, or would not be seen to: three standard errors of the medians of thirds hide it."""
    moved = robust.trend(-values)
    hidden = 3 * 1.2533 * robust.noise(values) * float(np.sqrt(2 / max(1, len(values) // 3)))
    return moved.falls or hidden > SHOWS * max(abs(moved.start), abs(moved.end)) > 0


def solved(values: Floats) -> bool:
    """Tell whether a return rests at its best."""
    worst, best = float(values.min()), float(values.max())
    last = values[-max(1, len(values) // 3) :]
    return best > 0 and median(last) >= worst + TOP * (best - worst) and robust.noise(last) <= CALM * abs(best)
