"""YAML to plain values, from parser events: no tag is ever constructed, every bound is checked as it is reached.

PyYAML's safe loader still recurses, copies merge keys (an exponential bomb) and refuses a whole file for one
`!!python/object` tag, which Lightning and OmegaConf files hold. Here tags on containers are ignored, anchors refer
to the same object, and `<<` is merged within the budget of events.
"""

from dataclasses import field

import yaml
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    Event,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceStartEvent,
)

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.errors import LimitError, MalformedError
from forensics.formats.lenient_json import refuse_placeholder
from forensics.formats.plain_scalar import plain
from forensics.limits import DEFAULT, Limits

MAX_EVENTS = 300_000
MAX_ALIASES = 100
MAX_DEPTH = 64
NAMED = 3

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CODE = expression(r"tag:yaml\.org,2002:python/(?:object/apply|object/new|name|module):(\S{1,200})")


@dataclass(frozen=True, slots=True)
class Document:
    """The first document of a YAML stream. `broken_line` is the line (from 1) where it stops being YAML.

    `code` names the Python objects that a loader of tags would call or import, `duplicates` the keys that a mapping
    gives more than once (the last value counts), at most `NAMED` of either.
    """

    value: object
    broken_line: int | None = None
    code: tuple[str, ...] = ()
    duplicates: tuple[str, ...] = ()


@dataclass(slots=True)
class _Open:
    """A container under construction; `key` waits for its value, `given` are the keys that it had itself."""

    made: dict[str, object] | list[object]
    key: str | None = None
    given: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Builder:
    root: object = None
    stack: list[_Open] = field(default_factory=list)
    anchors: dict[str, object] = field(default_factory=dict)
    aliases: int = 0
    merged: int = 0
    code: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)


def parse(data: bytes, limits: Limits = DEFAULT) -> Document:
    """Parse the first document, keeping what stands before the first syntax error.

    Raises `LimitError` past the bounds, `PlaceholderError` for something else in its place, and `MalformedError`
    when nothing at all can be kept.
    """
    if len(data) > limits.yaml_bytes:
        raise LimitError(f"{len(data):,} bytes of YAML, more than {limits.yaml_bytes:,}")
    refuse_placeholder(data)
    builder = _Builder()
    broken: int | None = None
    try:
        for count, event in enumerate(yaml.parse(data, Loader=_LOADER)):
            if count >= MAX_EVENTS:
                raise LimitError(f"more than {MAX_EVENTS:,} YAML events")
            if isinstance(event, DocumentEndEvent):
                break
            _take(builder, event)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        broken = 1 if mark is None else int(mark.line) + 1
        if not isinstance(builder.root, (dict, list)) or not builder.root:
            raise MalformedError(f"is no YAML: breaks in line {broken}") from None
    return Document(builder.root, broken, tuple(builder.code), tuple(builder.duplicates))


def _take(builder: _Builder, event: Event) -> None:
    if isinstance(event, AliasEvent):
        builder.aliases += 1
        if builder.aliases > MAX_ALIASES:
            raise LimitError(f"more than {MAX_ALIASES} YAML aliases")
        value = builder.anchors.get(str(event.anchor))
        # An alias to a container that is still open would make a cycle.
        _place(builder, None if any(value is opened.made for opened in builder.stack) else value)
    elif isinstance(event, ScalarEvent):
        bare = bool(event.implicit[0])
        value = plain(event.value) if bare and event.style in (None, "") else event.value
        _anchor(builder, event, value)
        _place(builder, value, event.value)
    elif isinstance(event, (MappingStartEvent, SequenceStartEvent)):
        if len(builder.stack) >= MAX_DEPTH:
            raise LimitError(f"YAML nested more than {MAX_DEPTH} deep")
        made: dict[str, object] | list[object] = {} if isinstance(event, MappingStartEvent) else []
        _anchor(builder, event, made)
        _place(builder, made)
        builder.stack.append(_Open(made))
    elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
        builder.stack.pop()


def _anchor(builder: _Builder, event: NodeEvent, value: object) -> None:
    """Note what a node says of itself: its anchor, and the code in its tag."""
    code = _CODE.fullmatch(getattr(event, "tag", None) or "")
    if code is not None and len(builder.code) < NAMED:
        builder.code.append(code[1])
    if event.anchor is not None:
        builder.anchors[str(event.anchor)] = value


def _place(builder: _Builder, value: object, spelled: str | None = None) -> None:
    """Put a value where the document stands: the root, the next list element, a key, or the value of a key."""
    if not builder.stack:
        builder.root = value
        return
    top = builder.stack[-1]
    if isinstance(top.made, list):
        top.made.append(value)
    elif top.key is None:
        # A mapping or a list as a key has no name in a configuration; its type stands in for it.
        top.key = spelled if spelled is not None else f"<{type(value).__name__}>"
    else:
        key, top.key = top.key, None
        if key == "<<" and isinstance(value, (dict, list)):
            _merge(builder, top.made, value)
        else:
            if key in top.given and len(builder.duplicates) < NAMED:
                builder.duplicates.append(key)
            top.given.add(key)
            top.made[key] = value


def _merge(builder: _Builder, into: dict[str, object], value: dict[str, object] | list[object]) -> None:
    for given in [value] if isinstance(value, dict) else value:
        if not isinstance(given, dict):
            continue
        builder.merged += len(given)
        if builder.merged > MAX_EVENTS:
            raise LimitError(f"more than {MAX_EVENTS:,} merged YAML keys")
        for key, held in given.items():
            into.setdefault(key, held)
