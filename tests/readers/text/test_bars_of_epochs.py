"""Bars that repeat what an epoch came to, and lines that stand right behind a bar."""

import numpy as np
import pytest

from readers.text.log_reading import read_log


def _lightning(epochs: int, batches: int, ended: str) -> tuple[str, list[float], list[float]]:
    """Return what a Lightning bar prints that shows two means of the epoch, and those means.

    The bar of the epoch before is drawn at 0/n before the new one is, under its own old number.
    """
    trained = [round(0.9 - 0.013 * epoch, 3) for epoch in range(epochs)]
    tested = [round(0.95 - 0.011 * epoch, 3) for epoch in range(epochs)]
    text, behind = "", ""
    for epoch in range(epochs):
        for place in range(batches + 1):
            share = 100 * place // batches
            drawn = "█" * (share // 10) + " " * (10 - share // 10)
            bar = f"Epoch {epoch}: {share:3}%|{drawn}| {place}/{batches} [00:0{epoch % 9}<00:02,  5.30it/s, v_num=4"
            text += f"\r{bar}{behind}]" * (2 if place % 3 else 1)
        behind = f", val_loss={tested[epoch]:.3f}, train_loss={trained[epoch]:.3f}"
        text += (
            f"\r{bar}{behind}]{ended}\rEpoch {epoch}:   0%|          | 0/{batches} [00:00<?, ?it/s, v_num=4{behind}]"
        )
    return text + "\n", trained, tested


@pytest.mark.parametrize("ended", ["", "\n"])
@pytest.mark.parametrize(("epochs", "batches"), [(5, 8), (12, 30)])
def test_a_bar_that_repeats_the_mean_of_an_epoch_tells_it_once_at_the_end_of_the_epoch(
    epochs: int, batches: int, ended: str
) -> None:
    text, trained, tested = _lightning(epochs, batches, ended)
    told = read_log(text)
    for name, values in (("train_loss", trained), ("eval_loss", tested)):
        assert told.samples(name).values.tolist() == values
        assert told.samples(name).steps.tolist() == [batches * (epoch + 1) for epoch in range(epochs)]


@pytest.mark.parametrize("own", ["2025-09-16 13:06:{0:02} - INFO - ", "Epoch {0}: ", "[{0:02}:10:11] "])
def test_a_line_right_behind_a_bar_is_told_no_step_by_that_bar(own: str) -> None:
    bar = "Training: 100%|██████████| 174/174 [00:12<00:00, 13.59it/s]"
    text = "".join(
        f"\rTraining:   0%|          | 0/174 [00:00<?, ?it/s]\r{bar}{own.format(n)}Train Loss: {2 - n / 10:.4f}\n"
        for n in range(1, 9)
    )
    loss = read_log(text).samples("loss")
    assert np.allclose(loss.values, [2 - n / 10 for n in range(1, 9)])
    assert (loss.steps == -1).all()


def test_an_epoch_of_its_own_line_counts_from_one() -> None:
    bar = " 24%|██▍       | 363/1541 [00:34<01:51, 10.55it/s, box_loss=0.5677, total_loss=1.29]"
    assert read_log(f"Epoch 1/20\n\r{bar}\n").samples("loss").steps.tolist() == [363]


def test_what_a_rank_says_right_behind_a_bar_is_no_metric_of_it() -> None:
    """Lightning prints the signal that ends a job where its bar stands (`_SignalConnector`, `rank_zero_info`)."""
    text = "".join(f"\rEpoch 0:  {n}%|█  | {n}/99 [00:{n}<00:09, 3.3s/it, loss={9 - n / 10}]" for n in range(10, 20))
    told = read_log(f"{text}[rank: 2] Received SIGTERM: 15\n")

    assert told.names() == {"loss"}
