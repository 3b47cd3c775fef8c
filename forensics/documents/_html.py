"""Pages and tables in HTML as lines of text; a module of its own, since few runs hold any."""

from collections.abc import Iterator

from forensics.documents._tables import table_lines
from forensics.formats.html_marks import marks

_CELL = frozenset({"td", "th"})
_UNSEEN = frozenset({"script", "style", "noscript", "svg", "template", "head", "nav", "footer", "button"})
_BREAKS = frozenset(
    {"p", "div", "br", "li", "ul", "ol", "h1", "h2", "h3", "h4", "h5", "h6", "tr", "details", "summary"}
)
MOST_QUOTES = 20
"""Quotes within quotes that are told from each other."""


class _Page:
    """Collects the lines of a page. `<pre>` becomes a fence, a table its rows with bars, a quote gets its mark."""

    def __init__(self, text: str) -> None:
        self.lines: list[str] = []
        self._parts: list[str] = []
        self._unseen: list[str] = []
        self._fenced = False
        self._quotes = 0
        self._table: list[list[list[str]]] | None = None
        take = {"start": self._start, "end": self._end, "text": self._text}
        for kind, found in marks(text):
            take[kind](found)
        self._finish_line()

    def _start(self, tag: str) -> None:
        if tag in _UNSEEN:
            self._unseen.append(tag)
        elif tag == "blockquote":
            self._quotes += 1
        elif tag == "pre":
            self._fenced = True
            self._say("\n```\n")
        elif tag == "table" and self._table is None:
            self._table = []
        elif self._table is not None and tag == "tr":
            self._table.append([])
        elif self._table and tag in {"td", "th"}:
            self._table[-1].append([])
        elif tag in _BREAKS and not self._fenced:
            self._say("\n")

    def _end(self, tag: str) -> None:
        if self._unseen and tag == self._unseen[-1]:
            self._unseen.pop()
        elif tag == "blockquote":
            self._quotes = max(0, self._quotes - 1)
        elif tag == "pre" and self._fenced:
            self._fenced = False
            self._say("\n```\n")
        elif tag == "table" and self._table is not None:
            rows, self._table = self._table, None
            lines = table_lines([["".join(cell) for cell in row] for row in rows])
            self._say("\n" + "\n".join(lines) + "\n")
        elif tag in _BREAKS and not self._fenced:
            self._say("\n")

    def _text(self, text: str) -> None:
        if not self._unseen:
            self._say(text if self._fenced else text.replace("\r", ""))

    def _say(self, text: str) -> None:
        if self._table is not None and not self._fenced:
            if self._table and self._table[-1]:
                self._table[-1][-1].append(text)
            return
        first, *others = text.split("\n")
        self._parts.append(first)
        mark = "> " * min(self._quotes, MOST_QUOTES)
        for line in others:
            self._finish_line()
            self._parts = [mark + line]

    def _finish_line(self) -> None:
        self.lines.append("".join(self._parts))


def lines_of(page: str) -> list[str]:
    """Return the lines that a browser shows of a page."""
    return _Page(page).lines


def tables_in(text: str) -> Iterator[list[str]]:
    """Yield the lines of every table of a text in HTML that counts steps or epochs."""
    tables: list[list[list[list[str]]]] = []
    is_open = False
    for kind, found in marks(text):
        if kind == "text":
            if is_open and tables and tables[-1] and tables[-1][-1]:
                tables[-1][-1][-1].append(found)
        elif kind == "end":
            is_open = is_open and found not in _CELL
        else:
            if found == "table":
                tables.append([])
            elif found == "tr" and tables:
                tables[-1].append([])
            elif found in _CELL and tables and tables[-1]:
                tables[-1][-1].append([])
            is_open = found in _CELL or (is_open and found not in {"tr", "table", "progress"})
    for rows in tables:
        lines = table_lines([["".join(cell) for cell in row] for row in rows])
        if lines:
            yield lines
