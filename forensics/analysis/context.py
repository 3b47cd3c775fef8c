"""What the settings and the other metrics of a run say about how its loss must be read."""

import re

import numpy as np

from forensics.analysis import sentinel
from forensics.deferred.patterns import expression
from forensics.model import Events, Floats, Precision, Run, Series
from forensics.model.statistics import median
from forensics.names import EVALUATION, GRAD_NORM, LOSS, Kind, is_loss, snake_case

POLICY_GRADIENT = frozenset(
    {
        "reward",
        "reward_std",
        "frac_reward_zero_std",
        "completion_length",
        "completions/mean_length",
        "objective/kl",
        "objective/rlhf_reward",
        "policy/approxkl_avg",
        "actor/pg_loss",
        "actor/ppo_kl",
        "critic/rewards/mean",
        # stable-baselines3 and its kin (PPO, A2C, DQN, SAC): the loss is that of a value or an actor.
        "rollout/ep_rew_mean",
        "ep_rew_mean",
        "eprewmean",
        "policy_gradient_loss",
        "policy_loss",
        "value_loss",
        "actor_loss",
        "critic_loss",
        "charts/episodic_return",
        "losses/policy_loss",
        "losses/value_loss",
        "episode_reward_mean",
        # The same of loops that say of each metric which data it is of, and of loops of one's own.
        "train_reward",
        "train_policy_loss",
        "train_value_loss",
        "train_actor_loss",
        "train_critic_loss",
        "episode_reward",
        "episode_return",
        "episodic_return",
    }
)
"""Metrics of TRL's GRPO, RLOO and PPO trainers and of verl, whose loss is no measure of progress."""
MARGIN = "margin"
OF_A_POLICY = expression(
    r"(?:^|/)(?:train(?:ing)?_)?(?:policy|value|actor|critic)_(?:gradient_)?loss$|^loss(?:es)?/(?:pi|v|vf|q\d?)$"
    r"|(?:^|[/_])(?:episode|episodic|ep)_(?:reward|return|rew)s?(?:_mean)?$"
    r"|(?:^|[/_])(?:mean|avg|average)_(?:reward|return)s?$|^(?:return|reward|rew)s?$|^exploration_rate$"
)
"""The same in the spelling of loops of one's own, as `snake_case` writes it: policy loss, Mean 100 episode reward."""

SAME_SENTINEL = 1e-6
"""Relative difference within which two norms are the same square root in float32 and float64."""

FINE, ABSENT, ZERO, NONFINITE, SENTINEL = range(5)
"""What the gradient norm of one step says."""


NOTHING = Series(
    name="",
    steps=np.empty(0, dtype=np.int64),
    values=np.empty(0),
    wall_times=np.empty(0),
    records=np.empty(0, dtype=np.int64),
    origins=np.empty(0, dtype=np.int32),
    precisions=np.empty(0, dtype=np.int8),
    places=(),
)


def recorded(run: Run, name: str) -> Series:
    """Return the metric of this name, an empty series when none was logged (a setting may bear the name)."""
    series = run.timeline.get(name)
    return NOTHING if series is None else series


def policy_gradient(run: Run) -> bool:
    """Tell whether the loss is a policy-gradient surrogate: GRPO starts at 0.0 and may stay there.

    A reward model is none, whose trainer logs the mean of its rewards beside the margin between pairs (TRL).
    """
    return MARGIN not in run.timeline and run.timeline.once(
        "a policy", lambda: any(map(_of_a_policy, run.timeline.series))
    )


def _of_a_policy(name: str) -> bool:
    spelled = snake_case(name)
    return name in POLICY_GRADIENT or spelled in POLICY_GRADIENT or OF_A_POLICY.search(spelled) is not None


NEAR_POWER = 5e-4
"""A loss this close to the logarithm of a power of two is one by chance in one run of seven hundred."""
VOCABULARY = ("model.vocab_size", "padded_vocab_size", "vocab_size")
"""The size of the vocabulary as the model's configuration, Megatron's arguments and others name it."""
HEADS = ("CausalLM", "LMHead", "ConditionalGeneration", "MaskedLM")
"""Heads of models that predict tokens (transformers `architectures`)."""
PAIRS = ("rewards/chosen", "logps/chosen", "rewards/margins")


def uniform_loss(run: Run) -> float | None:
    """Return ln of the vocabulary size, the loss of guessing; None where the size is not on file."""
    sizes = (run.environment.number(name) for name in VOCABULARY)
    return next((float(np.log(size)) for size in sizes if size is not None and 16 <= size < 1e9), None)


def guessed(level: float) -> str:
    """Return in words that a loss is the logarithm of a power of two, that of guessing among so many; else nothing.

    >>> guessed(11.0903), guessed(0.6931), guessed(2.5)
    (': ln(65,536), what guessing among so many gives', ': ln(2), what guessing among so many gives', '')
    """
    power = round(level / np.log(2)) if 0 < level < 20 else 0
    near = power > 0 and abs(level - power * np.log(2)) < NEAR_POWER
    return f": ln({2**power:,}), what guessing among so many gives" if near else ""


BETTER_HIGHER = expression(
    r"acc|f1|reward|return|bleu|rouge|auc|m?ap\b|dice|iou|precision|recall|score|psnr|ssim|spearman|pearson|corr|kappa"
    r"|mcc|ndcg|mrr|(?<![a-z])r_?2(?!\d)",
    re.IGNORECASE,
)
"""Metrics that are better when they are higher."""

OF_A_LOSS = expression(r"(?:^|[/_ ])loss(?:$|[/_ ])(?!scale)", re.IGNORECASE)
PRETRAINED = ("transformers", "peft", "trl", "unsloth")
"""Frameworks whose runs begin with a model that knows its task in part, so that a loss may rest from the start on."""


def may_know(run: Run) -> bool:
    """Tell whether the model was probably trained before this run."""
    return bool(set(PRETRAINED) & set(run.frameworks))


def got_better(run: Run, but: str = "") -> bool:
    """Tell whether a loss fell by a fiftieth from its first entry to its last, or a quality rose.

    Of the losses of training the whole speaks, where it was logged, not each of its terms.
    """
    whole = LOSS in run.timeline
    for name, series in run.timeline.series.items():
        known = series.values[np.isfinite(series.values)]
        if len(known) < 2 or name == but:
            continue
        first, last = float(known[0]), float(known[-1])
        term = whole and name != LOSS and not EVALUATION.search(name)
        if is_loss(name) and not term and last < first - 0.02 * abs(first):
            return True
        if not is_loss(name) and BETTER_HIGHER.search(name) and last > first:
            return True
    return False


ADVERSARIAL = expression(
    r"(?:^|[/_ ])(?:d|g|disc|discriminator|gen|generator|critic|adv|adversarial)(?:[/_ ]|$)", re.IGNORECASE
)
ERR_OF = expression(r"^(?:loss|err(?:or)?)_?[DG]$|^[DG]_?(?:err|cost)$")
"""What the example of DCGAN and those that follow it call them: errD, lossG."""


def adversarial(run: Run) -> bool:
    """Tell whether two losses play against each other: what one wins the other loses."""
    return run.timeline.once("adversaries", lambda: any(map(of_an_adversary, run.timeline.series.values())))


def of_an_adversary(series: Series) -> bool:
    """Tell whether a loss is one of two by its name, or by that which it was logged as."""
    names = (series.name, series.logged_as or "")
    return any((ADVERSARIAL.search(name) and is_loss(name)) or ERR_OF.search(name) for name in names)


def token_losses(run: Run) -> bool:
    """Tell whether the loss is a mean over tokens: a language model is on file, and neither pairs nor rewards are.

    A head of one label is that of a regression, whatever `architectures` says: that may be the base model's.
    """
    if policy_gradient(run) or any(name in run.timeline for name in PAIRS):
        return False
    one_label = run.environment.best("model.id2label.0") and not run.environment.best("model.id2label.1")
    if one_label or run.environment.value("model.problem_type"):
        return False
    heads = run.environment.best("model.architectures")
    if heads is not None and heads.value:
        return any(head in str(heads.value) for head in HEADS)
    return uniform_loss(run) is not None


def logging_window(run: Run) -> int | None:
    """Return the optimizer steps that one entry of the loss covers: the setting, else the usual distance.

    None where the entries themselves are counted, as nothing tells how many steps one covers.
    """
    series = recorded(run, LOSS) if LOSS in run.timeline else recorded(run, GRAD_NORM)
    if series.axis != "step":
        return None
    setting = _count(run, "logging_steps")
    if setting is not None:
        return setting
    if len(series) < 2:
        return None
    return int(median(np.diff(series.steps)))


def accumulation(run: Run) -> int | None:
    """Return the micro-steps of an optimizer step, None when not recorded."""
    return _count(run, "gradient_accumulation_steps")


def _count(run: Run, name: str) -> int | None:
    """Return a setting that is a whole number of 1 or more; a share of the run, as 0.05, is none."""
    value = run.environment.number(name)
    whole = value is not None and np.isfinite(value) and value >= 1 and value == np.rint(value)
    return int(value) if value is not None and whole else None


LATE = 3


def is_excerpt(run: Run) -> bool:
    """Tell whether the log begins in the middle of a run: its first step is far from the start, and nothing resumed.

    Far is more than three times the usual distance of its entries.
    """
    series = recorded(run, LOSS)
    if len(series) < 2 or series.axis != "step" or any(run.timeline.events_of(Kind.RESUMED)):
        return False
    return int(series.steps[0]) > LATE * median(np.diff(series.steps))


def seams(run: Run) -> set[int]:
    """Return the first steps after each restart."""
    found = {segment.first for segment in run.timeline.segments[1:]}
    for events in run.timeline.events_of(Kind.RESUMED):
        found.update(int(step) + 1 for step in events.steps if step > 0)
        found.update(_among_entries(events))
    # The segments and the log may tell the same restart one step apart; the earlier one speaks for both.
    return {seam for seam in found if seam - 1 not in found}


def begun_again(run: Run, series: Series) -> set[int]:
    """Return the seams, and where training was announced anew among the entries."""
    found = seams(run)
    for events in run.timeline.events:
        if events.kind in {Kind.TRAINING_STARTED, Kind.RESUMED, Kind.NOTHING_LOADED}:
            found.update(_among_entries(events) or _among_counted(events, series))
    return found


def _among_entries(events: Events) -> set[int]:
    """Return the steps that were logged first after events that name no step and stand between two entries."""
    if events.order is None:
        return set()
    between = (events.steps < 0) & (events.order.before >= 0) & (events.order.after > events.order.before)
    return {int(step) for step in events.order.after[between]}


def _among_counted(events: Events, series: Series) -> set[int]:
    """Return the same for a series whose entries are counted, where each was read from the text of the events."""
    order = events.order
    if order is None or series.axis == "step" or order.entries != len(series):
        return set()
    following = order.entries - order.entries_after
    return {int(series.steps[i]) for i in following[(following > 0) & (order.entries_after > 0)]}


def filter_is_off(run: Run) -> bool:
    """Tell whether the run recorded that NaN losses were logged as they are."""
    return run.environment.flag("logging_nan_inf_filter") is False


def rounded_to(series: Series) -> float:
    """Return the largest value that the source may have printed as 0: half of 1e-4, or 0 when exact.

    transformers < 5.0 rounds the loss to four decimals before it is stored anywhere, so that a series of
    doubles is looked at: it counts as rounded when every value is a multiple of 1e-4.
    """
    finite = series.values[np.isfinite(series.values)]
    if len(finite) == 0 or bool(np.any(series.precisions == int(Precision.FOUR_DECIMALS))):
        return 5e-5
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = finite * 1e4
        multiples = np.abs(scaled - np.rint(scaled)) <= 1e-6 * np.maximum(1.0, np.abs(scaled))
    return 5e-5 if bool(np.all(multiples)) else 0.0


def gradient_states(
    values: Floats, precision: Precision = Precision.DOUBLE
) -> np.ndarray[tuple[int], np.dtype[np.int8]]:
    """Classify gradient norms as FINE, ZERO, NONFINITE or SENTINEL; int8, (n,)."""
    states = np.full(len(values), FINE, dtype=np.int8)
    states[sentinel.groups(values, precision) > 0] = SENTINEL
    states[values == 0] = ZERO
    states[~np.isfinite(values)] = NONFINITE
    return states


def gradients_at(run: Run, series: Series) -> np.ndarray[tuple[int], np.dtype[np.int8]]:
    """Return the state of the gradient norm logged for each step of `series`, else ABSENT; int8, (n,)."""
    states = np.full(len(series), ABSENT, dtype=np.int8)
    norms = run.timeline.beside(series, GRAD_NORM)
    if norms is None or len(norms) == 0 or len(series) == 0:
        return states
    index = np.minimum(np.searchsorted(norms.steps, series.steps), len(norms) - 1)
    matches = norms.steps[index] == series.steps
    states[matches] = gradient_states(norms.values[index[matches]], coarsest(norms))
    return states


def coarsest(series: Series) -> Precision:
    return Precision(int(series.precisions.min())) if len(series) else Precision.DOUBLE
