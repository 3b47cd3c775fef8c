"""What people say of how a training was set up: precision, kernels, boards, how many of them.

A sentence mentions a setting by the words for it, or a board by its name. What is said to work, is asked, advised or
supposed was not in use when the training failed.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from forensics.deferred.patterns import expression


class Mention(NamedTuple):
    """A setting, a package or a board that a sentence names: its group, name and value, and where it stands."""

    group: str
    name: str
    value: str
    start: int
    end: int


_MODELS = (
    r"(?:GTX|RTX)[ -]?(?:A?\d{4}|\d{2}xx)(?:[ -]?(?:ti|super))?(?![a-z\d])"
    r"|(?:10|16|20|30|40|50)[5-9]0s?[ -]?(?:ti|super)|(?:10|16)xx(?= (?:series|cards?|gpus?))"
    r"|(?<=[x*\u00d7])(?:20[678]0|30[5-9]0|40[6-9]0|50[789]0)(?!\d)"
    r"|(?:10[5-8]0|16[56]0|20[678]0|30[5-9]0|40[6-9]0|50[789]0)(?= ?(?:gpus?|cards?|\u663e\u5361|\u4e0a))"
    r"|V100S?|[AH][128]00|H20|GH200|G?B[23]00|L[24]0S?|A10G?|A[34]0|A[2456]000|T4|L4|P100|P40|K80|M40|MI\d{3}X?"
    r"|TITAN ?(?:RTX|Xp?|V)|Quadro (?:RTX ?)?[A-Z]{0,2}\d{3,4}|RTX ?PRO ?\d{4}|910B\d?"
)
BOARD = expression(rf"(?i)(?<![\w./-])(?:nvidia |geforce |tesla ){{0,2}}(?P<board>{_MODELS})(?![a-z\d])", re.ASCII)
"""Names of accelerators in prose; of numbers alone only where a card is spoken of."""
_SERIES = (("10", "GTX "), ("16", "GTX "), ("20", "RTX "), ("30", "RTX "), ("40", "RTX "), ("50", "RTX "))
"""Names by the number with which a model begins, which people leave out."""
SWITCHES: tuple[tuple[str, str, str], ...] = (
    (r"flash[-_ ]?att(?:entio)?n(?:[-_ ]?2)?|\bfa2\b|flash_attn", "attn_implementation", "flash_attention_2"),
    (r"\bsdpa\b", "attn_implementation", "sdpa"),
    (r"\beager\b(?: att\w{2,8})?|\b(?:naive|vanilla|standard|core) att(?:entio)?n\b", "attn_implementation", "eager"),
    (r"\bring[-_ ]att(?:entio)?n\b", "attn_implementation", "ring"),
    (r"\bflex[-_ ]att(?:entio)?n\b", "attn_implementation", "flex_attention"),
    (r"\bxformers\b", "attn_implementation", "xformers"),
    (r"\b(?:bf16|bfloat16)\b(?! ?/ ?fp16)", "bf16", "true"),
    (r"(?<!to )\b(?:fp16|float16|half[- ]precision|16-mixed|to_fp16|mixed_float16)\b|半精度", "fp16", "true"),
    (r"\b(?:fp32|float32|full[- ]precision|32-true|single precision)\b|全精度", "fp32", "true"),
    (
        r"\bmix(?:ed)?[-_ ]?precision(?:ed)?\b|(?<![a-z\d])amp(?![a-z\d])|\bautocast\b|混合精度",
        "mixed_precision",
        "16-mixed",
    ),
    (r"\bpacking\b", "packing", "true"),
    (r"\bgradient[-_ ]checkpointing\b", "gradient_checkpointing", "true"),
    (r"\boverlap_comm\b", "zero_optimization.overlap_comm", "true"),
    (r"\btorch[._]?compile\b", "torch_compile", "true"),
    (r"\bliger\b(?:[-_ ]kernel)?|use_liger_kernel", "use_liger_kernel", "true"),
    (
        (
            r"\b(?:multi(?:ple)?|several|[2-9]|\d\d|more than (?:one|1)|two|four|eight)[- ](?:gpus?|cards?|boards?)\b"
            "|多卡"
            r"|\b(?:[2-9]|\d\d) ?[x*\u00d7] ?(?:nvidia )?[a-z]{0,3}\d{2,4}|[双两四八](?:卡|张)|\b(?:ddp|fsdp)\b"
            rf"|\b(?:[2-9]|two|four|eight) (?:nvidia |tesla |geforce ){{0,2}}(?:{_MODELS})(?![a-z\d])"
        ),
        "several ranks",
        "true",
    ),
    (r"(?<!than )\b(?:single|one|1)[- ](?:gpus?|card|board)\b|单卡", "several ranks", "false"),
)
"""Settings by the words for them, with their name and the value that is meant where nothing switches them off."""
_OFF = expression(
    r"(?i)(?:\b(?:without|disabl\w{1,4}|turn\w{0,3} off|switch\w{0,3} off|remov\w{1,4}|no|not us\w{1,3}|clos\w{1,3}"
    r"|instead of)|关闭|不用|未使用|去掉|禁用)(?: \w{1,12}){0,2} ?['\"-]{0,3}$"
)
_OFF_BEHIND = expression(
    r"(?i)^(?: ?[=:] ?|(?: is| to| set to| was)? )(?:false|off|0\b|disabled|none)|^ ?(?:turned )?off\b"
)


def settings_in(text: str) -> Iterator[Mention]:
    """Yield the switches that a text names.

    >>> [(m.name, m.value) for m in settings_in("使用fp16模式, without packing")]
    [('fp16', 'true'), ('packing', 'false')]
    """
    for words, name, value in SWITCHES:
        # ASCII: Chinese has no blanks around a word, so a border must be one of Latin letters.
        for found in re.finditer(words, text, re.IGNORECASE | re.ASCII):
            off = _OFF.search(text[: found.start()]) or _OFF_BEHIND.search(text[found.end() :])
            yield Mention("setting", name, _other(value) if off else value, *found.span())


def boards_in(text: str) -> Iterator[Mention]:
    """Yield the boards that a text names.

    >>> [m.value for m in boards_in("NaN on my 1660 Super, fine on an A100; 2080 steps")]
    ['GTX 1660 Super', 'A100']
    """
    for found in BOARD.finditer(text):
        name = found["board"]
        series = next((front for digits, front in _SERIES if name.startswith(digits)), "")
        yield Mention("hardware", "gpu", f"{series}{name}", *found.span())


def _other(value: str) -> str:
    return {"true": "false", "false": "true"}.get(value, f"not {value}")
