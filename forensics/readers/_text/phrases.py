"""Many fixed phrases found in one pass over bytes.

Every phrase begins with a capital or with one of a few small letters, all of them rare in bars and dictionaries:
vector operations mark those bytes (over 1 GB/s, however many phrases there are), and only where the byte behind is
one that some phrase has there, the phrases are compared.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forensics.formats.text import Window

LONGEST = 80
SMALL = b"kpx"
"""The small letters that a phrase may begin with."""
SLICE_BYTES = 1 << 18
"""Vector operations run over slices that stay in the processor's cache."""

Positions = dict[bytes, list[int]]


@dataclass(frozen=True, slots=True)
class Phrases:
    """Phrases prepared for searching; `begins` marks the byte pairs (little-endian) that they begin with."""

    pattern: re.Pattern[bytes]
    begins: NDArray[np.bool_]


def prepare(phrases: Iterable[bytes]) -> Phrases:
    """Compile phrases of 2 to 80 bytes; a longer phrase wins over one that it begins with."""
    ordered = sorted(set(phrases), key=lambda phrase: (-len(phrase), phrase))
    for phrase in ordered:
        if not (phrase[:1].isupper() or phrase[:1] in SMALL) or not 2 <= len(phrase) <= LONGEST:
            raise ValueError(f"{phrase!r} cannot be sought: it must begin with a capital or one of {SMALL!r}")
    begins = np.zeros(1 << 16, dtype=np.bool_)
    begins[[int.from_bytes(phrase[:2], "little") for phrase in ordered]] = True
    return Phrases(re.compile(b"|".join(map(re.escape, ordered))), begins)


def find_phrases(window: Window, phrases: Phrases) -> Positions:
    """Return where each phrase begins within the window, ascending."""
    positions: Positions = defaultdict(list)
    data, stop = window.data, min(len(window.data), window.end + LONGEST)
    match = phrases.pattern.match
    for first in range(window.begin, min(window.end, len(data) - 1), SLICE_BYTES):
        for start in _candidates(window, first, phrases.begins):
            found = match(data, start, stop)
            if found:
                positions[found[0]].append(start)
    return positions


def _candidates(window: Window, first: int, begins: NDArray[np.bool_]) -> list[int]:
    """Return where one of the phrases may begin, in the slice from `first`."""
    size = min(SLICE_BYTES, window.end - first, len(window.data) - 1 - first)
    text = np.frombuffer(window.data, dtype=np.uint8, count=size + 1, offset=first)
    head = text[:-1]
    # Unsigned: everything below "A" wraps round to large numbers.
    marked = (head - np.uint8(65)) < np.uint8(26)
    for letter in SMALL:
        marked |= head == letter
    places = np.flatnonzero(marked)
    pairs = text[places].astype(np.uint16) | (text[places + 1].astype(np.uint16) << np.uint16(8))
    found: list[int] = (places[begins[pairs]] + first).tolist()
    return found
