"""Tables of HTML as lines of text, the form in which the reader of logs knows a table."""

import re
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser

_COUNTER = re.compile(r"(?:global[_ ]?)?(?:step|epoch|iter(?:ation)?)s?", re.IGNORECASE)


def table_lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the rows of a table with bars between cells; nothing unless a column counts steps or epochs."""
    kept = [[re.sub(r"\s+", " ", cell).strip().replace("|", "/") for cell in row] for row in rows if row]
    if len(kept) < 2 or not any(_COUNTER.fullmatch(cell) for cell in kept[0]):
        return []
    return ["| " + " | ".join(row) + " |" for row in kept]


class _Tables(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tables: list[list[list[str]]] = []
        self._open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag == "table":
            self.tables.append([])
        elif tag == "tr" and self.tables:
            self.tables[-1].append([])
        elif tag in {"td", "th"} and self.tables and self.tables[-1]:
            self.tables[-1][-1].append("")
        self._open = tag in {"td", "th"} or (self._open and tag not in {"tr", "table", "progress"})

    def handle_endtag(self, tag: str) -> None:
        self._open = self._open and tag not in {"td", "th"}

    def handle_data(self, data: str) -> None:
        if self._open and self.tables and self.tables[-1] and self.tables[-1][-1]:
            self.tables[-1][-1][-1] += data


def tables_in(text: str) -> Iterator[list[str]]:
    """Yield the lines of every table of a text in HTML that counts steps or epochs."""
    parser = _Tables()
    parser.feed(text)
    parser.close()
    for rows in parser.tables:
        lines = table_lines(rows)
        if lines:
            yield lines
