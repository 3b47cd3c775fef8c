"""What a file system can do: links, FIFOs, sockets, devices, names, depth, holes, files that change while read."""

import os
import socket
import stat
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fuzz.hostile.inputs import Input
from fuzz.hostile.text_cases import STEPS
from fuzz.hostile.weights_cases import safetensors

READ_NAMES: tuple[str, ...] = (
    "train.log",
    "trainer_state.json",
    "config.yaml",
    "model.safetensors",
    "pytorch_model.bin",
    ".metadata",
)
READ_NAMES += ("events.out.tfevents.1.h", "metrics.csv", "train.log.gz", "optimizer.pt", "training_args.bin", "latest")
LINKS = (
    "/",
    "/etc/passwd",
    "/proc/self/environ",
    "/dev/zero",
    "/dev/tty",
    "/dev/stdin",
    "nothing",
    "..",
    "/proc/self/fd/0",
)
TERABYTE = 1 << 40
PIPE_NAMES = ("train.log", "model.safetensors", "metrics.csv")


def _links(folder: Path) -> None:
    for name, target in zip(READ_NAMES, LINKS, strict=False):
        (folder / name).symlink_to(target)
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")
    (folder / "self").symlink_to(".")


def _pipes(folder: Path) -> None:
    for name in READ_NAMES:
        os.mkfifo(folder / name)


def _pipe(name: str) -> Callable[[Path], object]:
    return lambda folder: os.mkfifo(folder / name)


def _sockets(folder: Path) -> None:
    for name in READ_NAMES:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(os.path.relpath(folder / name))


def _devices(folder: Path) -> None:
    """Make /dev/zero and /dev/random under names that are read; needs a privileged user."""
    for minor, name in enumerate(READ_NAMES):
        os.mknod(folder / name, 0o666 | stat.S_IFCHR, os.makedev(1, 5 if minor % 2 else 8))


def _unreadable(folder: Path) -> None:
    for name in READ_NAMES:
        (folder / name).write_bytes(STEPS)
        (folder / name).chmod(0)
    (folder / "closed").mkdir(0)


def _folders(folder: Path) -> None:
    for name in READ_NAMES:
        (folder / name).mkdir()


def _names(folder: Path) -> None:
    names: tuple[bytes, ...] = (
        b"tr\nain.log",
        b"\x1b[31mred.log",
        "\u202egol.log".encode(),
        b"a\xff.log",
        b"-rf.log",
        b"x" * 251 + b".log",
    )
    names += (b"<script>.log", b"|a|b|.log", "checkpoint-\u0661\u0662".encode(), "checkpoint-\u00b2".encode())
    names += (b"checkpoint-" + b"9" * 200, b"checkpoint--5", b"checkpoint-1_000", b"%s%n.log", b"$(id).log")
    for name in names:
        with open(os.path.join(os.fsencode(folder), name), "wb") as out:  # noqa: PTH118, PTH123  (names in bytes)
            out.write(STEPS)


def _deep(folder: Path) -> None:
    back = os.open(".", os.O_RDONLY)
    try:
        os.chdir(folder)
        for _ in range(1_200):
            os.mkdir("d")  # noqa: PTH102  (the path is longer than the system takes)
            os.chdir("d")
        Path("train.log").write_bytes(STEPS)
    finally:
        os.fchdir(back)
        os.close(back)


def _many(folder: Path) -> None:
    for number in range(20_000):
        (folder / f"file-{number}.log").touch()


def _saves(folder: Path) -> None:
    one = safetensors({"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}})
    for number in range(1_000):
        (folder / f"checkpoint-{number}").mkdir()
        (folder / f"checkpoint-{number}" / "model.safetensors").write_bytes(one)


def _hole(name: str, head: bytes, size: int = TERABYTE) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        with (folder / name).open("wb") as out:
            out.write(head)
            out.truncate(size)

    return make


def _tensor(size: int) -> bytes:
    return safetensors({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}, 0)


def _weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(_tensor(32 << 20) + os.urandom(32 << 20))


def _logged(folder: Path) -> None:
    (folder / "train.log").write_bytes(STEPS * 2_000)


@contextmanager
def changed_while_read(change: Callable[[], object]) -> Iterator[None]:
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.002):
            change()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _changing(name: str, how: str) -> Callable[[Path], object]:
    """Return what changes a file for as long as it is read: it grows, it shrinks, it is replaced or taken away."""

    @contextmanager
    def moved(folder: Path) -> Iterator[None]:
        path, kept = folder / name, (folder / name).read_bytes()
        state = [0]

        def change() -> None:
            state[0] += 1
            if how == "grows":
                with path.open("ab") as out:
                    out.write(STEPS[:4_000])
            elif how == "shrinks":
                os.truncate(path, len(kept) // (2 if state[0] % 2 else 1))
            elif how == "is replaced":
                beside = folder.parent / "beside"
                beside.write_bytes(kept[: len(kept) // (1 + state[0] % 3)])
                beside.replace(path)
            elif state[0] % 2:
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(kept)

        with changed_while_read(change):
            yield

    return moved


def inputs() -> Iterator[Input]:
    """Yield the classes of folders, of holes and of files that change."""
    for name, make in (
        ("links", _links),
        ("FIFOs", _pipes),
        ("sockets", _sockets),
        ("devices", _devices),
        ("unreadable", _unreadable),
        ("folders called files", _folders),
        ("names", _names),
        ("1,200 folders deep", _deep),
        ("20,000 files", _many),
        ("1,000 saves", _saves),
        ("empty", lambda _folder: None),
    ):
        yield Input("folder", name, make)
    for name in PIPE_NAMES:
        yield Input("folder", f"the FIFO {name} itself", _pipe(name), name)
    holes = (
        ("train.log", STEPS),
        ("trainer_state.json", b"{"),
        ("pytorch_model.bin", b"PK\x03\x04"),
        ("model.safetensors", _tensor(TERABYTE)),
        ("optimizer.pt", b"\x80\x02}"),
        ("metrics.csv", b"step,loss\n1,2.0\n"),
        ("events.out.tfevents.1.h", struct.pack("<Q", 10)),
        ("train.log.gz", b"\x1f\x8b\x08"),
        ("run.zip", b"PK\x03\x04"),
        ("run.tar", b"train.log"),
    )
    for name, head in holes:
        yield Input("1 TB of holes", name, _hole(name, head))
    yield Input("1 TB of holes", "a log of 1 GB without a line", _hole("train.log", STEPS, 1 << 30))
    for how in ("grows", "shrinks", "is replaced", "comes and goes"):
        yield Input("changing", f"weights: {how}", _weights, moved=_changing("model.safetensors", how))  # type: ignore[arg-type]  # a context
        yield Input("changing", f"a log: {how}", _logged, moved=_changing("train.log", how))  # type: ignore[arg-type]  # a context


def removed(folder: Path) -> None:
    """Remove a made folder, whatever its depth and its permissions."""
    # Python's own removal recurses, and gives up where a path is longer than the system takes.
    subprocess.run(["rm", "-rf", "--", str(folder)], check=False)  # noqa: S603, S607  (of our own folder)
