"""One function over every text of a report: masking and plain ASCII are both such a function."""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import cache
from operator import is_
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

import numpy as np

from forensics.model.columns import Names

Value = TypeVar("Value")
TextFunction = Callable[[str], str]

OURS = frozenset(
    {
        "benign", "cause", "chain", "code", "depth", "explains", "group", "kind", "key", "mechanism", "missing",
        "reference", "references", "role", "roles", "severity", "symptom", "title", "trained", "verdict",
    }
)  # fmt: skip
"""Fields whose text is written by medforensics itself and carries nothing from the run."""
_NUMBERS = frozenset({int, float, bool, type(None)})


@cache
def _text_fields(kind: type[Any]) -> tuple[str, ...]:
    return tuple(
        field.name for field in fields(kind) if field.init and field.name not in OURS and _may_hold_text(field.type)
    )


def _may_hold_text(kind: object) -> bool:
    """Tell whether a field of this type is looked into: numbers and arrays of numbers are not."""
    if kind in _NUMBERS or get_origin(kind) is np.ndarray:
        return False
    return get_origin(kind) not in {Union, UnionType} or any(map(_may_hold_text, get_args(kind)))


def mapped(value: Value, function: TextFunction) -> Value:
    """Return `value` with `function` applied to every text in it, however deep; arrays and paths stay as they are.

    Dataclasses, tuples and mappings are rebuilt; fields named in `OURS` are left alone. Keys of mappings that are
    texts are mapped as well.
    """
    made: Any = _mapped(value, function)
    return made  # type: ignore[no-any-return]  # rebuilt with the type it had


def _mapped(value: Any, function: TextFunction) -> Any:  # noqa: ANN401  (any field of any dataclass)
    if isinstance(value, str):
        return function(value)
    if isinstance(value, Names):
        return value.mapped(getattr(function, "of_name", function))
    if isinstance(value, tuple):
        made = tuple([_mapped(item, function) for item in value])
        return value if all(map(is_, made, value)) else made
    if isinstance(value, Mapping):
        return {_mapped(key, function): _mapped(item, function) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        old = {name: getattr(value, name) for name in _text_fields(type(value))}
        new = {name: _mapped(item, function) for name, item in old.items()}
        changed = {name: item for name, item in new.items() if item is not old[name]}
        return replace(value, **changed) if changed else value
    return value
