"""The environment of the run under the labels that maintainers know.

`transformers-cli env` (transformers, `commands/env.py`) and `ds_report` (deepspeed, `env_report.py`). Values come
from the run, never from the machine that reads it, and a value that was not recorded is left out.
"""

from forensics.model import Group, Run
from forensics.report._safe import code

_TRANSFORMERS: tuple[tuple[str, str, Group], ...] = (
    ("`transformers` version", "transformers", "package"),
    ("Platform", "platform", "hardware"),
    ("Python version", "python", "package"),
    ("Huggingface_hub version", "huggingface-hub", "package"),
    ("Safetensors version", "safetensors", "package"),
    ("Accelerate version", "accelerate", "package"),
    ("DeepSpeed version", "deepspeed", "package"),
    ("PyTorch version (accelerator?)", "torch", "package"),
    ("PEFT version", "peft", "package"),
    ("TRL version", "trl", "package"),
    ("Bitsandbytes version", "bitsandbytes", "package"),
    ("Using distributed or parallel set-up in script?", "world_size", "setting"),
    ("GPU type", "gpu", "hardware"),
    ("GPU driver", "driver", "hardware"),
    ("CUDA version", "cuda", "hardware"),
    ("NCCL version", "nccl", "hardware"),
)
_DS_REPORT: tuple[tuple[str, str, Group], ...] = (
    ("torch version", "torch", "package"),
    ("deepspeed info", "deepspeed", "package"),
    ("torch cuda version", "cuda", "hardware"),
    ("nvcc version", "nvcc", "hardware"),
    ("python version", "python", "package"),
    ("GPU", "gpu", "hardware"),
    ("world size", "world_size", "setting"),
)
_DOTS = 34


def env_block(run: Run) -> tuple[str, ...]:
    """Return list entries of Markdown, one a known value."""
    return tuple(f"- {label}: {code(value, 200)}" for label, value in _known(run, _TRANSFORMERS))


def ds_report(run: Run) -> tuple[str, ...]:
    """Return lines of plain text, one a known value, dotted as `ds_report` prints them."""
    return tuple(f"{f'{label} ':.<{_DOTS}} {value}" for label, value in _known(run, _DS_REPORT))


def _known(run: Run, labels: tuple[tuple[str, str, Group], ...]) -> list[tuple[str, str]]:
    found = []
    for label, name, group in labels:
        setting = run.environment.best(name, group)
        if setting is None:
            continue
        value = str(setting.value)
        if name == "world_size":
            value = f"yes, {value} processes" if value != "1" else "no, 1 process"
        found.append((label, value))
    return found
