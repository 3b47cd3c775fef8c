"""What speaks against calling a run healthy in which no symptom was found: each is a reason to leave it open.

No detector may say these things: healthy runs show them too. The signs were chosen on the runs of first contact that an
earlier version had called healthy before anybody had read them. The docstring of each says how many of those that show
it were not.
"""

import re

import numpy as np

from forensics.analysis import context, robust
from forensics.analysis.learning import QUALITY, finite, may_rest, qualities, rose, running_sum
from forensics.analysis.returns import never_rose
from forensics.deferred.patterns import expression
from forensics.model import Floats, Run
from forensics.model.statistics import median
from forensics.names import EVAL_LOSS, EVALUATION, GRAD_NORM, LEARNING_RATE, LOSS, is_loss

LAST, FIRST, SMOOTH = 6, 10, 15
"""What share of the entries an end, a beginning and a median that smooths is of: one in so many."""
PERPLEXITY = expression(r"ppl|perplexity", re.IGNORECASE)
NO_LESS, ABOVE, LOST, KEPT = 1.01, 1.15, 0.1, 0.7
"""How far evaluations end above their first and above their best; what a quality lost of its best, and of its gain what
it keeps at most."""
SHARE = expression(r"(?:^|[/_ .-])(?:acc(?:uracy)?|top[-_]?1|exact_match|em)$", re.IGNORECASE)
DEAR, FAIR = 14.0, 0.02
"""Nats of loss for each wrong answer (13.6 at most in 65 healthy runs), and the share of wrong ones that tells it."""
SAME = 8
"""Entries of an entropy that does not change."""
GROWN, APART = 1.5, 3.0
"""How many times its best an error of evaluation ends, and the training loss an evaluation loss that rests."""
ERROR = expression(
    r"^(?:eval|val|valid|validation|test|dev)[/_ ](?:mse|msle|mae|rmse|mape|err|error|wer|cer|mpjpe|l2_err(?:or)?)$",
    re.IGNORECASE,
)
STILL, LEAST, GUESS, SHOWS = 0.02, 5, 0.5, 0.1
"""How far a loss falls at most that came down within its first entries and no more, entries of one, and what is left
of its first entry where it may be at the level of one answer to every input; the share of it that noise may hide."""
HARDLY = 0.05
"""Share of its level by which a loss falls in which anything was learned."""
SPENT, TENFOLD, AT_ONCE, LEARNT = 3e-3, 10, 0.2, 0.3
"""A loss with nothing left to teach; within which share of the run it came near, and where such a loss began."""
EQUATION = expression(r"\bpdes?\b|residual|\bl2[ _](?:rel\w{0,5}[ _])?err", re.IGNORECASE)
RIGHT = expression(r"(?:^|[/_ .-])(?:acc(?:uracy)?|auc|f1|r2)$", re.IGNORECASE)
PERFECT, SHORTLY, UNCHANGED, LEARNS = 0.995, 50, 8, 0.25
"""An accuracy with nothing left to learn, of which part of the run on it leaves a doubt; entries of one that stands."""
LEFT, LONG, HIGH, OF_THE_FIRST = 1.5, 0.1, 4.0, 0.3
"""How far above its best a loss stood, in which share of its entries, by how many point-to-point deviations, and what
share of its first entry that is at least."""
TIMES, NOT_SMALL = 2.5, 0.25
"""How many times an evaluation loss that of training is, and one that is high enough for no regularisation to do it."""
MANY = 30
"""Returns of a policy that show a course."""
NORM = expression(r"^\|{0,2}(?:g|grad|gradient|grads)\|{0,2}$|grad\w{0,8}[ _-]?norm|gnorm", re.IGNORECASE)
VARIANCE = expression(r"(?:^|[/_ ])(?:r[_ ^]?2|r[_ ]squared|explained_var(?:iance)?)(?:[_ ]score)?$", re.IGNORECASE)
OFF, REST = 1e-3, 0.2
"""A rate that is next to nothing, as a share of its highest, and the share of the entries in which it is."""


def doubt(run: Run) -> str:
    """Return the first reason to leave a run open; empty where there is none."""
    signs = (
        _no_better_than_at_first,
        _past_its_best,
        _quality_lost,
        _error_grown,
        _by_heart,
        _dear_mistakes,
        _perfect_at_once,
        _learnt_at_once,
        _came_down_once,
        _hardly_fell,
        _was_lost_meanwhile,
        _another_scale,
        _below_all_bounds,
        _one_entropy,
        _return_never_rose,
        _rate_spent,
        _norm_of_nothing,
        _one_quality,
        _worse_than_the_mean,
    )
    return next((told for sign in signs if (told := sign(run))), "")


def _evaluation(run: Run) -> Floats:
    """Return the evaluation loss, or the only one of another name; empty where there are several or none."""
    if EVAL_LOSS in run.timeline:
        return finite(run.timeline[EVAL_LOSS])
    found = [
        series
        for name, series in run.timeline.series.items()
        if EVALUATION.search(name) and is_loss(name) and not PERPLEXITY.search(name)
    ]
    return finite(found[0]) if len(found) == 1 else np.empty(0)


def _losses(run: Run) -> Floats:
    return finite(context.recorded(run, LOSS))


def _end(values: Floats) -> float:
    return median(values[-max(1, len(values) // LAST) :])


def _begin(values: Floats) -> float:
    return median(values[: max(1, len(values) // FIRST)])


def _number(value: float) -> str:
    return f"{value:.4g}"


def _game(run: Run) -> bool:
    """Tell whether a loss is no measure of progress: that of a policy, or of two networks against each other."""
    return context.policy_gradient(run) or context.adversarial(run)


def _no_better_than_at_first(run: Run) -> str:
    """15 of 19 such runs were faulty."""
    values = _evaluation(run)
    if len(values) < 2 or not 0 < NO_LESS * float(values[0]) < float(values[-1]):
        return ""
    return f"the evaluation loss is {_number(float(values[0]))} at first and {_number(float(values[-1]))} at the end"


def _past_its_best(run: Run) -> str:
    """16 of 21."""
    values = _evaluation(run)
    if len(values) < 3 or not 0 < ABOVE * float(values.min()) < _end(values) - STILL / 2:
        return ""
    return f"the evaluation loss was {_number(float(values.min()))} at its best and ends at {_number(_end(values))}"


def _quality_lost(run: Run) -> str:
    """10 of 14."""
    for name, series in sorted(run.timeline.series.items()):
        values = finite(series)
        if len(values) < LEAST or not QUALITY.search(name):
            continue
        first, best, last = float(values[0]), float(values.max()), _end(values)
        if last < best - LOST * abs(best) and last < first + KEPT * (best - first):
            return f"{name} was {_number(best)} at its best and ends at {_number(last)}"
    return ""


def _error_grown(run: Run) -> str:
    """One of one."""
    for name, series in sorted(run.timeline.series.items()):
        values = finite(series)
        if len(values) < LEAST - 1 or not ERROR.search(name) or float(values.min()) <= 0:
            continue
        if float(values[-1]) > float(values[0]) and _end(values) > GROWN * float(values.min()):
            return f"{name} was {_number(float(values.min()))} at its best and ends at {_number(_end(values))}"
    return ""


def _by_heart(run: Run) -> str:
    """Ten of eleven."""
    training, evaluated = _losses(run), _evaluation(run)
    if min(len(training), len(evaluated)) < LEAST or not 0 < APART * _end(training) < _end(evaluated):
        return ""
    rests = not robust.trend(evaluated[len(evaluated) // 3 :]).falls and _end(evaluated) >= LEARNT
    rises = any(rose(finite(s)) for name, s in run.timeline.series.items() if QUALITY.search(name))
    if not rests or rises:
        return ""
    return f"the evaluation loss rests at {_number(_end(evaluated))} while training goes to {_number(_end(training))}"


def _dear_mistakes(run: Run) -> str:
    """One of one: no model is as sure of what is wrong."""
    values = _evaluation(run)
    for name, series in sorted(run.timeline.series.items()):
        known = finite(series)
        if min(len(known), len(values)) < LEAST or not (EVALUATION.search(name) and SHARE.search(name)) or _game(run):
            continue
        wrong = 1 - _end(known) / (100.0 if float(known.max()) > 1.0001 else 1.0)
        if FAIR < wrong <= 1 and _end(values) > DEAR * wrong:
            return f"the evaluation loss ends at {_number(_end(values))} where {name} is {_number(_end(known))}"
    return ""


def _perfect_at_once(run: Run) -> str:
    """Two of three: labels that the input gives away, or an easy task."""
    for name, series in sorted(run.timeline.series.items()):
        values = finite(series)
        if len(values) >= 3 and EVALUATION.search(name) and RIGHT.search(name) and float(values.max()) <= 100:
            whole = 100.0 if float(values.max()) > 1.0001 else 1.0
            first = float(values[len(values) // SHORTLY])
            if first >= PERFECT * whole:
                soon = "from the first evaluation on" if len(values) < SHORTLY else "within a fiftieth of the run"
                return f"{name} is {_number(first)} {soon}, as where labels leak"
    return ""


def _learnt_at_once(run: Run) -> str:
    """Six of nine: learned by heart, labels that the input gives away, or an easy task."""
    if _game(run) or any(map(EQUATION.search, run.timeline.series)):
        return ""
    for name, values in (("loss", _losses(run)), ("evaluation loss", _evaluation(run))):
        if (
            len(values) < 3
            or float(values[0]) < LEARNT
            or not -SPENT / 3 <= float(values.min()) <= _end(values) < SPENT
        ):
            continue
        near = int(np.argmax(values < TENFOLD * SPENT))
        if near <= AT_ONCE * len(values):
            return f"the {name} is next to 0 within {near + 1} of {len(values)} entries, as where labels leak"
    return ""


def _came_down_once(run: Run) -> str:
    """Nine of fifteen: what costs one answer to every input is learned at once too."""
    values = _losses(run) if len(_losses(run)) >= LEAST else _evaluation(run)
    if len(values) < LEAST or float(values.min()) < 0 or may_rest(run) or running_sum(values):
        return ""
    moved = robust.trend(values[max(1, len(values) // FIRST) :])
    still = moved.start - moved.end < STILL * abs(moved.start) and moved.end > GUESS * float(values[0])
    still = still and 3.0 * robust.noise(values) * float(np.sqrt(2.0 / max(1, len(values) // 3))) < SHOWS * moved.end
    evaluated = _evaluation(run)
    if not still or any(map(rose, qualities(run))) or (len(evaluated) > 3 and robust.trend(evaluated[1:]).falls):
        return ""
    return f"the loss rests at {_number(moved.end)} after its first entries, and nothing else got better"


def _hardly_fell(run: Run) -> str:
    """Seven of eleven: a model from scratch has more to learn than that."""
    values = _losses(run) if len(_losses(run)) >= 3 else _evaluation(run)
    if len(values) < 3 or float(values.min()) < 0 or may_rest(run) or running_sum(values):
        return ""
    for each in filter(len, (values, _evaluation(run))):
        first = max(float(each[0]), _begin(each))
        if first - _end(each) >= HARDLY * first:
            return ""
    if any(map(rose, qualities(run))):
        return ""
    return f"the loss goes from {_number(_begin(values))} to {_number(_end(values))}, and nothing else got better"


def _was_lost_meanwhile(run: Run) -> str:
    """Six of eight."""
    values = _losses(run)
    if len(values) < FIRST or float(values.min()) <= 0 or _game(run) or running_sum(values):
        return ""
    width = max(1, len(values) // SMOOTH)
    hop = -(-len(values) * width // robust.WORK)  # a long curve is looked at every few entries
    smooth = np.array([median(values[max(0, i - width + 1) : i + 1]) for i in range(0, len(values), hop)])
    best = np.minimum.accumulate(smooth)
    high = (smooth > LEFT * best) & (smooth > best + HIGH * robust.noise(values)) & (smooth > OF_THE_FIRST * values[0])
    count = min(hop * int(high.sum()), len(values))
    if count <= max(2, LONG * len(values)):
        return ""
    return f"the loss stood far above what it had reached in {count:,} of its {len(values):,} entries"


def _another_scale(run: Run) -> str:
    """Two of two: a sum where a mean is evaluated."""
    training, evaluated = _losses(run), _evaluation(run)
    if not len(training) or not len(evaluated) or _end(evaluated) < NOT_SMALL or _game(run):
        return ""
    times = _end(training) / _end(evaluated)
    return f"the training loss ends at {times:.3g} times the evaluation loss" if times > TIMES else ""


def _below_all_bounds(run: Run) -> str:
    """One of one: the sign of a likelihood, or a density that is as high as it likes."""
    values = _losses(run)
    if len(values) < LEAST or _game(run) or _end(values) > -TENFOLD * max(1.0, abs(float(values[0]))):
        return ""
    return (
        f"the loss goes from {_number(float(values[0]))} to {_number(_end(values))}, and nothing tells how low is right"
    )


def _one_entropy(run: Run) -> str:
    """One of one: a policy that does not change."""
    for name, series in sorted(run.timeline.series.items()):
        values = finite(series)
        if (
            len(values) >= SAME
            and "entropy" in name.lower()
            and not is_loss(name)
            and float(np.ptp(values)) <= 1e-5 * abs(float(values[0]))
        ):
            return f"{name} is {_number(float(values[0]))} in all of {len(values):,} entries"
    return ""


def _return_never_rose(run: Run) -> str:
    """Say that a policy does no better; its losses do not tell."""
    series = never_rose(run) if context.policy_gradient(run) and not context.is_excerpt(run) else None
    if series is None:
        return ""
    values = finite(series)
    if len(values) < MANY or float(np.ptp(values)) == 0:
        return ""
    return f"{series.name} is {_number(_begin(values))} at first and {_number(_end(values))} at the end, and none rises"


def _rate_spent(run: Run) -> str:
    """Two of three."""
    rates = finite(context.recorded(run, LEARNING_RATE))
    if len(rates) < LEAST or float(rates.max()) <= 0:
        return ""
    off = rates < OFF * float(rates.max())
    last = len(rates) - int(np.flatnonzero(~off)[-1]) - 1
    return (
        f"the learning rate is next to 0 in the last {last:,} of {len(rates):,} entries"
        if last > REST * len(rates)
        else ""
    )


def _norm_of_nothing(run: Run) -> str:
    """One of one: what is logged is no norm, and would tell nothing of gradients that explode or vanish."""
    losses = _losses(run)
    if not len(losses) or float(losses.max()) == 0 or _game(run):
        return ""
    for name, series in sorted(run.timeline.series.items()):
        if (name == GRAD_NORM or NORM.search(name)) and len(series) >= FIRST and not series.values.any():
            told = "the gradient norm" if name == GRAD_NORM else name
            return f"{told} is 0 in all of {len(series):,} entries while the loss is not"
    return ""


def _one_quality(run: Run) -> str:
    """Tell of a quality that is one number though training goes on, as one answer to every input gives it.

    Not beside a loss that loses a quarter of itself: then the number that was printed is at fault.
    """
    if _game(run) or context.may_know(run) or robust.trend(_losses(run), least=LEARNS).falls:
        return ""
    for name, series in sorted(run.timeline.series.items()):
        values = finite(series)
        named = context.BETTER_HIGHER.search(name) and not is_loss(name)
        if len(values) >= UNCHANGED and named and float(np.ptp(values)) == 0 and float(values[0]) not in {1.0, 100.0}:
            return f"{name} is {_number(float(values[0]))} in all of {len(values):,} entries"
    return ""


def _worse_than_the_mean(run: Run) -> str:
    """Tell of a share of explained variance that is below 0 at its best."""
    for name, series in sorted(run.timeline.series.items()):
        values = finite(series)
        if len(values) >= LEAST and VARIANCE.search(name) and float(values.max()) < 0 and not _game(run):
            return f"{name} is {_number(float(values.max()))} at its best: answering the mean is better"
    return ""
