"""Each format of the six tables is read whole: entries, values, steps."""

from dataclasses import replace

import numpy as np
import pytest

from forensics.model import UNKNOWN_STEP, Samples
from readers.text.console_formats import FORMATS, LOSSES, Format
from readers.text.filed_formats import FILED
from readers.text.further_formats import FURTHER
from readers.text.log_reading import read_log
from readers.text.own_loops import LOOPS
from readers.text.scattered_formats import SCATTERED
from readers.text.worldwide_formats import WORLDWIDE

UNREAD = {
    "Kaldi", "structlog kv", "returns", "Flower history", "Blocks", "pylearn2", "Neon", "Knet",
    "Mocha", "GPT-SoVITS", "Vowpal Wabbit", "LIBLINEAR", "L-BFGS R", "Stan ADVI", "Allegro", "Ludwig",
    "LightweightGAN",
}  # fmt: skip
"""Known not to be read whole."""
ALL = (*FORMATS, *FURTHER, *LOOPS, *WORLDWIDE, *SCATTERED, *FILED)
ENDED = (*LOSSES[:6], np.nan, np.nan)


def _blocks(given: Format) -> list[Samples]:
    facts = read_log(given.text()).facts
    return [each for each in facts if isinstance(each, Samples) and each.name == given.metric]


@pytest.mark.parametrize("losses", [LOSSES, ENDED], ids=["finite", "ends as NaN"])
@pytest.mark.parametrize("given", [given for given in ALL if given.name not in UNREAD], ids=lambda given: given.name)
def test_format(given: Format, losses: tuple[float, ...]) -> None:
    """The loss has all its entries in order, the steps are those that it tells or none; so has one that ends as NaN."""
    given = replace(given, losses=losses)
    (block,) = _blocks(given)

    assert block.values.tolist() == pytest.approx(list(losses), rel=1e-2, nan_ok=True)
    assert block.steps.tolist() == _steps(given)


def _steps(given: Format) -> list[int]:
    return list(given.steps) if given.steps else [UNKNOWN_STEP] * len(given.losses)


@pytest.mark.parametrize("given", [given for given in ALL if given.name in UNREAD], ids=lambda given: given.name)
def test_what_is_called_unread_is(given: Format) -> None:
    """A format leaves that list with the change that reads it."""
    told = [(block.values.tolist(), block.steps.tolist()) for block in _blocks(given)]

    assert told != [(list(given.losses), _steps(given))]


@pytest.mark.parametrize(
    "spelled", ["NaN", "inf", "-inf", "-nan", "1.#QNAN", "-1.#IND", "1.#INF00", "nan(ind)", "-nan(ind)"]
)
def test_what_is_no_number_is_none_however_it_is_spelled(spelled: str) -> None:
    """What follows it may be the name of the next number."""
    for behind in (" grad_norm=1.5", " value_loss=0.5", ", lr: 0.1", " | loss scale: 1.0", " and more"):
        (block,) = _blocks(Format("", "", f"step {{s}} loss={spelled}{behind}", None))
        values = block.values

        assert len(values) == len(LOSSES)
        assert not np.isfinite(values).any()


def test_the_tables_are_large_and_name_their_sources() -> None:
    """Each format stands there once; what was read at first sight is kept as it was."""
    assert len({given.name for given in ALL}) == len(ALL)
    assert all(given.source for given in ALL)
    assert (len(FORMATS), sum(given.at_first_sight for given in FORMATS)) == (51, 43)
    assert (len(FURTHER), sum(given.at_first_sight for given in FURTHER)) == (122, 98)
    assert (len(WORLDWIDE), sum(given.at_first_sight for given in WORLDWIDE)) == (103, 55)
    assert (len(LOOPS), sum(given.at_first_sight for given in LOOPS)) == (105, 86)
    assert (len(SCATTERED), sum(given.at_first_sight for given in SCATTERED)) == (224, 155)
    assert (len(FILED), sum(given.at_first_sight for given in FILED)) == (24, 16)


def test_a_loss_that_is_told_twice_now_and_then_counts_once() -> None:
    """Every third number is printed again with its epoch (riju92/ColorNet): the rarer line is left out."""
    numbers = [9 - number / 8 for number in range(24)]
    lines = [f"loss: {number:.6f}\n" for number in numbers]
    lines[2::3] = [f"{line}Train Epoch:{n + 1}\tPercent:[0/67 (0%)]\tL{line[1:]}" for n, line in enumerate(lines[2::3])]

    (block,) = [each for each in read_log("".join(lines)).facts if isinstance(each, Samples) and each.name == "loss"]
    assert block.values.tolist() == numbers


@pytest.mark.parametrize("line", ["Acc: 33.1% (423/1280)", "Acc: 0.331 (423/1280)", "Train accuracy: 423/1280 (33%)"])
def test_how_many_were_right_is_no_step(line: str) -> None:
    facts = read_log("".join(f"Loss: {n / 8} | {line}\n" for n in range(1, 9))).facts

    assert all((each.steps == UNKNOWN_STEP).all() for each in facts if isinstance(each, Samples))


def test_what_a_layer_gave_is_not_the_loss_of_all() -> None:
    """Caffe prints the mean over all layers first; what follows has its step and names of its own."""
    (given,) = [each for each in FILED if each.name.startswith("Caffe")]
    told = {each.name: each for each in read_log(given.text()).facts if isinstance(each, Samples)}

    assert told["output center_loss"].steps.tolist() == told["output loss"].steps.tolist() == list(given.steps or ())
    assert told["output loss"].values[0] == 0.5
