"""How deaths are worded: one table of signatures, a file for each family.

A signature names what a line says (`name`, the kind of the event that a reader makes of it), what that means for the
process (`ending`), under which symptom it is told and how much it tells of the root (`role`). Readers, the judgement of
endings, the detectors and docs/endings.md all read this one table; nothing else in the project lists deaths.
"""

from functools import lru_cache

from forensics.deferred.patterns import expression
from forensics.signatures import communication, data, device, host, memory, native, network, numeric, scheduler, start
from forensics.signatures.codes import SIGNALS, Signal, code_told, signal_of
from forensics.signatures.general import in_general
from forensics.signatures.kinds import Possible, kind_of, possible
from forensics.signatures.signature import Role, Signature, Words

SIGNATURES: tuple[Signature, ...] = (
    *native.SIGNATURES,
    *memory.SIGNATURES,
    *device.SIGNATURES,
    *communication.SIGNATURES,
    *host.SIGNATURES,
    *scheduler.SIGNATURES,
    *network.SIGNATURES,
    *start.SIGNATURES,
    *data.SIGNATURES,
    *numeric.SIGNATURES,
)
"""Every signature; where several fit one line, the first one that is no mere outcome decides."""

_DEADLY = tuple(signature for signature in SIGNATURES if signature.ending)
BY_NAME = {signature.name: signature for signature in SIGNATURES}


_FRAME = expression(r" \((?:[^()]|\([^()]*\))*:\d+(?: in [^()]*)?\)$")
"""The place that readers put behind the last line of a traceback."""

LAST_WORDS = 400
"""Characters of last words that are looked at."""


def of_last_words(text: str) -> Signature | None:
    """Return the signature of last words: the first one whose phrases they hold, else what their words suit.

    A frame behind them in brackets says nothing of the death.

    >>> of_last_words("RuntimeError: device 3: allocation of 512 MB failed, HBM exhausted").name
    'out-of-memory'
    """
    return _of_words(_FRAME.sub("", text)[:LAST_WORDS])


@lru_cache(maxsize=4_096)
def _possible(kind: str) -> Possible:
    return possible(kind, _DEADLY)


@lru_cache(maxsize=16_384)
def _of_words(text: str) -> Signature | None:
    """Remembered, since every detector and rule of endings asks for the same words; 7 MB at most."""
    left = _possible(kind_of(text))
    exact = next((signature for signature in left.signatures if signature.matches(text)), None)
    suited = (BY_NAME[name] for name in in_general(text, left.general))
    return exact or next((signature for signature in suited if not signature.excludes(text)), None)


__all__ = [
    "BY_NAME",
    "SIGNALS",
    "SIGNATURES",
    "Role",
    "Signal",
    "Signature",
    "Words",
    "code_told",
    "of_last_words",
    "signal_of",
]
