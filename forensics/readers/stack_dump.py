"""Files of stacks: `py-spy dump`, Python's faulthandler and gdb's `bt` (see `_events.stacks`)."""

from collections.abc import Iterator

import numpy as np

from forensics.deferred.patterns import expression
from forensics.model import UNKNOWN_STEP, Artifact, Events, Fact
from forensics.names import Kind
from forensics.plugin import reader
from forensics.readers._events.stacks import OF_A_DEATH, stacks
from forensics.storage.file import File

MOST_BYTES = 4 << 20
FIRST = 400
"""Where the first stack begins at the latest, but behind what gdb says when it starts."""
_HEAD = expression(
    rb"(?:\A|\n)Process \d+: [^\n]*\nPython v\d"
    rb"|(?:\A|\n)Thread (?:0x)?[0-9A-Fa-f]{1,20} \((?:idle|active)[^)\n]{0,40}\): \""
    rb"|(?:\A|\n)(?:Current t|T)hread 0x[0-9a-f]+[^\n]{0,80}\(most recent call first\)"
    rb"|(?:\A|\n)(?:\(gdb\) )?Thread \d{1,6} \(Thread 0x[0-9a-f]{1,16} \(LWP"
    rb"|(?:\A|\n)(?:\(gdb\) )?#0 {1,3}(?:0x[0-9a-f]{1,16} in )?[\w:~]{1,200} ?\("
)
_BANNER = expression(rb"\A(?:\$ [^\n]{0,200}\n)?GNU gdb |\A\[New LWP \d|\AAttaching to process \d")
_RANK = expression(r"rank[-_.]?(\d+)|(?:^|/)(\d+)\.(?:stack|txt|dump)$")


def looks_like_stacks(head: bytes) -> bool:
    """Tell whether a file begins with the stacks of a process and is no log that ends in them."""
    found = _HEAD.search(head)
    if found is None or any(words in head for words in OF_A_DEATH):
        return False
    return found.start() < FIRST or _BANNER.match(head) is not None


@reader("stack-dump", sniff=looks_like_stacks, tested="py-spy 0.4.1, CPython 3.11 faulthandler, public gdb stacks")
def stack_dump(artifact: Artifact) -> Iterator[Fact]:
    """`py-spy dump`, faulthandler and `thread apply all bt` of gdb: where each rank stood still."""
    with File(artifact.location) as file:
        found = [*stacks(file.head(MOST_BYTES).decode("utf-8", "replace").splitlines())]
    if not found:
        return
    named = _RANK.search(artifact.path)
    of_file = int(named[1] or named[2]) if named and len(found) == 1 else -1
    ranks = [of_file if of_file >= 0 else stack.rank for stack in found]
    yield Events(
        kind=Kind.STACK,
        steps=np.full(len(found), UNKNOWN_STEP, dtype=np.int64),
        values=np.full(len(found), np.nan),
        records=np.array([stack.line for stack in found], dtype=np.int64),
        path=artifact.path,
        place="line {}",
        text=found[0].told,
        rank=ranks[0] if len(found) == 1 and ranks[0] >= 0 else None,
        ranks=np.array(ranks, dtype=np.int64),
        texts=tuple(stack.told for stack in found),
    )
