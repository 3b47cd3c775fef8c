"""Many fixed phrases found in one pass over bytes.

Every phrase begins with a capital or with one of a few other bytes, all of them rare in bars and dictionaries. Where
two bytes stand that some phrase begins with (`forensics.formats.text.places`), the two behind are looked at, and only
where those are such as it goes on with, the phrases that begin so are compared.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.records import dataclass
from forensics.formats.text import Window
from forensics.formats.text.places import Pairs, Table, find_pairs, stand_at, table_of, words_at
from forensics.model import Integers

SHORTEST, LONGEST = 4, 80
WORD = 8
OTHERS = b"kpx-"
"""What a phrase may begin with if not with a capital."""
MANY = 64
"""Places of one head in a window from which on its phrases are told apart by vector operations too."""

Positions = dict[bytes, Integers]


@dataclass(frozen=True, slots=True)
class Phrases:
    """Phrases prepared for searching, in `families` that share their first four bytes, longest first.

    `begins` marks the pairs of bytes (little-endian) that they begin with, `goes_on` the pairs that come next; `heads`
    are both together, ascending: marking pairs is quick, few of the places that it leaves begin like any one phrase.
    `words` (2, heads) are the first sixteen bytes as far as all phrases of a head share them, `masks` where they do.
    """

    families: list[tuple[bytes, ...]]
    begins: Table
    goes_on: Table
    heads: NDArray[np.uint32]
    words: NDArray[np.uint64]
    masks: NDArray[np.uint64]


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
        table_of(phrase[:2] for phrase in ordered),
        table_of(phrase[2:4] for phrase in ordered),
        np.array([int.from_bytes(head, "little") for head in heads], dtype=np.uint32),
        np.array([[int.from_bytes(text, "little") for text in part] for part in parts], dtype=np.uint64),
        np.array([[(1 << 8 * len(text)) - 1 for text in part] for part in parts], dtype=np.uint64),
    )


def _shared(phrases: Sequence[bytes]) -> bytes:
    """Return what all of some phrases begin with."""
    first, last = min(phrases), max(phrases)
    size = next(
        (index for index, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first)
    )
    return first[:size]


def find_phrases(window: Window, phrases: Phrases, pairs: Pairs | None = None) -> Positions:
    """Return where each phrase begins within the window, ascending (int64).

    `pairs` are those of the window, at least all of `Phrases.begins`, if somebody has looked for them already.
    """
    pairs = find_pairs(window.data, window.begin, window.end, phrases.begins) if pairs is None else pairs
    places, near = _candidates(window.data, pairs.of(phrases.begins).before(window.end), phrases)
    stop = min(len(window.data), window.end + LONGEST)
    found: Positions = {}
    counts = np.bincount(near, minlength=1)
    many = counts >= MANY
    for head in np.flatnonzero(many).tolist():
        these = places[near == head]
        for phrase in phrases.families[head]:
            whole = stand_at(window.data, these, phrase) & (these <= stop - len(phrase))
            if whole.any():
                found[phrase] = these[whole]
                these = these[~whole]
    few = ~many[near]
    singly: dict[bytes, list[int]] = defaultdict(list)
    for start, head in zip(places[few].tolist(), near[few].tolist(), strict=True):
        for phrase in phrases.families[head]:
            if window.data.startswith(phrase, start, stop):
                singly[phrase].append(start)
                break
    return found | {phrase: np.array(starts, dtype=np.int64) for phrase, starts in singly.items()}


def _candidates(data: bytes, begun: Pairs, phrases: Phrases) -> tuple[Integers, Integers]:
    """Return where one of the phrases may stand, by its first sixteen bytes, and the index of its head."""
    words = words_at(data, begun.places)
    alike = phrases.goes_on[(words >> np.uint64(16)).astype(np.uint16)]
    places, words = begun.places[alike], words[alike]
    fours = words.astype(np.uint32)
    near = np.minimum(np.searchsorted(phrases.heads, fours), len(phrases.heads) - 1)
    good = (phrases.heads[near] == fours) & (words & phrases.masks[0, near] == phrases.words[0, near])
    places, near = places[good], near[good]
    good = words_at(data, places + WORD) & phrases.masks[1, near] == phrases.words[1, near]
    return places[good], near[good]
