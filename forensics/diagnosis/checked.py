"""What a run left behind to be judged by, and what could not be judged and why."""

import re
from collections.abc import Sequence

import numpy as np

from forensics.analysis import context, robust
from forensics.analysis.learning import learned, may_rest
from forensics.deferred.patterns import expression
from forensics.diagnosis.doubts import doubt
from forensics.model import Checked, Finding, Floats, Run
from forensics.model.statistics import median
from forensics.names import EVALUATION, GRAD_NORM, LEARNING_RATE, LOSS, Kind, is_loss

FEW = 5
"""Entries below which a curve has no shape: only NaN, zeros and leaps are seen in it."""
OF_A_NORM = expression(r"grad(?:ient)?_?norm", re.IGNORECASE)
QUALITY = "quality"
OF_QUALITY = expression(
    r"(?:^|[/_ ])(?:acc|accuracy|f1|rewards?|returns?|score|win[ _]rate|dice|m?iou|auc|bleu)(?:$|[/_ @%])",
    re.IGNORECASE,
)
"""What training itself got better at: an accuracy over its own batches, a reward. One that never rose tells nothing."""
OF_ERROR = expression(r"(?:^|[/_ (-])(?:err|error|mpjpe)(?:$|[/_ )])", re.IGNORECASE)
"""What sinks as a model gets better, and is no loss: the error of a pose, of a solution that is known."""
RISES = expression(rf"(?<![A-Za-z])(?:{context.BETTER_HIGHER.pattern})(?![A-Za-z])", re.IGNORECASE)
"""A quality by its whole name: an acceleration is none."""
PLANNED = expression(
    r"(?<![a-z])(?:lr|eps(?:ilon)?|tau|beta|alpha|gamma|lambda|sigma|temp(?:erature)?|momentum|wd|kl|std|var|fps|eta"
    r"|entropy|norm|time|sec|gain|margin|similarity|coverage|agree\w{0,6}|success|win\w{0,4}|fitness|length|len|steps?)"
    r"(?![a-z])|learning.?rate|explor|schedul|decay|teacher|coef|weight|ratio|scale|speed|per[ _]s|throughput|memory"
    r"|mem(?![a-z])|gpu|cpu|size|count|num(?![a-z])|token|sample|diversity|power|util|process|disk|network|system",
    re.IGNORECASE,
)
"""What falls by a plan, in a machine, or where a model gets worse."""
SUNK = 0.7
"""What is left of an error that is called by no known name, of the medians of its first and last third."""
TELLING = ("loss", "gradient norm", "evaluation", "weights", QUALITY)
"""Without one of these nothing is known of how a run went."""
SAVED = ("weights", "optimizer state")
ABSENT = expression(r"checkpoint|ckpt|from scratch|weights|resum", re.IGNORECASE)
QUOTED = 100
SEEN, QUIET = 0.03, 0.005
OF_DISTANCES = expression(r"triplet", re.IGNORECASE)
MARGIN = 1 / 3
"""Share of its first entry below which such a loss has parted what it was to part."""
DISPLAYED = ("loss-to-zero", "loss-zero-transient")
"""Left among the findings of a run that is not faulty, these say that what was shown is not the loss."""
NOTHING_BETTER = "nothing that was logged gets better by more than its own noise"


def checked(run: Run) -> Checked:
    """Return what was judged and what was not."""
    judged: list[str] = []
    left: list[tuple[str, str]] = []
    for what, found in _curves(run).items():
        count = max((len(run.timeline[name]) for name in found), default=0)
        if count:
            judged.append(what)
        if count < FEW and what != QUALITY:
            left.append((what if not count else f"shape of the {what}", _reason(count)))
    looked = (("weights", "weights"), ("optimizer state", "optimizer"), ("messages of the log", "events"))
    for what, name in looked:
        if run.has(name):
            judged.append(what)
        else:
            left.append((what, _absent(run, what)))
    return Checked(tuple(judged), tuple(left))


def too_little(run: Run, findings: Sequence[Finding]) -> str:
    """Say why a run without a fault cannot be called healthy; empty where it can.

    Healthy is a claim of its own: that the run was seen going on, and going well. Weights and optimizer states that
    were examined show it, and so does a quality of training that rose; a curve does from FEW entries on, in fewer when
    something got better. A loss that never moved shows nothing, unless its model was trained before, and neither do
    curves of a model from scratch of which none falls, and no quality that rises, by more than noise (7 of 432 healthy
    runs are left open for that).
    Measured on 136 runs without a finding above a notice (first contact, and 37 public trainer states): 4 healthy ones
    are left open (three of a single entry, one of a loss scale alone), and so is one of three faulty ones.
    """
    seen = checked(run)
    complaint = _complaint(run)
    if complaint:
        return f"its own log says \u201c{complaint}\u201d"
    if not any(what in seen.judged for what in TELLING):
        return "there was no loss, gradient norm, evaluation or weight to judge by"
    saved = any(what in seen.judged for what in SAVED)
    return ("" if saved else _shows_nothing(run, findings)) or doubt(run)


def _shows_nothing(run: Run, findings: Sequence[Finding]) -> str:
    """Say why curves alone do not show that a run went well; empty where they do."""
    curves = _curves(run)
    telling = [name for what in TELLING if what in curves for name in curves[what]]
    count = max(len(run.timeline[name]) for name in telling)
    if count < FEW and not context.got_better(run):
        read = "the one entry that was read shows" if count == 1 else f"the {count} entries that were read show"
        return f"{read} no course"
    if _may_lie_at_its_margin(run) and not any(curves[what] for what in ("evaluation", QUALITY)):
        return "such a loss comes to its margin where all inputs get one place too, and nothing else was logged"
    rests = any(f.symptom == "loss-plateau" for f in findings) and _might_have_moved(run)
    if rests and not context.got_better(run, but=LOSS):
        return "the loss never moved, and nothing else that was logged got better"
    judged = curves["loss"] or curves["evaluation"]
    displayed = any(f.symptom in DISPLAYED for f in findings)
    shown = not judged or displayed or curves[QUALITY] or may_rest(run) or learned(run)
    return "" if shown or context.got_better(run, but=LOSS) else NOTHING_BETTER


def _may_lie_at_its_margin(run: Run) -> bool:
    """Tell whether a loss of triplets fell a little and no further: to its margin, if all places are one.

    With equal distances `max(0, d(a, p) - d(a, n) + margin)` is the margin (F. Schroff et al., FaceNet, 2015, 3.2).
    """
    series = run.timeline.get(LOSS)
    if series is None or not OF_DISTANCES.search(series.logged_as or ""):
        return False
    values = series.values[np.isfinite(series.values)]
    return len(values) >= FEW and median(values[-FEW:]) > MARGIN * float(values[0])


def _might_have_moved(run: Run) -> bool:
    """Tell whether a loss that rests should have fallen and would have shown it.

    It need not in the middle of a run or with a model that was trained before, and noise hides a fall: three standard
    errors of the medians of a third (`analysis.robust.trend`) are more than the 3 % that were to be seen.
    """
    series = run.timeline.get(LOSS)
    if series is None or context.is_excerpt(run) or run.timeline.excerpt:
        return False
    values = series.values[np.isfinite(series.values)]
    if context.may_know(run) and robust.noise(values) > QUIET * abs(median(values)):
        return False
    error = 3 * 1.2533 * robust.noise(values) * float(np.sqrt(2 / max(1, len(values) // 3)))
    return error < SEEN * median(values)


def _complaint(run: Run) -> str:
    """Return the first fault that the program itself reports, but for a checkpoint that it did not find at the start.

    A run that looks for one and begins anew says so too; between two entries the same words mean that all was lost.
    """
    for events in run.timeline.events_of(Kind.COMPLAINT):
        for index in range(len(events)):
            text = events.text_at(index)
            begun = events.order is not None and int(events.order.before[index]) >= 0
            if begun or not ABSENT.search(text):
                return text[:QUOTED]
    return ""


def _curves(run: Run) -> dict[str, list[str]]:
    names = [name for name, series in run.timeline.series.items() if len(series)]
    evaluations = [name for name in names if EVALUATION.search(name)]
    losses = [name for name in names if is_loss(name) and name not in evaluations]
    alone = not losses and not evaluations
    return {
        "loss": losses,
        "gradient norm": [name for name in names if name == GRAD_NORM or OF_A_NORM.search(name)],
        "evaluation": evaluations,
        "learning rate": [name for name in names if name == LEARNING_RATE],
        QUALITY: [
            name
            for name in names
            if name not in evaluations
            and (_got_better(run, name) or (alone and _moved(name, run.timeline[name].values)))
        ],
    }


def _got_better(run: Run, name: str) -> bool:
    """Tell whether a quality rose or an error sank."""
    better = 1 if OF_ERROR.search(name) else -1 if OF_QUALITY.search(name) else 0
    values = run.timeline[name].values
    return bool(better) and len(values) >= FEW and robust.trend(better * values[np.isfinite(values)]).falls


def _moved(name: str, values: Floats) -> bool:
    """Tell whether a quality of any name rose, or what has no known name is an error by its course.

    An error came down to a part of what it was, with the noise of a measurement: a schedule has none.
    """
    if RISES.search(name):
        return len(values) >= FEW and robust.trend(-values[np.isfinite(values)]).falls
    if PLANNED.search(name) or OF_A_NORM.search(name) or name == LEARNING_RATE:
        return False
    if len(values) < 2 * FEW or not bool(np.isfinite(values).all()) or float(values.min()) <= 0:
        return False
    falls = np.diff(values) < 0
    third = len(values) // 3
    sank = median(values[-third:]) < SUNK * median(values[:third])
    return sank and not bool(falls.all()) and robust.trend(values).falls


def _reason(count: int) -> str:
    return "none was logged" if not count else f"{count} {'entry' if count == 1 else 'entries'}, fewer than {FEW}"


def _absent(run: Run, what: str) -> str:
    if what == "messages of the log":
        return "no log tells an event"
    return "no checkpoint was examined" if run.checkpoints else "no checkpoint is there"
