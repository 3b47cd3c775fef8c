"""Tensors in columns are the records that they were made of, whatever is asked of them."""

import pickle
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from forensics.model.columns import LARGEST, Coded, Names, Shapes
from forensics.model.tensors import Piece, TensorRecord, Tensors

names = some.text("aw.019_\n", max_size=8)
pieces = some.lists(some.builds(Piece, some.sampled_from("xyz"), some.integers(0, 99), some.integers(0, 9)), max_size=3)
sizes = some.lists(some.integers(0, 9), max_size=3).map(tuple)
records = some.lists(
    some.builds(
        TensorRecord,
        names,
        some.sampled_from(["weight", "master"]),
        some.sampled_from(["F32", "BF16"]),
        sizes,
        pieces.map(tuple),
        some.none() | sizes,
        some.none() | names,
        some.sampled_from(["frozen", "unknown"]),
    ),
    max_size=9,
)


@given(held=records)
def test_records_come_back(held: list[TensorRecord]) -> None:
    made = Tensors.of(held)

    assert (list(made), len(made), [made[row] for row in range(len(held))]) == (held, len(held), held)
    assert made.elements.tolist() == [one.elements for one in held]
    assert made.nbytes.tolist() == [one.nbytes for one in held]
    assert made.own.tolist() == [one.alias_of is None for one in held]
    assert list(pickle.loads(pickle.dumps(made))) == held
    assert made == held
    assert made != [*held, TensorRecord("w", "weight", "F32", (), ())]


@given(parts=some.lists(records, max_size=4))
def test_parts_are_joined(parts: list[list[TensorRecord]]) -> None:
    assert list(Tensors.joined([Tensors.of(part) for part in parts])) == [one for part in parts for one in part]


@given(held=records, data=some.data())
def test_rows_are_taken(held: list[TensorRecord], data: some.DataObject) -> None:
    rows = data.draw(some.permutations(range(len(held)))) if held else []
    rows = rows[: data.draw(some.integers(0, len(held)))]

    assert list(Tensors.of(held).taken(np.array(rows, dtype=np.intp))) == [held[row] for row in rows]


@given(held=records)
def test_files_find_their_rows(held: list[TensorRecord]) -> None:
    wanted = [row for row, one in enumerate(held) if any(piece.path in {"x", "z"} for piece in one.pieces)]

    assert Tensors.of(held).in_files({"x", "z"}).tolist() == wanted


@given(texts=some.lists(names, max_size=12))
def test_a_question_for_each_kind_is_one_for_each_name(texts: list[str]) -> None:
    pattern = re.compile(r"w\.\d+|a\d{2}")
    asked: list[str] = []

    found = Names(texts).where(lambda name: asked.append(name) or pattern.search(name))  # type: ignore[func-returns-value, redundant-expr]

    assert found.tolist() == [pattern.search(text) is not None for text in texts]
    assert len(asked) == len(set(asked))


def test_names_are_masked_when_they_are_given_out() -> None:
    asked: list[str] = []
    held = Names(["a.0", "b.1"]).mapped(lambda text: asked.append(text) or text.upper())  # type: ignore[func-returns-value, redundant-expr]

    assert asked == []
    assert (held[1], asked) == ("B.1", ["b.1"])
    assert list(held.mapped(lambda text: f"<{text}>")) == ["<A.0>", "<B.1>"]
    assert (list(held.texts), held.shown("x")) == (["a.0", "b.1"], "X")


def test_a_shape_beyond_64_bits_counts_as_many_as_they_hold() -> None:
    assert Shapes.of([(2**40, 2**40), (), (3,), (2**70,)]).elements.tolist() == [LARGEST, 1, 3, LARGEST]


def test_words_are_among_others() -> None:
    assert Coded.of(["a", "b", "a"]).among({"a", "c"}).tolist() == [True, False, True]
    assert Coded.of([]).among({"a"}).tolist() == []


def test_a_column_is_read_like_a_tuple() -> None:
    column = Coded.of(["a", "b", "c"])

    assert (column[-1], column[:2], column.index("b"), "c" in column) == ("c", ("a", "b"), 1, True)
    with pytest.raises(IndexError):
        column[3]
    assert repr(column) == "Coded(['a', 'b', 'c'])"
