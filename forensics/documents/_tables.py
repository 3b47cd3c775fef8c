"""Tables in Markdown as comma-separated values, and rows of any table as text, where they count steps or epochs."""

import io
import re
from collections.abc import Sequence

from forensics.deferred.patterns import expression

_COUNTER = expression(r"(?:global[_ ]?)?(?:step|epoch|iter(?:ation)?)s?", re.IGNORECASE)

_NUMBER = expression(r"\d[\d,]*(?:\.\d*)?")
_RULE = expression(r"[\s|:+=-]*")
LONGEST = 20_000
"""Characters of a row; a longer line is no table."""


def table_lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the rows of a table with bars between cells; nothing unless a column counts steps or epochs."""
    kept = [[re.sub(r"\s+", " ", cell).strip().replace("|", "/") for cell in row] for row in rows if row]
    if kept and kept[0][:1] == [""] and {"loss", "val_loss"} <= set(kept[0]):
        kept[0][0] = "epoch"  # pandas.DataFrame(history.history) of Keras
    if len(kept) < 2 or not any(_COUNTER.fullmatch(cell) for cell in kept[0]):
        return []
    return ["| " + " | ".join(row) + " |" for row in kept]


def take_tables(lines: list[str]) -> list[str]:
    """Return the tables of a text as comma-separated values, each row at its line, and blank them in the text.

    A table is a row of names with bars between them, one of which counts steps or epochs, then rows of as many cells
    that begin with numbers of it; a row of dashes may part them.
    """
    taken = [""] * len(lines)
    number = 0
    while number < len(lines):
        names = _cells(lines[number])
        counter = next((index for index, name in enumerate(names) if _COUNTER.fullmatch(name)), None)
        end = number + 1
        rows = {number: names}
        while counter is not None and end < len(lines):
            cells = _cells(lines[end])
            if len(cells) == len(names) and _NUMBER.fullmatch(cells[counter]):
                rows[end] = cells
            elif not _RULE.fullmatch(lines[end]) or not lines[end].strip():
                break
            end += 1
        if len(rows) > 1:
            for at, cells in rows.items():
                taken[at] = _row(cells)
            lines[number:end] = [""] * (end - number)
        number = end
    return taken


def _cells(line: str) -> list[str]:
    text = line.strip()
    if "|" not in text or len(text) > LONGEST:
        return []
    return [cell.strip(" *`") for cell in text.removeprefix("|").removesuffix("|").split("|")]


def _row(cells: Sequence[str]) -> str:
    import csv

    written = io.StringIO()
    csv.writer(written, lineterminator="").writerow(cells)
    return written.getvalue()
