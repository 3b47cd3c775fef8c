"""What a policy had learned is lost again: the reward falls back for good."""

import re
from collections.abc import Iterator

import numpy as np

from forensics.analysis import context, robust
from forensics.analysis.learning import MOST, finite, rank
from forensics.analysis.returns import returns
from forensics.deferred.patterns import expression
from forensics.detectors._divergence import levels_of
from forensics.detectors._wording import number
from forensics.model import Finding, Floats, Run, Series
from forensics.model.statistics import median
from forensics.names import snake_case
from forensics.plugin import detector

LEAST, FEW = 20, 6
"""Entries of a reward that falls back; of a policy that cannot move, which shows in fewer."""
REWARD = expression(
    r"^(?:(?:critic|train|rollout|charts|objective|env|episode)[/_])?(?:rewards?(?:[/_]mean)?|score(?:s/|/|_)mean|"
    r"(?:ep_rew|ep_ret|rlhf_reward|(?:episode|episodic|mean|avg|average)_(?:reward|return))s?(?:_mean)?|returns?)$",
    re.IGNORECASE,
)
"""The reward as a whole; one of several reward functions may fall for the sake of another."""
SPELLED = (
    *("mean_reward", "avg_reward", "average_reward", "episode_reward", "reward_mean", "ep_reward"),
    *(
        "return",
        "returns",
        "mean_return",
        "avg_return",
        "average_return",
        "episode_return",
        "episodic_return",
        "ep_ret",
    ),
    *("rew", "ep_rew", "ep_rew_mean", "mean_episode_reward", "score", "avg_score"),
    *("Reward", "Episode Reward", "Mean Reward", "Average Reward", "Avg Reward", "mean reward", "Score", "Return"),
)
"""How loops of one's own spell it."""
HALF, DEVIATIONS, SHARE = 0.5, 4.0, 0.2
ENTROPY = expression(r"^(?:\w+/|train_)?(?:policy_|mean_|action_)?entropy(?:_mean)?$", re.IGNORECASE)
RETURN = expression(r"(?:^|[/_ ])(?:returns?|rewards?|score|ep_rew(?:_mean)?)(?:[/_]mean)?$", re.IGNORECASE)
MOVED = expression(r"(?:^|[/_ ])(?:approx_?kl|clip_?frac(?:tion)?)(?:_avg)?$", re.IGNORECASE)
"""How far an update takes the policy: 0 means that it takes it nowhere."""
EPSILON, ANEW = expression(r"^eps(?:ilon)?$", re.IGNORECASE), 0.3
SPREAD = expression(r"(?:^|[/_ ])(?:rewards?|group|adv(?:antages?)?|scores?)[/_ ]std$", re.IGNORECASE)
MOSTLY, SEEN, LOST = 0.9, 8, 0.6
STILL, UPDATES = 1e-6, 8
"""A KL between two policies that are one and the same, and the updates in a row that show it."""
LITTLE, STEADILY, SURE, SINKS, SOME = 0.1, 0.2, 5.0, 0.15, 3
"""Rank correlations with time of a return that never rises and of one that sinks; by how many standard errors of the
medians of thirds it does, by what share of its level, and entries that tell where it began."""
SPENT, ALIVE = 1e-3, 0.1
"""Nats of a policy that answers one thing only, and of one that does not."""


@detector("reward-collapse", any_of=(*sorted(context.POLICY_GRADIENT), "critic/score/mean", *SPELLED))
def reward_collapse(run: Run) -> Iterator[Finding]:
    """Find a mean reward that ends far below its best level and does not come back.

    Levels are medians of bins of at least five entries, as in `loss-divergence`; the last one is the highest of the
    last tenth of them, at least two.
    Source: reward hacking that is caught, a policy that leaves its reference (Gao et al., arXiv 2210.10760), entropy
    that is spent: half of what was gained is lost, four point-to-point deviations and a fifth of the best level.
    Besides: an entropy of 0 (below 0.001 in the middle of the second half, above 0.1 at first) while the reward never
    got above its first level: the policy gives one answer to everything, and it is not a good one.
    Or a reward that is one number of 0 or less in all of eight entries and more: nothing was ever earned.
    Or rewards within groups that do not differ at all in nine of ten entries, while their mean never rose.
    Or a reward of less than 20 entries that loses six tenths of its first third and never got above it.
    Or returns of 20 entries and more of which none ever rises and one sinks by 15 % and five standard errors (0 of 655
    healthy runs).
    Or updates of which none changes the policy (a KL or a share of clipped ratios of exactly 0), with such a reward.
    Or updates of which the last eight and more, half of all, change nothing (a KL below 1e-6) after one that did, while
    the reward ends below what it was before that by a fifth: one update too large made the policy sure of everything.
    Minimum: 20 finite entries, six of an entropy that is spent and of updates that move nothing; a warning.
    Silenced by: a margin between pairs, the mark of a reward model; an exploration rate (epsilon) that leaps back up.
    Known false alarms: tasks that get harder on purpose. Measured: 0 of 133 healthy runs, 4 of which have a reward.
    """
    if context.MARGIN in run.timeline:
        return
    for name in sorted(run.timeline.series):
        series = run.timeline[name]
        known = np.flatnonzero(np.isfinite(series.values))
        if len(known) < LEAST or not REWARD.search(snake_case(name)):
            continue
        values = series.values[known]
        levels, width = levels_of(values)
        where = int(np.argmax(levels))
        best, level = float(levels[where]), float(levels[-max(2, len(levels) // 10) :].max())
        if best - level <= _bound(values, best - float(levels[0]), best) or _explores_anew(run, series, where * width):
            continue
        below = np.flatnonzero(values[where * width :] > (best + level) / 2)
        index = int(known[min(where * width + int(below[-1]) + 1, len(values) - 1)])
        step = int(series.steps[index])
        yield Finding(
            symptom="reward-collapse",
            severity="warning",
            statement=f"{name} reaches {number(best)} and falls back to {number(level)} for good",
            source=series.source_at(index),
            step=step,
            step_range=(int(series.steps[known[where * width]]), step),
        )
        return
    told = [*_spent(run), *_unmoved(run), *_thrown(run), *_alike(run), *_fell(run), *_sank(run)]
    yield from sorted(told, key=lambda found: found.step or 0)[:1] or _never_paid(run)


def _explores_anew(run: Run, series: Series, start: int) -> bool:
    """Tell whether the share of actions at random leaps back up after an entry: another training begins there."""
    for name, epsilon in run.timeline.series.items():
        if EPSILON.search(name) and epsilon.axis == series.axis and len(epsilon) == len(series):
            return bool((np.diff(epsilon.values[start:]) > ANEW).any())
    return False


def _never_paid(run: Run) -> list[Finding]:
    """Find a reward that is one and the same number from the first entry to the last, and none that was earned."""
    for name in sorted(run.timeline.series):
        series = run.timeline[name]
        values = series.values
        if len(values) < SEEN or not REWARD.search(snake_case(name)):
            continue
        if float(values[0]) <= 0 and bool((values == values[0]).all()):
            return [
                Finding(
                    symptom="reward-collapse",
                    severity="warning",
                    statement=f"{name} is {number(float(values[0]))} in all of {len(values):,} entries: "
                    "nothing was ever earned, so that nothing can be learned",
                    source=series.source_at(0),
                    step=int(series.steps[0]),
                    step_range=(None, int(series.steps[0])),
                )
            ]
    return []


def _unmoved(run: Run) -> Iterator[Finding]:
    """Find a policy that is after each update what it was before, while its reward stands."""
    for name in sorted(run.timeline.series):
        series = run.timeline[name]
        if len(series) >= FEW and MOVED.search(name) and bool((series.values == 0).all()) and not _earned(run):
            yield Finding(
                symptom="reward-collapse",
                severity="warning",
                statement=f"{name} is 0 in all of {len(series):,} updates: the policy never moves, and its reward "
                "never rose",
                source=series.source_at(0),
                step=int(series.steps[0]),
                step_range=(None, int(series.steps[0])),
            )
            return


def _alike(run: Run) -> Iterator[Finding]:
    """Find groups whose members all earn the same, from which no advantage follows."""
    for name, series in sorted(run.timeline.series.items()):
        if len(series) < FEW or not SPREAD.search(name) or _earned(run):
            continue
        share, first = float(np.mean(series.values == 0)), int(np.argmax(series.values == 0))
        if share >= MOSTLY:
            step = int(series.steps[first])
            yield Finding(
                symptom="reward-collapse",
                severity="warning",
                statement=f"{name} is 0 in {share:.0%} of {len(series):,} entries: all answers of a group earn the "
                "same, and nothing can be learned from them",
                source=series.source_at(first),
                step=step,
                step_range=(int(series.steps[first - 1]) if first else None, step),
            )
            return


def _fell(run: Run) -> Iterator[Finding]:
    """Find a reward of a few entries that only ever fell."""
    for name, series in sorted(run.timeline.series.items()):
        values = series.values
        if (
            not SEEN <= len(values) < LEAST
            or not REWARD.search(snake_case(name))
            or not bool(np.isfinite(values).all())
        ):
            continue
        third = len(values) // 3
        first, last = values[:third], values[-third:]
        lost = median(first) - median(last)
        if lost > LOST * abs(median(first)) and last.max() < first.min() and values.max() <= first.max():
            step = int(series.steps[third])
            yield Finding(
                symptom="reward-collapse",
                severity="warning",
                statement=f"{name} falls from {number(median(first))} to "
                f"{number(median(last))} and never was above its start",
                source=series.source_at(third),
                step=step,
                step_range=(int(series.steps[0]), step),
            )
            return


def _sank(run: Run) -> Iterator[Finding]:
    """Find returns of which none ever rises and one sinks, by more than chance: the policy gets worse with training."""
    earned = [(s, finite(s)) for s in returns(run)]
    ranks = [rank(values[:: max(1, len(values) // MOST)]) for _, values in earned]
    if max(ranks, default=1.0) > LITTLE or run.has("event resumed"):
        return
    for (series, values), falls in zip(earned, ranks, strict=True):
        third = len(values) // 3
        if len(values) < LEAST or falls > -STEADILY:
            continue
        first, last = median(values[:third]), median(values[-third:])
        rose = first - median(values[: max(SOME, len(values) // LEAST)]) > SINKS * abs(first)
        if rose or _explores_anew(run, series, 0):
            continue
        error = SURE * 1.2533 * robust.noise(values) * float(np.sqrt(2.0 / third))
        if first - last <= max(error, SINKS * max(abs(first), abs(last))):
            continue
        step = int(series.steps[third])
        yield Finding(
            symptom="reward-collapse",
            severity="warning",
            statement=f"{series.name} sinks from {number(first)} to {number(last)}, and no return ever rose: "
            "the policy gets worse with training",
            source=series.source_at(third),
            step=step,
            step_range=(int(series.steps[0]), step),
        )
        return


def _thrown(run: Run) -> Iterator[Finding]:
    """Find an update that took the policy where no later one moves it, with a reward below the one before it."""
    for name, series in sorted(run.timeline.series.items()):
        values = series.values
        if not MOVED.search(name) or len(values) <= UPDATES or not bool(np.isfinite(values).all()):
            continue
        moved = np.flatnonzero(np.abs(values) >= STILL)
        last = int(moved[-1]) if len(moved) else -1
        still = len(values) - 1 - last
        if last < 0 or still < max(UPDATES, len(values) / 2):
            continue
        for other, reward in sorted(run.timeline.series.items()):
            before, after = (reward.values[side] for side in _sides(reward, series, last))
            if reward.axis != series.axis or not REWARD.search(snake_case(other)) or not len(before) or not len(after):
                continue
            best, level = float(np.max(before)), float(np.max(after))
            if best - level <= SHARE * abs(best):
                continue
            step = int(series.steps[last])
            yield Finding(
                symptom="reward-collapse",
                severity="warning",
                statement=f"{name} is {number(float(values[last]))} at step {step} and 0 in all of {still} updates "
                f"since, and {other} goes from {number(best)} to {number(median(after))}: the policy is "
                "where no update moves it",
                source=series.source_at(last),
                step=step,
                step_range=(int(series.steps[last - 1]) if last else None, step),
            )
            return


def _sides(reward: Series, series: Series, last: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which finite rewards stand before and after an update (bool, (n,))."""
    known, step = np.isfinite(reward.values), int(series.steps[last])
    return known & (reward.steps < step), known & (reward.steps > step)


def _spent(run: Run) -> Iterator[Finding]:
    for name in sorted(run.timeline.series):
        series = run.timeline[name]
        if len(series) < FEW or not ENTROPY.search(snake_case(name)) or not bool(np.isfinite(series.values).all()):
            continue
        values, half = series.values, len(series) // 2
        if float(values[: min(5, half)].max()) < ALIVE or median(np.abs(values[half:])) >= SPENT or _earned(run):
            continue
        alive = np.flatnonzero(np.abs(values[:half]) >= SPENT)
        index = min(int(alive[np.argmax(np.diff(np.append(alive, len(values))) > 1)]) + 1, len(values) - 1)
        step = int(series.steps[index])
        yield Finding(
            symptom="reward-collapse",
            severity="warning",
            statement=f"{name} falls from {number(float(values[:5].max()))} to "
            f"{number(median(values[half:]))}: the policy gives one answer to everything, and its reward "
            "never rose",
            source=series.source_at(index),
            step=step,
            step_range=(int(series.steps[index - 1]), step),
        )
        return


def _earned(run: Run) -> bool:
    """Tell whether a reward ends above its first level; where none was logged nothing is known against it."""
    for name, series in run.timeline.series.items():
        values = series.values[np.isfinite(series.values)]
        if RETURN.search(snake_case(name)) and len(values) >= FEW:
            return robust.trend(-values).falls
    return True


def _bound(values: Floats, gained: float, best: float) -> float:
    return max(HALF * gained, DEVIATIONS * robust.noise(values), SHARE * abs(best))
