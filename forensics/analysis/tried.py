"""What the author of an account tried: releases and settings that work and those that fail, as evidence."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from forensics.model import Evidence, Run, Source
from forensics.names import Kind
from forensics.signatures.tried import Trial, trials_in

CURED = 3
"""Points of a cure: what a cause needs was taken away, and training worked."""
KEYS: Mapping[str, frozenset[str]] = {
    "zero_optimization.stage": frozenset({"zero stage", "zero_optimization.stage"}),
    "zero_optimization.overlap_comm": frozenset({"overlap_comm", "zero_optimization.overlap_comm"}),
    "attn_implementation": frozenset({"attention", "attn_implementation", "flash_attn"}),
    "bf16": frozenset({"precision", "bf16"}),
    "fp16": frozenset({"precision", "fp16"}),
    "torch_compile": frozenset({"torch.compile", "torch_compile"}),
    "several ranks": frozenset({"world size"}),
    "mixed_precision": frozenset({"precision"}),
    "fp32": frozenset({"precision"}),
}
"""Under which keys rules look at a setting; any other has its own name for a key."""


BROAD = frozenset(f"trial of {name}" for name, keys in KEYS.items() if keys & {"precision", "attention", "world size"})
"""Keys of the evidence of changes that touch what many causes need: precision, attention, ranks."""


class Tried(NamedTuple):
    """One trial and where it is told."""

    trial: Trial
    source: Source


def trials(run: Run) -> tuple[Tried, ...]:
    """Return what its author tried, in the order in which it is told."""
    return run.timeline.once("trials", lambda: tuple(_trials(run)))


def _trials(run: Run) -> Iterable[Tried]:
    for events in run.timeline.events_of(Kind.TRIED):
        for index in range(len(events)):
            for trial in trials_in(events.text_at(index)):
                yield Tried(trial, events.source_at(index))


def of_package(run: Run, package: str) -> tuple[list[Tried], list[Tried]]:
    """Return the releases of a package with which it works and those with which it fails.

    Where the author tells of a cure only, what fails is the release that the run recorded.
    """
    told = [one for one in trials(run) if one.trial[:2] == ("package", package)]
    went = {True: {one.trial.value for one in told if one.trial.works}}
    went[False] = {one.trial.value for one in told if not one.trial.works}
    works = [one for one in told if one.trial.works and one.trial.value not in went[False]]
    fails = [one for one in told if not one.trial.works and one.trial.value not in went[True]]
    recorded = run.environment.best(package, "package")
    if works and not fails and recorded is not None and str(recorded.value) not in {w.trial.value for w in works}:
        trial = Trial("package", package, str(recorded.value), works=False, text=f"{package} {recorded.value}")
        fails = [Tried(trial, recorded.source)]
    return works, fails


def parted(run: Run, *names: str) -> tuple[Tried, Tried] | None:
    """Return a trial that went well and one that failed, of one thing under these names (a setting, the "gpu").

    Where the author tells of a success only, what failed is what the run itself used.
    """
    told = [one for one in trials(run) if one.trial.name in names]
    went = {one.trial[1:3]: True for one in told if one.trial.works}
    works = [one for one in told if one.trial.works]
    fails = [one for one in told if not one.trial.works and one.trial[1:3] not in went]
    used = next(
        (s for name in names if (s := run.environment.best(name, "hardware") or run.environment.best(name))), None
    )
    if works and not fails and used is not None and str(used.value).lower() != works[0].trial.value.lower():
        trial = Trial(works[0].trial.group, used.name, str(used.value), works=False, text=f"{used.name} {used.value}")
        fails = [Tried(trial, used.source)]
    return (works[0], fails[0]) if works and fails else None


def packages(run: Run) -> tuple[str, ...]:
    """Return the packages of which a release works and another fails."""
    named = dict.fromkeys(one.trial.name for one in trials(run) if one.trial.group == "package")
    return tuple(name for name in named if all(of_package(run, name)))


def cures(run: Run, keys: Iterable[str]) -> Evidence | None:
    """Return the evidence of a setting that was changed with success, if a cause needs it as it was before."""
    wanted = set(keys)
    for one in trials(run):
        name = one.trial.name
        if one.trial.group == "setting" and one.trial.works and not wanted.isdisjoint(KEYS.get(name, {name})):
            current = run.environment.best(name)
            if current is None or str(current.value).lower() != one.trial.value:
                return Evidence(CURED, f"its author changed that: “{one.trial.text}”", one.source, f"trial of {name}")
    return None
