"""The program: `medforensics`, or `python -m forensics`.

With `-m` the current directory is taken off the path before anything is imported that is not in the interpreter itself:
inside a stranger's run directory, a `json.py` lying there must not be imported in place of the library's. Ctrl-C is
answered in one line from the first import on; what comes before is Python's own start.
"""

import atexit
import gc
import os
import sys

SPARSE = 100_000
"""Objects more than were freed, after which the collector looks for circles (Python's own number is 700): hundreds of
modules are made at the start, none of which is garbage, and looking through them took a fifth of a short analysis.

OpenBLAS starts a thread for each core while numpy is imported, and they spin before they sleep: 0.03 s of processor
time on two cores. No product of ours is long enough to be shared among threads (`weights.bits.CHUNK`)."""


def start() -> None:
    """Run the command line as a process of its own, which ends when it is done."""
    try:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        gc.set_threshold(SPARSE)
        atexit.register(gc.freeze)
        import signal

        signal.signal(signal.SIGINT, _interrupted)
    except KeyboardInterrupt:
        _interrupted()
    from forensics.cli import main

    main(prog_name="medforensics")


def _interrupted(*_: object) -> None:
    # Before a command begins its work (`stoppable`) and after it: half of the modules may be imported, nothing is
    # unwound, and nothing was made that would have to be.
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
