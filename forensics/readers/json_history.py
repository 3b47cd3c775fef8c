"""A history of training as one JSON document: a list of entries, or one list of numbers for each metric.

[{"epoch": 1, "trainLoss": 2.9, "valLoss": 3.0}, ...]       loops of one's own, `json.dump(history)`
{"loss": [2.4, 2.2], "val_loss": [2.5, 2.3]}                `json.dump(model.fit(...).history)` of Keras
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from typing import overload

import numpy as np

from forensics.deferred.patterns import expression
from forensics.formats.lenient_json import load
from forensics.model import Artifact, Fact, Integers
from forensics.names import is_loss
from forensics.plugin import reader
from forensics.readers._columns import Columns
from forensics.readers._environment import damage
from forensics.readers._json_entries import counter_named, entry_of, is_data, number_in, table_of
from forensics.readers.text.evidence import COMPARES, of_a_training
from forensics.readers.text.lexicon import Role, earns, role_of
from forensics.readers.text.rows import samples
from forensics.storage.file import File

FEWEST = 3
"""Entries from which on a document is a history: fewer are an example or a setting."""
PLACED = 2
"""Entries that tell their place are a history from so many on."""
MANY = 16
"""Entries with the same names from which on they are read by columns."""
_OF_NUMBERS = frozenset({int, float})
MOST_FOLDS = 20
DEEPEST = 5
"""Mappings within mappings that are looked through for entries."""
MOST_LISTS = 20
NEAR_BYTES = 4000
_NUMBER = expression(rb"\"[\w/. -]{1,60}\"\s{0,40}:\s{0,40}\"?[-\dNnI.]")
_LIST = expression(rb"\"([\w/. -]{1,60})\"\s{0,40}:\s{0,40}\[\s{0,40}[-\dNnI]")
_NAME = expression(rb"\"([\w/. -]{1,60})\"\s{0,40}:")
_EPOCH = expression(r"(?i)(?:epoch[ _-]?)?(\d{1,9})")
_HELD = expression(
    rb"\"[^\"\r\n]{1,80}\"\s{0,40}:\s{0,40}\[\s{0,40}\{"
    rb"|\A\s{0,40}\{\s{0,40}\"(?i:epoch[ _-]?)?\d{1,9}\"\s{0,40}:\s{0,40}\{"
)
"""A list of entries within a document, or entries by the number of their epoch."""
_OBJECTS = expression(rb"\s{0,40}\[\s{0,40}\{")
_OF_THE_TRAINER = b'"log_history"'
"""What has a reader of its own."""


def looks_like_history(head: bytes) -> bool:
    """Tell whether the beginning of a document is that of entries or lists of numbers, a loss among them."""
    head = head.lstrip(b"\xef\xbb\xbf")
    if _OBJECTS.match(head):
        return _NUMBER.search(head) is not None and _has_loss(_NAME.findall(head[:NEAR_BYTES]))
    if head.lstrip()[:1] != b"{" or _OF_THE_TRAINER in head:
        return False
    if _has_loss(_LIST.findall(head)):
        return True
    lists = islice(_HELD.finditer(head), MOST_LISTS)
    return any(_has_loss(_NAME.findall(head[each.start() : each.end() + NEAR_BYTES])) for each in lists)


def _has_loss(names: Sequence[bytes]) -> bool:
    told = [name.decode() for name in names]
    return any(map(is_loss, told)) or (earns(told) and counter_named(tuple(told)) is not None)


@reader("json-history", match=(), sniff=looks_like_history, tested="JSON of json.dump, tf.keras 2.15")
def json_history(artifact: Artifact) -> Iterator[Fact]:
    """JSON with a list of entries, or lists of numbers by metric, a loss among them: a history of Keras or any loop."""
    with File(artifact.location) as file:
        document = load(file, artifact.limits)
    rows = _rows(document.value)
    if len(rows) < PLACED or (len(rows) < FEWEST and not all(entry_of(row) is not None for row in rows)):
        return
    if not isinstance(rows, _Lists) and _is_of_models(rows):
        return
    yield from damage(artifact, document, "the entries before it were read")
    columns = Columns()
    for records, held in _alike(rows):
        if not _take_all(records, held, columns):
            for record in records.tolist():
                _take(rows[record], record, columns)
    for block in samples(of_a_training(columns.tables()), artifact.path):
        yield replace(block, place="entry {}")


def _is_of_models(rows: Sequence[dict[str, object]]) -> bool:
    """Tell whether entries that tell no place have a name each, all different: what was trained, not how it went."""
    if entry_of(rows[0]) is not None:
        return False
    for name, held in rows[0].items():
        if isinstance(held, str) and COMPARES.search(name):
            return len({str(row.get(name)) for row in rows}) == len(rows)
    return False


def _alike(rows: "Sequence[dict[str, object]] | _Lists") -> Iterator[tuple[Integers, Mapping[str, Sequence[object]]]]:
    """Yield entries with the same names: which they are, and what they hold under each."""
    if isinstance(rows, _Lists):
        yield np.arange(len(rows)), rows.lists
        return
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for record, row in enumerate(rows):
        groups[tuple(row)].append(record)
    for names, records in groups.items():
        yield np.array(records), {name: [rows[record][name] for record in records] for name in names}


def _take_all(records: Integers, held: Mapping[str, Sequence[object]], columns: Columns) -> bool:
    """Keep what `_take` keeps of each entry, where they hold numbers only."""
    if not held or len(records) < MANY or not all(_OF_NUMBERS.issuperset(map(type, each)) for each in held.values()):
        return False
    numbers = {name: np.array(each, dtype=np.float64) for name, each in held.items()}
    table = table_of(numbers)
    if table is None:
        return False
    rows = columns.extend(records, table.steps, table.epochs, table.times) + np.arange(len(records))
    kept = table.values if table.placed else ((name, numbers[name]) for name in numbers if _is_metric(name))
    for name, values in kept:
        columns.add_all(name, rows, values)
    return True


def _take(row: dict[str, object], record: int, columns: Columns) -> None:
    entry = None if is_data(row) else entry_of(row)
    if entry is None:
        columns.place(record)
        for name, value in row.items():
            number = number_in(value)
            if number is not None and _is_metric(name):
                columns.add(name, number)
        return
    columns.place(record, entry.step, entry.epoch, entry.time)
    for name, value in entry.values:
        columns.add(name, value)


def _is_metric(name: str) -> bool:
    """Tell whether a number of an entry that tells no place is a metric."""
    return role_of(name) not in {Role.EPOCH, Role.NOTHING}


def _entries(held: Sequence[object]) -> list[dict[str, object]]:
    """Return the entries of a list that consists of them, a loss and a place in each; none of one of models."""
    rows = [row for row in held if isinstance(row, dict) and _measures(tuple(name for name, _ in _flat(row)))]
    return rows if len(rows) == len(held) and all(entry_of(row) is not None for row in rows) else []


@lru_cache(maxsize=64)
def _measures(names: tuple[str, ...]) -> bool:
    return any(map(is_loss, names)) or earns(names)


def _flat(row: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Yield the items of a mapping, those of mappings within it under names joined by slashes."""
    for name, held in row.items():
        inner = held.items() if isinstance(held, dict) else ()
        yield from ((f"{name}/{each}", number) for each, number in inner) if inner else [(name, held)]


def _keyed(value: Mapping[str, object]) -> list[dict[str, object]]:
    """Return the entries of a mapping from epochs to them, `{"0": {"loss": 2.5}, ...}`; a few numbers count folds."""
    rows = [
        {"epoch": int(found[1]), **held}
        for key, held in value.items()
        if isinstance(held, dict) and (found := _EPOCH.fullmatch(key)) is not None
    ]
    named = len(rows) > MOST_FOLDS or all(key.lower().startswith("epoch") for key in value)
    return _entries(rows) if named and len(rows) == len(value) else []


class _Lists(Sequence[dict[str, object]]):
    """Entries of lists by metric, all of one length; each is made when it is asked for."""

    def __init__(self, lists: Mapping[str, Sequence[object]]) -> None:
        self.lists = lists

    def __len__(self) -> int:
        return max(map(len, self.lists.values()))

    @overload
    def __getitem__(self, index: int) -> dict[str, object]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, object]]: ...
    def __getitem__(self, index: int | slice) -> dict[str, object] | list[dict[str, object]]:
        if isinstance(index, slice):
            return [self[each] for each in range(len(self))[index]]
        return {name: held[index] for name, held in self.lists.items()}


def _rows(value: object) -> Sequence[dict[str, object]]:
    """Return entries, one mapping each; those of lists by metric are told apart by their number alone."""
    if isinstance(value, list):
        return [row for row in value if isinstance(row, dict)]
    return max(_histories(value, 0), key=lambda rows: (len(rows), len(rows[0])), default=[])


def _histories(value: object, depth: int) -> Iterator[Sequence[dict[str, object]]]:
    """Yield the histories that a document holds, those deepest in it first."""
    if isinstance(value, list) and value:
        yield from filter(None, [_entries(value)])
    if not isinstance(value, Mapping) or depth > DEEPEST:
        return
    for held in value.values():
        yield from _histories(held, depth + 1)
    yield from filter(None, [_keyed(value)])
    lists = {name: held for name, held in _flat(value) if isinstance(held, list) and held}
    length = max((len(held) for name, held in lists.items() if is_loss(name)), default=0)
    kept = {name: held for name, held in lists.items() if len(held) == length}
    if any(is_loss(name) and any(number_in(value) is not None for value in held) for name, held in kept.items()):
        yield _Lists(kept)
