"""The configuration that a DeepSpeed engine prints at its start, defaults resolved.

`DeepSpeedConfig.print` writes one row for each attribute, `  name ......... value`, and then the user's own JSON
(`print_user_config`, `ScientificNotationEncoder`: every number above 1000 as `%e`, infinity bare).
"""

import ast
import re
from collections.abc import Iterator

from forensics.deferred.patterns import expression
from forensics.errors import MalformedError
from forensics.formats.flatten import flatten
from forensics.formats.lenient_json import parse
from forensics.formats.text import Window, scalar
from forensics.model import Scalar, Standing
from forensics.readers._events.phrases import Positions
from forensics.readers.text.found import SettingRow, Unread

_ROW = expression(rb"print\] {2,4}(\w{1,80}) (?:\.{2,} )?([^\r\n]*)")
_JSON = expression(rb"print_user_config\] +json = (?=\{)")
ANCHORS = (b"print] ", b"print_user_config] ")
_NEXT = expression(rb"print(?:_user_config)?\] ")
_BRACE = expression(rb'[{}]|"(?:[^"\\\r\n]|\\.)*"')
_EQUATION = expression(r"(?<!\w)(\w+)=")
_INFINITY = expression(rb"(?<=: )(-?)inf\b")

# Attributes of `DeepSpeedConfig` whose name differs from the key in the configuration file.
_KEYS = {
    "bfloat16_enabled": "bf16.enabled",
    "bfloat16_immediate_grad_update": "bf16.immediate_grad_update",
    "fp16_enabled": "fp16.enabled",
    "fp16_auto_cast": "fp16.auto_cast",
    "fp16_master_weights_and_gradients": "fp16.fp16_master_weights_and_grads",
    "loss_scale": "fp16.loss_scale",
    "initial_dynamic_scale": "fp16.initial_dynamic_scale",
    "zero_optimization_stage": "zero_optimization.stage",
    "optimizer_name": "optimizer.type",
    "scheduler_name": "scheduler.type",
    "amp_enabled": "amp.enabled",
    "grad_accum_dtype": "data_types.grad_accum_dtype",
    "sparse_gradients_enabled": "sparse_gradients",
    "float16_config": "fp16",
    "bfloat16_config": "bf16",
}
_SECTIONS = {
    "zero_config": "zero_optimization",
    "optimizer_params": "optimizer.params",
    "scheduler_params": "scheduler.params",
    "dynamic_loss_scale_args": "fp16.dynamic_loss_scale",
    "float16_config": "fp16",
    "bfloat16_config": "bf16",
}
# Whole rows that no key of the configuration file corresponds to.
_DROPPED = frozenset({"zero_enabled", "global_rank", "amp_params", "pld_params"})


def scan_window(window: Window, positions: Positions) -> Iterator[SettingRow | Unread]:
    """Yield settings in force; a text where a block could not be read."""
    rows = [found for place in _at(positions, ANCHORS[0]) if (found := _ROW.match(window.data, place))]
    for found, record in zip(rows, window.lines([found.start() for found in rows]).tolist(), strict=True):
        row = found[1].decode()
        if row in _DROPPED:
            continue
        text = found[2].decode("utf-8", "replace").strip()
        if text == "{" and row in _SECTIONS:
            text = _block(window, found.end() - 1).decode("utf-8", "replace")
        for name, value in _row_values(row, text):
            yield SettingRow(window.offset + found.start(), record, "setting", name, value, Standing.EFFECTIVE)
    previous = b""
    for place in _at(positions, ANCHORS[1]):
        user = _JSON.match(window.data, place)
        text = _block(window, user.end()) if user else previous
        if user and text != previous:
            yield from _user_json(window, user, text)
        previous = text


def _at(positions: Positions, anchor: bytes) -> list[int]:
    return positions[anchor].tolist() if anchor in positions else []


def _row_values(row: str, text: str) -> Iterator[tuple[str, Scalar]]:
    section = _SECTIONS.get(row)
    if section is None:
        if not text.startswith(("{", "<", "[")) and not _EQUATION.match(text):
            yield _KEYS.get(row, row), scalar(text)
        return
    if text.startswith("{"):
        yield from flatten(_whole(_literal(text)), section)
    else:
        for name, value in equations(text):
            yield f"{section}.{name}", value


def _literal(text: str) -> object:
    """Read the repr of a dictionary of constants, or JSON; nothing is evaluated."""
    if len(text) > 1 << 16:
        return {}
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        pass
    try:
        return parse(_INFINITY.sub(rb"\1Infinity", text.encode())).value
    except MalformedError:
        return {}


def equations(text: str) -> Iterator[tuple[str, Scalar]]:
    """Yield the leaves of a repr such as pydantic's: `stage=2 offload_optimizer=Offload(device='cpu', ratio=1.0)`.

    >>> dict(equations("stage=2 offload=Offload(device='cpu', ratio=1.0) overlap_comm=False"))
    {'stage': 2, 'offload.device': 'cpu', 'offload.ratio': 1.0, 'overlap_comm': False}
    """
    prefix: list[str] = []
    position = 0
    for found in _EQUATION.finditer(text):
        if found.start() < position:
            continue
        closed = text.count(")", position, found.start())
        del prefix[max(len(prefix) - closed, 0) :]
        rest = text[found.end() : found.end() + 400]
        nested = re.match(r"\w+\((?=\w+=)", rest)
        if nested:
            prefix.append(found[1])
            position = found.end() + nested.end()
            continue
        plain = re.match(r"'[^']*'|\"[^\"]*\"|<[^<>]*>|\[[^\[\]]*\]|\{[^{}]*\}|\([^()]*\)|[^\s,()]+(?:,\d{3})*", rest)
        if plain is None:
            continue
        position = found.end() + plain.end()
        yield ".".join([*prefix, found[1]]), scalar(plain[0])


def _block(window: Window, start: int) -> bytes:
    """Return the text from the brace at `start` to the one that closes it, as far as a window reaches."""
    data = window.data
    reach = window.reach(start)
    following = _NEXT.search(data, start, reach)
    depth, position, reach = 0, start, following.start() if following else reach
    while found := _BRACE.search(data, position, reach):
        position = found.end()
        if found[0] == b"{":
            depth += 1
        elif found[0] == b"}":
            depth -= 1
            if depth <= 0:
                break
    return data[start:position]


def _user_json(window: Window, found: re.Match[bytes], block: bytes) -> Iterator[SettingRow | Unread]:
    record = int(window.lines([found.start()])[0])
    text = _INFINITY.sub(rb"\1Infinity", block)
    try:
        document = parse(text)
        rows = list(flatten(_whole(document.value)))
    except MalformedError as error:
        yield Unread(record, f"the configuration that DeepSpeed printed is not readable: {error}")
        return
    for name, value in rows:
        yield SettingRow(window.offset + found.start(), record, "setting", name, value, Standing.RECORDED)
    if document.broken_at is not None:
        yield Unread(record, "the configuration that DeepSpeed printed breaks off")


def _whole(value: object) -> object:
    """Turn large whole floats into the integers they were before `ScientificNotationEncoder`."""
    if isinstance(value, dict):
        return {key: _whole(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_whole(inner) for inner in value]
    if isinstance(value, float) and value.is_integer() and 1000 < abs(value) < 2**53:
        return int(value)
    return value
