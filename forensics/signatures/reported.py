"""What people say of a training in sentences: which symptom, and from when on.

Where no log is at hand, an account states the fault in its title or in a sentence: "the loss turns to NaN after about
200 iterations". A statement names something of training and what became of it, in one clause, as a fact. What is
denied, asked, wished, conditional, quoted, somebody else's or over states nothing.
"""

import re
from functools import cache
from typing import NamedTuple, TypeAlias

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass

_GAP = r"[^.;!?\n]"
_LOSS = (
    r"\b(?:(?:\w{1,20}[_ ])?loss(?:es)?(?: (?:values?|curves?|functions?|terms?))?"
    r"|(?:generator|discriminator|train(?:ing)?) errors?)\b"
)
_GRADIENT = r"\bgrad(?:ient)?s?(?:[ _-]?norms?)?\b"
_TRAINING = r"\b(?:training|train|run|process(?:es)?|program|script|job|trainer|everything)\b"
_BECOMES = (
    r"(?:\b(?:is|are|was|were|be|becom(?:e|es|ing)|became|turn(?:s|ed)?|go(?:es)?|went|get(?:s|ting)?|got|returns?|shows?"
    r"|stays?|stayed|remain(?:s|ed)?|always|all|drop(?:s|ped)?|equals?|to|of)\b|[=:]"
    r"|\u4e3a|\u662f|\u53d8\u6210|\u7b49\u4e8e|\u51fa\u73b0)"
)
_NOT = r"(?:\b(?:not|never|no longer|cannot|hardly|barely|only)\b|n['\u2019]t\b|\b(?:do|does|did|is|are|wo|ca)nt\b)"
_GROWS = (
    r"(?:diverg(?:es?|ed|ing)|explod(?:es?|ed|ing)|explosion|bl(?:ow|ew|own|owing)s? up|skyrocket\w{0,3}"
    r"|increas(?:es?|ed|ing)|ris(?:es?|ing)|rose|go(?:es|ing)? up|grow(?:s|ing)?"
    r"|(?:becom|get)\w{0,4} (?:\w{1,8} )?(?:larger|bigger|higher))\b"
)
_ZERO = r"(?:exactly |always |still |all |to )?(?:zeros?|none|0(?:\.0{1,6})?)(?![\w%-]|\.\d)"
_LEARNS = r"\b(?:learn|converg|improv|train)"
_MODEL = r"\b(?:model|network|agent|policy|lora|adapters?)"
_WEIGHTS = r"\b(?:weights?|param(?:eter)?s?|adapters?|lora(?:[_ ][ab])?)\b"
_FALLS = r"\b(?:decreas|go(?:es|ing)? down|drop|converg|improv|reduc|chang|fall|declin|mov|dip)"
_HUGE = r"(?:(?:very|extremely|too|really) (?:large|high|big)|huge|enormous)\b"


BETWEEN = "  "
"""What parts the sentences that share a line of an account; within one there are single spaces."""


class Statement(NamedTuple):
    """One symptom that a sentence states; `first` and `last` bracket where it began, None where nothing is said."""

    symptom: str
    text: str
    first: int | None
    last: int | None
    axis: str


@dataclass(frozen=True, slots=True)
class Said:
    """One way to state a symptom. `denies` tells that the denial is the statement ("does not decrease")."""

    symptom: str
    words: str
    denies: bool = False


SAID = (
    Said(
        "loss-nan",
        rf"{_LOSS}{_GAP}{{0,60}}?{_BECOMES}{_GAP}{{0,15}}?\b(?:nans?|inf|infinite|infinity)\b"
        r"|\b(?:nan|inf)[ -](?:training |train |validation )?loss(?:es)?\b|\bloss(?:es)? (?:of )?(?:nan|inf)\b"
        rf"|\b(?:nan|inf)s?\b{_GAP}{{0,20}}\b(?:in|for|as) (?:the |my |our )?(?:\w{{1,20}} )?loss\b",
    ),
    Said("grad-norm-nan", rf"{_GRADIENT}{_GAP}{{0,30}}?{_BECOMES}{_GAP}{{0,15}}?\b(?:nans?|inf|infinite)\b"),
    Said("loss-nan", rf"\b(?:get(?:s|ting)?|got|produc(?:es?|ed|ing)|found|finds?)\b{_GAP}{{0,12}}?\bnans?\b"),
    Said("loss-to-zero", rf"{_LOSS}{_GAP}{{0,25}}?{_BECOMES} ?{_ZERO}"),
    Said(
        "eval-gap",
        rf"\b(?:val|valid|validation|eval|evaluation|test)[ _](?:set )?(?:loss|error){_GAP}{{0,30}}?\b{_GROWS}"
        r"|\bover-?fit(?:s|ted|ting)?\b",
    ),
    Said(
        "resume-jump",
        rf"\bresum(?:e|es|ed|ing)\b{_GAP}{{0,60}}?\bloss\b{_GAP}{{0,25}}?\b(?:jump|spik|higher|increas|restart)",
    ),
    Said(
        "loss-constant",
        rf"{_LOSS}{_GAP}{{0,60}}?\b(?:constant|unchanged|exactly the same|always the same|identical"
        r"|(?:is|stays?|was) always \d)|\bconstant (?:\w{1,12} )?loss\b",
    ),
    Said(
        "loss-plateau",
        rf"{_LOSS}{_GAP}{{0,60}}?{_NOT}{_GAP}{{0,25}}?{_FALLS}|{_LOSS}{_GAP}{{0,30}}?(?:\bstuck\b|\bflat\b|\bplateau"
        r"|\b(?:stays?|stayed|remain(?:s|ed)?|hovers?) (?:at|around|near|about) ?(?:about |around )?\d)"
        rf"|\bun-?decreas\w{{0,4}}\b|\bno change {_GAP}{{0,15}}\bloss\b|{_MODEL} {_NOT}{_GAP}{{0,12}}{_LEARNS}"
        rf"|{_MODEL} (?:does|do|did|is|are|was|can|ca|wo)n['\u2019]?t\b{_GAP}{{0,12}}{_LEARNS}",
        denies=True,
    ),
    Said(
        "loss-spike",
        rf"{_LOSS}{_GAP}{{0,25}}?\b(?:spik(?:es|ed)|jump(?:s|ed))\b"
        r"|\bspikes? in (?:the |my )?(?:\w{1,12} )?(?:loss|learning curve|training curve)\b",
    ),
    Said(
        "loss-divergence",
        rf"{_LOSS}{_GAP}{{0,25}}?\b{_GROWS}|\btraining {_GAP}{{0,20}}?\b(?:diverg(?:es|ed)|unstable)\b",
    ),
    Said(
        "grad-norm-explosion",
        rf"{_GRADIENT}{_GAP}{{0,35}}?(?:\b(?:explod\w{{1,3}}|explosion|bl[eo]w\w{{0,3}} up|skyrocket\w{{0,3}}"
        rf"|spik(?:es|ed))\b|\b{_HUGE})|\bexploding gradients?\b|\bspikes? in (?:the )?{_GRADIENT}",
    ),
    Said("grad-norm-zero", rf"{_GRADIENT}{_GAP}{{0,25}}?{_BECOMES} ?{_ZERO}"),
    Said(
        "reward-collapse",
        rf"\b(?:rewards?|returns?|scores?|success rate){_GAP}{{0,60}}?\b(?:collaps\w{{1,3}}|drop(?:s|ped)?"
        r"|decreas(?:es|ed|ing)|falls?|declin\w{1,3}|crash\w{1,3}|go(?:es)? down)\b"
        rf"|\b(?:policy|training|model|grpo|ppo){_GAP}{{0,40}}?\bcollaps\w{{1,3}}\b"
        rf"|\bagent\b{_GAP}{{0,30}}?\bworse policy\b",
    ),
    Said("kl-explosion", rf"\bkl\b{_GAP}{{0,40}}?(?:\b{_GROWS}|\bspik\w{{1,3}}|\b{_HUGE}|\bout of control\b)"),
    Said(
        "run-hung",
        rf"{_TRAINING}[^.,;!?\n]{{0,40}}?\b(?:hang(?:s|ed|ing)?|hung|stucks?|freez(?:es|ing)|froze(?:n)?|deadlocks?"
        r"|stall(?:s|ed))\b|\bhang(?:s|ing) (?:at|after|during|in|on|for)\b|\b(?:been|gets?|got|is) stuck (?:at|on)\b",
    ),
    Said(
        "weights-zero",
        rf"{_WEIGHTS}(?:(?! and )[^.;!?\n]){{0,30}}?\b(?:stays?|remain(?:s|ed)?|are|is)"
        r" (?:still |all |always |at )?(?:zeros?|0)\b",
    ),
    Said(
        "weights-unchanged",
        rf"{_WEIGHTS}{_GAP}{{0,30}}?(?:{_NOT}{_GAP}{{0,15}}?\b(?:chang|updat|trained)|\bunchanged\b"
        r"|\bthe same as before\b)"
        rf"|\b(?:blocks?|prevents?) (?:\w{{1,20}} ){{0,3}}(?:weights?|param(?:eter)?s?|adapters?) updates?\b",
        denies=True,
    ),
    Said("lr-zero", rf"\b(?:learning rate|lr)\b{_GAP}{{0,20}}?{_BECOMES} ?{_ZERO}"),
    Said(
        "throughput-drop",
        rf"\b(?:training|steps?|iterations?|epochs?)\b{_GAP}{{0,25}}?\b(?:slower and slower|slow(?:s|ed) down)",
    ),
)
"""Of several that fit one sentence each symptom counts once; the nearer words come first."""

_FIXED = expression(
    r"\b(?:no longer|any ?more|fixed|fixes|solved|resolved|used to|previously|did not happen|is gone|now works?"
    r"|works? (?:fine |well |great )?now|trains? (?:fine|well)|turned out)\b",
    re.IGNORECASE,
)
_GOES_ON = expression(
    r"(?i)\bno longer (?=decreas|improv|learn|converg|go|fall|drop|chang)"
    r"|\b(?:decreas|improv|learn|converg|chang|go(?:es|ing)? down)(?:es?|ed|ing)? any ?more\b"
)
"""Words that sound like an end of a fault and tell of one."""
_WISHED = expression(
    r"(?i)^\W{0,8}(?:\[?(?:add|fix|support|implement|feature|docs?|update|remove|improve|refactor|detect|stop|allow|feat"
    r"|chore|test)\b)"
)
"""How titles of changes and of wishes begin."""
_BEFORE = expression(
    r"(?i)(?:\b(?:if|unless|whether|in case|suppose|assum\w{1,4}|once|until|as soon as|would|could|may|might|can|should"
    r"|avoid\w{0,3}|prevents?|preventing|detect\w{0,3}|so that|instead of|without|in order to|before|discuss\w{0,3}"
    r"|papers?|others|docs?|documentation|tutorials?|readme|literature|according to|known that|about when|checks?"
    r"|test if|alarm for|handles?|never|no|rarely)\b"
    r"|\bwhen(?:ever)?\b(?! (?:i|we|using|training|running|trying|my)\b))[^,;:]{0,200}$"
)
"""In front of a statement: what makes it a condition, a wish, a denial or somebody else's."""
_DENIED = expression(rf"(?i){_NOT}|\b(?:may|might|can|could|would|should)\b")
_OWN = expression(r"(?i)\b(?:i|we|my|our|me|i['\u2019]m|i['\u2019]ve|using|use)\b")
_ADVISES = expression(r"(?i)\byou(?:r|['\u2019]re)?\b")
_CONDITION = expression(r"(?i)^\W{0,6}(?:if|when(?:ever)?)\b")
_QUOTED = expression(r"[\"\u201c][^\"\u201d\n]{0,400}[\"\u201d]")
_PRESUPPOSES = expression(
    r"(?i)^(?:[\w ,]{0,30}\b)?why\b|^(?!\W*(?:does|do|did|is|are|was|will|would|can|could|should|shall|has|have|may)\b)"
    r".{0,60}\bmy\b"
)
"""Questions that ask for the reason of what they take for a fact."""

_ASKS = expression(
    r"(?i)^\W*(?:is|are|do|does|did|was|will|can|could|should|has|would)"
    r" (?:it|this|that|my|the|there|any ?one|any ?body|you|we|i|your)\b"
)
"""Questions that lack their mark."""

_UNIT = r"(?:steps?|iterations?|iters?|epochs?|batch(?:es)?|updates?|rounds?|episodes?)"
_NEAR = r"(?:about|around|approximately|approx\.?|roughly|nearly|almost|some|~)"
_COUNT = expression(
    r"(?i)(?P<lead>\b(?:after|at|from|since|around|about|within|in|during|by|first|of|approximately|roughly)\b|[(~])?"
    rf" ?(?P<about>(?:{_NEAR}|the first|first|just|only) ?)?"
    r"(?P<n>\d{1,9}(?:[.,]\d{1,3})?)(?P<k>[km])?(?: ?(?:-|\u2013|to) ?(?P<to>\d{1,9})(?P<tok>[km])?)?"
    rf" ?(?:training )?(?P<unit>{_UNIT})\b"
    r"|(?P<at>\b(?:at|from|since|after|around|until)) (?:about |around )?(?P<named>steps?|iterations?|epochs?)"
    r" (?:number )?#?(?P<m>\d{1,9})"
)
_WORDS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_ORDINAL = expression(rf"(?i)\b(?P<which>{'|'.join(_WORDS)}|\d{{1,4}}(?:st|nd|rd|th)) (?P<unit>{_UNIT})\b")
_COUNTED = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBERS = {
    **{word: number for number, word in enumerate(_COUNTED, 1)},
    "a single": 1,
    "single": 1,
    "twenty": 20,
    "thirty": 30,
    "fifty": 50,
    "hundred": 100,
    "thousand": 1000,
}
_SPELLED = expression(rf"(?i)\b(?P<word>{'|'.join(sorted(_NUMBERS, key=len)[::-1])}) (?:training )?(?={_UNIT}\b)")
_AT_ONCE = expression(
    r"(?i)\bfrom the (?:very )?(?:beginning|start|first)|\b(?:each|every) (?:iteration|step|batch)|\bimmediately\b"
    r"|\bright away\b"
)
DATED = frozenset(
    {
        "loss-nan",
        "grad-norm-nan",
        "loss-to-zero",
        "loss-spike",
        "loss-divergence",
        "grad-norm-explosion",
        "reward-collapse",
        "kl-explosion",
        "run-hung",
        "throughput-drop",
        "eval-gap",
    }
)
"""What begins at some time; a loss that does not fall does so from its start on."""
NEARLY = 5
"""One part in so many by which a count that is told as about, or as after, may be off."""
Bracket: TypeAlias = tuple[int | None, int | None, str]


def stated_in(sentence: str, *, title: bool = False) -> list[Statement]:
    """Return what one sentence states, the nearest first; a title is a sentence without its mark.

    >>> [(s.symptom, s.first, s.last) for s in stated_in("My loss turns to NaN after about 200 iterations.")]
    [('loss-nan', 160, 240)]
    >>> stated_in("If the loss becomes NaN, lower the rate."), stated_in("Does the loss become NaN?")
    ([], [])
    """
    text = _QUOTED.sub(" ", sentence).replace("*", "").replace("`", "").replace("_loss", " loss").strip()
    asked = (text.endswith("?") and not _PRESUPPOSES.search(text)) or (not title and _ASKS.search(text))
    if asked or _FIXED.search(_GOES_ON.sub("", text)) or (title and _WISHED.search(text)):
        return []
    found: dict[str, Statement] = {}
    for said in SAID:
        match = _compiled(said.words).search(text)
        of_another = said.symptom == "loss-divergence" and "eval-gap" in found
        if match is None or of_another or said.symptom in found or not _holds(text, match, denies=said.denies):
            continue
        first, last, axis = began(text) if said.symptom in DATED else (None, None, "step")
        found[said.symptom] = Statement(said.symptom, " ".join(sentence.split())[:240], first, last, axis)
    return list(found.values())


def _holds(text: str, match: re.Match[str], *, denies: bool) -> bool:
    before = text[: match.start()]
    if _BEFORE.search(before) or (not denies and _DENIED.search(match[0])):
        return False
    own = _OWN.search(text) is not None
    return (own or not _ADVISES.search(text)) and (not _CONDITION.search(text) or _OWN.search(before) is not None)


def began(text: str) -> Bracket:
    """Return the bracket in which something began by the words of its sentence, and the axis it is counted on.

    >>> began("it hangs at step 1200"), began("NaN in the first fifty iterations"), began("during the fifth epoch")
    ((1200, 1200, 'step'), (0, 50, 'step'), (4, 5, 'epoch'))
    """
    text = _SPELLED.sub(lambda found: f"{_NUMBERS[found['word'].lower()]} ", text)
    count = _COUNT.search(text)
    counted = None if count is None else _counted(count)
    if counted is not None:
        return counted
    ordinal = _ORDINAL.search(text)
    if ordinal is None:
        return (0, 1, "step") if _AT_ONCE.search(text) else (None, None, "step")
    which = ordinal["which"].lower()
    number = _WORDS.index(which) + 1 if which in _WORDS else int(re.sub(r"\D", "", which))
    return number - 1, number, _axis(ordinal["unit"])


def _counted(count: re.Match[str]) -> Bracket | None:
    """Return the bracket of a count by the words in front of it; None where they say nothing."""
    if count["m"]:
        exact = int(count["m"])
        return exact, exact + (exact // NEARLY if count["at"].lower() == "after" else 0), _axis(count["named"])
    n, axis = _number(count["n"], count["k"]), _axis(count["unit"])
    lead = f"{count['lead'] or ''} {count['about'] or ''}".lower()
    if count["to"]:
        return n, max(n, _number(count["to"], count["tok"])), axis
    if re.search(r"\b(?:first|within|in|during)\b", lead):
        return 0, n, axis
    if re.search(rf"{_NEAR}(?!\w)", lead):
        return n - n // NEARLY, n + n // NEARLY, axis
    if re.search(r"\b(?:after|from|since|of|just)\b", lead):
        return n, max(n + 1, n + n // NEARLY), axis
    return (n, n, axis) if re.search(r"\b(?:at|by)\b", lead) else None


def _number(digits: str, thousands: str | None) -> int:
    factor = {"k": 1000, "m": 1_000_000}.get((thousands or "").lower(), 1)
    if factor == 1:
        return int(re.sub(r"\D", "", digits))
    return int(float(digits.replace(",", ".")) * factor)


def _axis(unit: str) -> str:
    return "epoch" if unit.lower().startswith("epoch") else "step"


@cache
def _compiled(words: str) -> re.Pattern[str]:
    return re.compile(words, re.IGNORECASE | re.ASCII)  # words of Chinese have no blanks around them
