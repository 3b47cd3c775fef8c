"""One sentence a tired engineer understands."""

from collections.abc import Sequence

from forensics.analysis.context import is_excerpt
from forensics.diagnosis.checked import FEW, too_little
from forensics.model import Finding, Hypothesis, Run, RunVerdict, Series

TIE = 1
"""Points within which two causes are a tie: a point is worth 0.57 log-odds, so that their order says little."""

CAUSELESS = {"unsafe-pickle"}
"""Symptoms that are no failure of the run: nothing caused them that a run could tell."""


def verdict_of(run: Run, findings: Sequence[Finding]) -> RunVerdict:
    """Return the verdict: broken, suspicious, healthy, or unknown when there was too little to judge by."""
    severities = {finding.severity for finding in findings}
    if "error" in severities:
        return "broken"
    if "warning" in severities:
        return "suspicious"
    return "unknown" if too_little(run, findings) else "healthy"


def headline_of(run: Run, verdict: RunVerdict, findings: Sequence[Finding], hypotheses: Sequence[Hypothesis]) -> str:
    if verdict == "healthy":
        return f"{_healthy(run, findings, hypotheses)}{_unread(run)}"
    if verdict == "unknown":
        return f"Nothing was found wrong, but {too_little(run, findings)}.{_unread(run)}"
    grave = next(f for f in findings if f.severity != "notice")
    said = _sentence(grave.statement)
    return said if grave.symptom in CAUSELESS else f"{said} {_because(grave, hypotheses)}"


def _because(grave: Finding, hypotheses: Sequence[Hypothesis]) -> str:
    """Say what stands behind the gravest finding, as surely as it is known."""
    behind = [h for h in hypotheses if not h.benign and grave.symptom in h.explains]
    top = next(iter(behind), None)
    if top is None or top.cause == "unknown" or top.verdict in {"unlikely", "ruled out"}:
        return "The cause is unknown."
    tied = [h for h in behind if h.verdict == top.verdict and top.score - h.score <= TIE and h.cause != "unknown"]
    if top.verdict != "established" and len(tied) > 1:
        names = ", ".join(h.cause for h in tied[:3])
        more = f" and {len(tied) - 3} more" if len(tied) > 3 else ""
        kind = "likely causes" if top.verdict == "likely" else "causes"
        return f"{len(tied)} {kind} fit equally well ({names}{more}), and what was read cannot tell them apart."
    if top.would_decide:
        return f"The cause is not known; {top.cause} would fit if {_sentence(top.would_decide[0], capital=False)}"
    word = {"established": "Cause", "likely": "Likely cause", "possible": "Possible cause"}[top.verdict]
    strongest = max(top.evidence, key=lambda e: e.points)
    because = f" Strongest sign: {strongest.statement.strip().rstrip('.')}." if strongest.points > 0 else ""
    return f"{word}: {_sentence(top.title)}{because}"


def _healthy(run: Run, findings: Sequence[Finding], hypotheses: Sequence[Hypothesis]) -> str:
    doubt = next((h for h in hypotheses if h.verdict == "possible" and not h.benign and not h.would_decide), None)
    noticed = next((f for f in findings if doubt is not None and doubt.score > 1 and f.symptom in doubt.explains), None)
    if doubt is not None and noticed is not None:
        return f"No fault was found; one thing to look at: {noticed.statement.strip().rstrip('.')} ({doubt.cause})."
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
    if loss.axis == "step" and ending is not None and ending.kind == "cut-off":
        return f"Healthy so far: {steps} steps, no sign of how it ended; {went}."
    if len(loss) < FEW or is_excerpt(run):
        counted = "the one entry" if len(loss) == 1 else f"the {len(loss):,} entries"
        return f"Nothing is wrong in {counted} read: {went}."
    if loss.axis != "step":
        return f"Nothing is wrong: {went} over {len(loss):,} entries."
    stopped = f"; {ending.statement}" if ending is not None and ending.kind == "stopped-by-user" else ""
    return f"Nothing is wrong: {went} over {steps} steps{stopped}."


def _unread(run: Run) -> str:
    """Say which checkpoints were not read in full: without that, silence about them would pass for praise."""
    left = [c for c in run.checkpoints if c.table is not None and c.table.unread.any()]
    if not left:
        return ""
    files = {piece.path for c in left for record in c.records for piece in record.pieces}
    reasons = [skip.reason for skip in run.skips if skip.what in files]
    count = sum(int(c.table.unread.sum()) for c in left if c.table is not None)
    because = f" ({reasons[0]})" if reasons else ""
    return f" Not examined: {count:,} tensors of {left[0].path}{because}."


def _sentence(text: str, *, capital: bool = True) -> str:
    text = text.strip().rstrip(".")
    first = text.partition(" ")[0]
    # A path or a metric keeps its spelling.
    return f"{text[:1].upper()}{text[1:]}." if capital and first.isalpha() else f"{text}."
