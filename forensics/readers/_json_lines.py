"""JSON lines in columns: what one object of a shape says is said of all lines of that shape, without parsing them.

Lines of one writer differ in their numbers only. A line that comes often is compiled to a template (as lines of logs
are, `forensics.readers.text.templates`); which number is the step and which the loss is learnt by parsing that line
once more with numbers that cannot be mistaken for each other. A line that no template takes is parsed as JSON, so
templates cost no correctness.
"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import field, replace

import numpy as np

from forensics.deferred.records import dataclass
from forensics.errors import MalformedError
from forensics.formats.lenient_json import parse
from forensics.model import UNKNOWN_STEP, Floats, Integers
from forensics.names import canonical
from forensics.readers._columns import Columns, with_total
from forensics.readers._json_entries import RATES, Entry, entry_of, is_data, step_of
from forensics.readers.text.columns import MARGIN, Buffer
from forensics.readers.text.names import Shape
from forensics.readers.text.rows import Rows, plain_rows
from forensics.readers.text.shapes import Mask, masked
from forensics.readers.text.templates import Template, compiled

FEW = 64
"""Lines that are parsed one by one before templates are tried again."""
OFTEN = 4
"""Lines of a shape from which on it is worth a template."""
MOST_LESSONS = 4096
"""Lines whose shape is looked at, after which those that no template takes are only parsed."""
LONGEST = 1 << 14
"""Bytes of a line whose shape is looked at."""
_FIRST = 7_000_001
"""Stands for the first number of a line when it is parsed to learn what its numbers mean, the next for the next."""
_EXACT = float(1 << 53)


@dataclass(frozen=True, slots=True)
class _Said:
    """A template, and which of its numbers are what: -1 where an entry tells none. No `values`: no entry at all."""

    template: Template
    step: int = -1
    total: int = -1
    epoch: int = -1
    time: int = -1
    values: tuple[tuple[str, int], ...] = ()
    rounded: bool = False


@dataclass(slots=True)
class JsonLines:
    """What the lines of a file told so far. `totals` maps planned numbers of steps to the first line with each."""

    totals: dict[int, int] = field(default_factory=dict)
    broken: list[int] = field(default_factory=list)
    columns: Columns = field(default_factory=Columns)
    history: Columns = field(default_factory=Columns)
    _blocks: list[Rows] = field(default_factory=list)
    _said: list[_Said] = field(default_factory=list)
    _met: Counter[bytes] = field(default_factory=Counter)
    _lines: int = 0
    _lessons: int = 0

    def read(self, block: bytes) -> None:
        """Read whole lines, each ended by LF."""
        data = b"\n" * MARGIN + block + b"\n" * MARGIN
        buffer = Buffer(data)
        ends = np.flatnonzero(buffer.bytes[: MARGIN + len(block)] == ord("\n"))[MARGIN:]
        starts = np.append(MARGIN, ends[:-1] + 1)
        records = np.arange(len(ends)) + self._lines + 1
        self._lines += len(ends)
        self._said.sort(key=lambda said: -said.template.hits)
        fresh = self._said
        while True:
            left = self._by_templates(fresh, buffer, starts, ends, records)
            starts, ends, records = starts[left], ends[left], records[left]
            if not len(starts):
                return
            known = len(self._said)
            few = slice(None, FEW)
            for start, end, record in zip(starts[few].tolist(), ends[few].tolist(), records[few].tolist(), strict=True):
                line = data[start:end]
                if line.strip() and not self._parse(line, record):
                    self.broken.append(record)
            starts, ends, records = starts[FEW:], ends[FEW:], records[FEW:]
            fresh = self._said[known:]

    def tables(self) -> Iterator[Rows]:
        """Yield what the lines told; what the last line repeats of them only where they told nothing."""
        if not self.columns.series and not self._blocks:
            yield from with_total(self.history.tables())
            return
        yield from with_total([*self.columns.tables(), *self._blocks])

    def _by_templates(
        self, told: list[_Said], buffer: Buffer, starts: Integers, ends: Integers, records: Integers
    ) -> Integers:
        """Read lines by templates; return which of them none took."""
        left = np.arange(len(starts))
        for said in told:
            if not len(left):
                break
            read = said.template.read(buffer, starts[left], ends[left])
            rows, numbers = read.rows, read.numbers
            if said.step >= 0:
                steps = numbers[said.step]
                whole = (steps == np.floor(steps)) & (steps >= 0) & (steps < _EXACT)
                if not whole.all():
                    rows, numbers = rows[whole], [column[whole] for column in numbers]
            if len(rows):
                said.template.hits += len(rows)
                self._take(said, numbers, records[left[rows]])
                taken = np.ones(len(left), dtype=np.bool_)
                taken[rows] = False
                left = left[taken]
        return left

    def _take(self, said: _Said, numbers: list[Floats], records: Integers) -> None:
        if said.total >= 0:
            totals = numbers[said.total]
            for row in np.flatnonzero(np.append(True, totals[1:] != totals[:-1])).tolist():
                self._total(int(totals[row]), int(records[row]))
        steps = numbers[said.step].astype(np.int64) if said.step >= 0 else np.full(len(records), UNKNOWN_STEP)
        rest = [numbers[index] if index >= 0 else None for index in (said.epoch, said.time)]
        doubtful = [pair for pair in said.values if said.rounded and pair[0] in RATES]
        for pairs in ([pair for pair in said.values if pair not in doubtful], *([pair] for pair in doubtful)):
            if pairs:
                names = tuple(canonical(name) for name, _ in pairs)
                values = np.stack([numbers[index] for _, index in pairs]).T
                rows = plain_rows(names, values, records, records, steps, epochs=rest[0], wall_times=rest[1])
                self._blocks.append(rows.take(values[:, 0] != 0) if pairs[0] in doubtful else rows)

    def _total(self, total: int, record: int) -> None:
        self.totals[total] = min(record, self.totals.get(total, record))

    def _parse(self, line: bytes, record: int) -> bool:
        """File the numbers of one line; tell whether it was a whole JSON object."""
        row = _object(line)
        if row is None:
            return False
        history = row.get("log_history")
        for entry in history if isinstance(history, list) else ():
            if isinstance(entry, dict):
                _file(entry_of(entry), record, self.history)
        total = step_of(row)[1]
        if total:
            self._total(total, record)
        if history is None:
            entry = None if is_data(row) else entry_of(row)
            _file(entry, record, self.columns)
            if self._lessons < MOST_LESSONS and len(line) < LONGEST:
                self._lessons += 1
                self._learn(line, entry, total)
        return True

    def _learn(self, line: bytes, entry: Entry | None, total: int) -> None:
        """Compile a shape that came often; let a template learn what it did not take."""
        mask = masked(line)
        self._met[mask.shape] += 1
        if self._met[mask.shape] == OFTEN:
            said = _said(line, mask, entry, total)
            if said is not None:
                self._said.append(said)
        elif self._met[mask.shape] > OFTEN:
            for said in self._said:
                if said.template.shape.key == mask.shape:
                    said.template.learn(line)


def _object(line: bytes) -> dict[str, object] | None:
    try:
        document = parse(line)
    except MalformedError:
        return None
    return document.value if isinstance(document.value, dict) and document.broken_at is None else None


def _file(entry: Entry | None, record: int, columns: Columns) -> None:
    if entry is None:
        return
    columns.place(record, entry.step, entry.epoch, entry.time)
    for name, value in entry.values:
        if not (entry.rounded and name in RATES and value == 0):
            columns.add(name, value)


def _said(line: bytes, mask: Mask, entry: Entry | None, total: int) -> _Said | None:
    """Compile a line; None where its numbers cannot be told apart."""
    template = compiled(Shape(mask.shape, ()), line, -1)
    if template is None:
        return None
    marked = b"".join(_marked(line, mask))
    row = _object(marked)
    if row is None:
        return None
    like = None if is_data(row) else entry_of(row)
    place = {float(_FIRST + index): index for index in range(len(mask.spans))}
    said = _Said(template, total=place.get(float(step_of(row)[1]), -1))
    if like is not None:
        said = replace(
            said,
            step=place.get(float(like.step), -1),
            epoch=place.get(like.epoch, -1),
            time=place.get(like.time, -1),
            values=tuple((name, place.get(value, -1)) for name, value in like.values),
            rounded=like.rounded,
        )
    return said if _says(said, line, mask, entry, total) else None


def _marked(line: bytes, mask: Mask) -> Iterator[bytes]:
    """Yield the parts of a line, each number replaced by one that stands for its place."""
    done = 0
    for index, (start, end) in enumerate(mask.spans):
        yield line[done:start] + b"%d" % (_FIRST + index)
        done = end
    yield line[done:]


def _says(said: _Said, line: bytes, mask: Mask, entry: Entry | None, total: int) -> bool:
    """Tell whether what was learnt of a line gives what parsing it gave."""
    numbers = [float(line[start:end].replace(b",", b"")) for start, end in mask.spans]

    def at(index: int, default: float) -> float:
        return numbers[index] if index >= 0 else default

    if any(index < 0 for _, index in said.values) or at(said.total, 0.0) != total:
        return False
    values = tuple((name, numbers[index]) for name, index in said.values)
    step = at(said.step, UNKNOWN_STEP)
    if not math.isfinite(step):
        return False
    told = Entry(int(step), at(said.epoch, np.nan), at(said.time, np.nan), values, said.rounded)
    return repr(told) == repr(entry) if said.values or entry else not said.values
