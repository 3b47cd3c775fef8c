"""Causes in communication, labels, precision and optimisation: one row for each branch of their evidence."""

import math
from typing import Any

import pytest

from forensics import catalog
from forensics.model import Disagreement, OptimizerState, Run, Source
from forensics.names import Kind
from forensics.testing import make_checkpoint, make_events, make_run, make_table
from rules.rule_judging import (
    DEAD,
    FOUNDING,
    GOOD,
    GREW,
    INF,
    NAN,
    NORMS,
    ONE,
    STILL,
    WHOLE,
    Judge,
    founding,
    release,
    zero2_without,
)

COSINE = [1 + math.cos(math.pi * n / 999) for n in range(999)]
ROWS: list[tuple[str, str, dict[str, Any], str]] = [
    # the founding case and each thing that speaks against it
    ("ds-zero12-comm-corruption", "founding case", FOUNDING, "likely"),
    ("ds-zero12-comm-corruption", "stage 3", founding(**{"zero_optimization.stage": 3}), "ruled out"),
    ("ds-zero12-comm-corruption", "one process", founding(world_size=1), "ruled out"),
    ("ds-zero12-comm-corruption", "fixed", release("0.19.3"), "ruled out"),
    ("ds-zero12-comm-corruption", "overlap masked", release("0.17.5"), "likely"),
    ("ds-zero12-comm-corruption", "ping-pong index reset", release("0.17.3"), "likely"),
    (
        "ds-zero12-comm-corruption",
        "fixed, nothing else",
        {"settings": {"zero_optimization.stage": 2}, "packages": {"deepspeed": "0.19.3"}},
        "ruled out",
    ),
    (
        "ds-zero12-comm-corruption",
        "old release that checks",
        {"settings": {"zero_optimization.stage": 2}, "packages": {"deepspeed": "0.11.1"}},
        "ruled out",
    ),
    (
        "ds-zero12-comm-corruption",
        "release unknown",
        {"settings": {"zero_optimization.stage": 2}, "packages": {"deepspeed": "unknown"}},
        "possible",
    ),
    (
        "ds-zero12-comm-corruption",
        "no overlap, later release",
        {**founding(**{"zero_optimization.overlap_comm": False}), "packages": {"deepspeed": "0.16.4"}},
        "possible",
    ),
    (
        "ds-zero12-comm-corruption",
        "no overlap, a release with the main race",
        founding(**{"zero_optimization.overlap_comm": False}),
        "possible",
    ),
    (
        "ds-zero12-comm-corruption",
        "overlap by default of stage 2",
        {**zero2_without("zero_optimization.overlap_comm"), "packages": {"deepspeed": "0.16.4"}},
        "possible",
    ),
    ("ds-zero12-comm-corruption", "DeepSpeed absent", {**DEAD, "settings": {"deepspeed": None}}, "ruled out"),
    ("ds-zero12-comm-corruption", "norms grew", {**GREW, "settings": {"zero_optimization.stage": 2}}, "possible"),
    (
        "ds-zero12-comm-corruption",
        "one tensor",
        {"checkpoints": ONE, "settings": {"zero_optimization.stage": 2}},
        "unlikely",
    ),
    (
        "ds-zero12-comm-corruption",
        "fp16 with its scaler",
        {"settings": {"zero_optimization.stage": 2, "fp16.enabled": True}, "events": [make_events(Kind.OVERFLOW)]},
        "unlikely",
    ),
    # no guard
    ("bf16-no-nan-guard", "release without the check", FOUNDING, "ruled out"),
    ("bf16-no-nan-guard", "check switched on", founding(**{"bf16.check_grad_overflow": True}), "ruled out"),
    ("bf16-no-nan-guard", "release with the check", release("0.19.4"), "ruled out"),
    (
        "bf16-no-nan-guard",
        "one bad tensor is its source",
        {**FOUNDING, "loss": [2.3, 2.2, 2.1, 2.0, 2.0, 0.0, 0.0], "checkpoints": ONE},
        "possible",
    ),
    ("bf16-no-nan-guard", "fp16", {"settings": {"fp16": True}}, "ruled out"),
    ("bf16-no-nan-guard", "no DeepSpeed", {"settings": {"deepspeed": None}}, "unlikely"),
    # labels
    (
        "all-labels-masked",
        "zero norm from the start",
        {"onset": 1, "loss": [0.0] * 5, "grad_norm": [0.0] * 5},
        "likely",
    ),
    ("all-labels-masked", "trainer says so", {"events": [make_events(Kind.ALL_LABELS_IGNORED)]}, "likely"),
    ("all-labels-masked", "norm NaN", DEAD, "ruled out"),
    ("all-labels-masked", "loss is a number", {"loss": [2.0] * 7, "grad_norm": [0.0] * 7}, "ruled out"),
    ("all-labels-masked", "weights NaN", {"checkpoints": WHOLE}, "ruled out"),
    (
        "all-labels-masked",
        "a closer cause",
        {"grad_norm": [0.0] * 7, "events": [make_events(Kind.TOKENIZATION_MISMATCH)]},
        "possible",
    ),
    (
        "tokenization-mismatch",
        "separator never found",
        {
            "grad_norm": [0.0] * 7,
            "events": [make_events(Kind.TOKENIZATION_MISMATCH, [-1] * 30, text="tokenization mismatch: 1 vs. 812.")],
        },
        "likely",
    ),
    (
        "tokenization-mismatch",
        "one token off",
        {"events": [make_events(Kind.TOKENIZATION_MISMATCH, [-1, -1], [1.0, 1.0])]},
        "possible",
    ),
    (
        "tokenization-mismatch",
        "norm NaN",
        {**DEAD, "events": [make_events(Kind.TOKENIZATION_MISMATCH)]},
        "ruled out",
    ),
    ("tokenization-mismatch", "log without warnings", {"events": [make_events(Kind.RESUMED)]}, "unlikely"),
    (
        "response-template-not-found",
        "warned",
        {"grad_norm": [0.0] * 7, "events": [make_events(Kind.RESPONSE_TEMPLATE_NOT_FOUND)]},
        "likely",
    ),
    (
        "response-template-not-found",
        "some samples count",
        {"grad_norm": [0.4, 0.5] * 4, "events": [make_events(Kind.RESPONSE_TEMPLATE_NOT_FOUND)]},
        "ruled out",
    ),
    # precision
    (
        "fp16-bf16-pretrained-model",
        "bf16 model in fp16",
        {"settings": {"fp16": True, "model.torch_dtype": "bfloat16"}},
        "likely",
    ),
    (
        "fp16-bf16-pretrained-model",
        "family on an old board",
        {"settings": {"fp16": True, "model_name_or_path": "Qwen/Qwen2-7B"}, "hardware": {"gpu": "Tesla V100"}},
        "likely",
    ),
    (
        "fp16-bf16-pretrained-model",
        "bf16",
        {"settings": {"bf16": True, "model.torch_dtype": "bfloat16"}},
        "ruled out",
    ),
    (
        "fp16-bf16-pretrained-model",
        "fp32 model",
        {"settings": {"fp16": True, "model.torch_dtype": "float32"}},
        "possible",
    ),
    (
        "fp16-overflow",
        "overflow in fp16",
        {"settings": {"fp16": True}, "events": [make_events(Kind.OVERFLOW)]},
        "possible",
    ),
    (
        "fp16-overflow",
        "bf16 model is closer",
        {"settings": {"fp16": True, "model.torch_dtype": "bfloat16"}},
        "unlikely",
    ),
    ("fp16-overflow", "bf16", {"settings": {"bf16": True}}, "ruled out"),
    (
        "bf16-update-underflow",
        "norms stand still",
        {
            "checkpoints": [make_checkpoint(6, make_table(same=NORMS, dtype="BF16"))],
            "settings": {"learning_rate": 2e-6},
        },
        "possible",
    ),
    (
        "bf16-update-underflow",
        "norms stand still, without DeepSpeed",
        {
            "checkpoints": [make_checkpoint(6, make_table(same=NORMS, dtype="BF16"))],
            "settings": {"learning_rate": 2e-6, "deepspeed": None},
        },
        "likely",
    ),
    ("bf16-update-underflow", "float32", {"checkpoints": STILL}, "ruled out"),
    (
        "bf16-update-underflow",
        "DeepSpeed keeps masters",
        {"checkpoints": [make_checkpoint(6, make_table(dtype="BF16"))], "frameworks": ("deepspeed",)},
        "ruled out",
    ),
    ("fp16-trainable-params", "torch says so", {"events": [make_events(Kind.UNSCALE_FP16)]}, "established"),
    (
        "fp16-trainable-params",
        "stored so",
        {"checkpoints": [make_checkpoint(6, make_table(dtype="F16"))]},
        "likely",
    ),
    ("fp16-trainable-params", "stored as float32", {"checkpoints": [make_checkpoint(6)]}, "ruled out"),
    ("fp16-trainable-params", "16-true", {"settings": {"precision": "16-true"}}, "likely"),
    (
        "fp16-scaler-skip",
        "recovers",
        {"loss": [2.0] * 9, "grad_norm": [*GOOD, NAN, 1.0, 1.0, 1.0, 1.0], "settings": {"fp16": True}},
        "likely",
    ),
    (
        "fp16-scaler-skip",
        "few of many",
        {"loss": [2.0, 1.9] * 300, "settings": {"fp16": True}, "events": [make_events(Kind.OVERFLOW, [1, 2])]},
        "likely",
    ),
    (
        "fp16-scaler-skip",
        "overflows to the end at a scale of 64",
        {
            "loss": [2.0, 1.9] * 300,
            "settings": {"fp16": True},
            "events": [make_events(Kind.OVERFLOW, [598, 599], [128.0, 64.0])],
        },
        "ruled out",
    ),
    (
        "fp16-scaler-skip",
        "a scale of 64 that settled",
        {
            "loss": [2.0, 1.9] * 300,
            "settings": {"fp16": True},
            "events": [make_events(Kind.OVERFLOW, [98, 99], [128.0, 64.0])],
        },
        "likely",
    ),
    ("fp16-scaler-skip", "never recovers", {**DEAD, "settings": {"fp16": True}}, "ruled out"),
    ("fp16-scaler-skip", "bf16", {"settings": {"bf16": True}}, "ruled out"),
    # optimisation
    ("lr-zero-config", "another rate is configured", {"settings": {"learning_rate": 1e-4}}, "ruled out"),
    ("lr-zero-config", "configured", {"settings": {"learning_rate": 0.0}}, "established"),
    ("lr-zero-config", "logged", {"learning_rate": [0.0] * 6}, "possible"),
    (
        "lr-zero-config",
        "some losses of 0 among others: steps that a scaler skipped",
        {"learning_rate": [0.0] * 5, "loss": [0.0, 0.0, 0.0, 1.31, 1.27]},
        "possible",
    ),
    ("lr-zero-config", "warmup only", {"learning_rate": [0.0, 0.0, 1e-5]}, "unlikely"),
    (
        "lr-zero-config",
        "scaler holds it",
        {"learning_rate": [0.0] * 6, "settings": {"fp16": True}, "events": [make_events(Kind.OVERFLOW)]},
        "possible",
    ),
    ("nothing-trainable", "counted", {"settings": {"trainable_params": 0}}, "established"),
    (
        "nothing-trainable",
        "all frozen, zero norm",
        {
            "onset": 1,
            "loss": [2.0] * 7,
            "grad_norm": [0.0] * 7,
            "checkpoints": [
                make_checkpoint(
                    6, make_table(trained={"model.layers.0.mlp.weight": "frozen", "model.norm.weight": "frozen"})
                )
            ],
        },
        "likely",
    ),
    ("nothing-trainable", "norm above zero", {"grad_norm": [0.5] * 7}, "ruled out"),
    (
        "frozen-by-design",
        "frozen stands, rest moved",
        {
            "checkpoints": [
                make_checkpoint(
                    6,
                    make_table(
                        same={"model.layers.0.mlp.weight": 64, "model.norm.weight": 3},
                        trained={"model.layers.0.mlp.weight": "frozen"},
                    ),
                )
            ]
        },
        "established",
    ),
    (
        "frozen-by-design",
        "unknown stands, all that train moved",
        {
            "checkpoints": [
                make_checkpoint(
                    6,
                    make_table(
                        same={"model.layers.0.mlp.weight": 64, "model.norm.weight": 3},
                        trained={"model.layers.0.mlp.weight": "unknown"},
                    ),
                )
            ]
        },
        "likely",
    ),
    ("frozen-by-design", "all stand", {"checkpoints": STILL}, "ruled out"),
    ("lr-too-high", "rose and grew", {**GREW, "settings": {"learning_rate": 1e-3}}, "likely"),
    ("lr-too-high", "high rate, steady norms", {**DEAD, "settings": {"learning_rate": 1e-3}}, "unlikely"),
    ("lr-too-high", "infinite, then NaN", {"loss": [3.8, INF, NAN, NAN], "onset": 2}, "possible"),
    ("lr-too-high", "NaN at once", {"loss": [3.8, NAN, NAN, NAN], "onset": 2}, "unlikely"),
    ("lr-too-high", "CTC", {"loss": [3.8, INF, NAN], "onset": 2, "settings": {"loss_type": "ctc"}}, "unlikely"),
    ("lr-too-high", "fp16", {"loss": [3.8, INF, NAN], "onset": 2, "settings": {"fp16": True}}, "unlikely"),
    ("fp16-overflow", "far above its range", {"logit_max": [40.0, 9e4, INF], "settings": {"fp16": True}}, "possible"),
    ("ctc-input-too-short", "any loss may be infinite", {"loss": [3.8, 3.6, INF, NAN], "onset": 3}, "unlikely"),
    ("lr-too-high", "usual rate", {**GREW, "settings": {"learning_rate": 2e-5}}, "possible"),
    (
        "lr-too-high",
        "adapter with a large scaling",
        {**GREW, "settings": {"learning_rate": 3e-3, "adapter.r": 8, "adapter.lora_alpha": 16}},
        "likely",
    ),
    ("no-clipping", "off, norms grew", {**GREW, "settings": {"max_grad_norm": 0}}, "likely"),
    ("no-clipping", "on", {**GREW, "settings": {"max_grad_norm": 1.0}}, "ruled out"),
    ("scheduler-exhausted", "zero before the end", {"learning_rate": [1e-5, 5e-6, 0.0, 0.0, 0.0]}, "likely"),
    ("scheduler-exhausted", "as good as zero", {"learning_rate": [10.0 ** -(5 + 4 * n) for n in range(12)]}, "likely"),
    ("scheduler-exhausted", "below zero", {"learning_rate": [1e-3, 0.0, -1e-3, -2e-3, -3e-3, -4e-3]}, "likely"),
    ("scheduler-exhausted", "a cosine", {"learning_rate": COSINE}, "ruled out"),
    ("scheduler-exhausted", "last entry of a linear schedule", {"learning_rate": [1e-5, 5e-6, 0.0]}, "ruled out"),
    (
        "overfit",
        "evaluation rises",
        {"loss": [2.0, 1.8, 1.4, 1.0, 0.7, 0.5], "eval_loss": [1.9, 1.6, 1.7, 2.2]},
        "likely",
    ),
    (
        "overfit",
        "training rises too",
        {
            "loss": [1.2366, 2.028, 2.157, 1.9848, 1.7866],
            "eval_loss": [2.55, 3.96, 4.1, 3.68, 3.42],
        },
        "ruled out",
    ),
    ("overfit", "evaluation falls", {"eval_loss": [1.9, 1.8, 1.7, 1.6]}, "ruled out"),
    (
        "hf-grad-accum-loss-scaling",
        "affected release, ratio fits",
        {
            "loss": [8.0] * 5,
            "eval_loss": [2.0],
            "settings": {"gradient_accumulation_steps": 4},
            "packages": {"transformers": "4.46.0"},
        },
        "likely",
    ),
    (
        "hf-grad-accum-loss-scaling",
        "no accumulation",
        {"settings": {"gradient_accumulation_steps": 1}},
        "ruled out",
    ),
    (
        "hf-grad-accum-loss-scaling",
        "fixed release",
        {"settings": {"gradient_accumulation_steps": 4}, "packages": {"transformers": "4.48.1"}},
        "unlikely",
    ),
]


@pytest.mark.parametrize(("name", "facts", "verdict"), [pytest.param(n, f, v, id=f"{n}: {b}") for n, b, f, v in ROWS])
def test_a_cause_is_judged(judge: Judge, name: str, facts: dict[str, Any], verdict: str) -> None:
    """Each branch of the evidence moves the verdict as the table says."""
    run: Run = make_run(**{key: value for key, value in facts.items() if key != "onset"})
    rule = catalog.find_rule(name)

    assert judge(rule, run, "loss-to-zero", step=facts.get("onset", 5)).verdict == verdict


def test_the_founding_case_is_answered_with_three_ways_out(judge: Judge) -> None:
    """overlap_comm off, 0.11.1, and a fixed release: each a change, with its reason and link."""
    hypothesis = judge(catalog.find_rule("ds-zero12-comm-corruption"), make_run(**FOUNDING), "loss-to-zero", step=5)
    changes = [dict(fix.change or {}) for fix in hypothesis.fixes]

    assert {"zero_optimization.overlap_comm": False} in changes
    assert {"deepspeed": "0.11.1"} in changes
    assert any(change.get("deepspeed") == ">=0.19.4" for change in changes)
    assert all(len(fix.action) > 60 and fix.reference.startswith("https://") for fix in hypothesis.fixes)


def test_a_plain_optimizer_state_proves_that_deepspeed_did_not_run(judge: Judge) -> None:
    """The package may be installed, but the argument is empty and the checkpoint is an ordinary one."""
    run = make_run(
        settings={"deepspeed": None},
        packages={"deepspeed": "0.12.5"},
        checkpoints=[make_checkpoint(5, optimizer=OptimizerState(step=5))],
    )

    assert judge(catalog.find_rule("DIST001"), run, "loss-to-zero", step=5).verdict == "ruled out"


def test_sources_that_disagree_point_to_the_log(judge: Judge) -> None:
    """A healthy value for the same step in another file makes the zero an artifact of one log."""
    run = make_run(loss=[2.0, 0.0], grad_norm=[1.0, 1.2])
    other = Disagreement("loss", 2, 0.0, Source("train.log"), 1.9, Source("trainer_state.json"))
    object.__setattr__(run.timeline, "disagreements", (other,))

    assert judge(catalog.find_rule("log-artifact"), run, "loss-to-zero", step=2).verdict == "likely"


def points_for(version: str, judge: Judge) -> list[int]:
    """Return the points that one release of DeepSpeed gives in the founding case."""
    hypothesis = judge(catalog.find_rule("DIST001"), make_run(**release(version)), "loss-to-zero", step=5)
    return [e.points for e in hypothesis.evidence if e.key == "version of deepspeed" and e.state is None]


@pytest.mark.parametrize(
    ("version", "points"),
    [
        ("0.11.1", -2),
        ("0.11.2", -1),
        ("0.12.3", -1),
        ("0.12.4", 4),
        ("0.14.2", 4),
        ("0.14.3", 1),
        ("0.17.1", 1),
        ("0.17.2", 3),
        ("0.17.5", -1),
        ("0.18.5", -2),
        ("0.19.3", -2),
        ("0.12.5+cu121", 4),
    ],
)
def test_each_release_of_deepspeed_has_its_points(judge: Judge, version: str, points: int) -> None:
    """Both ends of every window: 0.12.4 to 0.14.2 speak for the race, everything fixed against it."""
    assert points_for(version, judge) == [points]


def test_an_unreadable_release_has_no_points(judge: Judge) -> None:
    assert points_for("unknown", judge) == []
