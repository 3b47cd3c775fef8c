"""Progress on stderr, for work over a second, where somebody watches."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

QUIET_SECONDS = 1.0
REDRAW_SECONDS = 0.2


@contextmanager
def reporter(*, quiet: bool) -> Iterator[Callable[[str, int, int], None] | None]:
    """Yield a function (what, done, total) that draws one line on a terminal; None when nobody watches."""
    if quiet or sys.stderr is None or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield None
        return
    started = time.monotonic()
    drawn = 0.0

    def report(what: str, done: int, total: int) -> None:
        nonlocal drawn
        now = time.monotonic()
        if now - started < QUIET_SECONDS or now - drawn < REDRAW_SECONDS:
            return
        drawn = now
        share = f"{done / total:4.0%} " if total else ""
        name = "".join(c if c.isprintable() else "?" for c in what)
        sys.stderr.write(f"\r\x1b[K{share}{name[-60:]}")
        sys.stderr.flush()

    yield report
    if drawn:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
