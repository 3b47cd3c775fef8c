"""What is done for the few names that are interpreted: data in, data out, every argument checked.

Each handler stands for the function of the same name (torch 2.13 `torch/_utils.py` and `torch/_tensor.py`, CPython
3.13) and is called with the machine and the arguments that the pickle gives. It raises `MalformedError` (or the
`TypeError` of a call with wrong arguments), which costs that object only.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from forensics.errors import LimitError, MalformedError
from forensics.formats.pickle_machine import LONGEST_NAME, Handler, Machine, TensorError
from forensics.formats.pickle_values import (
    DTYPE_BYTES,
    TORCH_DTYPES,
    UNKNOWN_OFFSET,
    Mapped,
    Name,
    Record,
    Storage,
    StoredTensor,
)
from forensics.storage.file import File

LARGEST_SIZE = 1 << 62
SMALL_EXPANSION_BYTES = 16 << 20
NESTED_FILE_COST = 20_000
MEMBER_COST = 60
_TEXT_ENCODINGS = MappingProxyType(
    {"latin1": "latin-1", "latin-1": "latin-1", "ascii": "latin-1", "utf-8": "utf-8", "utf8": "utf-8"}
)
_PARAMETER_WRAPPER = "torch._tensor._rebuild_from_type_v2"


# -- tensors --------------------------------------------------------------------------------------------------


def _sizes(machine: Machine, value: object, what: str) -> tuple[int, ...]:
    if not isinstance(value, tuple | list):
        raise TensorError(f"tensor whose {what} is a {type(value).__name__}")
    if len(value) > machine.work.limits.dimensions:
        raise TensorError(f"tensor with {len(value)} dimensions")
    for size in value:
        if type(size) is not int or not 0 <= size < LARGEST_SIZE:
            raise TensorError(f"tensor with an impossible {what}")
    return tuple(value)


def place_tensor(  # noqa: PLR0913, PLR0917  (a tensor is these six facts)
    machine: Machine,
    storage: object,
    offset: object,
    shape: object,
    strides: object,
    dtype: str | None = None,
    requires_grad: object = None,
) -> StoredTensor:
    """Return the tensor that views `storage` from element `offset`; its `problem` tells when that cannot be.

    Raises `TensorError` when the arguments are no tensor at all.
    """
    if not isinstance(storage, Storage):
        raise TensorError(f"tensor over a {type(storage).__name__} that is no storage")
    if type(offset) is not int or not 0 <= offset < LARGEST_SIZE:
        raise TensorError("tensor with an impossible storage offset")
    sizes, steps = _sizes(machine, shape, "shape"), _sizes(machine, strides, "stride")
    if len(sizes) != len(steps):
        raise TensorError(f"tensor with {len(sizes)} sizes and {len(steps)} strides")
    if len(machine.work.tensors) >= machine.work.limits.tensors:
        raise LimitError(f"the file declares more than the limit of {machine.work.limits.tensors} tensors")
    machine.work.charge(300)
    name = storage.dtype if dtype is None else dtype
    width = DTYPE_BYTES[name]
    elements, span = 1, 1
    for size, step in zip(sizes, steps, strict=True):
        elements *= size
        span += (size - 1) * step
    nbytes = span * width if elements else 0
    problem = _bounds_problem(storage, offset * width + nbytes, elements * width) if elements else None
    known = storage.offset >= 0 and problem is None
    made = StoredTensor(
        dtype=name,
        shape=sizes,
        strides=steps,
        storage=storage,
        offset=storage.offset + offset * width if known else UNKNOWN_OFFSET,
        nbytes=nbytes,
        requires_grad=requires_grad if isinstance(requires_grad, bool) else None,
        problem=problem,
    )
    machine.work.tensors.append(made)
    return made


def _bounds_problem(storage: Storage, end: int, size: int) -> str | None:
    """Say why a view that ends `end` bytes behind the storage's start cannot be read (None when it can)."""
    if end > storage.declared_bytes:
        return f"the view needs {end} bytes of a storage of {storage.declared_bytes}"
    if end > storage.nbytes:
        return storage.problem or f"cut off: {storage.nbytes} of {storage.declared_bytes} bytes are there"
    if storage.offset < 0:
        return storage.problem or "its bytes are not in the file"
    if size > max(storage.declared_bytes, SMALL_EXPANSION_BYTES):
        return f"an expanded view of {size} bytes over a storage of {storage.declared_bytes}"
    return None


def _tensor(  # noqa: PLR0913, PLR0917  (the signature of torch._utils._rebuild_tensor_v2)
    machine: Machine,
    storage: object,
    offset: object,
    shape: object,
    strides: object,
    requires_grad: object = None,
    _hooks: object = None,
    metadata: object = None,
) -> StoredTensor:
    if metadata:
        machine.work.note("a tensor with a conjugate or negative bit: its values are stored without it")
    return place_tensor(machine, storage, offset, shape, strides, None, requires_grad)


def _typed_tensor(  # noqa: PLR0913, PLR0917  (the signature of torch._utils._rebuild_tensor_v3)
    machine: Machine,
    storage: object,
    offset: object,
    shape: object,
    strides: object,
    requires_grad: object,
    _hooks: object,
    dtype: object,
    _metadata: object = None,
) -> StoredTensor:
    return place_tensor(machine, storage, offset, shape, strides, _dtype(dtype), requires_grad)


def _quantized_tensor(  # noqa: PLR0913, PLR0917  (the signature of torch._utils._rebuild_qtensor)
    machine: Machine,
    storage: object,
    offset: object,
    shape: object,
    strides: object,
    _quantizer: object,
    requires_grad: object = None,
    _hooks: object = None,
) -> StoredTensor:
    return place_tensor(machine, storage, offset, shape, strides, None, requires_grad)


def _dtype(value: object) -> str:
    if isinstance(value, Name) and value.text.startswith("torch."):
        found = TORCH_DTYPES.get(value.text[len("torch.") :])
        if found is not None:
            return found
    raise MalformedError(f"tensor of an unknown dtype {str(getattr(value, 'text', type(value).__name__))[:60]}")


def _meta_tensor(
    machine: Machine, dtype: object, shape: object, strides: object, requires_grad: object = None
) -> StoredTensor:
    storage = Storage("", _dtype(dtype), "meta", 0, problem="a meta tensor: only its shape was saved")
    return replace(place_tensor(machine, storage, 0, shape, strides, None, requires_grad), problem=storage.problem)


def _parameter(machine: Machine, data: object, requires_grad: object = True, *_rest: object) -> object:
    if not isinstance(data, StoredTensor) or not isinstance(requires_grad, bool):
        return data
    made = replace(data, requires_grad=requires_grad)
    tensors = machine.work.tensors
    if tensors and tensors[-1] is data:
        tensors[-1] = made
    return made


def _subclass(machine: Machine, function: object, kind: object, arguments: object, state: object = None) -> object:
    """`_rebuild_from_type_v2` calls its first argument; here only handlers of tensors may stand there."""
    if isinstance(function, Name) and function.text in _TENSORS and isinstance(arguments, tuple):
        made = machine.reduce(function, arguments)
        if isinstance(made, StoredTensor):
            return made
    return Record(_PARAMETER_WRAPPER, (function, kind, arguments), state)


def _nested_file(machine: Machine, data: object) -> object:
    """`torch.storage._load_from_bytes`: a whole torch file inside the pickle (plain pickles of tensors)."""
    if not isinstance(data, bytes):
        raise MalformedError("_load_from_bytes without bytes")
    work = machine.work
    work.charge(2 * len(data) + NESTED_FILE_COST)
    literal = machine.literals.get(id(data))
    if literal is not None and machine.addressable:
        inner = machine.file.window(literal[1] - machine.file.base, len(data))
    else:
        inner = File.of_bytes(data, machine.file.path)
    return work.open_nested(inner, work, literal is not None and machine.addressable)


# -- collections ----------------------------------------------------------------------------------------------


def _mapped(class_name: str) -> Handler:
    def make(machine: Machine, content: object = None, *_rest: object) -> Mapped:
        made = Mapped(class_name)
        pairs: Iterable[object] = ()
        if isinstance(content, dict):
            pairs = content.items()
        elif isinstance(content, list | tuple):
            pairs = content
        if isinstance(content, dict | list | tuple):
            machine.work.charge(MEMBER_COST * len(content))
        for pair in pairs:
            if isinstance(pair, list | tuple) and len(pair) == 2:
                made[machine.key(pair[0])] = pair[1]
        return made

    return make


def _default_dict(machine: Machine, _factory: object = None, content: object = None) -> Mapped:
    made = _mapped("collections.defaultdict")(machine, content)
    assert isinstance(made, Mapped)
    return made


def _members(machine: Machine, value: object) -> Iterable[object]:
    if not isinstance(value, list | tuple | set | frozenset):
        raise MalformedError(f"set of a {type(value).__name__}")
    machine.work.charge(MEMBER_COST * len(value))
    return map(machine.key, value)


def _set(machine: Machine, value: object = ()) -> set[object]:
    return set(_members(machine, value))


def _frozen_set(machine: Machine, value: object = ()) -> frozenset[object]:
    return frozenset(_members(machine, value))


def _size(machine: Machine, value: object = ()) -> tuple[int, ...]:
    return _sizes(machine, value, "size")


# -- bytes and objects ----------------------------------------------------------------------------------------


def _encode(machine: Machine, text: object, encoding: object = "latin-1") -> bytes:
    """`_codecs.encode`: how protocols below 3 spell bytes. A closed list: some codecs decompress or are slow."""
    codec = _TEXT_ENCODINGS.get(encoding) if isinstance(encoding, str) else None
    if not isinstance(text, str) or codec is None:
        raise MalformedError("odd construction of bytes, not done")
    machine.work.charge(len(text))
    return text.encode(codec, "replace")


def _bytes(machine: Machine, value: object = b"", encoding: object = "latin-1") -> bytes:
    """`bytes` and `bytearray`; a number as argument, which would allocate as much, is refused."""
    if isinstance(value, bytes):
        return value
    return _encode(machine, value, encoding) if value not in ("", ()) else b""


def _object(_machine: Machine, made: object, *_rest: object) -> Record:
    """`copyreg._reconstructor(cls, base, state)` and `copyreg.__newobj__(cls, *arguments)`."""
    if not isinstance(made, Name):
        raise MalformedError("an object of something that is no class")
    return Record(made.text)


def _new_object(_machine: Machine, made: object, *arguments: object) -> Record:
    if not isinstance(made, Name):
        raise MalformedError("an object of something that is no class")
    return Record(made.text, arguments)


def _attribute(machine: Machine, owner: object, name: object) -> object:
    """`getattr(Class, "MEMBER")`: how Python 3.11 pickles enums by name. It only makes a longer name."""
    if isinstance(owner, Name) and isinstance(name, str) and len(owner.text) + len(name) < LONGEST_NAME:
        machine.work.charge(LONGEST_NAME)
        module, _, attribute = owner.text.rpartition(".")
        return machine.name(module, f"{attribute}.{name}")
    machine.work.unsafe["builtins.getattr"] = None
    return Record("builtins.getattr", (owner, name))


def _type(machine: Machine, *arguments: object) -> Record:
    """`type(None)` is how the types of constants are pickled; with three arguments it makes a class."""
    if len(arguments) != 1:
        machine.work.unsafe["builtins.type"] = None
    return Record("builtins.type", arguments)


def _fold(machine: Machine, *arguments: object) -> Record:
    """`functools.reduce(operator.or_, types)` is how `int | str` is pickled; it calls its first argument."""
    if not arguments or arguments[0] not in (Name("operator.or_"), Name("_operator.or_")):
        machine.work.unsafe["functools.reduce"] = None
    return Record("functools.reduce", arguments)


_TENSORS: Mapping[str, Handler] = MappingProxyType(
    {
        "torch._utils._rebuild_tensor": _tensor,
        "torch._utils._rebuild_tensor_v2": _tensor,
        "torch._utils._rebuild_tensor_v3": _typed_tensor,
        "torch._utils._rebuild_qtensor": _quantized_tensor,
        "torch._utils._rebuild_meta_tensor_no_storage": _meta_tensor,
        "torch._utils._rebuild_parameter": _parameter,
        "torch._utils._rebuild_parameter_with_state": _parameter,
    }
)
HANDLERS: Mapping[str, Handler] = MappingProxyType(
    {
        **_TENSORS,
        _PARAMETER_WRAPPER: _subclass,
        "torch.storage._load_from_bytes": _nested_file,
        "torch.Size": _size,
        "collections.OrderedDict": _mapped("collections.OrderedDict"),
        "collections.Counter": _mapped("collections.Counter"),
        "collections.defaultdict": _default_dict,
        "builtins.dict": _mapped("builtins.dict"),
        "builtins.set": _set,
        "builtins.frozenset": _frozen_set,
        "builtins.bytes": _bytes,
        "builtins.bytearray": _bytes,
        "_codecs.encode": _encode,
        "copyreg._reconstructor": _object,
        "copyreg.__newobj__": _new_object,
        "builtins.getattr": _attribute,
        "builtins.type": _type,
        "functools.reduce": _fold,
        "_functools.reduce": _fold,
        "builtins.reduce": _fold,
    }
)
