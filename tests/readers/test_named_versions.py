"""Versions as tools print and people write them; boards of any maker; images; flags of a command in any spelling."""

from pathlib import Path

import pytest

from forensics.investigate import read
from forensics.model import Environment
from forensics.readers.device_smi import device_smi
from forensics.readers.launch_script import launch_script
from forensics.readers.named_versions import named_versions
from readers.reading import facts_of, settings_of

BLOCKS = {
    "llamafactory-cli env": (
        ("- `llamafactory` version: 0.9.3.dev0\n- Platform: Linux-5.15\n- Python version: 3.10.17\n"
        "- PyTorch version: 2.5.0+cu118 (GPU)\n- Transformers version: 4.51.3\n- GPU type: NVIDIA A100-SXM4-80GB\n"
        "- GPU number: 2\n- DeepSpeed version: 0.16.7\n- Bitsandbytes version: 0.44.0\n- Git commit: e8a18c17e99e\n"),
        {
            "llamafactory": "0.9.3.dev0",
            "python": "3.10.17",
            "torch": "2.5.0+cu118",
            "transformers": "4.51.3",
            "deepspeed": "0.16.7",
            "bitsandbytes": "0.44.0",
            "gpu": "NVIDIA A100-SXM4-80GB",
            "gpu_count": 2,
            "cuda": "11.8",
        },
    ),
    "of an NPU": (
        "- PyTorch version: 2.1.0+cpu (NPU)\n- NPU type: Ascend910B2C\n- CANN: 8.0\n- DeepSpeed version: 0.14\n",
        {"torch": "2.1.0+cpu", "gpu": "Ascend910B2C", "deepspeed": "0.14"},
    ),
    "trl env": (
        ("- Platform: Linux-6.8\n- TRL version: 0.13.0\n- PyTorch version: 2.4.0\n"
        "- accelerator(s): NVIDIA H100 80GB HBM3, NVIDIA H100 80GB HBM3\n- HF Hub version: 0.24.6\n"
        "- Liger-Kernel version: not installed\n- vLLM version: 0.6.3.post1\n"),
        {
            "trl": "0.13.0",
            "torch": "2.4.0",
            "gpu": "NVIDIA H100 80GB HBM3",
            "gpu_count": 2,
            "huggingface-hub": "0.24.6",
            "vllm": "0.6.3.post1",
        },
    ),
    "axolotl": (
        ("****************************************\n**** Axolotl Dependency Versions *****\n"
        "  accelerate: 1.2.1         \n        peft: 0.14.0        \n       torch: 2.5.1+cu124   \n"),
        {"accelerate": "1.2.1", "peft": "0.14.0", "torch": "2.5.1+cu124"},
    ),
    "a person": (
        "My setup:\n* PyTorch 2.1.2\n* transformers: 4.36.2\n* Python 3.10.12\n* CUDA 12.1\n* flash attention 2.5.6\n",
        {"torch": "2.1.2", "transformers": "4.36.2", "python": "3.10.12", "cuda": "12.1", "flash-attn": "2.5.6"},
    ),
    "uv tree": (
        "train v0.1.0\n├── torch v2.6.0\n│   └── triton v3.2.0\n└── transformers v4.50.0\n",
        {"torch": "2.6.0", "triton": "3.2.0", "transformers": "4.50.0"},
    ),
    "pip list through grep": (
        "torch              2.4.1+cu121\ntorchvision        0.19.1+cu121\ndeepspeed  0.15.1   /src/ds\n",
        {"torch": "2.4.1+cu121", "torchvision": "0.19.1+cu121", "deepspeed": "0.15.1", "cuda": "12.1"},
    ),
    "conda list through grep": (
        "pytorch      2.1.2     py3.10_cuda12.1_cudnn8.9.2_0    pytorch\ntransformers  4.37.2  pypi_0  pypi\n",
        {"torch": "2.1.2", "transformers": "4.37.2"},
    ),
    "one line": ("torch==2.5.1, transformers 4.48; peft: 0.15.4\n", {"torch": "2.5.1", "transformers": "4.48"}),
    "headings": (
        "----------torch Info-----------\nVersion      : 2.6.0\n---------- vllm Info ----------\nVersion : 0.8.2\n",
        {"torch": "2.6.0", "vllm": "0.8.2"},
    ),
    "an interpreter": (
        ">>> import torch\n>>> torch.__version__\n'2.1.0+cu121'\n>>> print(peft.__version__)\n0.7.1\n",
        {"torch": "2.1.0+cu121", "peft": "0.7.1"},
    ),
    "a dictionary in a log": (
        "INFO versions: {'torch': '2.1.2+cu121', 'deepspeed': '0.12.5', 'seed': '42'}\n",
        {"torch": "2.1.2+cu121", "deepspeed": "0.12.5", "cuda": "12.1"},
    ),
    "attributes": (
        "deepspeed.__version__ = 0.12.5\ntorch.__version__: 2.1.2\nUsing transformers.__version__ == 4.36.2\n",
        {"torch": "2.1.2", "deepspeed": "0.12.5"},
    ),
    "a table": (
        "| package | version |\n|---|---|\n| torch | 2.3.0 |\n| peft | 0.11.1 |\n",
        {"torch": "2.3.0", "peft": "0.11.1"},
    ),
}  # fmt: skip


def told(settings: list[tuple[str, str, object, str, str]]) -> dict[str, object]:
    return {name: value for group, name, value, _, _ in settings if group in {"package", "hardware"}}


@pytest.mark.parametrize(("text", "expected"), BLOCKS.values(), ids=list(BLOCKS))
def test_versions_are_read_whoever_lists_them(tmp_path: Path, text: str, expected: dict[str, object]) -> None:
    """One reader for all: alone, quoted as a reply, and in a list of an issue."""
    for form in (text, "".join(f"> {line}\n" for line in text.splitlines())):
        assert named_versions.sniff is not None
        assert named_versions.sniff(form.encode())
        found = told(settings_of(facts_of(named_versions, tmp_path, "environment.txt", form)))

        assert {name: found.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    "text",
    [
        '{"python": "3.10.13", "packages": {"torch": "2.1.2", "deepspeed": "0.12.5"}}',
        '{\n  "host": "node01",\n  "torch": "2.1.2",\n  "DeepSpeed": "0.12.5"\n}\n',
    ],
)
def test_versions_are_read_out_of_json_that_names_several(tmp_path: Path, text: str) -> None:
    assert named_versions.sniff is not None
    assert named_versions.sniff(text.encode())
    assert not named_versions.sniff(b'{"transformers": "4.36.2", "model_type": "llama"}')
    found = told(settings_of(facts_of(named_versions, tmp_path, "environment.json", text)))

    assert {"torch": "2.1.2", "deepspeed": "0.12.5"}.items() <= found.items()


NO_STATEMENT = [
    "torch>=2.0",
    "transformers is 4.36.2 slower than before",
    "  Attempting uninstall: torch",
    "    Found existing installation: torch 2.0.1",
    "Collecting torch==2.1.0",
    "ImportError: cannot import name 'x' from 'transformers' 4.36.2 today",
    '  "transformers_version": "4.36.2",',
    "transformers_version: 4.36.2",
    "step 1.5 loss 2.0",
    "[2024-01-01 00:00:00] torch 2.1.0 loading",
    "epoch: 1.0",
    "torch 2.1.0, which is slow, and transformers 4.36.2",
    "step 1.5, loss 2.0",
]


@pytest.mark.parametrize("line", NO_STATEMENT)
def test_other_lines_state_no_version(tmp_path: Path, line: str) -> None:
    """Requirements, prose, what pip does on its way, and the version that saved a model."""
    assert named_versions.sniff is not None
    assert not named_versions.sniff(line.encode())
    assert settings_of(facts_of(named_versions, tmp_path, "some.txt", line)) == []


def test_programs_and_recipes_state_wishes(tmp_path: Path) -> None:
    text = "- python 3.8.1\n- torch: 2.1.0\n"

    assert settings_of(facts_of(named_versions, tmp_path, "README.md", text)) == []
    assert settings_of(facts_of(named_versions, tmp_path, "environment.yml", text)) == []


def pasted(tmp_path: Path, text: str) -> Environment:
    (tmp_path / "issue.md").write_text(f"### System Info\n\n{text}\n```\n{{'loss': 1.5, 'epoch': 0.5}}\n```\n")
    return read(tmp_path / "issue.md").environment


def test_prose_names_a_version_once(tmp_path: Path) -> None:
    """Of two versions that a text names nobody knows which one ran; one is what was meant."""
    environment = pasted(
        tmp_path, "With deepspeed==0.13.5 it breaks, with deepspeed==0.10.2 not; `transformers` 4.38.1."
    )
    found = environment.best("transformers", "package")

    assert environment.version("deepspeed") is None
    assert found is not None
    assert (found.value, found.standing.name) == ("4.38.1", "INTENDED")


IMAGES = {
    "nvcr.io/nvidia/pytorch:25.04-py3": {"torch": "2.7.0a0", "cuda": "12.9"},
    "nvcr.io/nvidia/pytorch:24.06-py3": {"torch": "2.4.0a0", "cuda": "12.5"},
    "pytorch/pytorch:2.1.2-cuda12.1-cudnn8-devel": {"torch": "2.1.2", "cuda": "12.1"},
    "rocm/pytorch:rocm6.2_ubuntu22.04_py3.10_pytorch_release_2.3.0": {"container_image": ""},
    "registry.example.com/ms/swift:ubuntu22.04-cuda12.4.0-py311-torch2.6.0-vllm0.8.3-swift3.3.0": {
        "torch": "2.6.0",
        "cuda": "12.4.0",
        "python": "3.11",
        "vllm": "0.8.3",
        "ms-swift": "3.3.0",
    },
    "verlai/verl:app-verl0.5-vllm0.9.1-mcore0.12.2-te2.2": {"verl": "0.5", "vllm": "0.9.1", "megatron-core": "0.12.2"},
}


@pytest.mark.parametrize(("image", "expected"), IMAGES.items(), ids=list(IMAGES))
def test_an_image_tells_what_it_holds(tmp_path: Path, image: str, expected: dict[str, str]) -> None:
    """In prose and in `docker run`; an image of NVIDIA by its release notes."""
    for text in (f"I run it in {image} on one node.", f"$ docker run --gpus all {image} python train.py --bf16"):
        environment = pasted(tmp_path, text)
        found = {setting.name: setting.value for group in ("package", "hardware") for setting in environment.of(group)}

        assert found["container_image"] == image
        assert {name: found.get(name) for name in expected} == {
            **expected,
            **({"container_image": image} if "container_image" in expected else {}),
        }


BOARDS = {
    "npu-smi": (
        (
            "| npu-smi 24.1.rc2                 Version: 24.1.rc2                                     |\n"
            "+---------------------------+---------------+--------------------------------------------+\n"
            "| NPU   Name                | Health        | Power(W)    Temp(C)   Hugepages-Usage(page)|\n"
            "| 0     910B3               | OK            | 93.7        50        0    / 0             |\n"
            "| 0                         | 0000:C1:00.0  | 0           0    / 0  3315 / 65536         |\n"
            "| 1     910B3               | OK            | 90.1        48        0    / 0             |\n"
        ),
        ("24.1.rc2", "Ascend910B3", 2),
    ),
    "rocm-smi": (
        (
            "============================ ROCm System Management Interface ============================\n"
            "Driver version: 6.8.5\n"
            "GPU[0]\t\t: Card Series: \t\tAMD Instinct MI300X\nGPU[0]\t\t: Card Model: \t\t0x74a1\n"
            "GPU[1]\t\t: Card Series: \t\tAMD Instinct MI300X\n"
        ),
        ("6.8.5", "AMD Instinct MI300X", 2),
    ),
    "rocminfo": (
        (
            "ROCk module is loaded\n  Marketing Name:          AMD EPYC 9654 96-Core Processor\n"
            "  Marketing Name:          AMD Instinct MI250X\n"
        ),
        (None, "AMD Instinct MI250X", 1),
    ),
    "hl-smi": (
        (
            "| HL-SMI Version:                              hl-1.16.0-fw-50.1.2.0          |\n"
            "| Driver Version:                                     1.16.0-4d8e1c3          |\n"
            "| AIP  Name        Persistence-M| Bus-Id        Disp.A | Volatile Uncor-Events|\n"
            "|   0  HL-225              N/A  | 0000:33:00.0     N/A |                    0 |\n"
            "|   1  HL-225              N/A  | 0000:34:00.0     N/A |                    0 |\n"
        ),
        ("1.16.0-4d8e1c3", "Gaudi HL-225", 2),
    ),
}


@pytest.mark.parametrize(("text", "expected"), BOARDS.values(), ids=list(BOARDS))
def test_boards_of_every_maker(tmp_path: Path, text: str, expected: tuple[object, str, int]) -> None:
    assert device_smi.sniff is not None
    assert device_smi.sniff(text.encode())
    found = told(settings_of(facts_of(device_smi, tmp_path, "devices.txt", text)))

    assert (found.get("driver"), found["gpu"], found["gpu_count"]) == expected


def test_a_log_lists_no_boards(tmp_path: Path) -> None:
    text = "{'loss': 1.5}\n| 0 | 910 | OK |\n"

    assert device_smi.sniff is not None
    assert not device_smi.sniff(text.encode())
    assert settings_of(facts_of(device_smi, tmp_path, "train.log", text)) == []


FLAGS = {
    "python train.py --dtype=float16 --flag": {"dtype": "float16", "flag": True},
    "accelerate launch --mixed_precision fp16 train.py --lr 1e-4": {"accelerate.mixed_precision": "fp16", "lr": 1e-4},
    "python train.py --mixed_precision='bf16'": {"mixed_precision": "bf16"},
    "NPROC_PER_NODE=8 NNODES=2 swift rlhf --rlhf_type grpo --deepspeed zero3": {
        "rlhf_type": "grpo",
        "deepspeed": "zero3",
        "world_size": 16,
    },
    "llamafactory-cli train --deepspeed examples/deepspeed/ds_z2_config.json": {
        "deepspeed": "examples/deepspeed/ds_z2_config.json"
    },
    "deepspeed --num_gpus=4 train.py --deepspeed_config ds_zero_3_offload.json": {
        "deepspeed_config": "ds_zero_3_offload.json",
        "world_size": 4,
    },
    "python -m verl.trainer.main_ppo algorithm.adv_estimator=grpo +trainer.n_gpus_per_node=8 data.path='/a b'": {
        "algorithm.adv_estimator": "grpo",
        "trainer.n_gpus_per_node": 8,
        "data.path": "/a b",
    },
    "torchrun --nproc-per-node=2 -m trainer --train-iters 9": {"world_size": 2, "train_iters": 9},
    "python train.py --deepspeed ds_config.json --deepspeed_plugin step3": {"deepspeed": "ds_config.json"},
}  # fmt: skip


@pytest.mark.parametrize(("command", "expected"), FLAGS.items(), ids=list(FLAGS))
def test_flags_in_every_spelling(tmp_path: Path, command: str, expected: dict[str, object]) -> None:
    """With a blank, with an equals sign, as an override of Hydra."""
    found = {s[1]: s[2] for s in settings_of(facts_of(launch_script, tmp_path, "run.sh", command)) if s[0] == "setting"}

    assert {name: found.get(name) for name in expected} == expected


def test_what_a_script_installs_is_meant(tmp_path: Path) -> None:
    text = "pip install -U torch==2.1.0 'transformers[torch]==4.40.1' accelerate>=0.20\nuv pip install peft==0.10.0\n"
    found = settings_of(facts_of(launch_script, tmp_path, "install.sh", text))

    assert [s[1:3] for s in found] == [("torch", "2.1.0"), ("transformers", "4.40.1"), ("peft", "0.10.0")]
    assert {s[4] for s in found} == {"INTENDED"}
