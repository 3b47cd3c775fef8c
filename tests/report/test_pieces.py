"""Long series are written piece by piece: the pieces are the file, and what is too large leaves nothing behind."""

import io
import zipfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forensics.investigate import investigate
from forensics.model import Run, Series, Timeline
from forensics.redaction.identities import redactor_for
from forensics.report import bundle, timeline
from forensics.report._html_data import thinned
from runs import FOUNDING

NAMES = st.sampled_from(
    ["loss", "=cmd()", 'a "quoted", name', "e\u0301\u0301\u0301", "\x1b[31m", "x" * 500, "-1", "\n"]
)
PLACES = st.sampled_from(["line {}", "entry {}", "", "cell 2, line {}", "\u0301{}", "log_history[{}]", "{} of {}"])
VALUES = st.sampled_from([0.1, 1e-300, float("nan"), float("inf"), -float("inf"), -0.0, 3.0])


@st.composite
def lines(draw: st.DrawFn) -> Series:
    values = np.array(draw(st.lists(VALUES, max_size=5)))
    count = len(values)
    places = draw(st.lists(st.tuples(NAMES, PLACES), min_size=1, max_size=3))
    return Series(
        draw(NAMES),
        np.arange(count),
        values,
        np.array(draw(st.lists(VALUES, min_size=count, max_size=count))),
        np.arange(count) * 11,
        np.arange(count, dtype=np.int32) % len(places),
        np.zeros(count, dtype=np.int8),
        tuple((path, place.replace("{} of {}", "{0} of {0}")) for path, place in places),
        draw(st.sampled_from(["step", "entry"])),
    )


@given(st.lists(lines(), max_size=3))
def test_the_pieces_are_what_is_made_as_a_whole(made: list[Series]) -> None:
    run = Run(Path(), Timeline({f"{number} {each.name}": each for number, each in enumerate(made)}))
    whole = timeline._csv(timeline._merged(timeline._chosen(run, (), None)))

    assert "".join(timeline.pieces(run, ())) == whole


@given(arrays(np.float64, st.integers(10, 400), elements=VALUES | st.floats(-2, 2, width=16)), st.integers(3, 60))
def test_a_thinned_curve_keeps_the_extremes_of_each_stretch(values: np.ndarray, most: int) -> None:
    edges = np.linspace(0, len(values), max(1, most // 3) + 1).astype(int)
    kept = {0, len(values) - 1}
    for start, stop in pairwise(edges.tolist()):
        finite = [index for index in range(start, stop) if np.isfinite(values[index])]
        strange = [index for index in range(start, stop) if not np.isfinite(values[index])]
        kept.update(each(finite, key=values.__getitem__) for each in (min, max) if finite)
        kept.update(strange[:1])

    assert len(values) <= most or thinned(values, most).tolist() == sorted(kept)


@pytest.mark.parametrize(("limit", "size"), [("MEMBER_BYTES", 4_000), ("MOST_BYTES", 14_000)])
def test_a_member_that_is_too_large_leaves_no_trace(monkeypatch: pytest.MonkeyPatch, limit: str, size: int) -> None:
    report = investigate(FOUNDING.run, weights="off")
    redactor = redactor_for(report.run, identities=True, names={})
    whole = zipfile.ZipFile(io.BytesIO(bundle.render(report, (), redactor)))
    monkeypatch.setattr(bundle, limit, size)

    archive = zipfile.ZipFile(io.BytesIO(bundle.render(report, (), redactor)))

    told = archive.read("README.txt").decode()
    left = set(whole.namelist()) - set(archive.namelist())
    assert archive.testzip() is None
    assert {"report.html"} <= left < set(whole.namelist())
    assert all(f"{name}: left out, the archive would be too large" in told for name in left)
    assert all(archive.read(name) == whole.read(name) for name in archive.namelist() if name != "README.txt")
