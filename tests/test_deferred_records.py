"""A deferred dataclass is what `dataclasses` makes of the same lines, but that its `__init__` is compiled later."""

import copy
import dataclasses
import importlib
import inspect
import pickle
import pkgutil
from collections.abc import Callable
from dataclasses import field
from functools import partial
from typing import Any

import pytest

import forensics
from forensics.deferred import records

Decorator = Callable[..., Any]
later: Decorator = records.dataclass
"""mypy takes it for the decorator of the standard library, and knows its classes; here they are made by name."""


def declared(dataclass: Decorator) -> dict[str, Any]:
    """Declare the same classes with one decorator or the other."""

    @dataclass(frozen=True, slots=True)
    class Point:
        """Two numbers and what is known of them."""

        x: float
        y: float = 0.5
        tags: list[str] = field(default_factory=list)
        secret: str = field(default="s", repr=False)
        weight: int = field(default=3, compare=False)
        cache: dict[str, int] = field(default_factory=dict, init=False, repr=False, compare=False)
        sum: float = field(init=False)
        fixed: int = field(default=7, init=False)

        def __post_init__(self) -> None:
            object.__setattr__(self, "sum", self.x + self.y)

    @dataclass(frozen=True, slots=True)
    class One:
        only: object

    @dataclass(frozen=True, slots=True)
    class Nothing:
        pass

    @dataclass(slots=True)
    class Changing:
        count: int
        names: list[str] = field(default_factory=list)

    @dataclass(frozen=True, slots=True, eq=False)
    class Itself:
        name: str

    @dataclass(slots=True, eq=False, repr=False)
    class Worded:
        name: str

        def __repr__(self) -> str:
            return "its own words"

    classes = (Point, One, Nothing, Changing, Itself, Worded)
    return {cls.__name__: cls for cls in classes}


OURS, THEIRS = declared(later), declared(dataclasses.dataclass)
GIVEN: dict[str, list[tuple[tuple[Any, ...], dict[str, Any]]]] = {
    "Point": [((1.0,), {}), ((1.0, 2.0), {}), ((1.0,), {"tags": ["a"]}), ((1.0, 0.5, [], "t"), {"weight": 4})],
    "One": [((1,), {}), (("one",), {}), (([1],), {})],
    "Nothing": [((), {})],
    "Changing": [((1,), {}), ((1, ["a"]), {}), ((2,), {})],
    "Itself": [(("a",), {}), (("b",), {})],
    "Worded": [(("a",), {})],
}  # fmt: skip
WRONG: dict[str, list[tuple[tuple[Any, ...], dict[str, Any]]]] = {
    "Point": [((), {}), ((1.0,), {"sum": 2.0}), ((1.0,), {"x": 2.0}), ((1.0, 2.0, [], "s", 3, {}), {})],
    "Nothing": [((1,), {})],
    "Changing": [((), {}), ((1,), {"other": 2})],
}
for made in OURS.values():
    globals()[made.__name__] = made  # where pickle looks for it
    made.__qualname__ = made.__name__


def said(call: Callable[[], object]) -> object:
    """Return what a call gives, or the kind of error and its words."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001  (whatever the standard library raises)
        return type(error).__name__, str(error).replace("declared.<locals>.", "")


@pytest.mark.parametrize("name", list(OURS))
def test_the_class_is_that_of_the_standard_library(name: str) -> None:
    ours, theirs = OURS[name], THEIRS[name]

    assert str(inspect.signature(ours)) == str(inspect.signature(theirs))
    assert [(f.name, f.type, f.init, f.repr, f.compare) for f in dataclasses.fields(ours)] == [
        (f.name, f.type, f.init, f.repr, f.compare) for f in dataclasses.fields(theirs)
    ]
    assert ours.__match_args__ == theirs.__match_args__
    assert ours.__slots__ == theirs.__slots__
    assert (ours.__hash__ is None) == (theirs.__hash__ is None)
    assert (ours.__eq__ is object.__eq__) == (theirs.__eq__ is object.__eq__)
    assert ours.__init__.__annotations__ == theirs.__init__.__annotations__


@pytest.mark.parametrize(("name", "given"), [(name, one) for name, all_of in GIVEN.items() for one in all_of])
def test_an_instance_is_that_of_the_standard_library(name: str, given: tuple[tuple[Any, ...], dict[str, Any]]) -> None:
    (ours, theirs), (values, named) = (OURS[name], THEIRS[name]), given
    one, other = ours(*values, **named), theirs(*values, **named)

    assert repr(one) == repr(other).replace("declared.<locals>.", "")
    assert str(dataclasses.asdict(one)) == str(dataclasses.asdict(other))
    assert said(lambda: hash(one) == hash(ours(*values, **named))) == said(
        lambda: hash(other) == hash(theirs(*values, **named))
    )
    for values_2, named_2 in GIVEN[name]:
        assert (one == ours(*values_2, **named_2)) == (other == theirs(*values_2, **named_2))
    assert one != other
    for again in (copy.copy(one), copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert repr(again) == repr(one)
    for first in [known.name for known in dataclasses.fields(ours)[:1]]:
        assert said(partial(delattr, one, first)) == said(partial(delattr, other, first))
        assert said(partial(setattr, one, first, 5)) == said(partial(setattr, other, first, 5))
        assert getattr(dataclasses.replace(ours(*values, **named), **{first: 9.0}), first) == 9.0


@pytest.mark.parametrize(("name", "given"), [(name, one) for name, all_of in WRONG.items() for one in all_of])
def test_wrong_arguments_are_refused_as_there(name: str, given: tuple[tuple[Any, ...], dict[str, Any]]) -> None:
    values, named = given
    refused = said(lambda: OURS[name](*values, **named))

    assert isinstance(refused, tuple)
    assert refused == said(lambda: THEIRS[name](*values, **named))


def test_a_factory_is_called_for_each_instance() -> None:
    one, other = OURS["Changing"](1), OURS["Changing"](1)
    one.names.append("a")
    one.count = 5

    assert (one.count, one.names, other.names) == (5, ["a"], [])


def test_init_is_compiled_when_it_is_looked_at() -> None:
    made = declared(later)["One"]

    assert not inspect.isfunction(vars(made)["__init__"])
    assert made("x").only == "x"
    assert inspect.isfunction(vars(made)["__init__"])


def test_every_class_of_the_package_has_the_signature_of_its_fields() -> None:
    """The standard library makes a class of the same fields, and both are compared."""
    seen = 0
    for module in pkgutil.walk_packages(forensics.__path__, "forensics."):
        if module.name.endswith(("__main__", ".loops", ".kernels", ".remote_http")):
            continue
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, type) and dataclasses.is_dataclass(value) and value.__module__ == module.name:
                fields = [(f.name, f.type, _again(f)) for f in dataclasses.fields(value)]
                twin = dataclasses.make_dataclass(value.__name__, fields, frozen=True, slots=True)
                assert str(inspect.signature(value)) == str(inspect.signature(twin)), value
                seen += 1
    assert seen > 100


def _again(old: "dataclasses.Field[Any]") -> Any:
    options = {name: getattr(old, name) for name in ("init", "repr", "compare")}
    if old.default is not dataclasses.MISSING:
        options["default"] = old.default
    if old.default_factory is not dataclasses.MISSING:
        options["default_factory"] = old.default_factory
    return field(**options)
