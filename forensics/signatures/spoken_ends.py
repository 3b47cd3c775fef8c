"""How people say what a run died of, in other words than those that a program prints.

Each row names the event that a log would show and the symptom that it is; an empty symptom is a sign of a cause and
states no end by itself: memory that only grows.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple

_FULL = (
    r"full(?:y occupied)?|exhaust\w{0,4}|out of|(?:runs?|ran|running) out|insufficient|not enough"
    r"|used up|max(?:es|ed|ing)? out"
    r"|overflow\w{0,3}|溢出|不足|爆|占满|不够|耗尽|满了"
)
_GROWS = (
    r"leak\w{0,3}|increas\w{1,3}|gr(?:ow|ew)\w{0,3}|accumulat\w{1,3}|ris(?:es|ing)"
    "|泄[漏露]|增[大加长]|上涨|一直涨"
)
_HOST = (
    r"(?:(?:cpu|system|host|main|computer|machine)(?:'s)? (?:memory|ram)|(?<![\w-])ram\b|computer(?= is out of)"
    "|(?<!显卡)(?<!gpu)(?<!gpu )内存)"
)
_DEVICE = (
    r"(?:(?:gpu|cuda|video|graphics?(?: card)?) (?:memory|ram)|(?<!host )(?<!cpu )(?<!shared )memory|vram"
    "|显存|显卡内存)"
)


def _either_way(what: str, became: str) -> str:
    return rf"{what}.{{0,40}}?(?:{became})|(?:{became})(?: of)?(?: the)? ?{what}"


ENDS: tuple[tuple[str, str, str], ...] = (
    (
        "shared-memory-full",
        "crash-exception",
        (
            r"\bbus error|(?:shared memory|/dev/shm|\bshm\b|共享内存).{0,30}"
            r"(?:full|insufficient|exhaust|too small|不足|满)"
            r"|(?:insufficient|out of|not enough)(?: the)? (?:shared memory|shm)\b"
        ),
    ),
    (
        "data-loader-worker",
        "crash-exception",
        (
            r"data[ _]?loaders?\b.{0,40}?\b(?:exit(?:s|ed)?|quit|die[sd]?|killed|crash(?:es|ed)?|unexpectedly)\b"
            r"|\bworkers?\b.{0,24}\b(?:exit(?:s|ed)?|quit|died?) unexpectedly"
        ),
    ),
    ("host-memory", "crash-memory", rf"{_either_way(_HOST, _FULL)}|cannot allocate memory"),
    ("host-memory", "", _either_way(_HOST, _GROWS)),
    (
        "out-of-memory",
        "crash-oom",
        (
            rf"{_DEVICE} (?:is|are|was|gets?|becomes?) (?:{_FULL})|(?:显存|显卡内存).{{0,8}}(?:{_FULL})"
            rf"|\bmemory (?:errors?|allocation (?:fail\w{{1,3}}|errors?))\b"
        ),
    ),
    ("out-of-memory", "", _either_way(_DEVICE, _GROWS)),
    (
        "disk-full",
        "crash-disk",
        (
            r"\bno space left|\bdisk (?:space )?(?:is |was |being )?full|\b(?:out of|not enough) (?:disk|storage)\b"
            "|(?:磁盘|硬盘)(?:空间)?(?:已?满|不足)"
        ),
    ),
    ("illegal-memory-access", "crash-device", r"\billegal memory access|非法内存访问|非法访问"),
    ("device-assert", "crash-device", r"\bdevice-side assert"),
    (
        "driver-mismatch",
        "crash-launcher",
        (
            r"\bdriver.{0,30}\b(?:too old|insufficient|outdated|mismatch)|\bno cuda\b|\bcuda (?:is |was )?not available"
            r"|\b(?:can ?not|can['\u2019]t|could ?n[o'\u2019]t|unable to) (?:find|detect|see|recogni[sz]e|use) "
            r"(?:the |my |any )?(?:gpus?|cuda)\b|(?:找不到|检测不到|没有检测到|无法使用)\s?(?:gpu|cuda|显卡)"
        ),
    ),
    (
        "shape-mismatch",
        "crash-exception",
        (
            r"\b(?:size|shape|dimension|dim)s?[ -]mismatch|\bmismatch(?:ed)? (?:in |of )?(?:the )?(?:sizes?|shapes?)\b"
            r"|\b(?:shapes?|sizes?|dimensions?)\b.{0,24}(?:not|n't) match|(?:维度|尺寸|形状)不(?:一致|匹配|对)"
        ),
    ),
    ("device-mismatch", "crash-exception", r"\b(?:not )?on (?:the same|different|two) devices?\b"),
)
"""The event, its symptom and the words for it; the first that fits a place counts."""
OF_SYMPTOMS: Mapping[str, str] = {
    "crash-oom": "out-of-memory",
    "crash-killed": "killed",
    "crash-nccl": "nccl-timeout",
    "crash-signal": "native-crash",
}
"""What a log would show of an end that is told by its symptom alone."""


class Told(NamedTuple):
    """An event that a sentence tells of, its symptom ("" for none), and where it stands in the sentence."""

    event: str
    symptom: str
    start: int
    end: int


@cache
def _words() -> tuple[tuple[str, str, re.Pattern[str]], ...]:
    # ASCII: words of Chinese have no blanks around them.
    return tuple((event, symptom, re.compile(words, re.IGNORECASE | re.ASCII)) for event, symptom, words in ENDS)


def ends_in(text: str) -> Iterator[Told]:
    """Yield what a text says that a run died of, each event once.

    >>> [(t.event, t.symptom) for t in ends_in("the RAM is full at epoch 3 and the loader's worker died unexpectedly")]
    [('data-loader-worker', 'crash-exception'), ('host-memory', 'crash-memory')]
    """
    seen: set[str] = set()
    for event, symptom, words in _words():
        found = words.search(text) if event not in seen else None
        if found is not None:
            seen.add(event)
            yield Told(event, symptom, *found.span())
