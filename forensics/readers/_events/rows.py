"""Occurrences of events in columns, and how columns of many windows become one fact a kind."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.records import dataclass
from forensics.model import Events, Floats, Integers
from forensics.model.order import distinct

PLACE = "line {}"
NO_RANK = -1
ALONE = 2.0
"""The value of an exception that was found at the end of a text without its header."""
SAME_LINES = 400
"""How far such an exception may stand from the header of its traceback."""
MAX_TEXTS = 64
"""Occurrences of one kind whose own text is kept; deaths are few, and what is many tells nothing new."""


@dataclass(frozen=True, slots=True)
class EventRows:
    """Occurrences of one kind of event, columns of shape (n,); `signatures` tell equal texts of several ranks.

    `text` is the first occurrence as it was written, `texts` one for each occurrence where they were kept, else empty.
    """

    kind: str
    at: Integers
    records: Integers
    steps: Integers
    values: Floats
    ranks: Integers
    signatures: Integers
    text: str
    texts: tuple[str, ...] = ()

    def moved(self, offset: int, lines: int) -> "EventRows":
        return replace(self, at=self.at + offset, records=self.records + lines)


def unfolded(ranks: Integers, signatures: Integers) -> NDArray[np.bool_]:
    """Tell which records to keep when several ranks wrote the same ones.

    The k-th record of a rank is dropped when the lowest rank that wrote this signature did so at least k times. So
    the result does not depend on how the ranks were interleaved; what no rank signed is always kept.
    """
    kept = np.ones(len(ranks), dtype=np.bool_)
    named = np.flatnonzero(ranks != NO_RANK)
    if named.size == 0 or ranks[named].min() == ranks[named].max():
        return kept
    counts: dict[tuple[int, int], int] = defaultdict(int)
    lowest: dict[int, int] = {}
    for rank, signature in zip(ranks[named].tolist(), signatures[named].tolist(), strict=True):
        counts[rank, signature] += 1
        lowest[signature] = min(rank, lowest.get(signature, rank))
    seen: dict[tuple[int, int], int] = defaultdict(int)
    for index in named.tolist():
        rank, signature = int(ranks[index]), int(signatures[index])
        if rank == lowest[signature]:
            continue
        seen[rank, signature] += 1
        kept[index] = seen[rank, signature] > counts[lowest[signature], signature]
    return kept


def events(tables: Iterable[EventRows], path: str, place: str = PLACE) -> Iterator[Events]:
    """Yield each kind of event once, with all its occurrences; what ranks repeated is folded."""
    grouped: dict[str, list[EventRows]] = defaultdict(list)
    for table in tables:
        if len(table.at):
            grouped[table.kind].append(table)
    for kind, parts in grouped.items():
        at = np.concatenate([part.at for part in parts])
        order = np.argsort(at, kind="stable")
        ranks = np.concatenate([part.ranks for part in parts])[order]
        kept = order[unfolded(ranks, np.concatenate([part.signatures for part in parts])[order])]
        ranks = np.concatenate([part.ranks for part in parts])[kept]
        records = np.concatenate([part.records for part in parts])[kept]
        values = np.concatenate([part.values for part in parts])[kept]
        texts = [text for part in parts for text in (part.texts or ("",) * len(part.at))]
        texts = [texts[index] for index in kept.tolist()]
        new = _new(records, values, texts)
        kept, ranks, records, values = kept[new], ranks[new], records[new], values[new]
        texts = [text for text, is_new in zip(texts, new.tolist(), strict=True) if is_new]
        lone = len(distinct(ranks)) == 1 and ranks[0] != NO_RANK
        yield Events(
            kind=kind,
            steps=np.concatenate([part.steps for part in parts])[kept],
            values=values,
            records=records,
            path=path,
            place=place,
            text=min(parts, key=lambda part: int(part.at.min())).text,
            rank=int(ranks[0]) if lone else None,
            ranks=ranks if (ranks != NO_RANK).any() else None,
            texts=tuple(texts) if any(texts) else (),
        )


def _new(records: Integers, values: Floats, texts: list[str]) -> NDArray[np.bool_]:
    """Tell which occurrences are new: not the same words on the same line, nor the end of a traceback told already."""
    new = np.ones(len(records), dtype=np.bool_)
    for index, text in ((index, text) for index, text in enumerate(texts) if text):
        earlier = [i for i in range(max(0, index - 8), index) if records[index] - records[i] <= SAME_LINES]
        if values[index] == ALONE:
            new[index] = not any(texts[i].partition(" (")[0] == text.partition(" (")[0] for i in earlier)
        else:
            new[index] = not any(texts[i] == text and records[i] == records[index] for i in earlier)
    return new
