"""What differs between two runs: versions, settings, hardware, variables, counts of events."""

from collections.abc import Iterator

from forensics.comparison.difference import Difference
from forensics.model import Group, Run, Scalar, Setting, Source
from forensics.names import Kind

GROUPS: tuple[Group, ...] = ("package", "setting", "hardware", "variable")
OF_THE_MOMENT = frozenset(
    {
        "output_dir",
        "logging_dir",
        "run_name",
        "local_rank",
        "process_id",
        "master_addr",
        "master_port",
        "hostname",
        "host",
        "world_info",
        "resume_from_checkpoint",
        "deepspeed",
        "deepspeed_config",
    }
)
"""Names that differ between any two runs, or point to a file whose contents are compared."""
SIGNS = (
    Kind.TOKENIZATION_MISMATCH,
    Kind.RESPONSE_TEMPLATE_NOT_FOUND,
    Kind.ALL_LABELS_IGNORED,
    Kind.NO_INPUT_REQUIRES_GRAD,
    Kind.NEWLY_INITIALIZED,
    Kind.UNUSED_WEIGHTS,
    Kind.PAD_TOKEN,
    Kind.LR_BEFORE_STEP,
    Kind.LR_UNAVAILABLE,
    Kind.OVERFLOW,
    Kind.LOSS_SCALE_AT_MINIMUM,
    Kind.NONFINITE_SKIPPED,
    Kind.CUDNN_SDPA_STRIDES,
    Kind.DATA_PARALLEL,
    Kind.CHECKPOINT_REFUSED,
    Kind.GATHER_DISABLED,
    Kind.SIZE_MISMATCH,
)
"""Events that tell of data, weights or precision; those of a crash are the outcome, not a difference."""


def differences(good: Run, bad: Run) -> Iterator[Difference]:
    """Yield all that differs, by group and name."""
    for group in GROUPS:
        names = {name for run in (good, bad) for kind, name in run.environment.entries if kind == group}
        for name in sorted(names - OF_THE_MOMENT if group in {"setting", "variable"} else names):
            if name.startswith("inferred."):
                continue  # deduced from the look of a log, for want of the version itself
            one, other = good.environment.best(name, group), bad.environment.best(name, group)
            if not same(_value(one), _value(other)):
                yield _difference(group, name, one, other)
    yield from _signs(good, bad)
    ended, died = good.ending, bad.ending
    if ended is not None and died is not None and ended.kind != died.kind:
        yield Difference("event", "ending", ended.kind, died.kind, ended.source, died.source)


def same(one: Scalar, other: Scalar) -> bool:
    """Tell whether two values mean the same: 1e-05 and "1e-5", True and "true", None and "none".

    >>> same("1e-5", 1e-05), same("True", True), same("0.11.1", "0.12.5")
    (True, True, False)
    """
    return _plain(one) == _plain(other)


def _plain(value: Scalar) -> str | float:
    text = str(value).strip().lower()
    if text in {"", "none", "null"}:
        return "none"
    try:
        return float(text)
    except ValueError:
        return text


def _value(setting: Setting | None) -> Scalar:
    return None if setting is None else setting.value


def _difference(group: Group, name: str, good: Setting | None, bad: Setting | None) -> Difference:
    return Difference(
        group=group,
        name=name,
        good=_value(good),
        bad=_value(bad),
        good_source=None if good is None else good.source,
        bad_source=None if bad is None else bad.source,
    )


def _signs(good: Run, bad: Run) -> Iterator[Difference]:
    for kind in SIGNS:
        one, other = good.timeline.count_of(kind), bad.timeline.count_of(kind)
        if one == other or not _logged(good) or not _logged(bad):
            continue
        yield Difference("event", kind, one, other, _where(good, kind), _where(bad, kind))


def _logged(run: Run) -> bool:
    return any(len(events) for events in run.timeline.events)


def _where(run: Run, kind: str) -> Source:
    """Return where the event was read first, or else a log that would have shown it."""
    found = next((events for events in run.timeline.events_of(kind) if len(events)), None)
    return found.source_at(0) if found is not None else next(e for e in run.timeline.events if len(e)).source_at(0)
