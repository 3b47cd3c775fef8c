"""Regular expressions that are compiled when they are first used.

A run meets some of the 900 expressions by which files, words and phrases are known; compiling all of them costs more
than reading a small run. Every expression that a module makes when it is imported is one of these (a test sees to it);
one within a function is cached by `re` itself.
"""

import re
from typing import Any, AnyStr, cast

_USED = (
    "search",
    "match",
    "fullmatch",
    "split",
    "findall",
    "finditer",
    "sub",
    "subn",
    "pattern",
    "flags",
    "groups",
    "groupindex",
)


class Deferred:
    """Stands for a pattern; the first attribute asked for compiles it, and all are plain attributes afterwards."""

    def __init__(self, text: str | bytes, flags: int) -> None:
        self.given = text, flags

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  (whatever a pattern has)
        if name not in _USED:
            raise AttributeError(name)
        if name == "pattern":
            return self.given[0]  # asked for to be part of another expression, which is compiled in its place
        compiled: re.Pattern[Any] = re.compile(*self.given)
        vars(self).update({each: getattr(compiled, each) for each in _USED})
        return vars(self)[name]

    def __reduce__(self) -> tuple[object, ...]:
        return Deferred, self.given

    def __repr__(self) -> str:
        return f"expression({self.given[0]!r}, {self.given[1]!r})"


def expression(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """Return what is used like `re.compile(text, flags)`; a wrong expression raises `re.error` at its first use."""
    return cast("re.Pattern[AnyStr]", Deferred(text, flags))
