"""Facts to one run: sources merged, steps resolved, restarts found, settings ranked by their witnesses."""

import time
from collections.abc import Iterable
from dataclasses import replace

from forensics.analysis.endings import attempts_of
from forensics.assemble.axes import align
from forensics.assemble.counters import global_steps
from forensics.assemble.environment import frameworks_of, natural, rank_settings
from forensics.assemble.excerpt import is_excerpt
from forensics.assemble.main_loss import with_loss
from forensics.assemble.meanings import with_meanings
from forensics.assemble.merge import merge
from forensics.assemble.order import in_order
from forensics.assemble.rate import with_rate
from forensics.assemble.recorded import with_recorded
from forensics.assemble.steps import resolve_steps
from forensics.model import (
    Artifact,
    Checkpoint,
    Events,
    Fact,
    Recording,
    Run,
    Samples,
    Setting,
    Skip,
    Timeline,
)
from forensics.storage.locations import Place


def assemble(
    root: Place,
    artifacts: tuple[Artifact, ...],
    facts: Iterable[Fact],
    checkpoints: tuple[Checkpoint, ...] = (),
    skips: Iterable[Skip] = (),
) -> Run:
    """Put everything that was read of one run together.

    The result does not depend on the order in which artifacts were read, but for the order of files in their
    natural sort (`checkpoint-9` before `checkpoint-10`), which tells the older of two equal witnesses.
    """
    samples: list[Samples] = []
    events: list[Events] = []
    settings: list[Setting] = []
    recordings: list[Recording] = []
    left_out = list(skips)
    for fact in facts:
        if isinstance(fact, Samples):
            samples.append(fact)
        elif isinstance(fact, Events):
            events.append(fact)
        elif isinstance(fact, Setting):
            settings.append(fact)
        elif isinstance(fact, Recording):
            recordings.append(fact)
        else:
            left_out.append(fact)
    environment = rank_settings(with_meanings(settings), checkpoints)
    samples, assumed = global_steps(with_rate(with_loss(with_recorded(samples))))
    resolved, copies = resolve_steps(samples, environment)
    aligned = align(resolved)
    left_out.extend((*assumed, *copies, *aligned.skips))
    merged = merge(aligned.blocks)
    timeline = Timeline(
        series=merged.series,
        events=(*in_order(events, resolved), *merged.rewinds),
        segments=merged.segments,
        disagreements=merged.disagreements,
        samples=tuple(resolved),
        excerpt=is_excerpt(aligned.blocks),
    )
    run = Run(
        root=root,
        timeline=timeline,
        environment=environment,
        checkpoints=checkpoints,
        artifacts=artifacts,
        skips=tuple(sorted(set(left_out), key=lambda skip: (natural(skip.what), skip.reason))),
        frameworks=frameworks_of(environment, checkpoints, artifacts),
        recordings=tuple(sorted(recordings, key=lambda r: (r.start, r.rank, natural(r.path)))),
    )
    return replace(run, attempts=attempts_of(timeline, run.planned_steps, run.planned_epochs, time.time()))
