"""The name that belongs to a number of a shape: the words before it.

step N | lm loss: N | grad norm: N     the words back to the last sign or number, all of them before a colon
'rewards/chosen': N, lr=[N, N]         quoted keys are taken whole; brackets and `tensor(` are looked through
loss at step N is N                    a loss may be named before the counter that stands between
"""

import re

from forensics.deferred.patterns import expression
from forensics.names import is_loss
from forensics.readers.text.lexicon import COUNTERS, Role, ends_as_loss, role_of

TOKEN = expression(
    rb"\x00 ?/ ?\x00|[\x00-\x02]|[-=]>"
    rb"|(?:\b[dlDL]'(?=[a-z\x80-\xff]))?"  # d'apprentissage
    rb"[A-Za-z_\x80-\xff][\w\x80-\xff@%&]*(?:[/.-][A-Za-z_\x80-\xff][\w\x80-\xff@%-]*)*(?:'s(?= ))?|.",
    re.DOTALL,
)
WORD = expression(rb"[A-Za-z_\x80-\xff]")
_WRAPPERS = frozenset(
    {
        b"tensor",
        b"array",
        b"np.float64",
        b"np.float32",
        b"numpy.float64",
        b"float",
        b"Array",
        b"DeviceArray",
        b"tf.Tensor",
    }
)
_STOP = frozenset(
    (
        *("the", "a", "an", "is", "was", "are", "at", "with", "of", "and", "in", "to", "for", "by", "on", "-"),
        *("current", "got", "has", "info", "warning", "debug", "error", "root", "mean", "average", "avg", "now"),
        *("stdout", "stderr", "f"),  # a stream of a container and the full lines of it
    )
)
_LAST_STOP = (_STOP - {"error"}) | {"value", "values", "so", "far"}
"""Words that end no name; `value loss` is that of a critic."""
_QUOTES = frozenset({b"'", b'"'})
OPENING = frozenset({b"(", b"[", b"{"})
_CLOSING = frozenset({b")", b"]"})
_SIGNS = frozenset({b":", b"=", b"->", b"=>"})
_PASSED = frozenset({b" ", b"\\", b"*", b"`", b"$", b"'", b'"'})
_AFTER = frozenset({"at", "after", "for", "in", "of", "on", "over", "per", "last"})
_LEVELS = frozenset({"INFO", "WARNING", "DEBUG", "ERROR", "CRITICAL"})
_COPULAS = frozenset({b"is", b"was"})
_NAMED_VALUE = expression(rb"""['"](?:key|name|metric|tag)['"] ?: ?['"]([^'"{}]{1,80})['"]""")
_RATE = expression(r"^\w+/(?:s|sec|secs|second|step|iter|it|min|hour|GPU|gpu)$")
_MOST_WORDS, _FEW_WORDS = 7, 2


class Name:
    """A name read backwards from a number."""

    __slots__ = ("average", "explicit", "first", "scale", "text")

    def __init__(self) -> None:
        self.text, self.explicit, self.average, self.first, self.scale = "", False, False, 0, False


def name_before(tokens: list[bytes], place: int) -> Name:
    name = Name()
    name.first = place
    at, wrapped = place - 1, b""
    while at >= 0:
        token = tokens[at]
        if token in _QUOTES and name.explicit:
            return _quoted_key(tokens, at, name)
        if token in OPENING:
            wrapped = token
        elif not name.explicit and (token in _SIGNS or _is_cell(tokens, at, place)):
            name.explicit = True
        elif token not in _PASSED and token not in _WRAPPERS and not _shortens(tokens, at) and not _doubled(tokens, at):
            break
        at -= 1
    if at >= 0 and tokens[at].startswith(b"\x00"):
        name.average = wrapped == b"(" and not name.explicit
        return name
    return _ending_at(tokens, at, name) if at >= 0 else name


def _ending_at(tokens: list[bytes], at: int, name: Name) -> Name:
    """Return a name whose last word, unit or bracket is at a place."""
    unit = ""
    if name.explicit and tokens[at] in _CLOSING:
        at = _before_span(tokens, at)
    if tokens[at] == b",":
        return _behind_comma(tokens, at, name)
    if tokens[at] == b")":
        unit, at, name.scale = _unit(tokens, at)
    elif tokens[at] == b"]" and not name.explicit:
        return _bracketed(tokens, at, name)
    return _words(tokens, at, name, unit)


def is_span(tokens: list[bytes], place: int) -> bool:
    """Tell whether a number stands in brackets between a word and the sign of its value: `loss [1-10]: N`."""
    end = next((at for at in range(place + 1, min(place + 8, len(tokens))) if tokens[at] in _CLOSING), -1)
    behind = [token for token in tokens[end + 1 : end + 6] if token != b" "] if end >= 0 else []
    if len(behind) < 2 or behind[0] not in _SIGNS or not behind[1].startswith(b"\x00"):
        return False
    opening = _before_span(tokens, end)
    return opening < place and opening != end


def _before_span(tokens: list[bytes], at: int) -> int:
    """Return the end of the word before brackets that end at `at` and hold more than one number, else `at`."""
    opening = next((each for each in range(at - 1, max(at - 9, 0), -1) if tokens[each] in OPENING), at)
    inside, word = tokens[opening + 1 : at], opening - 1 - (tokens[opening - 1] == b" ")
    alone = inside == [b"\x00"] and tokens[at] == b")"
    numbered = any(token.startswith(b"\x00") for token in inside)
    return word if numbered and not alone and word >= 0 and WORD.match(tokens[word]) else at


def _behind_comma(tokens: list[bytes], at: int, name: Name) -> Name:
    """Return the loss that a comma parts from its number, as in `step 10, loss_train, N`, no name where it is none."""
    words = _words(tokens, at - 1, Name(), "")
    first = words.first - 1
    while first >= 0 and (tokens[first] == b" " or tokens[first].lower().decode("utf-8", "replace") in _STOP):
        first -= 1
    of_a_number = first >= 0 and tokens[first].startswith(b"\x00")  # `4.12 cost, 1.23s`, `5.3 avg loss, 0.02 rate`
    meant = not name.explicit and not of_a_number and is_loss(words.text) and ends_as_loss(words.text)
    return words if meant else name


def follows_counter(tokens: list[bytes], name: Name, before: int, place: int) -> bool:
    """Tell whether nothing but a sign, `is` or the counter's own unit stands between a counter and a number."""
    if not name.text:
        return name.explicit or not _COPULAS.isdisjoint(tokens[before:place])
    return name.explicit and name.first - before <= 1 and role_of(name.text) in COUNTERS


def before_counter(tokens: list[bytes], counted: int) -> Name | None:
    """Return the loss that is named before the counter, as in `Cost after iteration N: N`, None where it is none."""
    name = Name()
    name.explicit, at = True, counted - 1
    while at >= 0 and (tokens[at] == b" " or tokens[at].lower().decode("utf-8", "replace") in _AFTER):
        at -= 1
    if at >= 0 and tokens[at] == b")":
        _, at, _ = _unit(tokens, at)
        while at >= 0 and tokens[at] == b" ":
            at -= 1
    named = _words(tokens, at, name, "")
    named.first = counted
    if named.text.lower() == "score" and tokens[at + 1 : counted] == [b" ", b"at", b" "]:
        named.text = "loss"  # Deeplearning4j, `ScoreIterationListener`
    return named if at >= 0 and is_loss(named.text) and ends_as_loss(named.text) else None


def _doubled(tokens: list[bytes], at: int) -> bool:
    """Tell whether a colon stands before another, as in `loss :: N`."""
    return tokens[at] == b":" and tokens[at + 1] == b":"


def _shortens(tokens: list[bytes], at: int) -> bool:
    """Tell whether a point ends a word cut short, as in `Up. N`."""
    return tokens[at] == b"." and at > 0 and bool(WORD.match(tokens[at - 1])) and len(tokens[at - 1]) <= len(b"Upd")


def _is_cell(tokens: list[bytes], at: int, place: int) -> bool:
    """Tell whether a bar parts a name from its value, as in `| loss | N |`."""
    return (
        tokens[at] == b"|"
        and tokens[0] in {b"|", b" "}
        and b"|" in tokens[place + 1 : place + 3]
        and tokens.count(b"|") == 3
    ) or (tokens[at] == b"|" and place == len(tokens) - 1 and tokens.count(b"|") == 1)


def paired(tokens: list[bytes], place: int) -> Name | None:
    """Return the first of a pair as the name of the second, as in `('loss', N)`; None where there is no pair."""
    at = place - 1 - (tokens[place - 1] == b" ")
    if at < 3 or tokens[at] != b"," or tokens[at - 1] not in _QUOTES:
        return None
    name = Name()
    name.first, name.explicit = place, True
    _quoted_key(tokens, at - 1, name)
    return name if tokens[name.first - 1] == b"(" else None


def _quoted_key(tokens: list[bytes], at: int, name: Name) -> Name:
    """Take what stands between two quotes: `tokens[at]` is the closing one."""
    opening = at - 1
    while opening >= 0 and tokens[opening] != tokens[at] and at - opening < 100:
        opening -= 1
    if opening >= 0 and tokens[opening] == tokens[at]:
        key = b"".join(tokens[opening + 1 : at])
        named = _NAMED_VALUE.findall(b"".join(tokens[max(opening - 40, 0) : opening])) if key == b"value" else []
        key = named[-1] if named else key
        name.text, name.first = key.decode("utf-8", "replace").strip(), opening
    return name


def _bracketed(tokens: list[bytes], at: int, name: Name) -> Name:
    """Take the words in brackets that end at `at` for a name where they mean something: `[Loss] N`."""
    opening = at - 1
    while opening >= 0 and at - opening < 8 and (tokens[opening] == b" " or WORD.match(tokens[opening])):
        opening -= 1
    words = b"".join(tokens[opening + 1 : at]).decode("utf-8", "replace")
    if opening >= 0 and tokens[opening] == b"[" and role_of(words) not in {Role.NOTHING, Role.OTHER}:
        name.text, name.first, name.explicit = words, opening, True
    return name


def _unit(tokens: list[bytes], at: int) -> tuple[str, int, bool]:
    """Return the unit in parentheses that ends at `at`, what stands before it, and whether it is a scale."""
    opening = at - 1
    while opening >= 0 and at - opening < 8 and tokens[opening] not in {b"(", b"\x01"}:
        opening -= 1
    if opening < 0 or tokens[opening] != b"(":
        return "", -1, False
    inside = tokens[opening + 1 : at]
    if inside == [b"\x00"]:
        return "", opening - 1, True
    if any(token.startswith(b"\x00") for token in inside):
        return "", -1, False
    return f"({b''.join(inside).decode('utf-8', 'replace')})", opening - 1, False


def _words(tokens: list[bytes], at: int, name: Name, unit: str) -> Name:
    words: list[tuple[str, int]] = []
    while at >= 0 and len(words) < (_MOST_WORDS if name.explicit else _FEW_WORDS + 2):
        token = tokens[at]
        word = token.decode("utf-8", "replace") if WORD.match(token) else ""
        if any(sign.isalnum() for sign in word):
            words.append((word.rstrip("_"), at))
        elif word and words:
            break  # a symbol
        elif not word and token not in {b" ", b"#"} and not (token == b"/" and words):
            break
        at -= 1
    words.reverse()
    if words and words[0][1] == at + 1 and tokens[max(at - 1, 0) : at + 1] == [b"-", b"-"]:
        return name  # an option of a command
    behind_number = at >= 0 and tokens[at].startswith(b"\x00")
    if behind_number and len(words) > name.explicit and (_RATE.search(words[0][0]) or words[0][1] == at + 1):
        words.pop(0)  # a unit of the number before
    measured = words[-1:] if unit and words and words[-1][0] == "Error" else []  # `Error (MPJPE): N`
    words = _trimmed(words, explicit=name.explicit, all_of_them=bool(unit) or name.explicit) or measured
    name.text = " ".join([*(word for word, _ in words), unit] if unit and words else [word for word, _ in words])
    name.first = words[0][1] if words else name.first
    return name


def _trimmed(words: list[tuple[str, int]], *, explicit: bool, all_of_them: bool) -> list[tuple[str, int]]:
    """Leave out words around a name; without a sign it is the last two, and none before a preposition."""
    while words and words[-1][0].lower() in _LAST_STOP:
        words = words[:-1]
    level = max((index for index, (word, _) in enumerate(words) if word in _LEVELS), default=-1)
    words = words[level + 1 :]
    if not all_of_them:
        words = words[-_FEW_WORDS:]
    while words and words[0][0].lower() in _STOP and [word for word, _ in words] != ["error"]:
        words = words[1:]
    return words if explicit or not words or words[-1][0].lower() not in _AFTER else []  # `loss after N steps`
