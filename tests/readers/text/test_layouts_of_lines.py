"""Numbers of lines of one outline, read as columns, against each read by itself."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.model import Integers
from forensics.readers.text.columns import MARGIN, Buffer
from forensics.readers.text.digits import Digits
from forensics.readers.text.layouts import layout_of, matrix
from forensics.readers.text.shapes import masked, outline, value_of
from forensics.readers.text.templates import Read, Template
from readers.text.log_reading import read_log

SPELLED = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True).map(repr),
    st.floats(-1e6, 1e6).map("{:.4f}".format),
    st.floats(-1e6, 1e6).map("{:+.2f}".format),
    st.floats(allow_nan=False, allow_infinity=False).map("{:.6E}".format),
    st.integers(-(10**21), 10**21).map(str),
    st.integers(0, 10**9).map("{:,}".format),
    st.sampled_from(["nan", "inf", "-inf", "5.", ".5", "0,0003", "1e5", "0.00012345678901234567"]),
)


@given(st.lists(SPELLED, min_size=1, max_size=5), st.integers(0, 1 << 30))
def test_numbers_of_lines_of_one_outline(spelled: list[str], seed: int) -> None:
    """Whatever digits stand there, each number is the one that its text spells."""
    line = " ".join(f"a{index} loss={text}" for index, text in enumerate(spelled)).encode()
    digits = random.Random(seed)
    mask = masked(line)
    lines = [line]
    for _ in range(4):
        other = bytearray(line)
        for start, end in mask.spans:
            for at in range(start, end):
                if line[at : at + 1].isdigit():
                    other[at] = ord(digits.choice("0123456789"))
        lines.append(bytes(other))
    data = b"." * MARGIN + b"\n".join(lines)
    starts = MARGIN + np.arange(len(lines)) * (len(line) + 1)
    layout = layout_of(None, line, mask, -1)

    texts = matrix(data, starts, len(line))

    assert layout.fits(texts).all()
    for many in (1, 1 << 10):
        read = Digits(line, mask.spans).read(np.tile(texts, (many, 1)))
        for (start, end), values in zip(mask.spans, read, strict=True):
            wanted = [value_of(each[start:end]) for each in lines] * many
            np.testing.assert_array_equal(values, wanted)
            assert (np.signbit(values) == np.signbit(wanted)).all()


@pytest.mark.parametrize(
    "other", [b"step 12 Acc@5: 0.91", b"stop 12 Acc@1: 0.91", b"step 1a Acc@1: 0.91", b"step 12 Acc@1: 0:91"]
)
def test_lines_of_another_outline_do_not_fit(other: bytes) -> None:
    line = b"step 10 Acc@1: 0.90"
    layout = layout_of(None, line, masked(line), -1)

    fits = layout.fits(matrix(b"." * MARGIN + line + other, MARGIN + np.array([0, len(line)]), len(line)))

    assert fits.tolist() == [True, False]
    assert outline(line) != outline(other) or b"@5" in other


def test_a_long_log_of_bars_is_read_in_bulk() -> None:
    """Drawings change from line to line, which no template takes: each drawing has a layout."""
    text = "".join(
        f"train: {step // 100:3d}%|{'#' * (step // 1000):10}| {step}/10000 [00:12, loss={step / 7:.4f}]\n"
        for step in range(10000)
    )

    points = read_log(text).points("loss")

    assert points == [(step, float(f"{step / 7:.4f}")) for step in range(10000)]


def test_lines_that_grow_longer_are_read_in_columns_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What came once among many lines of its length is learnt in the same window; templates are left with a few."""
    taken, read = 0, Template.read

    def counted(self: Template, buffer: Buffer, starts: Integers, ends: Integers) -> Read:
        nonlocal taken
        found = read(self, buffer, starts, ends)
        taken += len(found.rows)
        return found

    monkeypatch.setattr(Template, "read", counted)
    text = "".join(f"step {step} loss {100000 / step:.3f} norm {step % 7}.5\n" for step in range(1, 30000))

    points = read_log(text).points("loss")

    assert points == [(step, float(f"{100000 / step:.3f}")) for step in range(1, 30000)]
    assert taken < 1000
