"""The machine that a pickle programs: a stack, a memo and budgets, and no way to call anything.

A GLOBAL pushes a `Name`. REDUCE, NEWOBJ, INST and OBJ look the name up in a closed table of our own handlers,
which take data and return data; every other name becomes a `Record`. BUILD stores the state and looks at nothing.
The opcodes are those of CPython's `pickletools`, protocols 0 to 5 (`forensics.formats.pickle_opcodes`).

Hashing and equality are attack surface too: the hash of a tuple nested a million deep overflows the C stack, and
integers can be made to collide. So only flat, small keys are hashed by value (`Machine.key`).
"""

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import TypeAlias

from forensics.deferred.records import dataclass
from forensics.errors import LimitError, MalformedError, TruncatedError
from forensics.formats.pickle_names import canonical, is_unsafe
from forensics.formats.pickle_values import Mapped, Name, Record, StoredTensor
from forensics.limits import Limits
from forensics.storage.file import File

FIRST_READ_BYTES = 1 << 16
LONGEST_NAME = 400
LONGEST_LIST_OF_PROBLEMS = 200
TUPLE_KEYS = 5_000
TUPLE_KEY_LENGTH = 8
LARGEST_KEY = 1 << 60  # below CPython's hash modulus 2**61 - 1, so that distinct integers hash differently
LITERAL_BYTES = 256
SMALL_COST_BYTES = 32 << 20
"""What any pickle may build, however short."""

_PLAIN_KEYS = frozenset({str, bytes, bool, float, Name, Record, type(None)})
_PLAIN_KEY_PARTS = frozenset({str, bytes, bool, Name, type(None)})


class TensorError(MalformedError):
    """A tensor is built from what no tensor can be built from; whoever loads the file fails there."""


@dataclass(slots=True)
class Work:
    """What reading one file has cost so far, and what was noticed; shared with files nested in its pickles.

    `handlers` holds what is done for the names that are interpreted: called with the machine and the pickle's
    arguments, it returns data. `names` holds the names as they were asked for, `unsafe` those of them, and of the
    calls, that would hand over control elsewhere. `cost` estimates bytes of Python objects, and `read` counts the
    bytes of the outermost pickles: what is built stays in proportion to them. `open_nested` reads a torch file that
    lies in a pickle's bytes; the flag tells whether its offsets are offsets of the file on disk.
    """

    limits: Limits
    handlers: "Mapping[str, Handler]"
    open_nested: "Callable[[File, Work, bool], object]"
    opcodes: int = 0
    cost: int = 0
    read: int = 0
    depth: int = 0
    tuple_keys: int = 0
    names: dict[str, None] = field(default_factory=dict)
    unsafe: dict[str, None] = field(default_factory=dict)
    problems: dict[str, None] = field(default_factory=dict)
    tensors: list[StoredTensor] = field(default_factory=list)
    lost: bool = False
    """Whether a tensor or a storage is not what it says: a loader fails at it, and what is left is not all."""

    def lose(self, problem: str) -> None:
        self.lost = True
        self.note(problem)

    def note(self, problem: str) -> None:
        if len(self.problems) < LONGEST_LIST_OF_PROBLEMS:
            self.problems[problem] = None

    def charge(self, cost: int) -> None:
        """Pay for work that the opcodes themselves do not show. Raises `LimitError`."""
        self.cost += cost
        if self.cost <= SMALL_COST_BYTES:
            return
        limit = min(self.limits.pickle_cost_bytes, SMALL_COST_BYTES + self.limits.pickle_cost_fold * self.read)
        if self.cost > limit:
            raise LimitError(f"the pickle needs more than the work limit of {limit >> 20} MiB of objects")

    def count(self, opcodes: int, cost: int) -> None:
        self.opcodes += opcodes
        if self.opcodes > self.limits.pickle_opcodes:
            raise LimitError(f"the pickle has more than the work limit of {self.limits.pickle_opcodes} opcodes")
        self.charge(cost)


def no_storage(identifier: object) -> object:
    """Keep a persistent id that stands for nothing we know."""
    return Record("persistent id", (identifier,))


class Machine:
    """The state between two opcodes: bytes ahead, stack, marks and memo.

    `addressable` tells whether offsets in `file` are offsets of the file on disk (they are not when its bytes
    were inflated first). `persistent` turns a persistent id into a value.
    """

    __slots__ = (
        "addressable",
        "available",
        "data",
        "file",
        "interned",
        "literals",
        "marks",
        "memo",
        "persistent",
        "position",
        "stack",
        "start",
        "work",
    )

    def __init__(
        self,
        file: File,
        work: Work,
        persistent: Callable[[object], object] = no_storage,
        start: int = 0,
        addressable: bool = True,
    ) -> None:
        self.file = file
        self.work = work
        self.persistent = persistent
        self.start = start
        self.addressable = addressable
        self.data = b""
        self.available = 0
        self.position = 0
        self.stack: list[object] = []
        self.marks: list[list[object]] = []
        self.memo: dict[int, object] = {}
        self.interned: dict[tuple[str, str], Name] = {}
        self.literals: dict[int, tuple[bytes, int]] = {}

    # -- bytes ------------------------------------------------------------------------------------------------

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes. Raises `TruncatedError`, or `LimitError` before it reads too much."""
        end = self.position + size
        if end > self.available:
            self.grow(end)
        piece = self.data[self.position : end]
        self.position = end
        return piece

    def byte(self) -> int:
        at = self.position
        if at >= self.available:
            self.grow(at + 1)
        self.position = at + 1
        return self.data[at]

    def take_literal(self, size: int) -> bytes:
        """Like `take`, for a BYTES opcode: where a long literal lies is remembered, for files inside pickles."""
        where = self.file.base + self.start + self.position
        literal = self.take(size)
        self.work.charge(size)
        if size >= LITERAL_BYTES:
            self.literals[id(literal)] = (literal, where)
        return literal

    def take_text(self, size: int) -> str:
        piece = self.take(size)
        if size > FIRST_READ_BYTES:
            self.work.charge(size)
        return piece.decode("utf-8", "replace")

    def line(self) -> bytes:
        """Return the bytes up to the next line break, which is consumed."""
        end = self.data.find(b"\n", self.position)
        while end < 0:
            seen = self.available
            self.grow(seen + 1)
            end = self.data.find(b"\n", seen)
        found = self.data[self.position : end]
        self.position = end + 1
        self.work.charge(4 * len(found))
        return found

    def grow(self, end: int) -> None:
        """Make `end` bytes of the stream available."""
        present = self.file.size - self.start
        if end > present:
            raise TruncatedError(
                f"the pickle ends in the middle of an opcode at byte {self.start + self.position} of {self.file.size}"
            )
        limit = self.work.limits.pickle_bytes
        if end > limit:
            raise LimitError(f"the pickle is longer than the limit of {limit} bytes")
        size = min(max(end, 2 * self.available, FIRST_READ_BYTES), present, limit)
        self.data += self.file.read(self.start + self.available, size - self.available)
        if not self.work.depth:
            self.work.read += size - self.available
        self.available = size

    # -- objects ----------------------------------------------------------------------------------------------

    def pop_mark(self) -> list[object]:
        above = self.stack
        self.stack = self.marks.pop()
        return above

    def name(self, module: object, text: object) -> Name:
        if not isinstance(module, str) or not isinstance(text, str):
            self.work.unsafe["a name that it computes"] = None
            raise MalformedError("the pickle asks for a global whose name is no text")
        known = self.interned.get((module, text))
        if known is not None:
            return known
        if len(module) + len(text) > LONGEST_NAME:
            raise MalformedError(f"the pickle asks for a global whose name has {len(module) + len(text)} letters")
        present = canonical(module)
        made = self.interned[module, text] = Name(f"{present}.{text}")
        self.work.names[f"{module}.{text}"] = None
        if is_unsafe(present, text):
            self.work.unsafe[f"{module}.{text}"] = None
        return made

    def key(self, value: object) -> object:
        """Return what may stand as a dict key or set member: the value, or a `Record` that holds it."""
        kind = type(value)
        if kind in _PLAIN_KEYS or (isinstance(value, int) and -LARGEST_KEY < value < LARGEST_KEY):
            return value
        if (
            kind is tuple
            and isinstance(value, tuple)
            and len(value) <= TUPLE_KEY_LENGTH
            and self.work.tuple_keys < TUPLE_KEYS
            and all(
                type(part) in _PLAIN_KEY_PARTS or (type(part) is int and -LARGEST_KEY < part < LARGEST_KEY)
                for part in value
            )
        ):
            self.work.tuple_keys += 1
            return value
        self.work.note("suspicious key (deep, huge or unhashable), kept by identity")
        return Record("suspicious key", (value,))

    def reduce(self, function: object, arguments: object) -> object:
        """Apply one of our handlers, or keep the name with its arguments. Only budgets raise out of a handler."""
        if not isinstance(arguments, tuple):
            raise MalformedError("the pickle calls something without an argument tuple")
        if not isinstance(function, Name):
            self.work.unsafe["a call of what another call returned"] = None
            return Record("call of something that is no name", (function, *arguments))
        handler = self.work.handlers.get(function.text)
        if handler is None:
            return Record(function.text, arguments)
        try:
            return handler(self, *arguments)
        except LimitError:
            raise
        except TensorError as error:
            self.work.lose(str(error))
        except MalformedError as error:
            self.work.note(str(error))
        except (TypeError, ValueError, AttributeError, OverflowError):
            # A handler was given other arguments than the real function takes.
            self.work.note(f"{function.text} is called with arguments that it does not take")
        return Record(f"refused {function.text}", arguments)

    def build(self, target: object, state: object) -> None:
        if isinstance(target, Record):
            merged = self._merge_slots(state)
            target.state = merged if target.state is None else [target.state, merged]
        elif isinstance(target, Mapped):
            target.attributes = state
        elif isinstance(target, Name):
            self.work.unsafe[f"a change of {target.text}"] = None
            self.work.note(f"BUILD on {target.text}: it would change a class or function; ignored")
        elif not isinstance(target, StoredTensor):
            self.work.note(f"BUILD on a {type(target).__name__}: ignored")

    def _merge_slots(self, state: object) -> object:
        """Join the pair (`__dict__` or None, slots) that `object.__reduce_ex__` gives for slotted classes."""
        if isinstance(state, tuple) and len(state) == 2:
            first, slots = state
            if isinstance(slots, dict) and (first is None or isinstance(first, dict)):
                self.work.charge(100 * (len(slots) + len(first or ())))
                return {**(first or {}), **slots}
        return state

    def set_items(self, target: object, flat: list[object]) -> None:
        """Set key, value, key, value, ... on a dict or a `Record`."""
        if len(flat) & 1:
            raise MalformedError("the pickle sets a key without a value")
        if isinstance(target, dict):
            key = self.key
            for at in range(0, len(flat), 2):
                target[key(flat[at])] = flat[at + 1]
        elif isinstance(target, Record):
            if target.pairs is None:
                target.pairs = []
            target.pairs.extend(zip(flat[::2], flat[1::2], strict=True))
        else:
            self.work.note(f"SETITEM on a {type(target).__name__}: ignored")

    def extend(self, target: object, values: list[object]) -> None:
        if type(target) is list:
            target.extend(values)
        elif isinstance(target, Record):
            if target.items is None:
                target.items = []
            target.items.extend(values)
        else:
            raise MalformedError(f"the pickle appends to a {type(target).__name__}")

    def salvage(self) -> object:
        """Close the containers that a broken stream left open and return the outermost value."""
        while self.marks:
            above = self.pop_mark()
            target = self.stack[-1] if self.stack else None
            if isinstance(target, dict | Record):
                self.set_items(target, above[: len(above) & ~1])
            elif type(target) is list:
                target.extend(above)
            else:
                self.stack.append(tuple(above))
        return self.stack[0] if self.stack else None


Handler: TypeAlias = Callable[..., object]
