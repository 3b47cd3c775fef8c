"""The words that an expression needs: what is not compiled for lack of them would have found nothing."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.deferred import patterns
from forensics.deferred.words import EXACT, FOLDED
from needed_words import BEYOND, deferred, words_of

ROOT = Path(__file__).parent.parent
PLACES = (*ROOT.glob("tests/data/*.t*"), *ROOT.glob("fixtures/runs/broken/*/run/*.log"))
LINES = [line for path in PLACES for line in path.read_text(encoding="utf-8", errors="replace").splitlines()[:60]]
ALL = deferred()
USES = ("search", "match", "fullmatch", "split", "findall", "finditer")
EXPRESSION = r"lora_(?:A|B)\.weight"


def real(one: patterns.Deferred) -> "re.Pattern[Any]":
    return re.compile(*one.given)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the table know two expressions of these tests."""
    monkeypatch.setitem(EXACT, patterns.key(EXPRESSION, 0), (".weight",))
    monkeypatch.setitem(EXACT, patterns.key(EXPRESSION.encode(), 0), (".weight",))
    monkeypatch.setitem(FOLDED, patterns.key("(?i)nan|loss", 0), ("loss", "nan"))


def told(found: Any) -> Any:
    """Return what a method gave as plain values."""
    if isinstance(found, re.Match):
        return found.span(), found.groups()
    return [told(each) for each in found] if hasattr(found, "__next__") else found


def test_each_entry_of_the_table_is_what_its_expression_needs() -> None:
    for one in ALL:
        words, folded = words_of(*one.given)
        number = patterns.key(*one.given)
        assert (EXACT.get(number, words), FOLDED.get(number, words)) == (words, words), one
        assert number not in (EXACT if folded else FOLDED), one
    assert not EXACT.keys() & FOLDED.keys()


def test_nearly_all_expressions_are_in_the_table() -> None:
    needing = [one for one in ALL if words_of(*one.given)[0]]
    missing = [one for one in needing if patterns.key(*one.given) not in EXACT | FOLDED]

    assert len(needing) > 400
    assert len(missing) < len(needing) / 10, "python tests/needed_words.py writes the table anew"


def test_no_line_that_an_expression_finds_lacks_its_words() -> None:
    texts: dict[type, list[Any]] = {str: LINES, bytes: [line.encode() for line in LINES]}
    found = 0
    for one in ALL:
        words, folded = words_of(*one.given)
        search = real(one).search
        if not words:
            continue
        kind = type(one.given[0])
        sought = words if kind is str else tuple(word.encode() for word in words)
        for text in texts[kind]:
            if patterns._lacks(text, sought, folded=folded):
                assert search(text) is None, (one, text)
            else:
                found += 1
    assert len(LINES) > 1000
    assert found > 1000


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("use", USES)
@given(text=st.lists(st.sampled_from(["lora_A.weight", "lora_B", ".weight", "lora_B.weight", "x", "\n"])).map("".join))
def test_what_is_found_is_what_the_pattern_finds(use: str, text: str) -> None:
    both: list[tuple[Any, Any]] = [(EXPRESSION, text), (EXPRESSION.encode(), text.encode())]
    for expression, searched in both:
        later: Any = patterns.expression(expression)
        compiled: Any = re.compile(expression)
        assert told(getattr(later, use)(searched)) == told(getattr(compiled, use)(searched))
        assert later.sub(searched[:1], searched) == compiled.sub(searched[:1], searched)
        assert later.subn(searched[:1], searched) == compiled.subn(searched[:1], searched)


@pytest.mark.usefixtures("known")
def test_it_is_compiled_once_a_text_may_hold_a_match() -> None:
    later: Any = patterns.expression(EXPRESSION)
    search = later.search

    assert search("lora_A.bias") is None
    assert "groups" not in vars(later)
    assert search("lora_A.weight") is not None
    assert "groups" in vars(later)
    assert search("lora_B.weight").span() == (0, 13), "who kept the method is answered too"
    assert later.match("lora_B.weight") is not None


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("text", ["x", "x" * 50_000])
def test_it_is_compiled_once_looking_has_cost_as_much(text: str) -> None:
    later: Any = patterns.expression(EXPRESSION)
    uses = 0
    while "groups" not in vars(later):
        assert later.search(text) is None
        uses += 1
    assert uses == (patterns._PATIENCE + 1 if len(text) == 1 else 4)


@pytest.mark.usefixtures("known")
def test_letters_beyond_ascii_may_fold_to_what_is_sought() -> None:
    """The long s is an s to an expression that takes no notice of capitals, and stays what it is in small letters."""
    later: Any = patterns.expression("(?i)nan|loss")

    assert later.search("LOS") is None
    assert "groups" not in vars(later)
    assert later.search("a lo\N{LATIN SMALL LETTER LONG S}s").span() == (2, 6)
    assert patterns.expression("(?i)nan|loss").search("Loss NaN") is not None


@pytest.mark.parametrize(
    "letter",
    ["\N{LATIN SMALL LETTER LONG S}", "\N{KELVIN SIGN}", "\N{LATIN SMALL LETTER DOTLESS I}", "İ", "損", "é"],
)
def test_what_needs_a_letter_beyond_ascii_finds_nothing_in_a_text_of_ascii(letter: str) -> None:
    """But for letters that fold to one of ASCII, which an expression in any case finds there."""
    written, grouped = words_of(f"(?i){letter}q|loss"), words_of(f"(?i)[{letter}ä]q|loss")
    folds = re.search(letter, "".join(map(chr, range(128))), re.IGNORECASE) is not None

    assert words_of(f"(?i)x{letter}") == ((), True) if folds else ((BEYOND,), True)
    assert written == grouped == (((), True) if folds else (("loss",), True))


@pytest.mark.usefixtures("known")
def test_what_is_no_text_is_refused_as_by_a_pattern() -> None:
    later: Any = patterns.expression(EXPRESSION)

    with pytest.raises(TypeError, match="bytes-like"):
        later.search(b"lora")
    assert patterns.expression(EXPRESSION).search(string="lora_A.weight") is not None
    with pytest.raises(TypeError):
        later.search()
