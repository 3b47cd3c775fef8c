"""A function over every text of a report: nothing that may hold one is passed over, and what has none stays itself."""

from dataclasses import replace

import numpy as np

from forensics.model import Series, Setting, Source, Standing, Timeline
from forensics.names import is_loss, loss_rank
from forensics.report._mapped import _may_hold_text, mapped
from runs import FOUNDING

PLACES = np.arange(3, dtype=np.int64)
SERIES = Series(
    "loss", PLACES, PLACES / 2.0, PLACES / 2.0, PLACES, PLACES.astype(np.int32), PLACES.astype(np.int8), (("a", "b"),)
)


def test_every_text_of_a_series_is_mapped() -> None:
    shouted = mapped(replace(SERIES, logged_as="term"), str.upper)

    assert (shouted.name, shouted.places, shouted.logged_as) == ("LOSS", (("A", "B"),), "TERM")
    assert shouted.values is SERIES.values


def test_what_a_function_leaves_alone_is_not_made_anew() -> None:
    assert mapped(SERIES, str) is SERIES
    assert mapped((SERIES, ("a", 1)), lambda text: text) == (SERIES, ("a", 1))
    timeline = Timeline({"loss": SERIES})
    assert mapped(timeline, lambda text: text).series["loss"] is SERIES


def test_a_value_that_may_be_a_number_or_a_text_is_looked_at() -> None:
    setting = Setting("setting", "seed", "abc", Source("a", "line 1", 1), Standing.RECORDED)

    assert mapped(setting, str.upper).value == "ABC"
    assert not _may_hold_text(int)
    assert not _may_hold_text(float | None)
    assert _may_hold_text(str | None)


def test_each_name_of_a_run_is_judged_once() -> None:
    """A run may have thousands of metrics, and each detector asks of all of them."""
    from forensics import analyze

    is_loss.cache_clear()
    loss_rank.cache_clear()
    names = analyze(FOUNDING.run).run.timeline.series

    assert is_loss.cache_info().hits > is_loss.cache_info().misses >= len(names) > 0
