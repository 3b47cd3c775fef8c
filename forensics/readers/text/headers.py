"""Tables: a line of names, a loss and a counter among them, and rows of numbers below it.

Without a counter there is one row, and the table comes again and again: other tables compare models.

    Step  Training Loss  Validation Loss        transformers `utils/notebook.py:NotebookProgressCallback`, with tabs,
    500   1.234500       1.300000               blanks, commas, or bars and a ruled line below as in Markdown

A cell without a number (`No log`) leaves its metric out of that row.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.names import EVALUATION, is_loss
from forensics.readers.text.lexicon import COUNTERS, TRAINING, Role, role_of
from forensics.readers.text.names import Field, Shape
from forensics.readers.text.shapes import NUMBER_ALONE, value_of

MOST_COLUMNS = 64
MOST_NAME = 60
_ROW = b"row"
_CELLS = expression(rb" *[|\t] *|  +")
_BLANKS = expression(rb"  +|\t")
_WORDS = expression(rb"(?:Training|Validation|Train|Valid|Eval|Val|Test) [Ll]oss|No [Ll]og|[^\s|]+")
_RULE = expression(rb"[\s|:+=-]*")
_UNFINISHED = expression(rb"(?<!\d)\d\d?%(?:\|| \xe2[\x94\x95]| \d+/\d+ \[)")
_BAR = expression(rb": {0,3}100%(?:\|| -| \d+/\d+ \[).*")
"""A bar behind a row, of tqdm (also where its drawing is left out) or, since Ultralytics 8.3.2, drawn with lines."""
_BOXES = expression(rb"\xe2\x94[\x82\x83]|\xe2\x95\x91|(\xe2[\x94\x95][\x80-\xbf])")
"""Lines that draw a table: upright ones, then all others."""
_PREFIX = expression(rb"\A\[[^|]{0,120}?[-:\]] {0,3}(?=\|)")
"""What a logger puts before a row, its name and the time."""
_OF_A_MODEL = expression(
    r"(?i)(?:n(?:um)?[_ ]?)?(?:depth|width|layers?|hidden(?:[_ ](?:size|dim|units))?|heads?|d_model|dropout"
    r"|trial|fold|seed|kernels?|filters?|units?|param(?:eter)?s?)$"
)
_MODEL = expression(r"(?i)(?:model|author|method|architecture|variant|system|baseline|experiment|config(?:uration)?)s?")
"""Columns of tables that compare models: those of which several numbers say so, and those of names."""
_OF_MEMORY = expression(r"(?i)(?:gpu|cuda)[_ ]?mem(?:ory)?")
_TERM = expression(r"(?i)(?:[gcd]?iou|box|obj|cls|dfl|seg|kpt|kobj|total)")
"""Terms of a loss in tables that name the memory of the board: YOLOv5 before 6.2, YOLOR, YOLOv7 (`train.py`)."""
_DIGIT = expression(rb"\d")
_WORD = expression(rb"\S+")
_NAME = expression(rb"\S+(?: \S+)*")
_RATIO = expression(rb"(?<!\d)(\d+)/\d+")

Split = Callable[[bytes], list[bytes]]
Row = tuple[Shape, bytes, int, list[float], list[float]]
"""Shape, text and place of a row, its numbers and their totals."""


@dataclass(frozen=True, slots=True)
class Header:
    """The names of a table and how its cells are parted."""

    split: Split
    text: bytes
    fields: tuple[Field, ...]
    spans: tuple[tuple[int, int], ...] = ()
    """Where each name stands in its line, where blanks part them."""
    indexed: bool = False
    """Whether blanks stand before the names: rows may begin with their number, as a printed DataFrame of pandas has."""

    @property
    def counted(self) -> bool:
        return any(field.role in COUNTERS for field in self.fields)

    @staticmethod
    def is_rule(row: bytes) -> bool:
        """Tell whether a line within a table is none of its rows: a rule, or a bar that is not at its end."""
        return _RULE.fullmatch(_ruled(row)) is not None or _UNFINISHED.search(row) is not None

    def compares(self, rows: Sequence[Row]) -> bool:
        """Tell whether rows are of several models: a column of what a model is like has more than one number."""
        told: dict[str, set[float]] = {}
        for shape, _, _, numbers, _ in rows:
            for field, value in zip(shape.fields, numbers, strict=True):
                told.setdefault(field.name, set()).add(value)
        several = any(len(values) > 1 and _OF_A_MODEL.match(name) for name, values in told.items())
        return several or any(_MODEL.fullmatch(field.name) for field in self.fields)

    def goes_on(self, line: bytes) -> bool:
        """Tell whether a line is the second one of the header: as many cells, and no number in them."""
        return b"|" in line and len(_parted(line, self.split)) == len(self.fields) and not _DIGIT.search(line)

    def row(self, line: bytes) -> tuple[Shape, list[float]] | None:
        """Return shape and numbers of a row, None when the line is none."""
        cells = _parted(line, self.split)
        if self.indexed and len(cells) == len(self.fields) + 1 and cells[0].isdigit():
            del cells[0]
        if len(cells) != len(self.fields):
            cells = line.split()  # columns that are as wide as their numbers
        if len(cells) != len(self.fields):
            cells = self._below_their_names(line)
        if len(cells) != len(self.fields):
            return None
        cells = [_RATIO.sub(rb"\1", cell) if _RATIO.fullmatch(cell) else cell for cell in cells]
        cells = [
            _summed(cell) if field.role is Role.LOSS else cell for field, cell in zip(self.fields, cells, strict=True)
        ]
        present = [bool(NUMBER_ALONE.fullmatch(cell)) for cell in cells]
        counters = [
            value_of(cell) if here else np.nan
            for field, here, cell in zip(self.fields, present, cells, strict=True)
            if field.role in COUNTERS and not cell.endswith(b"%")
        ]
        if not all(value >= 0 for value in counters):
            return None
        kept = [index for index, here in enumerate(present) if here and self.fields[index].role is not Role.NOTHING]
        fields = tuple(self.fields[index] for index in kept)
        key = b"\x03%b\x03%b" % (self.text, b",".join(b"%d" % index for index in kept))
        return Shape(key, fields, table=self.counted), [value_of(cells[index]) for index in kept]

    def _below_their_names(self, line: bytes) -> list[bytes]:
        """Return the cells of a row that leaves some empty, each below one name; none where that is not clear."""
        found = [*_WORD.finditer(line)] if self.spans and self.counted else []
        if sum(NUMBER_ALONE.fullmatch(each[0]) is not None for each in found) < 2:
            return []
        below = [
            [index for index, (begin, end) in enumerate(self.spans) if each.start() < end and begin < each.end()]
            for each in found
        ]
        places = [at[0] for at in below if len(at) == 1]
        if len(places) != len(found) or len({*places}) != len(found):
            return []
        cells = dict(zip(places, (each[0] for each in found), strict=True))
        return [cells.get(index, b"") for index in range(len(self.fields))] if cells else []


def _summed(cell: bytes) -> bytes:
    """Return a list of losses as the loss that is minimised, their sum (DeepXDE, `TrainState` and `training_display`).

    >>> _summed(b"[1.50e+00, 5.00e-01]"), _summed(b"[]")
    (b'2.0', b'[]')
    """
    parts = cell[1:-1].replace(b",", b" ").split() if cell[:1] == b"[" and cell[-1:] == b"]" else []
    if not parts or not all(NUMBER_ALONE.fullmatch(part) for part in parts):
        return cell
    return repr(float(sum(value_of(part) for part in parts))).encode()


def headers_of(line: bytes) -> Iterator[Header]:
    """Yield the headers that a line without numbers may be, by how its cells are parted."""
    for split in (_by_commas, _by_semicolons, _CELLS.split, _BLANKS.split, _WORDS.findall):
        cells = _parted(line, split)
        if split is _by_commas and not cells[0]:
            cells[0] = _ROW  # pandas leaves its heading empty
        names = [cell.decode("utf-8", "replace") for cell in cells]
        if not 2 <= len(names) <= MOST_COLUMNS or len(set(names)) < len(names) or not all(names):
            continue
        if any(len(name) > MOST_NAME or ":" in name or "=" in name or "{" in name for name in names):
            continue
        fields = tuple(_field(name, index) for index, name in enumerate(names))
        header = Header(split, b"|".join(cells), fields, _spans(line, len(fields)) if split in _PARTED else ())
        header = replace(header, indexed=split is _BLANKS.split and line.startswith(b"  "))
        if any(is_loss(name) for name in names) and (header.counted or split in _PARTED):
            yield header
        elif header.counted and any(map(_OF_MEMORY.fullmatch, names)) and any(map(_TERM.fullmatch, names)):
            yield replace(header, fields=tuple(_term(field) for field in fields))
        elif header.counted and any(map(TRAINING.fullmatch, names)) and any(map(EVALUATION.fullmatch, names)):
            yield replace(header, fields=tuple(_part(field) for field in fields))


def _term(field: Field) -> Field:
    return replace(field, name=f"{field.name} loss", role=Role.LOSS) if _TERM.fullmatch(field.name) else field


def _spans(line: bytes, count: int) -> tuple[tuple[int, int], ...]:
    spans = () if b"|" in line or b"\t" in line else tuple(found.span() for found in _NAME.finditer(line))
    return spans if len(spans) == count else ()


def _part(field: Field) -> Field:
    part = EVALUATION.fullmatch(field.name) or TRAINING.fullmatch(field.name)
    return replace(field, role=Role.PART, evaluation=bool(EVALUATION.fullmatch(field.name))) if part else field


_PARTED: tuple[Split, ...] = (_CELLS.split, _BLANKS.split)
"""How the cells of a table without a counter are parted: words with one blank between them are prose."""


def _field(name: str, index: int) -> Field:
    role = role_of(name)
    role = {"#": Role.LEADING, _ROW.decode(): Role.EPISODE}.get(name, role)
    return Field(name, Role.OTHER if role is Role.NOTHING else role, index)


def _ruled(line: bytes) -> bytes:
    """Return a line with its box drawing as bars and dashes."""
    return _BOXES.sub(lambda found: b"-" if found[1] else b"|", line) if b"\xe2" in line else line


def _by_commas(text: bytes) -> list[bytes]:
    return [cell.strip().strip(b'"') for cell in text.split(b",")]


def _by_semicolons(text: bytes) -> list[bytes]:
    return [cell.strip().strip(b'"') for cell in text.split(b";")]


def _parted(line: bytes, split: Split) -> list[bytes]:
    text = _PREFIX.sub(b"", _BAR.sub(b"", _ruled(line)).strip())
    text = text.removeprefix(b"#").strip()
    text = text.removeprefix(b"|").removesuffix(b"|").strip()
    return [cell.strip() for cell in split(text)]
