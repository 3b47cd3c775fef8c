"""The machine against CPython's own unpickler on harmless data, and its budgets on the rest."""

import math
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensics.errors import LimitError, MalformedError
from forensics.formats.pickle_names import is_unsafe
from forensics.formats.pickle_numpy import numpy_dtype
from forensics.formats.pickle_values import Name, Record
from forensics.formats.torch_file import TorchFile, named_tensors, read_pickle, walk
from forensics.limits import DEFAULT, Limits
from forensics.storage.file import File

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.binary(),
)
KEYS = st.one_of(st.text(st.characters(exclude_categories=["Cs"])), st.integers(-100, 100), st.binary())
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner),
        st.lists(inner).map(tuple),
        st.dictionaries(KEYS, inner),
        st.sets(KEYS),
        st.frozensets(KEYS),
    ),
    max_leaves=20,
)


def read(content: bytes, limits: Limits = DEFAULT) -> TorchFile:
    return read_pickle(File.of_bytes(content, Path("saved.pkl")), limits)


@settings(max_examples=200, deadline=None)
@given(VALUES, st.integers(0, 5))
def test_plain_data_is_what_was_pickled(value: object, protocol: int) -> None:
    """Numbers, text, bytes and containers of them come back equal, in every protocol."""
    saved = read(pickle.dumps(value, protocol=protocol))

    assert (saved.value, type(saved.value), saved.partial) == (value, type(value), False)


def test_special_floats() -> None:
    """NaN, infinities and negative zero survive, in the text protocol too."""
    values = [math.nan, math.inf, -math.inf, -0.0]

    for protocol in (0, 2, 5):
        loaded = read(pickle.dumps(values, protocol=protocol)).value
        assert repr(loaded) == repr(values)


def test_shared_and_cyclic_data_keep_their_shape() -> None:
    """One list referred to twice is one list, and a dict may hold itself."""
    shared = [1]
    cyclic: dict[str, object] = {"a": shared, "b": shared}
    cyclic["self"] = cyclic

    loaded = read(pickle.dumps(cyclic)).value

    assert isinstance(loaded, dict)
    assert loaded["a"] is loaded["b"]
    assert loaded["self"] is loaded
    assert sorted(path for path, _ in walk(loaded)) == [("a", 0)]


class Setting:
    """An object with a state and no constructor arguments."""

    def __init__(self) -> None:
        self.rate = 0.5


class Slotted:
    __slots__ = ("rate",)


@pytest.mark.parametrize("protocol", range(6))
def test_objects_become_records(protocol: int) -> None:
    """An object of any class is its class name and its state, whatever opcodes its protocol uses."""
    loaded = read(pickle.dumps(Setting(), protocol=protocol)).value

    assert isinstance(loaded, Record)
    assert (loaded.class_name, loaded.state) == (f"{__name__}.Setting", {"rate": 0.5})


@pytest.mark.parametrize("protocol", range(2, 6))
def test_slots_become_state(protocol: int) -> None:
    """The pair (None, slots) that slotted classes are pickled with becomes one dict."""
    made = Slotted()
    made.rate = 0.5  # type: ignore[attr-defined]  # mypy wants a declaration that the test does not need

    loaded = read(pickle.dumps(made, protocol=protocol)).value

    assert isinstance(loaded, Record)
    assert loaded.state == {"rate": 0.5}


def test_classes_and_functions_become_names() -> None:
    """A class or function is its name, in the present spelling; the file's spelling is reported."""
    saved = read(pickle.dumps([print, Setting], protocol=2))

    assert saved.value == [Name("builtins.print"), Name(f"{__name__}.Setting")]
    assert saved.names == {"__builtin__.print", f"{__name__}.Setting"}


def test_broken_pickle_keeps_what_was_built() -> None:
    """When the stream breaks off, open containers are closed and what they hold is kept."""
    content = pickle.dumps({"first": [1, 2], "second": {"deep": [3]}, "third": "x" * 50}, protocol=2)

    saved = read(content[:-20])

    assert saved.partial
    assert isinstance(saved.value, dict)
    assert saved.value["first"] == [1, 2]
    assert saved.value["second"] == {"deep": [3]}
    assert any("ends in the middle of an opcode" in problem for problem in saved.problems)


def test_opcodes_are_counted() -> None:
    """One opcode over the limit stops the machine; at the limit the pickle is read."""
    content = pickle.dumps([None] * 1_000_000, protocol=2)
    loose = read(content, Limits(pickle_opcodes=1_100_000))
    tight = read(content, Limits(pickle_opcodes=900_000))

    assert (loose.partial, tight.partial) == (False, True)
    assert any("limit of 900000 opcodes" in problem for problem in tight.problems)


def test_bytes_are_counted() -> None:
    """A pickle longer than the limit is not read on, and the text that is too long is never made."""
    content = pickle.dumps("x" * 1_000_000, protocol=2)

    with pytest.raises(LimitError, match="longer than the limit of 500000 bytes"):
        read(content, Limits(pickle_bytes=500_000))


def test_nothing_at_all_is_an_error() -> None:
    """A pickle of which nothing could be built raises instead of giving an empty result."""
    with pytest.raises(MalformedError):
        read(b"\x80\x02")


def test_names_of_attacks() -> None:
    """Names that hand over control are told from those that every checkpoint has."""
    attacks = ["os.system", "builtins.eval", "torch.hub.load", "pathlib.os.system", "a.b.__subclasses__"]
    harmless = [
        "torch.FloatStorage",
        "collections.OrderedDict",
        "__main__.Args",
        "builtins.set",
        "torch.optim.adamw.x",
    ]

    assert [is_unsafe(*name.rsplit(".", 1)) for name in attacks] == [True] * 5
    assert [is_unsafe(*name.rsplit(".", 1)) for name in harmless] == [False] * 5


def test_names_are_bounded_and_paths_finite() -> None:
    """A value nested in a hundred thousand lists is walked without recursion."""
    content = b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."

    saved = read(content)

    assert list(named_tensors(saved.value)) == []


def test_a_dtype_whose_byte_order_is_no_text_is_none() -> None:
    """Found by the fuzzer: a list has no hash."""
    assert numpy_dtype(Record("numpy.dtype", ("f4", False, True), (3, [], None))) is None
    assert numpy_dtype(Record("numpy.dtype", ("f4", False, True), (3, "<", None))) == np.dtype("<f4")
