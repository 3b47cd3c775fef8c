"""The page of an issue as a browser saves it: `<pre>` blocks, tables and prose become the text they were made from."""

from collections.abc import Iterator
from html.parser import HTMLParser

from forensics.documents._markdown import split
from forensics.documents._tables import table_lines
from forensics.model import Artifact, Skip
from forensics.plugin import Piece, document
from forensics.storage.file import File

_UNSEEN = frozenset({"script", "style", "noscript", "svg", "template", "head", "nav", "footer", "button"})
_BREAKS = frozenset(
    {"p", "div", "br", "li", "ul", "ol", "h1", "h2", "h3", "h4", "h5", "h6", "tr", "details", "summary"}
)
PLACE = "line {} of the text"


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


def _sniff(head: bytes) -> bool:
    start = head.lstrip(b"\xef\xbb\xbf \r\n\t")[:400].lower()
    return start.startswith((b"<!doctype html", b"<html")) and b"medforensics" not in head


@document("pasted-html", match=(r"(?i)\.html?$", r"(?:^|/)stdin\.log$"), sniff=_sniff, limit="archive_bytes")
def pasted_html(artifact: Artifact) -> Iterator[Piece | Skip]:
    """HTML of an issue or a forum: what is written there is read like the text of an issue."""
    most = artifact.limits.small_file_bytes
    with File(artifact.location) as file:
        text = file.head(most).decode("utf-8", "replace")
        if file.size > most:
            yield Skip(artifact.path, f"only the first {most >> 20} MiB were read")
    page = _Page()
    page.feed(text)
    page.close()
    yield from split(page.lines, PLACE)
