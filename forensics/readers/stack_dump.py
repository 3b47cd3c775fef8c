"""Stacks of a process that stands still: `py-spy dump` and Python's faulthandler.

As written by py-spy 0.4 (`src/dump.rs`) and CPython 3.12 (`Python/traceback.c`):

    Process 4242: python train.py                    Thread 0x00007f (most recent call first):
    Python v3.11.7 (/usr/bin/python3.11)               File "/app/train.py", line 9 in step
    Thread 4242 (idle): "MainThread"
        all_reduce (torch/distributed/distributed_c10d.py:2501)

The innermost frames of the main thread are told: what stands still, and from where the run's own code called it.
"""

import re
from collections.abc import Iterator

import numpy as np

from forensics.model import UNKNOWN_STEP, Artifact, Events, Fact
from forensics.names import Kind
from forensics.plugin import reader
from forensics.storage.file import File

MOST_BYTES = 4 << 20
_HEAD = re.compile(
    rb"(?:\A|\n)Process \d+: [^\n]*\nPython v\d"
    rb"|(?:\A|\n)(?:Current t|T)hread 0x[0-9a-f]+[^\n]{0,80}\(most recent call first\)"
)
_THREAD = re.compile(
    r"^(?:Current thread|Thread) (?:0x)?[0-9a-fA-F]{1,20}.{0,200}?"
    r'(?:\(most recent call first\)|"([^"]{0,200})")?:?\s{0,20}$'
)
_SPY = re.compile(r"^ {2,}(\S.*?) \(([^()]+?):(\d+)\)$")
_FAULT = re.compile(r'^ {2,}File "([^"]+)", line (\d+) in (\S+)')
_LIBRARY = re.compile(
    r"(?:site|dist)-packages/|/lib(?:64)?/python\d|<frozen |^(?:torch|transformers|accelerate|deepspeed|threading)[./]"
)
_RANK = re.compile(r"rank[-_.]?(\d+)|(?:^|/)(\d+)\.(?:stack|txt|dump)$")


def looks_like_stacks(head: bytes) -> bool:
    """Tell whether a file begins with the stacks of a process and is no log that ends in them."""
    found = _HEAD.search(head[:4096])
    return found is not None and found.start() < 400


@reader("stack-dump", sniff=looks_like_stacks, tested="py-spy 0.4.1, CPython 3.11 faulthandler")
def stack_dump(artifact: Artifact) -> Iterator[Fact]:
    """`py-spy dump` and faulthandler output: where each rank stood still."""
    with File(artifact.location) as file:
        text = file.head(MOST_BYTES).decode("utf-8", "replace")
    stack, line = _main_thread(text)
    if not stack:
        return
    own = next((place for place in stack if not _LIBRARY.search(place[1])), None)
    told = f"{stack[0][0]} ({stack[0][1]}:{stack[0][2]})"
    if own is not None and own is not stack[0]:
        told += f", called from {own[0]} ({own[1]}:{own[2]})"
    found = _RANK.search(artifact.path)
    rank = int(found[1] or found[2]) if found else -1
    yield Events(
        kind=Kind.STACK,
        steps=np.array([UNKNOWN_STEP], dtype=np.int64),
        values=np.array([np.nan]),
        records=np.array([line], dtype=np.int64),
        path=artifact.path,
        place="line {}",
        text=told,
        rank=rank if rank >= 0 else None,
        ranks=np.array([rank], dtype=np.int64),
        texts=(told,),
    )


def _main_thread(text: str) -> tuple[list[tuple[str, str, str]], int]:
    """Return (function, file, line) of the main thread, innermost first, and where its first frame stands."""
    stacks: list[tuple[str, list[tuple[str, str, str]], int]] = []
    for number, line in enumerate(text.splitlines(), 1):
        thread = _THREAD.match(line)
        if thread:
            stacks.append((thread[1] or ("MainThread" if line.startswith("Current") else ""), [], number + 1))
            continue
        spy, fault = _SPY.match(line), _FAULT.match(line)
        if stacks and spy:
            stacks[-1][1].append((spy[1], spy[2], spy[3]))
        elif stacks and fault:
            stacks[-1][1].append((fault[3], fault[1], fault[2]))
    # faulthandler lists the main thread last, py-spy names it.
    named = [s for s in stacks if s[0] == "MainThread" and s[1]] or [s for s in stacks if s[1]][-1:]
    return (named[0][1], named[0][2]) if named else ([], 0)
