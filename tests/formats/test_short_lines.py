"""A text of short lines is cut into more pieces, which changes nothing but what they take."""

from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.formats.text import cleaning
from forensics.formats.text.places import find_separators
from forensics.storage.file import File


@given(st.text("a1 \n\r", max_size=60).map(str.encode), st.integers(1, 9), st.integers(1, 30))
def test_pieces_of_few_lines_are_the_same_text(content: bytes, most: int, chunk: int) -> None:
    def read() -> list[cleaning.Piece]:
        with File.of_bytes(content, Path("x.log")) as file:
            return list(cleaning.pieces(file, 40, chunk))

    whole = b"".join(piece.data for piece in read())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cleaning, "MOST_LINES", most)
        parts = read()

    assert b"".join(piece.data for piece in parts) == whole
    assert all(len(piece.separators) <= most + 1 for piece in parts)
    starts = [0, *accumulate(len(piece.data) for piece in parts)]
    places = [piece.separators + start for piece, start in zip(parts, starts, strict=False)]
    assert np.concatenate([np.zeros(0, np.int64), *places]).tolist() == find_separators(whole).tolist()
