"""Dataclasses with slots whose `__init__` is compiled when it is first looked at, and that compile nothing else.

The package declares 200 dataclasses, of which a run meets a third. `dataclasses` compiles six methods of each while its
module is imported, 0.4 ms a class in CPython 3.11, which together costs more than numpy does. Fields, signature,
errors, copies and pickles are those of `dataclasses`: a test compares the two.
"""

import dataclasses
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any

Method = Callable[..., Any]

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass  # noqa: PLC0414  (handed on)
else:

    def dataclass(*, slots: bool, frozen: bool = False, eq: bool = True, repr: bool = True) -> Method:  # noqa: A002
        """Return what decorates a class as `dataclasses.dataclass` does with these options."""

        def decorated(cls: type) -> type:
            cls.__doc__ = cls.__doc__ or cls.__name__  # `dataclasses` would print the signature, with `inspect`
            own = vars(cls).keys()
            made = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots)(cls)
            fields = made.__dataclass_fields__.values()
            methods = {"__init__": _Init(made, frozen=frozen)}
            if repr:
                methods["__repr__"] = _shown([field.name for field in fields if field.repr])
            if eq:
                methods |= _compared([field.name for field in fields if field.compare], hashed=frozen)
            if frozen:
                methods |= _FROZEN
            for name in methods.keys() - own:
                setattr(made, name, methods[name])
            return made

        return decorated


class _Init:
    """Stands for the `__init__` of a class and puts the compiled function in its own place."""

    def __init__(self, cls: Any, *, frozen: bool) -> None:  # noqa: ANN401  (a class; its `__init__` is set)
        self.cls, self.frozen = cls, frozen

    def __get__(self, instance: object, owner: type) -> Any:  # noqa: ANN401  (the function or the bound method)
        compiled = _compiled(self.cls, frozen=self.frozen)
        self.cls.__init__ = compiled
        return compiled.__get__(instance, owner)


def _compiled(cls: Any, *, frozen: bool) -> Any:  # noqa: ANN401  (a function; `__get__` is asked of it)
    """Compile a function that takes the fields and sets them, then calls `__post_init__` where there is one."""
    known: dict[str, Any] = {"_set": object.__setattr__, "_MADE": _MADE}
    takes, does, types = ["self"], [], {}
    for field in cls.__dataclass_fields__.values():
        name, default, value = field.name, "", field.name
        if field.default_factory is not dataclasses.MISSING:
            known[f"_make_{name}"], default = field.default_factory, "=_MADE"
            value = f"_make_{name}() if {name} is _MADE else {name}" if field.init else f"_make_{name}()"
        elif field.default is not dataclasses.MISSING:
            known[f"_default_{name}"], default = field.default, f"=_default_{name}"
            value = name if field.init else f"_default_{name}"
        elif not field.init:
            continue  # `__post_init__` sets it
        if field.init:
            takes.append(f"{name}{default}")
            types[name] = field.type
        does.append(f"_set(self, {name!r}, {value})" if frozen else f"self.{name} = {value}")
    if hasattr(cls, "__post_init__"):
        does.append("self.__post_init__()")
    exec(f"def __init__({', '.join(takes)}):\n " + "\n ".join(does or ["pass"]), known)  # noqa: S102  (names of fields)
    made = known["__init__"]
    made.__qualname__, made.__module__ = f"{cls.__qualname__}.__init__", cls.__module__
    made.__annotations__ = {**types, "return": None}
    return made


def _shown(names: Sequence[str]) -> Method:
    def shown(self: object) -> str:
        said = ", ".join([f"{name}={getattr(self, name)!r}" for name in names])
        return f"{type(self).__qualname__}({said})"

    return shown


def _compared(names: Sequence[str], *, hashed: bool) -> dict[str, Method | None]:
    """Return `__eq__` and `__hash__`; what may change has no hash."""
    values = _values_of(names)

    def equal(self: object, other: object) -> bool:
        return bool(values(self) == values(other)) if other.__class__ is self.__class__ else NotImplemented

    return {"__eq__": equal, "__hash__": (lambda self: hash(values(self))) if hashed else None}


def _values_of(names: Sequence[str]) -> Callable[[object], tuple[object, ...]]:
    """Return what gives the values of some fields as a tuple; `attrgetter` does so for two or more."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda self: tuple([getattr(self, name) for name in names])


def _keep(_: object, name: str, __: object) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _keep_from_deletion(_: object, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[object]:  # noqa: ANN401  (an instance of any of the classes)
    return [getattr(self, name) for name in self.__dataclass_fields__]


def _restore(self: Any, state: list[object]) -> None:  # noqa: ANN401  (the same)
    for name, value in zip(self.__dataclass_fields__, state, strict=True):
        object.__setattr__(self, name, value)


class _Made:
    """What a parameter is whose field has a factory, and that was not given."""

    def __repr__(self) -> str:
        return "<factory>"


_MADE = _Made()
_FROZEN = {
    "__setattr__": _keep,
    "__delattr__": _keep_from_deletion,
    "__getstate__": _state,
    "__setstate__": _restore,
}
