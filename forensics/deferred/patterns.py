"""Regular expressions that are compiled when they are first used on a text that may hold what they look for.

A run meets some of the 900 expressions by which files, words and phrases are known; compiling all of them costs more
than reading a small run. Every expression that a module makes when it is imported is one of these (a test sees to it);
one within a function is cached by `re` itself.

Most need one of a few words: a text without `.safetensors` names no shard. The table of these (`deferred/words.py`,
written by `python tests/needed_words.py`) answers the first uses, and half of what a run asks is never compiled.
"""

import re
import zlib
from collections.abc import Callable
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
_NOTHING: dict[str, Callable[[Any], Any]] = {
    "search": lambda _: None,
    "match": lambda _: None,
    "fullmatch": lambda _: None,
    "split": lambda text: [text],
    "findall": lambda _: [],
    "finditer": lambda _: iter(()),
    "sub": lambda text: text,
    "subn": lambda text: (text, 0),
}
"""What each use returns of a text in which nothing is found."""
_PATIENCE = 150
"""How often words are looked for, a long text counting for several: by then compiling would have cost as much."""
_LONG = 1000


class Deferred:
    """Stands for a pattern; once that is compiled, all that it has are plain attributes."""

    def __init__(self, text: str | bytes, flags: int) -> None:
        self.given = text, flags
        self.patience = _PATIENCE

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  (whatever a pattern has)
        if name not in _USED:
            raise AttributeError(name)
        if name == "pattern":
            return self.given[0]  # asked for to be part of another expression, which is compiled in its place
        words, folded = self._words() if name in _NOTHING else ((), False)
        if not words or self.patience <= 0:
            return self._compiled(name)
        vars(self)[name] = used = self._patient(name, words, folded=folded)
        return used

    def _words(self) -> tuple[tuple[Any, ...], bool]:
        """Return the words of which a text must hold one, and whether capitals do not matter."""
        from forensics.deferred.words import EXACT, FOLDED

        text, flags = self.given
        number = key(text, flags)
        words = EXACT.get(number) or FOLDED.get(number, ())
        return tuple(word.encode() for word in words) if isinstance(text, bytes) else words, number in FOLDED

    def _patient(self, name: str, words: tuple[Any, ...], *, folded: bool) -> Callable[..., Any]:
        nothing, place = _NOTHING[name], int(name in {"sub", "subn"})

        def used(*given: Any, **named: Any) -> Any:  # noqa: ANN401  (as the method of a pattern)
            text: Any = given[place] if len(given) > place else None
            if self.patience > 0 and _lacks(text, words, folded=folded):
                self.patience -= 1 + len(text) // _LONG
                return nothing(text)
            self.patience = 0
            compiled = vars(self)[name] if "groups" in vars(self) else self._compiled(name)
            return compiled(*given, **named)  # who kept `used` asks it again

        return used

    def _compiled(self, name: str) -> Any:  # noqa: ANN401  (the same)
        compiled: re.Pattern[Any] = re.compile(*self.given)
        vars(self).update({each: getattr(compiled, each) for each in _USED})
        return vars(self)[name]

    def __reduce__(self) -> tuple[object, ...]:
        return Deferred, self.given

    def __repr__(self) -> str:
        return f"expression({self.given[0]!r}, {self.given[1]!r})"


def _lacks(text: Any, words: tuple[Any, ...], *, folded: bool) -> bool:  # noqa: ANN401  (str, bytes or what is neither)
    """Tell that none of the words is in a text; of letters beyond ASCII it cannot be told what folds to what."""
    if type(text) is not type(words[0]):
        return False
    if folded:
        if isinstance(text, str) and not text.isascii():
            return False
        text = text.lower()
    return not any(word in text for word in words)


def key(text: str | bytes, flags: int) -> int:
    """Return the number under which the table has the words of an expression."""
    return zlib.crc32(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"), int(flags))


def expression(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """Return what is used like `re.compile(text, flags)`; a wrong expression raises `re.error` at its first use."""
    return cast("re.Pattern[AnyStr]", Deferred(text, flags))
