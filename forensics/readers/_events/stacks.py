"""Stacks of processes that stand still: `py-spy dump` and Python's faulthandler, in files of their own and in logs.

As written by py-spy 0.4 (`src/dump.rs`) and CPython 3.12 (`Python/traceback.c`, `Modules/faulthandler.c`):

    Process 4242: python train.py                    Timeout (0:10:00)!
    Python v3.11.7 (/usr/bin/python3.11)             Thread 0x00007f (most recent call first):
    Thread 4242 (idle): "MainThread"                   File "/app/train.py", line 9 in step
        all_reduce (torch/distributed/distributed_c10d.py:2501)

The innermost frames of the main thread are told: what stands still, and from where the run's own code called it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from forensics.deferred.patterns import expression

_PROCESS = expression(r"^(?:Process \d{1,10}: |Timeout \(\d{1,4}:\d\d:\d\d)")
_THREAD = expression(
    r"^(?:Current thread|Thread) (?:0x)?[0-9a-fA-F]{1,20}.{0,200}?"
    r'(?:\(most recent call first\)|"([^"]{0,200})")?:?\s{0,20}$'
)
_SPY = expression(r"^ {2,}(\S.*?) \(([^()]+?):(\d+)\)$")
_FAULT = expression(r'^ {2,}File "([^"]+)", line (\d+) in (\S+)')
_LIBRARY = expression(
    r"(?:site|dist)-packages/|/lib(?:64)?/python\d|<frozen |^(?:torch|transformers|accelerate|deepspeed|threading)[./]"
)
_LOADER = expression(r"(?:^|/)torch/utils/data/")
_RANK = expression(r"\brank[ =:](\d{1,6})\b|\[(?:default|rank)(\d{1,6})\]")
_MARK = expression(r"^\[(?:default|rank)\d{1,6}\]: ?")

Frame = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Stack:
    """Where one process stood: what is told, the line of the first frame (counted from 1), its rank (-1: unknown)."""

    told: str
    line: int
    rank: int


@dataclass(slots=True)
class _Process:
    rank: int
    threads: list[tuple[str, int, list[Frame]]] = field(default_factory=list)

    def stack(self) -> Stack | None:
        """Return the stack of the main thread: faulthandler lists it last, py-spy names it."""
        full = [thread for thread in self.threads if thread[2]]
        named = [thread for thread in full if thread[0] == "MainThread"] or full[-1:]
        return Stack(_told(named[0][2]), named[0][1], self.rank) if named else None


def stacks(lines: Iterable[str]) -> Iterator[Stack]:
    """Yield where each process of a dump stood."""
    process: _Process | None = None
    for number, line in enumerate(lines, 1):
        text = _MARK.sub("", line)
        thread = _THREAD.match(text)
        if _PROCESS.match(text):
            yield from _finished(process)
            process = _Process(_rank(line))
        elif thread:
            process = process or _Process(_rank(line))
            name = thread[1] or ("MainThread" if text.startswith("Current") else "")
            process.threads.append((name, number + 1, []))
        elif process is not None and process.threads:
            frame = _frame(text)
            if frame is not None:
                process.threads[-1][2].append(frame)
            elif text[:1].strip() and process.threads[-1][2]:
                yield from _finished(process)
                process = None
    yield from _finished(process)


def _finished(process: _Process | None) -> Iterator[Stack]:
    stack = None if process is None else process.stack()
    if stack is not None:
        yield stack


def _frame(line: str) -> Frame | None:
    spy, fault = _SPY.match(line), _FAULT.match(line)
    return (spy[1], spy[2], spy[3]) if spy else (fault[3], fault[1], fault[2]) if fault else None


def _rank(line: str) -> int:
    found = _RANK.search(line.replace("local_rank", "rank").replace("local-rank", "rank"))
    return int(found[1] or found[2]) if found else -1


def _told(stack: list[Frame]) -> str:
    own = next((place for place in stack if not _LIBRARY.search(place[1])), None)
    told = f"{stack[0][0]} ({stack[0][1]}:{stack[0][2]})"
    if any(_LOADER.search(place[1]) for place in stack):
        told += ", in the data loader"
    if own is not None and own is not stack[0]:
        told += f", called from {own[0]} ({own[1]}:{own[2]})"
    return told
