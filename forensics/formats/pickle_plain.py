"""Turn pickled settings into plain data: dicts, lists, text and numbers, of bounded size."""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from forensics.formats.pickle_numpy import ARRAY, BUFFER, DTYPE, SCALAR, numpy_array, numpy_dtype
from forensics.formats.pickle_values import Name, Record, Storage, StoredTensor
from forensics.limits import DEFAULT, Limits

DEEPEST = 64
MOST_VALUES = 200_000
LARGEST_ARRAY = 1024
LARGEST_INTEGER_BITS = 256
LEFT_OUT = "(left out: too much or too deep)"
_SECONDS_A_DAY = 86_400


def plain(value: object, limits: Limits = DEFAULT) -> object:
    """Return a value as JSON-like data (dict with text keys, list, str, int, float, bool, None). Never raises.

    Enums become their value, classes and dtypes their name, paths and devices their text, time differences
    seconds, small numpy arrays lists. Any other object becomes `{"__class__": name, **its state}`, a tensor
    `{"__tensor__": dtype, "shape": [...]}`. What is too deep or too much becomes a text that says so.
    """
    return _Plain(min(MOST_VALUES, limits.tensors)).convert(value, 0)


class _Plain:
    def __init__(self, most: int) -> None:
        self.left = most

    def convert(self, value: object, depth: int) -> object:
        self.left -= 1
        leaf = _LEAVES.get(type(value))
        if leaf is not None:
            return leaf(value)
        if depth >= DEEPEST:
            return LEFT_OUT
        if isinstance(value, dict):
            return self.mapping(value, depth)
        if isinstance(value, list | tuple | set | frozenset):
            return self.sequence(value, depth)
        return self.record(value, depth) if isinstance(value, Record) else type(value).__name__

    def mapping(self, value: Mapping[object, object], depth: int) -> dict[str, object]:
        made: dict[str, object] = {}
        for key, child in value.items():
            if self.left <= 0:
                made[LEFT_OUT] = len(value) - len(made)
                break
            made[self.key(key, depth)] = self.convert(child, depth + 1)
        return made

    def key(self, key: object, depth: int) -> str:
        made = self.convert(key, max(depth + 1, DEEPEST - 4))
        return made if isinstance(made, str) else str(made)

    def sequence(
        self, value: list[object] | tuple[object, ...] | set[object] | frozenset[object], depth: int
    ) -> list[object]:
        made: list[object] = []
        for child in value:
            if self.left <= 0:
                made.append(LEFT_OUT)
                break
            made.append(self.convert(child, depth + 1))
        return made

    def record(self, record: Record, depth: int) -> object:
        known = _KNOWN.get(record.class_name)
        if known is None and record.class_name.startswith("pathlib."):
            known = _path
        made = known(record) if known is not None else None
        if made is not None:
            return self.convert(made, depth + 1)
        if _is_enum(record):
            return self.convert(record.arguments[0], depth + 1)
        content: dict[object, object] = {"__class__": record.class_name}
        if isinstance(record.state, dict):
            content.update((key, child) for key, child in record.state.items() if key != "__class__")
        elif record.state is not None:
            content["__state__"] = record.state
        if record.arguments:
            content["__arguments__"] = record.arguments
        if record.items is not None:
            content["__items__"] = record.items
        if record.pairs is not None:
            content["__pairs__"] = record.pairs
        return self.mapping(content, depth)


def _is_enum(record: Record) -> bool:
    """Whether a record looks like `Enum.__reduce_ex__`: the class called with the member's value."""
    return (
        len(record.arguments) == 1
        and record.state is None
        and record.items is None
        and record.pairs is None
        and isinstance(record.arguments[0], str | int | float)
        and not record.class_name.startswith("refused ")
    )


def _path(record: Record) -> object:
    parts = [part for part in record.arguments if isinstance(part, str)]
    if len(parts) != len(record.arguments):
        return None
    return "/" + "/".join(parts[1:]) if parts[:1] == ["/"] else "/".join(parts) or "."


def _device(record: Record) -> object:
    match record.arguments:
        case (str(kind),):
            return kind
        case (str(kind), int(index)):
            return f"{kind}:{index}"
    return None


def _seconds(record: Record) -> object:
    match record.arguments:
        case (int(days), int(seconds), int(microseconds)) if max(map(abs, (days, seconds, microseconds))) < 1 << 40:
            return days * _SECONDS_A_DAY + seconds + microseconds / 1e6
    return None


def _items(record: Record) -> object:
    return record.items or []


def _array(record: Record) -> object:
    array = numpy_array(record)
    if array is None:
        return None
    if array.size > LARGEST_ARRAY:
        return {"__array__": str(array.dtype), "shape": list(array.shape)}
    if array.dtype.kind == "c":
        array = array.astype(str)
    numbers = array.tolist()
    return math.nan if isinstance(numbers, complex) else numbers


def _dtype(record: Record) -> object:
    dtype = numpy_dtype(record)
    return None if dtype is None else str(dtype)


def _itself(value: object) -> object:
    return value


def _integer(value: int) -> object:
    bits = value.bit_length()
    return value if bits <= LARGEST_INTEGER_BITS else f"(integer of {bits} bits)"


_LEAVES: Mapping[type, Callable[[Any], object]] = MappingProxyType(
    {
        type(None): _itself,
        bool: _itself,
        float: _itself,
        str: _itself,
        int: _integer,
        bytes: lambda value: f"({len(value)} bytes)",
        Name: lambda value: value.text,
        StoredTensor: lambda value: {"__tensor__": value.dtype, "shape": list(value.shape)},
        Storage: lambda value: {"__storage__": value.dtype, "elements": value.elements},
    }
)
_KNOWN: Mapping[str, Callable[[Record], object]] = MappingProxyType(
    {
        "torch.device": _device,
        "datetime.timedelta": _seconds,
        "collections.deque": _items,
        ARRAY: _array,
        SCALAR: _array,
        BUFFER: _array,
        DTYPE: _dtype,
    }
)
