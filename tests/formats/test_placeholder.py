"""What is not the file that its name promises."""

import pytest

from forensics.formats.placeholder import recognise

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d" * 32 + b"\nsize 12345\n"


@pytest.mark.parametrize(
    ("head", "size", "expected"),
    [
        (b"", 0, "empty"),
        (POINTER, len(POINTER), "a Git LFS pointer: the real file (12345 bytes) was never downloaded"),
        (POINTER[:40], 40, "a Git LFS pointer: the real file was never downloaded"),
        (bytes(64), 64, "all zero bytes"),
        (bytes(512), 1 << 30, "zero bytes (the first 512 at least)"),
        (b"\n <!DOCTYPE HTML><html>", 22, "an HTML page"),
        (b"<html><head>", 12, "an HTML page"),
        (
            b'<?xml version="1.0"?><Error><Code>AccessDenied',
            46,
            "an XML document (object stores answer errors so)",
        ),
        (b'{"error":"Repository not found"}', 32, "a JSON error message"),
        (b'{\n  "message": "Not Found"', 26, "a JSON error message"),
    ],
)
def test_placeholder_is_named(head: bytes, size: int, expected: str) -> None:
    """Each kind of placeholder is told in words."""
    assert recognise(head, size) == expected


@pytest.mark.parametrize(
    "head",
    [
        b"PK\x03\x04" + bytes(60),
        b"\x80\x02}q\x00.",
        b"\x93NUMPY\x01\x00",
        b"\x40\0\0\0\0\0\0\0" + b'{"__metadata__":{}}',
        b'{"log_history": []}',
        b"version https://example.org",
        b"step,loss\n",
    ],
)
def test_real_files_are_none(head: bytes) -> None:
    """The starts of real files are no placeholders."""
    assert recognise(head, len(head)) is None
