"""Runs made in memory, for the tests of detectors and rules: ours and those of rule authors."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from forensics.analysis.endings import attempts_of
from forensics.model import (
    NOT_COMPARED,
    Checkpoint,
    Environment,
    Events,
    Group,
    OptimizerState,
    Precision,
    Problem,
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
) -> Environment:
    """Return an environment in which every fact was recorded by the run itself."""
    entries: dict[tuple[Group, str], tuple[Setting, ...]] = {}
    groups: tuple[tuple[Group, Mapping[str, Scalar]], ...] = (
        ("setting", settings or {}),
        ("package", packages or {}),
        ("hardware", hardware or {}),
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
    events: Sequence[Events] = (),
    checkpoints: Sequence[Checkpoint] = (),
    skips: Sequence[Skip] = (),
    steps: Mapping[str, Sequence[int]] | None = None,
    frameworks: tuple[str, ...] = (),
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
        environment=make_environment(settings, packages, hardware),
        checkpoints=tuple(checkpoints),
        skips=tuple(skips),
        frameworks=frameworks,
        attempts=attempts_of(timeline),
    )


def make_table(  # noqa: PLR0913  (columns of a table)
    names: Sequence[str] = ("model.layers.0.mlp.weight", "model.norm.weight"),
    *,
    elements: int = 64,
    nan: Mapping[str, int] | None = None,
    infinite: Mapping[str, int] | None = None,
    zero: Mapping[str, int] | None = None,
    same: Mapping[str, int] | int = NOT_COMPARED,
    trained: Mapping[str, Trained] | None = None,
    dtype: str = "F32",
    role: Role = "weight",
) -> TensorTable:
    """Return the scan of tensors of `elements` elements each, healthy where nothing else is said."""
    size = len(names)

    def column(given: Mapping[str, int] | None, default: int = 0) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return np.array([(given or {}).get(name, default) for name in names], dtype=np.int64)

    compared = column(same) if isinstance(same, Mapping) else np.full(size, same, dtype=np.int64)
    ones = np.ones(size)
    return TensorTable(
        names=tuple(names),
        roles=(role,) * size,
        dtypes=(dtype,) * size,
        shapes=((elements,),) * size,
        trained=tuple((trained or {}).get(name, "trainable") for name in names),
        elements=np.full(size, elements, dtype=np.int64),
        nan=column(nan),
        positive_infinity=column(infinite),
        negative_infinity=np.zeros(size, dtype=np.int64),
        zero=column(zero),
        subnormal=np.zeros(size, dtype=np.int64),
        minimum=-ones,
        maximum=ones,
        max_abs=ones,
        mean=0 * ones,
        l2=np.sqrt(elements) * ones,
        dead_rows=np.full(size, -1, dtype=np.int64),
        same=compared,
        change_l2=np.where(compared == elements, 0.0, 0.1),
        change_max=np.where(compared == elements, 0.0, 0.01),
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
