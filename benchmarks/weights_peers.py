"""What the weights benchmark measures against: a plain read, the usual torch expressions, another tool."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

READ_BYTES = 1 << 20
_RANGE_BYTES = 8 << 20


def plain_read(paths: Sequence[Path], threads: int) -> None:
    """Read every byte with preadv into one reused buffer a thread, and look at none."""
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("rb", buffering=0)).fileno() for path in paths]
        ranges = iter([one for path, file in zip(paths, files, strict=True) for one in _ranges(path, file)])
        lock = threading.Lock()

        def work() -> None:
            buffer = memoryview(bytearray(READ_BYTES))
            while True:
                with lock:
                    found = next(ranges, None)
                if found is None:
                    return
                file, first, stop = found
                for offset in range(first, stop, READ_BYTES):
                    os.preadv(file, [buffer[: min(READ_BYTES, stop - offset)]], offset)

        workers = [threading.Thread(target=work) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()


def _ranges(path: Path, file: int) -> Iterator[tuple[int, int, int]]:
    size = path.stat().st_size
    return ((file, first, min(first + _RANGE_BYTES, size)) for first in range(0, size, _RANGE_BYTES))


def forget(paths: Sequence[Path]) -> None:
    """Ask the system to drop the files from the page cache."""
    for path in paths:
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def naive_diff(before: Path, after: Path, threads: int) -> None:
    """Compute the same facts with safetensors and torch, one expression a fact."""
    import torch
    from safetensors import safe_open

    torch.set_num_threads(threads)
    with safe_open(before, "pt") as old, safe_open(after, "pt") as new:
        for name in new.keys():  # noqa: SIM118  # safe_open is no mapping
            _naive_scan(old.get_tensor(name))
            x, y = old.get_tensor(name), new.get_tensor(name)
            _naive_scan(y)
            change = y.float() - x.float()
            [(x == y).sum().item(), change.norm().item(), change.abs().max().item()]


def _naive_scan(x: Any) -> None:  # torch is untyped here
    facts = [x.isnan(), x == float("inf"), x == -float("inf"), x == 0, (x.abs() < 2.0**-126) & (x != 0)]
    [fact.sum().item() for fact in facts]
    wide = x.float()
    [wide.min().item(), wide.max().item(), wide.abs().max().item(), wide.mean().item(), wide.norm().item()]
    (wide == 0).all(dim=1).sum().item()


def weightlens(path: Path) -> bool:
    """Run `lens analyze` on a file; say whether weightlens is installed."""
    if find_spec("weightlens") is None:
        return False
    command = [sys.executable, "-m", "weightlens.cli", "analyze", str(path)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return True
