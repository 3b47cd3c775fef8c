"""Cases told as facts (fixtures/cases/*.toml) to run directories, written as the programs concerned write them.

python benchmarks/case_rendering.py NAME DIR   # the folder of one case, to look at; DIR must not exist
"""

import json
import math
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CASES = Path(__file__).parent.parent / "fixtures" / "cases"
PER_EPOCH = 200
DTYPE_BYTES = {"F32": 4, "BF16": 2, "F16": 2}


@dataclass(frozen=True, slots=True)
class Case:
    """What is true of a run (`symptom`, `causes`, `step`), and the facts of which its folder is made."""

    name: str
    symptom: str
    causes: tuple[str, ...]
    confirmed: bool
    on_file: bool
    benign: bool
    step: int | None
    facts: Mapping[str, Any] = field(repr=False)


def cases() -> Iterator[Case]:
    """Yield every case of every file, by file and order."""
    for path in sorted(CASES.glob("*.toml")):
        for facts in tomllib.loads(path.read_text(encoding="utf-8")).get("case", ()):
            yield Case(
                name=facts["name"],
                symptom=facts.get("symptom", ""),
                causes=(facts["cause"], *facts.get("accepted", ())),
                confirmed=facts.get("confirmed", False),
                on_file=facts.get("on_file", True),
                benign=facts.get("benign", False),
                step=facts.get("step"),
                facts=facts,
            )


def render(case: Case, folder: Path) -> None:
    """Write the run directory of a case."""
    facts = case.facts
    folder.mkdir(parents=True)
    entries = list(_entries(facts["curve"])) if "curve" in facts else []
    _write_log(folder, facts, entries)
    if entries and facts.get("state", True) and facts.get("style", "trainer") == "trainer":
        _write_state(folder, facts, entries)
    _write_setup(folder, facts)
    for name, text in facts.get("files", {}).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for name, tensors in facts.get("tensors", {}).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_safetensors(path, tensors)


def _entries(curve: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield log entries: the last value of a column repeats; a rate goes on to fall unless `rate_stands`."""
    every = curve.get("every", 1)
    length = max(len(v) for v in curve.values() if isinstance(v, list))
    steps = curve.get("steps") or [every * (i + 1) for i in range(length)]
    for i, step in enumerate(steps):
        entry: dict[str, Any] = {}
        for name, values in curve.items():
            if not isinstance(values, list) or name == "steps":
                continue
            value = values[min(i, len(values) - 1)]
            beyond = i - len(values) + 1
            if name == "learning_rate" and beyond > 0 and value and not curve.get("rate_stands"):
                value *= 1 - beyond / (length + 50)
            if value != "absent":
                entry[name] = value
        entry["epoch"] = round(step / curve.get("per_epoch", PER_EPOCH), 2)
        entry["step"] = step
        yield entry


def _write_log(folder: Path, facts: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> None:
    before, after = facts.get("log", []), facts.get("log_end", [])
    style = {"trainer": _trainer, "trainer5": _trainer5, "neox": _neox, "verl": _verl, "mmengine": _mmengine}
    lines = [*before]
    if facts.get("printed", True):
        total = facts.get("curve", {}).get("total", entries[-1]["step"] if entries else 0)
        lines.extend(style[facts.get("style", "trainer")](entries, total))
    lines.extend(after)
    if lines:
        (folder / "train.log").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _text(value: object) -> str:
    return "nan" if isinstance(value, float) and math.isnan(value) else repr(value)


def _bar(step: int, total: int) -> str:
    return f"\r{100 * step // max(total, 1):3d}%|#         | {step}/{total} [00:{step % 60:02d}<10:00,  1.00s/it]"


def _trainer(entries: Sequence[Mapping[str, Any]], total: int) -> Iterator[str]:
    for entry in entries:
        shown = ", ".join(f"'{k}': {_text(v)}" for k, v in entry.items() if k != "step")
        yield f"{_bar(entry['step'], total)}\r{' ' * 40}\r{{{shown}}}"
        yield _bar(entry["step"], total)


def _trainer5(entries: Sequence[Mapping[str, Any]], total: int) -> Iterator[str]:
    for entry in entries:
        shown = ", ".join(f"'{k}': '{v:.4g}'" for k, v in entry.items() if k != "step")
        yield f"{_bar(entry['step'], total)}\r{' ' * 40}\r{{{shown}}}"
        yield _bar(entry["step"], total)


def _neox(entries: Sequence[Mapping[str, Any]], total: int) -> Iterator[str]:
    for e in entries:
        loss = "" if "loss" not in e else f" lm loss: {e['loss']:.6E} |"
        norm = "" if "grad_norm" not in e else f" grad norm: {_norm(e['grad_norm'])} |"
        yield (
            f" iteration {e['step']:8d}/{total:8d} | consumed samples: {e['step'] * 512:12d} | elapsed time per"
            f" iteration (ms): 8312.4 | learning rate: {e['learning_rate']:.3E} | global batch size:   512 |{loss}"
            f" loss scale: 1.0 |{norm} number of skipped iterations:   0 | number of nan iterations:   0 |"
        )


def _norm(value: float) -> str:
    return "nan" if math.isnan(value) else f"{value:.3f}"


def _verl(entries: Sequence[Mapping[str, Any]], _: int) -> Iterator[str]:
    for e in entries:
        shown = " - ".join(f"{k}:{_text(v)}" for k, v in e.items() if k not in {"step", "epoch"})
        yield f"step:{e['step']} - {shown}"


def _mmengine(entries: Sequence[Mapping[str, Any]], total: int) -> Iterator[str]:
    for e in entries:
        yield (
            f"10/30 22:18:02 - mmengine - INFO - Epoch(train) [1][{e['step']}/{total}]"
            f"  lr: {e['learning_rate']:.4e}  eta: 2:46:39  time: 2.8906  data_time: 0.0042  memory: 10762"
            f"  loss: {e['loss']:.4f}"
            f"  grad_norm: {_text(e['grad_norm'])}"
        )


def _write_state(folder: Path, facts: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> None:
    last = entries[-1]["step"]
    state = {
        "epoch": entries[-1]["epoch"],
        "global_step": last,
        "log_history": entries,
        "max_steps": facts["curve"].get("total", last),
        "logging_steps": facts["curve"].get("every", 1),
    }
    (folder / "trainer_state.json").write_text(json.dumps(state, indent=2), encoding="utf-8")


def _write_setup(folder: Path, facts: Mapping[str, Any]) -> None:
    if "packages" in facts:
        lines = [f"{name}=={version}" for name, version in facts["packages"].items()]
        (folder / "pip_freeze.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name, file in (
        ("deepspeed", "ds_config.json"),
        ("model", "config.json"),
        ("adapter", "adapter_config.json"),
    ):
        if name in facts:
            (folder / file).write_text(json.dumps(facts[name], indent=2), encoding="utf-8")
    if "gpu" in facts:
        boards = [f"GPU {i}: {facts['gpu']} (UUID: GPU-{i:08d}-0000-4000-8000-000000000000)" for i in range(2)]
        (folder / "nvidia-smi.txt").write_text("\n".join(boards) + "\n", encoding="utf-8")
    if "arguments" in facts:
        flags = " \\\n    ".join(f"--{name} {_flag(value)}" for name, value in facts["arguments"].items())
        launcher = facts.get("launcher", "torchrun --nproc_per_node 8")
        (folder / "launch.sh").write_text(f"#!/bin/bash\n{launcher} train.py \\\n    {flags}\n", encoding="utf-8")


def _flag(value: object) -> str:
    return json.dumps(value) if isinstance(value, str) and " " in value else str(value)


def write_safetensors(path: Path, tensors: Mapping[str, Mapping[str, Any]]) -> None:
    """Write tensors by name, each a table of `shape`, `dtype` (F32) and `fill` (the value of all elements)."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = bytearray()
    for name, told in tensors.items():
        shape, dtype = told["shape"], told.get("dtype", "F32")
        count = math.prod(shape)
        start = len(data)
        data += _element(told.get("fill", 0.02), dtype) * count
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, len(data)]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(data))


def _element(value: float, dtype: str) -> bytes:
    if dtype == "F16":
        return struct.pack("<e", value)
    single = struct.pack("<f", value)
    return single if dtype == "F32" else single[2:]


def main() -> None:
    name, folder = sys.argv[1:]
    render(next(case for case in cases() if case.name == name), Path(folder))


if __name__ == "__main__":
    main()
