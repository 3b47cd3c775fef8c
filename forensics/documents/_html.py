"""Pages and tables in HTML as lines of text; a module of its own, since few runs hold any and the parser is large."""

from collections.abc import Iterator
from html.parser import HTMLParser

from forensics.documents._tables import table_lines

_UNSEEN = frozenset({"script", "style", "noscript", "svg", "template", "head", "nav", "footer", "button"})
_BREAKS = frozenset(
    {"p", "div", "br", "li", "ul", "ol", "h1", "h2", "h3", "h4", "h5", "h6", "tr", "details", "summary"}
)


class _Page(HTMLParser):
    """Collects the lines of a page. `<pre>` becomes a fence, a table its rows with bars, a quote gets its mark."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.lines: list[str] = [""]
        self._unseen: list[str] = []
        self._fenced = False
        self._quotes = 0
        self._table: list[list[str]] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
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
            self._table[-1].append("")
        elif tag in _BREAKS and not self._fenced:
            self._say("\n")

    def handle_endtag(self, tag: str) -> None:
        if self._unseen and tag == self._unseen[-1]:
            self._unseen.pop()
        elif tag == "blockquote":
            self._quotes = max(0, self._quotes - 1)
        elif tag == "pre" and self._fenced:
            self._fenced = False
            self._say("\n```\n")
        elif tag == "table" and self._table is not None:
            rows, self._table = self._table, None
            self._say("\n" + "\n".join(table_lines(rows)) + "\n")
        elif tag in _BREAKS and not self._fenced:
            self._say("\n")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self._say(data if self._fenced else data.replace("\r", ""))

    def _say(self, text: str) -> None:
        if self._table is not None and not self._fenced:
            if self._table and self._table[-1]:
                self._table[-1][-1] += text
            return
        first, *others = text.split("\n")
        self.lines[-1] += first
        self.lines.extend("> " * self._quotes + line for line in others)


def lines_of(page: str) -> list[str]:
    """Return the lines that a browser shows of a page."""
    parser = _Page()
    parser.feed(page)
    parser.close()
    return parser.lines


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
