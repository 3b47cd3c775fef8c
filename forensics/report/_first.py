"""The first screen: what every output says before anything else, each in one line."""

from collections.abc import Iterator

from forensics.deferred.records import dataclass
from forensics.diagnosis import judgement
from forensics.model import NOUNS, Checkpoint, Evidence, Finding, Hypothesis, Report, Run
from forensics.report import _view as view
from forensics.report._advice import Line, fix_lines, resume_line
from forensics.report._onset import duration
from forensics.report._safe import clean

SURE = {"established": "", "likely": "likely: ", "possible": "possible: "}
SHAPE = "shape of the "
SHOWN_SERIES, SHOWN_TRAININGS = 2, 8


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the first screen: a short word, and what is said; the output cuts it to its width."""

    word: str
    said: str


@dataclass(frozen=True, slots=True)
class Remedy:
    """The first thing to do: `word` says how sure it is (change, try, next), `lines` is what to copy."""

    word: str
    said: str
    lines: tuple[Line, ...] = ()


def rows(report: Report) -> Iterator[Row]:
    """Yield what happened, when, because of what, and which checkpoint is worth keeping."""
    grave = judgement.leading_finding(report.findings)
    if grave is None:
        yield Row("what", clean(report.headline, 1000))
    else:
        yield Row("what", clean(grave.statement, 1000))
        when = _when(report)
        if when:
            yield Row("when", when)
        yield from _cause(report)
    if report.trainings:
        yield Row("training", trainings_text(report))
    kept = _kept(report)
    if kept:
        yield Row("last good", kept)
    best = best_text(report)
    if best:
        yield Row("best", best)


def trainings_text(report: Report) -> str:
    """Say which of several trainings a report is of, where it begins, and what became of the others."""
    shown = next(each for each in report.trainings if each.number == report.training)
    where = "" if shown.source is None else f", from {clean(str(shown.source), 200)} on"
    others: dict[str, list[str]] = {}
    for each in report.trainings:
        if each is not shown:
            others.setdefault(each.verdict, []).append(str(each.number))
    told = "; ".join(f"{verdict}: {_shortened(numbers)}" for verdict, numbers in others.items())
    return f"{shown.number} of {len(report.trainings)} in one log{where}; {told}"


def _shortened(numbers: list[str]) -> str:
    shown = ", ".join(numbers[:SHOWN_TRAININGS])
    return shown if len(numbers) <= SHOWN_TRAININGS else f"{shown} and {len(numbers) - SHOWN_TRAININGS} more"


def _when(report: Report) -> str:
    began = judgement.onset(report)
    if began is None:
        ending = report.run.ending
        if ending is None or ending.step is None:
            return ""
        return f"after step {ending.step:,}, the last that was logged{_planned(report.run, ending.step)}"
    return f"{view.step_text(began)}{view.fine_text(report.run, began)}{_after(report, began)}"


def _after(report: Report, began: Finding) -> str:
    cost = report.cost
    if cost is None or cost.axis != began.axis or cost.steps >= cost.total:
        return ""
    time = f" ({duration(cost.seconds)})" if cost.seconds is not None and cost.seconds >= 1 else ""
    return f"; {cost.steps:,} of {cost.total:,} {NOUNS[cost.axis][1]} ran from there on{time}"


def _planned(run: Run, last: int) -> str:
    return f"; {run.planned_steps:,} were planned" if run.planned_steps is not None and run.planned_steps > last else ""


def _cause(report: Report) -> Iterator[Row]:
    grave = judgement.leading_finding(report.findings)
    if grave is None or grave.symptom in judgement.CAUSELESS:
        return
    causes = judgement.behind(grave, report.hypotheses)
    if not causes:
        yield Row("cause", unknown_text(report))
        return
    top = causes[0]
    if len(causes) > 1:
        yield Row("cause", f"{len(causes)} fit equally well: {', '.join(h.cause for h in causes)}")
        return
    if top.would_decide:
        yield Row("cause", f"open: {top.cause} would fit if {clean(top.would_decide[0], 400)}")
    else:
        yield Row("cause", f"{SURE[top.verdict]}{top.title}")
    sign = strongest(top)
    if sign is not None:
        yield Row("because", clean(sign.statement, 1000))


def strongest(hypothesis: Hypothesis) -> Evidence | None:
    """Return the sign that speaks most for a cause, None where nothing does."""
    sign = max(hypothesis.evidence, key=lambda e: e.points, default=None)
    return sign if sign is not None and sign.points > 0 else None


def unknown_text(report: Report) -> str:
    """Say that the cause is unknown, how much was excluded, and which one is the best of the open ones."""
    excluded = len(view.ruled_out(report))
    out = f"; {excluded} known {'cause is' if excluded == 1 else 'causes are'} ruled out" if excluded else ""
    first = next((h for h in report.hypotheses if h.verdict == "possible" and not h.benign), None)
    nearest = "" if first is None else f"; {first.cause} comes nearest"
    return f"unknown{out}{nearest}"


def _kept(report: Report) -> str:
    """Say which checkpoint to go on from, and what a resume from it would miss."""
    run = report.run
    if report.verdict == "healthy" or not run.checkpoints:
        return ""
    good = run.last_good_checkpoint
    if good is None:
        examined = any(c.table is not None for c in run.checkpoints)
        return "no good checkpoint: start from the base model" if examined else "no checkpoint was examined"
    at = "" if good.step is None or str(good.step) in good.path else f" of step {good.step:,}"
    return f"{clean(good.path)}{at}, {resume_text(good)}"


def resume_text(checkpoint: Checkpoint) -> str:
    """Say what a resume from a clean checkpoint finds there.

    >>> resume_text(Checkpoint("checkpoint-12", "huggingface", 12, lacks=("optimizer state", "scheduler state")))
    'weights only (no optimizer state, no scheduler state)'
    """
    if "optimizer state" in checkpoint.lacks:
        return f"weights only ({', '.join(f'no {name}' for name in checkpoint.lacks)})"
    if checkpoint.lacks:
        return f"clean, but without {' and '.join(checkpoint.lacks)}"
    return "clean, and its optimizer state too"


def best_text(report: Report) -> str:
    """Say which checkpoint did best in evaluation, with the noise of one evaluation; empty where none is known."""
    best = report.best
    if best is None:
        return ""
    band = "" if best.noise is None else f" \u00b1 {best.noise:.2g}"
    said = f"{clean(best.path)}: {clean(best.metric, 60)} {best.value:.4g}{band}, the best that was saved"
    if f"{best.best_value:.4g}" == f"{best.value:.4g}":
        return said
    return f"{said}; step {best.best_step:,} had {best.best_value:.4g}"


def remedy(report: Report) -> Remedy | None:
    """Return the first thing to do: the first fix of the leading cause, else the first step of finding out."""
    if report.verdict not in {"broken", "suspicious"}:
        return None
    grave = judgement.leading_finding(report.findings)
    causes = () if grave is None else judgement.behind(grave, report.hypotheses)
    if causes and causes[0].fixes and not causes[0].would_decide:
        top = causes[0]
        fix = next((f for f in top.fixes if fix_lines(f, report.run)), top.fixes[0])
        sure = top.holds and len(causes) == 1
        return Remedy("change" if sure else "try", clean(fix.action, 1000), fix_lines(fix, report.run))
    for hypothesis in view.shown_hypotheses(report):
        for experiment in hypothesis.experiments:
            lines = tuple(Line(text, "") for text in experiment.code.splitlines())
            return Remedy("next", clean(experiment.action, 1000), lines)
    line = resume_line(report)
    return None if line is None else Remedy("next", "Resume from the last good checkpoint.", (line,))


def basis(report: Report) -> Iterator[Row]:
    """Yield what was understood of the run and what was judged by, which every report says."""
    yield Row("read", understood_text(report))
    yield Row("checked", checked_text(report))


def understood_text(report: Report) -> str:
    """Say which series were read, how many entries of which steps, and from how much."""
    run = report.run
    names = _first_series(run)
    told = [_series(run, names[0])] if names else ["no metric"]
    told += [f"{clean(name, 40)} ({len(run.timeline[name]):,})" for name in names[1:SHOWN_SERIES]]
    if len(names) > SHOWN_SERIES:
        told.append(f"{len(names) - SHOWN_SERIES} more series")
    if run.checkpoints:
        count = len(run.checkpoints)
        told.append(f"{count:,} checkpoint{'s' if count > 1 else ''}")
    return ", ".join(told)


def _first_series(run: Run) -> list[str]:
    order = ("loss", "grad_norm", "eval_loss", "reward")
    known = {name: series for name, series in run.timeline.series.items() if len(series)}
    others = sorted((n for n in known if n not in order), key=lambda n: (-len(known[n]), n))
    return [*(n for n in order if n in known), *others]


def _series(run: Run, name: str) -> str:
    series = run.timeline[name]
    first, last, count = int(series.steps[0]), int(series.steps[-1]), len(series)
    noun, nouns = NOUNS[series.axis]
    where = f"{noun} {first:,}" if first == last else f"{nouns} {first:,} to {last:,}"
    counted = "1 entry" if count == 1 else f"{count:,} entries"
    return f"{clean(name, 40)} ({where})" if series.axis == "entry" else f"{clean(name, 40)} ({counted}, {where})"


def checked_text(report: Report) -> str:
    """Say what was judged, and what could not be and why."""
    seen = report.checked
    found = "" if report.findings or not seen.checks else "no fault in "
    checks = f"{found}{seen.checks} checks of " if seen.checks else ""
    judged = f"{checks}{', '.join(seen.judged)}" if seen.judged else "nothing there to judge by"
    if not seen.not_judged:
        return judged
    reasons: dict[str, list[str]] = {}
    for what, reason in seen.not_judged:
        reasons.setdefault(clean(reason, 200), []).append(what)
    left = ", ".join(f"{_joined(what)} ({reason})" for reason, what in reasons.items())
    return f"{judged}; not judged: {left}"


def _joined(what: list[str]) -> str:
    """Return names as a list; several shapes are told as one.

    >>> _joined(["shape of the loss", "shape of the evaluation"]), _joined(["weights"])
    ('shape of the loss, evaluation', 'weights')
    """
    shapes = [name.removeprefix(SHAPE) for name in what if name.startswith(SHAPE)]
    others = [name for name in what if not name.startswith(SHAPE)]
    return ", ".join([*others, *([f"{SHAPE}{', '.join(shapes)}"] if shapes else [])])
