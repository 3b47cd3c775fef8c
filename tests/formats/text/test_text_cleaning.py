"""Normalised text: encodings, line ends, colours, endless lines, windows, values."""

import codecs
import doctest
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.formats.text import (
    clock_columns,
    clock_times,
    number,
    numbered_lines,
    pairs,
    pieces,
    prefixes,
    scalar,
    secrets,
    values,
    windows,
)
from forensics.storage.file import File

PATH = Path("train.log")
FRAGMENTS = st.lists(
    st.sampled_from([b"", b"a", b"abc", b"abcdefgh", b"\x1b[1mbold\x1b[0m", b"\n", b"\r", b"\r\n", "é".encode()])
).map(b"".join)


def cleaned(data: bytes, line_bytes: int = 1 << 16, chunk_bytes: int = 1 << 20) -> tuple[bytes, int]:
    found = list(pieces(File.of_bytes(data, PATH), line_bytes, chunk_bytes))
    return b"".join(piece.data for piece in found), sum(piece.cut for piece in found)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"one\r\ntwo\r\n", b"one\ntwo\n"),
        (b"one\rtwo\nthree", b"one\rtwo\nthree"),
        (codecs.BOM_UTF8 + b"one\n", b"one\n"),
        (codecs.BOM_UTF16_LE + "é\r\n2".encode("utf-16-le"), "é\n2".encode()),
        (codecs.BOM_UTF16_BE + "é\n".encode("utf-16-be"), "é\n".encode()),
        (b"\x1b[1mbold\x1b[0m \x1b[2;3mdim\x1b[A\x1b]0;title\x07.\n", b"bold dim.\n"),
        (b"", b""),
    ],
)
def test_cleaning(data: bytes, text: bytes) -> None:
    """Marks, CR LF and terminal codes go; lone CR stays, for it ends a drawing of a bar."""
    assert cleaned(data) == (text, 0)


@given(FRAGMENTS, st.integers(1, 40), st.integers(1, 12))
def test_chunks_change_nothing(data: bytes, chunk_bytes: int, line_bytes: int) -> None:
    """However small the chunks, text and number of cut lines are the same."""
    assert cleaned(data, line_bytes, chunk_bytes) == cleaned(data, line_bytes)


def test_an_endless_line_is_cut() -> None:
    """Of a line of many megabytes the beginning is kept; what follows it is whole."""
    text, cut = cleaned(b"first\n" + b"x" * 5_000_000 + b"\nlast\n", 100, 4096)

    assert (text, cut) == (b"first\n" + b"x" * 100 + b"\nlast\n", 1)


def test_a_line_of_exactly_the_limit_is_whole() -> None:
    """The limit itself is allowed, with any separator, at any chunk size."""
    for data in (b"x" * 100 + b"\n", b"\r" + b"x" * 100 + b"\ry", b"x" * 100):
        for chunk_bytes in (1, 7, 100, 1000):
            assert cleaned(data, 100, chunk_bytes) == (data, 0)


@given(FRAGMENTS, st.integers(1, 40), st.integers(0, 30), st.integers(0, 10))
def test_windows_cover_the_text_once(data: bytes, chunk_bytes: int, ahead: int, behind: int) -> None:
    """Windows lie side by side, each sees what is around it, and lines are numbered as an editor does."""
    text, _ = cleaned(data)
    position = 0
    for window in windows(pieces(File.of_bytes(data, PATH), 1 << 16, chunk_bytes), ahead, behind):
        core = window.data[window.begin : window.end]
        assert window.separators.tolist() == [at for at, byte in enumerate(window.data) if byte in b"\n\r"]
        assert core == text[position : position + len(core)]
        assert window.offset + window.begin == position
        assert window.line == text.count(b"\n", 0, position) + 1
        assert text[:position].endswith(window.data[: window.begin])
        assert window.begin >= min(behind, position)
        rest = window.data[window.end :]
        assert text[position + len(core) :].startswith(rest)
        assert len(rest) >= min(ahead, len(text) - position - len(core))
        numbers = window.lines(range(window.begin, window.end)).tolist()
        assert numbers == [text.count(b"\n", 0, position + at) + 1 for at in range(len(core))]
        position += len(core)

    assert position == len(text)


def test_numbered_lines() -> None:
    """Blank lines count but are not given; the last line needs no end."""
    found = list(numbered_lines(File.of_bytes(b"one\n\n  \nfour\nfive", PATH), 100))

    assert found == [(1, b"one"), (4, b"four"), (5, b"five")]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"1.5", 1.5),
        (b"-inf", -math.inf),
        (b"2.345678E+00", 2.345678),
        (b"np.float64(0.25)", 0.25),
        (b"tensor([0.5], device='cuda:0', dtype=torch.float64)", 0.5),
        (b"52,002", 52002.0),
        (b"1_000", None),
        (b"0.83%", None),
        (b"", None),
    ],
)
def test_numbers(text: bytes, value: float | None) -> None:
    """Numbers as Python, numpy and torch print them; anything else is none."""
    assert number(text) == value


def test_nan_is_a_number() -> None:
    """NaN is a value, however it is written."""
    assert all(math.isnan(number(text) or 0.0) for text in (b"nan", b"NaN", b"NAN", b"tensor(nan, device='cuda:0')"))


@given(st.binary(max_size=60))
def test_values_never_raise(data: bytes) -> None:
    """Any bytes are answered."""
    number(data)
    list(pairs(data))
    scalar(data.decode("utf-8", "replace"))
    assert clock_times([data]).shape == (1,)


def test_clock_times() -> None:
    """Stamps become seconds since the epoch, an impossible day NaN, and neither spoils the other."""
    times = clock_times([b"1970-01-02 00:00:01,500", b"2025-13-45 00:00:00,000"])

    assert np.array_equal(times, [86401.5, np.nan], equal_nan=True)


@given(
    st.lists(st.tuples(*(st.integers(0, top) for top in (9999, 13, 32, 24, 60, 60))), min_size=1, max_size=20),
    st.integers(0, 6),
    st.integers(0, 999_999),
)
def test_clock_columns_are_clock_times(dates: list[tuple[int, ...]], places: int, micros: int) -> None:
    """A column of stamps gives the times of single ones, bit for bit, for possible and impossible dates."""
    fraction = f",{micros:06}"[: places + 1] if places else ""
    stamps = [("{:04}-{:02}-{:02} {:02}:{:02}:{:02}".format(*date) + fraction).encode() for date in dates]
    matrix = np.frombuffer(b"".join(stamps), dtype=np.uint8).reshape(len(stamps), -1)

    assert np.array_equal(clock_columns(matrix), clock_times(stamps), equal_nan=True)


@pytest.mark.parametrize("module", [prefixes, values, secrets])
def test_examples(module: object) -> None:
    """The examples in the docstrings are true."""
    result = doctest.testmod(module)  # type: ignore[arg-type]  # a module, as the list above shows

    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (
            b'{"log":"step 10 \\u001b[1mloss\\u001b[0m 2.5\\n","stream":"stdout","time":"2024-01-01T00:00:00Z"}',
            b"step 10 loss 2.5",
        ),
        (b',{"stream_name":"stderr","time":12.5,"data":"a \\"b\\"\\tc\\n"}', b'a "b"\tc'),
        (b'{"asctime": "10:00", "level": "INFO", "message": "\\u635f\\u5931 2.5"}', "损失 2.5".encode()),
        (b'{"message": "evaluated", "step": 10, "loss": 2.5}', b'{"message": "evaluated", "step": 10, "loss": 2.5}'),
        (b'{"step": 10, "loss": 2.5}', b'{"step": 10, "loss": 2.5}'),
        (b'{"log": 5}', b'{"log": 5}'),
        (b"#033[34mstep 10#033[0m", b"step 10"),
        (b"^[[31mstep 10^[[0m", b"step 10"),
    ],
)
def test_a_line_within_a_line(line: bytes, text: bytes) -> None:
    """What runs containers wraps each line in JSON, a viewer writes colours out; metrics beside a message stay."""
    assert cleaned(line + b"\n" + line)[0] == text + b"\n" + text
