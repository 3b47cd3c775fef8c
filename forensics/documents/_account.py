"""Whether a text is somebody's account of a training, and the sentences of it.

An account speaks of itself: "I train", "my loss", a form with a heading for what happened. Pages of a project, lists of
changes, papers and dialogues speak of what may be, has been or others do, in the same words.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from forensics.deferred.patterns import expression
from forensics.names import FOREIGN_LOSS
from forensics.signatures.reported import BETWEEN, events_in, stated_in
from forensics.signatures.tried import described_in, trials_in

_FENCE = expression(r"^\s{0,16}(?:[-*+]\s{1,4})?(?:`{3,}|~{3,})")
_QUOTE = expression(r"^\s{0,3}>")
_SPEAKS = expression(
    r"(?<![\w.])(?:I(?:['\u2019](?:m|ve|d))?|[Mm]y|i (?:am|have|get|got|use|train|tr(?:y|ied)|meet|met|run|ran|set|find"
    r"|found|want|see|think|don))(?![\w.])"
    "|我|请问|您好|你好|大佬|求助|作者|怎么(?:回事|解决|办)|什么原因|为什么|有人|有没有|教えて|私は|ますか"
    r"|[Уу] меня|мой|подскажите|Привет|Здравств"  # noqa: RUF001  (Russian)
    r"|(?<!\w)(?:estoy|tengo|mi (?:modelo|pérdida|entrenamiento)|ich|mein(?:e|em|en)?)(?!\w)"
)
"""How somebody speaks of himself, or asks: English, Chinese, Japanese, Russian, Spanish, German."""
_SPEAK = expression(r"(?<![\w.])(?:[Ww]e(?:['\u2019]re|['\u2019]ve)?|[Oo]ur)(?![\w.])")
_PLAINLY = expression(
    r"\{['\"]\w|\b\d\d:\d\d:\d\d\b|\b(?:it|s)/(?:s|it)\b|\d%\||\b(?:INFO|WARNING|DEBUG)\b"
    r"|^\s*Traceback \(most|^\s*File \""
)
"""Signs of a printed line that no sentence has, whoever speaks in it; settings may stand in one."""
_FORM = expression(
    r"(?im)^\s{0,3}(?:#{1,6}|\*\*)\s{0,4}(?:[^\w\s]{1,4}\s?)?(?:describe the bug|bug(?: description)?|reproduction"
    r"|to reproduce|steps to reproduce|expected behaviou?r|current behaviou?r|actual behaviou?r"
    r"|observed(?: behaviou?r)?|repro|what happened|system info|environment"
    r"|environement|your current environment|issue description|who can help)\b"
)
_DIALOGUE = expression(r"(?im)^\s{0,4}\**(?:user|assistant|human|ai|bot|system|q|a)\**\s?:")
_SPEAKER = expression(r"(?m)^\s{0,4}\**([A-Z]\w{1,20})\**: ?\S")
_CHANGES = expression(
    r"(?im)^\s{0,3}(?:#{1,4}|==)\s{0,3}\[?v?\d{1,4}\.\d|^#{1,3} (?:changelog|(?:release|version) v?\d)"
    r"|^.{0,60}\brelease notes\b"
)
_PAPER = expression(r"(?im)^\s{0,3}#{0,4}\s{0,3}(?:abstract|references|bibliography|related work)\s*$")
_PAGE = expression(
    r"(?im)^\s{0,3}#{1,3} .{0,40}\b(?:tutorial|guide|faq|troubleshooting|installation|features|overview"
    r"|quick ?start|getting started|meeting notes|agenda|minutes)\b|^\s{0,3}#{1,3} (?:\W{0,4})usage\b"
    r"|^\s{0,3}(?:in this (?:tutorial|guide|post|article))"
    r"|^\s{0,3}#{1,3} (?:debugging|understanding|fixing|solving|diagnosing|avoiding|handling|preventing)\b"
    r"|^\s{0,3}#{1,3} .{0,60}\b(?:what i learn(?:ed|t)|lessons|checklist|explained|deep dive|best practices)\b"
)
_TRAINS = expression(
    rf"(?i){FOREIGN_LOSS}|(?<![a-z])(?:(?:re|pre)?-?train|fine-?tun|epoch|gradient|grad_norm"
    r"|(?:loss(?:es)?|sft|grpo|ppo|dpo|lora|gpus?|cuda|batch size|checkpoints?|neural|dataloader|models?"
    r"|iterations?|rewards?|entropy|policy|adapters?|weights|learning rate|optimi[sz]er|kl)"
    "(?![a-z]))|训练|訓練|微调|学習|обучен|entrenamiento"
)
"""Words without which a text tells of no training; programs of all kinds hang and are killed."""
_HOW_TO = expression(r"(?im)^\s{0,3}#{1,3} .{0,40}\bhow[- ]to\b")
_CHANGE = expression(
    r"(?im)^\s{0,3}#{1,4} \W{0,4}(?:what does this pr do|motivation(?: and context)?|changes?|test plan|type of change"
    r"|how (?:has this been|was this|to) test\w{0,3}|pull request overview|summary by coderabbit|proposed changes"
    r"|what this pr does)\W{0,3}$|^\s{0,3}[-*]?\s{0,2}(?:fix(?:e[sd])?|close[sd]?|resolve[sd]?):? (?:#\d|https?://)"
    r"|\bthis (?:pr|pull request|patch|commit)\b"
)
"""What describes a change of a program: it tells of faults that it mends."""
_MACHINE = expression(
    r"\{['\"]\w|\b\d\d:\d\d(?::\d\d)?\b|\b(?:it|s)/(?:s|it)\b|\d%\||\b(?:INFO|WARNING|DEBUG)\b"
    r"|^\s*Traceback \(most recent|^\s*File \"|(?:[\w/.]{1,40}\s?[:=]\s?-?\d[\d.e+-]{0,20}[,;|\s]{1,9}){2}"
)
"""Lines that a program printed: dictionaries, clocks, bars, levels, frames, several names with numbers."""
_HEADING = expression(r"^\s{0,3}#{1,3}\s+(?=\S)")
_END = expression(r"(?<=[.!?])(?=\s|$)|(?<=[\u3002\uff01\uff1f])|\n\s*\n|\n(?=\s{0,4}(?:[-*+#]|\d{1,2}[.)])\s)")
_GOES_ON = expression(r" (?:It|They) (?!is (?:a|an|the)\b)")
"""Behind a sentence: the next one speaks of the same and is read with it."""
_ADVISES = expression(
    r"(?<!can )(?<!could )(?<!would )(?<!do )(?<!did )(?<!have )(?<!thank )\byou(?:r|['\u2019]re)?\b", re.IGNORECASE
)
FEW, MANY = 2, 8
"""Headings of an account without a form: of one that says nothing of its author or speaks of us, and of any."""
MOST_LINES, MOST_OF_A_LINE = 4000, 2000


def sentences(lines: Sequence[str]) -> Iterator[tuple[int, str, bool]]:
    """Yield what a text says in prose: the line where each sentence begins, the sentence, whether it is a title."""
    prose = _prose(lines)
    text = "\n".join(prose)
    line, at = 1, 0
    ends = [*(found.start() for found in _END.finditer(text) if not _GOES_ON.match(text, found.start())), len(text)]
    for end in ends:
        said = text[at:end]
        begins = line + said[: len(said) - len(said.lstrip())].count("\n")
        heading = _HEADING.match(said.strip())
        if said.strip():
            first, _, rest = said.strip().partition("\n") if heading else (said.strip(), "", "")
            yield begins, first[heading.end() :] if heading else first, heading is not None
            if rest.strip():
                yield begins + 1, rest, False
        line += said.count("\n")
        at = end


def _prose(lines: Sequence[str]) -> list[str]:
    """Return the lines with what is fenced, quoted, drawn or printed left empty."""
    kept, fenced = [], False
    for line in lines[:MOST_LINES]:
        fence = _FENCE.match(line) is not None
        fenced ^= fence
        drawn = line.startswith(("    ", "\t")) or line.lstrip().startswith(("|", "<"))
        speaks = _SPEAKS.search(line[:MOST_OF_A_LINE]) is not None or _HEADING.match(line) is not None
        spoken = speaks and not _PLAINLY.search(line[:MOST_OF_A_LINE])
        printed = (drawn or _MACHINE.search(line[:MOST_OF_A_LINE])) and not spoken
        kept.append("" if fence or fenced or printed or _QUOTE.match(line) else line)
    return kept


def _printed(lines: Sequence[str]) -> bool:
    """Tell whether a program wrote a text: it prints before anybody speaks, and a quarter of the lines at least."""
    said = [line[:MOST_OF_A_LINE] for line in lines[:MOST_LINES] if line.strip()]
    printed = [_MACHINE.search(line) is not None and not _HEADING.match(line) for line in said]
    spoken = [any(sign.search(line) for sign in (_HEADING, _SPEAKS, _SPEAK)) for line in said]
    first = next((prints for prints, speaks in zip(printed, spoken, strict=True) if prints or speaks), False)
    return first and 4 * sum(printed) > len(said)


def _is_dialogue(prose: str) -> bool:
    """Tell whether two speak in turn: a user and an assistant, or two names that stand before several lines each."""
    speakers = Counter(_SPEAKER.findall(prose))
    return len(_DIALOGUE.findall(prose)) > 1 or sum(count > 1 for count in speakers.values()) > 1


def is_account(lines: Sequence[str]) -> bool:
    """Tell whether a text is somebody's account of what happened to him."""
    prose = "\n".join(_prose(lines))
    if _printed(lines) or not _TRAINS.search(prose) or _is_dialogue(prose) or prose.count("=>") > FEW:
        return False
    said = [*sentences(lines)]
    titles = [text for _, text, heading in said if heading]
    speech = "\n".join(text for _, text, heading in said if not heading)
    advises = _HOW_TO.search(prose) and (len(titles) > FEW or not _SPEAKS.search(speech))
    if advises or any(sign.search(prose) for sign in (_CHANGES, _PAPER, _PAGE, _CHANGE)):
        return False
    if _FORM.search(prose) or (_SPEAKS.search(speech) and len(titles) <= MANY):
        return True
    if _SPEAK.search(speech) and len(titles) <= FEW:
        return True
    states = 0 < len(titles) <= FEW and bool(stated_in(titles[0], title=True))
    return states and len(_ADVISES.findall(prose)) < FEW


class Account(NamedTuple):
    """The lines of an account with nothing but what states a fault, what was tried, or how it was set up."""

    told: list[str]
    tried: list[str]
    described: list[str]


def account_in(lines: Sequence[str]) -> Account:
    """Return what an account says of its fault, of trials and of its set-up, at its lines; nothing for other texts."""
    account = Account([], [], [])
    if not is_account(lines):
        return account
    found: tuple[dict[int, list[str]], ...] = ({}, {}, {})
    for line, sentence, title in sentences(lines):
        text = " ".join(sentence.split())
        if stated_in(sentence, title=title) or events_in(sentence, title=title):
            found[0].setdefault(line, []).append(f"{'# ' if title else ''}{text}")
        if trials_in(sentence):
            found[1].setdefault(line, []).append(text)
        if described_in(sentence):
            found[2].setdefault(line, []).append(text)
    return Account(*(_at_their_lines(said, len(lines)) for said in found))


def _at_their_lines(said: Mapping[int, Sequence[str]], count: int) -> list[str]:
    return [BETWEEN.join(said.get(line, ())) for line in range(1, count + 1)] if said else []
