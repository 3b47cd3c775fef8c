"""Rows of an embedding that belong to tokens of the chat template, against the rows of ordinary tokens.

A base model often has rows for the template's tokens that its training never touched. Only those rows and a sample of
the others are read, whatever the size of the table.
"""

import math
from collections.abc import Iterator, Mapping

import numpy as np

from forensics.errors import ForensicsError
from forensics.formats.dtypes import DTYPES, decode
from forensics.formats.lenient_json import load
from forensics.model import Checkpoint, Floats, TensorRecord, TokenRows
from forensics.storage.file import File
from forensics.storage.locations import Root
from forensics.weights.layouts._trained import EMBEDDING
from forensics.weights.optimizer import whole

FLOATS = ("F32", "BF16", "F16", "F64")
MOST_TOKENS = 64
SAMPLE = 64
"""Rows of ordinary tokens that are read for their median, spread evenly over the table."""
FEWEST = 32
"""Rows that a table must have besides those of the tokens: a median of fewer says little."""
TEMPLATE_BYTES = 1 << 20


def token_rows(root: Root, checkpoint: Checkpoint) -> TokenRows | None:
    """Return the norms of the template's rows; None without a template, a plain embedding or its bytes."""
    held = checkpoint.tensors
    record = next((r for r in held.only(held.names.where(EMBEDDING.fullmatch)) if _is_table(r)), None)
    if record is None or checkpoint.table is None:
        return None
    tokens = {number: text for number, text in _tokens(root, checkpoint.path) if number < record.shape[0]}
    if not tokens:
        return None
    chosen = sorted(tokens)[:MOST_TOKENS]
    spread = np.linspace(0, record.shape[0] - 1, SAMPLE).astype(int).tolist()
    others = sorted(set(spread) - set(tokens))
    if len(others) < FEWEST:
        return None
    try:
        norms, usual = _norms(root, record, chosen), _norms(root, record, others)
    except ForensicsError:
        return None
    return TokenRows(record.name, tuple(tokens[n] for n in chosen), tuple(norms.tolist()), float(np.nanmedian(usual)))


def _is_table(record: TensorRecord) -> bool:
    return (
        record.role == "weight"
        and len(record.shape) == 2
        and record.dtype in FLOATS
        and record.strides is None
        and len(record.pieces) == 1
        and EMBEDDING.fullmatch(record.name) is not None
    )


def _tokens(root: Root, folder: str) -> Iterator[tuple[int, str]]:
    """Yield (id, text) of the special tokens that the chat template beside the weights writes."""
    config = _object(root, folder, "tokenizer_config.json")
    template = _template(config.get("chat_template")) or _text(root, folder, "chat_template.jinja")
    added = config.get("added_tokens_decoder")
    if isinstance(added, Mapping):
        named = [(_number(key), one.get("content")) for key, one in added.items() if isinstance(one, Mapping)]
    else:
        named = [(whole(number), text) for text, number in _object(root, folder, "added_tokens.json").items()]
    for number, text in named:
        if number is not None and number >= 0 and isinstance(text, str) and text and text in template:
            yield number, text


def _number(key: object) -> int | None:
    """Return the number that a key of JSON writes.

    >>> _number("151644"), _number("x")
    (151644, None)
    """
    text = str(key)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _template(value: object) -> str:
    """Return the text of a template, or of all of several that have names."""
    if isinstance(value, list):
        return "\n".join(_template(one.get("template")) for one in value if isinstance(one, Mapping))
    return value if isinstance(value, str) else ""


def _object(root: Root, folder: str, name: str) -> Mapping[str, object]:
    try:
        with File(root / _beside(folder, name)) as file:
            value = load(file).value
    except ForensicsError:
        return {}  # Not there, or no JSON: its reader tells the latter.
    return value if isinstance(value, Mapping) else {}


def _text(root: Root, folder: str, name: str) -> str:
    try:
        with File(root / _beside(folder, name)) as file:
            return file.read(0, min(file.size, TEMPLATE_BYTES)).decode("utf-8", "replace")
    except ForensicsError:
        return ""


def _beside(folder: str, name: str) -> str:
    return name if folder == "." else f"{folder}/{name}"


def _norms(root: Root, record: TensorRecord, rows: list[int]) -> Floats:
    """Return the L2 norm of each of the rows, NaN where it holds one."""
    dtype, piece = DTYPES[record.dtype], record.pieces[0]
    size = dtype.nbytes(record.shape[1])
    found = np.empty(len(rows))
    with File(root / piece.path) as file:
        for place, row in enumerate(rows):
            raw = np.frombuffer(file.read(piece.offset + row * size, size), np.uint8)
            values = np.asarray(decode(dtype, raw), dtype=np.float64)
            found[place] = math.sqrt(float(np.dot(values, values)))
    return found
