"""The program: `medforensics`, or `python -m forensics`.

With `-m` the current directory is taken off the path first: inside a stranger's run directory, a `json.py` lying
there must not be imported in place of the library's.
"""

import atexit
import gc
import os
import sys

SPARSE = 100_000
"""Objects more than were freed, after which the collector looks for circles (Python's own number is 700): hundreds of
modules are made at the start, none of which is garbage, and looking through them took a fifth of a short analysis."""


def start() -> None:
    """Run the command line as a process of its own, which ends when it is done."""
    gc.set_threshold(SPARSE)
    atexit.register(gc.freeze)
    from forensics.cli import main

    main(prog_name="medforensics")


if __name__ == "__main__":
    here = os.path.realpath(os.getcwd())  # noqa: PTH109  (pathlib would be imported by the path that is mended)
    sys.path[:] = [entry for entry in sys.path if entry and os.path.realpath(entry) != here]
    start()
