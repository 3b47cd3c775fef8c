"""How deaths are worded: one table of signatures, a file for each family.

A signature names what a line says (`name`, the kind of the event that a reader makes of it), what that means for the
process (`ending`), under which symptom it is told and how much it tells of the root (`role`). Readers, the judgement of
endings, the detectors and docs/endings.md all read this one table; nothing else in the project lists deaths.
"""

from forensics.signatures import communication, data, device, host, memory, native, numeric, scheduler, start
from forensics.signatures.codes import SIGNALS, Signal, code_told, signal_of
from forensics.signatures.signature import Role, Signature, Words

SIGNATURES: tuple[Signature, ...] = (
    *native.SIGNATURES,
    *memory.SIGNATURES,
    *device.SIGNATURES,
    *communication.SIGNATURES,
    *host.SIGNATURES,
    *scheduler.SIGNATURES,
    *start.SIGNATURES,
    *data.SIGNATURES,
    *numeric.SIGNATURES,
)
"""Every signature; where several fit one line, the first one that is no mere outcome decides."""

BY_NAME = {signature.name: signature for signature in SIGNATURES}

__all__ = ["BY_NAME", "SIGNALS", "SIGNATURES", "Role", "Signal", "Signature", "Words", "code_told", "signal_of"]
