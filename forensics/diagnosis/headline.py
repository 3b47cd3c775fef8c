"""One sentence a tired engineer understands."""

from collections.abc import Sequence

from forensics.analysis.context import is_excerpt
from forensics.diagnosis.brevity import brief, stopped
from forensics.diagnosis.checked import FEW, too_little
from forensics.diagnosis.judgement import CAUSELESS, behind
from forensics.model import NOUNS, Finding, Hypothesis, Run, RunVerdict, Series

MOST = 160
"""Characters of a headline: two lines of a terminal, one comment of a bot, one row of a table."""
MOST_OF_THE_SYMPTOM = 88


def verdict_of(run: Run, findings: Sequence[Finding]) -> RunVerdict:
    """Return the verdict: broken, suspicious, healthy, or unknown when there was too little to judge by."""
    severities = {finding.severity for finding in findings}
    if "error" in severities:
        return "broken"
    if "warning" in severities:
        return "suspicious"
    return "unknown" if too_little(run, findings) else "healthy"


def headline_of(run: Run, verdict: RunVerdict, findings: Sequence[Finding], hypotheses: Sequence[Hypothesis]) -> str:
    """Return one sentence or two of at most `MOST` characters; the rest of the report argues what they say."""
    by_hand = _stopped_by_user(run)
    if verdict == "healthy":
        return _with_unread(run, f"{by_hand}{_healthy(run, findings, hypotheses)}")
    if verdict == "unknown":
        return _with_unread(run, f"{by_hand}Nothing was found wrong, but {too_little(run, findings)}.")
    grave = next(f for f in findings if f.severity != "notice")
    said = _sentence(brief(grave.statement, MOST_OF_THE_SYMPTOM))
    if grave.symptom not in CAUSELESS:
        said = f"{said} {_cause(grave, hypotheses, MOST - len(said) - 1)}"
    return f"{by_hand}{said}" if len(by_hand) + len(said) <= MOST else said


def _stopped_by_user(run: Run) -> str:
    """Return the sentence that a person ended the run, with a blank behind it; empty where nobody did."""
    if run.ending is None or run.ending.kind != "stopped-by-user":
        return ""
    step, noun = run.ending.step, NOUNS[run.timeline.axis][0]
    return f"Stopped by its user after {noun} {step:,}. " if step is not None else "Stopped by its user. "


def _cause(grave: Finding, hypotheses: Sequence[Hypothesis], room: int) -> str:
    """Return what is known of the cause behind a symptom, in at most `room` characters."""
    causes = behind(grave, hypotheses)
    if not causes:
        return "The cause is unknown."
    top = causes[0]
    if len(causes) > 1:
        return f"{_tied(causes, room - 1)}."
    if top.would_decide:
        told = f"The cause is not known; {top.cause} would fit if "
        return stopped(f"{told}{brief(top.would_decide[0], room - len(told) - 1)}")
    word = {"established": "Cause", "likely": "Likely cause", "possible": "Possible cause"}[top.verdict]
    return f"{word}: {_sentence(brief(top.title, room - len(word) - 3))}"


def _tied(causes: Sequence[Hypothesis], room: int) -> str:
    """Say that several causes fit equally well, with their names where they fit into `room` characters."""
    kind = "likely causes" if causes[0].verdict == "likely" else "causes"
    told = f"{len(causes)} {kind} fit equally well"
    named = f"{told}: {', '.join(h.cause for h in causes)}"
    return named if len(named) <= room else told


def _healthy(run: Run, findings: Sequence[Finding], hypotheses: Sequence[Hypothesis]) -> str:
    doubt = next((h for h in hypotheses if h.verdict == "possible" and not h.benign and not h.would_decide), None)
    ended = None if run.ending is None else run.ending.symptom
    told = (f for f in findings if doubt is not None and doubt.score > 1 and f.symptom in doubt.explains)
    noticed = next((f for f in told if f.symptom != ended), None)
    if doubt is not None and noticed is not None:
        return f"No fault was found; one thing to look at: {brief(noticed.statement, 84)} ({doubt.cause})."
    rewards = run.timeline.get("reward")
    loss = run.timeline.get("loss")
    if rewards is not None and len(rewards) and loss is not None and bool((loss.values == 0).all()):
        said = f"the reward went from {float(rewards.values[0]):.4g} to {float(rewards.values[-1]):.4g}"
        return f"Nothing is wrong: {said}; a loss that prints 0 is in order there, as advantages are centred."
    if loss is None or not len(loss):
        return "Nothing is wrong with what was examined."
    return _fell(run, loss)


def _fell(run: Run, loss: Series) -> str:
    """Say how far a healthy run came, and how it ended where that is not its own end."""
    first, final = float(loss.values[0]), float(loss.values[-1])
    went = f"the loss went from {first:.4g} to {final:.4g}"
    if final >= first:
        went = f"the loss is {first:.4g} at first and {final:.4g} at the end"
    last, planned, ending = run.timeline.last or 0, run.planned_steps, run.ending
    # Evaluation or an early stop may end a run sooner, and it may still be running: told, not judged.
    steps = f"{last:,} of {planned:,} planned" if planned is not None and planned > last else f"{last:,}"
    if ending is not None and ending.kind == "cut-off" and loss.axis == "step" and run.planned_steps is not None:
        return f"Healthy so far: {steps} steps, no sign of how it ended; {went}."
    if ending is not None and ending.kind in {"cut-off", "running"}:
        return f"Healthy so far: {ending.statement}; {went}."
    if len(loss) < FEW or is_excerpt(run):
        counted = "the one entry" if len(loss) == 1 else f"the {len(loss):,} entries"
        return f"Nothing is wrong in {counted} read: {went}."
    if loss.axis != "step":
        return f"Nothing is wrong: {went} over {len(loss):,} entries."
    return f"Nothing is wrong: {went} over {steps} steps."


def _with_unread(run: Run, said: str) -> str:
    """Add what was not read in full: without that, silence about it would pass for praise."""
    left = [c for c in run.checkpoints if c.table is not None and c.table.unread.any()]
    lost = next((skip for skip in run.skips if skip.lost), None)
    if not left and lost is not None:
        more = f" What follows in {brief(lost.what, 40)} is missing: it is cut or corrupt."
        said = said.replace("Nothing is wrong", "Nothing is wrong before the cut", 1)
        return f"{stopped(brief(said, MOST - len(more) - 1))}{more}"
    if not left:
        return stopped(brief(said, MOST - 1))
    count = sum(int(c.table.unread.sum()) for c in left if c.table is not None)
    more = f" Not examined: {count:,} tensor{'s' * (count != 1)} of {brief(left[0].path, 40)}."
    return f"{stopped(brief(said, MOST - len(more) - 1))}{more}"


def _sentence(text: str) -> str:
    text = text.strip()
    # A path or a metric keeps its spelling.
    return stopped(f"{text[:1].upper()}{text[1:]}" if text.partition(" ")[0].isalpha() else text)
