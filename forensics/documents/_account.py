"""Whether a text is somebody's account of a training, and the sentences of it.

An account speaks of itself: "I train", "my loss", a form with a heading for what happened. Pages of a project, lists of
changes, papers and dialogues speak of what may be, has been or others do, in the same words.
"""

import re
from collections.abc import Iterator, Sequence

from forensics.deferred.patterns import expression
from forensics.signatures.reported import BETWEEN, stated_in

_FENCE = expression(r"^\s{0,16}(?:[-*+]\s{1,4})?(?:`{3,}|~{3,})")
_QUOTE = expression(r"^\s{0,3}>")
_SPEAKS = expression(
    r"(?<![\w.])(?:I(?:['\u2019](?:m|ve|d))?|[Mm]y|i (?:am|have|get|got|use|train|tr(?:y|ied)|meet|met|run|ran|set|find"
    r"|found|want|see|think|don))(?![\w.])"
)
_SPEAK = expression(r"(?<![\w.])(?:[Ww]e(?:['\u2019]re|['\u2019]ve)?|[Oo]ur)(?![\w.])")
_FORM = expression(
    r"(?im)^\s{0,3}(?:#{1,6}|\*\*)\s{0,4}(?:[^\w\s]{1,4}\s?)?(?:describe the bug|bug(?: description)?|reproduction"
    r"|to reproduce|steps to reproduce|expected behaviou?r|current behaviou?r|actual behaviou?r|system info|environment"
    r"|environement|your current environment|issue description|who can help)\b"
)
_DIALOGUE = expression(r"(?im)^\s{0,4}\**(?:user|assistant|human|ai|bot|system|q|a)\**\s?:")
_CHANGES = expression(r"(?im)^\s{0,3}(?:#{1,4}|==)\s{0,3}\[?v?\d{1,4}\.\d|^#{1,3} (?:changelog|release notes)")
_PAPER = expression(r"(?im)^\s{0,3}#{0,4}\s{0,3}(?:abstract|references|bibliography|related work)\s*$")
_PAGE = expression(
    r"(?im)^\s{0,3}#{1,3} .{0,40}\b(?:tutorial|guide|how[- ]to|faq|troubleshooting|installation|usage|features|overview"
    r"|quick ?start|getting started|meeting notes|agenda|minutes)\b"
    r"|^\s{0,3}(?:in this (?:tutorial|guide|post|article))"
)
_MACHINE = expression(
    r"\{['\"]\w|\b\d\d:\d\d(?::\d\d)?\b|\b(?:it|s)/(?:s|it)\b|\d%\||\b(?:INFO|WARNING|DEBUG)\b"
    r"|^\s*Traceback \(most recent|^\s*File \"|(?:[\w/.]{1,40}\s?[:=]\s?-?\d[\d.e+-]{0,20}[,;|\s]{1,9}){2}"
)
"""Lines that a program printed: dictionaries, clocks, bars, levels, frames, several names with numbers."""
_HEADING = expression(r"^\s{0,3}#{1,3}\s+(?=\S)")
_END = expression(r"(?<=[.!?\u3002\uff01\uff1f])(?=\s|$)|\n\s*\n|\n(?=\s{0,4}(?:[-*+#]|\d{1,2}[.)])\s)")
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
    ends = [*(found.start() for found in _END.finditer(text)), len(text)]
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
        out = fence or fenced or drawn or _QUOTE.match(line) or _MACHINE.search(line[:MOST_OF_A_LINE])
        kept.append("" if out else line)
    return kept


def _printed(lines: Sequence[str]) -> bool:
    """Tell whether a program wrote a text: it prints before anybody speaks, and a quarter of the lines at least."""
    said = [line[:MOST_OF_A_LINE] for line in lines[:MOST_LINES] if line.strip()]
    printed = [_MACHINE.search(line) is not None for line in said]
    spoken = [any(sign.search(line) for sign in (_HEADING, _SPEAKS, _SPEAK)) for line in said]
    first = next((prints for prints, speaks in zip(printed, spoken, strict=True) if prints or speaks), False)
    return first and 4 * sum(printed) > len(said)


def is_account(lines: Sequence[str]) -> bool:
    """Tell whether a text is somebody's account of what happened to him."""
    if _printed(lines):
        return False
    prose = "\n".join(_prose(lines))
    if len(_DIALOGUE.findall(prose)) > 1 or _CHANGES.search(prose) or _PAPER.search(prose) or _PAGE.search(prose):
        return False
    said = [*sentences(lines)]
    titles = [text for _, text, heading in said if heading]
    speech = "\n".join(text for _, text, heading in said if not heading)
    if _FORM.search(prose) or (_SPEAKS.search(speech) and len(titles) <= MANY):
        return True
    if _SPEAK.search(speech) and len(titles) <= FEW:
        return True
    return 0 < len(titles) <= FEW and bool(stated_in(titles[0], title=True)) and not _ADVISES.search(prose)


def account_in(lines: Sequence[str]) -> list[str]:
    """Return the lines of an account with nothing but the sentences that state a fault; none for any other text."""
    if not is_account(lines):
        return []
    kept = [""] * len(lines)
    for line, sentence, title in sentences(lines):
        if stated_in(sentence, title=title):
            told = f"{'# ' if title else ''}{' '.join(sentence.split())}"
            kept[line - 1] += BETWEEN + told if kept[line - 1] else told
    return kept if any(kept) else []
