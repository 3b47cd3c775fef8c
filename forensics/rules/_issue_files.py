"""The files of `known_issues/`: which are read for which symptoms, and what is refused."""

import os
import re
import sys
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from forensics.deferred.patterns import expression
from forensics.errors import MalformedError
from forensics.plugin import Rule
from forensics.rules._known_issues import OBSERVATIONS, declare

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = Path(__file__).with_name("known_issues")
EXPLAINS = expression(rb"^explains = \[[^\]]*\]", re.MULTILINE)
QUOTED = expression(rb'"([^"\\]*)"')


def load() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (file name, contents) of every known issue, in file-name order.

    Raises `MalformedError` for a file that is no TOML or uses a word which is not in the vocabulary.
    """
    from forensics.rules._vocabulary import check

    for name in _contents():
        issue = _parsed(name)
        check(issue, name, OBSERVATIONS)
        yield name, issue


def issues(explaining: Collection[str] | None = None) -> tuple[Rule, ...]:
    """Return the rule of every known issue, or of those that explain one of these symptoms and mechanisms.

    A file that explains none of them is not parsed: a run shows a few symptoms, and parsing all files costs more than
    reading a small run. Mistakes are looked for where every rule is asked for. Raises as `load` does.
    """
    if explaining is None:
        return tuple(_rule(name) for name, _ in load())
    names = frozenset(name.encode() for name in explaining)
    return tuple(_rule(file) for file, content in _contents().items() if may_explain(content, names))


def may_explain(content: bytes, names: frozenset[bytes]) -> bool:
    """Tell whether a file may explain one of these; one that is written in another way is taken to."""
    written = _explained(content)
    return written is None or not names.isdisjoint(written)


@cache
def _explained(content: bytes) -> tuple[bytes, ...] | None:
    """Return what a file says that it explains; it is asked again for each link of a chain of mechanisms."""
    written = EXPLAINS.search(content)
    return None if written is None else tuple(QUOTED.findall(written[0]))


@cache
def _contents() -> dict[str, bytes]:
    contents = {}
    for name in sorted(os.listdir(FOLDER)):  # noqa: PTH208  (texts; two hundred paths cost more than the files)
        if name.endswith(".toml"):
            with open(f"{FOLDER}/{name}", "rb", buffering=0) as file:  # noqa: PTH123
                contents[name] = file.read()
    return contents


@cache
def _rule(name: str) -> Rule:
    return declare(_parsed(name))


@cache
def _parsed(name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(_contents()[name].decode("utf-8"))
    except ValueError as error:
        raise MalformedError(f"{name}: {error}") from error
