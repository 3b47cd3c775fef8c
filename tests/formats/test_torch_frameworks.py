"""What training frameworks save, pickled for real under the names of their classes, read without any of them."""

import argparse
import datetime as dt
import enum
import io
import pickle
import random
import sys
import types
from collections import OrderedDict, deque
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest

from forensics.formats.pickle_values import Record, StoredTensor
from forensics.formats.torch_file import (
    TorchFile,
    named_tensors,
    plain,
    read_elements,
    read_pickle,
    read_torch,
)
from forensics.storage.file import File

torch = pytest.importorskip("torch")


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give a function that defines a class under a foreign module's name while the test runs."""

    def define(dotted: str, made: Any) -> Any:
        parent, _, name = dotted.rpartition(".")
        parts = parent.split(".")
        for count in range(1, len(parts) + 1):
            package = ".".join(parts[:count])
            if package not in sys.modules:
                monkeypatch.setitem(sys.modules, package, types.ModuleType(package))
        made.__module__, made.__qualname__, made.__name__ = parent, name, name
        monkeypatch.setattr(sys.modules[parent], name, made, raising=False)
        return made

    return define


def saved_as(value: object, path: Path, **how: Any) -> TorchFile:
    torch.save(value, path, **how)
    with File(path) as file:
        return read_torch(file)


class Instance:
    def __init__(self, **values: object) -> None:
        self.__dict__.update(values)


def test_training_arguments(tmp_path: Path, module: Any) -> None:
    """`training_args.bin`: enums, devices, time differences and nested objects as plain settings."""
    arguments = module("transformers_.training_args.TrainingArguments", type("T", (Instance,), {}))
    schedule = module(
        "transformers_.trainer_utils.SchedulerType", enum.Enum("S", {"LINEAR": "linear"}, module=__name__)
    )
    config = module("transformers_.trainer_pt_utils.AcceleratorConfig", type("A", (Instance,), {}))
    value = arguments(
        learning_rate=5e-5,
        lr_scheduler_type=schedule.LINEAR,
        device=torch.device("cuda", 3),
        cpu=torch.device("cpu"),
        timeout=dt.timedelta(seconds=1800),
        dtype=torch.bfloat16,
        output_dir=PurePosixPath("/data/run-1"),
        accelerator_config=config(split_batches=False),
        fsdp=[],
        names={"b"},
        history=deque([1, 2]),
    )

    saved = saved_as(value, tmp_path / "training_args.bin")

    assert plain(saved.value) == {
        "__class__": "transformers_.training_args.TrainingArguments",
        "learning_rate": 5e-5,
        "lr_scheduler_type": "linear",
        "device": "cuda:3",
        "cpu": "cpu",
        "timeout": 1800.0,
        "dtype": "torch.bfloat16",
        "output_dir": "/data/run-1",
        "accelerator_config": {
            "__class__": "transformers_.trainer_pt_utils.AcceleratorConfig",
            "split_batches": False,
        },
        "fsdp": [],
        "names": ["b"],
        "history": [1, 2],
    }


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_random_state(tmp_path: Path, zipped: bool) -> None:
    """`rng_state.pth`: Python's tuple, numpy's array and torch's tensor are read to the number."""
    state = {
        "python": random.Random(1).getstate(),
        "numpy": np.random.RandomState(1).get_state(),
        "cpu": torch.get_rng_state(),
    }
    path = tmp_path / "rng_state.pth"

    saved = saved_as(state, path, _use_new_zipfile_serialization=zipped)
    settings = plain(saved.value)

    assert isinstance(settings, dict)
    assert isinstance(saved.value, dict)
    expected: Any = state["numpy"]
    assert saved.value["python"] == state["python"]
    assert settings["numpy"] == ["MT19937", expected[1].tolist(), *expected[2:]]
    assert {name.rsplit(".", 1)[-1] for name in saved.names} >= {"_reconstruct", "dtype", "encode"}
    with File(path) as file:
        (tensor,) = (tensor for _, tensor in named_tensors(saved.value))
        assert read_elements(file, tensor).tolist() == torch.get_rng_state().tolist()


def test_deepspeed_optimizer_states(tmp_path: Path, module: Any) -> None:
    """`*_optim_states.pt`: loss scaler, stage, slice mappings and wrapped flat tensors."""
    scaler = module("deepspeed_.runtime.fp16.loss_scaler.DynamicLossScaler", type("L", (Instance,), {}))
    stage = module("deepspeed_.runtime.zero.config.ZeroStageEnum", enum.IntEnum("Z", {"weights": 3}, module=__name__))

    @dataclass
    class Fragment:
        numel: int
        start: int

    fragment = module("deepspeed_.utils.tensor_fragment.fragment_address", Fragment)
    flat = torch.arange(10.0)
    flat.ds_id = 4  # an attribute makes torch wrap the tensor in _rebuild_from_type_v2
    value = {
        "optimizer_state_dict": {
            "loss_scaler": scaler(cur_scale=16.0, last_overflow_iter=19, dtype=torch.float16),
            "overflow": True,
            "zero_stage": stage.weights,
            "fp32_flat_groups": [flat],
            "param_slice_mappings": [OrderedDict(w=fragment(numel=8, start=2))],
        },
        "ds_version": "0.19.8",
    }
    path = tmp_path / "zero_pp_rank_0_mp_rank_00_optim_states.pt"

    saved = saved_as(value, path)
    tensors = dict(named_tensors(saved.value))

    assert tensors.keys() == {"optimizer_state_dict.fp32_flat_groups.0"}
    assert "torch._tensor._rebuild_from_type_v2" in saved.names
    with File(path) as file:
        assert read_elements(file, next(iter(tensors.values()))).tolist() == list(range(10))
    settings: Any = plain(saved.value)
    inner = settings["optimizer_state_dict"]
    assert inner["zero_stage"] == 3
    assert inner["loss_scaler"] == {
        "__class__": "deepspeed_.runtime.fp16.loss_scaler.DynamicLossScaler",
        "cur_scale": 16.0,
        "last_overflow_iter": 19,
        "dtype": "torch.float16",
    }
    assert inner["param_slice_mappings"][0]["w"] == {
        "__class__": "deepspeed_.utils.tensor_fragment.fragment_address",
        "numel": 8,
        "start": 2,
    }


def test_deepspeed_model_states(tmp_path: Path) -> None:
    """`*_model_states.pt`: parameter shapes are tuples of numbers, in the order that the flat buffer has."""
    shapes = [OrderedDict([("b", torch.Size([2, 3])), ("a", torch.Size([4]))])]
    saved = saved_as(
        {"module": {"b": torch.empty(0)}, "param_shapes": shapes, "ds_config": {"x": None}}, tmp_path / "m"
    )

    assert isinstance(saved.value, dict)
    assert [list(group.items()) for group in saved.value["param_shapes"]] == [[("b", (2, 3)), ("a", (4,))]]


def test_megatron_checkpoint(tmp_path: Path) -> None:
    """`model_optim_rng.pt`: the arguments are an argparse.Namespace, random states hold raw bytes."""
    arguments = argparse.Namespace(lr=1e-4, hidden_size=64, params_dtype=torch.bfloat16)
    value = {
        "args": arguments,
        "checkpoint_version": 3.0,
        "iteration": 100,
        "model": {"w": torch.ones(2)},
        "x": b"abc",
    }

    saved = saved_as(value, tmp_path / "model_optim_rng.pt")
    settings: Any = plain(saved.value)

    assert settings["args"] == {
        "__class__": "argparse.Namespace",
        "lr": 1e-4,
        "hidden_size": 64,
        "params_dtype": "torch.bfloat16",
    }
    assert (settings["iteration"], settings["x"]) == (100, "(3 bytes)")
    assert settings["model"] == {"w": {"__tensor__": "F32", "shape": [2]}}


def test_lightning_checkpoint(tmp_path: Path) -> None:
    """A `.ckpt` with an object among the hyper-parameters lists its weights and its counters."""
    value = {
        "epoch": 3,
        "global_step": 120,
        "pytorch-lightning_version": "2.6.6",
        "state_dict": OrderedDict([("net.weight", torch.ones(2, 2))]),
        "hyper_parameters": {"activation": torch.nn.ReLU(), "lr": 0.1},
    }

    saved = saved_as(value, tmp_path / "last.ckpt")

    assert isinstance(saved.value, dict)
    assert saved.value["global_step"] == 120
    assert [name for name, _ in named_tensors(saved.value)] == ["state_dict.net.weight"]
    activation = saved.value["hyper_parameters"]["activation"]
    assert isinstance(activation, Record)
    assert activation.class_name == "torch.nn.modules.activation.ReLU"


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_distributed_checkpoint(tmp_path: Path) -> None:
    """DCP: `.metadata` tells file, offset and length of each blob, and each blob is a torch file of its own."""
    checkpoint = pytest.importorskip("torch.distributed.checkpoint")
    state = {"model": {"w": torch.arange(6.0).reshape(2, 3), "b": torch.ones(4)}, "step": 5}
    checkpoint.save(state, checkpoint_id=tmp_path, no_dist=True)

    with File(tmp_path / ".metadata") as file:
        metadata = read_pickle(file)
    assert metadata.problems == ()
    assert isinstance(metadata.value, Record)
    assert isinstance(metadata.value.state, dict)
    found = {}
    for index, info in metadata.value.state["storage_data"].items():
        place = info.state
        with File(tmp_path / place["relative_path"]) as file:
            blob = read_torch(file.window(place["offset"], place["length"]))
            if isinstance(blob.value, StoredTensor):
                found[index.state["fqn"]] = read_elements(file, blob.value).tolist()

    assert found == {"model.w": [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]], "model.b": [1.0] * 4}


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize(
    "value",
    [
        np.float64(1.5),
        np.int32(-7),
        np.bool_(True),
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3)),
        np.arange(3, dtype=">i4"),
        np.array([], dtype=np.float64),
        np.array(["ab", "c"]),
    ],
    ids=repr,
)
def test_numpy_values(value: Any, protocol: int) -> None:
    """numpy scalars and small arrays become the numbers that numpy itself gives."""
    content = pickle.dumps({"v": value}, protocol=protocol)

    loaded = read_pickle(File.of_bytes(content, Path("v.pkl"))).value

    assert plain(loaded) == {"v": value.tolist()}


def test_numpy_values_that_do_not_fit() -> None:
    """Arrays of objects, large arrays and a length that does not match stay records, never numbers."""
    objects = plain(load(np.array([{}], dtype=object)))
    large = plain(load(np.zeros(5000)))
    content = pickle.dumps(np.zeros(3), protocol=4).replace(b"\x8c\x02f8", b"\x8c\x02f4")
    wrong = plain(read_pickle(File.of_bytes(content, Path("v.pkl"))).value)

    assert isinstance(objects, dict)
    assert objects["__class__"] == "numpy.core.multiarray._reconstruct"
    assert large == {"__array__": "float64", "shape": [5000]}
    assert isinstance(wrong, dict)


def load(value: object) -> object:
    return read_pickle(File.of_bytes(pickle.dumps(value), Path("v.pkl"))).value


def test_plain_is_bounded() -> None:
    """Shared lists that would unfold to 2**60 leaves, and lists within lists without end, give finite data."""
    bomb: list[object] = []
    for _ in range(60):
        bomb = [bomb, bomb]
    cyclic: list[object] = []
    cyclic.append(cyclic)

    assert len(str(plain(load(bomb)))) < 100_000_000
    assert "left out" in str(plain(load(cyclic)))


def test_large_numbers_become_text() -> None:
    """An integer that JSON readers cannot hold is described."""
    assert plain(load({"n": 1 << 3000})) == {"n": "(integer of 3001 bits)"}


def test_bytes_in_buffers() -> None:
    """A BytesIO (random states of Megatron) is read, and reading needs no torch tensor at all."""
    loaded = load(io.BytesIO(b"state"))

    assert isinstance(loaded, Record)
    assert loaded.class_name == "_io.BytesIO"
