"""Nested configuration to dotted names with plain values, iteratively and within bounds.

    {"zero_optimization": {"stage": 2, "offload_param": {"device": "none"}}, "betas": [0.9, 0.999]}

becomes `zero_optimization.stage` 2, `zero_optimization.offload_param.device` "none", `betas` "0.9, 0.999".
"""

import math
from collections.abc import Iterator, Mapping, Sequence, Sized

from forensics.deferred.patterns import expression
from forensics.errors import LimitError
from forensics.model import Scalar

MAX_ENTRIES = 20_000
MAX_DEPTH = 32
MAX_MEMBERS = 2000
"""Members of one mapping or list; a longer one (21,000 labels) is only counted."""
MAX_TEXT = 1000
"""Characters of one value; a chat template or a prompt is cut here."""
MAX_LISTED = 64
"""Elements of a list of plain values that are written out."""

REDACTED = "<redacted>"

# hub_token, WANDB_API_KEY, wandb.api-key, password; not tokenizer, pad_token_id, max_new_tokens.
_SECRET = expression(r"(?:secret|passwd|password|passphrase|credentials?|token|key|auth)$")
_NO_SECRET = expression(
    r"(?:^|[._\-/])(?:"
    r"(?:pad|eos|bos|unk|sep|cls|mask|image|video|audio|vision|boi|eoi|fim|start|end|stop|response)\w{0,60}_token|"
    r"(?:prompt|response|text|image|video|audio|label|messages?|input|output|query|chosen|rejected|reward)_key)$"
)
_SECRET_VALUE = expression(
    r"\b(?:hf_[A-Za-z0-9]{16,}|sk-[A-Za-z0-9_\-]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|"
    r"AKIA[0-9A-Z]{16}|xox[abp]-[\w\-]{10,})|(?<=://)[^/\s:@]{1,64}:[^/\s@]{1,128}(?=@)"
)


def flatten(value: object, prefix: str = "") -> Iterator[tuple[str, Scalar]]:
    """Yield (dotted name, plain value) in the order of the document.

    Mappings add their keys to the name, lists of mappings their indices; a list of plain values becomes one text,
    its elements joined by ", ". Empty mappings yield nothing. Values of secret names are redacted. Raises
    `LimitError` past `MAX_ENTRIES` values or `MAX_DEPTH` levels.
    """
    pending: list[tuple[str, object, int]] = [(prefix, value, 0)]
    count = 0
    while pending:
        name, found, depth = pending.pop()
        if depth > MAX_DEPTH:
            raise LimitError(f"{printable(name, 80)} is nested more than {MAX_DEPTH} deep")
        if isinstance(found, Sized) and len(found) > MAX_MEMBERS and _nested(found):
            yield name, f"<{len(found):,} entries>"
            count += 1
            continue
        if isinstance(found, Mapping):
            items = [(f"{name}.{_word(key)}" if name else _word(key), held) for key, held in found.items()]
        elif isinstance(found, Sequence) and not isinstance(found, (str, bytes)) and any(map(_nested, found)):
            items = [(f"{name}.{index}", held) for index, held in enumerate(found)]
        else:
            yield name, scalar(name, found)
            count += 1
            continue
        if count + len(pending) + len(items) > MAX_ENTRIES:
            raise LimitError(f"more than {MAX_ENTRIES:,} values in one configuration")
        pending.extend((inner, held, depth + 1) for inner, held in reversed(items))


def scalar(name: str, value: object) -> Scalar:
    """Return `value` as a plain value that may be stored under `name`: bounded, printable, redacted.

    A float that is not finite becomes its text, "nan" or "inf", so that two equal settings compare as equal.
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return REDACTED if value and is_secret(name) else value
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        listed = [_plain(element) for element in value[:MAX_LISTED]]
        text = ", ".join(listed) + (", ..." if len(value) > MAX_LISTED else "")
    else:
        text = _plain(value)
    if text == f"<{name.rpartition('.')[2].upper()}>":
        return None  # TrainingArguments.to_dict puts <HUB_TOKEN> for any value, an unset one too
    if text and is_secret(name) and text.lower() not in {"true", "false", "none", "null"}:
        return REDACTED
    return _SECRET_VALUE.sub(REDACTED, printable(text, MAX_TEXT))


def is_secret(name: str) -> bool:
    """Tell whether a name looks like that of a password, a token or a key.

    >>> is_secret("hub_token"), is_secret("WANDB_API_KEY"), is_secret("model.pad_token"), is_secret("tokenizer")
    (True, True, False, False)
    """
    lowered = name[-200:].lower()
    return _SECRET.search(lowered) is not None and _NO_SECRET.search(lowered) is None


def _nested(value: object) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, Sequence) and not isinstance(value, (str, bytes)))


def _plain(value: object) -> str:
    if isinstance(value, str):
        return printable(value, MAX_TEXT)
    if value is None or isinstance(value, (bool, int, float)):
        return str(value)
    return f"<{type(value).__name__}>"


def _word(key: object) -> str:
    return printable(key, 200) if isinstance(key, str) else _plain(key)


def printable(text: str, length: int) -> str:
    """Return at most `length` characters of a text, and nothing in it that cannot be encoded as UTF-8."""
    kept = text if len(text) <= length else text[: length - 3] + "..."
    # A lone surrogate (from bad bytes or a JSON escape) cannot be encoded when the report is written.
    return kept.encode("utf-8", "replace").decode("utf-8")
