"""The program: `medforensics`, or `python -m forensics`.

With `-m` the current directory is taken off the path first: inside a stranger's run directory, a `json.py` lying
there must not be imported in place of the library's. Nothing is imported before Ctrl-C is answered in one line.
"""

import atexit
import gc
import os
import signal
import sys
from types import FrameType

SPARSE = 100_000
"""Objects more than were freed, after which the collector looks for circles (Python's own number is 700): hundreds of
modules are made at the start, none of which is garbage, and looking through them took a fifth of a short analysis."""


def start() -> None:
    """Run the command line as a process of its own, which ends when it is done."""
    gc.set_threshold(SPARSE)
    atexit.register(gc.freeze)
    early = signal.signal(signal.SIGINT, _interrupted)
    from forensics.cli import main

    signal.signal(signal.SIGINT, early)
    main(prog_name="medforensics")


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    # Half of the modules may be imported: nothing is unwound, and nothing was made that would have to be.
    os.write(2, b"medforensics: interrupted\n")
    os._exit(130)


def _is_current(entry: str) -> bool:
    try:
        return os.path.realpath(entry) == os.path.realpath(os.getcwd())  # noqa: PTH109  (pathlib comes by the mended path)
    except OSError:  # the current folder was deleted
        return False


if __name__ == "__main__":
    sys.path[:] = [entry for entry in sys.path if entry and not _is_current(entry)]
    start()
