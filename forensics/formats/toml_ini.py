"""TOML and INI of files that nobody vouches for, in time that grows with their size.

The parsers of the standard library need the square of it: `tomllib` for a key of many parts (`parse_key` adds to a
tuple; 20,000 parts take 2.5 s), `configparser` for blanks in a line (`OPTCRE_NV`; 30,000 blanks take 30 s), and its
section DEFAULT is told again by each of the others. Brackets within brackets exhaust the stack of the former.
"""

import sys
from collections.abc import Mapping
from typing import Any

from forensics.deferred.patterns import expression
from forensics.errors import LimitError, MalformedError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MOST_BRACKETS = 100
"""Opened in one line."""
MOST_PARTS = 200
"""Of a key; more full stops than in any sentence, as one has commas."""
_APART = expression(r"[=,\[\]{}#\"']")
_BLANKS = expression(r"[^\S\n]{2,}")
_NO_DEFAULTS = "\0"
"""A name that no section has: a section DEFAULT is then one like the others."""


def parse_toml(text: str) -> dict[str, Any]:
    """Return a TOML document as plain values.

    Raises `MalformedError` for what is no TOML, `LimitError` for brackets or keys that no person writes.
    """
    for line in text.split("\n"):
        if line.count("[") + line.count("{") > MOST_BRACKETS:
            raise LimitError(f"nests more than {MOST_BRACKETS} brackets in one line")
        if line.count(".") > MOST_PARTS and _parts(line) > MOST_PARTS:
            raise LimitError(f"has a key of more than {MOST_PARTS} parts")
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"is no TOML: {str(error)[:120]}") from None


def _parts(line: str) -> int:
    """Return how many full stops stand in a row with nothing but words, or quoted words, between them."""
    pieces = _APART.split(line)
    bare, quoted = max(piece.count(".") for piece in pieces), sum(piece.strip() == "." for piece in pieces)
    return int(max(bare, quoted))


def parse_ini(text: str) -> Mapping[str, Mapping[str, str]]:
    """Return the sections of an INI file, each a mapping of its own keys. Raises `MalformedError`."""
    import configparser

    parser = configparser.ConfigParser(
        interpolation=None, strict=False, allow_no_value=True, default_section=_NO_DEFAULTS
    )
    try:
        parser.read_string(_BLANKS.sub(" ", text))
    except configparser.Error as error:
        raise MalformedError(f"is no INI: {str(error)[:120]}") from None
    return {name: {key: value or "" for key, value in parser[name].items()} for name in parser.sections()}
