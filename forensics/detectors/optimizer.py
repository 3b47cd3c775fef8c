"""The optimizer's own state is NaN, or began anew."""

from collections.abc import Iterator
from dataclasses import replace

from forensics.analysis.refine import last_clean_before, refine
from forensics.detectors._tables import OPTIMIZER, scanned, source_of, with_role
from forensics.detectors._wording import listed
from forensics.model import Checkpoint, Finding, Run
from forensics.plugin import detector


@detector("optimizer-nan", needs=("weights",))
def optimizer_nan(run: Run) -> Iterator[Finding]:
    """Find the first checkpoint whose moments or master weights are NaN or infinite.

    Source: one NaN gradient turns Adam's `exp_avg` and `exp_avg_sq` into NaN for good, so that resuming with this
    state poisons sound weights again.
    Minimum: one element.
    Silenced by: nothing.
    Known false alarms: none known.
    """
    for checkpoint, table in scanned(run):
        mask = with_role(table, *OPTIMIZER) & ((table.nan > 0) | (table.infinite > 0))
        if not bool(mask.any()):
            continue
        names = list(table.named(mask))
        roles = sorted({table.roles[i] for i in range(len(table)) if mask[i]})
        good = last_clean_before(run, checkpoint)
        finding = Finding(
            symptom="optimizer-nan",
            severity="error",
            statement=f"the optimizer state of {checkpoint.path} holds NaN or Inf in {len(names):,} tensors "
            f"({', '.join(roles)}: {listed(names)}); a resume with it poisons the weights again",
            source=source_of(checkpoint, names[0]),
            step=checkpoint.step,
            step_range=(None if good is None else good.step, checkpoint.step),
        )
        yield replace(refine(run, finding), step=checkpoint.step)
        return


@detector("optimizer-reset", needs=("optimizer",))
def optimizer_reset(run: Run) -> Iterator[Finding]:
    """Find an optimizer whose step counter went back while the run went on.

    Source: `torch.optim.AdamW` counts its steps in `step`; a resume without `optimizer.pt` starts at 0 again, and
    with it the moments and the bias correction.
    Minimum: two checkpoints that hold an optimizer step; or one whose counter lags behind its own step by exactly
    the step of an earlier checkpoint, from which the run must have gone on without it.
    Silenced by: a run that was restarted from an earlier checkpoint, whose own step went back as well.
    Known false alarms: an optimizer that is rebuilt on purpose for a new phase; it is a warning.
    """
    before: Checkpoint | None = None
    for checkpoint in run.checkpoints:
        state = checkpoint.optimizer
        if state is None or state.step is None or checkpoint.step is None:
            continue
        if before is not None and before.optimizer is not None and before.optimizer.step is not None:
            fell = state.step < before.optimizer.step
            if fell and before.step is not None and checkpoint.step > before.step:
                yield _reset(before, checkpoint, before.optimizer.step, state.step)
        if before is None and (start := _began_at(run, checkpoint, checkpoint.step - state.step)) is not None:
            yield _began(start, checkpoint, state.step)
        before = checkpoint


def _began_at(run: Run, checkpoint: Checkpoint, lag: int) -> Checkpoint | None:
    """Return the earlier checkpoint at whose step the optimizer began to count; None when skipped steps may lag."""
    state = checkpoint.optimizer
    if lag <= 0 or state is None or state.loss_scale is not None or state.skipped_steps:
        return None
    return next((one for one in run.checkpoints if one.step == lag and not _counts(one)), None)


def _counts(checkpoint: Checkpoint) -> bool:
    return checkpoint.optimizer is not None and checkpoint.optimizer.step is not None


def _began(start: Checkpoint, checkpoint: Checkpoint, counted: int) -> Finding:
    return Finding(
        symptom="optimizer-reset",
        severity="warning",
        statement=f"the optimizer counts {counted:,} steps in {checkpoint.path}, which is step {checkpoint.step:,}: "
        f"the run went on from {start.path}, which holds no optimizer state, and its state began anew there",
        source=source_of(checkpoint),
        step=checkpoint.step,
        step_range=(start.step, None if start.step is None else start.step + 1),
    )


def _reset(before: Checkpoint, checkpoint: Checkpoint, was: int, now: int) -> Finding:
    return Finding(
        symptom="optimizer-reset",
        severity="warning",
        statement=f"the optimizer counts {now:,} steps in {checkpoint.path} and {was:,} in {before.path} before: "
        "its state began anew between them",
        source=source_of(checkpoint),
        step=checkpoint.step,
        step_range=(before.step, checkpoint.step),
    )
