"""What people say of a training in sentences: which symptom, and from when on.

Where no log is at hand, an account states the fault in its title or in a sentence: "the loss turns to NaN after about
200 iterations". A statement joins something of training and what became of it (`forensics.signatures.spoken` has the
words), in one clause or from one clause to the next, as a fact. What is denied, asked, wished, conditional, quoted,
somebody else's or over states nothing. A denied fall is a statement: "does not decrease".
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from forensics.deferred.patterns import expression
from forensics.signatures.spoken import HEDGED, LESS, NOT, PREPOSITION, Token, tokens
from forensics.signatures.spoken_ends import OF_SYMPTOMS, ends_in
from forensics.signatures.spoken_meanings import ALONE, DATED, DENIED, MEANS
from forensics.signatures.spoken_times import began

BETWEEN = "  "
"""What parts the sentences that share a line of an account; within one there are single spaces."""
MOST = 700
"""Characters of a sentence that are looked at."""


class Statement(NamedTuple):
    """One symptom that a sentence states; `first` and `last` bracket where it began, None where nothing is said."""

    symptom: str
    text: str
    first: int | None
    last: int | None
    axis: str


_FIXED = expression(
    r"\b(?:no longer|any ?more|fixed|fixes|solved|resolved|used to|previously|did not happen|is gone"
    r"|(?:now|then) works?|corrected|addressed|works? (?:fine |well |great )?now|trains? (?:fine|well)|turned out)\b"
    "|解决了|已解决|不再",
    re.IGNORECASE,
)
_OPEN = expression(
    r"(?i)\bno longer (?=decreas|improv|learn|converg|go|fall|drop|chang)"
    r"|\b(?:decreas|improv|learn|converg|chang|go(?:es|ing)? down)(?:es?|ed|ing)? any ?more\b"
    r"|\b(?:be|get|getting|not|never|yet|how|been)(?: \w{1,12}){0,2} (?:fixed|solved|resolved)\b"
    r"|(?:\bnot|n['\u2019]t) (?:train|work) (?:well|fine)\b"
    r"|\b(?:nothing|no (?:output|logs?|progress|messages?))\b[^,;]{0,30}\bany ?more\b"
    "|不再(?=下降|更新|变化)|不再继续|(?:怎么|如何|请问|没)\\w{0,6}解决了吗|解决了吗"
)
"""Words that sound like an end of a fault and tell of one."""
_WISHED = expression(
    r"(?i)^\W{0,8}(?:\[?(?:add|fix|support|implement|feature|docs?|update|remove|improve|refactor|detect|stop|allow|feat"
    r"|chore|test|bump|enable|rfc|proposal)\b)"
)
"""How titles of changes and of wishes begin."""
_BEFORE = expression(
    r"(?i)(?:\b(?:if|unless|whether|in case|suppose|assum\w{1,4}|once|until|as soon as|would|could|may|might|can|should"
    r"|avoid\w{0,3}|prevents?|preventing|detect\w{0,3}|so that|instead of|without|in order to|before|discuss\w{0,3}"
    r"|in (?:other |the |some |many )?(?:papers?|literature)|(?:papers?|others|docs?|documentation|tutorials?|readme"
    r"|literature)\b(?: \w{1,12}){0,2} (?:say|state|mention|describe|report|warn|show|claim)\w{0,3}"
    r"|according to|known that|about when|checks?|test if|alarm for|handles?|never|no|rarely|who ha(?:ve|s|d))\b"
    r"|\bwhen(?:ever)?\b(?! (?:i|we|using|training|running|trying|my|resum\w{1,4}|loading|fine\w{0,3}"
    r"|the (?:training|number))\b))[^,;:]{0,200}$"
    "|(?:如果|若|假如|是否|避免|防止|是不是|会不会|为了|除非)[^\uff0c,;\uff1b\u3002]{0,60}$"
)
"""In front of a statement: what makes it a condition, a wish, a denial or somebody else's."""
_DENIAL, _HEDGE, _LESSENED = (expression(f"(?i){words}") for words in (NOT, HEDGED, LESS))
_OWN = expression(r"(?i)\b(?:i|we|my|our|me|i['\u2019]m|i['\u2019]ve|using|use)\b|我")
_ADVISES = expression(r"(?i)\byou(?:r|['\u2019]re)?\b")
_CONDITION = expression(r"(?i)^\W{0,6}(?:if|when(?:ever)?)\b")
_QUOTED = expression(r"[\"\u201c][^\"\u201d\n]{0,400}[\"\u201d]")
_WORD = expression(
    r"[\"\u201c](?P<word>(?![^\"\u201d\n]{0,60}\b(?:is|are|was|becomes?|became|goes|turns?)\b)"
    r"[^\"\u201d\s]{1,24}(?: [^\"\u201d\s]{1,16}){0,3})[\"\u201d]"
)
"""A word in quotes, or a few without a verb: the name of an error."""
_GLUED = expression(r"(?i)\bnan-?loss(?:es)?\b")
_PRESUPPOSES = expression(
    r"(?i)^(?:[\w ,]{0,30}\b)?why\b|^(?!\W*(?:if|does|do|did|is|are|was|will|would|can|could|should|shall"
    r"|has|have|may)\b).{0,60}\bmy\b|为什么|为何|为啥|怎么|如何|什么原因|咋"
)
"""Questions that ask for the reason of what they take for a fact."""
_ASKS = expression(
    r"(?i)^\W*(?:is|are|do|does|did|was|will|can|could|should|has|would)"
    r" (?:it|this|that|my|the|there|any ?one|any ?body|you|we|i|your)\b"
)
"""Questions that lack their mark."""
_ASKING = expression(
    r"(?i)^\W*(?:(?:and|so|or|but) )?(?:is|are|do|does|did|was|will|can|could|should|has|have|had|would|how|what|why"
    r"|where|which|who|any|may|help)\b|吗|是否|有没有|请问|怎么|如何|什么|哪"
)
"""How the part of a sentence begins that is its question."""
_CLAUSE = expression(r"[,;\uff0c\uff1b\u3001]\s*|\s(?:but|whereas|and then|then|while)\s|但是|然后|而且|并且")
_RESUMES = expression(
    r"(?i)\bresum\w{1,4}\b|\brestart\w{0,3}\b|\bre-?load\w{0,3}\b|\b(?:continu\w{1,4}|second) (?:the )?training\b"
    r"|\b(?:from|via|with|using) (?:the |a |my |an )?(?:(?:previous|last|saved|earlier|old) )?checkpoints?\b"
    r"|\bload\w{0,3} (?:the |a |my )?(?:\w{1,12} )?checkpoints?\b"
    r"|\b(?:load\w{0,3}|using) (?:the |a |my )?saved models?\b|断点|续训|恢复训练|继续训练|接着训|重新加载"
)
_POLICY = expression(
    r"(?i)\b(?:grpo|ppo|rlhf|rl|policy|agents?|reinforce\w{0,8}|dapo|rloo|sac|td3|dqn|critic|actor|scores?)\b"
    "|reward|return|success|奖励|强化|回报|成功率"
)
_PERSON = expression(r"(?i)\b(?:I|we|you|they)\b|我")
_BEHIND_A_PREPOSITION = expression(f"(?i){PREPOSITION}")
_ASKED_WHY_NOT = expression(r"(?i)(?:n['\u2019]t|\b(?:do|does|did|wo|ca|is)nt) (?:the |my |our )?$")
_RULE = expression("=>|\u21d2")
_LEAPS = frozenset({"loss-divergence", "loss-spike", "loss-above-uniform", "loss-erratic", "resume-jump"})
_ADJECTIVES = frozenset({"nan", "zero", "grows", "low", "constant", "huge", "falls"})
_OF_THEIR_CLAUSE = frozenset({"zero", "learns", "falls", "changes"})
_BEHIND_ONLY = frozenset({"stops", "crashes", "slower", "learns"})
"""What is said of what stands before it: "stop training" is advice."""
_DENIABLE = frozenset({"falls", "changes", "learns", "grows"})
_BESIDE = frozenset({"data", "utilization", "memory", "model", "weights", "output"})
"""What may be named beside a process that hangs or dies, without being what does."""
FAR, NEAR, DIRECT, LINKED = 90, 30, 26, 2
"""Characters between what is spoken of and what became of it; where it follows; of a zero, which is said of much; of
no more than an "is" or an "of"."""


def stated_in(sentence: str, *, title: bool = False) -> list[Statement]:
    """Return what one sentence states, the nearest first; a title is a sentence without its mark.

    >>> [(s.symptom, s.first, s.last) for s in stated_in("My loss turns to NaN after about 200 iterations.")]
    [('loss-nan', 160, 240)]
    >>> [(s.symptom, s.first, s.last) for s in stated_in("训练到第三个epoch时loss变为nan")]
    [('loss-nan', 2, 3)]
    >>> stated_in("If the loss becomes NaN, lower the rate."), stated_in("Does the loss become NaN?")
    ([], [])
    """
    text = _told(sentence, title=title)
    found: dict[str, Statement] = {}
    for symptom, at in _stated(text):
        first, last, axis = began(text, at) if symptom in DATED else (None, None, "step")
        if symptom and symptom not in found:
            found[symptom] = Statement(symptom, " ".join(sentence.split())[:240], first, last, axis)
    return list(found.values())


def events_in(sentence: str, *, title: bool = False) -> frozenset[str]:
    """Return what one sentence tells of that a log would show as an event.

    >>> sorted(events_in("The GPU memory keeps growing.")), sorted(events_in("My training is killed in epoch 3."))
    (['out-of-memory'], ['killed'])
    """
    text = _told(sentence, title=title)
    told = frozenset(end.event for end in ends_in(text) if _is_end(text, end.start, end.end))
    return told or frozenset(OF_SYMPTOMS[symptom] for symptom, _ in _stated(text) if symptom in OF_SYMPTOMS)


def _told(sentence: str, *, title: bool) -> str:
    """Return what a sentence tells; "" where it wishes, rules, asks or tells of what is over."""
    text = _plain(sentence)
    if (title and _WISHED.search(text)) or _RULE.search(text) or _FIXED.search(_OPEN.sub("", text)):
        return ""
    return _without_its_question(text, title=title)


def _is_end(text: str, start: int, end: int) -> bool:
    front = text[max(0, start - 14) : start]
    return _is_fact(text, start, end) and not _DENIAL.search(front) and not _HEDGE.search(f"{front} {text[start:end]}")


def _plain(sentence: str) -> str:
    """Return a sentence without its marks of emphasis and without what it quotes, but for single words."""
    text = _GLUED.sub("nan loss", _WORD.sub(lambda found: f" {found['word']} ", sentence[:MOST]))
    return _QUOTED.sub(" ", text).replace("*", "").replace("`", "").strip()


def _without_its_question(text: str, *, title: bool) -> str:
    """Return what a sentence says besides what it asks: nothing, where all of it is a question."""
    if not text.endswith(("?", "\uff1f")) and "吗" not in text[-3:]:
        return "" if not title and _ASKS.search(text) else text
    if _PRESUPPOSES.search(text):
        return text
    begins = (0, *(found.end() for found in _CLAUSE.finditer(text)))
    asked = next((at for at in begins if _ASKING.search(_CLAUSE.split(text[at:], maxsplit=1)[0][:60])), None)
    return text if asked is None or _PRESUPPOSES.search(text[asked:]) else text[:asked]


def _stated(text: str) -> Iterator[tuple[str, int]]:
    """Yield each symptom that a text states, and where."""
    said = Sentence(text, (*tokens(text),), (0, *(found.end() for found in _CLAUSE.finditer(text)), len(text)))
    for index, token in enumerate(said.tokens):
        if token.part != "predicate":
            continue
        of = None if token.name == "oom" else _spoken_of(said, index)
        symptom = _alone(said, token) if of is None else _joined(said, token, of)
        if "吗" in text[token.end : said.end(token)] and not _PRESUPPOSES.search(text):
            continue
        if symptom and _is_fact(text, token.start if of is None else min(token.start, of.start), token.end):
            yield _in_its_setting(symptom, text), token.start
    for end in ends_in(text):
        if end.symptom and _is_end(text, end.start, end.end):
            yield end.symptom, end.start


class Sentence(NamedTuple):
    """A sentence with its words of meaning and the places where its clauses begin, the last of them its end."""

    text: str
    tokens: tuple[Token, ...]
    clauses: tuple[int, ...]

    def begin(self, token: Token) -> int:
        return max(at for at in self.clauses if at <= token.start)

    def end(self, token: Token) -> int:
        return min(at for at in self.clauses if at > token.start)


def _spoken_of(said: Sentence, index: int) -> Token | None:
    """Return what a predicate is said of: the head before it, else what follows it, else that of the clause before.

    "The loss of the model in training is NaN" speaks of the loss: what stands behind a preposition is no head.
    """
    token, begin, end = said.tokens[index], said.begin(said.tokens[index]), said.end(said.tokens[index])
    near = [t for t in said.tokens[:index] if t.part == "quantity" and token.start - t.end <= FAR]
    before = [t for t in near if t.start >= begin]
    heads = [t for t in before if not _BEHIND_A_PREPOSITION.search(said.text[max(0, t.start - 24) : t.start])]
    behind = [t for t in said.tokens[index + 1 :] if t.part == "quantity" and t.end <= end]
    behind = sorted((t for t in behind if t.start - token.end <= NEAR), key=lambda t: t.name == "train")
    touches = bool(behind) and behind[0].start - token.end <= 1
    if touches and token.name in _ADJECTIVES and not (heads and token.start - heads[-1].end <= 1):
        return behind[0]  # "a NaN loss", "increasing loss"
    if before:
        joined = len(said.text[before[-1].end : token.start].strip()) <= LINKED
        of = before[-1] if joined else _head(said.text, heads or before)
        return None if _PERSON.search(said.text[of.end : token.start]) else of
    if behind and (touches or token.name != "zero") and token.name not in _BEHIND_ONLY:
        return behind[0]
    return near[-1] if near and token.name not in _OF_THEIR_CLAUSE else None


def _head(text: str, heads: Sequence[Token]) -> Token:
    """Return the last head, or the one that it belongs to: "the loss of the larger model"."""
    if len(heads) > 1 and heads[-1].name in _BESIDE and re.search(r"\bof\b", text[heads[-2].end : heads[-1].start]):
        return heads[-2]
    return heads[-1]


def _joined(said: Sentence, token: Token, of: Token) -> str:
    """Return the symptom that a predicate and what it is said of make; "" where they make none."""
    text = said.text
    between = text[min(of.end, token.end) : max(of.start, token.start)]
    front = text[max(said.begin(token), min(of.start, token.start) - 14) : min(of.start, token.start)]
    denied: object = _DENIAL.search(between) or (of.start > token.start and _DENIAL.search(front))
    denied = bool(denied or _ASKED_WHY_NOT.search(front)) or text[token.start :][:3].lower() in {"un-", "und"}
    lessened = token.name in {"falls", "changes"} and _LESSENED.search(f"{between} {text[token.end : token.end + 8]}")
    if token.name in _DENIABLE and (denied or lessened):
        return DENIED.get(of.name, {}).get(token.name, "")
    if denied or _HEDGE.search(between) or (token.name == "zero" and not _is_of(text, token, of)):
        return ""
    return MEANS.get(of.name, {}).get(token.name, "") or (_alone(said, token) if of.name in _BESIDE else "")


def _is_of(text: str, token: Token, of: Token) -> bool:
    """Tell whether a zero is near enough to be said of a quantity; `= 0` may set anything."""
    return abs(token.start - of.end) <= (3 if text[token.start] in "=:" else DIRECT)


def _alone(said: Sentence, token: Token) -> str:
    """Return the symptom of what needs no quantity, by what stands before or behind it."""
    symptom, before, behind = ALONE.get(token.name, ("", "", ""))
    front = said.text[said.begin(token) : token.start]
    if not symptom or _DENIAL.search(front[-14:]) or _HEDGE.search(front[-14:]):
        return ""
    if before and re.search(before, front, re.IGNORECASE):
        return symptom
    return symptom if re.match(behind, said.text[token.end :], re.IGNORECASE) and (behind or not before) else ""


def _is_fact(text: str, at: int, end: int) -> bool:
    """Tell whether what is said between two places is told as a fact, and by the one to whom it happened."""
    before = text[:at]
    if _BEFORE.search(before):
        return False
    own = _OWN.search(text) is not None
    told = not _CONDITION.search(text) or _OWN.search(before) is not None or "," in before
    return told and (own or not _ADVISES.search(text[:end]))


def _in_its_setting(symptom: str, text: str) -> str:
    """Return what a symptom is where the sentence says that a training was resumed, or speaks of no policy."""
    if symptom in _LEAPS and _RESUMES.search(text):
        return "resume-jump"
    return "loss-divergence" if symptom == "reward-collapse" and not _POLICY.search(text) else symptom
