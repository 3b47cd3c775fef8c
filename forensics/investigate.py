"""The whole pipeline, top to bottom: a path to a run, a run to a report."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np

from forensics import catalog
from forensics.analysis.best import best_checkpoint
from forensics.analysis.places import axis_at, on, placed
from forensics.analysis.reported import dated, reported
from forensics.assemble import assemble
from forensics.assemble.announced import Between
from forensics.assemble.several import several_runs
from forensics.assemble.trainings import told_apart
from forensics.diagnosis.checked import checked
from forensics.diagnosis.coincidence import coincidences
from forensics.diagnosis.cost import cost_of
from forensics.diagnosis.headline import headline_of, verdict_of
from forensics.diagnosis.judgement import UNKNOWN, onset_of
from forensics.diagnosis.next_steps import next_steps
from forensics.diagnosis.reason import reason
from forensics.diagnosis.trainings import worst_of
from forensics.discovery import unread
from forensics.discovery.aside import of_the_run
from forensics.discovery.discover import Discovery, discover, discover_packed
from forensics.discovery.fetched import fetched
from forensics.discovery.unpack import opened
from forensics.documents._between import lines_between
from forensics.documents._parts import head_of, part_of, relocated
from forensics.errors import ForensicsError, InternalError, NothingReadableError, SeveralRunsError, contained
from forensics.formats.text import looks_binary
from forensics.limits import DEFAULT, Limits
from forensics.model import (
    SEVERITIES,
    Artifact,
    Events,
    Fact,
    Finding,
    Hypothesis,
    Recording,
    Report,
    Run,
    Setting,
    Skip,
)
from forensics.plugin import Detector, Document, Reader
from forensics.redaction.search import secrets_of
from forensics.storage.file import File
from forensics.storage.locations import Packed, Place, RemotePath
from forensics.weights import WeightsDepth, examine_checkpoints, find_checkpoints
from forensics.weights.belonging import belonging
from forensics.weights.resume import with_gaps
from forensics.weights.unsafe import unsafe_pickles

HEAD_BYTES = 64 << 10
CRASHES = ("crash-oom", "crash-disk", "crash-exception", "crash-killed", "crash-nccl")
"""From what may be a root to what is mostly an echo: launchers kill the other ranks, which time out meanwhile."""
RECORDED = ("local-gradient-nonfinite", "reduced-gradient-nonfinite", "reduction-did-nothing", "rank-drift")
"""What only a black box tells: the event itself, with tensor and rank, of which the loss shows what followed."""
GRAVEST = (*CRASHES, *RECORDED, "loss-to-zero", "loss-nan", "loss-", "grad-norm-", "weights-", "lr-", "eval-")
Made = TypeVar("Made")
Takers = Callable[[str], tuple[Reader, ...]]
Progress = Callable[[str, int, int], None]
Apart = Callable[[Path, Path], Collection[str]]
"""Names the folders of a place (as opened, as the user named it) that are runs of their own."""

MOST_SETTINGS = 5_000
"""Settings and packages of one file; the largest of the fixtures has 171, a large conda environment a thousand."""


def investigate(
    path: Place,
    *,
    weights: WeightsDepth = "auto",
    limits: Limits = DEFAULT,
    progress: Progress | None = None,
    apart: Collection[str] | Apart = (),
) -> Report:
    """Read a run directory (or one file) and judge it.

    `apart` names folders inside of it, relative, that are runs of their own and are not read; or it is a function
    that finds them (`forensics.fleet.alone.apart_of`), and refuses a folder of several runs with `UsageError`.
    Raises `UnreadableError` when the path cannot be read, `NothingReadableError` when no reader understands
    anything in it, `SeveralRunsError` when its logs tell of several runs. Everything else that goes wrong is told in
    the report.
    """
    run, failures = _read(path, weights, limits, progress, apart)
    return judge(run, failures)


def read(
    path: Place,
    *,
    weights: WeightsDepth = "off",
    limits: Limits = DEFAULT,
    progress: Progress | None = None,
    apart: Collection[str] | Apart = (),
) -> Run:
    """Read a run without judging it; `read(path).frame()` is a pandas DataFrame of every sample."""
    return _read(path, weights, limits, progress, apart)[0]


def judge(run: Run, failures: tuple[str, ...] = ()) -> Report:
    """Find the symptoms of a run and let the rules argue about them; of several trainings the worst is told."""
    if not run.trainings:
        return _judged(run, failures)
    return worst_of([_judged(training, failures) for training in run.trainings])


def _judged(run: Run, failures: tuple[str, ...]) -> Report:
    findings, skips, broken = detect(run)
    with np.errstate(all="ignore"):
        reasoned = reason(run, findings, catalog.rules({finding.symptom for finding in findings}))
    causes = tuple(_with_next_steps(run, _in_places(run, h), reasoned.findings) for h in reasoned.causes)
    run = _with_skips(run, skips)
    verdict = verdict_of(run, reasoned.findings)
    leading = onset_of(reasoned.findings, causes)
    broken = [*failures, *broken, *reasoned.failures]
    return Report(
        run=run,
        verdict=verdict,
        headline=headline_of(run, verdict, reasoned.findings, causes),
        findings=reasoned.findings,
        hypotheses=causes,
        mechanisms=tuple(_in_places(run, h) for h in reasoned.mechanisms),
        coincidences=_afterwards(lambda: () if leading is None else coincidences(run, leading), (), broken),
        cost=_afterwards(lambda: cost_of(run, reasoned.findings), None, broken),
        checked=replace(checked(run), checks=len(_applying(run)[0])),
        best=_afterwards(lambda: best_checkpoint(run), None, broken),
        failures=tuple(broken),
    )


def _afterwards(made: Callable[[], Made], empty: Made, failures: list[str]) -> Made:
    """Return what is told beside the judgement; where it fails, nothing but a line about it."""
    try:
        with contained("what is told beside the judgement"):
            return made()
    except ForensicsError as error:
        failures.append(str(error))
        return empty


def detect(run: Run) -> tuple[list[Finding], list[Skip], list[str]]:
    """Run every detector whose needs are met; the others are skips, an error of ours is a failure."""
    findings: list[Finding] = []
    failures: list[str] = []
    detectors, skips = _applying(run)
    for detector in detectors:
        try:
            # Any float64 may stand in a log; what overflows in a statistic is handled there, not warned about.
            with np.errstate(all="ignore"):
                findings.extend(placed(run, finding) for finding in detector.find(run))
        except Exception as error:  # noqa: BLE001  (one bad detector must not cost the report)
            failures.append(f"detector {detector.name} failed: {type(error).__name__}: {error}")
    findings = dated(run, [*findings, *reported(run, {finding.symptom for finding in findings})])
    findings.sort(key=lambda f: (SEVERITIES.index(f.severity), _weight(f), _last_fine(f), f.symptom))
    return findings, skips, failures


def _with_next_steps(run: Run, hypothesis: Hypothesis, findings: Sequence[Finding]) -> Hypothesis:
    """Give the answer "unknown" what can be done now, before the experiments of the causes that are still open."""
    if hypothesis.cause != UNKNOWN:
        return hypothesis
    steps = next_steps(run, findings)
    return replace(hypothesis, experiments=(*steps, *hypothesis.experiments))


def _applying(run: Run) -> tuple[list[Detector], list[Skip]]:
    """Return the detectors that the run gives something to look at, and those whose needs are not met as skips."""
    applying: list[Detector] = []
    skips: list[Skip] = []
    for detector in catalog.detectors():
        missing = [name for name in detector.needs if not run.has(name)]
        if missing:
            skips.append(Skip(f"detector {detector.name}", f"needs {', '.join(missing)}"))
        elif not detector.any_of or any(run.has(name) for name in detector.any_of):
            applying.append(detector)
    return applying, skips


def _in_places(run: Run, hypothesis: Hypothesis) -> Hypothesis:
    """Return the hypothesis with every argument in the words of the axis on which its source is."""
    evidence = tuple(replace(e, statement=on(axis_at(run, e.source), e.statement)) for e in hypothesis.evidence)
    return replace(hypothesis, evidence=evidence)


def _read(
    path: Place,
    weights: WeightsDepth,
    limits: Limits,
    progress: Progress | None,
    apart: Collection[str] | Apart,
) -> tuple[Run, tuple[str, ...]]:
    if isinstance(path, RemotePath):
        with fetched(path, limits) as there:
            found = _without(there.found, apart(there.folder, Path(path.url)) if callable(apart) else apart)
            # Reading every byte of a store's checkpoints is asked for in words.
            run, failures = _read_place(found, path, "quick" if weights == "auto" else weights, progress)
            return replace(run, root=path), failures
    with opened(path, limits) as (place, lost):
        if isinstance(place, Packed):
            found = discover_packed(place, limits)
        else:
            found = _without(discover(place, limits), apart(place, path) if callable(apart) else apart)
        found = replace(found, skips=(*found.skips, *lost))
        run, failures = _read_place(found, path, weights, progress)
        return replace(run, root=path), failures


def _without(found: Discovery, apart: Collection[str]) -> Discovery:
    if not apart:
        return found
    inside = tuple(f"{folder}/" for folder in apart)
    skips = (Skip(folder, "a run of its own; name it to have it read") for folder in sorted(apart))
    kept = tuple(a for a in found.artifacts if not a.path.startswith(inside))
    return replace(found, artifacts=kept, skips=(*found.skips, *skips))


def _read_place(
    found: Discovery, path: Place, weights: WeightsDepth, progress: Progress | None
) -> tuple[Run, tuple[str, ...]]:
    told: list[tuple[str, list[Fact]]] = []
    failures: list[str] = []
    left: list[Artifact] = []
    for number, artifact in enumerate(found.artifacts):
        if progress is not None:
            progress(artifact.path, number, len(found.artifacts))
        told.append((artifact.path, list(_facts(artifact, failures, left))))
    facts = of_the_run(told)
    others = [artifact for artifact in found.artifacts if not _taken_alone(artifact)]
    checkpoints, skips = find_checkpoints(others, loose=True, asked=len(found.artifacts) == 1)
    used = {file for checkpoint in checkpoints for file in (checkpoint.path, *checkpoint.files)}
    pickles = list(unsafe_pickles(found.artifacts, checkpoints))
    used.update(skip.what for skip in skips)
    used.update(fact.path for fact in pickles if isinstance(fact, Events))
    skips = (*skips, *filter(None, (unread.unknown(artifact) for artifact in left if artifact.path not in used)))
    if not checkpoints and all(isinstance(fact, Skip) for fact in (*facts, *pickles)):
        reasons = [*found.skips, *(fact for fact in facts if isinstance(fact, Skip)), *skips]
        raise NothingReadableError(unread.nothing_in(path, found, reasons))
    runs = several_runs(facts)
    if runs:
        raise SeveralRunsError(path, runs)
    facts.extend(pickles)
    checkpoints, unexamined = examine_checkpoints(found.root, checkpoints, weights, progress)
    if weights != "off":
        recordings = [fact for fact in facts if isinstance(fact, Recording)]
        facts.extend(belonging(found.root, checkpoints, recordings))
    checkpoints = with_gaps(checkpoints, found.artifacts)
    apart = told_apart(facts, _between(found.artifacts))
    skips = (*found.skips, *skips, *unexamined)
    run = assemble(path, found.artifacts, apart.facts, checkpoints, skips)
    run = replace(run, hidden=secrets_of(found.artifacts))
    run = replace(run, trainings=_trainings(run, apart.trainings, skips))
    internal = (skip.reason for skip in run.skips if skip.internal)
    return run, tuple(dict.fromkeys((*failures, *internal)))


def _between(artifacts: Sequence[Artifact]) -> Between:
    """Return what reads the lines between two entries of a file; of one that cannot be read again there are none."""
    files = {artifact.path: artifact for artifact in artifacts}

    def between(path: str, place: str, spans: Sequence[tuple[int, int]]) -> list[list[str]]:
        artifact = files.get(path)
        try:
            with contained(f"a second look at {path}"):
                if artifact is not None:
                    return lines_between(artifact, _document_of(artifact, _head(artifact)), place, spans)
        except ForensicsError:
            pass
        return [[] for _ in spans]

    return between


def _head(artifact: Artifact) -> bytes:
    with File(artifact.location) as file:
        return file.head(HEAD_BYTES)


def _document_of(artifact: Artifact, head: bytes) -> Document | None:
    return next((each for each in catalog.documents() if each.takes(artifact, head)), None)


def _trainings(run: Run, trainings: Sequence[Sequence[Fact]], skips: Iterable[Skip]) -> tuple[Run, ...]:
    """Return each training of a log with several; what was saved is of the last, and so is how the run ended."""
    read: list[Run] = []
    for number, facts in enumerate(trainings, 1):
        last = number == len(trainings)
        read.append(assemble(run.root, run.artifacts, facts, run.checkpoints if last else (), skips))
        read[-1] = replace(read[-1], hidden=run.hidden, attempts=read[-1].attempts if last else ())
    siblings = tuple(each.timeline for each in read)
    return tuple(replace(each, siblings=siblings) for each in read)


def _taken_alone(artifact: Artifact) -> bool:
    """Tell whether a reader knows the file by its name as its own: no weight file, though it may look like one."""
    return any(reader.alone and reader.takes(artifact.path) for reader in catalog.readers())


def _named(path: str) -> tuple[Reader, ...]:
    return tuple(reader for reader in catalog.readers() if reader.takes(path))


def readers_of(artifact: Artifact, head: bytes | None, takers: Takers = _named) -> Iterator[Reader]:
    """Yield the readers that know the file by its name or by its first bytes; a file may be several things.

    Without a head only those that know its name, which `takers` are asked for.
    """
    named = takers(artifact.path)
    alone = [reader for reader in named if reader.alone]
    if alone or head is None:
        yield from alone or named
        return
    binary = looks_binary(head)

    def known(reader: Reader) -> bool:
        return reader.sniff is not None and (reader.binary or not binary) and reader.sniff(head)

    yield from [reader for reader in catalog.readers() if reader in named or known(reader)]


def _facts(artifact: Artifact, failures: list[str], left: list[Artifact]) -> Iterator[Fact]:
    why = unread.untouched(artifact)
    if why:
        yield Skip(artifact.path, why)
        return
    try:
        with contained(f"the first look at {artifact.path}"):
            head = _head(artifact)
            chosen = list(readers_of(artifact, head))
            document = _document_of(artifact, head)
    except ForensicsError as error:
        yield Skip(artifact.path, str(error), isinstance(error, InternalError))
        return
    why = unread.held_back(artifact, head, opened=document is not None)
    if why:
        yield Skip(artifact.path, why)
        return
    if document is not None:
        facts = list(_parts(document, artifact, failures))
        if not facts:
            left.append(artifact)
        yield from facts
        return
    if not chosen:
        left.append(artifact)
    yield from _read_by(chosen, artifact, failures)


def _parts(document: Document, artifact: Artifact, failures: list[str]) -> Iterator[Fact]:
    """Read every piece of a document as a file of its own; what it tells is told of the document."""
    takers = cache(_named)  # the many pieces of a document have few names
    try:
        for piece in document.split(artifact):
            if isinstance(piece, Skip):
                yield piece
            else:
                part = part_of(artifact, piece)
                head = None if piece.known else head_of(part, piece, HEAD_BYTES)
                facts = _read_by(readers_of(part, head, takers), part, failures)
                yield from (relocated(fact, artifact, piece) for fact in facts)
    except ForensicsError as error:
        yield Skip(artifact.path, str(error))
    except Exception as error:  # noqa: BLE001  (one bad file must not cost the report; told as a failure)
        failures.append(f"document {document.name} failed on {artifact.path}: {type(error).__name__}: {error}")
        yield Skip(artifact.path, f"the reader of a {document.name} failed; this is an error of medforensics")


def _read_by(readers: Iterable[Reader], artifact: Artifact, failures: list[str]) -> Iterator[Fact]:
    for reader in readers:
        try:
            yield from _bounded(reader.read(artifact), artifact)
        except ForensicsError as error:
            yield Skip(artifact.path, str(error))
        except Exception as error:  # noqa: BLE001  (one bad file must not cost the report; told as a failure)
            failures.append(f"reader {reader.name} failed on {artifact.path}: {type(error).__name__}: {error}")
            yield Skip(artifact.path, f"the reader {reader.name} failed; this is an error of medforensics")


def _bounded(facts: Iterable[Fact], artifact: Artifact) -> Iterator[Fact]:
    """Yield facts, and of settings as many as a real file has: masking takes 100 us for each."""
    left = MOST_SETTINGS
    for fact in facts:
        left -= isinstance(fact, Setting)
        if left >= 0 or not isinstance(fact, Setting):
            yield fact
    if left < 0:
        yield Skip(artifact.path, f"{-left:,} of its {MOST_SETTINGS - left:,} settings were passed over")


def _weight(finding: Finding) -> int:
    """Order symptoms by what a user sees first: the loss, then gradients and weights, then all else."""
    return next((i for i, prefix in enumerate(GRAVEST) if finding.symptom.startswith(prefix)), len(GRAVEST))


def _last_fine(finding: Finding) -> int:
    known = [step for step in (*finding.step_range, finding.step) if step is not None]
    return min(known, default=1 << 62)


def _with_skips(run: Run, skips: list[Skip]) -> Run:
    return replace(run, skips=(*run.skips, *skips))
