"""Boxes of a tensor, cut along any dimensions, give the bytes of the whole in order."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.model import Piece
from forensics.weights.layouts import _chunks
from forensics.weights.layouts._chunks import Chunk, ChunksError, assembled


def cut(whole: Any, cuts: list[list[int]]) -> tuple[list[Chunk], dict[str, bytes]]:
    """Cut an array along each dimension at the given places; each box becomes a file of its own."""
    files: dict[str, bytes] = {}
    chunks = []
    edges = [[0, *sorted(set(c)), size] for c, size in zip(cuts, whole.shape, strict=True)]
    for corner in np.ndindex(*[len(edge) - 1 for edge in edges]):
        begins = tuple(edge[i] for edge, i in zip(edges, corner, strict=True))
        ends = tuple(edge[i + 1] for edge, i in zip(edges, corner, strict=True))
        box = whole[tuple(slice(b, e) for b, e in zip(begins, ends, strict=True))]
        path = f"{len(files)}"
        files[path] = np.ascontiguousarray(box).tobytes()
        chunks.append(Chunk(begins, box.shape, "F32", Piece(path, 0, box.nbytes)))
    return chunks, files


@given(data=st.data(), shape=st.lists(st.integers(1, 5), min_size=1, max_size=3))
def test_any_boxes_give_the_whole(data: st.DataObject, shape: list[int]) -> None:
    whole = np.arange(np.prod(shape), dtype="<f4").reshape(shape)
    cuts = [data.draw(st.lists(st.integers(0, size), max_size=2)) for size in shape]
    chunks, files = cut(whole, cuts)
    (record,) = assembled("w", "weight", tuple(shape), data.draw(st.permutations(chunks)))

    read = b"".join(files[p.path][p.offset : p.offset + p.nbytes] for p in record.pieces)

    assert read == whole.tobytes()


def test_what_is_cut_too_fine_stands_as_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """No element is hidden, and the number of pieces stays bounded."""
    monkeypatch.setattr(_chunks, "MOST_PIECES", 7)
    whole = np.zeros((4, 4), "<f4")
    chunks, _ = cut(whole, [[], [2]])

    assert [r.name for r in assembled("w", "weight", (4, 4), chunks)] == ["w[0:4,0:2]", "w[0:4,2:4]"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda chunks: chunks[1:], "elements"),
        (lambda _chunks: [], "none of its parts"),
        (lambda chunks: [*chunks, Chunk((9, 0), (1, 4), "F32", Piece("x", 0, 16))], "outside of its shape"),
        (lambda chunks: [Chunk((0, 0), (2, 4), "F32", Piece("0", 0, 8)), chunks[1]], "bytes that its shape"),
        (lambda chunks: [Chunk((0, 0), (2, 4), "F64", Piece("0", 0, 64)), chunks[1]], "several dtypes"),
        (lambda chunks: [*chunks, Chunk((1, 0), (1, 4), "F32", Piece("x", 0, 16))], "elements"),
    ],
)
def test_chunks_that_do_not_make_the_tensor_are_refused(change: Any, reason: str) -> None:
    chunks, _ = cut(np.zeros((4, 4), "<f4"), [[2], []])

    with pytest.raises(ChunksError, match=reason):
        assembled("w", "weight", (4, 4), change(chunks))
