"""Mutants of a file: bytes changed, cut, moved, repeated, numbers made extreme, words of the formats put in."""

import random
import struct
from collections.abc import Callable, Sequence

EXTREME = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 62, (1 << 63) - 1, 1 << 63)
WORDS = (
    b"nan NaN inf -Infinity 1e400 -0 0x10 1_000 9999999999999999999999 null true \\ud800 \\u0000 \xff\xfe \xe2\x80\xae "
    b"{ } [ ] \" ' , : = | - # % ` ~~~ ``` <details> <table> <tr> <td> &#0; &lt; \r \n \r\n \t \0 \x1b[31m \b "
    b"Traceback (most recent call last): RuntimeError: File line in step loss epoch grad_norm it/s 100%| "
    b"&a *a !!python/object << ? - | > --- ... [a] [[a]] a.b=1 export # /home/x ../.. PK\x03\x04 PK\x05\x06 PK\x01\x02 "
    b"\x80\x02 \x80\x04 \x93 c R b . ( t } u ] e \x8e \x8c q r h j BINPUT .npy data.pkl __metadata__ data_offsets shape"
).split(b" ")
LARGEST = 1 << 20
"""Bytes of the largest mutant: large enough to show what grows faster than its input."""


def mutated(source: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """Return a mutant of `source`; `others` are files of the same kind, of which it may take parts."""
    made = bytearray(source)
    for _ in range(chance.choice((1, 1, 2, 3, 6))):
        chance.choice(_WAYS)(made, others, chance)
        if len(made) > LARGEST:
            del made[LARGEST:]
    return bytes(made)


def _place(made: bytearray, chance: random.Random) -> int:
    """Return a place; near the front half of the time, where headers and lengths lie."""
    most = len(made) if chance.random() < 0.5 else min(len(made), 256)
    return chance.randrange(most + 1)


def _part(of: bytes | bytearray, chance: random.Random) -> bytes:
    start = chance.randrange(len(of) + 1)
    return bytes(of[start : start + chance.choice((1, 2, 4, 8, 40, 300, 4_000))])


def _flip(made: bytearray, _others: Sequence[bytes], chance: random.Random) -> None:
    if made:
        made[_place(made, chance) % len(made)] ^= 1 << chance.randrange(8)


def _cut(made: bytearray, _others: Sequence[bytes], chance: random.Random) -> None:
    del made[_place(made, chance) :]


def _drop(made: bytearray, _others: Sequence[bytes], chance: random.Random) -> None:
    start = _place(made, chance)
    del made[start : start + chance.choice((1, 2, 4, 8, 64, 1_000))]


def _number(made: bytearray, _others: Sequence[bytes], chance: random.Random) -> None:
    value, order = chance.choice(EXTREME) - chance.choice((0, 0, 1)), chance.choice("<>")
    width, code = chance.choice(((1, "B"), (2, "H"), (4, "I"), (8, "Q")))
    at = _place(made, chance)
    made[at : at + width] = struct.pack(order + code, value % (1 << 8 * width))


def _digits(made: bytearray, _others: Sequence[bytes], chance: random.Random) -> None:
    """Change a number that is written in digits."""
    at = _place(made, chance)
    end = at
    while end < len(made) and 0x30 <= made[end] <= 0x39 and end - at < 30:
        end += 1
    made[at:end] = str(chance.choice(EXTREME) * chance.choice((1, -1))).encode()


def _word(made: bytearray, _others: Sequence[bytes], chance: random.Random) -> None:
    at = _place(made, chance)
    made[at:at] = chance.choice(WORDS)


def _repeat(made: bytearray, _others: Sequence[bytes], chance: random.Random) -> None:
    """Say a part over and over: what grows faster than its input shows here."""
    at = _place(made, chance)
    part = chance.choice((_part(made, chance), chance.choice(WORDS))) or b" "
    made[at:at] = part * min(chance.choice((2, 30, 1_000, 50_000)), LARGEST // len(part))


def _splice(made: bytearray, others: Sequence[bytes], chance: random.Random) -> None:
    at = _place(made, chance)
    made[at:at] = _part(chance.choice(others), chance)


def _swap(made: bytearray, _others: Sequence[bytes], chance: random.Random) -> None:
    one, two = _part(made, chance), _place(made, chance)
    made[two : two + len(one)] = one


_WAYS: tuple[Callable[[bytearray, Sequence[bytes], random.Random], None], ...] = (
    _flip,
    _flip,
    _cut,
    _drop,
    _number,
    _number,
    _digits,
    _word,
    _word,
    _repeat,
    _splice,
    _swap,
)
