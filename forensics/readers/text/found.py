"""What scanning windows gives, before it becomes facts."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import field, replace

from forensics.deferred.records import dataclass
from forensics.model import Group, Scalar, Setting, Source, Standing
from forensics.readers._events.rows import PLACE, EventRows
from forensics.readers.text.entries import is_entry
from forensics.readers.text.periodic import periodic
from forensics.readers.text.tables import Entries

MAX_UNREAD = 20
"""Unreadable blocks that are reported one by one."""


@dataclass(frozen=True, slots=True)
class SettingRow:
    """A setting and the line it stands on."""

    at: int
    record: int
    group: Group
    name: str
    value: Scalar
    standing: Standing


@dataclass(frozen=True, slots=True)
class Unread:
    """What could not be read, and the line it stands on."""

    record: int
    reason: str


@dataclass(slots=True)
class Found:
    """Everything that one window told, `lines` still without steps."""

    lines: list[Entries] = field(default_factory=list)
    beside: Counter[bytes] = field(default_factory=Counter)
    events: list[EventRows] = field(default_factory=list)
    settings: list[SettingRow] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    cut: int = 0
    passed: int = 0
    """Lines that were passed over because their shapes were too many."""

    @property
    def tells_of_training(self) -> bool:
        """Whether several lines of one shape hold metrics."""
        shapes = Counter[bytes]()
        for table in self.lines:
            shapes[table.shape.key] += len(table) if is_entry(table.shape) else 0
        return any(count > 1 for count in shapes.values()) or any(periodic(table) for table in self.lines)

    def extend(self, other: "Found") -> None:
        self.lines.extend(other.lines)
        self.beside.update(other.beside)
        self.events.extend(other.events)
        self.settings.extend(other.settings)
        self.unread.extend(other.unread[: MAX_UNREAD - len(self.unread)])
        self.cut += other.cut
        self.passed += other.passed

    def moved(self, offset: int, lines: int) -> "Found":
        """Return the same, told of a text that stands `offset` bytes and `lines` lines further on."""
        return Found(
            lines=[table.moved(offset, lines) for table in self.lines],
            beside=self.beside,
            events=[table.moved(offset, lines) for table in self.events],
            settings=[replace(row, at=row.at + offset, record=row.record + lines) for row in self.settings],
            unread=[replace(each, record=each.record + lines) for each in self.unread],
            cut=self.cut,
            passed=self.passed,
        )


def settings(rows: Iterable[SettingRow], path: str) -> Iterator[Setting]:
    """Yield settings in the order of the text; one that says the same as the last of its name is not repeated."""
    last: dict[tuple[str, str, Standing], Scalar] = {}
    for row in sorted(rows, key=lambda row: row.at):
        key = (row.group, row.name, row.standing)
        if key in last and repr(last[key]) == repr(row.value):
            continue
        last[key] = row.value
        source = Source(path, PLACE.format(row.record), row.record)
        yield Setting(row.group, row.name, row.value, source, row.standing)
