"""The files of `known_issues/`: which are read for which symptoms, and what is refused."""

import re
import sys
from collections.abc import Collection, Iterator
from functools import cache
from importlib import resources
from typing import Any

from forensics.deferred.patterns import expression
from forensics.errors import MalformedError
from forensics.plugin import Rule
from forensics.rules._known_issues import OBSERVATIONS, declare
from forensics.rules._vocabulary import check

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EXPLAINS = expression(r"^explains = \[[^\]]*\]", re.MULTILINE)
QUOTED = expression(r'"([^"\\]*)"')


def load() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (file name, contents) of every known issue, in file-name order.

    Raises `MalformedError` for a file that is no TOML or uses a word which is not in the vocabulary.
    """
    for name, text in _texts().items():
        yield name, _parsed(name, text)


def issues(explaining: Collection[str] | None = None) -> tuple[Rule, ...]:
    """Return the rule of every known issue, or of those that explain one of these symptoms and mechanisms.

    A file that explains none of them is not parsed, nor looked at for mistakes: a run shows a few symptoms, and
    parsing all files costs more than reading a small run. Raises as `load` does.
    """
    texts = _texts()
    wanted = None if explaining is None else frozenset(explaining)
    return tuple(_rule(name) for name, text in texts.items() if wanted is None or may_explain(text, wanted))


def may_explain(text: str, names: frozenset[str]) -> bool:
    """Tell whether a file may explain one of these; one that is written in another way is taken to."""
    written = EXPLAINS.search(text)
    return written is None or not names.isdisjoint(QUOTED.findall(written[0]))


@cache
def _texts() -> dict[str, str]:
    folder = resources.files("forensics.rules") / "known_issues"
    files = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".toml")), key=lambda each: each.name)
    return {entry.name: entry.read_text(encoding="utf-8") for entry in files}


@cache
def _rule(name: str) -> Rule:
    return declare(_parsed(name, _texts()[name]))


def _parsed(name: str, text: str) -> dict[str, Any]:
    try:
        issue = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise MalformedError(f"{name}: {error}") from error
    check(issue, name, OBSERVATIONS)
    return issue
