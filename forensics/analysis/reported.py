"""Symptoms that an account states in words, where nothing that was read shows them."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from forensics.model import Axis, Finding, Run, Source
from forensics.names import Kind, is_loss
from forensics.signatures.reported import BETWEEN, Statement, stated_in

KIN = (
    frozenset({"loss-nan", "loss-nan-transient", "grad-norm-nan", "eval-nan"}),
    frozenset({"loss-plateau", "loss-constant", "loss-uniform", "update-stalled"}),
    frozenset({"loss-divergence", "loss-spike", "loss-absurd-entry", "loss-erratic", "loss-above-uniform"}),
    frozenset({"loss-to-zero", "loss-zero-transient", "suspiciously-low-loss"}),
    frozenset({"weights-zero", "weights-unchanged"}),
    frozenset({"run-hung", "run-cut-off"}),
    frozenset(
        f"crash-{kind}"
        for kind in ("exception", "oom", "memory", "killed", "signal", "nccl", "device", "disk", "launcher")
    ),
)
"""Names of one thing: what numbers show of it is not told once more in words."""


def reported(run: Run, seen: Collection[str]) -> Iterator[Finding]:
    """Yield a warning for each symptom that the author states and that none of those `seen` is, or is kin to."""
    for kin, (said, source) in _told(run).items():
        if kin.isdisjoint(seen):
            last = _last_logged(run, said)
            yield Finding(
                symptom=said.symptom,
                severity="notice" if said.symptom == "grad-norm-nan" and _goes_on(run) else "warning",
                statement=f"reported, not seen in numbers: “{said.text}”",
                source=source,
                step=last,
                step_range=(said.first, last),
                axis=cast("Axis", said.axis),
            )


def dated(run: Run, findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings, and those of an end without a step with the time that the author tells of his end.

    "It dies after some 300 steps" dates a traceback that was pasted without its log.
    """
    told = [said for said, _ in _told(run).values() if said.last is not None and _is_end(said.symptom)]
    if len({(said.first, said.last, said.axis) for said in told}) != 1:
        return [*findings]
    first, last, axis = told[0].first, told[0].last, cast("Axis", told[0].axis)
    return [
        replace(f, step=last, step_range=(first, last), axis=axis)
        if _is_end(f.symptom) and f.step is None and f.step_range == (None, None)
        else f
        for f in findings
    ]


def _is_end(symptom: str) -> bool:
    return symptom in {"run-hung", "run-cut-off"} or symptom.startswith("crash-")


def _told(run: Run) -> dict[frozenset[str], tuple[Statement, Source]]:
    """Return what the author states, by what is kin: of several sentences the first that says from when on."""
    told: dict[frozenset[str], tuple[Statement, Source]] = {}
    for events in run.timeline.events_of(Kind.REPORTED):
        for index in range(len(events)):
            for said in _statements(events.text_at(index)):
                kin = next((names for names in KIN if said.symptom in names), frozenset({said.symptom}))
                before = told.get(kin)
                if before is None or (before[0].last is None and said.last is not None):
                    told[kin] = (said, events.source_at(index))
    return told


def _last_logged(run: Run, said: Statement) -> int | None:
    """Return when it began at the latest: of an end that is told without a time, the last step that was logged."""
    return run.timeline.last_step if said.last is None and _is_end(said.symptom) else said.last


def _goes_on(run: Run) -> bool:
    """Tell whether losses on file are numbers to the end: then a norm that is none was logged and not applied."""
    losses = [series for name, series in run.timeline.series.items() if is_loss(name.rsplit(" ", 1)[-1])]
    return bool(losses) and all(bool(np.isfinite(series.values).all()) for series in losses)


def _statements(line: str) -> Iterator[Statement]:
    for sentence in line.split(BETWEEN):
        yield from stated_in(sentence.removeprefix("# "), title=sentence.startswith("# "))
