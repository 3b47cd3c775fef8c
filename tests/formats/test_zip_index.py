"""The zip index against Python's zipfile on honest archives; lying ones are in `tests/hostile`."""

import io
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensics.errors import ForensicsError, LimitError, MalformedError
from forensics.formats.zip_index import Entry, damaged_entries, read_entry, read_index
from forensics.limits import Limits
from forensics.storage.file import File

CONTENT = {"a/data.pkl": b"pickle" * 9, "a/data/0": bytes(range(256)) * 3, "empty": b"", "näme": b"x"}


def archive(method: int = zipfile.ZIP_STORED, wide: bool = False) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as writer:
        for name, content in CONTENT.items():
            with writer.open(name, "w", force_zip64=wide) as stream:
                stream.write(content)
    return made.getvalue()


def file_of(content: bytes) -> File:
    return File.of_bytes(content, Path("archive.zip"))


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_entries_equal_zipfile(method: int, wide: bool) -> None:
    """Names, order and content are those that were written, stored or deflated, with and without zip64."""
    file = file_of(archive(method, wide))

    index = read_index(file)

    assert index.problems == ()
    assert {name: read_entry(file, entry, 10_000) for name, entry in index.entries.items()} == CONTENT
    assert list(index.entries) == list(CONTENT)


def test_more_than_65535_entries() -> None:
    """An archive that needs the zip64 directory record is read, and refused over the limit."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as writer:
        for number in range(66_000):
            writer.writestr(str(number), b"")
    file = file_of(made.getvalue())

    assert len(read_index(file).entries) == 66_000
    with pytest.raises(LimitError):
        read_index(file, Limits(zip_entries=65_999))


def test_entry_over_the_limit() -> None:
    """Nothing is inflated when the entry declares more than the caller allows."""
    file = file_of(archive(zipfile.ZIP_DEFLATED))
    entry = read_index(file).entries["a/data/0"]

    with pytest.raises(LimitError, match="768 bytes"):
        read_entry(file, entry, 767)


def test_bomb_is_not_inflated() -> None:
    """An entry that inflates past its declared size is refused without making what is too much."""
    bomb = zlib.compressobj(wbits=-15)
    packed = bomb.compress(bytes(32 << 20)) + bomb.flush()
    entry = Entry("bomb", 0, len(packed), 100, 8, 0)

    tracemalloc.start()
    with pytest.raises(MalformedError, match="zip bomb"):
        read_entry(file_of(packed), entry, 1000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 4 << 20


def test_damage_is_found_by_checksum() -> None:
    """A changed byte of an entry is found, and only that entry is named."""
    content = bytearray(archive())
    content[read_index(file_of(bytes(content))).entries["a/data/0"].offset] ^= 255
    file = file_of(bytes(content))

    assert [damage.entry.name for damage in damaged_entries(file, read_index(file))] == ["a/data/0"]


def test_window() -> None:
    """An archive inside a longer file is read through a window."""
    content = archive()
    file = file_of(b"#" * 100 + content + b"#" * 50).window(100, len(content))

    assert read_entry(file, read_index(file).entries["a/data.pkl"], 100) == CONTENT["a/data.pkl"]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_flipped_byte_ends_well(data: st.DataObject) -> None:
    """A changed byte gives a typed error or entries that lie inside the file."""
    content = bytearray(archive(data.draw(st.sampled_from([0, 8])), data.draw(st.booleans())))
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    file = file_of(bytes(content))
    try:
        index = read_index(file)
    except ForensicsError:
        return
    for entry in index.entries.values():
        assert 0 <= entry.offset <= entry.offset + entry.stored <= file.size
        try:
            read_entry(file, entry, 10_000)
        except MalformedError:
            continue
