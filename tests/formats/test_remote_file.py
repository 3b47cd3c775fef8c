"""Files of stores and web servers behind the interface of `File`, and what servers do wrong."""

import os
import random
import socket
import sys
from pathlib import Path

import pytest

from forensics.errors import AbsentError, ChangedError, ForensicsError, RemoteError, TruncatedError, UsageError
from forensics.storage.file import File
from forensics.storage.locations import Locations, RemotePath, is_url, place_of
from forensics.storage.remote_file import PAGE_BYTES, REQUEST_BYTES
from range_server import serving

fsspec = pytest.importorskip("fsspec")
pytest.importorskip("aiohttp")

RAW = random.Random(5).randbytes(3 * PAGE_BYTES + 17)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forensics.storage.remote_http.PAUSE_SECONDS", 0.0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def remote(text: str) -> RemotePath:
    place = place_of(text)
    assert isinstance(place, RemotePath)
    return place


def ranges(file: File) -> None:
    """Compare ranges of every size and place with the bytes, also through a window."""
    assert file.size == len(RAW)
    for offset, size in [(0, 8), (1, PAGE_BYTES), (PAGE_BYTES - 3, 7), (5, 2 * PAGE_BYTES + 1), (len(RAW), 0)]:
        assert file.read(offset, size) == RAW[offset : offset + size]
        made = bytearray(size)
        file.read_into(offset, memoryview(made))
        assert made == RAW[offset : offset + size]
    assert file.window(100, 50).read(10, 20) == RAW[110:130]
    assert b"".join(file.blocks(70_000)) == RAW
    with pytest.raises(TruncatedError):
        file.read(len(RAW) - 1, 2)


def test_a_web_server_gives_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(RAW)
    with serving(tmp_path) as server, File(remote(f"{server.url}/w.bin")) as file:
        ranges(file)
        file.check_unchanged()


def test_a_store_gives_the_bytes() -> None:
    fsspec.filesystem("memory").pipe_file("/here/w.bin", RAW)
    with File(remote("memory://here/w.bin")) as file:
        ranges(file)
        file.check_unchanged()


def test_large_reads_are_asked_for_in_bounded_ranges(tmp_path: Path) -> None:
    """A range over several requests is the bytes, and no request is larger than the bound."""
    raw = os.urandom(REQUEST_BYTES + 12_345)
    (tmp_path / "w.bin").write_bytes(raw)
    with serving(tmp_path) as server, File(remote(f"{server.url}/w.bin")) as file:
        assert file.read(3, len(raw) - 3) == raw[3:]
        asked = [text.removeprefix("bytes=").partition("-") for _, text in server.asked]

    assert max(int(last) - int(first) + 1 for first, _, last in asked) == REQUEST_BYTES


def test_small_reads_share_a_page(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(RAW)
    with serving(tmp_path) as server, File(remote(f"{server.url}/w.bin")) as file:
        for offset in range(0, 4000, 40):
            file.read(offset, 40)

        assert len(server.asked) == 1


def test_an_empty_file_is_one(tmp_path: Path) -> None:
    (tmp_path / "w.bin").touch()
    with serving(tmp_path) as server, File(remote(f"{server.url}/w.bin")) as file:
        assert (file.size, file.head(10)) == (0, b"")


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ("status 404", AbsentError, "404"),
        ("status 403", RemoteError, "does not let it be read"),
        ("status 500", RemoteError, "status 500"),
        ("cut", RemoteError, "broke off"),
        ("other range", RemoteError, "another range"),
    ],
)
def test_what_a_server_does_wrong_is_told(tmp_path: Path, fault: str, error: type[RemoteError], words: str) -> None:
    (tmp_path / "w.bin").write_bytes(RAW)
    with serving(tmp_path, fault) as server, pytest.raises(error, match=words):
        File(remote(f"{server.url}/w.bin"))


def test_a_passing_fault_is_asked_again(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(RAW)
    with serving(tmp_path, "once 503") as server, File(remote(f"{server.url}/w.bin")) as file:
        assert file.head(9) == RAW[:9]


def test_a_server_without_ranges_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The large file is not taken for its range; a small one is read whole and right."""
    (tmp_path / "w.bin").write_bytes(RAW)
    with serving(tmp_path, "no ranges") as server:
        with File(remote(f"{server.url}/w.bin")) as file:
            assert file.read(1000, 5000) == RAW[1000:6000]
        monkeypatch.setattr("forensics.storage.remote_http.WHOLE_BYTES", 1000)
        with pytest.raises(RemoteError, match="ignores byte ranges"):
            File(remote(f"{server.url}/w.bin"))


def test_a_server_that_stops_serving_ranges_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(RAW)
    with serving(tmp_path) as server, File(remote(f"{server.url}/w.bin")) as file:
        server.fault = "no ranges"
        with pytest.raises(RemoteError, match="stopped to serve"):
            file.read(PAGE_BYTES, 2 * PAGE_BYTES)


def test_another_range_later_is_not_taken_for_the_right_one(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(RAW)
    with serving(tmp_path) as server, File(remote(f"{server.url}/w.bin")) as file:
        server.fault = "other range"
        with pytest.raises(RemoteError, match="another range"):
            file.read(PAGE_BYTES, 2 * PAGE_BYTES)


@pytest.mark.parametrize("change", ["size", "mark", "gone"])
def test_a_file_that_changes_meanwhile_is_noticed(tmp_path: Path, change: str) -> None:
    """By the next range and by the check at the end."""
    path = tmp_path / "w.bin"
    path.write_bytes(RAW)
    with serving(tmp_path) as server, File(remote(f"{server.url}/w.bin")) as file:
        if change == "size":
            path.write_bytes(RAW + b"more")
        elif change == "mark":
            server.fault = "new mark"
        else:
            path.unlink()
        with pytest.raises(ChangedError):
            file.check_unchanged()
        with pytest.raises((ChangedError, AbsentError)):
            file.read(PAGE_BYTES, 2 * PAGE_BYTES)


def test_a_store_whose_file_changes_is_noticed() -> None:
    store = fsspec.filesystem("memory")
    store.pipe_file("/here/changing.bin", RAW)
    with File(remote("memory://here/changing.bin")) as file:
        store.pipe_file("/here/changing.bin", RAW[:-PAGE_BYTES])
        with pytest.raises(ChangedError):
            file.read(PAGE_BYTES, len(RAW) - PAGE_BYTES)
        with pytest.raises(ChangedError):
            file.check_unchanged()


def test_a_refused_connection_and_a_silent_server_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forensics.storage.remote_http.SILENCE_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(RemoteError, match="in time"):
            File(remote(f"http://127.0.0.1:{port}/w.bin"))
    with pytest.raises(RemoteError, match="no connection"):
        File(remote(f"http://127.0.0.1:{port}/w.bin"))


def test_user_and_query_are_sent_and_never_shown(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(RAW)
    with serving(tmp_path) as server:
        place = remote(f"{server.url.replace('//', '//me:hunter2@')}/w.bin?sig=verysecret")
        with File(place) as file:
            file.head(1)
        server.fault = "status 404"
        with pytest.raises(AbsentError) as told:
            File(place)

        assert "sig=verysecret" in server.queries
        assert "Basic bWU6aHVudGVyMg==" in server.authorizations
    assert all("secret" not in text and "hunter2" not in text for text in (str(place), repr(place), str(told.value)))


@pytest.mark.parametrize("scheme", ["s3", "gs", "hf"])
def test_a_protocol_without_its_package_says_what_to_install(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from forensics.storage.remote_store import PACKAGES

    monkeypatch.setitem(sys.modules, PACKAGES[scheme], None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, scheme, raising=False)
    with pytest.raises(UsageError, match=f"pip install {PACKAGES[scheme]}"):
        File(remote(f"{scheme}://bucket/w.bin"))


def test_without_fsspec_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("forensics.storage.remote_http", "forensics.storage.remote_store"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "fsspec", None)
    for url in ("https://127.0.0.1/w.bin", "memory://w.bin"):
        with pytest.raises(UsageError, match=r"medforensics\[remote\]"):
            File(remote(url))


def test_an_unknown_protocol_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no store is known by quux://"):
        File(remote("quux://bucket/w.bin"))


def test_what_a_store_raises_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the library of a store raises is one `RemoteError`."""
    memory = fsspec.get_filesystem_class("memory")

    def fails(*_: object, **__: object) -> bytes:
        raise RuntimeError("first line\nsecond line")

    fsspec.filesystem("memory").pipe_file("/here/w.bin", RAW)
    with File(remote("memory://here/w.bin")) as file:
        monkeypatch.setattr(memory, "cat_file", fails)
        with pytest.raises(RemoteError, match=r"RuntimeError: first line\)$"):
            file.read(0, 10)
    with pytest.raises(AbsentError):
        File(remote("memory://here/nothing.bin"))


def test_only_what_a_user_named_is_remote() -> None:
    """A path that looks like a URL and is below none that was named is one of this machine."""
    root = Locations((remote("s3://bucket/run"), remote("https://h/a/w.bin?x=1")))

    assert root / "s3://bucket/run/a/b" == remote("s3://bucket/run") / "a/b"
    assert root / "https://h/a/w.bin" == remote("https://h/a/w.bin?x=1")
    assert [root / path for path in ("s3://bucket/runner", "https://h/a/other", "data/x")] == [
        Path("/s3:/bucket/runner"),
        Path("/https:/h/a/other"),
        Path("/data/x"),
    ]


def test_files_of_this_machine_have_no_url() -> None:
    assert [is_url(text) for text in ("file:///data", "out/x", "C:/x", "s3:/one-slash")] == [False] * 4
    assert place_of("file:///data/run") == Path("/data/run")
    assert issubclass(RemoteError, ForensicsError)
