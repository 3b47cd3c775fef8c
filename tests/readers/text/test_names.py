"""Which name a number gets, and what names mean: one line a rule."""

import pytest

from forensics.names import canonical, is_loss, loss_rank
from forensics.readers.text.lexicon import Role, metric_name, role_of
from forensics.readers.text.names import shape_of
from forensics.readers.text.shapes import masked, narrowed, outline


def named(line: str) -> dict[str, str]:
    """Return the numbers of a line by name, with their role."""
    text = narrowed(line.encode())
    mask = masked(text)
    return {
        field.name: f"{field.role.value} {text[slice(*mask.spans[field.number])].decode()}"
        for field in shape_of(mask.shape).fields
        if field.role is not Role.LEADING
    }


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("step 10 | loss    nan | grad_norm  1.5", {"step": "step 10", "loss": "loss nan", "grad_norm": "norm 1.5"}),
        ("Epoch: [0][ 30/391]\tLoss 2.9 (3.0)", {"Epoch": "epoch 0", "": "ratio 30", "Loss": "loss 2.9"}),
        ("| epoch   1 |   200/ 2983 batches | loss  9.0",
         {"epoch": "epoch 1", "batches": "batch 200", "loss": "loss 9.0"}),
        ("2epoch:train:1-100batch: loss=65.1", {"epoch": "epoch 2", "batch": "batch 100", "loss": "loss 65.1"}),
        ("num_updates=100, lr=1e-05", {"num_updates": "global step 100", "lr": "known 1e-05"}),
        ("iteration 7/ 100 | lm loss: 1.5E+00 | number of nan iterations:   0 |",
         {"iteration": "step 7", "lm loss": "loss 1.5E+00", "number of nan iterations": "other 0"}),
        ("{'loss': 1.5, 'rewards/chosen': tensor(0.5, device='cuda:0'), 'top 5 of 9': 2}",
         {"loss": "loss 1.5", "rewards/chosen": "known 0.5", "top 5 of 9": "known 2"}),
        ("training/loss(1e-3):0.5", {"training/loss": "loss 0.5"}),
        ("[batch=10/100]: Train loss/train/total: 2.5", {"batch": "batch 10", "Train loss/train/total": "loss 2.5"}),
        ("\u7b2c10\u6b65 loss\uff1a2.5", {"steps": "step 10", "loss": "loss 2.5"}),
        ("Acc@1 50.5 Acc@5 70.0", {"Acc@1": "known 50.5", "Acc@5": "known 70.0"}),
        ("iter time (s): 1.5", {"iter time (s)": "other 1.5"}),
        ("Up. 500 : Cost 4.9", {"Up": "step 500", "Cost": "loss 4.9"}),
        # Nothing of these is a loss or a counter.
        ("3 packets received, 0.1% packet loss, time 4ms", {}),
        ("loss detected at 3 ranks", {}),
        ("steps: 66%", {}),
        ("2025-05-01 10:00:00 v1.2.3 /a/b/step 10.0.0.1 0x1f model-7b took 1h 2m", {}),
        ("f'loss: {x:.4f}'", {}),
    ],
)  # fmt: skip
def test_a_number_is_named_by_the_words_before_it(line: str, expected: dict[str, str]) -> None:
    """Blanks, brackets, tensors and units are looked through; paths, dates and versions are no numbers."""
    assert named(line) == expected


@pytest.mark.parametrize(
    ("line", "evaluates"),
    [
        ("* Acc@1 76.212 Acc@5 93.2 loss 1.02", True),
        (" * Loss 1.234 Prec@1 76.2", True),
        ("2026-01-02 10:00:00 * Acc@1 76.2 loss 1.02", True),
        ("INFO:tensorflow:Saving dict for global step 50: accuracy = 0.9, loss = 4.1", True),
        ("INFO:tensorflow:loss = 4.1, step = 50 (3.4 sec)", False),
        ("Epoch: [0][ 30/391] Loss 2.9 (3.0) Acc@1 76.2", False),
        ("* step 10 loss 2.5", False),
    ],
)
def test_a_summary_of_an_evaluation_is_no_entry_of_training(line: str, evaluates: bool) -> None:
    """`utils.evaluate` of DeiT, `_write_dict_to_summary` of tensorflow-estimator."""
    fields = shape_of(masked(narrowed(line.encode())).shape).fields

    assert {field.evaluation for field in fields if field.role is Role.LOSS} == {evaluates}


def test_lines_of_one_outline_have_their_numbers_at_the_same_places() -> None:
    """What is remembered of a line holds for every line of its outline, but for digits that belong to words."""
    first, second, other = b"top1 loss: 12.5 (1:30)", b"top1 loss: 99.0 (0:59)", b"top5 loss: 10.5 (1:30)"

    assert outline(first) == outline(second) == outline(other)
    assert masked(first).spans == masked(second).spans
    assert masked(first).fits(second)
    assert not masked(first).fits(other)


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("loss scale", Role.KNOWN),
        ("loss_weight", Role.OTHER),
        ("best loss", Role.OTHER),
        ("max_grad_norm", Role.OTHER),
        ("number of skipped iterations", Role.KNOWN),
        ("Finish training epoch", Role.EPOCH),
        ("num_train_epochs", Role.NOTHING),
        ("max_steps", Role.NOTHING),
        ("rank", Role.NOTHING),
        ("train/global_step", Role.GLOBAL),
        ("batch_idx", Role.BATCH),
        ("opt_step", Role.STEP),
        ("optional step", Role.OTHER),
    ],
)
def test_words_mean_what_they_mean_as_a_whole(name: str, role: Role) -> None:
    """A part of a name misleads."""
    assert role_of(name) is role


def test_names_of_evaluation_are_said_in_one_way() -> None:
    """However a trainer says it, before the name or around it."""
    assert {
        metric_name(name, evaluation=False) for name in ("val loss", "Valid Loss", "eval_loss", "validation/loss")
    } == {"eval_loss"}
    assert metric_name("Acc@1", evaluation=True) == "eval_Acc@1"
    assert metric_name("train_loss", evaluation=True) == "train_loss"


def test_losses_are_ranked() -> None:
    """The plain loss, then losses of training by their form, then terms; evaluation has no rank."""
    names = ["loss", "avg_train_loss", "mean loss", "actor/pg_loss", "aux_loss", "nll", "grad_norm", "val_loss"]

    assert [loss_rank(name) for name in names] == sorted(loss_rank(name) for name in names)
    assert loss_rank("eval_loss") == loss_rank("accuracy")
    assert is_loss("train/CrossEntropyLoss")
    assert not is_loss("packet loss")
    assert all(map(is_loss, ("cost", "Cost/train", "train_cost", "epoch cost", "cost/val")))
    assert not any(map(is_loss, ("cost_usd", "cost per token", "cost/hour", "total cost")))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((name, "loss_scale") for name in ("grad_scale", "amp_scale", "train/loss_scaler", "fp16 loss scale")),
        *((name, "loss_scale") for name in ("scaler/scale", "optim.grad_scaler", "LossScale", "amp/loss_scale")),
        *((name, name) for name in ("logit_scale", "upscale", "lr_scale", "lossscales", "weight_scale")),
    ],
)
def test_the_scale_of_fp16_has_many_names(name: str, expected: str) -> None:
    assert canonical(name) == expected
