"""What authors of an account have tried already: a release or a setting with which it works, one with which it fails.

"Loss is NaN with deepspeed 0.13.5 but fine with 0.10.2" is an experiment that somebody made. A sentence is read for
what was varied (a package with a version, a setting with a value) and for how each went: by the nearest word of an
outcome in its clause, else in the sentence. What is asked, advised or supposed was not tried.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from forensics.deferred.patterns import expression
from forensics.signatures.described import Mention, boards_in, settings_in

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
    "tf": "tensorflow",
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
_MOVES = expression(rf"(?i)\b(?:to|from|version|versions|and|or|with) v?(?:version )?{_VERSION}$")
_VERSIONS = expression(
    rf"(?i)(?:\b(?:(?:version|release"
    rf"|upgrad\w{{1,3}} to|updat\w{{1,3}} to|downgrad\w{{1,3}} to|\d to) v?(?:version )?|v)"
    rf"|版本) ?{_VERSION}$"
)
"""In front of a number of two parts, which may be any value elsewhere: where a package is named, and where none is."""
IN_QUESTION = "the package"
"""What a version is of that stands alone."""
AFTER, BEFORE = "after an update", "before an update"
UPDATES = {AFTER: BEFORE, BEFORE: AFTER}
"""Releases that only an update tells apart: who says how it went on one side says how on the other."""
_SINCE = expression(
    r"(?i)\b(?:starting (?:on|from|with|in|at)|since|as of|beginning with|only (?:with|in|on|after|since)"
    r"|(?:after|when|once) (?:\w{1,8} ){0,3}(?:upgrad|updat)\w{1,3} to)"
    r"(?: (?:version|release|upgrading to|updating to|the))? ?v?$"
)
"""In front of a release: those before it did not fail."""
_UPDATED = expression(
    r"(?i)\b(?:after|since|once|when) (?:(?:i|we|the|an?|my|latest|recent|last) ){0,3}(?:upgrad|updat)(?:e[ds]?|ing)\b"
    r"(?! (?:steps?|iterations?|\d))|(?:更新|升级)(?:了|到)?(?:之后|以后|后)"
    r"|\b(?:the|a|in|with|on) (?:new(?:er|est)?|latest|current|recent) (?:versions?|releases?|master)\b"
    r"|\bupdated? (?:codes?|versions?)\b|最?新(?:的)?版本?|(?:pull|拉取?|更新)了?最新"
)
_WENT_BACK = expression(
    r"(?i)\b(?:(?:before|prior to) (?:(?:the|an?|this|i|we|last|latest) ){0,3}(?:upgrad|updat)(?:e[ds]?|ing)"
    r"|(?:in|with|on|to|at|using) (?:the |an? )?(?:previous|older?|earlier) (?:versions?|releases?|commit)"
    r"|(?:downgrad|revert|roll)(?:e[ds]?|ing|ed)? back|rolled back)\b|(?:退回|回退|之前|旧|老|上个)的?版本"
)
OTHERS = {
    "CPU": r"(?<![\w-])cpu(?![ -]?(?:memory|ram|usage|util|offload|cores?|count|threads?|model|only version))",
    "TPU": r"\btpus?\b",
    "another machine": (
        r"\b(?:another|a different|other) (?:\w{3,9} )?(?:computer|machine|server|gpu|card|pc|board|node|cluster)s?\b"
        "|(?:别的|其他|另一台|另外一台|换了?台?)(?:机器|电脑|服务器|显卡)"
    ),
}
"""Where else one trains, with the words for it."""
_NAMED = expression(rf"(?i)(?<![\w.-])(?P<package>{_NAMES})(?![\w-])")
_STAGES = expression(
    r"(?i)\bzero[-_ ]?(?:stage[-_ ]?)?(?P<first>[0-3])(?P<more>(?:[/, ]{1,2}(?:or |and )?(?:zero-?)?[0-3])*)\b"
)
_GOOD = (
    r"\b(?:works?|worked|working|fine|ok(?:ay)?|normal(?:ly)?|stabl[ey]|correct(?:ly)?|successful(?:ly)?|amazing"
    r"|perfect(?:ly)?|able to train|train(?:s|ed|ing)? (?:well|properly|fine|normally)|decreas(?:es?|ed|ing)"
    r"|converg(?:es?|ed|ing)|no (?:such )?(?:issues?|problems?|errors?|nans?|hang)"
    r"|(?<!to )(?<!can )(?<!be )(?<!how )(?:solve[sd]|fixe[sd]|resolve[sd]|cure[sd])"
    r"|disappear(?:s|ed)?|(?:is|are|was) gone|as expected)\b"
    "|正常|没有?(?:这个|此|该)?问题|好了|解决了"
)
_BAD = (
    r"\b(?:fail(?:s|ed|ing)?|broken?|breaks?|nans?|infs?|wrong|hang(?:s|ing)?|hung|stuck|freezes|crash(?:es|ed)?"
    r"|diverg(?:es?|ed)|explodes?|bug(?:gy)?|oom|worse"
    r"|weird|strange|oscillat\w{1,4}|(?:hard|fails?|failed|stop\w{0,3}) (?:to )?(?:converg|decreas)"
    r"\w{1,3}|loss(?:es)? (?:\w{1,8} ){0,2}(?:increas|ris)(?:es?|ed|ing)|(?:larger|higher) (?:training )?loss"
    r"|(?:much|significantly|a lot) (?:higher|larger|lower)"
    r"|unstable|abnormal(?:ly)?|regress(?:es|ion|ed)?|becomes? 0|is 0|go(?:es)? to 0"
    r"|drops? to (?:0|zero)|becomes? zero|occurs?|happens?|appears?"
    r"|(?:see|sees?|get|gets|got|have|has|had|hit|face|meet|met) (?:the|this|an?) (?:same )?(?:issue|problem|error))\b"
    "|异常|报错|变高|变大|[高大]了(?:不少|很多|许多)|卡住|卡死|不行|变为nan"
)
_OUTCOME = expression(
    rf"(?ai)(?P<turned>(?:\bnot|n['\u2019]t|\bnever|\bno longer|\bwithout|\bcannot|不|没有?)\W{{0,2}}(?:\w{{1,12}} )?)?"
    rf"(?:(?P<good>{_GOOD})|(?P<bad>{_BAD}))"
)
_SUPPOSED = expression(
    r"(?i)\b(?:whether|should|could|maybe|might|please|would|can you|recommend\w{0,3}|try|suggest\w{0,3}"
    r"|will (?:be|try|test|check|need)|need to|support\w{0,3})\b"
    "|建议|是否|会不会|试试"
)
_PARTS = expression(r"(?:[,;()\uff0c\uff1b\uff08\uff09\u3002]|\.\s)\s*|\s(?:but|while|whereas|however|and)\s|但是?")
_TURNED = expression(
    r"(?i)(?:^(?:it )?(?:is |does |do |did |was )?(?:not|n['\u2019]t|never)(?: \w{1,12}){0,2} $"
    r"|\b(?:than|compared (?:to|with)|unlike|versus|vs\.?)(?: \w{1,12}){0,2} ?$)|(?:^不是?|比|相比)$"
    r"|\b(?:chang|switch|mov|upgrad|updat|downgrad|going|went|go)\w{0,4}(?: \w{1,16}){0,4} from(?: \w{1,16})? ?$"
)
"""In front of what was tried: then it went the other way. "NaN with A but not with B", "worse than B", "when I
switch from B to A"."""
_ONLY = expression(r"(?i)\b(?:only|nothing (?:else|but)|sole|single (?:change|difference))\b")
_CHANGED = expression(
    r"(?i)(?<![\w-])(?P<name>[a-z]\w{0,30}_\w{1,40})\W{1,3}"
    r"(?:(?:was|is|were|being|flipped|changed|switched|set|from) ){0,3}"
    r"(?P<good>[\w.+-]{1,40}) ?(?:\u2192|->|to) ?(?P<bad>[\w.+-]{1,40})"
)
SAME = {"attention_implementation": "attn_implementation", "attn_impl": "attn_implementation"}
"""Other names of settings that rules look at."""
_LINKS = expression(r"!?\[[^\[\]]{0,200}\]\([^()\s]{0,400}\)|https?://[^\s()<>]{1,400}|<[a-z/][^<>]{0,400}>")
_EMPHASIS = expression(r"(?<!\w)\*{1,3}|\*{1,3}(?!\w)")
_OWN = expression(r"(?i)\b(?:i|we|my|our|me)\b|我")
_ADVISES = expression(r"(?i)\byou\b")


_WORDS = frozenset({"datasets", "tokenizers", "accelerate", "lightning", "triton"})
"""Packages with the name of a common word: a number that does not follow them is none of theirs."""


def trials_in(sentence: str) -> list[Trial]:
    """Return what a sentence says was tried.

    >>> [(t.name, t.value, t.works) for t in trials_in("NaN with deepspeed==0.13.5 but ok with deepspeed==0.10.2")]
    [('deepspeed', '0.13.5', False), ('deepspeed', '0.10.2', True)]
    >>> trials_in("Does it work with deepspeed 0.10.2?"), trials_in("You should try torch 2.5.1")
    ([], [])
    """
    told = " ".join(sentence.split())[:240]
    found = [Trial(m.group, m.name, m.value, works, told) for m, works in _mentioned(sentence) if works is not None]
    found += [Trial("setting", name, value, works, told) for name, value, works in _only_changed(sentence)]
    return _agreeing([trial for trial in found if trial.name != IN_QUESTION or _both(found, trial.name)])


def _only_changed(sentence: str) -> Iterator[tuple[str, str, bool]]:
    """Yield the two values of what an account of a fault says to be the only change: `x` flipped `a -> b`."""
    text = sentence[:MOST].replace("`", "").replace("*", "")
    found = _CHANGED.search(text) if _ONLY.search(text) else None
    if found is not None:
        name = SAME.get(found["name"].lower(), found["name"])
        yield name, found["good"].lower(), True
        yield name, found["bad"].lower(), False


def _both(found: Sequence[Trial], name: str) -> bool:
    return {trial.works for trial in found if trial.name == name} == {True, False}


def described_in(sentence: str) -> list[Mention]:
    """Return what a sentence says was in use: settings and boards, but for what it says to work.

    >>> [(m.name, m.value) for m in described_in("I train in half precision on a V100, fp32 works")]
    [('fp16', 'true'), ('gpu', 'V100')]
    """
    return [
        m
        for m, works in _mentioned(sentence)
        if not works and (m.group == "setting" or (m.name == "gpu" and m.value not in OTHERS))
    ]


def _mentioned(sentence: str) -> Iterator[tuple[Mention, bool | None]]:
    """Yield what a sentence names as used, and how it went with it; None where it does not tell."""
    text = _LINKS.sub(" ", sentence)[:MOST].replace("`", "")
    text = _EMPHASIS.sub("", text).strip()
    if text.endswith(("?", "\uff1f")) or "=>" in text or (_ADVISES.search(text) and not _OWN.search(text)):
        return
    bounds = [0, *(found.end() for found in _PARTS.finditer(text)), len(text) + 1]
    mentions = [*_releases(text), *_settings(text), *_devices(text)]
    mentions += [] if any(m.group == "package" for m in mentions) else _updates(text)
    outcomes = [(found.start(), found.end(), _went_well(found)) for found in _OUTCOME.finditer(text)]
    # What is said in a part of a sentence that names something itself is not said of another part.
    taken = {_part(bounds, mention.start) for mention in mentions}
    free = [one for one in outcomes if _part(bounds, one[0]) not in taken]
    for mention in mentions:
        begin, end = _part(bounds, mention.start)
        if _SUPPOSED.search(text[begin : end - 1]):
            continue
        turned = _TURNED.search(text[begin : mention.start]) is not None
        inside = [one for one in outcomes if begin <= one[0] < end]
        near = min(inside or (outcomes if turned else free), key=lambda one: _apart(mention, one), default=None)
        works = None if near is None else near[2] is not turned
        yield mention, works
        if works is False and mention.group == "package" and _SINCE.search(text[: mention.start]):
            yield mention._replace(value=f"before {mention.value}"), True
        if works is not None and mention.value in UPDATES:
            yield mention._replace(value=UPDATES[mention.value]), not works


def _went_well(found: re.Match[str]) -> bool:
    return (found["good"] is not None) is not bool(found["turned"])


def _part(bounds: Sequence[int], at: int) -> tuple[int, int]:
    """Return the part of a sentence that a place lies in."""
    return max(bound for bound in bounds if bound <= at), min(bound for bound in bounds if bound > at)


def _apart(mention: Mention, outcome: tuple[int, int, bool]) -> int:
    return max(mention.start - outcome[1], outcome[0] - mention.end, 0)


def _releases(text: str) -> Iterator[Mention]:
    """Yield packages with a version, and versions alone: of the package named last, else of the one in question."""
    taken: list[tuple[int, int]] = []
    for found in _RELEASE.finditer(text):
        taken.append(found.span())
        yield Mention("package", _canonical(found["package"]), found["version"], *found.span())
    named = [*_NAMED.finditer(text)]
    for found in _NUMBER.finditer(text):
        before = [one for one in named if one.end() <= found.start() and one[0].lower() not in _WORDS]
        whole = found["version"].count(".") > 1 or (_MOVES if before else _VERSIONS).search(text[: found.end()])
        if whole and not any(a <= found.start() < b for a, b in taken):
            name = _canonical(before[-1]["package"]) if before else IN_QUESTION
            yield Mention("package", name, found["version"], *found.span())


def _updates(text: str) -> Iterator[Mention]:
    """Yield an update of what is not named: it works before and fails behind, or the other way where one went back."""
    for found in _UPDATED.finditer(text):
        yield Mention("package", IN_QUESTION, AFTER, *found.span())
    for found in _WENT_BACK.finditer(text):
        yield Mention("package", IN_QUESTION, BEFORE, *found.span())


def _devices(text: str) -> Iterator[Mention]:
    yield from boards_in(text)
    for value, words in OTHERS.items():
        for found in re.finditer(words, text, re.IGNORECASE | re.ASCII):
            yield Mention("hardware", "gpu", value, *found.span())


def _canonical(package: str) -> str:
    return next(name for words, name in PACKAGES.items() if re.fullmatch(words, package, re.IGNORECASE))


def _settings(text: str) -> Iterator[Mention]:
    for found in _STAGES.finditer(text):
        for stage in re.findall(r"[0-3]", found["first"] + found["more"]):
            yield Mention("setting", "zero_optimization.stage", stage, *found.span())
    yield from (mention for mention in settings_in(text) if not _RELEASE.match(text, mention.start))


def _agreeing(found: Sequence[Trial]) -> list[Trial]:
    """Leave out what a sentence says to work and to fail: it varied something else."""
    both = {trial[:3] for trial in found if trial.works} & {trial[:3] for trial in found if not trial.works}
    return [trial for trial in dict.fromkeys(found) if trial[:3] not in both]
