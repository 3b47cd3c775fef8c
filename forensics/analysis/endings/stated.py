"""What an exception states of the numbers: a loss, gradients or a scale that it names."""

import re

from forensics.analysis.endings.groups import groups_of
from forensics.model import Finding, Run
from forensics.signatures.numeric import STATED_STEP, STATES

NAN_ASSERTION = "nan-assertion"


def stated(run: Run, symptom: str) -> Finding | None:
    """Return the finding that an exception which ended the run proves by its words, None where none does.

    The step is the one that it names, else the first that may follow the last one logged; the bracket begins at the
    last step that was logged before.
    """
    for group in groups_of(run.timeline):
        for death in group.deaths:
            if group.fate != "final" or death.name != NAN_ASSERTION:
                continue
            if next((name for name, words in STATES if re.search(words, death.text)), None) != symptom:
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
    return None
