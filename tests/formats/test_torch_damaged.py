"""Files that were cut off or changed: what is reported intact is intact, and nothing else escapes."""

import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensics.errors import ForensicsError, MalformedError, TruncatedError
from forensics.formats.pickle_values import StoredTensor
from forensics.formats.torch_file import TorchFile, named_tensors, plain, read_torch
from forensics.formats.zip_index import damaged_entries, read_index
from forensics.storage.file import File

torch = pytest.importorskip("torch")


def file_of(zipped: bool) -> bytes:
    """A small checkpoint whose every tensor has its own, recognisable bytes."""
    generator = torch.Generator().manual_seed(1)
    shared = torch.randn(40, generator=generator)
    state = {
        "model": {f"layer.{i}": torch.randn(5 + 9 * i, generator=generator) for i in range(6)},
        "half": torch.randn(33, generator=generator).to(torch.bfloat16),
        "head": shared[:10],
        "tail": shared[30:],
        "step": 7,
        "settings": {"lr": 1e-4, "names": ["a", "b"]},
    }
    buffer = io.BytesIO()
    torch.save(state, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


FILES = {"zip": file_of(True), "legacy": file_of(False)}


def read(content: bytes) -> TorchFile:
    return read_torch(File.of_bytes(content, Path("saved.pt")))


def content_of(content: bytes, tensor: StoredTensor) -> bytes:
    return content[tensor.offset : tensor.offset + tensor.nbytes]


def whole(kind: str) -> dict[str, bytes]:
    content = FILES[kind]
    return {name: content_of(content, tensor) for name, tensor in named_tensors(read(content).value)}


@pytest.mark.parametrize("kind", FILES)
def test_cut_anywhere(kind: str) -> None:
    """Cut at 150 places: every tensor that is reported intact has its right bytes, and more appear the later."""
    content, expected = FILES[kind], whole(kind)
    counts = []
    for end in range(1, len(content), max(1, len(content) // 150)):
        try:
            saved = read(content[:end])
        except MalformedError:
            counts.append(0)
            continue
        tensors = dict(named_tensors(saved.value))
        intact = {name: content_of(content, tensor) for name, tensor in tensors.items() if tensor.problem is None}
        assert saved.partial
        assert intact.items() <= expected.items()
        assert all(tensor.offset + tensor.nbytes <= end for tensor in tensors.values())
        counts.append(len(intact))

    assert counts == sorted(counts)
    assert set(counts) >= {0, 1, 4}


@pytest.mark.parametrize("kind", FILES)
def test_cut_in_a_shared_storage(kind: str) -> None:
    """When a shared storage is cut, the view in front of the cut stays intact and the one behind does not."""
    tensors = dict(named_tensors(read(FILES[kind]).value))
    saved = read(FILES[kind][: tensors["tail"].offset + 8])
    cut = dict(named_tensors(saved.value))

    assert (cut["head"].problem, cut["tail"].problem) == (None, "cut off: 128 of 160 bytes are there")
    assert isinstance(saved.value, dict)
    assert plain(saved.value["settings"]) == {"lr": 1e-4, "names": ["a", "b"]}


def test_zeros_instead_of_the_end() -> None:
    """A zip whose tail was lost to zeros (power failure) lists only what lies before them."""
    content = FILES["zip"]
    tensors = dict(named_tensors(read(content).value))
    position = tensors["model.layer.3"].offset + 40
    saved = read(content[:position] + bytes(len(content) - position))

    intact = {name for name, tensor in named_tensors(saved.value) if tensor.problem is None}
    assert intact == {"model.layer.0", "model.layer.1", "model.layer.2"}
    assert saved.partial


def test_one_flipped_bit_is_found_by_checksum() -> None:
    """The directory's checksums name the storage whose byte changed."""
    content = bytearray(FILES["zip"])
    tensors = dict(named_tensors(read(bytes(content)).value))
    content[tensors["model.layer.2"].offset + 5] ^= 1
    file = File.of_bytes(bytes(content), Path("saved.pt"))

    key = tensors["model.layer.2"].storage.key
    assert [damage.entry.name for damage in damaged_entries(file, read_index(file))] == [f"archive/data/{key}"]


def test_zip_without_directory_has_none() -> None:
    """Without its end a zip has no index: the error says so."""
    content = FILES["zip"][:-30]

    with pytest.raises(TruncatedError, match="no zip directory"):
        read_index(File.of_bytes(content, Path("saved.pt")))


@settings(max_examples=150, deadline=None)
@given(kind=st.sampled_from(sorted(FILES)), data=st.data())
def test_any_flipped_byte_ends_well(kind: str, data: st.DataObject) -> None:
    """Any byte changed to any other gives a result or a typed error, and every view stays inside the file."""
    content = bytearray(FILES[kind])
    # Headers, pickles and directories, where a byte means something, are all in here.
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] = data.draw(st.integers(0, 255))
    check(bytes(content))


@settings(max_examples=100, deadline=None)
@given(kind=st.sampled_from(sorted(FILES)), data=st.data())
def test_any_piece_ends_well(kind: str, data: st.DataObject) -> None:
    """Any prefix, with any few bytes behind it, gives a result or a typed error."""
    content = FILES[kind]
    end = data.draw(st.integers(0, len(content)))
    check(content[:end] + data.draw(st.binary(max_size=40)))


@settings(max_examples=300, deadline=None)
@given(start=st.sampled_from([b"", b"\x80\x02", b"\x80\x04", b"PK\x03\x04", b"\x80\x02}("]), rest=st.binary())
def test_any_bytes_end_well(start: bytes, rest: bytes) -> None:
    """Arbitrary bytes, also behind the start of a real format, give a result or a typed error."""
    check(start + rest)


def check(content: bytes) -> None:
    try:
        saved = read(content)
    except ForensicsError:
        return
    for _, tensor in named_tensors(saved.value):
        if tensor.problem is None and tensor.elements:
            assert tensor.offset >= 0
            assert tensor.offset + tensor.nbytes <= len(content)
    plain(saved.value)
