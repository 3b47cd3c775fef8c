"""Runs made in memory, for the tests of detectors and rules: ours and those of rule authors."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from forensics.analysis.endings import attempts_of
from forensics.model import (
    Checkpoint,
    Counts,
    Environment,
    Events,
    Group,
    OptimizerState,
    Precision,
    Problem,
    Recording,
    Role,
    Run,
    Scalar,
    Segment,
    Series,
    Setting,
    Skip,
    Source,
    Standing,
    TensorTable,
    Timeline,
    Trained,
)
from forensics.model.columns import Coded, Names, Shapes

MADE = "trainer_state.json"
PLACE = "log_history[{}]"


def make_series(
    name: str, values: Sequence[float], steps: Sequence[int], precision: Precision = Precision.DOUBLE
) -> Series:
    """Return one metric over `steps`, as if read from a trainer state."""
    size = len(values)
    return Series(
        name=name,
        steps=np.asarray(steps, dtype=np.int64),
        values=np.asarray(values, dtype=np.float64),
        wall_times=np.full(size, np.nan),
        records=np.arange(size, dtype=np.int64),
        origins=np.zeros(size, dtype=np.int32),
        precisions=np.full(size, int(precision), dtype=np.int8),
        places=((MADE, PLACE),),
    )


def make_events(
    kind: str, steps: Sequence[int] = (-1,), values: Sequence[float] | None = None, text: str = ""
) -> Events:
    """Return the occurrences of one kind of event, as if read from a log."""
    size = len(steps)
    return Events(
        kind=kind,
        steps=np.asarray(steps, dtype=np.int64),
        values=np.full(size, np.nan) if values is None else np.asarray(values, dtype=np.float64),
        records=np.arange(1, size + 1, dtype=np.int64),
        path="train.log",
        place="line {}",
        text=text,
    )


def make_environment(
    settings: Mapping[str, Scalar] | None = None,
    packages: Mapping[str, str] | None = None,
    hardware: Mapping[str, Scalar] | None = None,
    variables: Mapping[str, Scalar] | None = None,
) -> Environment:
    """Return an environment in which every fact was recorded by the run itself."""
    entries: dict[tuple[Group, str], tuple[Setting, ...]] = {}
    groups: tuple[tuple[Group, Mapping[str, Scalar]], ...] = (
        ("setting", settings or {}),
        ("package", packages or {}),
        ("hardware", hardware or {}),
        ("variable", variables or {}),
    )
    for group, facts in groups:
        for name, value in facts.items():
            setting = Setting(group, name, value, Source("environment.txt", name), Standing.RECORDED)
            entries[(group, name)] = (setting,)
    return Environment(entries)


def make_run(  # noqa: PLR0913  (every part of a run may be given, none must be)
    *,
    logging_steps: int = 1,
    first_step: int | None = None,
    precision: Precision = Precision.DOUBLE,
    settings: Mapping[str, Scalar] | None = None,
    packages: Mapping[str, str] | None = None,
    hardware: Mapping[str, Scalar] | None = None,
    variables: Mapping[str, Scalar] | None = None,
    events: Sequence[Events] = (),
    checkpoints: Sequence[Checkpoint] = (),
    skips: Sequence[Skip] = (),
    steps: Mapping[str, Sequence[int]] | None = None,
    frameworks: tuple[str, ...] = (),
    recordings: Sequence[Recording] = (),
    **metrics: Sequence[float],
) -> Run:
    """Return a run with the given metrics, one entry every `logging_steps` optimizer steps.

    >>> run = make_run(loss=[2.0, 1.5, 0.0], logging_steps=10)
    >>> run.timeline["loss"].steps.tolist()
    [10, 20, 30]
    """
    first = logging_steps if first_step is None else first_step
    series = {}
    for name, values in metrics.items():
        spaced = [first + logging_steps * i for i in range(len(values))]
        series[name] = make_series(name, values, (steps or {}).get(name, spaced), precision)
    known = [int(s.steps[-1]) for s in series.values() if len(s)]
    segments = (Segment(first, max(known)),) if known else ()
    timeline = Timeline(series=series, events=tuple(events), segments=segments)
    return Run(
        root=Path("run"),
        timeline=timeline,
        environment=make_environment(settings, packages, hardware, variables),
        checkpoints=tuple(checkpoints),
        skips=tuple(skips),
        frameworks=frameworks,
        attempts=attempts_of(timeline),
        recordings=tuple(recordings),
    )


def make_table(  # noqa: PLR0913  (columns of a table)
    names: Sequence[str] = ("model.layers.0.mlp.weight", "model.norm.weight"),
    *,
    elements: int = 64,
    nan: Mapping[str, int] | None = None,
    infinite: Mapping[str, int] | None = None,
    zero: Mapping[str, int] | None = None,
    same: Mapping[str, int] | int | None = None,
    trained: Mapping[str, Trained] | None = None,
    dtype: str = "F32",
    role: Role = "weight",
) -> TensorTable:
    """Return the scan of tensors of `elements` elements each, healthy where nothing else is said."""
    size = len(names)

    def column(given: Mapping[str, int] | None) -> Counts:
        return Counts.of([(given or {}).get(name, 0) for name in names])

    compared = column(same) if isinstance(same, Mapping) else Counts.of([same] * size)
    ones = np.ones(size)
    return TensorTable(
        names=Names(names),
        roles=Coded.all(role, size),
        dtypes=Coded.all(dtype, size),
        shapes=Shapes.of([(elements,)] * size),
        trained=Coded.of((trained or {}).get(name, "trainable") for name in names),
        elements=np.full(size, elements, dtype=np.int64),
        nan=column(nan),
        positive_infinity=column(infinite),
        negative_infinity=column(None),
        zero=column(zero),
        subnormal=column(None),
        minimum=-ones,
        maximum=ones,
        max_abs=ones,
        mean=0 * ones,
        l2=np.sqrt(elements) * ones,
        dead_rows=Counts.none(size),
        same=compared,
        change_l2=np.where(compared.equal(elements), 0.0, 0.1),
        change_max=np.where(compared.equal(elements), 0.0, 0.01),
    )


def make_checkpoint(
    step: int,
    table: TensorTable | None = None,
    *,
    problems: Sequence[Problem] = (),
    optimizer: OptimizerState | None = None,
    kind: str = "huggingface",
) -> Checkpoint:
    """Return a checkpoint after `step`; its weights are clean unless `table` says otherwise."""
    made = Checkpoint(path=f"checkpoint-{step}", kind=kind, step=step, problems=tuple(problems), depth="full")
    return replace(made, table=make_table() if table is None else table, optimizer=optimizer)


TENSORS = ("model.layers.0.mlp.weight", "model.norm.weight")


def make_recording(  # noqa: PLR0913  (what may be wrong with a rank)
    rank: int = 0,
    *,
    world: int = 2,
    steps: Sequence[int] = range(1, 13),
    names: Sequence[str] = TENSORS,
    kind: str = "replicated",
    local_bad: Mapping[int, Sequence[str]] | None = None,
    reduced_bad: Mapping[int, Sequence[str]] | None = None,
    unreduced: bool = False,
    drift_from: int | None = None,
    still: float = 0.0,
    skipped: Sequence[int] = (),
    scale: float = np.nan,
    batches: Mapping[int, str] | None = None,
    dtype: str = "float32",
    start: float = 1000.0,
) -> Recording:
    """Return the black box of one rank, healthy where nothing else is said.

    `local_bad` and `reduced_bad` name by step the tensors whose gradients hold NaN before and after the reduction;
    `still` is the share of weights that do not move; `batches` the check sum of each step's tokens.
    """
    count, tensors = len(steps), len(names)
    numbers = np.asarray(steps, dtype=np.int64)
    values = np.zeros((count, tensors, 7), dtype=np.float32)
    values[:, :, 0:2] = 1.0 + rank
    values[:, :, 2:4] = values[:, :, 0:2] if unreduced else 1.5
    values[:, :, 4], values[:, :, 5], values[:, :, 6] = (0.0 if still == 1 else 0.1), 3.0, still
    for column, bad in ((0, local_bad or {}), (2, reduced_bad or {})):
        for step, hit in bad.items():
            row = int(np.flatnonzero(numbers == step)[0])
            values[row, [list(names).index(name) for name in hit], column : column + 2] = np.nan
    hashes = np.repeat(numbers[:, None], tensors, axis=1)
    if drift_from is not None:
        hashes[numbers >= drift_from] += rank
    flags = np.isin(numbers, list(skipped)).astype(np.int64)
    return Recording(
        path=f"blackbox/rank{rank:05d}-{int(start)}-1.meta.json",
        rank=rank,
        world=world,
        start=start,
        kind=kind,
        reduced_read="callback" if world > 1 else "step",
        accumulates=True,
        names=tuple(names),
        dtypes=(dtype,) * tensors,
        probes=np.tile(np.array([1, 64], dtype=np.int64), (tensors, 1)),
        order=np.arange(tensors, dtype=np.int64)[::-1],
        steps=numbers,
        rows=np.arange(1, count + 1, dtype=np.int64),
        flags=flags,
        values=values,
        marks=np.full((count, tensors), 1 | 2 | 8 | 32, dtype=np.int64),
        hashes=hashes,
        losses=np.full(count, 2.0),
        bad_losses=np.zeros(count, dtype=bool),
        scales=np.full(count, scale),
        rates=np.full(count, 1e-4),
        batches={step: (text,) for step, text in (batches or {}).items()},
        optimizer="AdamW",
    )
