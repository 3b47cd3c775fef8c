"""weights-*, optimizer-*, checkpoint-*."""

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest

from detectors.detecting import NAN, falling, find, severities
from forensics.model import Checkpoint, OptimizerState, Problem, Role, Run, Source, TensorRecord, TensorTable
from forensics.model.columns import Shapes
from forensics.testing import make_checkpoint, make_run, make_table

MLP, NORM = "model.layers.0.mlp.weight", "model.norm.weight"
LORA_UP = "unet.down_blocks.0.attn1.to_q.lora.up.weight"
LORA_A, LORA_B = "layers.0.q_proj.lora_A.weight", "layers.0.q_proj.lora_B.weight"
RATES = [1e-5] * 40


def matrix(table: TensorTable) -> TensorTable:
    return replace(table, shapes=Shapes.of([(8, 8)] * len(table)))


def run_of(*tables: TensorTable, **metrics: list[float]) -> Run:
    """Return a run with a checkpoint every ten steps."""
    checkpoints = [make_checkpoint(10 * (i + 1), table) for i, table in enumerate(tables)]
    return make_run(checkpoints=checkpoints, **metrics)  # type: ignore[arg-type]  # names of metrics, as make_run takes them


@pytest.mark.parametrize("symptom", ["weights-nan", "weights-inf"])
def test_the_first_poisoned_checkpoint_is_bracketed_by_the_last_clean_one(symptom: str) -> None:
    bad = make_table(nan={NORM: 3}) if symptom == "weights-nan" else make_table(infinite={NORM: 3})
    found = find(symptom, run_of(make_table(), make_table(), bad, bad))

    assert [(f.severity, f.step, f.step_range, f.until) for f in found] == [("error", 30, (20, 30), None)]
    assert "1 of 2 tensors (model.norm.weight), in one tensor only; checkpoint-20 is clean" in found[0].statement
    assert str(found[0].source) == "checkpoint-30:tensor model.norm.weight"


def test_the_log_narrows_when_the_weights_broke() -> None:
    bad = make_table(nan={MLP: 64, NORM: 64})
    run = run_of(make_table(), make_table(), bad, loss=[*falling(24), 0.0, 0.0], grad_norm=[0.5] * 23 + [NAN] * 3)
    found = find("weights-nan", run)

    assert [(f.step, f.step_range) for f in found] == [(30, (24, 24))]
    assert "2 tensors of them throughout" in found[0].statement


def test_weights_that_are_clean_again_have_an_end() -> None:
    found = find("weights-nan", run_of(make_table(nan={NORM: 1}), make_table()))

    assert [(f.severity, f.step, f.step_range, f.until) for f in found] == [("error", 10, (None, 10), 10)]


def test_buffers_and_moments_are_no_weights() -> None:
    mask = make_table(["attn.bias"], infinite={"attn.bias": 4}, role="buffer")
    cache = make_table(["rotary.cos"], nan={"rotary.cos": 4}, role="buffer")
    moment = make_table([NORM], nan={NORM: 4}, role="exp_avg_sq")

    assert severities("weights-inf", run_of(mask)) == ["notice"]
    assert severities("weights-nan", run_of(cache)) == ["warning"]
    assert find("weights-nan", run_of(moment)) == []
    assert find("weights-nan", run_of(make_table())) == []


@pytest.mark.parametrize("role", ["exp_avg", "exp_avg_sq", "master"])
def test_a_nan_in_the_optimizer_state_is_an_error(role: Role) -> None:
    found = find("optimizer-nan", run_of(make_table(), make_table([NORM], nan={NORM: 4}, role=role)))

    assert [(f.severity, f.step, f.step_range) for f in found] == [("error", 20, (10, 20))]
    assert role in found[0].statement
    assert find("optimizer-nan", run_of(make_table(nan={NORM: 4}))) == []


@pytest.mark.parametrize(
    ("steps", "expected"), [((10, 20), []), ((20, 5), ["warning"]), ((10, None), []), ((None, 10), [])]
)
def test_an_optimizer_that_counts_anew_was_reset(steps: tuple[int | None, ...], expected: list[str]) -> None:
    states = [make_checkpoint(20 * (i + 1), optimizer=OptimizerState(step=s)) for i, s in enumerate(steps)]

    assert severities("optimizer-reset", make_run(checkpoints=states)) == expected


@pytest.mark.parametrize("missing", [None, OptimizerState(scheduler_step=20)])
def test_an_optimizer_that_lags_by_a_checkpoint_without_its_state_began_there(missing: OptimizerState | None) -> None:
    """Resumed from checkpoint-20, which holds no counter of the optimizer; a lag that skipped steps explain is none."""
    first = make_checkpoint(20, optimizer=missing)

    def judged(state: OptimizerState) -> list[tuple[int | None, int | None]]:
        found = find("optimizer-reset", make_run(checkpoints=[first, make_checkpoint(40, optimizer=state)]))
        return [finding.step_range for finding in found]

    assert judged(OptimizerState(step=20)) == [(20, 21)]
    assert judged(OptimizerState(step=40)) == judged(OptimizerState(step=25)) == []
    assert judged(OptimizerState(step=20, loss_scale=512.0)) == judged(OptimizerState(step=20, skipped_steps=20)) == []


def test_a_run_started_again_from_an_earlier_checkpoint_counts_anew_by_right() -> None:
    states = [make_checkpoint(step, optimizer=OptimizerState(step=step)) for step in (40, 20)]

    assert find("optimizer-reset", make_run(checkpoints=states)) == []


def test_a_matrix_that_died_is_an_error() -> None:
    found = find("weights-zero", run_of(matrix(make_table()), matrix(make_table(zero={MLP: 64}))))

    assert [(f.severity, f.step, f.step_range) for f in found] == [("error", 20, (10, 20))]


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ([matrix(make_table([LORA_A, LORA_B], zero={LORA_B: 64}))] * 2, ["warning"]),
        ([matrix(make_table([LORA_UP], zero={LORA_UP: 64}))] * 2, ["warning"]),
        ([matrix(make_table([LORA_A, LORA_B]))] * 2, []),
        ([matrix(make_table([LORA_A, LORA_B], zero={LORA_B: 64})), matrix(make_table([LORA_A, LORA_B]))], []),
        ([matrix(make_table(zero={MLP: 64}))], ["notice"]),
        ([matrix(make_table(["zero_conv.weight"], zero={"zero_conv.weight": 64}))], []),
        ([make_table(["fc.bias"], zero={"fc.bias": 64})], []),
        ([matrix(make_table(zero={MLP: 64}, trained={MLP: "frozen"}))], []),
        ([matrix(make_table(zero={MLP: 64}, dtype="I32"))], []),
        ([matrix(make_table(zero={MLP: 64}, role="exp_avg"))], []),
        ([matrix(make_table(zero={MLP: 60}))], []),
    ],
    ids=[
        "lora_B",
        "lora.up of diffusers",
        "lora trained",
        "lora_B at init",
        "one look",
        "by design",
        "bias",
        "frozen",
        "int",
        "role",
        "part",
    ],
)
def test_zeros_are_judged_by_what_the_tensor_is(tables: list[TensorTable], expected: list[str]) -> None:
    assert severities("weights-zero", run_of(*tables)) == expected


def test_an_adapter_at_its_first_step_may_be_zero() -> None:
    table = matrix(make_table([LORA_A, LORA_B], zero={LORA_B: 64}))

    assert find("weights-zero", make_run(checkpoints=[make_checkpoint(1, table)])) == []


@pytest.mark.parametrize(
    ("path", "losses", "expected"),
    [
        (".", [3.0, 2.0, 1.0], ["warning"]),
        ("out/final", [3.0, 2.0, 1.0], ["warning"]),
        ("base", [3.0, 2.0, 1.0], []),
        ("out/init_adapter", [3.0, 2.0, 1.0], []),
        (".", [3.0], []),
    ],
)
def test_an_adapter_beside_the_log_of_its_run_is_its_final_save(
    path: str, losses: list[float], expected: list[str]
) -> None:
    """Without a step it is judged where the run trained there or above, unless its name says that it began so."""
    table = matrix(make_table([LORA_A, LORA_B], zero={LORA_B: 64}))
    final = replace(make_checkpoint(1, table), path=path, step=None)

    assert severities("weights-zero", make_run(loss=losses, checkpoints=[final])) == expected


@pytest.mark.parametrize(("log", "expected"), [("runs/Mar01/events.1", ["warning"]), ("other/train.log", [])])
def test_what_lies_beside_a_folder_of_logs_lies_beside_the_log(log: str, expected: list[str]) -> None:
    table = matrix(make_table([LORA_A, LORA_B], zero={LORA_B: 64}))
    final = replace(make_checkpoint(1, table), path="outputs/final", step=None)
    run = make_run(loss=[3.0, 2.0, 1.0], checkpoints=[final])
    loss = replace(run.timeline["loss"], places=((log, "line {}"),))

    moved = replace(run, timeline=replace(run.timeline, series={**run.timeline.series, "loss": loss}))
    assert severities("weights-zero", moved) == expected


def test_nothing_moved_at_all_is_an_error() -> None:
    found = find("weights-unchanged", run_of(make_table(), make_table(same=64), learning_rate=RATES))

    assert [(f.severity, f.step, f.step_range) for f in found] == [("error", 20, (None, 11))]


def test_weights_that_moved_before_bracket_when_they_stopped() -> None:
    found = find("weights-unchanged", run_of(make_table(), make_table(same=3), make_table(same=64)))

    assert [(f.severity, f.step, f.step_range) for f in found] == [("error", 30, (10, 21))]


NAMES = [f"layers.{i}.weight" for i in range(8)]


def half_same(dtype: str, share: float = 1.0, count: int = 4) -> TensorTable:
    return make_table(NAMES, same={name: int(64 * share) for name in NAMES[:count]}, dtype=dtype)


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (run_of(make_table(NAMES), half_same("BF16")), ["error"]),
        (run_of(make_table(NAMES), half_same("BF16", 0.95, 8)), ["warning"]),
        (run_of(make_table(NAMES), half_same("BF16", 0.5, 8)), []),
        (run_of(make_table(NAMES), half_same("BF16", count=2)), ["notice"]),
        (run_of(make_table(NAMES), half_same("F32")), ["notice"]),
        (run_of(make_table(), make_table(same={MLP: 64}, trained={MLP: "frozen"})), []),
        (run_of(make_table(), make_table(same={MLP: 64}, trained={MLP: "unknown"})), ["notice"]),
        (run_of(make_table(), make_table(same=64, trained={MLP: "unknown", NORM: "unknown"})), ["error"]),
        (run_of(make_table(), make_table(same=64), learning_rate=[0.0] * 20), ["notice"]),
        (run_of(make_table(), make_table(same=64, dtype="I64")), []),
        (run_of(make_table(nan={MLP: 64}), make_table(same=64, nan={MLP: 64})), []),
        (run_of(make_table()), []),
        (run_of(make_table(), make_table(same=0)), []),
    ],
    ids=[
        "half of bf16",
        "bf16 to 95 %",
        "bf16 to 50 %",
        "a quarter of bf16",
        "half of fp32",
        "frozen",
        "unknown",
        "all unknown",
        "rate 0",
        "integers",
        "poisoned",
        "one checkpoint",
        "all changed",
    ],
)
def test_unchanged_tensors_are_judged_by_dtype_and_share(run: Run, expected: list[str]) -> None:
    assert severities("weights-unchanged", run) == expected


def test_close_checkpoints_of_bf16_are_a_warning_only() -> None:
    checkpoints = [make_checkpoint(10, make_table(NAMES)), make_checkpoint(12, half_same("BF16"))]

    assert severities("weights-unchanged", make_run(checkpoints=checkpoints)) == ["warning"]


def test_a_copy_may_lag_behind_a_master_that_moves() -> None:
    deepspeed = {"zero_optimization.stage": 2}
    checkpoints = [make_checkpoint(10, make_table(NAMES)), make_checkpoint(20, half_same("BF16"))]

    assert severities("weights-unchanged", make_run(checkpoints=checkpoints, settings=deepspeed)) == ["notice"]


def test_the_same_state_saved_twice_is_not_compared() -> None:
    checkpoints = [make_checkpoint(10), make_checkpoint(10, make_table(same=64))]

    assert find("weights-unchanged", make_run(checkpoints=checkpoints)) == []


def test_a_saved_rate_of_zero_explains_weights_that_stay() -> None:
    state = OptimizerState(learning_rates=(0.0, 0.0))
    checkpoints = [make_checkpoint(10), make_checkpoint(20, make_table(same=64), optimizer=state)]

    assert severities("weights-unchanged", make_run(checkpoints=checkpoints)) == ["notice"]


def sized(maximum: float, dtype: str = "F32", name: str = MLP) -> TensorTable:
    return replace(make_table([name], dtype=dtype), max_abs=np.array([maximum]))


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ([sized(0.5), sized(800.0)], ["error"]),
        ([sized(2e4)], ["warning"]),
        ([sized(0.01), sized(40.0)], []),
        ([sized(20.0), sized(150.0)], []),
        ([sized(2e4, "I64")], []),
        ([sized(2e4, name="bn.running_var")], []),
        ([sized(NAN)], []),
    ],
)
def test_weights_out_of_proportion(tables: list[TensorTable], expected: list[str]) -> None:
    assert severities("weights-exploded", run_of(*tables)) == expected


Kind = Literal["damaged", "incomplete", "suspicious"]


@pytest.mark.parametrize(
    ("kind", "symptom", "severity"),
    [
        ("damaged", "checkpoint-damaged", "error"),
        ("suspicious", "checkpoint-damaged", "notice"),
        ("incomplete", "checkpoint-incomplete", "error"),
    ],
)
def test_a_problem_of_the_files_is_told_by_its_kind(kind: Kind, symptom: str, severity: str) -> None:
    problem = Problem(kind, "model.safetensors is cut short", Source("checkpoint-10/model.safetensors"))
    found = find(symptom, make_run(checkpoints=[make_checkpoint(10, problems=[problem, problem])]))

    assert [(f.severity, f.step, f.source.path) for f in found] == [(severity, 10, "checkpoint-10/model.safetensors")]
    assert "cut short (and 1 more problem)" in found[0].statement


def test_sound_checkpoints_have_no_problem() -> None:
    run = run_of(make_table(), make_table())

    assert [find(s, run) for s in ("checkpoint-damaged", "checkpoint-incomplete", "checkpoint-empty-tensors")] == [
        [],
        [],
        [],
    ]


def empty(name: str, kind: str = "huggingface", shape: tuple[int, ...] = (0,)) -> Run:
    record = TensorRecord(name, "weight", "F32", shape, ())
    return make_run(checkpoints=[Checkpoint(path="checkpoint-10", kind=kind, step=10, records=(record,))])


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (empty(MLP), ["error"]),
        (empty("layers.0.lora_A.default"), ["error"]),
        (empty("layers.0.g_idx"), ["notice"]),
        (empty(MLP, kind="deepspeed"), []),
        (empty(MLP, shape=()), []),
    ],
    ids=["weight", "adapter", "placeholder", "ZeRO-3's own file", "scalar"],
)
def test_weights_without_elements(run: Run, expected: list[str]) -> None:
    assert severities("checkpoint-empty-tensors", run) == expected
