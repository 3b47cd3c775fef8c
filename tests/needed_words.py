"""The words without which an expression finds nothing: `python tests/needed_words.py` writes the table of them.

An expression that is not in the table is compiled at its first use, which costs 0.15 ms and nothing else, so that a new
one may wait for the next writing; one that was changed is another, and no longer in it.
"""

import gc
import importlib
import pkgutil
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import forensics
from forensics.deferred import patterns

if sys.version_info >= (3, 11):
    from re import _parser as parser  # type: ignore[attr-defined]
else:
    import sre_parse as parser

TABLE = Path(forensics.__file__).parent / "deferred" / "words.py"
EMPTY = "EXACT: dict[int, tuple[str, ...]] = {}\nFOLDED = EXACT\n"
MOST, SHORTEST = 32, 2
"""Words to look for, and characters of each: many, or short ones, are in every text."""
BEYOND = "\x80"
"""In no text of ASCII: what is needed by an expression that finds nothing there."""
HEAD = '''"""Words of which a text must hold one for an expression to find anything, by the number of the expression.

Written by `python tests/needed_words.py`.
"""
'''


def words_of(text: str | bytes, flags: int = 0) -> tuple[tuple[str, ...], bool]:
    r"""Return texts of which one is in all that an expression takes, if there are such, and whether in any case.

    >>> words_of(r"lora_(?:A|B)[.]weight"), words_of(r"(?i)NaN|infinite"), words_of(r"a?bc*"), words_of(r"\d+")
    ((('.weight',), False), (('infinite', 'nan'), True), ((), False), ((), False))
    >>> words_of(r"(?i)loss|损失|p[ée]rdida|kay\u0131p$"), words_of(r"(?i)损失") == ((BEYOND,), True)
    ((('kay', 'loss', 'rdida'), True), True)
    """
    tree = parser.parse(text, flags)
    folded = bool(tree.state.flags & re.IGNORECASE)
    found = _needed(tree, plain=folded and isinstance(text, str))
    words = () if found is None else found or {BEYOND}
    return tuple(sorted({word.lower() if folded else word for word in words})), folded


def _needed(tree: Iterable[Any], *, plain: bool) -> frozenset[str] | None:
    """Return the best words of the parts of an expression, all of which have to be there one after another.

    Where only `plain` texts are asked about, no character beyond ASCII is in them: what needs one finds nothing, and
    has no words at all. None where nothing is known.
    """
    choices: list[frozenset[str]] = []
    run = ""
    for name, value in [(str(name), value) for name, value in tree]:
        if name == "LITERAL" and (not plain or chr(value).isascii()):
            run += chr(value)
        elif name != "AT":  # a place takes no character
            of = _of(name, value, plain=plain)
            if of is not None and not of:
                return of
            choices += [frozenset({run}), *([of] if of else [])]
            run = ""
    fit = [each for each in (*choices, frozenset({run})) if len(each) <= MOST and all(map(_is_word, each))]
    return max(fit, key=lambda each: (min(*map(len, each), 6), -len(each), sorted(each)), default=None)


def _is_word(text: str) -> bool:
    return len(text) >= SHORTEST and text.isascii()


def _is_beyond(character: int) -> bool:
    """Tell whether a character is none of ASCII and folds to none (as the long s and the sign of Kelvin do)."""
    text = chr(character)
    return not any(each[:1].isascii() for each in (text, text.lower(), text.upper()))


def _of(name: str, value: Any, *, plain: bool) -> frozenset[str] | None:
    """Return the words of one part; what may be left out, and what has other flags, has none."""
    if name == "SUBPATTERN":
        return None if value[1] or value[2] else _needed(value[3], plain=plain)
    if name == "BRANCH":
        sides = [_needed(side, plain=plain) for side in value[1]]
        return None if None in sides else frozenset().union(*[side for side in sides if side])
    if name.endswith("_REPEAT"):
        return _needed(value[2], plain=plain) if value[0] else None
    if name == "ASSERT":
        return _needed(value[1], plain=plain)
    if plain and all(_takes_beyond(*each) for each in (value if name == "IN" else [(name, value)])):
        return frozenset()
    return _needed(value, plain=plain) if name == "ATOMIC_GROUP" else None


def _takes_beyond(name: Any, value: Any) -> bool:
    """Tell whether a member of a class of characters is beyond ASCII."""
    if str(name) == "RANGE":
        return all(map(_is_beyond, range(value[0], value[1] + 1)))
    return str(name) == "LITERAL" and _is_beyond(value)


def deferred() -> list[patterns.Deferred]:
    """Return every deferred expression that importing the package makes."""
    for module in pkgutil.walk_packages(forensics.__path__, "forensics."):
        if not module.name.endswith(("__main__", ".loops", ".kernels")):
            importlib.import_module(module.name)
    return [each for each in gc.get_objects() if type(each) is patterns.Deferred]


def table() -> str:
    """Return the module that holds the words of every expression."""
    exact: dict[int, tuple[str, ...]] = {}
    folded: dict[int, tuple[str, ...]] = {}
    for text, flags in [each.given for each in deferred()]:
        words, any_case = words_of(text, flags)
        if words:
            (folded if any_case else exact)[patterns.key(text, flags)] = words
    parts = [HEAD]
    for name, held, told in (
        ("EXACT", exact, "In these letters."),
        ("FOLDED", folded, "In small letters or capitals."),
    ):
        rows = "".join(f"    {number}: {words!r},\n" for number, words in sorted(held.items()))
        parts.append(f'{name}: dict[int, tuple[str, ...]] = {{\n{rows}}}\n"""{told}"""\n')
    return "\n".join(parts)


if __name__ == "__main__":
    if not TABLE.exists():
        TABLE.write_text(EMPTY, encoding="utf-8")
    TABLE.write_text(table(), encoding="utf-8")
