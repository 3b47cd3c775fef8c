"""Each format of the three tables is read whole: entries, values, steps."""

from dataclasses import replace

import numpy as np
import pytest

from forensics.model import Samples
from readers.text.console_formats import FORMATS, LOSSES, Format
from readers.text.further_formats import FURTHER
from readers.text.log_reading import read_log
from readers.text.own_loops import LOOPS

UNREAD = {"DI-engine"}
"""Known not to be read: a table whose rows have no counter, as tables of results have none."""
ALL = (*FORMATS, *FURTHER, *LOOPS)
ENDED = (*LOSSES[:6], np.nan, np.nan)


def _block(given: Format) -> Samples:
    (block,) = [
        each for each in read_log(given.text()).facts if isinstance(each, Samples) and each.name == given.metric
    ]
    return block


@pytest.mark.parametrize("losses", [LOSSES, ENDED], ids=["finite", "ends as NaN"])
@pytest.mark.parametrize("given", ALL, ids=[given.name for given in ALL])
def test_format(given: Format, losses: tuple[float, ...]) -> None:
    """The loss has all its entries in order, the steps are those that it tells or none; so has one that ends as NaN."""
    given = replace(given, losses=losses)
    if given.name in UNREAD:
        assert read_log(given.text()).names() == set()
        return
    block = _block(given)

    assert block.values.tolist() == pytest.approx(list(losses), rel=1e-2, nan_ok=True)
    assert block.steps.tolist() == (list(given.steps) if given.steps else [-1] * len(losses))


@pytest.mark.parametrize("spelled", ["NaN", "inf", "-inf", "-nan"])
def test_what_is_no_number_is_none_however_it_is_spelled(spelled: str) -> None:
    """What follows it may be the name of the next number."""
    for behind in (" grad_norm=1.5", " value_loss=0.5", ", lr: 0.1", " | loss scale: 1.0", " and more"):
        values = _block(Format("", "", f"step {{s}} loss={spelled}{behind}", None)).values

        assert len(values) == len(LOSSES)
        assert not np.isfinite(values).any()


def test_the_tables_are_large_and_name_their_sources() -> None:
    """Each format stands there once; what was read at first sight is kept as it was."""
    assert len({given.name for given in ALL}) == len(ALL)
    assert all(given.source for given in ALL)
    assert (len(FORMATS), sum(given.at_first_sight for given in FORMATS)) == (51, 43)
    assert (len(FURTHER), sum(given.at_first_sight for given in FURTHER)) == (122, 98)
    assert (len(LOOPS), sum(given.at_first_sight for given in LOOPS)) == (98, 85)
