"""What a resume would miss, and which checkpoint is the one to go on from."""

from dataclasses import replace
from pathlib import Path

import pytest

from forensics.investigate import investigate
from forensics.model import Artifact, Checkpoint, OptimizerState, Piece, Role, TensorRecord
from forensics.report._first import best_text, resume_text
from forensics.testing import make_checkpoint, make_run, make_table
from forensics.weights.resume import with_gaps
from runs import ROOT

TRAINER = ("model.safetensors", "optimizer.pt", "scheduler.pt", "trainer_state.json", "training_args.bin")
CHECKPOINTS = ROOT / "fixtures" / "checkpoints"


def record(role: Role) -> TensorRecord:
    return TensorRecord("w", role, "F32", (2,), (Piece("f", 0, 8),))


def gaps(names: tuple[str, ...], kind: str = "huggingface", roles: tuple[Role, ...] = ("weight",)) -> tuple[str, ...]:
    one = Checkpoint("out/checkpoint-5", kind, 5, records=tuple(record(role) for role in roles))
    files = [Artifact(Path("run"), f"out/checkpoint-5/{name}", 1, 0.0) for name in names]
    elsewhere = Artifact(Path("run"), "out/checkpoint-50/optimizer.pt", 1, 0.0)
    return with_gaps([one], [*files, elsewhere])[0].lacks


@pytest.mark.parametrize(
    ("names", "kind", "lacks"),
    [
        (TRAINER, "huggingface", ()),
        (TRAINER[:1] + TRAINER[2:], "huggingface", ("optimizer state",)),
        (TRAINER[:2] + TRAINER[3:], "huggingface", ("scheduler state",)),
        (TRAINER[:3], "huggingface", ("trainer state",)),
        (TRAINER[:1], "huggingface", ("optimizer state", "scheduler state", "trainer state")),
        (("model.safetensors", "optimizer.bin", "random_states_0.pkl"), "huggingface", ()),
        (("model.safetensors", "random_states_0.pkl"), "huggingface", ("optimizer state",)),
        (
            ("model.safetensors", "trainer_state.json", "global_step5/zero_pp_rank_0_mp_rank_00_optim_states.pt"),
            "huggingface+deepspeed",
            (),
        ),
        (("model_world_size_2_rank_0.pt", "optim_world_size_2_rank_0.pt"), "verl", ()),
        (("model_world_size_2_rank_0.pt",), "verl", ("optimizer state",)),
    ],
)
def test_what_is_missing(names: tuple[str, ...], kind: str, lacks: tuple[str, ...]) -> None:
    assert gaps(names, kind) == lacks


def test_moments_are_an_optimizer_wherever_they_lie() -> None:
    assert gaps(("__0_0.distcp",), "dcp", ("weight", "exp_avg")) == ()
    assert gaps(("__0_0.distcp",), "dcp", ("exp_avg",)) == ("weights",)


def test_one_file_holds_its_optimizer() -> None:
    alone = Checkpoint("last.ckpt", "lightning", 5, records=(record("weight"),))

    assert with_gaps([alone], [])[0].lacks == ("optimizer state",)
    assert with_gaps([replace(alone, optimizer=OptimizerState(step=5))], [])[0].lacks == ()


@pytest.mark.parametrize("name", ["accelerate-state", "zero1", "lightning-ckpt", "torchtitan-dcp", "verl-fsdp"])
def test_whole_saves_of_frameworks_lack_nothing(name: str) -> None:
    assert [c.lacks for c in investigate(CHECKPOINTS / name, weights="full").run.checkpoints] == [()]


def test_the_newest_that_can_be_resumed_is_the_last_good_one() -> None:
    whole, weights = make_checkpoint(10), replace(make_checkpoint(20), lacks=("optimizer state",))
    poisoned = make_checkpoint(30, make_table(nan={"model.norm.weight": 1}))

    def good(*checkpoints: Checkpoint) -> str | None:
        found = make_run(checkpoints=checkpoints).last_good_checkpoint
        return None if found is None else found.path

    assert good(whole, weights, poisoned) == "checkpoint-10"
    assert good(weights, poisoned) == "checkpoint-20"
    assert good(whole, make_checkpoint(20)) == "checkpoint-20"
    assert good(poisoned, make_checkpoint(40)) is None


def test_what_a_resume_finds_is_said() -> None:
    assert resume_text(make_checkpoint(10)) == "clean, and its optimizer state too"
    assert resume_text(replace(make_checkpoint(10), lacks=("scheduler state",))) == "clean, but without scheduler state"


def test_the_best_is_told_with_its_noise(tmp_path: Path) -> None:
    from forensics.investigate import judge

    losses = [2.0, 1.6, 1.31, 1.26, 1.20, 1.33, 1.5, 1.7]
    steps = [50 * i for i in range(1, 9)]
    run = make_run(
        loss=[2.0] * 400,
        eval_loss=losses,
        steps={"eval_loss": steps},
        checkpoints=[make_checkpoint(200), make_checkpoint(400)],
    )
    told = best_text(judge(run))

    assert told.startswith("checkpoint-200: eval_loss 1.26 \u00b1 ")
    assert told.endswith("the best that was saved; step 250 had 1.2")
