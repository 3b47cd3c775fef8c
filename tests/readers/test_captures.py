"""Captured environments, alone and pasted together as people paste them."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forensics.plugin import Reader
from forensics.readers.named_versions import named_versions
from forensics.readers.nvidia_smi import nvidia_smi
from readers.reading import facts_of, settings_of, survives

TRANSFORMERS = """
Copy-and-paste the text below in your GitHub issue and FILL OUT the two last points.

- `transformers` version: 4.57.1
- Platform: Linux-5.15.0-1064-azure-x86_64-with-glibc2.35
- Python version: 3.10.15
- Huggingface_hub version: 0.35.3
- Safetensors version: 0.4.5
- Accelerate version: 1.10.1
- Accelerate config: \tnot found
- DeepSpeed version: 0.16.9
- PyTorch version (accelerator?): 2.5.1+cu124 (CUDA)
- Tensorflow version (GPU?): not installed (NA)
- Jax version: not installed
- Using distributed or parallel set-up in script?: <fill in>
- GPU type: NVIDIA A100-SXM4-80GB
"""
ACCELERATE = """
Copy-and-paste the text below in your GitHub issue

- `Accelerate` version: 0.20.0
- Platform: Linux-5.4
- Python version: 3.9.2
- Numpy version: 1.26.4
- PyTorch version (GPU?): 2.0.1+cu117 (True)
- System RAM: 1007.70 GB
- GPU type: NVIDIA A100-SXM4-40GB
- `Accelerate` default config:
\t- compute_environment: LOCAL_MACHINE
\t- distributed_type: DEEPSPEED
\t- num_processes: 8
\t- deepspeed_config: {'zero_stage': 2}
"""
REPORT = """\
--------------------------------------------------
DeepSpeed C++/CUDA extension op report
ninja .................. \x1b[92m[OKAY]\x1b[0m
DeepSpeed general environment info:
torch install path ............... ['/opt/conda/lib/python3.10/site-packages/torch']
torch version .................... 2.5.1+cu124
deepspeed install path ........... ['/opt/conda/lib/python3.10/site-packages/deepspeed']
deepspeed info ................... 0.16.9, unknown, unknown
torch cuda version ............... 12.4
torch hip version ................ None
nvcc version ..................... 12.3
deepspeed wheel compiled w. ...... torch 2.5, cuda 12.4
"""
COLLECTED = """\
Collecting environment information...
PyTorch version: 2.5.1+cu124
Is debug build: False
CUDA used to build PyTorch: 12.4
ROCM used to build PyTorch: N/A

OS: Ubuntu 22.04.4 LTS (x86_64)
Libc version: glibc-2.35

Python version: 3.10.15 | packaged by conda-forge | (main, Oct 16 2024, 01:24:24) [GCC 13.3.0] (64-bit runtime)
Python platform: Linux-5.15.0-1064-azure-x86_64-with-glibc2.35
CUDA runtime version: Could not collect
GPU models and configuration:\x20
GPU 0: NVIDIA A100-SXM4-80GB
GPU 1: NVIDIA A100-SXM4-80GB
Nvidia driver version: 550.90.07

Versions of relevant libraries:
[pip3] numpy==1.26.4
[pip3] nvidia-nccl-cu12==2.21.5
[conda] torch                     2.5.1                    pypi_0    pypi
"""
SMI = """\
+-----------------------------------------------------------------------------------------+
| NVIDIA-SMI 550.90.12              Driver Version: 550.90.12      CUDA Version: 12.4     |
|-----------------------------------------+------------------------+----------------------+
|   0  NVIDIA A100 80GB PCIe          Off |   00000000:01:00.0 Off |                    0 |
| N/A   32C    P0             61W /  300W |     437MiB /  81920MiB |      0%      Default |
|   1  NVIDIA A100 80GB PCIe          Off |   00000000:41:00.0 Off |                    0 |
nvcc: NVIDIA (R) Cuda compiler driver
Cuda compilation tools, release 12.1, V12.1.105
"""
EXPECTED: list[tuple[Reader, str, list[tuple[str, str, object, str]]]] = [
    (
        named_versions,
        TRANSFORMERS,
        [
            ("package", "transformers", "4.57.1", "line 4"),
            ("hardware", "platform", "Linux-5.15.0-1064-azure-x86_64-with-glibc2.35", "line 5"),
            ("package", "python", "3.10.15", "line 6"),
            ("package", "huggingface-hub", "0.35.3", "line 7"),
            ("package", "safetensors", "0.4.5", "line 8"),
            ("package", "accelerate", "1.10.1", "line 9"),
            ("package", "deepspeed", "0.16.9", "line 11"),
            ("package", "torch", "2.5.1+cu124", "line 12"),
            ("hardware", "cuda", "12.4", "line 12"),
            ("hardware", "gpu", "NVIDIA A100-SXM4-80GB", "line 16"),
        ],
    ),
    (
        named_versions,
        ACCELERATE,
        [
            ("package", "accelerate", "0.20.0", "line 4"),
            ("hardware", "platform", "Linux-5.4", "line 5"),
            ("package", "python", "3.9.2", "line 6"),
            ("package", "numpy", "1.26.4", "line 7"),
            ("package", "torch", "2.0.1+cu117", "line 8"),
            ("hardware", "cuda", "11.7", "line 8"),
            ("hardware", "gpu", "NVIDIA A100-SXM4-40GB", "line 10"),
            ("setting", "accelerate.compute_environment", "LOCAL_MACHINE", "line 12"),
            ("setting", "accelerate.distributed_type", "DEEPSPEED", "line 13"),
            ("setting", "accelerate.num_processes", 8, "line 14"),
            ("setting", "accelerate.deepspeed_config", "{'zero_stage': 2}", "line 15"),
        ],
    ),
    (
        named_versions,
        REPORT,
        [
            ("package", "torch", "2.5.1+cu124", "line 6"),
            ("hardware", "cuda", "12.4", "line 6"),
            ("package", "deepspeed", "0.16.9", "line 8"),
            ("hardware", "cuda", "12.4", "line 9"),
            ("hardware", "nvcc", "12.3", "line 11"),
        ],
    ),
    (
        named_versions,
        COLLECTED,
        [
            ("package", "torch", "2.5.1+cu124", "line 2"),
            ("hardware", "cuda", "12.4", "line 2"),
            ("hardware", "cuda", "12.4", "line 4"),
            ("hardware", "os", "Ubuntu 22.04.4 LTS (x86_64)", "line 7"),
            ("package", "python", "3.10.15", "line 10"),
            ("hardware", "platform", "Linux-5.15.0-1064-azure-x86_64-with-glibc2.35", "line 11"),
            ("hardware", "driver", "550.90.07", "line 16"),
            ("package", "numpy", "1.26.4", "line 19"),
            ("package", "nvidia-nccl-cu12", "2.21.5", "line 20"),
            ("hardware", "nccl", "2.21.5", "line 20"),
            ("package", "torch", "2.5.1", "line 21"),
            ("hardware", "gpu", "NVIDIA A100-SXM4-80GB", "line 14"),
            ("hardware", "gpu_count", 2, "line 14"),
        ],
    ),
    (
        nvidia_smi,
        SMI,
        [
            ("hardware", "driver", "550.90.12", "line 2"),
            ("hardware", "driver_cuda", "12.4", "line 2"),
            ("hardware", "nvcc", "12.1", "line 8"),
            ("hardware", "gpu", "NVIDIA A100 80GB PCIe", "line 4"),
            ("hardware", "gpu_count", 2, "line 4"),
        ],
    ),
]
PASTED = "".join(text for _, text, _ in EXPECTED)


@pytest.mark.parametrize(("reader", "text", "expected"), EXPECTED)
@pytest.mark.parametrize(
    "written", [("\n", "utf-8"), ("\r\n", "utf-8"), ("\r", "utf-8"), ("\n", "utf-8-sig"), ("\r\n", "utf-16")]
)
def test_a_capture_alone(
    tmp_path: Path,
    reader: Reader,
    text: str,
    expected: list[tuple[str, str, object, str]],
    written: tuple[str, str],
) -> None:
    """Versions, boards and platform with their lines, whatever the line ends and the encoding."""
    newline, encoding = written
    data = text.replace("\n", newline).encode(encoding)
    found = settings_of(facts_of(reader, tmp_path, "environment.txt", data))

    assert [s[:4] for s in found] == expected
    assert {s[4] for s in found} == {"CONFIGURED"}


def test_captures_pasted_together(tmp_path: Path) -> None:
    """Each reader recognises its own parts of one text, and takes no line of the others."""
    for reader in (named_versions, nvidia_smi):
        moved: list[tuple[str, str, object, str]] = []
        for own, text, expected in EXPECTED:
            offset = PASTED[: PASTED.index(text)].count("\n")
            shifted = [(g, name, value, f"line {int(place[5:]) + offset}") for g, name, value, place in expected]
            moved.extend(shifted if own is reader else [])

        assert reader.sniff is not None
        assert reader.sniff(PASTED.encode())
        found = [s[:4] for s in settings_of(facts_of(reader, tmp_path, "issue.md", PASTED))]
        assert sorted(found, key=str) == sorted(moved, key=str)


@pytest.mark.parametrize(("reader", "text", "expected"), EXPECTED)
def test_a_training_log_is_no_capture(reader: Reader, text: str, expected: list[tuple[str, str, object, str]]) -> None:
    """Progress bars and metric rows are not taken for one."""
    assert text
    assert expected
    assert reader.sniff is not None
    assert not reader.sniff(b"{'loss': 2.3, 'epoch': 0.1}\r  1%|          | 10/1200 [00:12<23:47,  1.20s/it]\n" * 50)


def test_boards_listed_by_another_tool_are_not_counted_twice(tmp_path: Path) -> None:
    """`nvidia-smi -L` in the same text has UUIDs; torch's list has none."""
    text = COLLECTED + "GPU 0: NVIDIA A100-SXM4-80GB (UUID: GPU-1)\nGPU 1: NVIDIA A100-SXM4-80GB (UUID: GPU-2)\n"
    found = settings_of(facts_of(named_versions, tmp_path, "issue.md", text))

    assert [s[2] for s in found if s[1] == "gpu_count"] == [2]


def test_a_listed_board_is_counted(tmp_path: Path) -> None:
    """`nvidia-smi -L` names every board on a line."""
    text = "".join(f"GPU {i}: NVIDIA H100 80GB HBM3 (UUID: GPU-{i:08x}-1111)\n" for i in range(8))
    found = settings_of(facts_of(nvidia_smi, tmp_path, "gpus.txt", text))

    assert [s[1:4] for s in found] == [("gpu", "NVIDIA H100 80GB HBM3", "line 1"), ("gpu_count", 8, "line 1")]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=80)
@given(st.sampled_from([reader for reader, _, _ in EXPECTED]), st.floats(0, 1))
def test_any_prefix_is_read(tmp_path: Path, reader: Reader, part: float) -> None:
    """A text may end anywhere, within a character too."""
    data = PASTED.encode()

    assert reader.sniff is not None
    reader.sniff(data[: int(part * len(data))])
    assert survives(reader, tmp_path, "environment.txt", data[: int(part * len(data))])
