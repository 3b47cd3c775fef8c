"""Recognise what was saved in the place of a file: a Git LFS pointer, an error page, zeros after a crash."""

from forensics.deferred.patterns import expression

HEAD_BYTES = 512
_POINTER = b"version https://git-lfs"  # git-lfs `docs/spec.md`: the first line of every pointer
_POINTER_SIZE = expression(rb"\nsize (\d{1,20})\r?\n?")
_PAGE = (b"<!doctype html", b"<html", b"<head")
_ERROR = expression(rb'\s*\{\s*"(?:error|errors|message|detail|code|status)"\s*:')


def recognise(head: bytes, size: int) -> str | None:
    """Say what a file is that cannot be what its name promises, or return None.

    `head` is its first bytes (512 are enough), `size` its length in bytes.

    >>> recognise(b"<!DOCTYPE html><html>403", 24)
    'an HTML page'
    """
    if size == 0 or not head:
        return "empty"
    if head.startswith(_POINTER):
        found = _POINTER_SIZE.search(head)
        wanted = f" ({int(found[1])} bytes)" if found else ""
        return f"a Git LFS pointer: the real file{wanted} was never downloaded"
    if not head.strip(b"\0"):
        return "all zero bytes" if len(head) >= size else f"zero bytes (the first {len(head)} at least)"
    return _answer(head)


def _answer(head: bytes) -> str | None:
    """Tell what a web server answered instead of the file."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(_PAGE):
        return "an HTML page"
    if text.startswith(b"<?xml"):
        return "an XML document (object stores answer errors so)"
    return "a JSON error message" if _ERROR.match(head) else None
