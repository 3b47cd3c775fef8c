"""What the numbers of a shape are: each with its name and role, and what they are beside each other.

Loss N (N)                             a number in parentheses behind a number is its average and is left out
[N/N], N of N, N/ N batches, Nepoch    a ratio is one counter with a total; a word behind may name a counter
loss N N, train N val N                may be more than one thing: `interpretations` tells from the numbers
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.names import EVALUATION, is_loss
from forensics.readers.text.lexicon import COUNTERS, METRICS, SUBJECTS, TRAINING, Role, ends_as_loss, role_of
from forensics.readers.text.words_before import (
    OPENING,
    TOKEN,
    WORD,
    Name,
    before_counter,
    follows_counter,
    is_span,
    name_before,
    paired,
)


@dataclass(frozen=True, slots=True)
class Field:
    """A number of a line: the `number`-th of the shape, with the total that follows it and the scale in its name."""

    name: str
    role: Role
    number: int
    total: int = -1
    scale: int = -1
    factor: float = 1.0
    evaluation: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A shape and what its numbers are: of a line, a row of a table, or of a block of lines."""

    key: bytes
    fields: tuple[Field, ...]
    quoted: bool = False
    table: bool = False
    block: bool = False
    sentence: bool = False

    @property
    def counters(self) -> tuple[Field, ...]:
        return tuple(field for field in self.fields if field.role in COUNTERS)

    @property
    def metrics(self) -> tuple[Field, ...]:
        return tuple(field for field in self.fields if field.role in METRICS)

    def has(self, *roles: Role) -> bool:
        return any(field.role in roles for field in self.fields)


_GLUED = expression(
    r"(epochs?|batch(?:es)?|iters?|iterations|steps?|updates?|it(?= \[)|エポック|ステップ|에포크|에폭|스텝)\b(?!/)"
)
_NAMES_NEXT = expression(r" \w+ ?[:=#]? ?\x00")
_INNER = expression(rb"[\])]?[,:]? ?[\[(]? ?\x00( ?/ ?\x00)?")
"""A counter right behind another, as in `[N/N][N/N]`, `N [ N/ N`, `[N, N]`."""
_RANGE = expression(rb"- ?\x00")
"""The end of a range right behind a counter: the batches from one to another."""
_OUTPUT = expression(rb"net output #\x00: ")
"""What a layer of Caffe gave in the last batch, where the loss is a mean over all layers (`Solver::Step`)."""
_SHARED = expression(rb" ?%?,? ?\( ?")
_OF_TOTAL = expression(rb" (?:of|out of|von|sur|de|di|van|\xd0\xb8\xd0\xb7) \x00")
_BARE_NORM = expression(r"^(?:norm|grdn|gn)$", re.IGNORECASE)
"""What a norm of the gradient is called only beside a loss."""
_BEHIND = expression(r"(?i) ?((?:[a-z][a-z.-]{0,14} ){0,2}(?:loss|perplexity|ppl|accuracy))\b *(?:[,;|]|$)")
_UNITS = {"K": 1e3, "k": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
_UNIT = expression(r"([KMBTk])(?![A-Za-z])")
QUOTED = expression(rb"""\{ ?(?:['"][^{}]*)?['"](?:epoch|[\w/ ]*loss\w*|[\w/ ]*step\w*|iter\w*|[\w/]*norm)['"] ?: ?""")
_TRAIN_LOSS = expression(r"loss.{0,2}train|train\w{0,40}.?loss|^learn$", re.IGNORECASE)
_PAIRS = 2
"""Measures that stand beside their own `v_` from which on that is validation: one `v_loss` is that of a critic."""
_OF_A_BAR = frozenset({b"it/s", b"s/it"})
_MONITORED = tuple(
    expression(pattern)
    for pattern in (
        rb"([\w/.-]{1,80}) improved from \x00 to \x00",
        rb"'?([\w/.-]{1,80})'? reached \x00",
        rb"Metric ([\w/.-]{1,80}) improved(?: by \x00 >= min_delta = \x00)?\. New best score: \x00",
    )
)
_PLACED = expression(rb"(?i)\b(epoch|global step) \x00")
_SENTENCE = 3
"""Words that are part of no name, from which on a line reads like a sentence."""


def fields_of(shape: bytes, *, quoted: bool = False) -> tuple[tuple[Field, ...], bool]:
    """Return the fields of a shape, and whether it reads like a sentence: a loss without a sign among other words.

    Fields are numbers with a name, and nameless ones that may be counters. Within a dictionary (`quoted`) they have
    a key: others stand in its texts.
    """
    tokens = TOKEN.findall(shape)
    opened = tokens.index(b"{") if quoted else len(tokens)
    fields: list[Field] = []
    spans: list[int] = []
    count, before, last, signed, words, counted = 0, 0, 0, False, 0, 0
    evaluation = bool(_SUMMARY.match(shape))
    for place, token in enumerate(tokens):
        if not token.startswith(b"\x00"):
            continue
        number, ratio = count, len(token) > 1
        count += 1 + ratio
        share = ratio and _is_share(fields, tokens[before:place], number)
        if share or (fields and fields[-1].total == number) or is_span(tokens, place):
            before = place + 1
            continue  # `3 of 10`, `loss [1-10]: 2.5`
        name = paired(tokens, place) or name_before(tokens, place)
        if fields and fields[-1].role in COUNTERS and follows_counter(tokens, name, before, place):
            name = before_counter(tokens, counted) or name
        words += sum(bool(WORD.match(each)) for each in tokens[before : name.first])
        evaluation = _section(tokens[before : name.first], evaluation)
        leading = number == 0 or (not ratio and not name.text and _beside(tokens[before : place + 1], fields, number))
        before = place + 1
        if name.text and (ratio or role_of(name.text) in COUNTERS or _is_section(name.text)):
            evaluation = _section([word.encode() for word in re.split(r"[^A-Za-z]+", name.text)], evaluation)
        part = name.text if _is_section(name.text) else ""
        name.text = _of_section(name.text, part, fields, tokens[place + 1 : place + 9])
        inside = place > opened and (not name.explicit or _is_history(tokens, place))
        field = None if name.average or inside else _field(name, tokens, place, number, first=leading)
        if field is None:
            continue
        if field.role is Role.NOTHING and not ratio:
            field = _nameless(field, part, fields, tokens[last:place])
        last = place if not name.explicit or field.role is Role.EPOCH else len(tokens)
        field = replace(_end_of_range(field, tokens[place + 1 : place + 7]), evaluation=evaluation)
        counted = name.first if field.role in COUNTERS else counted
        spans += [number] * (field.role in COUNTERS and b"over" in tokens[max(name.first - 4, 0) : place])
        if name.scale:
            field = replace(field, scale=number - 1)
            fields = [each for each in fields if each.number != number - 1]
        signed = signed or (field.role in METRICS and name.explicit)
        if ratio or not any(each.name == field.name and each.evaluation == evaluation for each in fields if field.name):
            fields.extend(_parted(field))  # the first of a name counts
    words += sum(bool(WORD.match(each)) for each in tokens[before:])
    fields = [each for each in fields if each.number not in spans]  # `over 100 batches` is no place of the line
    fields = _as_a_whole(fields, numbered=not signed and tokens[:1] == [b"#"])
    return tuple(fields), words >= _SENTENCE and not signed


def monitored_of(shape: bytes) -> tuple[Field, ...] | None:
    """Return what a callback says of the metric that it watches, None where a line is none of its.

    Keras' and Lightning's `ModelCheckpoint`, Lightning's `EarlyStopping`: `Epoch N: val_loss improved from N to N`,
    `Epoch N, global step N: 'val_loss' reached N (best N)`, `Metric val_loss improved. New best score: N`.
    """
    if b" improved" not in shape and b" reached \x00" not in shape:
        return None
    found = next(filter(None, (pattern.search(shape) for pattern in _MONITORED)), None)
    if found is None:
        return None
    name = found[1].decode("utf-8", "replace")
    number = shape.count(b"\x00", 0, found.end()) - 1
    places = [
        (place[1].decode().lower(), shape.count(b"\x00", 0, place.end()) - 1) for place in _PLACED.finditer(shape)
    ]
    counters = [Field(word, role_of(word), index) for word, index in places if index < number]
    return (*counters, Field(name, role_of(name), number, evaluation=EVALUATION.search(name) is not None))


def _parted(field: Field) -> list[Field]:
    """Return two counters of one that is called `epoch/iter`, else the field itself."""
    outer, _, inner = field.name.partition("/")
    if field.total < 0 or role_of(outer) is not Role.EPOCH or role_of(inner) not in COUNTERS:
        return [field]
    return [
        replace(field, name=outer, role=Role.EPOCH, total=-1),
        replace(field, name=inner, role=role_of(inner), number=field.total, total=-1),
    ]


def _end_of_range(field: Field, behind: Sequence[bytes]) -> Field:
    """Return a counter that is a range of batches as its end, one before `of` or `out of` with its total."""
    if field.role not in COUNTERS or field.total >= 0 or not field.name:
        return field
    text = b"".join(behind)
    if _OF_TOTAL.match(text):
        return replace(field, total=field.number + 1)
    ranged = field.role is not Role.EPOCH and _RANGE.match(text)
    return replace(field, number=field.number + 1) if ranged else field


def _as_a_whole(fields: list[Field], *, numbered: bool) -> list[Field]:
    """Return fields as they are beside each other: a norm beside a loss, no counter in the number of an issue."""
    if any(field.role is Role.LOSS for field in fields):
        fields = [
            replace(field, name="grad norm", role=Role.NORM) if _BARE_NORM.match(field.name) else field
            for field in fields
        ]
    validated = {f"v_{field.name}" for field in fields} & {field.name for field in fields}
    if len(validated) >= _PAIRS:
        fields = [replace(f, name=f.name[2:], evaluation=True) if f.name in validated else f for f in fields]
    parts = [field for field in fields if field.role is Role.PART]
    told = any(each.evaluation for each in parts) and any(TRAINING.fullmatch(each.name) for each in parts)
    left_out = {Role.NOTHING, *([Role.LEADING] if numbered else [])}
    if not told or any(each.role in SUBJECTS for each in fields) or not any(each.role in COUNTERS for each in fields):
        left_out.add(Role.PART)
    return [each for each in fields if each.role not in left_out]


def _nameless(field: Field, part: str, fields: Sequence[Field], between: Sequence[bytes]) -> Field:
    """Return a number without a name as what stands before it: `epoch N-N`, `loss N N`, `loss N: N`, `train N`."""
    last = fields[-1].role if fields and fields[-1].number == field.number - 1 else Role.NOTHING
    if last is Role.EPOCH and between[-1:] == [b"-"] and not fields[-1].name.lower().endswith("s"):
        return replace(field, name="batch", role=Role.BATCH)
    if last is Role.LOSS and b"".join(between[1:]) in {b" ", b": "}:
        return replace(field, role=Role.BEHIND)
    return replace(field, name=part, role=Role.PART) if part else field


def _is_history(tokens: Sequence[bytes], place: int) -> bool:
    """Tell whether a number begins a list of losses: `{'loss': [N, N, N]}` is a history and no entry."""
    before = bytes(b"".join(tokens[max(place - 12, 0) : place])).lower()
    return before.endswith(b"[") and b"loss" in before and b"".join(tokens[place + 1 : place + 4]) == b", \x00"


def _is_share(fields: Sequence[Field], between: Sequence[bytes], number: int) -> bool:
    """Tell whether a ratio is that of the metric before it and no place: `Acc: 33.1% (4233/12800)`."""
    known = bool(fields) and fields[-1].role is Role.KNOWN and fields[-1].number == number - 1
    return known and _SHARED.fullmatch(b"".join(between)) is not None


def _is_section(name: str) -> bool:
    return bool(EVALUATION.fullmatch(name) or TRAINING.fullmatch(name))


def _of_section(name: str, section: str, fields: Sequence[Field], behind: Sequence[bytes]) -> str:
    """Return the name of a number that has none, or only that of a part of the run: `Train: N [N/N]`, `val N`."""
    if name and not section:
        return name
    inner = _INNER.match(b"".join(behind))
    if inner and inner[1]:
        return "epoch"
    return f"{section} loss" if section and fields and _TRAIN_LOSS.search(fields[-1].name) else ""


def _beside(between: Sequence[bytes], fields: Sequence[Field], number: int) -> bool:
    """Tell whether a nameless number stands right behind one that leads the line: `[N, N]`."""
    leads = bool(fields) and fields[-1].role is Role.LEADING and fields[-1].number == number - 1
    return leads and _INNER.fullmatch(b"".join(between)) is not None


def _field(name: Name, tokens: list[bytes], place: int, number: int, *, first: bool) -> Field | None:
    text, ratio = name.text, len(tokens[place]) > 1
    behind = b"".join(tokens[place + 1 : place + 9]).decode("utf-8", "replace")
    other = not name.explicit and role_of(text) is Role.OTHER and not _NAMES_NEXT.match(behind)
    free = not text or ratio or other
    glued = _GLUED.match(behind.lstrip()) if free or not behind.startswith(" ") else None
    if glued and not is_loss(text) and role_of(text) not in COUNTERS:
        text = glued[1]
        tokens[place + 1 + behind.startswith(" ")] = b";"  # it names no other number
    if text in {"E", "e"} and tokens[place - 1] == text.encode():
        text = "epoch"  # [E3]
    if not text:
        found = _BEHIND.match(behind)
        text = found[1] if found else ""
    role = role_of(text) if text else Role.NOTHING
    if behind.lstrip().startswith("%") and (not text or role in SUBJECTS or role in COUNTERS):
        return None  # packet loss 0.1%; steps: 66%|
    if ratio and role is Role.OTHER and tokens[place - 1] in OPENING and tokens[place + 1 : place + 2] != [b"%"]:
        text, role = "", Role.RATIO  # E1 (100/5000)
    if not name.explicit and (role is Role.OTHER or (role is Role.LOSS and not ends_as_loss(text))):
        return None
    if ratio and role not in COUNTERS:
        text, role = "", Role.NOTHING if role in {Role.LOSS, Role.KNOWN} else Role.RATIO
    around = b"".join(tokens[max(place - 2, 0) : place + 3]).replace(b" ", b"")
    if not text and not ratio and (first or b"[\x00]" in around):
        role = Role.LEADING
    unit = _UNIT.match(behind)
    return Field(text, role, number, number + 1 if ratio else -1, factor=_UNITS[unit[1]] if unit else 1.0)


_SUMMARY = expression(rb"[\x01 ]{0,4}\* [^\r\n]{0,80}\b(?:[Aa]cc|[Pp]rec)@")
"""`* Acc@1 76.2 Acc@5 93.1 loss 1.02`: what an evaluation came to, in the words of torch's example and of DeiT."""


def _section(tokens: list[bytes], evaluation: bool) -> bool:
    """Return whether the words before a name speak of evaluation (`Test: [1/9] loss`), the last of them counting.

    The title of a bar says nothing of what was printed behind it, once that has a date of its own.
    """
    if b"Saving" in tokens and b"dict" in tokens:
        return True  # tensorflow-estimator, `_write_dict_to_summary`: what an evaluation came to
    dated = False
    for token in reversed(tokens):
        if dated and token in _OF_A_BAR:
            return False
        dated = dated or token == b"\x01"
        if WORD.match(token) and b"/" not in token and b"_" not in token:
            words = token.decode("utf-8", "replace").split("-")
            if any(EVALUATION.fullmatch(word) for word in (*words, "-".join(words))):
                return True
            if any(TRAINING.fullmatch(word) for word in words):
                return False
    return evaluation


_LIST = expression(rb"\[\x00, \x00, \x00(?:, (?:\x00|None)){0,20}, '\x01'\]")
"""A row of fastai that is printed and not drawn (`Recorder.after_epoch` with `learn.logger = print`): the epoch, both
losses, its metrics, the time. They are named at the start of training alone, in a line that may not be on file."""


def shape_of(key: bytes) -> Shape:
    """Parse a shape once."""
    if _LIST.fullmatch(key):
        names = (("epoch", Role.EPOCH), ("train loss", Role.LOSS), ("valid_loss", Role.LOSS))
        told = tuple(Field(name, role, n, evaluation=n > 1) for n, (name, role) in enumerate(names))
        return Shape(key, told)
    quoted = bool(QUOTED.search(key))
    if quoted and b"}" not in key[key.rindex(b"{") :]:
        return Shape(key, (), quoted=True)  # a dictionary that is cut has a number that may be cut
    monitored = monitored_of(key)
    if monitored is not None:
        return Shape(key, monitored, quoted)
    fields, sentence = fields_of(key, quoted=quoted or key.lstrip().startswith((b'{"', b"{'")))
    if _OUTPUT.search(key):
        fields = tuple(replace(field, name=f"output {field.name}") if field.name else field for field in fields)
    return Shape(key, fields, quoted, sentence=sentence and not quoted)
