"""What helpers of the rules see in a run, and that they see nothing where the run does not tell."""

import re
from dataclasses import replace
from typing import Any

import pytest

from forensics.model import Disagreement, Explained, Finding, OptimizerState, Run, Source, UpdateResolution
from forensics.names import Kind
from forensics.rules import _curves as curves
from forensics.rules import _deepspeed as deepspeed
from forensics.rules import _known_issues as issues
from forensics.rules import _rates as rates
from forensics.rules import _setup as setup
from forensics.rules import _tensors as tensors
from forensics.rules import _told as told
from forensics.rules import (
    data013_labels_corrupted,
    dist001_ds_zero12_comm_corruption,
    log001_nan_loss_logged_as_zero,
    log005_log_artifact,
    num003_overflow_steps_skipped,
    num010_bf16_no_nan_guard,
    num020_attention_impl_nan,
    opt001_lr_zero_config,
    opt002_nothing_trainable,
    opt010_lr_too_high,
    opt012_hf_grad_accum_loss_scaling,
    tok001_tokenization_mismatch,
)
from forensics.testing import make_checkpoint, make_events, make_run, make_table
from rules.issue_runs import saved
from rules.rule_judging import GOOD, NAN, broken_file

NORM = "model.norm.weight"
ROOT2 = 1.4142135381698608
FROZEN = {"model.layers.0.mlp.weight": "frozen", NORM: "frozen"}
ONE = UpdateResolution(NORM, "BF16", 100, 90, 1e-6, 4e-3, 1e-6, ones=True)
TWO = Disagreement("loss", 5, 0.0, Source("train.log"), 1.9, Source("trainer_state.json"))
OTHER = replace(TWO, metric="epoch")
UNTOLD = dict.fromkeys(FROZEN, "unknown")


def table(**given: Any) -> dict[str, Any]:
    return {"checkpoints": [make_checkpoint(6, make_table(**given))]}


def asked(step: int | None = 5, until: int | None = None, fine: int | None = 4) -> Explained:
    return Explained("loss-to-zero", Finding("loss-to-zero", "error", "", Source("log"), step, (fine, step), until))


def seen(look: Any, facts: dict[str, Any], *explained: Any) -> Any:
    given = {key: value for key, value in facts.items() if key != "disagreements"}
    run: Run = make_run(**given)
    object.__setattr__(run.timeline, "disagreements", facts.get("disagreements", ()))
    return look(run, *explained)


NOTHING: list[tuple[str, Any, dict[str, Any], tuple[Any, ...]]] = [
    ("no norm from the onset on", curves.norms, {"grad_norm": GOOD}, (asked(9),)),
    ("no evaluation after the onset", curves.eval_is_nan, {"eval_loss": [2.0] * 3}, (asked(9),)),
    ("one rate after the onset", rates.rate_moves, {"learning_rate": [1e-4] * 5}, (asked(),)),
    ("nothing fine is known before it", curves.from_first_entry, {"loss": [2.0] * 7}, (asked(5, None, None),)),
    ("no rate up to the onset", rates.rate_too_small, {"loss": [1.0, 9.0], "learning_rate": []}, (asked(2),)),
    (
        "a rate that is no number",
        rates.rate_too_small,
        {"loss": [1.0, 9.0], "learning_rate": [NAN, 1e-5]},
        (asked(2),),
    ),
    (
        "no loss at the step of the bad norm",
        curves.first_norm_bad_loss_good,
        {"loss": [2.0], "grad_norm": [1.0, NAN], "steps": {"loss": [9]}},
        (),
    ),
    (
        "a DeepSpeed file that may be a part",
        deepspeed.clipping_left_out,
        {"settings": {"zero_optimization.stage": 2}},
        (),
    ),
    ("nothing trains", tensors.widespread, table(nan={NORM: 1}, trained=FROZEN), ()),
    ("a single tensor in all", tensors.single, table(names=[NORM], nan={NORM: 1}), ()),
    ("bad tensors that are no weights", tensors.single, table(nan={NORM: 1}, role="exp_avg"), ()),
    ("everything is frozen", tensors.unmoved, table(same=64, trained=FROZEN), ()),
    ("no norm weights", tensors.ones_unmoved, table(names=["a.weight", "b.weight"], same=64), ()),
    ("nothing trains", lambda run: tensors.weights_stored_as(run, "F16"), table(trained=FROZEN), ()),
    (
        "DeepSpeed's own placeholders",
        tensors.saved_modules_empty,
        {"checkpoints": [replace(saved(lm_head=(0,))[0], kind="deepspeed")]},
        (),
    ),
    ("no empty tensor", tensors.adapters_empty, {"checkpoints": saved(lora_A=(8, 8))}, ()),
    (
        "no evaluation after the onset",
        data013_labels_corrupted._evaluation_is_fine,
        {"eval_loss": [1.0, 1.0]},
        (asked(9),),
    ),
    (
        "a bucket in words",
        dist001_ds_zero12_comm_corruption._small_bucket,
        {"settings": {"zero_optimization.reduce_bucket_size": "large"}},
        (),
    ),
    (
        "another metric",
        log005_log_artifact.contradicted,
        {"disagreements": (replace(TWO, metric="epoch"),)},
        (asked(),),
    ),
    ("both are fine", log005_log_artifact.contradicted, {"disagreements": (replace(TWO, kept=2.0),)}, (asked(),)),
    ("one rate", num003_overflow_steps_skipped.frozen_rate, {"learning_rate": [1e-4]}, (asked(1),)),
    ("no counter", num010_bf16_no_nan_guard._megatron_counter, {"frameworks": ("megatron",)}, ()),
    ("two entries of a warmup", opt001_lr_zero_config.always_zero, {"learning_rate": [0.0, 0.0]}, ()),
    (
        "an optimizer that told nothing",
        opt002_nothing_trainable.all_frozen,
        table(trained=dict.fromkeys(FROZEN, "unknown")),
        (),
    ),
    (
        "a number that is no whole one",
        opt012_hf_grad_accum_loss_scaling.ratio,
        {"loss": [5.0] * 5, "eval_loss": [2.0]},
        (),
    ),
    (
        "five NaN at the end",
        opt012_hf_grad_accum_loss_scaling.ratio,
        {"loss": [5.0, *[float("nan")] * 5], "eval_loss": [1.0]},
        (),
    ),
    ("an evaluation of 0", opt012_hf_grad_accum_loss_scaling.ratio, {"loss": [5.0] * 5, "eval_loss": [0.0]}, ()),
    (
        "differences that were not read",
        tok001_tokenization_mismatch._shape,
        {"events": [make_events(Kind.TOKENIZATION_MISMATCH)]},
        (),
    ),
    (
        "words where a number belongs",
        lambda run: issues.look({"setting": "learning_rate", "below": 1.0}, run, asked()),
        {"settings": {"learning_rate": "auto"}},
        (),
    ),
]


@pytest.mark.parametrize(("look", "facts", "explained"), [pytest.param(*row[1:], id=row[0]) for row in NOTHING])
def test_nothing_is_seen_where_the_run_does_not_tell(
    look: Any, facts: dict[str, Any], explained: tuple[Any, ...]
) -> None:
    assert seen(look, facts, *explained) is None


SEEN: list[tuple[Any, dict[str, Any], tuple[Any, ...], bool, str]] = [
    (deepspeed.deepspeed_used, {"settings": {"fsdp": "full_shard"}}, (), False, "the run used FSDP"),
    (
        deepspeed.deepspeed_used,
        {"packages": {f"p{i}": "1.0" for i in range(10)}},
        (),
        False,
        "not among the 10 packages",
    ),
    (
        deepspeed.deepspeed_used,
        {
            "settings": {"deepspeed": None},
            "packages": {"deepspeed": "0.12.5"},
            "checkpoints": [make_checkpoint(5, optimizer=OptimizerState(step=5))],
        },
        (),
        False,
        "the optimizer state is a plain one",
    ),
    (
        setup.several_ranks,
        {"checkpoints": [replace(make_checkpoint(6), world_size=4)]},
        (),
        True,
        "4 processes",
    ),
    (
        tensors.too_fine,
        {"checkpoints": [replace(make_checkpoint(6), resolution=(ONE,))]},
        (),
        True,
        "1 tensors are still exactly 1.0",
    ),
    (
        dist001_ds_zero12_comm_corruption._small_bucket,
        {"settings": {"zero_optimization.reduce_bucket_size": 5e8}},
        (),
        False,
        "reduce_bucket_size",
    ),
    (
        log001_nan_loss_logged_as_zero._trainer,
        {"settings": {"inferred.transformers": "4.46"}},
        (),
        True,
        "look like those of transformers 4.46",
    ),
    (num020_attention_impl_nan.attention, {"settings": {"flash_attn": "sdpa"}}, (), True, "flash_attn is sdpa"),
    (
        opt012_hf_grad_accum_loss_scaling.ratio,
        {"loss": [8.0] * 5, "eval_loss": [1.0]},
        (),
        True,
        "gradient_accumulation_steps is not recorded",
    ),
    (
        tok001_tokenization_mismatch._shape,
        {"events": [make_events(Kind.TOKENIZATION_MISMATCH, [-1, -1], [3.0, 9.0], text="mismatch: 5 vs. 8.")]},
        (),
        False,
        "differ (3 to 9)",
    ),
    (
        tok001_tokenization_mismatch._shape,
        {"events": [make_events(Kind.TOKENIZATION_MISMATCH, [-1, -1], [1.0, 1.0])]},
        (),
        True,
        "every mismatch is +1",
    ),
    (
        tok001_tokenization_mismatch._shape,
        {"events": [make_events(Kind.TOKENIZATION_MISMATCH, [-1, -1], [-811.0, -99.0], text="mismatch: 1 vs. 812.")]},
        (),
        True,
        "the separator was never found",
    ),
    (
        num010_bf16_no_nan_guard._megatron_counter,
        {"frameworks": ("megatron",), "nan_iterations": [0.0, 2.0]},
        (),
        False,
        "counts 2 nan iterations",
    ),
    (curves.norm_is, {"grad_norm": [1.0, NAN, NAN]}, (asked(None), "nonfinite"), True, "NaN"),
    (curves.norm_is, {"grad_norm": [1.0, NAN, 1.0, 1.2]}, (asked(2, 2), "recovering"), True, "then finite again"),
    (curves.norm_is, {"grad_norm": [1.0, ROOT2], "loss": [2.0, 0.0]}, (asked(2), "sentinel"), True, "the root of 2"),
    (curves.norm_is, {"grad_norm": [1.0, ROOT2], "loss": [2.0, 1.9]}, (asked(2), "positive"), True, "finite"),
    (curves.norm_is, {"grad_norm": [1.0, ROOT2]}, (asked(2), "positive"), True, "finite"),
]


@pytest.mark.parametrize(("look", "facts", "explained", "holds", "words"), SEEN)
def test_what_is_seen_is_said(
    look: Any, facts: dict[str, Any], explained: tuple[Any, ...], holds: bool, words: str
) -> None:
    found = seen(look, facts, *explained)

    assert found.holds is holds
    assert words in found.statement


@pytest.mark.parametrize(("rate", "points"), [(30.0, [5]), (1.0, [5]), (2e-3, [2]), (5e-5, []), (1e-5, [-2])])
def test_a_rate_between_usual_and_high_tells_nothing(rate: float, points: list[int]) -> None:
    said = opt010_lr_too_high._rate(make_run(settings={"learning_rate": rate}), alone=False)

    assert [e.points for e in said] == points


def test_a_damaged_file_is_found_behind_a_lesser_problem() -> None:
    """A checkpoint with a missing shard and no damage is not called damaged."""
    found = tensors.damaged(make_run(checkpoints=broken_file("1 of 3 shards is missing", "incomplete")))

    assert found is not None
    assert not found.holds


def test_a_rate_above_all_before_is_no_return_of_the_schedule() -> None:
    facts = {"learning_rate": [2e-3, 1.8e-3, 1.6e-3, 1.4e-3, 1.2e-3, 8e-2], "loss": [1.0] * 6}
    told = seen(rates.schedule_restarted, facts, asked(6))

    assert not told.holds
    assert "leaps from 0.0012 to 0.08, above all that it had before (0.002)" in told.statement


def test_of_thousands_of_different_texts_the_first_and_the_last_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hundred rules ask each: 20,000 tracebacks took a minute."""
    monkeypatch.setattr(told, "MOST", 2)
    texts = ("first", "again", "again", "middle", "late", "last")
    events = replace(make_events(Kind.CHECKPOINT_REFUSED, [-1] * len(texts)), texts=texts)
    run = make_run(events=[events])

    def held(word: str) -> str | None:
        seen = told.said(run, Kind.CHECKPOINT_REFUSED, re.compile(word))
        return str(seen.source) if seen is not None and seen.holds else None

    assert [held(word) for word in ("first", "again", "middle", "late", "last")] == [
        "train.log:line 1",
        "train.log:line 2",
        None,
        "train.log:line 5",
        "train.log:line 6",
    ]
