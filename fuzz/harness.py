"""Feed mutants to one target in a process of its own, and watch what it does, how long it takes and what it holds."""

import os
import pickle
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from forensics.errors import ForensicsError
from fuzz.mutations import mutated
from fuzz.targets import Target

SECONDS, SECONDS_A_MB = 2.0, 12.0
"""Processor time that a mutant may take, and what each of its megabytes adds: text is read at 2 MB/s or faster, and
five outputs are made of it."""
MEMORY = 400 << 20
"""How far the process may grow over all mutants of a target; a quarter of it for any one."""
FORBIDDEN = (
    "socket.",
    "subprocess.",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "pickle.find_class",
    "shutil.",
)
"""Audit events (PEP 578) that no parser may raise."""
HARMLESS = frozenset({"shutil.rmtree", "socket.gethostname"})
"""Events of a temporary folder, and of the name that reports mask."""


Answer = TypeVar("Answer")


@dataclass(slots=True)
class Seen:
    """What a target did with its mutants: faults as (what, the mutant), one of a kind, and the slowest mutant."""

    name: str
    tried: int = 0
    refused: int = 0
    slowest: float = 0.0
    slow: bytes = b""
    grown: int = 0
    faults: list[tuple[str, bytes]] = field(default_factory=list)


class Explorer:
    """One target under watch; an audit hook cannot be removed, so there is one explorer a process."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.seen = Seen(target.name)
        self.kinds: set[str] = set()
        self.watching = False
        self.met = ""
        sys.addaudithook(self._notice)

    def explore(self, seconds: float, seed: int) -> Seen:
        """Feed mutants for about so many seconds."""
        chance = random.Random(f"{self.target.name}:{seed}")
        seeds = [content for content in self.target.seeds() if content]
        with tempfile.TemporaryDirectory(prefix="medforensics-fuzz-") as made:
            place = Path(made) / "run"
            for content in seeds:
                self.feed(content, place)
            self.seen.tried = self.seen.refused = 0
            begin, until = held(), time.monotonic() + seconds
            while time.monotonic() < until:
                self.feed(mutated(chance.choice(seeds), seeds, chance), place)
            self.seen.grown = max(0, held() - begin)
        if self.seen.grown > MEMORY:
            self.seen.faults.append((f"memory: the process grew by {self.seen.grown >> 20} MB", b""))
        return self.seen

    def feed(self, content: bytes, place: Path) -> None:
        """Feed one mutant, and note what is wrong with what the target did."""
        place.mkdir()
        begin, started = held(), time.process_time()
        fault = self._fault(content, place)
        spent = time.process_time() - started
        shutil.rmtree(place)
        self.seen.tried += 1
        if spent > self.seen.slowest:
            self.seen.slowest, self.seen.slow = spent, content
        if not fault and spent > SECONDS + SECONDS_A_MB * len(content) / 1e6:
            fault = f"slow: {spent:.1f} s for {len(content):,} bytes"
        if not fault and held() - begin > MEMORY // 4:
            fault = f"memory: {(held() - begin) >> 20} MB for {len(content):,} bytes"
        kind = fault.partition(":")[0] + fault.rpartition(" at ")[2]
        if fault and kind not in self.kinds:
            self.kinds.add(kind)
            self.seen.faults.append((fault, content))

    def _fault(self, content: bytes, place: Path) -> str:
        self.watching, self.met = True, ""
        try:
            self.target.feed(content, place)
        except ForensicsError:
            self.seen.refused += 1
        except Exception as error:  # noqa: BLE001  (this is what is looked for)
            return f"{type(error).__name__}: {str(error)[:200]} at {_where(error)}"
        finally:
            self.watching = False
        return f"{self.met}: no parser may do this" if self.met else ""

    def _notice(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.watching and not self.met and event.startswith(FORBIDDEN) and event not in HARMLESS:
            self.met = f"{event} {str(arguments)[:100]}"


def held() -> int:
    """Return the most bytes that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _where(error: BaseException) -> str:
    """Return the innermost line of the package in the error's traceback."""
    frames, last = error.__traceback__, ""
    while frames is not None:
        path = Path(frames.tb_frame.f_code.co_filename)
        last = f"{path.name}:{frames.tb_lineno}" if "forensics" in path.parts else last
        frames = frames.tb_next
    return last


def apart(target: Target, seconds: float, seed: int) -> Seen:
    """Explore in a child process, so that one target's memory, and its death, are its own."""
    seen, status = in_child(lambda: Explorer(target).explore(seconds, seed))
    return seen or Seen(target.name, faults=[(f"died: status {status}", b"")])


def in_child(work: Callable[[], Answer]) -> tuple[Answer | None, int]:
    """Return what a child process answers, None when it dies, and its status."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            os.close(reading)
            with os.fdopen(writing, "wb") as out:
                pickle.dump(work(), out)
            status = 0
        except BaseException:  # noqa: BLE001  (a child that goes on would be a second parent)
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        answer = told.read()
    _, status = os.waitpid(child, 0)
    return (pickle.loads(answer) if answer else None), status  # noqa: S301  (of our own child)


def kept(seen: Seen, folder: Path) -> Iterator[str]:
    """Write each fault's mutant and the slowest one into a folder, and say where the faults are."""
    name = seen.name.replace(" ", "-")
    (folder / f"{name}-slowest").write_bytes(seen.slow)
    for number, (what, content) in enumerate(seen.faults):
        path = folder / f"{name}-{number}"
        path.write_bytes(content)
        yield f"{seen.name}: {what}: {path}"
