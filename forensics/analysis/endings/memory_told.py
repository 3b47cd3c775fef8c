"""Whether an accelerator was full, in pieces, or held by others: the numbers that an allocator prints.

Sources: torch `CUDACachingAllocator.cpp` (1.8 to 2.13: "total capacity", "already allocated", "reserved in total" until
2.0; "has a total capacity of", "is free", "reserved by PyTorch but unallocated" since), torch_npu, XPU.
"""

import re

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass

_SIZE = r"(\d{1,9}(?:\.\d{1,9})?) ?([KMGT]i?B|bytes)"
_UNITS = {"b": 1 / 2**30, "K": 1 / 2**20, "M": 1 / 2**10, "G": 1.0, "T": 2.0**10}
_ASKED = expression(rf"Tried to allocate {_SIZE}")
_CAPACITY = expression(rf"total capacity of {_SIZE}|{_SIZE} total capacity")
_FREE = expression(rf"of which {_SIZE} is free|{_SIZE} free\b")
_ALLOCATED = expression(rf"{_SIZE} is allocated by PyTorch|{_SIZE} already allocated")
_UNALLOCATED = expression(rf"{_SIZE} is reserved by PyTorch but unallocated")
_RESERVED = expression(rf"{_SIZE} reserved in total")
_OWN = expression(rf"this process has {_SIZE} memory in use")
_PROCESSES = expression(rf"Process \d{{1,10}} has {_SIZE} memory in use")
FOREIGN = 0.1
"""Share of a board that other processes must hold to be named: a context of CUDA alone takes about 0.5 GiB."""
SLACK = 0.05
"""GiB that rounding in the message may hide."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of a board and what it had, GiB; None where the message does not tell.

    `idle` is what the allocator held in pieces without use, `others` what further processes held.
    """

    asked: float
    capacity: float | None
    free: float | None
    idle: float | None
    others: float | None


def _first(pattern: re.Pattern[str], text: str) -> float | None:
    found = pattern.search(text)
    if found is None:
        return None
    number, unit = (group for group in found.groups() if group)
    return float(number) * _UNITS[unit[0]]


def asked_of(text: str) -> Asked | None:
    """Return the numbers of an out-of-memory message, None where it does not say what was asked."""
    asked = _first(_ASKED, text)
    if asked is None:
        return None
    capacity, free, allocated = _first(_CAPACITY, text), _first(_FREE, text), _first(_ALLOCATED, text)
    idle, reserved, own = _first(_UNALLOCATED, text), _first(_RESERVED, text), _first(_OWN, text)
    if idle is None and reserved is not None and allocated is not None:
        idle = max(reserved - allocated, 0.0)
    others = None
    if own is not None:
        others = sum(float(number) * _UNITS[unit[0]] for number, unit in _PROCESSES.findall(text))
    elif reserved is not None and capacity is not None and free is not None:
        others = max(capacity - free - reserved, 0.0)
    return Asked(asked, capacity, free, idle, others)


def memory_told(text: str) -> tuple[str, str]:
    """Return what the numbers of an out-of-memory message mean, in few words, and the numbers as a clause.

    Both are empty where the message tells nothing.

    >>> memory_told("Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.15 GiB of which 0.21 GiB is free. "
    ...             "70.12 GiB is allocated by PyTorch, and 5.01 GiB is reserved by PyTorch but unallocated.")
    ('what was free lay in pieces', '2 GiB were asked, 0.21 GiB were free, 5.01 GiB lay idle in pieces')
    """
    told = asked_of(text)
    if told is None or told.free is None:
        return "", ""
    said = f"{_gib(told.asked)} were asked, {_gib(told.free)} were free"
    if told.capacity is not None and told.asked > told.capacity:
        return "more was asked than the board has", f"{said}, the board has {_gib(told.capacity)}"
    if told.others is not None and told.capacity is not None and told.others > FOREIGN * told.capacity:
        return (
            "others held much of the board",
            f"{said}, other processes held {_gib(told.others)} of {_gib(told.capacity)}",
        )
    if told.idle is not None and told.idle + SLACK >= told.asked:
        return "what was free lay in pieces", f"{said}, {_gib(told.idle)} lay idle in pieces"
    if told.capacity is not None and told.idle is not None:
        return "the board was full", f"{said}, {_gib(told.idle)} of {_gib(told.capacity)} lay idle"
    return "", said


def _gib(size: float) -> str:
    return f"{size:.3g} GiB" if size >= 0.1 else f"{size * 2**10:.3g} MiB"
