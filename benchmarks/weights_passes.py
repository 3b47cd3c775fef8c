"""What each pass of the numpy path costs: a block of BF16 of two checkpoints, in the cache, one thread.

    python benchmarks/weights_passes.py

The passes are those of `forensics/weights/bits.py`: both blocks are counted, then compared. The best of the rounds
counts. The sum, with the copy that a read from the page cache is, bounds the rate of a diff without compiled loops;
loads and stores between the passes, and blocks that do not stay in the cache, come on top.
"""

import os
import tempfile
import time
from collections.abc import Callable
from itertools import cycle

import numpy as np
from tabulate import tabulate

from forensics.weights import bits

ROUNDS, TIMES = 60, 5
FILE_BYTES = 256 << 20
ELEMENTS = bits.BLOCK_BYTES // 2


def main() -> None:
    made = np.random.default_rng(20).standard_normal(ELEMENTS, np.float32) * np.float32(0.02)
    now = (made.view(np.uint32) >> 16).astype(np.uint16)
    before = now.copy()
    before[::3] ^= 1
    singles, old, moved = np.empty((3, ELEMENTS), np.float32)
    flags = np.empty(ELEMENTS, np.bool_)
    signed = now.view(np.int16)
    np.subtract(bits._pairs(now, singles), bits._pairs(before, old), out=moved)  # noqa: SLF001
    passes: list[tuple[str, int, Callable[[], object]]] = [
        ("read from the page cache (preadv into one buffer)", 2, _read()),
        ("extremes as integers: two to four reductions", 2, lambda: bits._extremes(signed, now, 0x7FFF)),  # noqa: SLF001
        ("BF16 to float32: a mask and a shift", 3, lambda: bits._pairs(now, singles)),  # noqa: SLF001
        ("sum: a dot product with ones", 2, lambda: bits._dot(singles, None)),  # noqa: SLF001
        ("sum of squares: a dot product", 2, lambda: bits._dot(singles, singles)),  # noqa: SLF001
        ("equal bits", 1, lambda: np.equal(before, now, out=flags)),
        ("count of equal bits", 1, lambda: np.count_nonzero(flags)),
        ("difference", 1, lambda: np.subtract(singles, old, out=moved)),
        ("sum of its squares", 1, lambda: bits._dot(moved, moved)),  # noqa: SLF001
        ("its extremes", 1, lambda: (np.maximum.reduce(moved), np.minimum.reduce(moved))),
    ]
    taken = [(name, times, _best(run)) for name, times, run in passes]
    whole = sum(times * seconds for _, times, seconds in taken)
    read = 2 * taken[0][2]
    rows = [(name, times, f"{seconds * 1e6:.1f}", f"{times * seconds / whole:.0%}") for name, times, seconds in taken]
    rows.append(("all", 1, f"{whole * 1e6:.0f}", "100%"))
    print(f"Blocks of {bits.BLOCK_BYTES >> 10} KiB\n")
    print(tabulate(rows, headers=["pass", "times", "us", "share"], tablefmt="github", disable_numparse=True))
    print(
        f"\n{2 * bits.BLOCK_BYTES / whole / 1e9:.1f} GB/s of both files, {read / whole:.2f} of the rate of a plain read"
    )


def _read() -> Callable[[], object]:
    """Return what reads the next block of a file that is larger than the processor's caches."""
    with tempfile.TemporaryFile() as file:
        file.write(bytes(FILE_BYTES))
        descriptor = os.dup(file.fileno())
    buffer = bytearray(bits.BLOCK_BYTES)
    places = cycle(range(0, FILE_BYTES, bits.BLOCK_BYTES))
    return lambda: os.preadv(descriptor, [buffer], next(places))


def _best(run: Callable[[], object]) -> float:
    """Return the fewest seconds of processor time that a call took."""
    best = float("inf")
    for _ in range(ROUNDS):
        begun = time.thread_time()
        for _ in range(TIMES):
            run()
        best = min(best, (time.thread_time() - begun) / TIMES)
    return best


if __name__ == "__main__":
    main()
