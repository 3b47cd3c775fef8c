"""A sentence on one line: what can be left out goes first, and a cut is seen."""

import re

from forensics.deferred.patterns import expression

LEAST = 0.35
"""What remains before a comma or a colon must fill so much of the line: less would not say what happened."""
CUT = "..."
_RAISED = expression(r"the run ended in an exception: (?:[A-Za-z_]\w*\.){0,20}([A-Z]\w*: .+)", re.IGNORECASE)
_ASIDE = expression(r"\s\([^()]*\)")
_OPEN_ASIDE = expression(r"\s\([^()]*$")
_BREAK = expression(r"(?:[,;]|(?<!Error)(?<!Exception)(?<!Interrupt):) ")
"""Where a sentence can end: the message of an error is worth more than its class."""
_PLACE = expression(r":\d{1,6}[\]:]{0,2}$")
"""How a word ends that names a line of code: `pair.cc:82]`, `train.py:105:`."""
_FILLERS = frozenset({
    "a", "an", "and", "as", "at", "before", "by", "each", "for", "from", "has", "in", "is", "its", "no", "not", "of",
    "on", "or", "than", "that", "the", "their", "to", "was", "with",
})  # fmt: skip
"""Words that promise what a cut took away."""
_LABEL = expression(r": [^\s:]+")
"""A word between two colons introduces what is cut, and says nothing alone: `slurmstepd: error: *** JOB 7`."""


def brief(text: str, most: int) -> str:
    """Return a sentence without its full stop in at most `most` characters.

    Left out are, in this order and only as far as needed: what follows a semicolon, what stands in parentheses, what
    follows the last comma or colon. A sentence that is too long even so is cut at a word, which three dots show; a
    quotation loses the place in the code that it begins with before it loses its words.

    >>> brief("the loss is 0.0 from step 18 to the end, 19 entries (before: 1.03); the evaluation is NaN.", 50)
    'the loss is 0.0 from step 18 to the end'
    >>> brief("the run ended in an exception: deepspeed.utils.ZeroError: the checkpoint used 2 ranks", 40)
    'ZeroError: the checkpoint used 2 ranks'
    >>> brief("RuntimeError: element 0 of tensors does not require grad", 40)
    'RuntimeError: element 0 of tensors...'
    """
    said = " ".join(text.split()).removesuffix(".")
    for shorter in (_first_clause, _without_asides, _error_itself, _without_places):
        if len(said) <= most:
            return said
        said = shorter(said)
    if len(said) <= most:
        return said
    head = said[: most + 2]
    places = [m.start() for m in _BREAK.finditer(head) if _closed(said[: m.start()])]
    while len(places) > 1 and _LABEL.fullmatch(said, places[-2], places[-1]):
        places.pop()
    if places and places[-1] >= most * LEAST:
        return said[: places[-1]]
    return _at_a_word(said, most)


def essence(text: str) -> str:
    """Return a sentence without what can go and leave it whole: later clauses, and what stands in parentheses.

    >>> essence("the loss is 0.0 to the end, 19 entries (before: 1.03); the evaluation is NaN.")
    'the loss is 0.0 to the end, 19 entries'
    """
    return _without_asides(_first_clause(" ".join(text.split()).removesuffix(".")))


def _first_clause(said: str) -> str:
    for match in re.finditer(r"; ", said):
        if _closed(said[: match.start()]):
            return said[: match.start()]
    return said


def _without_asides(said: str) -> str:
    """Take out parentheses, the inner ones first; one that was cut off at the end goes too."""
    before = ""
    while before != said:
        before, said = said, _ASIDE.sub("", said)
    return _OPEN_ASIDE.sub("", said).rstrip()


def _error_itself(said: str) -> str:
    """Leave the class and the message of an exception, which say that one was raised."""
    match = _RAISED.match(said)
    return said if match is None else match[1]


def _without_places(said: str) -> str:
    """Take out what stands before a message: the line of code that printed it, the module of an exception's class."""
    kept = []
    for word in said.split(" "):
        bare = word.removeprefix("\u201c")
        quote = word[: len(word) - len(bare)]
        if "/" in bare and _PLACE.search(bare):
            kept.append(quote)
        elif bare.endswith(":") and bare.rpartition(".")[2][:1].isupper():
            kept.append(f"{quote}{bare.rpartition('.')[2]} ")
        else:
            kept.append(f"{word} ")
    return "".join(kept).rstrip()


def _closed(said: str) -> bool:
    """Tell whether every parenthesis and quotation of a text is closed."""
    return said.count("(") == said.count(")") and said.count("\u201c") == said.count("\u201d")


def _at_a_word(said: str, most: int) -> str:
    end = "\u201d" if said[:most].count("\u201c") > said[: most - 4].count("\u201d") else ""
    head = said[: most - len(CUT) - len(end)]
    if said[len(head) : len(head) + 1] not in {"", " "}:
        # Only a text without a blank is cut inside of a word: half a path or half a key is not masked any more.
        head = head.rpartition(" ")[0] or head
    words = head.split(" ")
    while len(words) > 1 and words[-1].strip(",.:;(").lower() in _FILLERS:
        words.pop()
    return f"{' '.join(words).rstrip(' ,.:;(')}{CUT}{end}"


def stopped(said: str) -> str:
    """Return a sentence with its full stop; what was cut ends in its dots."""
    return said if said.endswith((CUT, ".", "?", "!")) else f"{said}."
