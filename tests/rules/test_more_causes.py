"""What else speaks for or against a cause: one row for each piece of evidence that no other table brings about."""

from dataclasses import replace
from typing import Any

import pytest

from forensics import catalog
from forensics.model import Disagreement, Source, UpdateResolution
from forensics.names import Kind
from forensics.testing import make_checkpoint, make_events, make_table
from rules.rule_judging import DEAD, FOUNDING, GOOD, GREW, INF, LORA, NAN, ONE, STILL, WHOLE, ask, broken_file, founding

POSITIVE: dict[str, Any] = {"grad_norm": [*GOOD, 1.1, 0.9, 1.0]}
NONFINITE: dict[str, Any] = {"grad_norm": [*GOOD, NAN, NAN, NAN]}
ZERO: dict[str, Any] = {"grad_norm": [0.0] * 7}
POISONED: dict[str, Any] = {"checkpoints": WHOLE}
CLEAN: dict[str, Any] = {"checkpoints": [make_checkpoint(6)]}
ALIVE: dict[str, Any] = {"loss": [2.0, 2.1, 2.0, 2.1, 2.0, 2.1, 2.0]}
NO_TOKEN: dict[str, Any] = {"logps/chosen": [0.0] * 7, "logps/rejected": [0.0] * 7}
FIRST: dict[str, Any] = {"loss": [0.0] * 7, "onset": 1}
STEADY: dict[str, Any] = {**ALIVE, "grad_norm": [1.0, 1.1, 0.9, 1.0, 1.1, 0.9, 1.0], "onset": 7}
LEVEL = [1.0, 0.98, 0.97, 0.95, 0.94, 0.95, 0.93, 0.94, 0.92, 0.93]
LEAPT: dict[str, Any] = {
    "loss": [*LEVEL, 7.4, 7.6, 7.5, 7.3, 7.5, 7.4],
    "grad_norm": [0.5] * 16,
    "learning_rate": [1e-4] * 16,
    "onset": 11,
}
CLIMBED: dict[str, Any] = {**LEAPT, "loss": [*LEVEL, 1.2, 1.9, 3.0, 4.6, 6.1, 7.5]}
MASTERS: dict[str, Any] = {"checkpoints": [make_checkpoint(6, make_table(role="master"))]}
HALF: dict[str, Any] = {"checkpoints": [make_checkpoint(6, make_table(dtype="F16"))]}
ADAPTER: dict[str, Any] = {"adapter.peft_type": "LORA"}
TWO = Disagreement("loss", 5, 0.0, Source("train.log"), 1.9, Source("trainer_state.json"))


OF_496 = "The specified number of total steps is 496"
CRASHED: dict[str, Any] = {"name": "crash-exception"}
ENDS: dict[str, Any] = {"loss": [2.0] * 12 + [NAN] * 8, "onset": 13}
GUESSED: dict[str, Any] = {
    "eval_loss": [1.6, 2.4, 9.0],
    "loss": [1.3, 0.7, 0.2],
    "eval_acc": [0.08, 0.05, 0.03],
    "train_acc": [0.6, 0.8, 0.9],
}
DIGITS = make_events(Kind.TRIED, text="I see that it fails with bf16, whereas fp32 runs normally")
ALL_OVERFLOW: dict[str, Any] = {"events": [make_events(Kind.OVERFLOW, range(1, 7))]}
GRAPHLESS = "RuntimeError: element 0 of tensors does not require grad and does not have a grad_fn"


def said(kind: str, steps: tuple[int, ...] = (-1,), text: str = "") -> dict[str, Any]:
    return {"events": [make_events(kind, steps, text=text)]}


def settings(**given: Any) -> dict[str, Any]:
    return {"settings": {name.replace("__", "."): value for name, value in given.items()}}


def resolved(stuck: int) -> dict[str, Any]:
    """Return a checkpoint of which `stuck` of 100 elements cannot be moved by the optimizer's next step."""
    one = UpdateResolution("model.norm.weight", "BF16", 100, stuck, 1e-6, 4e-3, 1e-6)
    return {"checkpoints": [replace(make_checkpoint(6), resolution=(one,))]}


ROWS: list[tuple[str, str, dict[str, Any], int | None]] = [
    # adapters and checkpoints; each row: cause, words of the evidence, what was recorded, points (None: ruled out)
    (
        "merge-noop",
        "tensors that train are bit-identical",
        {**settings(adapter__peft_type="LORA"), "checkpoints": [make_checkpoint(6, make_table(LORA, same=3))]},
        None,
    ),
    ("merge-noop", "finite and above zero", {**settings(adapter__peft_type="LORA"), **POSITIVE}, 1),
    (
        "truncated-write",
        "not the last checkpoint",
        {"checkpoints": [*broken_file("it is cut off"), make_checkpoint(9)]},
        -1,
    ),
    ("truncated-write", "killed", said(Kind.KILLED), 1),
    ("truncated-write", "signal", said(Kind.SIGNAL), 1),
    ("truncated-write", "time-limit", said(Kind.TIME_LIMIT), 1),
    ("truncated-write", "closer cause", said(Kind.DISK_FULL), -1),
    ("resume-data-repeated", "resumed", said(Kind.RESUMED), 1),
    ("resume-data-repeated", "ignore_data_skip is False", settings(ignore_data_skip=False), -2),
    # labels
    ("all-labels-ignored", "a mean over no token is no number", ALIVE, None),
    ("all-labels-ignored", "is finite", CLEAN, 1),
    ("all-labels-ignored", "from the first entry", FIRST, 1),
    ("all-labels-masked", "finite and above zero", POSITIVE, None),
    ("all-labels-masked", "is finite", CLEAN, 1),
    ("all-labels-masked", "it may cut the answer off", settings(max_seq_length=128), 1),
    ("all-labels-masked", "reinforcement learning", {"reward": [0.1] * 7}, -2),
    (
        "tokenization-mismatch",
        "tokenization-mismatch",
        {**said(Kind.TOKENIZATION_MISMATCH), "name": "tokenization-mismatch-warnings"},
        10,
    ),
    ("tokenization-mismatch", "some samples do count", POSITIVE, None),
    ("tokenization-mismatch", "hold NaN", POISONED, None),
    ("response-template-not-found", "no answer in any sample", said(Kind.ALL_LABELS_IGNORED), 5),
    ("response-template-not-found", "no response-template", said(Kind.EVALUATED), -2),
    ("response-template-not-found", "may hold the pad token", said(Kind.PAD_TOKEN), 1),
    ("response-template-not-found", "gradients of zero", NONFINITE, None),
    ("response-template-not-found", "hold NaN", POISONED, None),
    ("all-labels-ignored", "no label token was summed", NO_TOKEN, 6),
    ("all-labels-masked", "no label token was summed", NO_TOKEN, 6),
    ("overflow-steps-skipped", "not skipped", said(Kind.LR_UNAVAILABLE), 4),
    ("fp16-overflow", "every step was skipped", said(Kind.LR_UNAVAILABLE), 3),
    ("all-labels-masked", "no head", {**ZERO, **FIRST, **settings(model__architectures="['BertModel']")}, None),
    ("fp16-overflow", "6 steps overflowed beside 6", {"learning_rate": [0.0] * 6, **ALL_OVERFLOW}, 3),
    (
        "all-labels-masked",
        "no label is masked",
        {**ZERO, **FIRST, **settings(model__architectures="['BertForSequenceClassification']")},
        None,
    ),
    # data
    ("bad-data-sample", "no weight makes it", {**ENDS, "target_max": [3.0, 3.1] * 6 + [INF, *[3.2] * 7]}, 7),
    ("bad-data-sample", "no weight makes it", {**ENDS, "batch/len_min": [3.0] * 12 + [0.0, *[4.0] * 7]}, 7),
    ("bad-data-sample", "no weight makes it", {**ENDS, "x/max": [3.0, 2.0] * 6 + [900.0, *[3.2] * 7]}, 7),
    ("overfit", "may not be what is trained", {"eval_loss": [12.1, 4.4, 7.0, 8.2], "loss": [1.2, 0.5, 0.3, 0.2]}, -2),
    (
        "overfit",
        "may not be what is trained",
        GUESSED,
        -2,
    ),
    ("memorised", "finite and above zero", POSITIVE, 2),
    ("memorised", "eval_loss is NaN", {"eval_loss": [2.0] * 4 + [NAN] * 3}, None),
    ("memorised", "seen 4 times", {"epoch": [1.0, 2.0, 3.0, 4.0]}, 1),
    ("labels-corrupted", "leaps", LEAPT, 2),
    ("labels-corrupted", "leaps", CLIMBED, None),
    ("labels-corrupted", "then stays", LEAPT, 1),
    ("labels-corrupted", "it climbs on", CLIMBED, -2),
    ("labels-corrupted", "confident and wrong", {**LEAPT, **settings(model__vocab_size=256)}, 2),
    (
        "labels-corrupted",
        "as good as before",
        {**LEAPT, "eval_loss": [1.0, 1.05], "steps": {"eval_loss": [10, 12]}},
        4,
    ),
    (
        "labels-corrupted",
        "a divergence, not the data",
        {**LEAPT, "grad_norm": [0.5] * 7 + [4.0, 9.0, 20.0] + [30.0] * 6},
        -2,
    ),
    ("labels-corrupted", "the updates did not do it", LEAPT, 1),
    ("labels-corrupted", "the rate did it", {**LEAPT, "learning_rate": [1e-4] * 10 + [1e-2] * 6}, -2),
    ("labels-corrupted", "exactly 0.0", {**LEAPT, "grad_norm": [0.5] * 10 + [0.0] * 6}, None),
    # labels that the input gives away
    ("label-leakage", "none could be known by heart", {"loss": [1e-5] * 7, "epoch": [0.1] * 7}, 3),
    ("label-leakage", "may be known by heart", {"loss": [1e-5] * 7, "epoch": [2.1] * 7}, None),
    ("label-leakage", "predicted as well", {"eval_loss": [1e-4] * 7}, 2),
    ("label-leakage", "other data are not", {"eval_loss": [1.4] * 7}, None),
    ("label-leakage", "text has an entropy", settings(model__architectures="['LlamaForCausalLM']"), 1),
    ("label-leakage", "classes need none", settings(model__architectures="BertForSequenceClassification"), None),
    ("label-leakage", "preference pairs", {"rewards/chosen": [0.1] * 7}, None),
    ("label-leakage", "no measure", {"reward": [0.1] * 7}, None),
    # communication
    (
        "ds-zero12-comm-corruption",
        "use_multi_rank_bucket_allreduce is False",
        founding(**{"zero_optimization.use_multi_rank_bucket_allreduce": False}),
        -2,
    ),
    (
        "ds-zero12-comm-corruption",
        "no shared buffer",
        founding(**{"zero_optimization.contiguous_gradients": False}),
        -2,
    ),
    (
        "ds-zero12-comm-corruption",
        "with torch.compile the buffers still race",
        {**founding(torch_compile=True), "packages": {"deepspeed": "0.18.6"}},
        1,
    ),
    (
        "ds-zero12-comm-corruption",
        "race is fixed in 0.18.5",
        {**founding(torch_compile=False), "packages": {"deepspeed": "0.18.6"}},
        -2,
    ),
    ("ds-zero12-comm-corruption", "cudnn-sdpa", {**FOUNDING, **said(Kind.CUDNN_SDPA_STRIDES)}, -2),
    # what the log shows
    ("nan-loss-logged-as-zero", "the Trainer wrote its state", {"frameworks": ("transformers",)}, 1),
    ("nan-norm-shown-as-sentinel", "on every path", {"packages": {"deepspeed": "0.17.1"}}, 1),
    ("nan-norm-shown-as-sentinel", "hold NaN", POISONED, 3),
    ("log-artifact", "for step 5", {"disagreements": (TWO,)}, 4),
    ("log-artifact", "above zero", {"disagreements": (TWO,), **POSITIVE}, 2),
    ("log-artifact", "grad_norm is NaN", NONFINITE, None),
    ("log-artifact", "hold NaN", POISONED, None),
    # mechanisms
    (
        "nan-spread-by-clipping",
        "clipping would have reached all",
        {
            "checkpoints": [
                make_checkpoint(6, make_table([f"w{i}" for i in range(9)], nan={"w1": 1, "w2": 1})),
            ]
        },
        None,
    ),
    ("nan-spread-by-clipping", "grad_norm is NaN", NONFINITE, 1),
    ("overflow-steps-skipped", "grad_norm is NaN", NONFINITE, 1),
    ("overflow-steps-skipped", "bit-identical", {"checkpoints": STILL}, 1),
    ("update-below-precision", "cannot move", resolved(90), 3),
    ("update-below-precision", "the updates are large enough", resolved(3), -2),
    ("update-below-precision", "highest learning rate is 0.001", settings(learning_rate=1e-3), -2),
    ("update-below-precision", "there is something to apply", POSITIVE, 1),
    ("update-below-precision", "fp32 master", MASTERS, None),
    ("update-below-precision", "fp16", settings(fp16=True), -2),
    ("gradients-all-zero", "hold NaN", POISONED, -2),
    # precision
    (
        "bf16-no-nan-guard",
        "without a scaler",
        {"frameworks": ("megatron",), "number of nan iterations": [0.0] * 7},
        5,
    ),
    ("fp16-bf16-pretrained-model", "grad_norm grew", {**GREW, **settings(fp16=True)}, -1),
    ("fp16-bf16-pretrained-model", "overflow", said(Kind.OVERFLOW), 2),
    ("fp16-bf16-pretrained-model", "loss-scale-at-minimum", said(Kind.LOSS_SCALE_AT_MINIMUM), 3),
    ("fp16-overflow", "loss-scale-at-minimum", said(Kind.LOSS_SCALE_AT_MINIMUM), 3),
    ("fp16-overflow", "no loss scaler", said(Kind.WEIGHTS_IN_FP16), 2),
    ("fp16-overflow", "fp16 ends at", {"logit_max": [40.0, 900.0, 62496.0, INF, NAN]}, 4),
    ("fp16-overflow", "grad_norm is NaN", NONFINITE, 1),
    ("fp16-overflow", "eval_loss is NaN", {"eval_loss": [2.0] * 4 + [NAN] * 3}, 1),
    ("fp16-overflow", "stored as F16", HALF, 1),
    ("bf16-update-underflow", "highest learning rate is 0.001", settings(learning_rate=1e-3), -2),
    ("bf16-update-underflow", "the weights did not move", {**POSITIVE, "symptom": "weights-unchanged"}, 3),
    ("bf16-update-underflow", "cannot move", resolved(90), 3),
    ("bf16-update-underflow", "cannot move", resolved(3), -2),
    ("bf16-update-underflow", "fp32 master", MASTERS, None),
    ("bf16-update-underflow", "pure_bf16 is True", settings(pure_bf16=True), 1),
    ("fp16-trainable-params", "torch_dtype is float16", settings(torch_dtype="float16"), 3),
    ("fp16-trainable-params", "once, then NaN", {"name": "loss-nan", "loss": [4.8, NAN, NAN, NAN]}, 4),
    (
        "fp16-trainable-params",
        "torch.float16",
        {"name": "loss-nan", "events": [make_events(Kind.WEIGHTS_IN_FP16, text="weights: torch.float16")]},
        3,
    ),
    (
        "gradients-all-zero",
        "softmax",
        said(Kind.FRAMEWORK_WARNING, text="This axis has size 1. The softmax is 1 everywhere."),
        8,
    ),
    (
        "nothing-trainable",
        "trainable weights",
        said(Kind.FRAMEWORK_WARNING, text="The model does not have any trainable weights."),
        7,
    ),
    (
        "bad-data-sample",
        "80 of 3,000",
        {
            "name": "loss-nan",
            "loss": [NAN] * 7,
            "events": [make_events(Kind.COLUMN_FILLED, (-1, -1), (3000, 2920), "1 width 2920 non-null")],
        },
        7,
    ),
    (
        "bad-data-sample",
        "Mean of empty slice",
        {
            "name": "loss-nan",
            "loss": [NAN] * 7,
            **said(Kind.FRAMEWORK_WARNING, text="/x/a.py:4: RuntimeWarning: Mean of empty slice"),
        },
        3,
    ),
    ("fp16-trainable-params", "bf16", settings(bf16=True), None),
    ("fp16-trainable-params", "keeps fp32 masters", {"frameworks": ("deepspeed",)}, None),
    ("fp16-trainable-params", "fp32 master", MASTERS, None),
    ("fp16-scaler-skip", "20 of 30 steps", {"loss": [2.0] * 30, **said(Kind.OVERFLOW, tuple(range(1, 21)))}, None),
    ("fp16-scaler-skip", "loss falls", {"loss": [3.0, 2.8, 2.4, 2.0, 1.6, 1.2, 1.0], "onset": 1}, 2),
    ("fp16-scaler-skip", "loss-scale-at-minimum", said(Kind.LOSS_SCALE_AT_MINIMUM), None),
    ("fp16-scaler-skip", "bit-identical", {"checkpoints": STILL}, None),
    ("fp16-scaler-skip", "hold NaN", POISONED, None),
    # kernels and code
    ("attention-impl-nan", "NVIDIA A100", {"hardware": {"gpu": "NVIDIA A100"}}, -1),
    ("attention-impl-nan", "attn_implementation is sdpa", settings(attn_implementation="sdpa"), 1),
    ("attention-impl-nan", "a divergence, not a kernel", GREW, -2),
    ("attention-impl-nan", "is the only tensor", {"checkpoints": ONE}, -2),
    ("model-code-unstable", "losses of the log are numbers", {"checkpoints": ONE, **ALIVE}, -2),
    ("model-code-unstable", "a root at 0", {**ALIVE, **NONFINITE}, 3),
    ("model-code-unstable", "more digits than bf16 has", {"events": [DIGITS]}, 3),
    ("model-code-unstable", "the backward pass broke first", {**ALIVE, **NONFINITE, "frameworks": ("peft",)}, -1),
    ("model-code-unstable", "the backward pass broke first", {**ALIVE, **NONFINITE, "packages": {"torch": "2.8"}}, -1),
    ("model-code-unstable", "DeepSpeed left its traces", {"frameworks": ("deepspeed",)}, -1),
    (
        "model-code-unstable",
        "names the operation",
        said(Kind.TRACEBACK, text="RuntimeError: Function 'LogBackward0' returned nan values in its 0th output."),
        8,
    ),
    ("model-code-unstable", "the range of fp16", settings(fp16=True), -2),
    ("model-code-unstable", "use_liger_kernel is True", settings(use_liger_kernel=True), -1),
    ("model-code-unstable", "a divergence", GREW, -2),
    # optimisation
    ("lr-zero-config", "has not started yet", said(Kind.LR_UNAVAILABLE), -2),
    ("nothing-trainable", "trainable_params is 8", settings(trainable_params=8), -2),
    (
        "nothing-trainable",
        "are frozen",
        {"checkpoints": [make_checkpoint(6, make_table(trained={"model.norm.weight": "frozen"}))]},
        -2,
    ),
    ("nothing-trainable", "it trained before", {"loss": [2.0, 2.0, 2.0, 2.0, 0.0, 0.0]}, -2),
    ("nothing-trainable", "bit-identical", {"checkpoints": STILL}, 1),
    ("nothing-trainable", "bit-identical", {"checkpoints": STILL, "name": "weights-unchanged"}, 3),
    ("nothing-trainable", "hangs on no parameter", {**said(Kind.TRACEBACK, text=GRAPHLESS), **CRASHED}, 4),
    (
        "nothing-trainable",
        "empty parameter list",
        {**said(Kind.TRACEBACK, text="ValueError: optimizer got an empty parameter list"), **CRASHED},
        8,
    ),
    ("nothing-trainable", "overflow", {"loss": [2.0] * 7, **FIRST, "grad_norm": [0.0] * 7, **ALL_OVERFLOW}, None),
    ("nothing-trainable", "may have cut", {**settings(gradient_checkpointing=True), **CRASHED}, -2),
    ("nothing-trainable", "something learns", {"loss": [3.0, 2.8, 2.4, 2.0, 1.6, 1.2, 1.0], "onset": 1}, None),
    ("frozen-by-design", "peft_type is LORA", settings(adapter__peft_type="LORA"), 1),
    ("frozen-by-design", "freeze_vision_tower is True", settings(freeze_vision_tower=True), 2),
    ("frozen-by-design", "above zero", POSITIVE, 1),
    ("frozen-by-design", "exactly 0.0", ZERO, -2),
    (
        "no-clipping",
        "the closer cause",
        settings(zero_optimization__stage=2, zero_optimization__reduce_bucket_size="auto", max_grad_norm=1.0),
        -2,
    ),
    ("no-clipping", "it clips by itself", settings(optim="adafactor"), -2),
    ("lr-too-high", "moves every weight by its own size", settings(learning_rate=30.0), 5),
    ("lr-too-high", "few trainings bear it", settings(learning_rate=0.6, optim="sgd"), 4),
    ("lr-too-high", "is high for full", {**settings(learning_rate=1e-3), "loss": [1.0, 0.0], "onset": 2}, 1),
    ("lr-too-high", "is high for full", {**GREW, **settings(learning_rate=1e-3)}, 2),
    ("lr-too-high", "what follows is its doing", {**LEAPT, "learning_rate": [1e-4] * 10 + [1e-2] * 6}, 6),
    ("lr-too-high", "no healthy loss", {"loss": [0.0] * 7}, -2),
    ("lr-too-high", "how a rate", {**settings(learning_rate=0.3), "name": "loss-erratic"}, 1),
    ("lr-too-high", "is the only tensor", {"checkpoints": ONE}, -2),
    ("lr-too-high", "updates that overshoot", {"loss": [3.8, INF, NAN, NAN], "onset": 2}, 3),
    ("lr-too-high", "how a rate that is too high looks", {**GREW, "name": "loss-divergence"}, 1),
    (
        "lr-too-high",
        "as much as weights are wide",
        {"learning_rate": [0.05] * 7, **settings(**{"inferred.transformers": ">=4.0"}), "name": "loss-plateau"},
        4,
    ),
    (
        "lr-too-high",
        "as much as weights",
        {**settings(learning_rate=0.05, optim="adamw_torch"), "name": "loss-constant"},
        4,
    ),
    ("lr-too-high", "high for full", {**settings(learning_rate=0.05, optim="sgd"), "name": "loss-divergence"}, 2),
    (
        "scheduler-exhausted",
        "negative in 4 entries before step 6",
        {"learning_rate": [1e-3, 0.0, -1e-3, -2e-3, -3e-3, -4e-3, -5e-3], "name": "loss-divergence", "onset": 6},
        9,
    ),
    (
        "scheduler-exhausted",
        "negative in 0 entries",
        {"learning_rate": [1e-3] * 7, "name": "loss-divergence", "onset": 6},
        None,
    ),
    (
        "scheduler-exhausted",
        "Tried to step 497 times",
        {**said(Kind.TRACEBACK, text="ValueError: Tried to step 497 times. " + OF_496), **CRASHED},
        10,
    ),
    ("overfit", "seen 4 times", {"epoch": [1.0, 2.0, 3.0, 4.0]}, 1),
    (
        "hf-grad-accum-loss-scaling",
        "times eval_loss",
        {"loss": [2.0] * 6, "eval_loss": [1.9] * 2, **settings(gradient_accumulation_steps=8)},
        -2,
    ),
    # reinforcement learning
    ("grpo-zero-loss", "beta is 0.0", {"reward": [0.1] * 7, **settings(beta=0.0)}, 2),
    ("grpo-zero-loss", "hold NaN", POISONED, None),
    ("grpo-no-reward-variance", "this is no GRPO run", ALIVE, None),
    ("grpo-no-reward-variance", "grad_norm is NaN", DEAD, None),
]


@pytest.mark.parametrize(
    ("name", "words", "facts", "points"), [pytest.param(*row, id=f"{row[0]}: {row[1]} {row[3]}") for row in ROWS]
)
def test_a_piece_of_evidence_has_its_points(name: str, words: str, facts: dict[str, Any], points: int | None) -> None:
    """What was recorded is said in these words, with these points, and nowhere else; or it rules the cause out."""
    hypothesis = ask(catalog.find_rule(name), facts)
    found = [e.points for e in hypothesis.evidence if e.state is None and words in e.statement]

    assert found == ([] if points is None else [points])
    assert points is not None or hypothesis.verdict == "ruled out"


def test_a_rate_that_others_use_says_nothing_of_a_loss_that_stands() -> None:
    """Plain descent trains at rates that would throw the weights of Adam away."""
    facts = {**settings(learning_rate=0.05, optim="sgd"), "name": "loss-plateau"}

    assert ask(catalog.find_rule("lr-too-high"), facts).score == 0


@pytest.mark.parametrize("rates", [[0.0] * 7, [*[0.0] * 5, 1e-5], [0.0] * 4], ids=["a step too many", "a rate", "few"])
def test_a_step_that_was_taken_is_not_skipped(rates: list[float]) -> None:
    hypothesis = ask(catalog.find_rule("fp16-overflow"), {"learning_rate": rates, **ALL_OVERFLOW})

    assert not [e for e in hypothesis.evidence if e.points == 3]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("target_max", [3.0] * 20),
        ("target_max", [3.0] * 12 + [INF] * 8),
        ("target_max", [3.0, INF, *[3.0] * 18]),
        ("hidden/max", [3.0] * 12 + [INF, *[3.0] * 7]),
        ("batch_time", [3.0] * 12 + [900.0, *[3.0] * 7]),
        ("x/max", [3.0, 2.0] * 6 + [30.0, *[3.2] * 7]),
        ("target_max", [NAN, 3.0]),
    ],
    ids=["as ever", "to the end", "elsewhere", "of the model", "a time", "only ten times", "few"],
)
def test_what_is_not_odd_data_is_no_sign_of_a_bad_sample(name: str, values: list[float]) -> None:
    hypothesis = ask(catalog.find_rule("bad-data-sample"), {**ENDS, name: values})

    assert not [e for e in hypothesis.evidence if e.points == 7]
