"""One failure, seen by several sources: the bracket must hold the truth and get narrower, never wrong."""

import math
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.analysis.refine import last_clean_before, poisoned_checkpoint, refine
from forensics.analysis.tails import gradient_onset, loss_onset, loss_tail
from forensics.model import Checkpoint, Finding, Run, Source, StepRange
from forensics.testing import make_checkpoint, make_run, make_table

WINDOW = 10


@dataclass(frozen=True)
class Fault:
    """A run of `entries` logged entries in which the NaN is left by step `step`."""

    step: int
    window: int
    accumulation: int
    entries: int
    forward: bool
    """Whether the forward pass of the step is NaN already; else only its gradient."""


@st.composite
def faults(draw: st.DrawFn) -> Fault:
    window = draw(st.sampled_from([1, 2, 5, 10, 20]))
    entries = draw(st.integers(3, 14))
    step = draw(st.integers(1, window * (entries - 2)))
    return Fault(step, window, draw(st.sampled_from([1, 2, 4, 8])), entries, draw(st.booleans()))


def logged(fault: Fault, loss: float = 1.5) -> tuple[list[float], list[float]]:
    """Return the loss as the Trainer's filter logs it and the gradient norm at each entry."""
    losses, norms = [], []
    first_bad = fault.step if fault.forward else fault.step + 1
    for entry in range(fault.entries):
        total = 0.0
        for done in range(fault.window):
            bad = entry * fault.window + done + 1 >= first_bad
            for _ in range(fault.accumulation):
                total += total / (1 + done) if bad else loss / fault.accumulation
        losses.append(total / fault.window)
        norms.append(math.nan if (entry + 1) * fault.window >= fault.step else 0.4)
    return losses, norms


def onset_of(run: Run) -> Finding:
    series = run.timeline["loss"]
    tail = loss_tail(series)
    assert tail is not None
    bracket = loss_onset(run, series, tail).bracket()
    draft = Finding("loss-to-zero", "error", "", Source("log"), int(series.steps[tail.index]), bracket)
    return refine(run, draft)


def assert_holds(bracket: StepRange, fault: Fault) -> None:
    fine, bad = bracket
    assert bad is not None
    assert fine is not None
    assert fine <= fault.step <= bad
    assert bad - fine <= max(fault.window, 1)


@given(faults(), st.booleans(), st.booleans())
def test_the_bracket_holds_the_fault_and_is_no_wider_than_a_window(
    fault: Fault, with_norms: bool, with_settings: bool
) -> None:
    losses, norms = logged(fault)
    settings = {"logging_steps": fault.window, "gradient_accumulation_steps": fault.accumulation}
    kept = settings if with_settings else None
    if with_norms:
        run = make_run(logging_steps=fault.window, settings=kept, loss=losses, grad_norm=norms)
    else:
        run = make_run(logging_steps=fault.window, settings=kept, loss=losses)

    assert_holds(onset_of(run).step_range, fault)


def test_an_absurd_entry_is_decoded_into_the_exact_step() -> None:
    """L = 10 and G = 8 recorded: 83,734 times the loss means one finite step in the window."""
    fault = Fault(step=32, window=10, accumulation=8, entries=6, forward=True)
    losses, _ = logged(fault)
    settings = {"logging_steps": 10, "gradient_accumulation_steps": 8}
    found = onset_of(make_run(logging_steps=10, settings=settings, loss=losses))

    assert (found.step_range, found.step) == ((31, 32), 32)


def test_without_the_accumulation_the_window_remains() -> None:
    losses, _ = logged(Fault(step=32, window=10, accumulation=8, entries=6, forward=True))
    found = onset_of(make_run(logging_steps=10, loss=losses))

    assert (found.step_range, found.step) == ((31, 41), 50)


def test_a_healthy_norm_before_shuts_the_window_before_out() -> None:
    run = make_run(logging_steps=10, loss=[1.0, 1.0, 0.0, 0.0], grad_norm=[0.4, 0.4, math.nan, math.nan])

    assert onset_of(run).step_range == (20, 30)


def test_checkpoints_narrow_what_the_log_leaves_open() -> None:
    checkpoints = [make_checkpoint(24), make_checkpoint(27, make_table(nan={"model.norm.weight": 3}))]
    run = make_run(logging_steps=10, loss=[1.0, 1.0, 0.8, 0.0], checkpoints=checkpoints)

    assert onset_of(run).step_range == (24, 28)


def test_a_source_of_another_event_is_left_out_of_account() -> None:
    checkpoints = [make_checkpoint(90), make_checkpoint(95, make_table(nan={"model.norm.weight": 3}))]
    run = make_run(logging_steps=10, loss=[1.0, 1.0, 0.8, 0.0], checkpoints=checkpoints)

    assert onset_of(run).step_range == (21, 31)


def test_findings_of_other_symptoms_pass_unchanged() -> None:
    finding = Finding("lr-zero", "error", "", Source("log"), 40, (None, 40))

    assert finding == refine(make_run(loss=[1.0, 0.0]), finding)


def test_a_norm_of_some_bad_groups_is_the_onset_of_a_sentinel() -> None:
    """One group of two is bad at step 17: sqrt(1 + 0.164^2), then sqrt(2) from step 18 on."""
    norms = [0.35] * 16 + [1.0134] + [1.4142135381698608] * 10
    run = make_run(loss=[1.0] * 17 + [0.0] * 10, grad_norm=norms)
    onset = gradient_onset(run)

    assert onset is not None
    assert onset.bracket() == (17, 17)
    assert onset_of(run).step_range == (17, 18)


def test_a_usual_norm_before_a_sentinel_leaves_both_steps_open() -> None:
    run = make_run(loss=[1.0] * 17 + [0.0] * 10, grad_norm=[1.1] * 17 + [1.4142135381698608] * 10)
    onset = gradient_onset(run)

    assert onset is not None
    assert onset.bracket() == (16, 18)


def test_infinities_in_buffers_poison_no_checkpoint() -> None:
    mask = make_table(["attn.bias"], infinite={"attn.bias": 8}, role="buffer")
    run = make_run(checkpoints=[make_checkpoint(10, mask), make_checkpoint(20)])

    assert poisoned_checkpoint(run) is None


def test_only_a_checkpoint_read_in_full_counts_as_clean() -> None:
    bad = make_checkpoint(30, make_table(nan={"model.norm.weight": 1}))
    quick = Checkpoint(path="checkpoint-20", kind="huggingface", step=20, table=make_table(), depth="quick")
    run = make_run(checkpoints=[make_checkpoint(10), quick, bad])
    found = last_clean_before(run, bad)

    assert found is not None
    assert found.step == 10


@pytest.mark.parametrize("size", [1, 2, 7])
def test_a_loss_that_ends_in_numbers_has_no_tail(size: int) -> None:
    assert loss_tail(make_run(loss=[0.0] * size + [1.0]).timeline["loss"]) is None
