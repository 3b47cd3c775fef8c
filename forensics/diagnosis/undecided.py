"""What an answer of `unknown` is made of: causes that are open, what would decide between them, causes ruled out."""

from collections import defaultdict
from collections.abc import Sequence

from forensics.model import Evidence, Hypothesis

SHOWN = 4
"""Open causes that are named; the rest is counted."""


def deciding(remaining: Sequence[Hypothesis]) -> list[str]:
    """Return what was not recorded, first what would bear on most of the open causes, weighed by their cases."""
    weight: dict[str, int] = defaultdict(int)
    for hypothesis in remaining:
        for name in hypothesis.missing:
            weight[name] += 1 + hypothesis.cases
    return sorted(weight, key=lambda name: -weight[name])


def cannot_decide(remaining: Sequence[Hypothesis], known_of: Sequence[Hypothesis]) -> list[Evidence]:
    """Say that what was read cannot tell the open causes apart, and which files would.

    Files are asked for only for the sake of causes that the run shows a trace of.
    """
    if len(remaining) < 2:
        return []
    names = ", ".join(f"{h.cause} ({h.cases} public cases)" if h.cases else h.cause for h in remaining[:SHOWN])
    more = f" and {len(remaining) - SHOWN} more" if len(remaining) > SHOWN else ""
    said = f"what was read cannot tell {len(remaining)} open causes apart: {names}{more}"
    files = dict.fromkeys(_file_with(name) for name in deciding(known_of))
    wanted = "; ".join([*files][:SHOWN])
    return [Evidence(0, said), *([Evidence(0, f"what would decide, most telling first: {wanted}")] if wanted else [])]


def _file_with(name: str) -> str:
    """Name the file in which a run records something (a name as `Run.has` takes it)."""
    kind = name.partition(" ")[0]
    if kind in {"package", "hardware"}:
        return "the environment (pip freeze, torch.utils.collect_env)"
    if kind in {"event", "events"}:
        return "the console log with its warnings"
    if kind in {"weights", "checkpoints", "optimizer"}:
        return "a checkpoint from before and one from after the onset"
    if kind in {"loss", "grad_norm", "eval_loss", "learning_rate", "epoch", "loss_scale"}:
        return f"{kind} in the log, at every step (logging_steps=1)"
    if name.startswith(("zero_optimization.", "bf16.", "fp16.")):
        return "the DeepSpeed configuration"
    return "the settings (training_args.bin, the YAML or launch script)"


def told_as_excluded(hypothesis: Hypothesis) -> Evidence:
    """Return why a cause is ruled out, with the place that contradicts it."""
    contradiction = hypothesis.contradiction
    assert contradiction is not None
    return Evidence(0, f"excluded: {hypothesis.cause} ({contradiction.statement})", contradiction.source)
