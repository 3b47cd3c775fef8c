"""Many fixed phrases found in one pass over bytes.

Every phrase begins with a capital or with one of a few other bytes, all of them rare in bars and dictionaries:
vector operations mark those bytes (over 1 GB/s, however many phrases there are), and only where the three bytes
behind are such as some phrase has there, the phrases that begin so are compared.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forensics.formats.text import Window
from forensics.model import Integers

SHORTEST, LONGEST = 4, 80
WORD = 8
OTHERS = b"kpx-"
"""What a phrase may begin with if not with a capital."""
MANY = 64
"""Places in a slice from which on phrases are told apart by vector operations too."""
SLICE_BYTES = 1 << 18
"""Vector operations run over slices that stay in the processor's cache."""

Positions = dict[bytes, list[int]]


@dataclass(frozen=True, slots=True)
class Phrases:
    """Phrases prepared for searching, in `families` that share their first four bytes, longest first.

    `begins` marks the pairs of bytes (little-endian) that they begin with, `goes_on` the pairs that come next; `heads`
    are both together, ascending: marking pairs is quick, few of the places that it leaves begin like any one phrase.
    `words` (2, heads) are the first sixteen bytes as far as all phrases of a head share them, `masks` where they do.
    `whole` are the phrases, by the index of their heads, of which nothing is left to compare then.
    """

    families: list[tuple[bytes, ...]]
    begins: NDArray[np.bool_]
    goes_on: NDArray[np.bool_]
    heads: NDArray[np.uint32]
    words: NDArray[np.uint64]
    masks: NDArray[np.uint64]
    whole: dict[int, bytes]


def searchable(phrase: bytes) -> bool:
    """Tell whether a phrase may be sought in a whole text: it begins with something that is rare there."""
    return (phrase[:1].isupper() or phrase[:1] in OTHERS) and SHORTEST <= len(phrase) <= LONGEST


def prepare(phrases: Iterable[bytes]) -> Phrases:
    """Compile phrases of 4 to 80 bytes; a longer phrase wins over one that it begins with."""
    ordered = sorted(set(phrases), key=lambda phrase: (-len(phrase), phrase))
    for phrase in ordered:
        if not searchable(phrase):
            raise ValueError(f"{phrase!r} cannot be sought: it must begin with a capital or one of {OTHERS!r}")
    grouped: dict[bytes, list[bytes]] = defaultdict(list)
    for phrase in ordered:
        grouped[phrase[:SHORTEST]].append(phrase)
    heads = sorted(grouped, key=lambda head: int.from_bytes(head, "little"))
    families = [tuple(grouped[head]) for head in heads]
    shared = [_shared(family) for family in families]
    parts = [[text[:WORD] for text in shared], [text[WORD : 2 * WORD] for text in shared]]
    return Phrases(
        families,
        _pairs(ordered, 0),
        _pairs(ordered, 2),
        np.array([int.from_bytes(head, "little") for head in heads], dtype=np.uint32),
        np.array([[int.from_bytes(text, "little") for text in part] for part in parts], dtype=np.uint64),
        np.array([[(1 << 8 * len(text)) - 1 for text in part] for part in parts], dtype=np.uint64),
        {at: text for at, text in enumerate(shared) if families[at] == (text,) and len(text) <= 2 * WORD},
    )


def _shared(phrases: Sequence[bytes]) -> bytes:
    """Return what all of some phrases begin with."""
    first, last = min(phrases), max(phrases)
    size = next(
        (index for index, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first)
    )
    return first[:size]


def _pairs(phrases: Sequence[bytes], first: int) -> NDArray[np.bool_]:
    marked = np.zeros(1 << 16, dtype=np.bool_)
    marked[[int.from_bytes(phrase[first : first + 2], "little") for phrase in phrases]] = True
    return marked


def find_phrases(window: Window, phrases: Phrases) -> Positions:
    """Return where each phrase begins within the window, ascending."""
    positions: Positions = defaultdict(list)
    data, stop = window.data, min(len(window.data), window.end + LONGEST)
    families = phrases.families
    for first in range(window.begin, min(window.end, len(data) - SHORTEST + 1), SLICE_BYTES):
        places, near = _candidates(window, first, phrases)
        if len(places) >= MANY:
            places, near = _without_whole(places, near, len(data) - 2 * WORD, phrases, positions)
        for start, family in zip(places.tolist(), near.tolist(), strict=True):
            for phrase in families[family]:
                if data.startswith(phrase, start, stop):
                    positions[phrase].append(start)
                    break
    return positions


def _without_whole(
    places: Integers, near: Integers, end: int, phrases: Phrases, positions: Positions
) -> tuple[Integers, Integers]:
    """Note the places before `end` whose phrases have been compared as a whole, and return the others."""
    for head in np.flatnonzero(np.bincount(near)).tolist():
        phrase = phrases.whole.get(head)
        if phrase is not None:
            these = (near == head) & (places < end)
            positions[phrase].extend(places[these].tolist())
            places, near = places[~these], near[~these]
    return places, near


def _candidates(window: Window, first: int, phrases: Phrases) -> tuple[Integers, Integers]:
    """Return where one of the phrases may begin, in the slice from `first`, and the index of its head."""
    beyond = SHORTEST - 1
    size = min(SLICE_BYTES, window.end - first, len(window.data) - beyond - first)
    text = np.frombuffer(window.data, dtype=np.uint8, count=size + beyond, offset=first)
    head = text[:size]
    # Unsigned: everything below "A" wraps round to large numbers.
    marked = (head - np.uint8(65)) < np.uint8(26)
    for other in OTHERS:
        marked |= head == other
    places = np.flatnonzero(marked)
    places = places[phrases.begins[_pair_at(text, places)]]
    places = places[phrases.goes_on[_pair_at(text, places + 2)]]
    fours = _pair_at(text, places).astype(np.uint32) | (_pair_at(text, places + 2).astype(np.uint32) << np.uint32(16))
    near = np.minimum(np.searchsorted(phrases.heads, fours), len(phrases.heads) - 1)
    alike = np.flatnonzero(phrases.heads[near] == fours)
    places, near = places[alike] + first, near[alike]
    whole = int(np.searchsorted(places, len(window.data) - 2 * WORD))
    good = np.ones(len(places), dtype=np.bool_)
    if whole:
        around = np.ndarray((len(window.data) - WORD + 1,), dtype="V8", buffer=window.data, strides=(1,))
        for part in (0, 1):
            words = around[places[:whole] + part * WORD].view(np.uint64) & phrases.masks[part, near[:whole]]
            good[:whole] &= words == phrases.words[part, near[:whole]]
    return places[good], near[good]


def _pair_at(text: NDArray[np.uint8], places: Integers) -> NDArray[np.uint16]:
    pairs: NDArray[np.uint16] = text[places].astype(np.uint16) | (text[places + 1].astype(np.uint16) << np.uint16(8))
    return pairs
