"""What words state of the numbers: a loss, gradients or a scale that an exception or the title of an account names."""

import re

from forensics.analysis.endings.groups import groups_of
from forensics.deferred.patterns import expression
from forensics.model import Finding, Run
from forensics.names import Kind
from forensics.signatures.numeric import STATED_STEP, STATES

_STOP = expression(r"[,.;:!?](?=\s|$)")
NAN_ASSERTION = "nan-assertion"
TITLES = {
    "loss-nan": expression(r"(?i)loss.{0,40}(?<![a-z])(?:nan|inf)(?![a-z])|(?<![a-z])nan(?![a-z]).{0,20}loss"),
    "grad-norm-nan": expression(r"(?i)grad(?:ient)?[ _-]?norm.{0,30}(?<![a-z])(?:nan|inf)(?![a-z])"),
}


def stated(run: Run, symptom: str) -> Finding | None:
    """Return the finding that an exception which ended the run proves by its words, None where none does.

    The step is the one that it names, else the first that may follow the last one logged; the bracket begins at the
    last step that was logged before. A title proves less: a warning without a step.
    """
    for group in groups_of(run.timeline):
        for death in group.deaths:
            proved = next((name for name, words in STATES if re.search(words, death.text)), None)
            if group.fate != "final" or death.name != NAN_ASSERTION or proved != symptom:
                continue
            named = re.search(STATED_STEP, death.text)
            fine = death.before if death.before >= 0 else run.timeline.last_step
            step = int(named[1]) if named else None
            if step is not None and fine is not None and step < fine:
                fine = None
            return Finding(
                symptom=symptom,
                severity="error",
                statement=f"an exception states it: {death.text[:200]}",
                source=death.source,
                step=step if step is not None else fine,
                step_range=(fine, step) if step is not None else (None, fine),
            )
    return _titled(run, symptom)


def _titled(run: Run, symptom: str) -> Finding | None:
    for events in run.timeline.events_of(Kind.COMPLAINT) if symptom in TITLES else ():
        for index in range(len(events)):
            text = events.text_at(index)
            found = TITLES[symptom].search(text) if text.startswith("#") else None
            if found is not None:
                return Finding(symptom, "warning", f"the title says “{_clause(found)}”", events.source_at(index))
    return None


def _clause(found: re.Match[str]) -> str:
    """Return the part of a title, between its commas and stops, that holds what was found."""
    text = found.string.lstrip("# ")
    shift = len(found.string) - len(text)
    begin = max((m.end() for m in _STOP.finditer(text, 0, found.start() - shift)), default=0)
    end = _STOP.search(text, found.end() - shift)
    return text[begin : len(text) if end is None else end.start()].strip()[:200]
