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
MOST, SHORTEST = 12, 2
"""Words to look for, and characters of each: many, or short ones, are in every text."""
HEAD = '''"""Words of which a text must hold one for an expression to find anything, by the number of the expression.

Written by `python tests/needed_words.py`.
"""
'''


def words_of(text: str | bytes, flags: int = 0) -> tuple[tuple[str, ...], bool]:
    r"""Return texts of which one is in all that an expression takes, if there are such, and whether in any case.

    >>> words_of(r"lora_(?:A|B)[.]weight"), words_of(r"(?i)NaN|infinite"), words_of(r"a?bc*"), words_of(r"\d+")
    ((('.weight',), False), (('infinite', 'nan'), True), ((), False), ((), False))
    """
    tree = parser.parse(text, flags)
    folded = bool(tree.state.flags & re.IGNORECASE)
    found = _needed(tree) or frozenset()
    return tuple(sorted({word.lower() if folded else word for word in found})), folded


def _needed(tree: Iterable[Any]) -> frozenset[str] | None:
    """Return the best words of the parts of an expression, all of which have to be there one after another."""
    choices: list[frozenset[str]] = []
    run = ""
    for name, value in [(str(name), value) for name, value in tree]:
        if name == "LITERAL":
            run += chr(value)
        elif name != "AT":  # a place takes no character
            choices += [frozenset({run}), _of(name, value) or frozenset()]
            run = ""
    fit = [each for each in (*choices, frozenset({run})) if 0 < len(each) <= MOST and all(map(_is_word, each))]
    return max(fit, key=lambda each: (min(*map(len, each), 6), -len(each), sorted(each)), default=None)


def _is_word(text: str) -> bool:
    return len(text) >= SHORTEST and text.isascii()


def _of(name: str, value: Any) -> frozenset[str] | None:
    """Return the words of one part; what may be left out, and what has other flags, has none."""
    if name == "SUBPATTERN":
        return None if value[1] or value[2] else _needed(value[3])
    if name == "BRANCH":
        sides = [_needed(side) for side in value[1]]
        return None if None in sides else frozenset().union(*[side for side in sides if side])
    if name.endswith("_REPEAT"):
        return _needed(value[2]) if value[0] else None
    if name == "ASSERT":
        return _needed(value[1])
    return _needed(value) if name == "ATOMIC_GROUP" else None


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
