"""Where on which axis something happened: what is only counted is never called a step.

Detectors and rules compute with the places of a series and speak of steps. What they found is put on the axis of
the entry that its source names, once and for all of them, so that none has to know what a run is counted in.
"""

from dataclasses import replace

from forensics.deferred.patterns import expression
from forensics.model import NOUNS, Axis, Finding, Run, Source

_ENTRY_OF = expression(r"\b(the )?entry of (?=step -?\d)")
_STEPS = expression(r"\bstep(s?)(?= -?\d)|(?<=\d )step(s?)\b")
"""The noun beside a number: "step 70", "steps 3 to 9", "every 10 steps"."""


def axis_at(run: Run, source: Source | None) -> Axis:
    """Return the axis of the entry that was read at `source`; "step" for a place that holds no entry."""
    if source is not None:
        for series in run.timeline.series.values():
            if series.axis != "step" and series.tells(source):
                return series.axis
    return "step"


def placed(run: Run, finding: Finding) -> Finding:
    """Return the finding on the axis of its source, its statement in the words of that axis.

    A detector that put it on another axis than steps knew: a line that is no entry itself is placed by those before.
    """
    axis = axis_at(run, finding.source) if finding.axis == "step" else finding.axis
    return finding if axis == finding.axis else replace(finding, axis=axis, statement=on(axis, finding.statement))


def on(axis: Axis, statement: str) -> str:
    """Return a sentence about steps as one about what `axis` counts.

    >>> on("entry", "NaN from step 70 to the end; norms come every 10 steps"), on("step", "NaN from step 70")
    ('NaN from entry 70 to the end; norms come every 10 entries', 'NaN from step 70')
    >>> on("epoch", "0.0 from the entry of step 3 to the end")
    '0.0 from epoch 3 to the end'
    """
    if axis == "step":
        return statement
    return _STEPS.sub(lambda found: NOUNS[axis][bool(found[1] or found[2])], _ENTRY_OF.sub("", statement))


def place(axis: Axis, number: int) -> str:
    """Return a place in words.

    >>> place("step", 1200), place("entry", 70), place("samples", 4096)
    ('step 1200', 'entry 70', 'sample 4096')
    """
    return f"{NOUNS[axis][0]} {number}"
