"""What every report says, in the order in which it says it: pure functions from the report to short texts."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from forensics.analysis.places import place
from forensics.deferred.records import dataclass
from forensics.diagnosis.reliability import reliability_of
from forensics.model import Axis, Checkpoint, Evidence, Finding, Group, Hypothesis, Report, Run, Setting, Skip
from forensics.report._safe import clean

PACKAGES = (
    "transformers",
    "deepspeed",
    "accelerate",
    "torch",
    "peft",
    "trl",
    "python",
    "numpy",
    "safetensors",
    "bitsandbytes",
    "flash-attn",
    "lightning",
    "tokenizers",
    "datasets",
)
HARDWARE = ("gpu", "gpu_count", "driver", "cuda", "nccl", "platform")
SETTINGS = (
    "learning_rate",
    "bf16",
    "fp16",
    "bf16.enabled",
    "fp16.enabled",
    "zero_optimization.stage",
    "zero_optimization.overlap_comm",
    "zero_optimization.contiguous_gradients",
    "zero_optimization.reduce_bucket_size",
    "gradient_accumulation_steps",
    "per_device_train_batch_size",
    "logging_steps",
    "logging_nan_inf_filter",
    "max_grad_norm",
    "world_size",
    "model.model_type",
    "model.dtype",
    "model.torch_dtype",
)
EXCLUDED = "excluded: "
SHOWN_HYPOTHESES = 3
SHOWN_NAMES = 4


@dataclass(frozen=True, slots=True)
class Skipped:
    """Skips that share a reason, told together."""

    reason: str
    what: tuple[str, ...]


def step_text(finding: Finding) -> str:
    """Return the onset in words: exact, bracketed, or nothing.

    >>> from forensics.model import Source
    >>> step_text(Finding("loss-nan", "error", "", Source("log"), 30, (20, 30)))
    'step 21 to 30'
    >>> step_text(Finding("loss-nan", "error", "", Source("log"), 30, (30, 30), axis="entry"))
    'entry 30'
    """
    fine, bad = finding.step_range
    if finding.step is None and bad is None:
        return ""
    first = bad if bad is not None else finding.step
    if fine is None or first is None or fine >= first - 1:
        return place(finding.axis, first or 0)
    return f"{place(finding.axis, fine + 1)} to {first}"


def fine_text(run: Run, finding: Finding) -> str:
    """Return which step (or entry) was still fine, to be put after the onset; empty when none was read.

    A bracket may also follow from what a mean over several steps leaves possible: nobody saw that step.
    """
    fine, onset = finding.step_range[0], finding.onset
    if fine is None or onset is None or fine >= onset or not _was_read(run, fine, finding.axis):
        return ""
    return f" ({place(finding.axis, fine)} was fine)"


def _was_read(run: Run, where: int, axis: Axis) -> bool:
    logged = (s.value_at(where) is not None for s in run.timeline.series.values() if s.axis == axis)
    return any(logged) or (axis == "step" and any(c.step == where for c in run.checkpoints))


def family(hypothesis: Hypothesis) -> str:
    """Return the letters of the code: causes of one family are told apart, the others are far away.

    >>> family(Hypothesis("ds-zero12-comm-corruption", "DIST001", "", (), (), ()))
    'DIST'
    """
    return hypothesis.code.rstrip("0123456789")


def experiments_title(hypothesis: Hypothesis) -> str:
    return "What to do now" if hypothesis.code == "UNKNOWN" else "To be sure, cheapest first"


def chain_text(hypothesis: Hypothesis) -> str:
    return " <- ".join(reversed(hypothesis.chain))


def proven(report: Report, hypothesis: Hypothesis) -> list[tuple[str, Evidence]]:
    """Return the links behind a cause that are established while it is not, each with the sign that proves it."""
    known = {m.cause: m for m in report.mechanisms if m.verdict == "established" and m.evidence}
    links = [] if hypothesis.verdict == "established" else [link for link in hypothesis.chain if link in known]
    return [(link, max(known[link].evidence, key=lambda sign: sign.points)) for link in links]


def score_text(hypothesis: Hypothesis) -> str:
    measured = reliability_of(hypothesis)
    return f"{hypothesis.verdict}, {hypothesis.score:+d}{'' if measured is None else f' ({measured})'}"


def standing_text(hypothesis: Hypothesis) -> str:
    """Return the code of a cause and how sure it is, to be put behind its name; "unknown" has neither."""
    return "" if hypothesis.code == "UNKNOWN" else f" ({hypothesis.code})  {score_text(hypothesis)}"


def mark(e: Evidence) -> str:
    """Return the points of a piece of evidence, or whether a necessary condition holds.

    >>> mark(Evidence(4, "")), mark(Evidence(0, "", state=False))
    ('+4', 'fails')
    """
    if e.state is None:
        return f"{e.points:+d}" if e.points else ""
    return "holds" if e.state else "fails"


def argued(hypothesis: Hypothesis) -> tuple[Evidence, ...]:
    """Return the evidence to show; what "unknown" excludes is told in one place, with the other causes ruled out."""
    if hypothesis.code != "UNKNOWN":
        return hypothesis.evidence
    return tuple(e for e in hypothesis.evidence if not e.statement.startswith(EXCLUDED))


def open_text(hypothesis: Hypothesis) -> str:
    """Say what would decide: the necessary conditions of which nothing on file tells whether they hold."""
    return f"would decide: whether {'; whether '.join(map(clean, hypothesis.would_decide))}"


TENABLE = ("established", "likely", "possible")


def shown_hypotheses(report: Report) -> tuple[Hypothesis, ...]:
    """Return the hypotheses worth a paragraph: those that may be true, at most three.

    In a healthy run all there is to explain are notices, and what merely may explain a notice is no news.
    """
    if report.verdict == "healthy":
        tenable = [h for h in report.hypotheses if h.verdict in {"established", "likely"}]
    else:
        tenable = [h for h in report.hypotheses if h.verdict in TENABLE or h.code == "UNKNOWN"]
    return tuple(tenable[:SHOWN_HYPOTHESES])


def ruled_out(report: Report) -> tuple[Hypothesis, ...]:
    return tuple(h for h in report.hypotheses if h.verdict == "ruled out")


def checkpoint_line(checkpoint: Checkpoint) -> str:
    """Return what a scan saw in one checkpoint, in a few words."""
    table = checkpoint.table
    if table is None:
        return "; ".join(clean(p.statement) for p in checkpoint.problems) or "weights not examined"
    parts = []
    weights = table.is_weight
    for word, mask in (
        ("NaN", table.nan > 0),
        ("Inf", table.infinite > 0),
        ("all zero", table.all_zero),
        ("unchanged", table.unchanged & ~table.frozen),
    ):
        count = int(np.count_nonzero(mask & weights))
        if count:
            parts.append(f"{count} {word}")
    other = int(np.count_nonzero((table.nan > 0) & ~weights))
    if other:
        parts.append(f"{other} NaN in the optimizer")
    unread = int(np.count_nonzero(table.unread))
    if unread:
        parts.append(f"{unread:,} could not be read")
    found = f"{int(np.count_nonzero(weights))} tensors: {', '.join(parts) or 'nothing wrong'}"
    return "; ".join([found, *(clean(p.statement) for p in checkpoint.problems)])


def environment_lines(run: Run) -> Iterator[tuple[str, str]]:
    """Yield (what, values) in three lines at most: packages, hardware, settings."""
    environment = run.environment
    groups: tuple[tuple[str, Group, tuple[str, ...], str], ...] = (
        ("packages", "package", PACKAGES, " "),
        ("hardware", "hardware", HARDWARE, " "),
        ("settings", "setting", SETTINGS, "="),
    )
    for title, group, names, joint in groups:
        found = [(name, environment.best(name, group)) for name in names]
        shown = [f"{name}{joint}{_value(run, setting)}" for name, setting in found if setting is not None]
        if shown:
            yield title, ", ".join(shown)


def environment_rows(run: Run) -> Iterator[tuple[str, str, str]]:
    """Yield (name, value, where it was read) of what usually matters, with conflicts told."""
    environment = run.environment
    for name in PACKAGES:
        setting = environment.best(name, "package")
        if setting is not None:
            yield name, _value(run, setting), str(setting.source)
    for name in HARDWARE:
        setting = environment.best(name, "hardware")
        if setting is not None:
            yield name, _value(run, setting), str(setting.source)
    for name in SETTINGS:
        setting = environment.best(name)
        if setting is not None:
            yield name, _value(run, setting), str(setting.source)


def _value(run: Run, setting: Setting) -> str:
    shown = clean(str(setting.value), 80)
    others = dict.fromkeys(str(s.value) for s in run.environment.conflicts(setting.name, setting.group))
    if others:
        shown += f" (elsewhere {clean(', '.join(list(others)[:3]), 80)})"
    return shown


def skip_groups(skips: Sequence[Skip]) -> tuple[Skipped, ...]:
    """Group what was not examined by reason; detectors that lacked input come last, as one group."""
    groups: dict[str, list[str]] = defaultdict(list)
    idle: list[str] = []
    for skip in skips:
        if skip.what.startswith("detector "):
            idle.append(f"{skip.what.removeprefix('detector ')} ({skip.reason})")
        else:
            groups[skip.reason].append(skip.what)
    told = [Skipped(reason, tuple(what)) for reason, what in groups.items()]
    if idle:
        told.append(Skipped("symptoms that could not be judged", tuple(idle)))
    return tuple(told)


def some(names: Sequence[str], most: int = SHOWN_NAMES) -> str:
    """Return the first few names and how many more there are."""
    shown = ", ".join(clean(name, 120) for name in names[:most])
    return f"{shown} and {len(names) - most:,} more" if len(names) > most else shown
