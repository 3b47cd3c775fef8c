"""Every pickle in a file: the torch file itself, other entries of its zip, the objects of a numpy array."""

from collections.abc import Iterator

from forensics.errors import MalformedError
from forensics.formats.npz import object_array
from forensics.formats.torch_file import read_pickle, read_torch
from forensics.formats.torch_zip import is_pickle_name
from forensics.formats.zip_index import Entry, read_entry, read_index
from forensics.limits import Limits
from forensics.storage.file import File

ZIP = b"PK\x03\x04"
NUMPY = b"\x93NUMPY"
PICKLE_ENDINGS = (".pkl", ".pickle", ".pt", ".pth", ".bin", ".dat", ".data", ".joblib", ".ckpt")
MOST_ENTRIES = 200
"""Entries of one archive that are looked into, and the bytes of each that are."""
ENTRY_BYTES = 1 << 20


def unsafe_names(file: File, limits: Limits) -> tuple[str, ...]:
    """Return the names by which the file would run code in a program that loads it, sorted.

    Raises an error of the `MalformedError` family when nothing in it can be read.
    """
    head = file.head(len(NUMPY))
    if head.startswith(NUMPY):
        return _of_array(file, limits)
    if head.startswith(ZIP):
        return tuple(sorted(set(_of_archive(file, limits))))
    return read_torch(file, limits).dangerous


def _of_archive(file: File, limits: Limits) -> Iterator[str]:
    met: MalformedError | None = None
    try:
        yield from read_torch(file, limits).dangerous
    except MalformedError as error:
        met = error
    index = read_index(file, limits)
    looked = [entry for entry in index.entries.values() if _may_hold_objects(entry)][:MOST_ENTRIES]
    if not looked and met is not None:
        raise met
    for entry in looked:
        try:
            content = read_entry(file, entry, ENTRY_BYTES)
            inner = File.of_bytes(content, file.path)
            yield from _of_array(inner, limits) if content.startswith(NUMPY) else read_pickle(inner, limits).dangerous
        except MalformedError:
            continue  # too long or no pickle: the readers of the archive tell what is broken


def _may_hold_objects(entry: Entry) -> bool:
    return entry.name.endswith((*PICKLE_ENDINGS, ".npy")) and not is_pickle_name(entry.name)


def _of_array(file: File, limits: Limits) -> tuple[str, ...]:
    start = object_array(file)
    return () if start is None else read_pickle(file.window(start, file.size - start), limits).dangerous
