"""The other spellings of a secret that a run may hold: in a URL, in base64, in JSON, on a command line.

`Authorization: Basic` holds base64 of `user:password`, a Kubernetes secret base64 of the value alone, an environment
dump the value as a shell quotes it. Of base64 the middle is the same wherever the value begins in a group of three
bytes, but for which of the three it is; so three middles are looked for, and what stands around one is masked with it.
"""

import base64
import json
import shlex
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

SHORTEST_MIDDLE = 12
"""Characters of base64: 72 bits, which no other text has by chance."""
LONGEST = 4_000


def spellings(value: str) -> Iterator[str]:
    r"""Yield how the value looks in a URL, a JSON text and a command line, where that differs from the value itself.

    >>> list(spellings("a/b+c=d"))
    ['a%2Fb%2Bc%3Dd', 'a/b%2Bc%3Dd', 'a\\/b+c=d']
    """
    value = value[:LONGEST]
    plain = json.dumps(value)[1:-1]
    made = (
        quote(value, safe=""),
        quote(value),
        quote_plus(value),
        plain,
        plain.replace("/", "\\/"),
        shlex.quote(value)[1:-1] if "'" in value else value,
        value.encode("unicode_escape").decode(),
    )
    yield from (each for each in dict.fromkeys(made) if each != value)


def middles(value: str) -> Iterator[str]:
    """Yield what base64 of any text that holds the value holds too, in both alphabets.

    >>> [middle in base64.b64encode(b"user:hunter2-hunter2").decode() for middle in middles("hunter2-hunter2")]
    [False, False, True]
    """
    raw = value[:LONGEST].encode("utf-8", "replace")
    for before in range(3):
        # The first group holds bits of what stands before, the last one bits of what follows.
        encoded = base64.b64encode(bytes(before) + raw).decode()
        first = (0, 2, 3)[before]
        last = (before + len(raw)) * 4 // 3 if (before + len(raw)) % 3 == 0 else (before + len(raw)) * 8 // 6
        middle = encoded[first:last]
        if len(middle) >= SHORTEST_MIDDLE:
            yield middle
            other = middle.translate(_OTHER_ALPHABET)
            if other != middle:
                yield other


_OTHER_ALPHABET = str.maketrans("+/", "-_")
