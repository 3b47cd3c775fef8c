"""The reader against torch itself, on files that torch wrote."""

import io
import struct
import tarfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forensics.errors import LimitError, MalformedError
from forensics.formats.pickle_values import StoredTensor
from forensics.formats.torch_file import TorchFile, named_tensors, read_elements, read_torch
from forensics.storage.file import File

torch = pytest.importorskip("torch")

BOTH_FORMATS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
SPELLINGS = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.uint16: "U16",
    torch.uint32: "U32",
    torch.uint64: "U64",
    torch.bool: "BOOL",
    torch.complex64: "C64",
    torch.complex128: "C128",
    torch.complex32: "C32",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
    torch.float8_e4m3fnuz: "F8_E4M3FNUZ",
    torch.float8_e5m2fnuz: "F8_E5M2FNUZ",
    torch.float8_e8m0fnu: "F8_E8M0",
}


def save(value: object, path: Path, zipped: bool = True) -> Path:
    torch.save(value, path, _use_new_zipfile_serialization=zipped)
    return path


def read(path: Path) -> tuple[TorchFile, dict[str, StoredTensor]]:
    with File(path) as file:
        saved = read_torch(file)
    return saved, dict(named_tensors(saved.value))


def raw_bytes(tensor: Any) -> bytes:
    """The elements of a torch tensor in C order."""
    contiguous = tensor.detach().clone(memory_format=torch.contiguous_format)
    return bytes(contiguous.untyped_storage())


def elements(path: Path, tensor: StoredTensor) -> bytes:
    """The elements of a stored tensor in C order, fetched by its offset and strides alone."""
    with File(path) as file:
        flat = np.frombuffer(file.read(tensor.offset, tensor.nbytes), np.uint8)
    width = len(flat) // max(1, 1 + sum((d - 1) * s for d, s in zip(tensor.shape, tensor.strides, strict=True)))
    if tensor.elements == 0:
        return b""
    view = np.lib.stride_tricks.as_strided(
        flat.view(f"V{width}"), tensor.shape, [stride * width for stride in tensor.strides]
    )
    return view.tobytes()


def everything() -> dict[str, Any]:
    """Tensors of every dtype and of every way to lie in a storage."""
    made: dict[str, Any] = {}
    generator = torch.Generator().manual_seed(3)
    for dtype in SPELLINGS:
        bits = torch.randint(0, 255, (6 * dtype.itemsize,), dtype=torch.uint8, generator=generator)
        made[f"dtype.{dtype}"] = (bits % 2 if dtype == torch.bool else bits).view(dtype).reshape(2, 3)
    base = torch.arange(60, dtype=torch.float32).reshape(3, 4, 5)
    made |= {
        "base": base,
        "view": base[1:, 2],
        "transposed": base.transpose(0, 2),
        "stepped": base[:, ::2, 1::2],
        "expanded": torch.arange(3.0).reshape(3, 1).expand(3, 4),
        "row": base.as_strided((1, 5), (100, 1)),
        "scalar": torch.tensor(7.5),
        "empty": torch.empty(0, 4),
        "empty_turned": torch.empty(0, 4).T,
        "parameter": torch.nn.Parameter(torch.randn(3)),
        "frozen": torch.nn.Parameter(torch.randn(3), requires_grad=False),
        "tied": base,
    }
    return made


@pytest.mark.filterwarnings("ignore:ComplexHalf support:UserWarning")
@BOTH_FORMATS
def test_every_tensor_equals_torch(tmp_path: Path, zipped: bool) -> None:
    """Dtype, shape, strides, gradient flag and every byte of every tensor are those that torch wrote."""
    # Not compared with what torch loads: it cannot read its own legacy files with 8-bit floats (2.13).
    oracle = everything()
    path = save(oracle, tmp_path / "all.pt", zipped)

    saved, tensors = read(path)

    assert (saved.problems, saved.partial, saved.dangerous) == ((), False, ())
    assert tensors.keys() == oracle.keys()
    for name, expected in oracle.items():
        found = tensors[name]
        facts = (found.dtype, found.shape, found.strides, found.requires_grad, found.problem)
        assert facts == (
            SPELLINGS[expected.dtype],
            tuple(expected.shape),
            expected.stride(),
            expected.requires_grad,
            None,
        ), name
        assert found.contiguous == expected.is_contiguous(), name
        assert elements(path, found) == raw_bytes(expected), name


@pytest.mark.filterwarnings("ignore:ComplexHalf support:UserWarning")
@BOTH_FORMATS
def test_shared_storage_is_one_storage(tmp_path: Path, zipped: bool) -> None:
    """Views of one storage and tied tensors keep pointing to the same bytes."""
    _, tensors = read(save({k: v for k, v in everything().items() if "." not in k}, tmp_path / "s.pt", zipped))

    assert tensors["tied"] is tensors["base"]
    assert tensors["view"].storage is tensors["base"].storage
    assert tensors["view"].offset == tensors["base"].offset + 4 * (20 + 10)


@BOTH_FORMATS
def test_state_after_a_real_step(tmp_path: Path, zipped: bool) -> None:
    """Optimizer and scheduler state after one step is read to the number."""
    model = torch.nn.Linear(4, 3)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.98))
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5**step)
    model(torch.ones(2, 4)).sum().backward()
    optimizer.step()
    scheduler.step()
    state = {"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict(), "model": model.state_dict()}
    path = save(state, tmp_path / "state.pt", zipped)

    saved, tensors = read(path)

    assert isinstance(saved.value, dict)
    assert saved.value["optimizer"]["param_groups"] == optimizer.state_dict()["param_groups"]
    assert saved.value["scheduler"] == scheduler.state_dict()
    moment = optimizer.state_dict()["state"][0]["exp_avg_sq"]
    with File(path) as file:
        assert read_elements(file, tensors["optimizer.state.0.step"]).item() == 1.0
        assert read_elements(file, tensors["optimizer.state.0.exp_avg_sq"]).tolist() == moment.tolist()
    assert isinstance(saved.value["model"], dict)
    assert list(saved.value["model"]) == ["weight", "bias"]


def test_elements_are_values(tmp_path: Path) -> None:
    """bfloat16 becomes the same float32, strided views their values, empty tensors empty arrays."""
    numbers = torch.randn(4, 3)
    path = save(
        {"half": numbers.to(torch.bfloat16), "turned": numbers.T, "none": torch.empty(0, dtype=torch.int32)},
        tmp_path / "v.pt",
    )

    _, tensors = read(path)

    with File(path) as file:
        assert read_elements(file, tensors["half"]).tolist() == numbers.to(torch.bfloat16).float().tolist()
        assert read_elements(file, tensors["turned"]).tolist() == numbers.T.tolist()
        assert read_elements(file, tensors["none"]).dtype == np.int32
        with pytest.raises(LimitError):
            read_elements(file, tensors["turned"], 47)


def test_window_on_several_files(tmp_path: Path) -> None:
    """Zips one behind the other (as in `.distcp` files) are read through windows, with absolute offsets."""
    blobs = []
    for value in (1.0, 2.0):
        buffer = io.BytesIO()
        torch.save(torch.full((3,), value), buffer)
        blobs.append(buffer.getvalue())
    path = tmp_path / "__0_0.distcp"
    path.write_bytes(b"".join(blobs))

    with File(path) as file:
        saved = read_torch(file.window(len(blobs[0]), len(blobs[1])))
        assert isinstance(saved.value, StoredTensor)
        assert saved.value.offset > len(blobs[0])
        assert read_elements(file, saved.value).tolist() == [2.0] * 3


def test_tensors_inside_a_plain_pickle(tmp_path: Path) -> None:
    """`pickle.dump` of tensors nests whole torch files; their bytes are still found in the outer file."""
    import pickle

    path = tmp_path / "plain.pkl"
    with path.open("wb") as stream:
        pickle.dump({"a": torch.arange(100.0), "b": torch.ones(2)}, stream, protocol=4)

    saved, tensors = read(path)

    assert saved.kind == "pickle"
    with File(path) as file:
        assert read_elements(file, tensors["a"]).tolist() == list(range(100))
        assert read_elements(file, tensors["b"]).tolist() == [1.0, 1.0]


def test_whole_module(tmp_path: Path) -> None:
    """A model saved as an object names its tensors like its state dict."""
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))

    _, tensors = read(save(model, tmp_path / "model.pt"))

    assert {name: tensor.shape for name, tensor in tensors.items()} == {
        name: tuple(tensor.shape) for name, tensor in model.state_dict().items()
    }


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
def test_meta_and_quantized_tensors(tmp_path: Path) -> None:
    """A meta tensor says that it has no data; a quantized one keeps its integer bytes."""
    quantized = torch.quantize_per_tensor(torch.arange(4.0), 0.5, 3, torch.qint8)
    path = save({"meta": torch.empty(3, device="meta"), "quantized": quantized}, tmp_path / "q.pt")

    _, tensors = read(path)

    assert tensors["meta"].problem is not None
    with File(path) as file:
        assert read_elements(file, tensors["quantized"]).tolist() == quantized.int_repr().tolist()


def test_tar_file(tmp_path: Path) -> None:
    """A tar file of the layout before 0.1.10, which torch itself still reads, has the same tensors."""
    path = tmp_path / "old.pt"
    path.write_bytes(tar_of(torch.arange(12, dtype=torch.float32).numpy().tobytes()))
    oracle = torch.load(path, weights_only=False)

    saved, tensors = read(path)

    assert saved.kind == "torch-tar"
    assert tensors["w"].shape == tuple(oracle["w"].shape)
    assert tensors["w"].strides == oracle["w"].stride()
    assert elements(path, tensors["w"]) == raw_bytes(oracle["w"])


def tar_of(content: bytes) -> bytes:
    """One float storage of 12 elements, one tensor of 2 x 3 at element 2 with strides 1 and 2."""

    def entry(first: str, second: str, kind: str) -> bytes:
        return f"\x80\x02(K{first}X\x03\0\0\0{second}ctorch\n{kind}\nt.".encode("latin-1")

    count = b"\x80\x02K\x01."
    number = b"\x80\x02(K\x07K\x05ctorch\nFloatTensor\nt."
    members = {
        "sys_info": b"\x80\x02}.",
        "pickle": b"\x80\x02}X\x01\0\0\0wX\x01\0\0\0" + b"7Qs.",
        "tensors": count + number + struct.pack("<ii2q2qq", 2, 0, 2, 3, 1, 2, 2),
        "storages": count + entry("\x05", "cpu", "FloatStorage") + struct.pack("<q", 12) + content + b"\x80\x02].",
    }
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:", format=tarfile.PAX_FORMAT) as archive:
        for name, member in members.items():
            information = tarfile.TarInfo(name)
            information.size = len(member)
            archive.addfile(information, io.BytesIO(member))
    return made.getvalue()


def test_what_cannot_be_a_torch_file(tmp_path: Path) -> None:
    """A file of another kind is refused with a sentence that shows how it starts."""
    path = tmp_path / "x.pt"
    path.write_bytes(b"\xff\xd8\xff\xe0 a photograph")

    with pytest.raises(MalformedError, match="ffd8ffe0"):
        read(path)


def test_ordered_dict_attributes_do_not_hide_items(tmp_path: Path) -> None:
    """`state_dict()._metadata` is kept as an attribute, not as an item."""
    state = torch.nn.Linear(2, 2).state_dict()
    assert isinstance(state, OrderedDict)

    saved, _ = read(save(state, tmp_path / "sd.pt"))

    assert isinstance(saved.value, dict)
    assert list(saved.value) == ["weight", "bias"]
    assert getattr(saved.value, "attributes", None) == {"_metadata": {"": {"version": 1}}}
