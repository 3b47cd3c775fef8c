"""Pages are cut into tags and text as a browser does it, and nothing of them is read twice."""

import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.formats.html_marks import Kind, marks


class _Reference(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.told: list[tuple[Kind, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self.told.append(("start", tag))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        self.told.append(("end", tag))

    def handle_data(self, data: str) -> None:
        self.told.append(("text", data))


def whole(told: list[tuple[Kind, str]]) -> list[tuple[Kind, str]]:
    """Put pieces of text that follow each other together."""
    made: list[tuple[Kind, str]] = []
    for kind, found in told:
        if kind == "text" and made and made[-1][0] == "text":
            made[-1] = ("text", made[-1][1] + found)
        else:
            made.append((kind, found))
    return made


TAGS = st.sampled_from(
    ["<p>", "</p>", "<a href='x>y'>", '<td class="a">', "</TD >", "<br/>", "<!-- <p> -->", "<!DOCTYPE html>", "<?x?>"]
)
WORDS = st.sampled_from(["loss", " ", "\n", "&lt;pre&gt;", "&amp", "a & b", "1 < 2", "&#76;", "\u00e9", "{'a': 1}"])


@given(st.lists(TAGS | WORDS, max_size=20))
def test_what_is_well_formed_is_read_as_by_the_standard_library(pieces: list[str]) -> None:
    reference = _Reference()
    reference.feed("".join(pieces))
    reference.close()

    assert whole(list(marks("".join(pieces)))) == whole(reference.told)


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ("a<!--b", [("text", "a")]),
        ("a<b c='d", [("text", "a")]),
        ("a<b c='>d", [("text", "a"), ("start", "b"), ("text", "d")]),
        ("a<!-->b", [("text", "a"), ("text", "b")]),
        ("a<![CDATA[x]]>b", [("text", "a"), ("text", "b")]),
        ("<script>if (a </b) '</SCRIPT x>'c", [("start", "script"), ("end", "script"), ("text", "'c")]),
        ("<script>a<p>", [("start", "script")]),
        ("&#99999999999;", [("text", "\ufffd")]),
    ],
)
def test_what_is_not_closed_ends_the_page(page: str, told: list[tuple[Kind, str]]) -> None:
    assert list(marks(page)) == told


@given(st.text("<>/!-'\"ab &#;=", max_size=60))
def test_any_text_is_read(page: str) -> None:
    list(marks(page))


def spent(page: str) -> float:
    begin = time.process_time()
    for _ in marks(page):
        pass
    return time.process_time() - begin


@pytest.mark.parametrize(
    "unit", ["<!--", "<![CDATA[", "<!x", "<a ", "</a ", '<a b="', "<a b='>", "<script>", "</", "<", "&", "&#1", "<?"]
)
def test_time_grows_with_the_length(unit: str) -> None:
    """100,000 open comments took a minute."""
    least = min(spent(unit * 4_000) for _ in range(3))

    assert min(spent(unit * 32_000) for _ in range(3)) < max(least, 1e-3) * 40
