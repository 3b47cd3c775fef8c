"""Commands run on one hostile input, each in a process of its own under limits, and what was wrong with it."""

import os
import re
import resource
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from forensics.redaction.identities import redactor_for
from forensics.report import tensors
from fuzz.harness import FORBIDDEN, HARMLESS, in_child
from fuzz.hostile.inputs import Input
from fuzz.hostile.machine_cases import removed
from fuzz.hostile.weights_cases import many

SECONDS, SECONDS_A_GB = 2.0, 10.0
"""Processor time that a command may take on an input, and what each gigabyte on disk adds; `bundle`, which
writes the report in five formats, twice as much."""
MEMORY, MEMORY_FOLD = 100_000_000, 3
"""Bytes that a process may grow by, and how often the input may be held."""
ADDRESS_SPACE = 8 << 30
HANGS = 240.0
"""Seconds of the wall after which a command hangs; the machine may be busy."""
CODES = frozenset({0, 1, 3})
CONTROL = re.compile(rb"[\0-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xaa-\xae]")
DEATH = b"""{'loss': 2.31, 'grad_norm': 1.1, 'learning_rate': 5e-05, 'epoch': 0.01}
{'loss': 2.22, 'grad_norm': 1.0, 'learning_rate': 4e-05, 'epoch': 0.02}
Traceback (most recent call last):
  File "train.py", line 31, in <module>
    trainer.train()
torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.15 GiB
"""
DEATH_FILE, DEATH_TOLD = "console.out", b"out of memory"
"""A log that lies beside each hostile file of a run: what it says must be told whatever lies beside it."""
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("scan", "TARGET", "-q"),
    ("analyze", "TARGET"),
    ("bundle", "TARGET", "-q", "-o", "OUT"),
    ("triage", "TARGET", "-q", "-j", "1"),
)


@dataclass(slots=True)
class Tried:
    """What the commands did with one input: faults, the worst time (s of the processor) and growth (bytes)."""

    one: Input
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0
    slowest: str = ""
    grown: int = 0
    hungriest: str = ""
    left_out: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: `status` as `os.wait4` tells it, None when it hung."""

    status: int | None
    seconds: float
    grown: int
    out: bytes
    err: bytes


def warmed(place: Path) -> None:
    """Import in this process what the commands need: it is no cost of an input."""
    import forensics
    from forensics.commands import bundle, triage  # noqa: F401
    from forensics.fleet import alone, group, pool, resume, run  # noqa: F401
    from forensics.report import bundle as archive
    from forensics.report import fleet  # noqa: F401
    from forensics.report.excerpts import excerpts
    from forensics.weights import inspection

    save = place / "run" / "checkpoint-5"
    save.mkdir(parents=True)
    (save / "model.safetensors").write_bytes(many(300))
    (place / "run" / DEATH_FILE).write_bytes(DEATH)
    report = forensics.analyze(place / "run")
    for form in ("terminal", "json", "html", "markdown", "sarif"):
        forensics.render(report, form)
    archive.render(report, tuple(excerpts(report)), redactor_for(report.run, identities=True, names={}))
    checkpoints, skips = inspection.scan(place / "run")
    tensors.render(checkpoints, skips, tensors.Choice(), "table")
    removed(place)


def tried(one: Input, place: Path, marker: Path) -> Tried:
    """Make an input in an empty folder, run every command on it, and remove it."""
    seen, folder = Tried(one), place / "run"
    folder.mkdir(parents=True)
    made, _ = in_child(lambda: _made(one, folder))
    if made is None or made:
        seen.left_out = made or "the process that makes it died"
        removed(folder)
        return seen
    if not one.target:
        (folder / DEATH_FILE).write_bytes(DEATH)
    size = sum(_on_disk(path) for path in _entries(folder))
    before = _state(folder)
    with one.moved(folder):
        for command in COMMANDS:
            _judge(seen, command, _run(_words(command, one, place), place), size)
    if one.moved is Input.__dataclass_fields__["moved"].default and _state(folder) != before:
        seen.faults.append("something was written into the run")
    if marker.exists():
        seen.faults.append("a payload was executed")
        marker.unlink()
    removed(folder)
    seen.faults.extend(f"{path.name} was left behind" for path in place.iterdir())
    return seen


def _made(one: Input, folder: Path) -> str:
    try:
        one.make(folder)
    except OSError as error:
        return str(error)
    return ""


def _words(command: Sequence[str], one: Input, place: Path) -> list[str]:
    target = place / "run" / one.target
    held = {"TARGET": str(target), "OUT": str(place / "evidence.zip")}
    if command[0] == "triage":
        held["TARGET"] = str(place)
    return [held.get(word, word) for word in command]


def _run(words: Sequence[str], place: Path) -> Ended:
    """Run a command in a child, its output in files; temporary files of it must be gone when it ends."""
    temporary = place / "tmp"
    temporary.mkdir()
    begin = _held_now()
    child = os.fork()
    if not child:
        _become(words, place, temporary)
    status, used = _waited(child)
    out, err = ((place / name).read_bytes() for name in ("stdout", "stderr"))
    for name in ("stdout", "stderr", "evidence.zip"):
        (place / name).unlink(missing_ok=True)
    if status is not None and any(temporary.iterdir()):
        err += b"LEFT: " + ", ".join(path.name for path in temporary.iterdir()).encode()
    removed(temporary)
    grown = max(0, used.ru_maxrss * 1024 - begin)
    return Ended(status, used.ru_utime + used.ru_stime, grown, out, err)


def _waited(child: int) -> tuple[int | None, resource.struct_rusage]:
    until = time.monotonic() + HANGS
    while time.monotonic() < until:
        ended, status, used = os.wait4(child, os.WNOHANG)
        if ended:
            return status, used
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    return None, os.wait4(child, 0)[2]


def _become(words: Sequence[str], place: Path, temporary: Path) -> None:
    """Turn this child into a command; never returns."""
    code = 70
    try:
        for number, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(place / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))
        os.environ["TMPDIR"] = str(temporary)
        import tempfile

        tempfile.tempdir = None
        os.chdir(place)
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        sys.addaudithook(_Watch(place).notice)
        from forensics.cli import main
        from forensics.fleet import pool, work

        pool.run_here = lambda tasks, workers: map(work.analysed, tasks)  # noqa: ARG005  (a pool imports all anew)
        main(list(words))
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 70
    except BaseException as error:  # noqa: BLE001  (whatever it is, it is told as a fault)
        os.write(2, f"Traceback: {type(error).__name__}: {error}".encode())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


class _Watch:
    """Tells on standard error what no command may do: run, connect, unpickle, write outside its own folder."""

    def __init__(self, place: Path) -> None:
        self._own = tuple(f"{place}/{name}" for name in ("tmp", "evidence.zip", ".evidence.zip"))

    def notice(self, event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            path, mode, flags = (*arguments, None, None)[:3]
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            if (
                not writes
                or not isinstance(path, (str, bytes))
                or os.fsdecode(path).startswith((*self._own, "/dev/null"))
            ):
                return
            os.write(2, f"FORBIDDEN: open {path!r} {mode}\n".encode())
        elif event.startswith(FORBIDDEN) and event not in HARMLESS:
            os.write(2, f"FORBIDDEN: {event} {str(arguments)[:100]}\n".encode())


def _judge(seen: Tried, command: Sequence[str], ended: Ended, size: int) -> None:
    """Note what is wrong with how a command ended."""
    name = command[0]
    if ended.seconds > seen.seconds:
        seen.seconds, seen.slowest = ended.seconds, name
    if ended.grown > seen.grown:
        seen.grown, seen.hungriest = ended.grown, name
    told = (*_ill_ended(ended), *_too_dear(name, ended, size), *_ill_said(seen.one, name, ended))
    seen.faults.extend(f"{name}: {fault}" for fault in told)


def _ill_ended(ended: Ended) -> Iterator[str]:
    if ended.status is None:
        yield "hangs"
    elif os.WIFSIGNALED(ended.status):
        yield f"died of signal {os.WTERMSIG(ended.status)}"
    elif os.WEXITSTATUS(ended.status) not in CODES:
        yield f"exit code {os.WEXITSTATUS(ended.status)}: {ended.err.decode(errors='replace')[-200:]}"
    for word in (b"FORBIDDEN: ", b"LEFT: ", b"Traceback"):
        if word in ended.err:
            yield ended.err[ended.err.index(word) :].splitlines()[0].decode(errors="replace")[:200]


def _too_dear(name: str, ended: Ended, size: int) -> Iterator[str]:
    if ended.seconds > (SECONDS + SECONDS_A_GB * size / 1e9) * (1 + (name == "bundle")):
        yield f"{ended.seconds:.1f} s for {size:,} bytes"
    if ended.grown > MEMORY + MEMORY_FOLD * size:
        yield f"{ended.grown / 1e6:,.0f} MB for {size:,} bytes"


def _ill_said(one: Input, name: str, ended: Ended) -> Iterator[str]:
    if CONTROL.search(ended.out + ended.err):
        yield "control characters in the output"
    if name == "analyze" and not one.target and DEATH_TOLD not in ended.out.lower():
        yield "the log beside it is not told"
    if name == "scan" and b"clean" in ended.out and one.name == "weights: shrinks":
        yield "called clean while it changed"


def _entries(folder: Path) -> Iterator[Path]:
    """Yield all that lies below a folder; `os.walk` recurses, and folders may lie a thousand deep."""
    left = [folder]
    while left:
        try:
            found = sorted(left.pop().iterdir())
        except OSError:  # closed, or its path is longer than the system takes
            continue
        yield from found
        left.extend(path for path in found if path.is_dir() and not path.is_symlink())


def _on_disk(path: Path) -> int:
    try:
        return path.lstat().st_blocks * 512
    except OSError:
        return 0


def _state(folder: Path) -> list[tuple[str, int, int, int]]:
    """Return names, kinds, sizes and times of change of all that a run holds."""
    made = []
    for path in _entries(folder):
        try:
            told = path.lstat()
        except OSError:
            continue
        made.append((os.fspath(path), told.st_mode, told.st_size, told.st_mtime_ns))
    return sorted(made)


def _held_now() -> int:
    with open("/proc/self/statm", encoding="ascii") as told:  # noqa: PTH123
        return int(told.read().split()[1]) * resource.getpagesize()
