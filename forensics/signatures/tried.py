"""What authors of an account have tried already: a release or a setting with which it works, one with which it fails.

"Loss is NaN with deepspeed 0.13.5 but fine with 0.10.2" is an experiment that somebody made. A sentence is read for
what was varied (a package with a version, a setting with a value) and for how each went: by the nearest word of an
outcome in its clause, else in the sentence. What is asked, advised or supposed was not tried.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from forensics.deferred.patterns import expression

MOST = 700
"""Characters of a sentence that are looked at."""


class Trial(NamedTuple):
    """One value that was tried: of a package (its version) or of a setting, and whether training worked with it."""

    group: str
    name: str
    value: str
    works: bool
    text: str


PACKAGES = {
    "pytorch": "torch",
    "torch": "torch",
    "transformers": "transformers",
    "deepspeed": "deepspeed",
    "accelerate": "accelerate",
    "peft": "peft",
    "trl": "trl",
    "bitsandbytes": "bitsandbytes",
    "flash[-_ ]?attn": "flash-attn",
    "flash[-_ ]?attention": "flash-attn",
    "xformers": "xformers",
    "triton": "triton",
    "vllm": "vllm",
    "unsloth": "unsloth",
    "megatron[-_ ]core": "megatron-core",
    "pytorch[-_ ]lightning": "pytorch-lightning",
    "lightning": "lightning",
    "tensorflow": "tensorflow",
    "keras": "keras",
    "jax": "jax",
    "mlx-lm": "mlx-lm",
    "mlx": "mlx",
    "numpy": "numpy",
    "datasets": "datasets",
    "tokenizers": "tokenizers",
    "llama-?factory": "llamafactory",
    "ms-swift": "ms-swift",
    "axolotl": "axolotl",
    "verl": "verl",
    "torchao": "torchao",
    "liger[-_ ]kernel": "liger-kernel",
    "transformer[-_ ]engine": "transformer-engine",
    "sentence[-_ ]transformers": "sentence-transformers",
    "diffusers": "diffusers",
    "theano": "theano",
}
"""How packages are written, and their names (PEP 503)."""
_NAMES = "|".join(sorted(PACKAGES, key=len, reverse=True))
_VERSION = r"\d{1,4}\.\d{1,3}(?:\.\d{1,4})?(?:\.?(?:dev|post|rc)\d{0,6})?"
_RELEASE = expression(
    rf"(?i)(?<![\w.-])(?P<package>{_NAMES})[ `]{{0,2}}(?:versions? |version[ :=]{{1,3}}|==|=|>=|@|:|is |to |from |v)?"
    rf"[ `=v]{{0,2}}(?P<version>{_VERSION})(?![\w%])"
)
_NUMBER = expression(rf"(?i)(?<![\w.=-])(?:v|version )?(?P<version>{_VERSION})(?![\w%]|\.\d)")
_MOVES = expression(r"(?i)\b(?:to|from|version|versions|and|or|with) v?$")
"""In front of a number of two parts, which may be any value elsewhere."""
_NAMED = expression(rf"(?i)(?<![\w.-])(?P<package>{_NAMES})(?![\w-])")
_STAGES = expression(
    r"(?i)\bzero[-_ ]?(?:stage[-_ ]?)?(?P<first>[0-3])(?P<more>(?:[/, ]{1,2}(?:or |and )?(?:zero-?)?[0-3])*)\b"
)
SWITCHES: tuple[tuple[str, str, str], ...] = (
    (r"flash[-_ ]?att(?:entio)?n(?:[-_ ]?2)?|\bfa2\b|flash_attn", "attn_implementation", "flash_attention_2"),
    (r"\bsdpa\b", "attn_implementation", "sdpa"),
    (r"\b(?:bf16|bfloat16)\b", "bf16", "true"),
    (r"\b(?:fp16|float16|half precision)\b", "fp16", "true"),
    (r"\bpacking\b", "packing", "true"),
    (r"\bgradient[-_ ]checkpointing\b", "gradient_checkpointing", "true"),
    (r"\boverlap_comm\b", "zero_optimization.overlap_comm", "true"),
    (r"\btorch[._]?compile\b", "torch_compile", "true"),
    (r"\bliger\b(?:[-_ ]kernel)?|use_liger_kernel", "use_liger_kernel", "true"),
    (
        r"\b(?:multi(?:ple)?|several|two|2|4|8|more than (?:one|1)|two|four|eight)[- ](?:gpus?|cards?|boards?)\b|多卡",
        "several ranks",
        "true",
    ),
    (r"(?<!than )\b(?:single|one|1)[- ](?:gpus?|card|board)\b|单卡", "several ranks", "false"),
)
"""Settings by the words for them, with their name and the value that is meant where nothing switches them off."""
_OFF = expression(
    r"(?i)(?:\b(?:without|disabl\w{1,4}|turn\w{0,3} off|switch\w{0,3} off|remov\w{1,4}|no|not us\w{1,3}|clos\w{1,3}"
    r"|instead of)|关闭|不用|去掉|禁用)(?: \w{1,12}){0,2} ?$"
)
_OFF_BEHIND = expression(
    r"(?i)^(?: ?[=:] ?|(?: is| to| set to| was)? )(?:false|off|0\b|disabled|none)|^ ?(?:turned )?off\b"
)
_GOOD = (
    r"\b(?:works?|worked|working|fine|ok(?:ay)?|normal(?:ly)?|stabl[ey]|correct(?:ly)?|successful(?:ly)?|amazing"
    r"|perfect(?:ly)?|trains? (?:well|properly)|no (?:such )?(?:issues?|problems?|errors?|nans?|hang)"
    r"|(?<!to )(?<!can )(?<!be )(?<!how )(?:solve[sd]|fixe[sd]|resolve[sd]|cure[sd])"
    r"|disappear(?:s|ed)?|(?:is|are|was) gone|as expected)\b"
    "|正常|没问题|没有问题|好了|解决了"
)
_BAD = (
    r"\b(?:fail(?:s|ed|ing)?|broken?|breaks?|nans?|infs?|wrong|hang(?:s|ing)?|hung|stuck|freezes|crash(?:es|ed)?|diverg(?:es?|ed)"
    r"|explodes?|bug(?:gy)?|oom|worse|unstable|abnormal(?:ly)?|regress(?:es|ion|ed)?|becomes? 0|is 0|go(?:es)? to 0"
    r"|drops? to (?:0|zero)|becomes? zero|occurs?|happens?|appears?)\b|异常|报错|卡住|卡死|不行|变为nan"
)
_OUTCOME = expression(
    rf"(?i)(?P<turned>(?:\bnot|n['\u2019]t|\bnever|\bno longer|\bwithout|\bcannot|不|没有?)\W{{0,2}}(?:\w{{1,12}} )?)?"
    rf"(?:(?P<good>{_GOOD})|(?P<bad>{_BAD}))"
)
_SUPPOSED = expression(
    r"(?i)\b(?:whether|should|could|maybe|might|please|would|can you|recommend\w{0,3}|try|suggest\w{0,3}|will|need to"
    r"|support\w{0,3})\b"
    "|建议|是否|会不会|试试"
)
_PARTS = expression(r"(?:[,;()\uff0c\uff1b\uff08\uff09\u3002]|\.\s)\s*|\s(?:but|while|whereas|however|and)\s|但是?")
_LINKS = expression(r"!?\[[^\[\]]{0,200}\]\([^()\s]{0,400}\)|https?://[^\s()<>]{1,400}|<[a-z/][^<>]{0,400}>")
_OWN = expression(r"(?i)\b(?:i|we|my|our|me)\b|我")
_ADVISES = expression(r"(?i)\byou\b")


_WORDS = frozenset({"datasets", "tokenizers", "accelerate", "lightning", "triton"})
"""Packages with the name of a common word: a number that does not follow them is none of theirs."""


class _Mention(NamedTuple):
    group: str
    name: str
    value: str
    start: int
    end: int


def trials_in(sentence: str) -> list[Trial]:
    """Return what a sentence says was tried.

    >>> [(t.name, t.value, t.works) for t in trials_in("NaN with deepspeed==0.13.5 but ok with deepspeed==0.10.2")]
    [('deepspeed', '0.13.5', False), ('deepspeed', '0.10.2', True)]
    >>> trials_in("Does it work with deepspeed 0.10.2?"), trials_in("You should try torch 2.5.1")
    ([], [])
    """
    text = _LINKS.sub(" ", sentence)[:MOST].replace("*", "").replace("`", "").strip()
    if text.endswith(("?", "\uff1f")) or "=>" in text or (_ADVISES.search(text) and not _OWN.search(text)):
        return []
    bounds = [0, *(found.end() for found in _PARTS.finditer(text)), len(text) + 1]
    outcomes = [(found.start(), found.end(), _went_well(found)) for found in _OUTCOME.finditer(text)]
    told = " ".join(sentence.split())[:240]
    found = []
    for mention in (*_releases(text), *_settings(text)):
        begin = max(at for at in bounds if at <= mention.start)
        end = min(at for at in bounds if at > mention.start)
        part = text[begin : end - 1]
        works = None if _SUPPOSED.search(part) else _outcome_of(mention, outcomes, begin, end)
        if works is not None:
            found.append(Trial(mention.group, mention.name, mention.value, works, told))
    return _agreeing(found)


def _went_well(found: re.Match[str]) -> bool:
    return (found["good"] is not None) is not bool(found["turned"])


def _outcome_of(mention: _Mention, outcomes: Sequence[tuple[int, int, bool]], begin: int, end: int) -> bool | None:
    """Return how it went with a mention: by the nearest outcome of its part of the sentence, else of all of it."""
    inside = [one for one in outcomes if begin <= one[0] < end]
    near = min(inside or outcomes, key=lambda one: _apart(mention, one), default=None)
    return None if near is None else near[2]


def _apart(mention: _Mention, outcome: tuple[int, int, bool]) -> int:
    return max(mention.start - outcome[1], outcome[0] - mention.end, 0)


def _releases(text: str) -> Iterator[_Mention]:
    """Yield packages with a version, and versions alone, which are of the package that was named last."""
    taken: list[tuple[int, int]] = []
    for found in _RELEASE.finditer(text):
        taken.append(found.span())
        yield _Mention("package", _canonical(found["package"]), found["version"], *found.span())
    named = [*_NAMED.finditer(text)]
    for found in _NUMBER.finditer(text):
        before = [one for one in named if one.end() <= found.start() and one[0].lower() not in _WORDS]
        whole = found["version"].count(".") > 1 or _MOVES.search(text[: found.start()])
        if before and whole and not any(a <= found.start() < b for a, b in taken):
            yield _Mention("package", _canonical(before[-1]["package"]), found["version"], *found.span())


def _canonical(package: str) -> str:
    return next(name for words, name in PACKAGES.items() if re.fullmatch(words, package, re.IGNORECASE))


def _settings(text: str) -> Iterator[_Mention]:
    for found in _STAGES.finditer(text):
        for stage in re.findall(r"[0-3]", found["first"] + found["more"]):
            yield _Mention("setting", "zero_optimization.stage", stage, *found.span())
    for words, name, value in SWITCHES:
        for found in re.finditer(words, text, re.IGNORECASE):
            if _RELEASE.match(text, found.start()):
                continue
            off = _OFF.search(text[: found.start()]) or _OFF_BEHIND.search(text[found.end() :])
            yield _Mention("setting", name, _other(value) if off else value, *found.span())


def _other(value: str) -> str:
    return {"true": "false", "false": "true"}.get(value, f"not {value}")


def _agreeing(found: Sequence[Trial]) -> list[Trial]:
    """Leave out what a sentence says to work and to fail: it varied something else."""
    both = {trial[:3] for trial in found if trial.works} & {trial[:3] for trial in found if not trial.works}
    return [trial for trial in dict.fromkeys(found) if trial[:3] not in both]
