"""Every line that tells of a death, with what it means and where it stands."""

import math
from collections.abc import Iterator

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.model import UNKNOWN_STEP, Events, Source, Timeline
from forensics.names import CUT_TRACEBACK, Kind
from forensics.signatures import BY_NAME, SIGNATURES, Role, code_told, of_last_words, signal_of

INTERRUPT = expression(r"KeyboardInterrupt|^(?:click\.)?(?:exceptions\.)?Abort\b")
CALM_EXIT = expression(r"SystemExit(?:: ?(?:0|None)|\((?:0|None)?\)|:)?\s*(?:\(|$)")
MERE_WARNING = expression(r"Unable to find latest file at|(?i:\bskipp(?:ing|ed)\b|\bignor(?:ing|ed)\b)")
"""DeepSpeed and Megatron print the first at every fresh start and train on (`engine.load_checkpoint` returns None)."""
TERMINATED = expression(r"SIGTERM|got signal: 15|signal 15")
RAISED = expression(r"(?:^|[\s\].])[A-Z]\w{0,60}(?:Error|Exception|NotFound)\b")
LEAST_BEFORE = 3
"""Lines with metrics from which on a run was under way; as many behind a death tell that it was survived."""
ORDER = {signature.name: number for number, signature in enumerate(SIGNATURES)}
"""Of two signatures that fit one line the first one in the table is the more exact."""
MORE = {
    Kind.CHECKPOINT_REFUSED: "a checkpoint was refused",
    Kind.UNSCALE_FP16: "gradients in fp16 cannot be unscaled",
    Kind.SIZE_MISMATCH: "weights did not fit the model",
}
"""Events of other tables that end a run when nothing follows them."""
UNREACHABLE = "hub-unreachable"
OUTSIDE = frozenset({Kind.OOM_KILL_RECORD, Kind.XID, "gpu-hardware"})
"""Records of the kernel: what follows them in the kernel's own log says nothing of the run."""


@dataclass(frozen=True, slots=True)
class Death:
    """One line: `name` is its kind of event, the rest what it means (see `forensics.signatures.Signature`).

    `before` and `after` are steps, `UNKNOWN_STEP` where none was logged; `entries_after` counts the lines with metrics
    that follow in the same text, None where its order is not known. `caught` tells of a traceback that a handler
    printed.
    """

    name: str
    symptom: str
    ending: str
    role: Role
    told: str
    text: str
    path: str
    record: int
    source: Source
    rank: int
    step: int = UNKNOWN_STEP
    before: int = UNKNOWN_STEP
    after: int = UNKNOWN_STEP
    entries_after: int | None = None
    entries: int = 0
    caught: bool = False

    @property
    def outside(self) -> bool:
        return self.name in OUTSIDE


def deaths_of(timeline: Timeline) -> list[Death]:
    """Return every line of any source that tells of a death or warns of one, by path and place in it."""
    begun: dict[str, int] = {}
    for events in (*timeline.events_of(Kind.TRAINING_STARTED), *timeline.events_of(Kind.TRAINING_FINISHED)):
        if len(events):
            begun[events.path] = min(int(events.records[0]), begun.get(events.path, int(events.records[0])))
    found = [death for events in timeline.events for death in _deaths(events, begun.get(events.path))]
    return sorted(found, key=lambda death: (death.path, death.record, death.role, ORDER.get(death.name, -1)))


def _deaths(events: Events, begun: int | None) -> Iterator[Death]:
    kind = events.kind
    if kind not in BY_NAME and kind not in MORE and kind not in {Kind.SIGNAL, Kind.KILLED, Kind.TRACEBACK}:
        return
    for index in range(len(events)):
        told = _meaning(events, index)
        if told is not None:
            yield _placed(events, index, told, begun)


_Meaning = tuple[str, str, str, Role, str]


def _meaning(events: Events, index: int) -> _Meaning | None:
    kind, text = events.kind, events.text_at(index)
    if kind == Kind.SIGNAL:
        return _code(float(events.values[index]))
    if kind == Kind.KILLED:
        return kind, "crash-killed", "killed", Role.KILL, "a process was killed from outside (signal 9, SIGKILL)"
    if kind == Kind.TRACEBACK:
        return _exception(text)
    if kind in MORE:
        sign = kind == Kind.SIZE_MISMATCH or bool(MERE_WARNING.search(text))
        return kind, "crash-exception", "crashed", Role.SIGN if sign else Role.ROOT, MORE[kind]
    signature = BY_NAME[kind]
    return kind, signature.symptom, signature.ending, signature.role, signature.told


def _code(code: float) -> _Meaning | None:
    if code == 0 or math.isinf(code):
        return None
    found = signal_of(code)
    if found is None:
        return Kind.SIGNAL, "crash-exception", "crashed", Role.OUTCOME, code_told(code)
    return Kind.SIGNAL, found.symptom, found.ending, found.role, code_told(code)


def _exception(text: str) -> _Meaning | None:
    if INTERRUPT.search(text.partition(" (")[0]):
        return Kind.TRACEBACK, "crash-exception", "stopped-by-user", Role.ROOT, "the run was interrupted by its user"
    if CALM_EXIT.match(text):
        return None
    if TERMINATED.search(text):
        return Kind.TRACEBACK, "crash-killed", "killed", Role.OUTCOME, "a process was asked to end (signal 15, SIGTERM)"
    if text.startswith(CUT_TRACEBACK):
        return Kind.TRACEBACK, "crash-exception", "crashed", Role.ABORT, "the run ended in an exception"
    signature = of_last_words(text)
    if signature is not None:
        return signature.name, signature.symptom, signature.ending, signature.role, signature.told
    return Kind.TRACEBACK, "crash-exception", "crashed", Role.ROOT, "the run ended in an exception"


def _under_way(events: Events, index: int, begun: int | None) -> bool:
    """Tell whether an exception came after training began: what is missing then was not missing at the start."""
    order = events.order
    metrics = order is not None and order.entries - int(order.entries_after[index]) >= LEAST_BEFORE
    after = begun is not None and begun < int(events.records[index])
    return (metrics or after) and RAISED.search(events.text_at(index)) is not None


def _placed(events: Events, index: int, told: _Meaning, begun: int | None) -> Death:
    name, symptom, ending, role, words = told
    order = events.order
    if symptom == "crash-launcher" and _under_way(events, index, begun):
        symptom = "crash-exception"
    elif name == UNREACHABLE and order is not None and order.entries - int(order.entries_after[index]) >= LEAST_BEFORE:
        role = Role.SIGN  # a look-up that was tried in passing, as PEFT does where it saves; no exception says more
    return Death(
        name=name,
        symptom=symptom,
        ending=ending,
        role=role,
        told=words,
        text=" ".join(events.text_at(index).split()),
        path=events.path,
        record=int(events.records[index]),
        source=events.source_at(index),
        rank=int(events.ranks[index]) if events.ranks is not None else -1,
        step=int(events.steps[index]),
        before=UNKNOWN_STEP if order is None else int(order.before[index]),
        after=UNKNOWN_STEP if order is None else int(order.after[index]),
        entries_after=None if order is None else int(order.entries_after[index]),
        entries=0 if order is None else order.entries,
        caught=events.kind == Kind.TRACEBACK and float(events.values[index]) == 0.0,
    )
