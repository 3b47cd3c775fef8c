"""The messages inside an event file, decoded strictly: what the fast walks do not recognise ends up here.

Field numbers are those of tensorboard 2.21 `compat/proto/event.proto`, `summary.proto`, `tensor.proto`,
`types.proto` and `plugins/hparams/plugin_data.proto`. Payloads that hold no scalar and no text (histograms,
images, audio, graphs) are named and passed over without a copy.
"""

import struct
from collections.abc import Iterator
from typing import Literal, TypeAlias

import numpy as np

from forensics.deferred.records import dataclass
from forensics.errors import MalformedError
from forensics.formats.protobuf import BYTES, FIXED32, FIXED64, VARINT, Field, fields, packed_varints
from forensics.model import Precision, Scalar

Kind: TypeAlias = Literal["scalar", "text", "hparams", "histogram", "image", "audio", "tensor", "nothing"]

OBSOLETE: dict[int, Kind] = {3: "image", 4: "image", 5: "histogram", 6: "audio"}
PLUGINS: dict[str, Kind] = {"histograms": "histogram", "images": "image", "audio": "audio", "hparams": "hparams"}
_FLOAT, _DOUBLE, _STRING, _BFLOAT16, _HALF = 1, 2, 7, 14, 19
_CONTENT = {1: "<f4", 2: "<f8", 3: "<i4", 4: "u1", 5: "<i2", 6: "i1", 9: "<i8", 10: "?", 17: "<u2", 19: "<f2"}
_CONTENT |= {22: "<u4", 23: "<u8"}
_VARINTS = {7, 10, 11, 13, 16, 17}
"""Fields of TensorProto that repeat a varint: int_val, int64_val, bool_val, half_val, uint32_val, uint64_val."""
_UNSIGNED = {13, 16, 17}
_FLOATS = {5: (FIXED32, 4, "<f"), 6: (FIXED64, 8, "<d")}


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a summary: a number, a text, or the name of what it holds instead."""

    tag: bytes
    kind: Kind
    number: float = 0.0
    precision: Precision = Precision.SINGLE
    text: str = ""
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class Session:
    """A `SessionLog`; status 1 is START, 2 STOP, 3 CHECKPOINT."""

    status: int
    checkpoint: str


@dataclass(frozen=True, slots=True)
class Event:
    """One record. `version` is set in the record that opens a file, `session` where a session is announced."""

    wall_time: float
    step: int
    values: tuple[Value, ...]
    version: str
    session: Session | None


def decode_event(payload: memoryview, plugins: dict[bytes, str]) -> Event:
    """Decode one record; `plugins` remembers the plugin of each tag, which writers may state only once.

    Raises `MalformedError` when the payload is no `Event` message.
    """
    wall_time, step, version, session = 0.0, 0, "", None
    values: list[Value] = []
    for field in fields(payload):
        match field.key:
            case 1:
                wall_time = field.double
            case 2:
                step = field.signed
            case 3:
                version = field.text
            case 5:
                values += (_value(f.message, plugins) for f in fields(field.message) if f.key == 1)
            case 7:
                session = _session(field.message)
    return Event(wall_time, step, tuple(values), version, session)


def _session(data: memoryview) -> Session:
    status, checkpoint = 0, ""
    for field in fields(data):
        if field.key == 1:
            status = field.signed
        elif field.key == 2:
            checkpoint = field.text
    return Session(status, checkpoint)


def _value(data: memoryview, plugins: dict[bytes, str]) -> Value:
    tag, number = b"", None
    tensor: memoryview | None = None
    content = b""
    kind: Kind = "nothing"
    for field in fields(data):
        if field.key == 1:
            tag = bytes(field.message)
        elif field.key == 2:
            number = field.single
        elif field.key == 8:
            tensor = field.message
        elif field.key == 9:
            plugin, content = _metadata(field.message)
            plugins.setdefault(tag, plugin)
        else:
            kind = OBSOLETE.get(field.key, kind)
    if number is not None:
        return Value(tag, "scalar", number)
    plugin = plugins.get(tag, "")
    if plugin == "hparams":
        return Value(tag, "hparams", content=content)
    if tensor is None or kind != "nothing" or plugin in PLUGINS:
        return Value(tag, PLUGINS.get(plugin, kind))
    return _tensor_value(tag, tensor, plugin)


def _metadata(data: memoryview) -> tuple[str, bytes]:
    """Return the plugin's name and its content; the content is copied only where it is going to be used."""
    name, content = "", data[:0]
    for field in fields(data):
        if field.key == 1:
            for part in fields(field.message):
                if part.key == 1:
                    name = part.text
                elif part.key == 2:
                    content = part.message
    return name, bytes(content) if name == "hparams" else b""


def _tensor_value(tag: bytes, data: memoryview, plugin: str) -> Value:
    """Decode a tensor of one element; `plugin` is "scalars", "text", another, or "" where none was stated."""
    dtype, elements, parts = _tensor(data)
    if elements != 1 or plugin not in {"", "scalars", "text"}:
        return Value(tag, "tensor")
    if dtype == _STRING:
        return Value(tag, "text", text="\n".join(part.text for part in parts if part.key == 8))
    if plugin == "text":
        return Value(tag, "tensor")
    number = _number(dtype, parts)
    if number is None:
        return Value(tag, "tensor")
    exact = Precision.DOUBLE if dtype == _DOUBLE else Precision.SINGLE
    return Value(tag, "scalar", number, exact)


def _tensor(data: memoryview) -> tuple[int, int, list[Field]]:
    dtype, elements = 0, 1
    parts: list[Field] = []
    for field in fields(data):
        if field.key == 1:
            dtype = field.signed
        elif field.key == 2:
            elements = _elements(field.message)
        elif field.key in _VARINTS or field.key in _FLOATS or field.key in {4, 8}:
            parts.append(field)
    return dtype, elements, parts


def _elements(shape: memoryview) -> int:
    """Return the product of a shape's dimensions; -1 when it is unknown."""
    elements = 1
    for dimension in fields(shape):
        if dimension.key == 2:
            sizes = [f.signed for f in fields(dimension.message) if f.key == 1]
            elements *= sizes[-1] if sizes else 0
        elif dimension.key == 3 and dimension.number:
            return -1
    return elements


def _number(dtype: int, parts: list[Field]) -> float | None:
    """Return the one element of a tensor, from whichever field holds it; None when none does."""
    for part in parts:
        if part.key == 4 and part.message:
            return _from_content(dtype, part.message)
        if part.key in _FLOATS:
            return _from_floats(part)
        if part.key in _VARINTS:
            return _from_varint(dtype, part)
    return None


def _from_content(dtype: int, data: memoryview) -> float | None:
    if dtype == _BFLOAT16 and len(data) == 2:
        return _bfloat16(int.from_bytes(data, "little"))
    form = _CONTENT.get(dtype)
    if form is None:
        return None
    if len(data) != np.dtype(form).itemsize:
        raise MalformedError(f"a tensor of one element has {len(data)} bytes of data type {dtype}")
    return float(np.frombuffer(data, form)[0])


def _from_floats(part: Field) -> float:
    wire, size, form = _FLOATS[part.key]
    if part.wire == BYTES and len(part.data) < size:
        raise MalformedError("a packed number is cut short")
    if part.wire not in {wire, BYTES}:
        part.need(BYTES)
    return float(struct.unpack(form, part.data[:size])[0])


def _from_varint(dtype: int, part: Field) -> float | None:
    if part.wire == VARINT:
        number: int | None = part.number
    else:
        number = next(packed_varints(part.message), None)
    if number is None:
        return None
    if dtype == _HALF:
        return float(np.array([number & 0xFFFF], np.uint16).view(np.float16)[0])
    if dtype == _BFLOAT16:
        return _bfloat16(number & 0xFFFF)
    if part.key not in _UNSIGNED and number >> 63:
        number -= 1 << 64
    return float(number)


def _bfloat16(bits: int) -> float:
    return float(np.array([bits << 16], np.uint32).view(np.float32)[0])


def decode_hparams(content: bytes) -> Iterator[tuple[str, Scalar]]:
    """Yield the hyper-parameters of a `HParamsPluginData` with `session_start_info`.

    Raises `MalformedError` when the content is no such message.
    """
    for field in fields(memoryview(content)):
        if field.key != 3:
            continue
        for entry in fields(field.message):
            if entry.key == 1:
                yield _hparam(entry.message)


def _hparam(entry: memoryview) -> tuple[str, Scalar]:
    """Decode one entry of `map<string, google.protobuf.Value>`."""
    name, value = "", None
    for field in fields(entry):
        if field.key == 1:
            name = field.text
        elif field.key == 2:
            value = _any_value(field.message)
    return name, value


def _any_value(data: memoryview) -> Scalar:
    value: Scalar = None
    for field in fields(data):
        match field.key:
            case 2:
                value = field.double
            case 3:
                value = field.text
            case 4:
                value = bool(field.signed)
    return value
