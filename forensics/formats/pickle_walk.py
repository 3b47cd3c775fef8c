"""Go through the values of a pickle, which may share, repeat and contain themselves.

Results are traversed by these functions only: a list that holds itself eight times over, sixty levels deep, has
more leaves than there are atoms, and recursion, `repr` or `copy.deepcopy` on it never end.
"""

from collections.abc import Iterator
from itertools import chain

from forensics.formats.pickle_values import Name, Record, StoredTensor

DEEPEST = 200
LONGEST_NAME_PART = 512
# A pickled `nn.Module` keeps its tensors behind these attributes; its state dict has no such parts.
_MODULE_PARTS = frozenset({"_parameters", "_buffers", "_modules"})


def walk(value: object) -> Iterator[tuple[tuple[object, ...], object]]:
    """Yield (path, value) for every leaf and every `Record`; each container is entered once.

    A path holds dict keys, positions in lists, tuples and sets, and for a `Record` the names of its state, or
    "arguments", "state", "items". What is nested deeper than 200 is left out.
    """
    children = _children(value)
    if children is None or isinstance(value, Record):
        yield (), value
    if children is None:
        return
    entered = {id(value)}
    levels = [children]
    path: list[object] = []
    while levels:
        step = next(levels[-1], None)
        if step is None:
            levels.pop()
            if path:
                path.pop()
            continue
        part, child = step
        below = _children(child)
        if below is None or isinstance(child, Record):
            yield (*path, part), child
        if below is not None and id(child) not in entered and len(levels) < DEEPEST:
            entered.add(id(child))
            levels.append(below)
            path.append(part)


def _children(value: object) -> Iterator[tuple[object, object]] | None:
    if isinstance(value, dict):
        return iter(value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return iter(enumerate(value))
    if isinstance(value, Record):
        return _parts(value)
    return None


def _parts(record: Record) -> Iterator[tuple[object, object]]:
    parts: list[tuple[object, object]] = []
    if record.arguments:
        parts.append(("arguments", record.arguments))
    if record.state is not None and not isinstance(record.state, dict):
        parts.append(("state", record.state))
    if record.items:
        parts.append(("items", record.items))
    attributes = record.state.items() if isinstance(record.state, dict) else ()
    return chain(parts, attributes, record.pairs or ())


def named_tensors(value: object) -> Iterator[tuple[str, StoredTensor]]:
    """Yield every tensor with its dotted path, as a state dict would name it.

    A tensor that is reached by two names (tied weights) is yielded under both.
    """
    for path, leaf in walk(value):
        if isinstance(leaf, StoredTensor):
            yield ".".join(_text(part) for part in path if part not in _MODULE_PARTS), leaf


def _text(part: object) -> str:
    if isinstance(part, str):
        return part[:LONGEST_NAME_PART]
    if isinstance(part, int | float | bool) or part is None:
        return str(part)
    if isinstance(part, Name):
        return part.text
    if isinstance(part, tuple):
        return ",".join(_text(each) for each in part)
    return part.class_name if isinstance(part, Record) else type(part).__name__
