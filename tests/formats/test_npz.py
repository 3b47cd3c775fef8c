"""numpy's files against numpy."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forensics.formats.npz import read_numpy
from forensics.storage.file import File

ARRAYS: dict[str, Any] = {
    "f4": np.arange(12, dtype=np.float32).reshape(3, 4),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "i1": np.array([-1, 2], np.int8),
    "flag": np.array([True, False]),
    "complex": np.array([1 + 2j]),
    "scalar": np.float64(3.5),
    "empty": np.zeros((0, 4), np.float16),
}
SPELLINGS = {
    "f4": "F32",
    "fortran": "F64",
    "i1": "I8",
    "flag": "BOOL",
    "complex": "C128",
    "scalar": "F64",
    "empty": "F16",
}


def file_of(content: bytes, name: str = "x.npz") -> File:
    return File.of_bytes(content, Path(name))


def npz(**arrays: Any) -> bytes:
    made = io.BytesIO()
    np.savez(made, **arrays)
    return made.getvalue()


def test_every_array_equals_numpy() -> None:
    """Name, dtype, shape, order and every byte are those that numpy wrote."""
    content = npz(**ARRAYS)

    arrays = {array.name: array for array in read_numpy(file_of(content)).arrays}

    assert {name: array.dtype for name, array in arrays.items()} == SPELLINGS
    for name, expected in ARRAYS.items():
        found = arrays[name]
        raw = content[found.offset : found.offset + found.nbytes]
        flat = np.frombuffer(raw, np.asarray(expected).dtype)
        made = flat.reshape(found.shape[::-1]).T if found.fortran else flat.reshape(found.shape)
        assert made.tolist() == expected.tolist(), name


def test_single_array(tmp_path: Path) -> None:
    """A `.npy` file is one array with the file's name."""
    path = tmp_path / "loss.npy"
    np.save(path, np.ones((2, 2)))

    with File(path) as file:
        (array,) = read_numpy(file).arrays

    assert (array.name, array.dtype, array.shape, array.nbytes) == ("loss", "F64", (2, 2), 32)
    assert array.offset == path.stat().st_size - 32


def test_version_2_header() -> None:
    """A header in the second format version (four bytes of length) is read."""
    made = io.BytesIO()
    np.lib.format.write_array(made, np.arange(3), version=(2, 0))

    (array,) = read_numpy(file_of(made.getvalue(), "v.npy")).arrays

    assert (array.shape, array.nbytes) == ((3,), 24)


def test_objects_are_refused_and_cost_nothing_else() -> None:
    """An array of objects is named while the numbers beside it are listed."""
    found = read_numpy(file_of(npz(good=np.ones(2), bad=np.array([{}], dtype=object))))

    assert [array.name for array in found.arrays] == ["good"]
    assert found.problems == ("array 'bad' holds Python objects (a pickle): refused",)


def test_compressed_arrays_are_unread() -> None:
    """What `savez_compressed` wrote is not read as if it were plain numbers, and is no damage."""
    made = io.BytesIO()
    np.savez_compressed(made, x=np.zeros(100))

    found = read_numpy(file_of(made.getvalue()))

    assert (found.arrays, found.problems) == ((), ())
    assert "compressed" in found.unread[0]


@pytest.mark.parametrize(
    "array", [np.array(["text"]), np.zeros(2, ">f4"), np.zeros(2, [("a", "<f4")])], ids=["text", "big", "record"]
)
def test_other_dtypes_are_refused(array: Any) -> None:
    """Text, big-endian numbers and records are named, not misread."""
    found = read_numpy(file_of(npz(x=array)))

    assert (found.arrays, found.problems) == ((), ())
    assert "of the dtype" in found.unread[0]


def test_cut_array() -> None:
    """A file that ends inside its data says how much is missing."""
    made = io.BytesIO()
    np.save(made, np.ones(100))

    found = read_numpy(file_of(made.getvalue()[:-1], "x.npy"))

    assert found.problems == ("array 'x' needs 800 bytes, 799 are there",)
