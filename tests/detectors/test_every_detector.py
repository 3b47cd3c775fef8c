"""What holds for all detectors together."""

import ast
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import forensics.detectors
from detectors.detecting import INF, NAN, detectors, everything, falling, find, norms
from forensics.model import SEVERITIES, Precision, Run, Timeline
from forensics.testing import make_events, make_run, make_series

SYMPTOMS = """
    loss-term-nan loss-to-zero loss-zero-transient loss-nan loss-nan-transient loss-spike loss-divergence
    loss-plateau loss-constant loss-uniform loss-scale-wrong loss-absurd-entry eval-nan eval-gap
    grad-norm-nan grad-norm-nan-isolated grad-norm-zero grad-norm-sentinel grad-norm-explosion
    lr-zero lr-constant lr-jump loss-scale-collapse steps-skipped step-gap step-rewind resume-jump
    weights-nan weights-inf weights-zero weights-unchanged weights-exploded optimizer-nan
    optimizer-reset checkpoint-damaged checkpoint-incomplete checkpoint-empty-tensors crash-oom
    crash-nccl crash-killed crash-disk crash-exception crash-signal crash-memory crash-device crash-launcher
    run-preempted run-evicted run-node-lost run-cancelled run-hung run-cut-off throughput-drop
    tokenization-mismatch-warnings suspiciously-low-loss dpo-first-loss
    loss-erratic loss-above-uniform warmup-never-ends metric-nan logps-zero setting-not-in-force
    kl-explosion local-gradient-nonfinite reduced-gradient-nonfinite reduction-did-nothing rank-drift
    reward-collapse update-stalled diversity-collapse
    optimizer-never-stepped data-repeated checkpoint-foreign unsafe-pickle
"""

METRICS = ("loss", "eval_loss", "grad_norm", "learning_rate", "loss_scale", "skipped_steps", "train_loss")
LARGEST = 3.4e38
"""What a float32 holds; trainers compute their metrics in float32."""
hostile = st.one_of(
    st.floats(width=32),
    st.sampled_from([0.0, -0.0, NAN, INF, -INF, 1.0, 2.0**0.5, LARGEST, -LARGEST, 1.4e-45, 1.5, 121486.8]),
)
extreme = st.one_of(st.floats(), st.sampled_from([1.7e308, -1.7e308, 5e-324, NAN, INF]))


@st.composite
def runs(draw: st.DrawFn, numbers: st.SearchStrategy[float] = hostile) -> Run:
    """Any run: series with NaN and infinities over any rising steps, any settings, any events."""
    series = {}
    for name in draw(st.sets(st.sampled_from([*METRICS, "reward"]), min_size=1)):
        steps = sorted(draw(st.sets(st.integers(0, 2**62), max_size=40)))
        values = draw(st.lists(numbers, min_size=len(steps), max_size=len(steps)))
        precision = draw(st.sampled_from(list(Precision)))
        series[name] = make_series(name, values, steps, precision)
    scalars = st.one_of(st.integers(-1, 600), st.floats(), st.just("x"), st.none())
    given_settings = draw(
        st.dictionaries(
            st.sampled_from(
                ["logging_steps", "gradient_accumulation_steps", "model.vocab_size", "learning_rate", "max_steps"]
            ),
            scalars,
        )
    )
    kinds = draw(st.sets(st.sampled_from(["overflow", "resumed", "signal", "traceback", "step-rewind"])))
    events = [make_events(kind, [draw(st.integers(-1, 50))], [draw(st.floats())]) for kind in kinds]
    run = make_run(settings=given_settings, events=events)
    timeline = Timeline(series=series, events=run.timeline.events)
    return Run(root=run.root, timeline=timeline, environment=run.environment)


def test_every_symptom_has_one_detector() -> None:
    unlisted = set(detectors()) - set(SYMPTOMS.split())
    assert not unlisted, f"add to SYMPTOMS of this file: {unlisted}"
    assert set(SYMPTOMS.split()) == set(detectors())


@pytest.mark.parametrize("name", SYMPTOMS.split())
def test_a_detector_names_its_source_its_minimum_and_its_false_alarms(name: str) -> None:
    doc = detectors()[name].doc

    assert [part for part in ("Source:", "Minimum:", "Silenced by:", "Known false alarms:") if part not in doc] == []


@given(runs())
@settings(max_examples=150, deadline=None)
def test_no_detector_raises_or_warns_on_any_series(run: Run) -> None:
    for finding in everything(run):
        fine, bad = finding.step_range
        assert finding.symptom in detectors()
        assert finding.severity in SEVERITIES
        assert finding.statement
        assert fine is None or bad is None or fine <= bad
        assert finding.until is None or finding.step is None or finding.step <= finding.until


@given(runs(extreme))
@settings(max_examples=50, deadline=None)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_no_detector_raises_where_float64_overflows(run: Run) -> None:
    assert {finding.symptom for finding in everything(run)} <= set(detectors())


@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from([1, 5, 10, 500]),
    st.sampled_from([0.0, NAN, INF]),
    st.booleans(),
)
@settings(deadline=None)
def test_the_onset_of_a_made_series_is_exact(fine: int, bad: int, window: int, value: float, proven: bool) -> None:
    """A loss that is gone from an entry on, with a healthy norm before it, is dated to that entry's window."""
    after: Sequence[float] = [NAN if proven else 0.0] * bad
    run = make_run(loss=falling(fine) + [value] * bad, grad_norm=[*norms(fine), *after], logging_steps=window)
    name = "loss-to-zero" if value == 0 else "loss-nan"
    found = find(name, run)
    step = window * (fine + 1)

    assert [(f.step, f.until) for f in found] == [(step, None)]
    assert found[0].step_range == ((step, step) if window == 1 else (step - window, step))


@given(st.integers(1, 40), st.integers(2, 40), st.sampled_from([1, 5, 10, 500]))
@settings(deadline=None)
def test_the_onset_of_a_nan_norm_is_exact(fine: int, bad: int, window: int) -> None:
    run = make_run(loss=falling(fine + bad), grad_norm=norms(fine) + [NAN] * bad, logging_steps=window)
    step = window * (fine + 1)
    found = [f for f in find("grad-norm-nan", run) if f.step == step]

    assert [f.step_range for f in found] == [(step, step) if window == 1 else (step - window, step)]


def test_no_detector_loops_over_points() -> None:
    """Ten times the points cost no more calls: counted, as times depend on the machine."""

    def calls(size: int) -> int:
        import gc
        import sys

        count = 0

        def tally(_frame: object, event: str, _argument: object) -> None:
            nonlocal count
            count += event in {"call", "c_call"}

        loss = np.concatenate((falling(size - 40), np.zeros(40)))
        bad = np.concatenate((norms(size - 40), np.full(40, NAN)))
        run = make_run(loss=loss.tolist(), grad_norm=bad.tolist(), learning_rate=[1e-5] * size, eval_loss=loss.tolist())
        gc.disable()  # hypothesis counts collections in a function of its own, which would be tallied
        sys.setprofile(tally)
        try:
            everything(run)
        finally:
            sys.setprofile(None)
            gc.enable()
        return count

    calls(400)  # what is imported at the first call counts for none
    assert calls(40_000) < 1.2 * calls(4_000)


def test_detectors_know_nothing_of_readers_or_rules() -> None:
    folder = Path(next(iter(forensics.detectors.__path__)))
    allowed = (
        "forensics.analysis",
        "forensics.deferred",
        "forensics.detectors",
        "forensics.model",
        "forensics.names",
        "forensics.plugin",
        "forensics.signatures",
    )
    imported = {
        node.module
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("forensics")
    }

    assert [module for module in imported if not module.startswith(allowed)] == []
