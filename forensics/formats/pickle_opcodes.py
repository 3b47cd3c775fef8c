"""Run a pickle: the opcodes of protocols 0 to 5 that build containers, use the memo and name classes.

Semantics: CPython 3.13 `Lib/pickle.py` (`_Unpickler`) and `Lib/pickletools.py`.
"""

import gc
import struct
from dataclasses import field

from forensics.deferred.records import dataclass
from forensics.errors import LimitError, MalformedError
from forensics.formats.pickle_machine import Machine
from forensics.formats.pickle_scalars import text_number
from forensics.formats.pickle_table import COSTS, OPERATIONS, StopReachedError, opcode
from forensics.formats.pickle_values import Name, Record

BATCH = 256
DEEPEST_MARKS = 100_000
"""Python's own pickler stops at its recursion limit, a thousand or so."""

_UNSIGNED = struct.Struct("<I").unpack


@dataclass(frozen=True, slots=True)
class Loaded:
    """One pickle: its value, the offset in its file behind it, and the error that ended it early.

    With an `error`, `value` is what had been built until then, open containers closed.
    """

    value: object = field(repr=False)
    end: int
    error: MalformedError | None


def load(machine: Machine) -> Loaded:
    """Run the machine to STOP. Never raises for what the pickle holds; `ChangedError` when the file shrinks."""
    collecting = gc.isenabled()
    gc.disable()  # a million fresh containers: the collector would look at them again and again
    error: MalformedError
    try:
        return Loaded(_run(machine), machine.start + machine.position, None)
    except MalformedError as met:
        error = met.with_traceback(None)  # it would keep the machine, and all that it built, for as long as itself
    except (IndexError, KeyError, ValueError, TypeError, AttributeError, OverflowError, struct.error) as met:
        # Stack underflow, an unknown memo entry, text where a number must be: the opcodes do not check these.
        error = MalformedError(f"malformed pickle at byte {machine.start + machine.position} ({type(met).__name__})")
    finally:
        if collecting:
            gc.enable()
    try:
        value = machine.salvage()
    except MalformedError:
        value = machine.stack[0] if machine.stack else None
    return Loaded(value, machine.start + machine.position, error)


def _run(machine: Machine) -> object:
    table, costs, work = OPERATIONS, COSTS, machine.work
    while True:
        cost = done = 0
        try:
            for done in range(1, BATCH + 1):  # noqa: B007  (the count is wanted after the loop)
                position = machine.position
                if position >= machine.available:
                    machine.grow(position + 1)
                machine.position = position + 1
                code = machine.data[position]
                cost += costs[code]
                table[code](machine)
        except StopReachedError:
            work.count(done, cost)
            return machine.stack.pop()
        work.count(done, cost)


# -- containers -----------------------------------------------------------------------------------------------


@opcode(b"(", 70)
def _mark(machine: Machine) -> None:
    if len(machine.marks) >= DEEPEST_MARKS:
        raise LimitError(f"the pickle opens more than {DEEPEST_MARKS:,} containers within each other")
    machine.marks.append(machine.stack)
    machine.stack = []


@opcode(b")")
def _empty_tuple(machine: Machine) -> None:
    machine.stack.append(())


@opcode(b"t", 50)
def _tuple(machine: Machine) -> None:
    above = machine.pop_mark()
    machine.work.cost += 8 * len(above)
    machine.stack.append(tuple(above))


@opcode(0x85, 50)
def _tuple_of_one(machine: Machine) -> None:
    machine.stack[-1] = (machine.stack[-1],)


@opcode(0x86, 56)
def _tuple_of_two(machine: Machine) -> None:
    last = machine.stack.pop()
    machine.stack[-1] = (machine.stack[-1], last)


@opcode(0x87, 64)
def _tuple_of_three(machine: Machine) -> None:
    stack = machine.stack
    last, middle = stack.pop(), stack.pop()
    stack[-1] = (stack[-1], middle, last)


@opcode(b"]", 56)
def _empty_list(machine: Machine) -> None:
    machine.stack.append([])


@opcode(b"l", 56)
def _list(machine: Machine) -> None:
    above = machine.pop_mark()
    machine.stack.append(above)


@opcode(b"a", 8)
def _append(machine: Machine) -> None:
    value = machine.stack.pop()
    machine.extend(machine.stack[-1], [value])


@opcode(b"e")
def _appends(machine: Machine) -> None:
    above = machine.pop_mark()
    machine.work.cost += 8 * len(above)
    machine.extend(machine.stack[-1], above)


@opcode(b"}", 64)
def _empty_dict(machine: Machine) -> None:
    machine.stack.append({})


@opcode(b"d", 64)
def _dict(machine: Machine) -> None:
    above = machine.pop_mark()
    made: dict[object, object] = {}
    machine.work.cost += 50 * len(above)
    machine.set_items(made, above)
    machine.stack.append(made)


@opcode(b"s", 100)
def _set_item(machine: Machine) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    machine.set_items(machine.stack[-1], [key, value])


@opcode(b"u")
def _set_items(machine: Machine) -> None:
    above = machine.pop_mark()
    machine.work.cost += 50 * len(above)
    machine.set_items(machine.stack[-1], above)


@opcode(0x8F, 216)
def _empty_set(machine: Machine) -> None:
    machine.stack.append(set())


@opcode(0x90)
def _add_items(machine: Machine) -> None:
    above = machine.pop_mark()
    target = machine.stack[-1]
    if not isinstance(target, set):
        raise MalformedError(f"the pickle adds set members to a {type(target).__name__}")
    machine.work.cost += 60 * len(above)
    target.update(map(machine.key, above))


@opcode(0x91, 216)
def _frozen_set(machine: Machine) -> None:
    above = machine.pop_mark()
    machine.work.cost += 60 * len(above)
    machine.stack.append(frozenset(map(machine.key, above)))


# -- stack and memo -------------------------------------------------------------------------------------------


@opcode(b"0")
def _pop(machine: Machine) -> None:
    if machine.stack:
        machine.stack.pop()
    else:
        machine.pop_mark()


@opcode(b"1")
def _pop_to_mark(machine: Machine) -> None:
    machine.pop_mark()


@opcode(b"2")
def _duplicate(machine: Machine) -> None:
    machine.stack.append(machine.stack[-1])


@opcode(b"q", 32)
def _put(machine: Machine) -> None:
    machine.memo[machine.byte()] = machine.stack[-1]


@opcode(b"r", 50)
def _long_put(machine: Machine) -> None:
    machine.memo[_UNSIGNED(machine.take(4))[0]] = machine.stack[-1]


@opcode(b"p", 80)
def _text_put(machine: Machine) -> None:
    machine.memo[text_number(machine.line())] = machine.stack[-1]


@opcode(0x94, 50)
def _memoize(machine: Machine) -> None:
    memo = machine.memo
    memo[len(memo)] = machine.stack[-1]


@opcode(b"h")
def _get(machine: Machine) -> None:
    machine.stack.append(machine.memo[machine.byte()])


@opcode(b"j")
def _long_get(machine: Machine) -> None:
    machine.stack.append(machine.memo[_UNSIGNED(machine.take(4))[0]])


@opcode(b"g")
def _text_get(machine: Machine) -> None:
    machine.stack.append(machine.memo[text_number(machine.line())])


# -- names and calls that are none ----------------------------------------------------------------------------


def _decoded_name(machine: Machine) -> Name:
    module = machine.line().decode("utf-8", "replace")
    return machine.name(module, machine.line().decode("utf-8", "replace"))


@opcode(b"c")
def _global(machine: Machine) -> None:
    machine.stack.append(_decoded_name(machine))


@opcode(0x93)
def _stack_global(machine: Machine) -> None:
    text, module = machine.stack.pop(), machine.stack.pop()
    machine.stack.append(machine.name(module, text))


@opcode(0x82)
def _extension_of_one_byte(machine: Machine) -> None:
    _extension(machine, 1)


@opcode(0x83)
def _extension_of_two_bytes(machine: Machine) -> None:
    _extension(machine, 2)


@opcode(0x84)
def _extension_of_four_bytes(machine: Machine) -> None:
    _extension(machine, 4)


def _extension(machine: Machine, size: int) -> None:
    number = int.from_bytes(machine.take(size), "little")
    machine.work.note(f"unknown extension code {number} (the copyreg registry is never asked)")
    machine.stack.append(machine.name("copyreg extension", str(number)))


@opcode(b"R", 90)
def _reduce(machine: Machine) -> None:
    arguments = machine.stack.pop()
    machine.stack[-1] = machine.reduce(machine.stack[-1], arguments)


@opcode(0x81, 90)
def _new_object(machine: Machine) -> None:
    arguments = machine.stack.pop()
    machine.stack[-1] = machine.reduce(machine.stack[-1], arguments)


@opcode(0x92, 120)
def _new_object_with_keywords(machine: Machine) -> None:
    keywords, arguments, made = machine.stack.pop(), machine.stack.pop(), machine.stack.pop()
    class_name = made.text if isinstance(made, Name) else "call of something that is no name"
    machine.stack.append(Record(class_name, (arguments, keywords)))


@opcode(b"i", 120)
def _instance(machine: Machine) -> None:
    made = _decoded_name(machine)
    above = machine.pop_mark()
    machine.work.cost += 8 * len(above)
    machine.stack.append(machine.reduce(made, tuple(above)))


@opcode(b"o", 120)
def _object(machine: Machine) -> None:
    above = machine.pop_mark()
    machine.work.cost += 8 * len(above)
    machine.stack.append(machine.reduce(above[0], tuple(above[1:])))


@opcode(b"b")
def _build(machine: Machine) -> None:
    state = machine.stack.pop()
    machine.build(machine.stack[-1], state)


@opcode(b"P", 200)
def _text_persistent(machine: Machine) -> None:
    machine.stack.append(machine.persistent(machine.line().decode("latin-1")))


@opcode(b"Q", 200)
def _persistent(machine: Machine) -> None:
    machine.stack[-1] = machine.persistent(machine.stack[-1])
