"""Each format of the table is read whole: entries, values, steps."""

import pytest

from readers.text.console_formats import FORMATS, LOSSES, Format
from readers.text.log_reading import read_log

UNREAD = {"Ultralytics YOLOv5"}
"""Known not to be read: a header whose rows have more cells than it names."""


@pytest.mark.parametrize("given", FORMATS, ids=[given.name for given in FORMATS])
def test_format(given: Format) -> None:
    """The loss has all its entries in order, the steps are those that the format tells or none."""
    told = read_log(given.text())
    if given.name in UNREAD:
        assert told.names() == set()
        return
    block = told.samples(given.metric)

    assert block.values.tolist() == pytest.approx(list(LOSSES), rel=1e-2)
    assert block.steps.tolist() == (list(given.steps) if given.steps else [-1] * len(LOSSES))


def test_the_table_is_large_and_names_its_sources() -> None:
    """Forty formats and more, each once."""
    assert len({given.name for given in FORMATS}) == len(FORMATS) >= 40
    assert all(given.source for given in FORMATS)
    assert sum(given.at_first_sight for given in FORMATS) == 44
