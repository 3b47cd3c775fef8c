"""Archives that unpack to more than they are, lead out of their folder, or are none."""

import gzip
import io
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping

from fuzz.hostile.assembled import Member, zipped
from fuzz.hostile.inputs import Input, written
from fuzz.hostile.text_cases import STEPS


def _gzip_bomb(size: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = bytes(1 << 20)
    return b"".join(packer.compress(block) for _ in range(size >> 20)) + packer.flush()


def _tar(members: Mapping[str, bytes], **changed: object) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            for field, value in changed.items():
                setattr(member, field, value)
            archive.addfile(member, io.BytesIO(content))
    return made.getvalue()


def _nested(depth: int) -> bytes:
    content = STEPS
    for level in range(depth):
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("train.log" if not level else "inner.zip", content)
        content = made.getvalue()
    return content


def _empty(count: int) -> list[Member]:
    return [Member(name=b"run/%d.txt" % number) for number in range(count)]


def _log(name: bytes = b"run/train.log", **lies: object) -> Member:
    return Member(name=name, content=STEPS, **lies)  # type: ignore[arg-type]  # fields of the member


def _archives() -> Iterator[tuple[str, str, bytes | Callable[[], bytes]]]:
    yield "gzip of 1 GB in 1 MB", "train.log.gz", lambda: _gzip_bomb(1 << 30)
    yield "gzip of 8 GB in 8 MB", "train.log.gz", lambda: _gzip_bomb(8 << 30)
    yield "gzip, cut", "train.log.gz", gzip.compress(STEPS)[:-20]
    yield "gzip, text", "train.log.gz", STEPS
    yield "tar, a name outside", "run.tar.gz", _tar({"../../escaped.log": STEPS, "/tmp/escaped.log": STEPS})  # noqa: S108
    yield (
        "tar, a link outside",
        "run.tar.gz",
        _tar({"run/train.log": b""}, type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    )
    yield "tar, a device", "run.tar.gz", _tar({"run/train.log": b""}, type=tarfile.CHRTYPE, devmajor=1, devminor=5)
    yield "tar, a FIFO", "run.tar.gz", _tar({"run/train.log": b""}, type=tarfile.FIFOTYPE)
    yield "tar, cut", "run.tar.gz", _tar({"run/train.log": STEPS})[:-30]
    yield "tar of 1 GB in 1 MB", "run.tar.gz", lambda: _tar({"run/train.log": STEPS, "run/zeros.log": bytes(1 << 30)})
    yield "zip, a name outside", "run.zip", zipped([_log(b"../../escaped.log"), _log(b"/tmp/escaped.log")])
    yield "zip, an empty name", "run.zip", zipped([_log(b""), _log()])
    yield "zip, a name that is no text", "run.zip", zipped([_log(b"\xff\xfe.log"), _log()])
    yield "zip, names of one file", "run.zip", zipped([_log(), _log()])
    yield "zip, a file below a file", "run.zip", zipped([_log(b"run"), _log(b"run/train.log")])
    yield "zip, an encrypted member", "run.zip", zipped([_log(flags=1), _log(b"run/other.log")])
    yield "zip, a wrong checksum", "run.zip", zipped([_log(checksum=1)])
    yield "zip, a forged count", "run.zip", zipped([_log()], count=60_000)
    yield "zip, wide records", "run.zip", zipped([_log()], wide=True, count=1 << 60)
    yield "zip, cut", "run.zip", zipped([_log()])[:-15]
    yield "zip, an unknown method", "run.zip", zipped([_log(method=99, packed=STEPS)])
    bomb = Member(name=b"run/train.log", content=bytes(512 << 20), method=8)
    yield "zip of 512 MB in 512 KB", "run.zip", lambda: zipped([bomb])
    yield (
        "zip, bombs over one range",
        "run.zip",
        lambda: zipped(
            [
                bomb,
                *(
                    Member(name=b"run/%d.log" % n, has_local=False, packed=b"", header=0, stored=500_000)
                    for n in range(99)
                ),
            ]
        ),
    )
    yield "zip in a zip in a zip", "run.zip", _nested(12)
    yield "zip of 100,000 files", "run.zip", lambda: zipped(_empty(100_000), wide=True)


def inputs() -> Iterator[Input]:
    """Yield the class of archives, each given to the commands as a file and found in a run."""
    for name, place, content in _archives():
        yield Input("archive", name, written(content, place), place)
