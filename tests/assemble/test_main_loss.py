"""Which series counts as the loss of training."""

import numpy as np

from forensics.assemble.main_loss import with_loss
from forensics.model import Samples


def block(name: str, values: list[float], path: str = "train.log") -> Samples:
    count = np.arange(1, len(values) + 1, dtype=np.int64)
    return Samples(name, count, np.array(values), count, path, "line {}")


def names(*blocks: Samples) -> list[str]:
    return [each.name for each in with_loss(blocks)]


FALLING = [3.0, 2.5, 2.0, 1.5]


def test_a_loss_of_training_under_another_name_is_the_loss() -> None:
    """The best by its form is taken, a summary of one entry never."""
    assert names(block("avg_train_loss", FALLING), block("aux_loss", FALLING)) == ["loss", "aux_loss"]
    assert names(block("train_loss", [1.5])) == ["train_loss"]
    assert names(block("avr_loss", [1.5, 1.4])) == ["loss"]
    assert names(block("avr_loss", [1.5])) == ["avr_loss"]
    assert names(block("loss", FALLING), block("avg_train_loss", FALLING)) == ["loss", "avg_train_loss"]


def test_means_over_several_runs_are_no_curve() -> None:
    """The Trainer writes its mean beside the time of the run, once for each of the adapters that are trained."""
    means = block("train_loss", FALLING)

    assert names(means) == ["loss"]
    assert names(means, block("train_runtime", FALLING)) == ["train_loss", "train_runtime"]
    assert names(means, block("train_runtime", FALLING, "other.log")) == ["loss", "train_runtime"]


def test_one_of_several_terms_is_not_the_loss() -> None:
    """A single one is, an actor's loss never."""
    assert names(block("kl_loss", FALLING), block("aux_loss", FALLING)) == ["kl_loss", "aux_loss"]
    assert names(block("ce_loss", FALLING)) == ["loss"]
    assert names(block("actor/pg_loss", FALLING)) == ["actor/pg_loss"]


def test_a_side_table_does_not_hide_the_loss() -> None:
    """A loss that never moves, in a file of its own, is told under the name of that file."""
    flat = block("loss", [0.0] * 4, "norms/table.csv")

    assert names(flat, block("CrossEntropyLoss", FALLING, "metrics.jsonl")) == ["table/loss", "loss"]
    assert names(flat, block("ce_loss", FALLING, "norms/table.csv")) == ["loss", "ce_loss"]
    assert names(flat, block("ce_loss", [1.0] * 4, "metrics.jsonl")) == ["loss", "ce_loss"]
