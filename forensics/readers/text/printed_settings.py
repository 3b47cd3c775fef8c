"""Versions, hardware, arguments and schedule that a log tells about its own run.

Sources: transformers `Trainer` (block `***** Running training *****`, repr of `TrainingArguments`), unsloth
`models/llama.py` (banner), DeepSpeed `launcher/runner.py` and `launch.py`, NCCL, wandb, pip, paths in tracebacks.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator

import numpy as np

from forensics.deferred.patterns import expression
from forensics.formats.flatten import scalar as bounded
from forensics.formats.text import Window, fragment_end, fragment_start, redact, scalar
from forensics.formats.text.places import alike
from forensics.model import Group, Integers, Scalar, Standing
from forensics.readers._events.phrases import Positions
from forensics.readers.text.found import SettingRow

BLOCK_BYTES = 4096
ARGUMENT_BYTES = 1 << 16
NEAR_BYTES = 48
"""Paths that are the same so far tell the same."""

Told = tuple[Group, str, Scalar, Standing]

# `Trainer._inner_training_loop`; transformers < 4.30 prints without thousands separators.
_BLOCK = {
    rb"Num examples = ([\d,]+)": "num_examples",
    rb"Num Epochs = ([\d,]+)": "num_train_epochs",
    rb"Num update steps per epoch = ([\d,]+)": "num_update_steps_per_epoch",
    rb"Instantaneous batch size per device = ([\d,]+)": "per_device_train_batch_size",
    rb"Total train batch size[^=\r\n]{0,120}= ([\d,]+)": "total_train_batch_size",
    rb"Gradient Accumulation steps = ([\d,]+)": "gradient_accumulation_steps",
    rb"Total optimization steps = ([\d,]+)": "max_steps",
    rb"Number of trainable parameters = ([\d,]+)": "num_trainable_parameters",
}
_UNSLOTH = {
    rb"Unsloth:? (\d[\w.]*\w)": ("package", "unsloth"),
    rb"Transformers ?[:=] ?(\d[\w.+]*\w)": ("package", "transformers"),
    rb"vLLM: (\d[\w.+]*\w)": ("package", "vllm"),
    rb"(?:Torch|Pytorch): (\d[\w.+]*\w)": ("package", "torch"),
    rb"Triton: (\d[\w.+]*\w)": ("package", "triton"),
    rb"Xformers = (\d[\w.+]*\w)": ("package", "xformers"),
    rb"CUDA Toolkit ?[:=] ?(\d[\w.]*\w)": ("hardware", "cuda"),
    rb"\\\\\s+/\|\s+(?:GPU: )?((?:NVIDIA|Tesla|AMD) [^.\r\n]+)\. ": ("hardware", "gpu"),
    rb"Num GPUs(?: used)? = (\d+)": ("hardware", "gpu_count"),
    rb"Num examples = ([\d,]+)": ("setting", "num_examples"),
    rb"Num Epochs = ([\d,]+)": ("setting", "num_train_epochs"),
    rb"Total steps = ([\d,]+)": ("setting", "max_steps"),
    rb"Batch size per device = ([\d,]+)": ("setting", "per_device_train_batch_size"),
    rb"Gradient [Aa]ccumulation steps = ([\d,]+)": ("setting", "gradient_accumulation_steps"),
    rb"Total batch size(?: \([^)]*\))? = ([\d,]+)": ("setting", "total_train_batch_size"),
    rb"Trainable parameters = ([\d,]+)": ("setting", "num_trainable_parameters"),
}  # fmt: skip
_ARGUMENT = expression(rb"(\w{1,80})=([^\r\n]*?),?[ \t]*\r?$", re.MULTILINE)
_INSTALLED = expression(r"(?<![\w.-])([A-Za-z0-9][\w.-]*?)-(\d[\w.+!]*)(?=\s|$)")
_PACKAGES = expression(rb"/lib/python(3\.\d{1,2})/(?:site|dist)-packages/([\w.-]*)")
_EGG = expression(rb"(\w+)-(\d[\w.+]*?)(?:\.dist-info|\.egg-info|-py3)")
_PIP_TABLE_NAME = expression(r"[-_.]+")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _number(raw: bytes) -> Scalar:
    return scalar(_text(raw).replace(",", ""))


def _training_block(text: bytes) -> Iterator[Told]:
    block = text[: BLOCK_BYTES // 2]
    for pattern, name in _BLOCK.items():
        found = re.search(pattern, block)
        if found:
            yield "setting", name, _number(found[1]), Standing.EFFECTIVE


def _unsloth(text: bytes) -> Iterator[Told]:
    banner = b"\n".join(text[:BLOCK_BYTES].splitlines()[:5])
    for pattern, (group, name) in _UNSLOTH.items():
        found = re.search(pattern, banner)
        if found:
            value = _text(found[1]) if group == "package" or name in {"cuda", "gpu"} else _number(found[1])
            yield group, name, value, Standing.RECORDED  # type: ignore[misc]  # group is one of the literal names


def _arguments(text: bytes) -> Iterator[Told]:
    """Read `TrainingArguments(` and its subclasses: one `name=value,` on a line, closed by `)`."""
    block = text[:ARGUMENT_BYTES]
    end = re.search(rb"^\)", block, re.MULTILINE)
    if end is None:
        return
    for found in _ARGUMENT.finditer(block[block.find(b"(") + 1 : end.start()]):
        name, value = _text(found[1]), _text(found[2])
        if not value.endswith(("{", "[", "(")):
            yield "setting", name.lstrip("_"), bounded(name, scalar(value)), Standing.RECORDED


def _version(package: str, pattern: bytes) -> Callable[[bytes], Iterator[Told]]:
    words = expression(pattern)

    def read(text: bytes) -> Iterator[Told]:
        found = words.search(text[:400].splitlines()[0])
        if found:
            yield "package", package, _text(found[1]), Standing.RECORDED

    return read


def _nccl(text: bytes) -> Iterator[Told]:
    found = re.match(rb"NCCL version (\d+\.\d+\.\d+)(?:\+cuda(\d+\.\d+))?", text)
    if found:
        yield "package", "nccl", _text(found[1]), Standing.RECORDED
        if found[2]:
            yield "hardware", "nccl.cuda", _text(found[2]), Standing.RECORDED


def _driver(text: bytes) -> Iterator[Told]:
    found = re.match(rb"DriverVersion (\d{4,6})", text)
    if found:
        number = int(found[1])
        yield "hardware", "driver.cuda", f"{number // 1000}.{number % 1000 // 10}", Standing.RECORDED


def _installed(text: bytes) -> Iterator[Told]:
    line = _text(text[:ARGUMENT_BYTES].splitlines()[0])
    for name, version in _INSTALLED.findall(line):
        yield "package", _PIP_TABLE_NAME.sub("-", name).lower(), version, Standing.CONFIGURED


def _launcher(text: bytes) -> Iterator[Told]:
    line = text[:ARGUMENT_BYTES].splitlines()[0].partition(b"cmd = ")[2]
    yield "command", "launcher", redact(_text(line))[:4000], Standing.RECORDED
    found = re.search(rb"--world_info=([\w=-]+)", line)
    if found:
        yield from world(found[1])


def world(encoded: bytes) -> Iterator[Told]:
    """Decode DeepSpeed's `--world_info`: URL-safe base64 of JSON, host to GPU numbers."""
    try:
        hosts = json.loads(base64.urlsafe_b64decode(encoded))
    except (binascii.Error, ValueError):
        return
    if isinstance(hosts, dict) and all(isinstance(gpus, list) for gpus in hosts.values()):
        yield "setting", "world_size", sum(map(len, hosts.values())), Standing.RECORDED
        yield "setting", "nodes", len(hosts), Standing.RECORDED


def _world_size(text: bytes) -> Iterator[Told]:
    found = re.match(rb"WORLD INFO DICT: (\{[^\r\n]{1,100000}\})", text)
    if found:
        hosts = re.findall(rb"\[([\d, ]*)\]", found[1])
        yield (
            "setting",
            "world_size",
            sum(len(host.split(b",")) for host in hosts if host.strip()),
            Standing.EFFECTIVE,
        )


def _nodes(text: bytes) -> Iterator[Told]:
    found = re.search(rb"nnodes=(\d{1,9}), num_local_procs=(\d{1,9})", text)
    if found:
        yield "setting", "nodes", int(found[1]), Standing.EFFECTIVE
        yield "setting", "processes_per_node", int(found[2]), Standing.EFFECTIVE


def _spawned(text: bytes) -> Iterator[Told]:
    line = text[:ARGUMENT_BYTES].splitlines()[0]
    words = re.findall(rb"'([^']*)'", line[line.find(b"[") :])
    if words:
        yield "command", "train", redact(_text(b" ".join(words)))[:4000], Standing.RECORDED


def _visible(text: bytes) -> Iterator[Told]:
    found = re.match(rb"Setting CUDA_VISIBLE_DEVICES=([\w,-]+)", text)
    if found:
        yield "variable", "CUDA_VISIBLE_DEVICES", _text(found[1]), Standing.EFFECTIVE


def _resumed(text: bytes) -> Iterator[Told]:
    found = re.match(
        rb"You are resuming training from a checkpoint trained with (\S+) of Transformers "
        rb"but your current version is (\d[\w.]*\w)",
        text,
    )
    if found:
        yield "setting", "resumed.transformers", _text(found[1]), Standing.RECORDED
        yield "package", "transformers", _text(found[2]), Standing.RECORDED


def _path(text: bytes) -> Iterator[Told]:
    found = _PACKAGES.search(text)
    if not found:
        return
    yield "package", "python", _text(found[1]), Standing.RECORDED
    egg = _EGG.match(found[2])
    if egg:
        yield "package", _PIP_TABLE_NAME.sub("-", _text(egg[1])).lower(), _text(egg[2]), Standing.RECORDED


def _megatron_arguments(text: bytes) -> Iterator[Told]:
    block = text[:ARGUMENT_BYTES].partition(b"end of arguments")[0]
    for found in re.finditer(rb"^ *(?:\d+: +)?(\w+) \.{2,} *([^\r\n]*)$", block, re.MULTILINE):
        name = _text(found[1])
        yield "setting", name, bounded(name, scalar(_text(found[2]))), Standing.EFFECTIVE


def _padded_vocabulary(text: bytes) -> Iterator[Told]:
    # Megatron-LM, `training/tokenizer`: the rows that the embedding has.
    found = re.match(rb"padded vocab \(size: \d{1,9}\) with \d{1,9} dummy tokens \(new size: (\d{1,9})\)", text)
    if found:
        yield "setting", "model.vocab_size", int(found[1]), Standing.EFFECTIVE


def _precision(value: str) -> Callable[[bytes], Iterator[Told]]:
    def read(_: bytes) -> Iterator[Told]:
        yield "setting", "precision", value, Standing.EFFECTIVE

    return read


_PRECISION = {
    # Lightning, `AcceleratorConnector._check_and_init_precision` (1.5 to 2.6).
    b"Using 16bit Automatic Mixed Precision": "16-mixed",
    b"Using 16bit native Automatic Mixed Precision": "16-mixed",
    b"Using native 16bit precision": "16-mixed",
    b"Using bfloat16 Automatic Mixed Precision": "bf16-mixed",
    b"Using bfloat16 native Automatic Mixed Precision": "bf16-mixed",
    # accelerate, `AcceleratorState.__repr__`.
    b"Mixed precision type: fp16": "fp16",
    b"Mixed precision type: bf16": "bf16",
    # The example scripts of transformers, and LLaMA-Factory, `hparams/parser.py`.
    b"-bits training: True": "fp16",
    b"pute dtype: torch.float16": "fp16",
    b"pute dtype: torch.bfloat16": "bf16",
    # transformers 4.5 to 4.8, `Trainer.__init__`; Keras, `mixed_precision/device_compatibility_check.py`.
    b"Using amp fp16 backend": "fp16",
    b"Mixed precision compatibility check (mixed_float16)": "fp16",
    b"Mixed precision compatibility check (mixed_bfloat16)": "bf16",
}
"""Lines by which a framework tells in which precision it trains."""

READERS: dict[bytes, Callable[[bytes], Iterator[Told]]] = {
    b"Running training *****": _training_block,
    b"Unsloth ": _unsloth,
    b"TrainingArguments(\n": _arguments,
    b"Config(\n": _arguments,
    b"DeepSpeed info: version=": _version("deepspeed", rb"version=([^,\s]+)"),
    b"Parsing checkpoint created by deepspeed==": _version("deepspeed", rb"deepspeed==(\d[\w.+]*)"),
    b"Tracking run with wandb version": _version("wandb", rb"wandb version (\d[\w.]*)"),
    b"PyTorch Version ": _version("torch", rb"PyTorch Version (\d[\w.+]*)"),
    b"NCCL version ": _nccl,
    b"DriverVersion ": _driver,
    b"Successfully installed ": _installed,
    b"peed.launcher.launch --world_info": _launcher,
    b"WORLD INFO DICT: ": _world_size,
    b"procs=": _nodes,
    b"pawned with command: ": _spawned,
    b"Setting CUDA_VISIBLE_DEVICES=": _visible,
    b"You are resuming training from a checkpoint": _resumed,
    b"python3.": _path,
    b"- arguments -": _megatron_arguments,
    b"padded vocab (size: ": _padded_vocabulary,
    **{line: _precision(value) for line, value in _PRECISION.items()},
}


# Read from the beginning of their line to its end; the others from the phrase on, over several lines.
_IN_PATHS = b"python3."
_ONE_FRAGMENT = frozenset({b"peed.launcher.launch --world_info", b"procs=", _IN_PATHS})


def scan_window(window: Window, positions: Positions) -> Iterator[SettingRow]:
    """Yield everything that the phrases in `READERS` tell."""
    for anchor, read in READERS.items():
        places = positions.get(anchor)
        if places is None:
            continue
        told: tuple[Told, ...] = ()
        ended = -1
        places = _of_new_paths(window, places) if anchor == _IN_PATHS else places
        for place, record in zip(places.tolist(), window.lines(places).tolist(), strict=True):
            if anchor in _ONE_FRAGMENT and place < ended:
                continue
            start, ended = _extent(window, anchor, place)
            now = tuple(read(window.data[start:ended]))
            if now == told:
                continue
            told = now
            for group, name, value, standing in now:
                yield SettingRow(window.offset + place, record, group, name, value, standing)


def _of_new_paths(window: Window, places: Integers) -> Integers:
    """Return the first place of each fragment, and of those that go on with the same path the first of all."""
    starts, _ = window.fragments(places)
    places = places[np.append(True, starts[1:] != starts[:-1])]
    new: Integers = places[alike(window.data, places - len(b"/lib/"), NEAR_BYTES) == np.arange(len(places))]
    return new


def _extent(window: Window, anchor: bytes, place: int) -> tuple[int, int]:
    """Return from where to where a phrase is to be read: a block ends at the latest where the next one begins."""
    stop = min(window.reach(place), place + ARGUMENT_BYTES)
    if anchor in _ONE_FRAGMENT:
        stop = fragment_end(window.data, place, stop)
        return fragment_start(window.data, place, window.floor(place)), stop
    following = window.data.find(anchor, place + 1, stop)
    return place, stop if following < 0 else following
