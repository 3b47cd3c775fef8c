"""What a policy had learned is lost again: the reward falls back for good."""

import re
from collections.abc import Iterator

import numpy as np

from forensics.analysis import context, robust
from forensics.detectors._divergence import levels_of
from forensics.detectors._wording import number
from forensics.model import Finding, Floats, Run
from forensics.plugin import detector

LEAST = 20
REWARD = re.compile(
    r"^(?:(?:critic|train|rollout|charts|objective|env|episode)/)?(?:rewards?(?:[/_]mean)?|score(?:s/|/|_)mean|"
    r"(?:ep_rew|episode_reward|rlhf_reward|episodic_return|mean_reward|avg_reward)(?:_mean)?)$",
    re.IGNORECASE,
)
"""The reward as a whole; one of several reward functions may fall for the sake of another."""
HALF, DEVIATIONS, SHARE = 0.5, 4.0, 0.2


@detector("reward-collapse", any_of=(*sorted(context.POLICY_GRADIENT), "critic/score/mean"))
def reward_collapse(run: Run) -> Iterator[Finding]:
    """Find a mean reward that ends far below its best level and does not come back.

    Levels are medians of bins of at least five entries, as in `loss-divergence`; the last one is the highest of the
    last tenth of them, at least two.
    Source: reward hacking that is caught, a policy that leaves its reference (Gao et al., arXiv 2210.10760), entropy
    that is spent: half of what was gained is lost, four point-to-point deviations and a fifth of the best level.
    Minimum: 20 finite entries; a warning.
    Silenced by: nothing.
    Known false alarms: tasks that get harder on purpose. Measured: 0 of 133 healthy runs, 4 of which have a reward.
    """
    for name in sorted(run.timeline.series):
        series = run.timeline[name]
        finite = np.flatnonzero(np.isfinite(series.values))
        if len(finite) < LEAST or not REWARD.search(name):
            continue
        values = series.values[finite]
        levels, width = levels_of(values)
        where = int(np.argmax(levels))
        best, level = float(levels[where]), float(levels[-max(2, len(levels) // 10) :].max())
        if best - level <= _bound(values, best - float(levels[0]), best):
            continue
        below = np.flatnonzero(values[where * width :] > (best + level) / 2)
        index = int(finite[min(where * width + int(below[-1]) + 1, len(values) - 1)])
        step = int(series.steps[index])
        yield Finding(
            symptom="reward-collapse",
            severity="warning",
            statement=f"{name} reaches {number(best)} and falls back to {number(level)} for good",
            source=series.source_at(index),
            step=step,
            step_range=(int(series.steps[finite[where * width]]), step),
        )
        return


def _bound(values: Floats, gained: float, best: float) -> float:
    return max(HALF * gained, DEVIATIONS * robust.noise(values), SHARE * abs(best))
