"""Lines that begin with a count of all, and tell numbers whose names are unknown."""

import numpy as np
import pytest

from forensics.readers.text.sniffing import looks_like_log
from readers.text.log_reading import read_log

COUNTS = range(15, 240, 15)


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("[{s}/900] xe: {a:.4f} lr: 1.0e-04", {"xe"}),
        ("({s:03d}/900) nats {a:.4f} gap: {b:.3f}", {"gap"}),
        ("[{s:03d}/900] train {a:.5f}  test {b:.5f}", {"loss", "test_loss"}),
    ],
)
def test_a_count_without_a_name_places_numbers(line: str, names: set[str]) -> None:
    """Under their own names; of parts of the run it is the loss that falls."""
    text = "".join(line.format(s=s, a=1 + 9 / s, b=2 + 8 / s) + "\n" for s in COUNTS)
    told = read_log(text)

    assert looks_like_log(text.encode())
    assert names <= told.names()
    assert all(told.samples(name).steps.tolist() == list(COUNTS) for name in names)


def test_a_metric_that_is_never_finite_is_one() -> None:
    """A sum of squares that has overflowed from the first line on."""
    told = read_log("".join(f"iter={s} sse={'inf' if s < 60 else 'nan'}\n" for s in COUNTS))

    assert len(told.samples("sse").values) == len(COUNTS)
    assert not np.isfinite(told.samples("sse").values).any()


@pytest.mark.parametrize(
    "line",
    [
        "[{s}/900] Building CXX object src/{s}.cpp.o",
        "[{s}/900] fetched: {a:.1f} MB time: {b:.2f}",
        "[{s}/{t}] ratio: {a:.4f}",
        "[{s}/900] part {a:.4f}",
        "[{s}/900] agreement: {c:.3f}",
    ],
)
def test_what_is_built_fetched_or_worked_off_is_no_metric(line: str) -> None:
    """Nor what counts towards another end each time, nor a number that a word without a sign names."""
    text = "".join(line.format(s=s, t=s + 900, a=1 + 9 / s, b=2 + 8 / s, c=s * 7 % 11 / 11) + "\n" for s in COUNTS)

    assert not read_log(text).names()
    assert not looks_like_log(text.encode())
