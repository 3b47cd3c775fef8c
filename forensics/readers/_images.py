"""What the name of a container image tells: versions in its tag, and what NVIDIA's monthly images hold.

nvcr.io/nvidia/pytorch:25.04-py3            torch 2.7.0a0, CUDA 12.9
pytorch/pytorch:2.1.2-cuda12.1-cudnn8-devel torch 2.1.2, CUDA 12.1
verlai/verl:app-verl0.5-vllm0.9.1-mcore0.12.2-te2.2
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from forensics.deferred.patterns import expression
from forensics.model import Setting, Source, Standing
from forensics.readers._environment import hardware, package

IMAGE = expression(
    r"(?<![\w./@:-])((?:(?:[\w-]{1,60}\.){1,6}[a-z]{2,10}(?::\d{2,5})?/)?"
    r"[a-z0-9][\w.\-]{0,60}(?:/[a-z0-9][\w.\-]{0,80}){1,4}:[A-Za-z0-9][\w.\-]{1,127})(?![\w/])"
)
"""A name with a folder and a tag; `host/path:tag` of a registry or `owner/name:tag` of Docker Hub."""
_NVIDIA = expression(r"(?:^|/)nvidia/pytorch:(\d\d\.\d\d)-")
_HUB_TORCH = expression(r"(?:^|/)pytorch/pytorch(?:-nightly)?:(\d+\.\d+\.\d+)")
_TAGGED = expression(
    r"(?:^|[-_:/.])(cuda|cu|torch|pytorch_release|pytorch|vllm|sglang|deepspeed|transformers|verl|swift|modelscope"
    r"|mcore|te|fa|rocm|cann|py|nccl)[-_]?v?(\d+(?:\.\d+){1,3}(?:rc\d+|\.post\d+)?|\d{2,3})(?=$|[-_.])"
)
_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "pytorch": "torch",
        "pytorch_release": "torch",
        "swift": "ms-swift",
        "mcore": "megatron-core",
        "te": "transformer-engine",
        "fa": "flash-attn",
        "py": "python",
    }
)
OF_NVIDIA: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "22.12": ("1.14.0a0", "11.8"),
        "23.01": ("1.14.0a0", "12.0"),
        "23.02": ("1.14.0a0", "12.0"),
        "23.03": ("2.0.0a0", "12.1"),
        "23.05": ("2.0.0", "12.1"),
        "23.06": ("2.1.0a0", "12.1"),
        "23.07": ("2.1.0a0", "12.1"),
        "23.08": ("2.1.0a0", "12.2"),
        "23.09": ("2.1.0a0", "12.2"),
        "23.10": ("2.1.0a0", "12.2"),
        "23.11": ("2.2.0a0", "12.3"),
        "23.12": ("2.2.0a0", "12.3"),
        "24.01": ("2.2.0a0", "12.3"),
        "24.02": ("2.3.0a0", "12.3"),
        "24.03": ("2.3.0a0", "12.4"),
        "24.04": ("2.3.0a0", "12.4"),
        "24.05": ("2.4.0a0", "12.4"),
        "24.06": ("2.4.0a0", "12.5"),
        "24.07": ("2.4.0a0", "12.5"),
        "24.08": ("2.5.0a0", "12.6"),
        "24.09": ("2.5.0a0", "12.6"),
        "24.10": ("2.5.0a0", "12.6"),
        "24.11": ("2.6.0a0", "12.6"),
        "24.12": ("2.6.0a0", "12.6"),
        "25.01": ("2.6.0a0", "12.8"),
        "25.02": ("2.7.0a0", "12.8"),
        "25.03": ("2.7.0a0", "12.8"),
        "25.04": ("2.7.0a0", "12.9"),
        "25.05": ("2.8.0a0", "12.9"),
        "25.06": ("2.8.0a0", "12.9"),
        "25.08": ("2.8.0a0", "13.0"),
        "25.09": ("2.9.0a0", "13.0"),
        "25.10": ("2.9.0a0", "13.0"),
        "25.11": ("2.10.0a0", "13.0"),
        "25.12": ("2.10.0a0", "13.1"),
    }
)
"""torch and CUDA of `nvcr.io/nvidia/pytorch` by release. 25.12 was read in NVIDIA's PyTorch release notes (rel-25-12:
torch 2.10.0a0+b4e4ee81d3, CUDA 13.1.0); torch of the releases from 23.11 on was held against the compatibility table of
PyTorch for Jetson (April 2026). The CUDA column and torch before 23.11 were not checked one by one."""


def image_settings(image: str, source: Source, standing: Standing = Standing.INTENDED) -> Iterator[Setting]:
    """Yield the image itself and every version that its name tells."""
    yield from hardware("container_image", image, source, standing)
    held = OF_NVIDIA.get(match[1]) if (match := _NVIDIA.search(image)) else None
    if held is not None:
        yield from package("torch", held[0], source, standing)
        yield from hardware("cuda", held[1], source, standing)
        return
    if match := _HUB_TORCH.search(image):
        yield from package("torch", match[1], source, standing)
    for name, version in _TAGGED.findall(image.rpartition(":")[2]):
        whole = version if "." in version else f"{version[:-1]}.{version[-1]}" if name != "py" else f"3.{version[1:]}"
        if name in {"cuda", "cu", "rocm", "cann", "nccl"}:
            yield from hardware("cuda" if name == "cu" else name, whole, source, standing)
        else:
            yield from package(_NAMES.get(name, name), whole, source, standing)
