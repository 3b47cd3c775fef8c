"""The table of pickle opcodes: what each does and about how many bytes of objects it makes."""

from collections.abc import Callable

from forensics.errors import MalformedError
from forensics.formats.pickle_machine import Machine

BASE_COST = 8


class StopReachedError(Exception):
    """The STOP opcode: the value lies on top of the stack."""


def _unknown(machine: Machine) -> None:
    at = machine.position - 1
    raise MalformedError(f"unknown pickle opcode 0x{machine.data[at]:02x} at byte {machine.start + at}")


OPERATIONS: list[Callable[[Machine], None]] = [_unknown] * 256
COSTS = [BASE_COST] * 256


def opcode(code: int | bytes, cost: int = 0) -> Callable[[Callable[[Machine], None]], Callable[[Machine], None]]:
    """Enter a function in the table; `cost` is about the bytes of the object that it makes."""

    def enter(operation: Callable[[Machine], None]) -> Callable[[Machine], None]:
        for each in code if isinstance(code, bytes) else (code,):
            OPERATIONS[each] = operation
            COSTS[each] = BASE_COST + cost
        return operation

    return enter
