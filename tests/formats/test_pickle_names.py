"""Names that run code are told, names that saved objects ask for are not; nothing is ever called."""

import array
import collections
import dataclasses
import datetime as dt
import decimal
import fractions
import functools
import inspect
import io
import ipaddress
import itertools
import logging
import operator
import pathlib
import pickle
import random
import re
import signal
import string
import types
import typing
import uuid
import zoneinfo
from pathlib import Path

import numpy as np
import pytest

from forensics.errors import ForensicsError
from forensics.formats.pickle_machine import Machine, Work
from forensics.formats.pickle_names import is_unsafe
from forensics.formats.pickle_opcodes import load
from forensics.formats.pickle_search import unsafe_names
from forensics.formats.torch_file import read_pickle
from forensics.limits import DEFAULT, Limits
from forensics.storage.file import File
from fuzz.hostile.assembled import (
    Member,
    call,
    data,
    mapping,
    name,
    number,
    pickled,
    short_text,
    stack_name,
    text,
    zipped,
)
from fuzz.hostile.old_cases import npy

# Unsafe: the kinds of the advisories and tests of picklescan 1.0 and fickling 0.1.12, and what lies beside them.
# Ordinary: what the fixtures ask for, and objects of torch, numpy, transformers, accelerate, Lightning, Megatron.
ROWS = [row.split("\t") for row in (Path(__file__).parents[1] / "data/pickle_names.tsv").read_text().splitlines()]
ATTACKS = [dotted for kind, dotted in ROWS if kind == "unsafe"]
ORDINARY = [dotted for kind, dotted in ROWS if kind == "ordinary"]


def parted(dotted: str) -> tuple[str, str]:
    """Split a name where a pickle would: at the first part with a capital letter, else before the last."""
    parts = dotted.split(".")
    at = next((i for i, part in enumerate(parts) if part.strip("_")[:1].isupper() and i), len(parts) - 1)
    return ".".join(parts[:at]), ".".join(parts[at:])


@pytest.mark.parametrize("dotted", ATTACKS)
def test_what_runs_code_is_told(dotted: str) -> None:
    made = pickled(call(name(*parted(dotted)), text("x")))
    with File.of_bytes(made, Path("x.pkl")) as file:
        assert dotted in read_pickle(file).dangerous


@pytest.mark.parametrize("dotted", ORDINARY)
def test_what_saved_objects_ask_for_is_not(dotted: str) -> None:
    made = pickled(name(*parted(dotted)))
    with File.of_bytes(made, Path("x.pkl")) as file:
        assert read_pickle(file).dangerous == ()


@pytest.mark.parametrize("module", ["collections", "transformers.utils", "torch.nn", "numpy"])
def test_no_way_leads_through_the_imports_of_a_module(module: str) -> None:
    """Protocol 4 splits names at dots: `collections` with `_sys.modules` is a way around a list of modules."""
    assert is_unsafe(module, "os.system")
    assert is_unsafe(module, "subprocess.Popen")


class Colour(typing.NamedTuple):
    red: int = 1


@dataclasses.dataclass
class Held:
    size: int = 1
    name: str | None = None


VALUES: list[object] = [
    dt.datetime.now(dt.timezone.utc),
    decimal.Decimal("1.5"),
    fractions.Fraction(1, 3),
    uuid.UUID(int=7),
    pathlib.PurePosixPath("/x"),
    collections.OrderedDict(a=1),
    collections.Counter("aab"),
    collections.deque([1]),
    collections.defaultdict(list, a=[1]),
    types.SimpleNamespace(a=1),
    functools.partial(max, 1),
    operator.itemgetter(1),
    re.compile("a+"),
    array.array("d", [1.0]),
    io.BytesIO(b"x"),
    itertools.count(3),
    logging.getLogger("x"),
    Colour(),
    Held(),
    typing.Literal["a"],
    int | str,
    list[int],
    type(None),
    ...,
    ValueError("x"),
    signal.SIGTERM,
    string.Template("$a"),
    zoneinfo.ZoneInfo("UTC"),
    ipaddress.ip_address("192.0.2.1"),
    inspect.signature(parted),
    random.Random(1),
    range(3),
    frozenset([1]),
    np.arange(3),
    np.float32(1),
    np.random.default_rng(1),
    np.random.RandomState(1),
    np.ma.array([1, 2], mask=[False, True]),
    np.array([1, "x"], dtype=object),
    np.datetime64("2020"),
    np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
]


@pytest.mark.parametrize("protocol", range(2, 6))
def test_ordinary_values_are_silent(protocol: int) -> None:
    for value in VALUES:
        made = pickle.dumps(value, protocol)
        with File.of_bytes(made, Path("x.pkl")) as file:
            assert read_pickle(file).dangerous == (), value


def test_objects_of_torch_are_silent(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU(), torch.nn.TransformerEncoderLayer(4, 2))
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    saved = {
        "model": model,
        "optimizer": optimizer,
        "scheduler": torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 3),
        "states": [
            model.state_dict(),
            optimizer.state_dict(),
            torch.get_rng_state(),
            np.random.RandomState(1).get_state(),
        ],
        "others": [torch.float16, torch.device("cpu"), torch.Size([1]), torch.ones(2, device="meta"), torch.tanh],
    }
    for label, value in saved.items():
        for zipped_file in (True, False):
            path = tmp_path / f"{label}{zipped_file}.pt"
            torch.save(value, path, _use_new_zipfile_serialization=zipped_file)
            with File(path) as file:
                assert unsafe_names(file, DEFAULT) == (), label


def found(content: bytes, ending: str = "pkl") -> tuple[str, ...]:
    with File.of_bytes(content, Path(f"x.{ending}")) as file:
        return unsafe_names(file, DEFAULT)


def test_calls_that_have_no_name_are_told() -> None:
    """What a call returned is called, a class is changed, a name is computed: each is a way to run code."""
    made = call(name("mypackage", "make"), text("x"))
    getter = call(name("builtins", "getattr"), made, text("system"))
    joined = call(name("builtins", "getattr"), name("mypackage", "os"), text("system"))
    many = call(name("builtins", "type"), text("X"), b")", mapping())
    folded = call(name("functools", "reduce"), name("mypackage", "apply"), b"]")
    union = call(name("functools", "reduce"), name("operator", "or_"), b"]")

    assert found(pickled(call(made, text("x")))) == ("a call of what another call returned",)
    assert found(pickled(getter)) == ("builtins.getattr",)
    assert "mypackage.os.system" in found(pickled(joined))
    assert found(pickled(many)) == ("builtins.type",)
    assert found(pickled(folded)) == ("functools.reduce",)
    assert found(pickled(union)) == ()
    changed = name("mypackage", "module") + mapping(run=number(1)) + b"b"
    assert found(pickled(changed)) == ("a change of mypackage.module",)
    assert found(pickled(b"]" + made + short_text("system") + b"\x93" + b"a", 4)) == ("a name that it computes",)


def test_names_are_found_whatever_the_protocol() -> None:
    for made in (stack_name("posix", "system"), name("posix", "system"), b"(iposix\nsystem\n"):
        assert found(pickled(made, 4)) == ("posix.system",)


def test_the_second_pickle_and_the_other_entries_of_an_archive_are_looked_at() -> None:
    evil = pickled(call(name("os", "system"), text("x")))
    fine = pickled(mapping(a=number(1)))
    members = [Member(name=b"model/weights.pkl", content=fine), Member(name=b"model/more.pkl", content=evil, method=8)]

    assert found(fine + evil) == ("os.system",)
    assert found(zipped(members), "zip") == ("os.system",)
    assert found(zipped([Member(name=b"data.pkl", content=fine), *members])) == ("os.system",)
    assert found(zipped([Member(name=b"a.npy", content=npy(evil, "'|O'", "(1,)"))]), "npz") == ("os.system",)
    assert found(npy(evil, "'|O'", "(1,)"), "npy") == ("os.system",)
    assert found(npy(bytes(4), "'<f4'", "(1,)"), "npy") == ()
    with pytest.raises(ForensicsError):
        found(zipped([Member(name=b"readme.txt", content=b"x")]), "zip")


def test_objects_stay_in_proportion_to_the_bytes_of_the_pickle() -> None:
    """A literal that is loaded over and over builds no more than 64 bytes a byte of the file."""
    import tracemalloc

    inner = b"\x80\x02(" + b"]" * 9_000 + b"e."
    load = name("torch.storage", "_load_from_bytes") + b"q\x000" + data(inner) + b"q\x010"
    made = pickled(load + b"(" + b"h\x00h\x01\x85R" * 20_000 + b"t", 3)
    tracemalloc.start()
    try:
        with File.of_bytes(made, Path("x.pkl")) as file:
            saved = read_pickle(file)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert any("work limit" in problem for problem in saved.problems)
    assert peak < (48 << 20) + 2 * DEFAULT.pickle_cost_fold * len(made)


def test_an_error_keeps_nothing_that_was_built() -> None:
    """The error that ended a pickle has no traceback: it would keep the machine alive."""
    made = pickled(b"]" + call(name("mypackage", "Thing"), number(1)) + b"a" + b"\x8e" + bytes([9] * 8), 4)
    with File.of_bytes(made, Path("x.pkl")) as file:
        loaded = load(Machine(file, Work(DEFAULT, {}, lambda *_: None)))

    assert loaded.error is not None
    assert loaded.error.__traceback__ is None


def test_the_floor_of_objects_is_above_small_pickles_only() -> None:
    tight = Limits(pickle_cost_bytes=64 << 20, pickle_cost_fold=1)
    with File.of_bytes(pickled(b"(" + b"]" * 2_000_000 + b"t"), Path("x.pkl")) as file:
        assert any("work limit" in problem for problem in read_pickle(file, tight).problems)
    with File.of_bytes(pickled(b"(" + b"]" * 200_000 + b"t"), Path("x.pkl")) as file:
        assert not read_pickle(file, tight).problems
