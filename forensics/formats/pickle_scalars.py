"""Pickle opcodes that push one number, text or run of bytes, and those that only frame the stream.

Semantics: CPython 3.13 `Lib/pickle.py` (`_Unpickler`) and `Lib/pickletools.py`.
"""

import struct

from forensics.errors import MalformedError
from forensics.formats.pickle_machine import Machine
from forensics.formats.pickle_table import StopReachedError, opcode
from forensics.formats.pickle_values import Record

LONGEST_NUMBER = 300  # digits; the largest double has 309
LONGEST_LONG_BYTES = 1024

_SHORT = struct.Struct("<H").unpack
_INTEGER = struct.Struct("<i").unpack
_UNSIGNED = struct.Struct("<I").unpack
_LENGTH = struct.Struct("<Q").unpack
_DOUBLE = struct.Struct(">d").unpack


# -- frame and end --------------------------------------------------------------------------------------------


@opcode(b".")
def _stop(_machine: Machine) -> None:
    raise StopReachedError


@opcode(0x80)
def _protocol(machine: Machine) -> None:
    machine.byte()


@opcode(0x95)
def _frame(machine: Machine) -> None:
    machine.take(8)  # a hint for reading ahead; believing it is a known way to make readers disagree


# -- constants ------------------------------------------------------------------------------------------------


@opcode(b"N")
def _none(machine: Machine) -> None:
    machine.stack.append(None)


@opcode(0x88)
def _true(machine: Machine) -> None:
    machine.stack.append(True)


@opcode(0x89)
def _false(machine: Machine) -> None:
    machine.stack.append(False)


@opcode(b"K")
def _one_byte_integer(machine: Machine) -> None:
    machine.stack.append(machine.byte())


@opcode(b"M", 16)
def _two_byte_integer(machine: Machine) -> None:
    machine.stack.append(_SHORT(machine.take(2))[0])


@opcode(b"J", 16)
def _four_byte_integer(machine: Machine) -> None:
    machine.stack.append(_INTEGER(machine.take(4))[0])


@opcode(0x8A, 16)
def _short_long(machine: Machine) -> None:
    machine.stack.append(int.from_bytes(machine.take(machine.byte()), "little", signed=True))


@opcode(0x8B, 16)
def _long(machine: Machine) -> None:
    size = _INTEGER(machine.take(4))[0]
    if size < 0:
        raise MalformedError("malformed pickle: an integer of negative length")
    digits = machine.take(size)
    if size > LONGEST_LONG_BYTES:
        machine.work.note(f"absurdly large integer of {size} bytes, not read")
        machine.stack.append(Record("integer too large", (size,)))
    else:
        machine.stack.append(int.from_bytes(digits, "little", signed=True))


def text_number(text: bytes) -> int:
    if len(text) > LONGEST_NUMBER:
        raise MalformedError(f"malformed pickle: an integer of {len(text)} digits")
    return int(text)


@opcode(b"I", 16)
def _text_integer(machine: Machine) -> None:
    text = machine.line()
    machine.stack.append(text == b"01" if text in {b"00", b"01"} else text_number(text))


@opcode(b"L", 16)
def _text_long(machine: Machine) -> None:
    machine.stack.append(text_number(machine.line().rstrip(b"L")))


@opcode(b"F", 8)
def _text_float(machine: Machine) -> None:
    text = machine.line()
    if len(text) > LONGEST_NUMBER:
        raise MalformedError(f"malformed pickle: a float of {len(text)} digits")
    machine.stack.append(float(text))


@opcode(b"G", 8)
def _float(machine: Machine) -> None:
    machine.stack.append(_DOUBLE(machine.take(8))[0])


# -- text and bytes -------------------------------------------------------------------------------------------


@opcode(b"X", 50)
def _text(machine: Machine) -> None:
    machine.stack.append(machine.take_text(_UNSIGNED(machine.take(4))[0]))


@opcode(0x8C, 50)
def _short_text(machine: Machine) -> None:
    machine.stack.append(machine.take_text(machine.byte()))


@opcode(0x8D, 50)
def _long_text(machine: Machine) -> None:
    machine.stack.append(machine.take_text(_LENGTH(machine.take(8))[0]))


@opcode(b"C", 40)
def _short_bytes(machine: Machine) -> None:
    machine.stack.append(machine.take_literal(machine.byte()))


@opcode(b"B", 40)
def _bytes(machine: Machine) -> None:
    machine.stack.append(machine.take_literal(_UNSIGNED(machine.take(4))[0]))


@opcode(b"\x8e\x96", 40)
def _long_bytes(machine: Machine) -> None:
    machine.stack.append(machine.take_literal(_LENGTH(machine.take(8))[0]))


@opcode(b"U", 50)
def _short_string(machine: Machine) -> None:
    machine.stack.append(machine.take(machine.byte()).decode("latin-1"))


@opcode(b"T", 50)
def _string(machine: Machine) -> None:
    piece = machine.take(_UNSIGNED(machine.take(4))[0])
    machine.work.charge(len(piece))
    machine.stack.append(piece.decode("latin-1"))


@opcode(b"S", 50)
def _quoted_string(machine: Machine) -> None:
    machine.stack.append(machine.line().strip()[1:-1].decode("latin-1"))


@opcode(b"V", 50)
def _escaped_text(machine: Machine) -> None:
    text = machine.line().decode("raw-unicode-escape", "replace")
    machine.stack.append(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


@opcode(b"\x97\x98")
def _outside_buffer(machine: Machine) -> None:
    if machine.data[machine.position - 1] == 0x97:
        machine.stack.append(Record("out-of-band buffer"))
