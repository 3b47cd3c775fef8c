"""From lines to tables: every line that holds a metric or a counter is read once by itself, then in bulk."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import field

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.formats.text import Window, number, pairs
from forensics.formats.text.places import Pairs, find_pairs
from forensics.model.order import alike
from forensics.names import EVALUATION, is_loss
from forensics.readers.text.bars import with_bars
from forensics.readers.text.below import Table, table_below
from forensics.readers.text.blocks import Block, block_at
from forensics.readers.text.bulk import Anchored, Bulk, Known, Told
from forensics.readers.text.columns import Buffer
from forensics.readers.text.headers import headers_of
from forensics.readers.text.lexicon import Role
from forensics.readers.text.lines import PAIRS, Lines, fragments, relevant
from forensics.readers.text.names import Shape, shape_of
from forensics.readers.text.ranks import rank_of_line
from forensics.readers.text.shapes import STAMP, STAMP_BYTES, Mask, masked, narrowed, outline, value_of
from forensics.readers.text.tables import NO_STAMP, Entries, joined, lines_of, times_of

MOST_OUTLINES = 1 << 17
MOST_SHAPES = 20_000
"""What is remembered of lines; beyond it everything is forgotten and learnt anew."""
MOST_LEARNT = 4096
"""Shapes that are learnt at their first line, and at the second as many again: to learn one takes 0.2 ms, and a text
that is no log has as many as lines."""
RARE = 64
"""How often a line must come whose shape is to be learnt beyond them."""
MOST_COUNTED = 1 << 17
"""Skeletons of lines that are counted for that."""
_LOOSE = b"0123456789.+-eE "
"""What lines of one shape may differ in: without it they have one skeleton."""
_NUMBERED = expression(rb"[A-Za-z_]\d+")
"""Digits that belong to a name: `metric_1` and `metric_2` are lines of two shapes."""
WRAPPED_LINES = 60
SEVERAL = 3
"""Numbers, of whatever name, that make an entry of a line that counts steps within an epoch."""
FEW, MOST_AT_ONCE = 64, 4096
"""Lines that are read one by one before the others are read by what they taught: twice as many each time that this took
none of the others, since to ask all costs as much as there are."""

_OPEN = expression(rb"""\{['"][^{}]*\Z""")
_BESIDE = expression(
    rb"(?i)(?:loss|perplexity|ppl|grad[ _-]?norm)(?![\w ]{0,12}(?:scal|weight|coef|type|fn|clip|thresh|window))"
    rb"[\w)'\"]{0,12} ?[:=]? ?\x00"
)
_ARGUMENTS = expression(
    rb"\b(?:Namespace|\w{0,40}(?:Arguments|Args|Config|Options|Params))\(\w+="
    rb"|(?i:\b(?:config\w{0,9}|args|arguments|h?params|hyper-?parameters|settings|options|parameters)) ?[:=] ?\{['\"]"
    # A variable of TensorFlow: `name = crf_loss/transition:0, shape = (10, 10)`.
    rb"|\bname ?= ?[^ ,]{1,200}, shape ?= ?\("
)
_OF_OTHERS = expression(
    rb"(?i)\b(?:profits?|revenue|premium|gains?) ?[:=]? ?[$\xe2\x82\xac]? ?\x00"
    rb"|\b(?:wins?|won|draws?) ?[:=]? ?\x00[\W\x00]{1,4}loss(?:es)? ?[:=]? ?\x00"
    rb"|['\"](?:model|method|dataset)(?:_name)?['\"] ?: ?['\"]"
)
"""What stands beside the losses of a trade, of a game, of models that are compared; a line that counts may be of an
agent that learns from them."""
GOOD = expression(r"(?i)(?<![a-z])(?:acc|accuracy|dice|m?iou|jaccard|mpjpe|f(?:1[ _-]?)?[ _-]?score|fb1)(?![a-z])")
"""How good a model is."""
_COMPARES = expression(
    rb"(?i)\b(?:trial|fold|seed|sample|image|query|question|example|item|class|model|run|experiment|config\w{0,9})s?"
    rb" ?[#:=]? ?\x00"
)
_OF_A_POLICY = expression(
    r"(?i)(?:^|[/_ ])(?:(?:ep(?:isode)?_)?rew(?:ard)?s?(?:[/_ ]mean)?|(?:episod(?:e|ic)_)?returns?(?:_mean)?"
    r"|(?:approx_)?kl|entropy|clip_?frac(?:tion)?)$"
)
_ALONE = expression(rb"[\s|>*-]{0,20}[A-Za-z][\w/ .-]{0,60}[:=|] {0,40}\x00[\s|]{0,40}")
"""A line of a block that holds one number: what SB3 and loops of one's own print of a policy."""
_DICTIONARY = (b"{'", b'{"')
_CLOSED = (Role.GLOBAL, Role.STEP, Role.BATCH, Role.EPOCH)


@dataclass(slots=True)
class _Rows:
    """Lines of one shape while a window is read."""

    places: list[tuple[int, int]] = field(default_factory=list)
    ranks: list[int] = field(default_factory=list)
    stamps: list[bytes] = field(default_factory=list)
    numbers: list[list[float]] = field(default_factory=list)
    totals: list[list[float]] = field(default_factory=list)


class Parser:
    """Reads lines one by one, and remembers what lines of an outline are; `rare` if rare words are sought too.

    `anchored` as in `Bulk`.
    """

    def __init__(self, anchored: Anchored, *, rare: bool = False) -> None:
        self.rare = rare
        self.shapes: dict[bytes, Shape] = {}
        self.outlines: dict[bytes, tuple[Shape | None, Mask]] = {}
        self.rows: dict[Shape, _Rows] = defaultdict(_Rows)
        self.unread: Counter[bytes] = Counter()
        self.passed = 0
        self._learnt = 0
        self._came: dict[int, int] = {}
        self._headers: dict[bytes, bool] = {}
        self.bulk = Bulk(anchored, self._meaning)
        self._told: list[Told] = []
        self.table: Table | None = None

    def read(self, line: bytes, start: int) -> Shape | None:
        """File the numbers of a line that begins at `start` under its shape; return the shape if it is of use."""
        text = narrowed(line)
        key = outline(text)
        known = self.outlines.get(key)
        if known is None or not known[1].fits(text):
            known = self._learn(text, key)
        shape, spans = known[0], known[1].spans
        if shape is None:
            if key in self.outlines and not _OPEN.search(line) and (spans or not self._heads(line, key)):
                self.bulk.meet(None, line, known[1], key)
            return None
        numbers, totals = [], []
        for each in shape.fields:
            first, last = spans[each.number]
            value = value_of(text[first:last]) * each.factor
            if each.scale >= 0:
                value *= value_of(text[slice(*spans[each.scale])])
            numbers.append(value)
            totals.append(value_of(text[slice(*spans[each.total])]) if each.total >= 0 else np.nan)
        self.add(shape, line, start, numbers, totals)
        self.bulk.meet(shape, line, known[1], key)
        return shape

    def _heads(self, line: bytes, key: bytes) -> bool:
        """Tell whether a line may head a table: it tells nothing by itself, and must be met each time."""
        if key not in self._headers:
            self._headers[key] = next(headers_of(line), None) is not None
        return self._headers[key]

    def add(self, shape: Shape, line: bytes, start: int, numbers: list[float], totals: list[float]) -> None:
        rows = self.rows[shape]
        rows.places.append((start, start + (line.rfind(b"}") + 1 if shape.quoted else len(line))))
        rows.ranks.append(rank_of_line(line, quoted=shape.quoted))
        stamp = STAMP.search(line, 0, STAMP_BYTES)
        rows.stamps.append(stamp[0] if stamp else NO_STAMP)
        rows.numbers.append(numbers)
        rows.totals.append(totals)

    def add_block(self, block: Block, line: bytes) -> None:
        made = block.shape()
        self.add(self.shapes.setdefault(made.key, made), line, block.start, [*block.numbers.values()], block.totals)

    def add_table(self, table: Table, window: Window, start: int) -> None:
        """File the rows that a table has in a window from a place on."""
        self.table = table
        for shape, line, at, numbers, totals in table.read(window, start):
            self.add(self.shapes.setdefault(shape.key, shape), line, at, numbers, totals)

    def go_on(self, window: Window) -> None:
        """Read on in the table in which the last window ended."""
        if self.table is not None:
            self.add_table(self.table, window, window.begin)

    def of_a_table(self, start: int) -> bool:
        """Tell whether a line is one of the table that was read last."""
        return self.table is not None and start in self.table.lines

    def known(self, window: Window, lines: Lines) -> Known:
        """Read lines that layouts know, before anything is sought in them; the result is that of `Bulk.known`."""
        found = self.bulk.known(window, lines)
        self._told += found.told
        return found

    def in_bulk(self, window: Window, buffer: Buffer, lines: Lines, since: tuple[int, int]) -> Lines:
        """Read lines by what is known of those before; return those that are left. `since` as in `Bulk.read`."""
        lines, told = self.bulk.read(window, buffer, lines, since)
        self._told += told
        return lines

    def passes(self, line: bytes) -> bool:
        """Tell whether a line is passed over: too many shapes have come, and this one not yet."""
        most = (2 if line.startswith(_DICTIONARY) else 1) * MOST_LEARNT
        if self._learnt < most:
            return False
        text = narrowed(line)
        known = self.outlines.get(outline(text))
        if known is not None and known[1].fits(text):
            return False
        skeleton = hash((text.translate(None, _LOOSE), *_NUMBERED.findall(text)))
        came = self._came.get(skeleton, 0) + 1
        if came >= (2 if self._learnt < 2 * most else RARE):
            return False
        if len(self._came) >= MOST_COUNTED:
            self._came.clear()
        self._came[skeleton] = came
        self.passed += 1
        return True

    def _learn(self, text: bytes, key: bytes) -> tuple[Shape | None, Mask]:
        if len(self.outlines) > MOST_OUTLINES or len(self.shapes) > MOST_SHAPES:
            self.outlines.clear()
            self.shapes.clear()
            self._headers.clear()
        mask = masked(text)
        shape = self.shapes.get(mask.shape)
        self._learnt += shape is None
        if shape is None and mask.spans:
            shape = self.shapes[mask.shape] = shape_of(mask.shape)
        bare = self.rare and shape is not None and _counts_alone(shape)
        known = (shape if shape is not None and (bare or is_of_use(shape)) else None, mask)
        if known[0] is None and _BESIDE.search(mask.shape):
            self.unread[mask.shape] += 1
        else:
            self.outlines[key] = known
        return known

    def _meaning(self, line: bytes) -> tuple[Shape | None, Mask] | None:
        """As `bulk.Meaning`."""
        window = Window(line, 0, len(line), 0, 1)
        if not self.rare and not len(relevant(window, find_pairs(line, 0, len(line), PAIRS)).starts):
            return None, Mask(b"", (), ())
        mask = masked(line)
        shape = self.shapes.get(mask.shape)
        return (shape, mask) if shape is not None and self.bulk.knows(shape) else None

    def tables(self, window: Window) -> Iterator[Entries]:
        """Yield what was filed since the last call, one table for each shape, in the order of the text."""
        grouped: dict[bytes, list[Entries]] = defaultdict(list)
        for table in with_bars(window, [*self._told, *self._filed(window)], self.bulk.taken):
            grouped[table.shape.key].append(table)
        self._told = []
        yield from map(joined, grouped.values())

    def _filed(self, window: Window) -> Iterator[Told]:
        """Yield the lines that were read one by one."""
        for shape, rows in self.rows.items():
            starts, ends = np.array(rows.places, dtype=np.int64).T
            entries = Entries(
                shape=shape,
                at=starts + window.offset,
                records=lines_of(window, starts),
                ranks=alike(np.array(rows.ranks, dtype=np.int64)),
                times=alike(times_of(rows.stamps)),
                numbers=np.array(rows.numbers, dtype=np.float64).reshape(len(starts), len(shape.fields)),
                totals=alike(np.array(rows.totals, dtype=np.float64).reshape(len(starts), len(shape.fields))),
                bars=np.zeros((len(starts), 0), dtype=np.int64),
            )
            yield entries, ends
        self.rows = defaultdict(_Rows)


def _counts_alone(shape: Shape) -> bool:
    """Tell whether lines begin with a counter that has no name: `[15/900] xe: 1.43`, `3 accuracy 0.9`."""
    if shape.has(Role.LEADING) and shape.has(Role.KNOWN):
        return True
    return bool(shape.fields) and shape.fields[0].role is Role.RATIO and shape.has(Role.OTHER, Role.KNOWN, Role.PART)


def is_of_use(shape: Shape) -> bool:
    """Tell whether lines of a shape are entries, or headings that may give entries their step."""
    if _ARGUMENTS.search(shape.key):
        return False
    if shape.has(Role.LOSS, Role.NORM):
        return shape.has(*_CLOSED) or _OF_OTHERS.search(shape.key) is None
    return (
        shape.has(*_CLOSED)
        or (shape.has(Role.EPISODE) and bool(shape.metrics))
        or _evaluates(shape)
        or _tells_of_a_policy(shape)
    )


def _tells_of_a_policy(shape: Shape) -> bool:
    """Tell whether lines of a shape hold one number each that tells how a policy is: its reward, its divergence."""
    if len(shape.metrics) != 1 or _ALONE.fullmatch(shape.key) is None:
        return False
    return any(each.role is Role.KNOWN and _OF_A_POLICY.search(each.name) for each in shape.fields)


def _evaluates(shape: Shape) -> bool:
    """Tell whether lines of a shape tell how good a model is: an evaluation needs neither a loss nor a counter.

    Lines that number what was trained or asked compare it.
    """
    return _COMPARES.search(shape.key) is None and any(
        each.role is Role.KNOWN and (each.evaluation or EVALUATION.search(each.name) or GOOD.search(each.name))
        for each in shape.fields
    )


def is_entry(shape: Shape) -> bool:
    """Tell whether the lines of a shape are entries of metrics, and no headings."""
    known = bool(shape.metrics) and (shape.quoted or shape.has(Role.KNOWN))
    if shape.block or known or shape.has(Role.LOSS, Role.NORM, Role.PART):
        return True
    return len(shape.metrics) >= SEVERAL and shape.has(Role.EPOCH) and shape.has(Role.STEP, Role.BATCH, Role.GLOBAL)


def read_window(parser: Parser, window: Window, pairs: Pairs, taken: NDArray[np.bool_]) -> None:
    """Read the lines of a window that are of interest: in bulk, or else one by one.

    A part is read one by one first, then the others by what it taught, and so on. `pairs` and `taken` as in
    `relevant`; lines that are taken have been read.
    """
    parser.go_on(window)
    lines = relevant(window, pairs, rare=parser.rare, taken=taken)
    if len(lines.starts) <= FEW:
        _one_by_one(parser, window, lines, -1)
        return
    buffer = Buffer(window.data)
    parser.bulk.templates.sort(key=lambda template: -template.hits)
    lines = parser.in_bulk(window, buffer, lines, (0, parser.bulk.made))
    done, few = -1, FEW
    while len(lines.starts):
        known = len(parser.bulk.templates), parser.bulk.made
        done = _one_by_one(parser, window, Lines(lines.starts[:few], lines.ends[:few]), done)
        left = Lines(lines.starts[few:], lines.ends[few:])
        lines = parser.in_bulk(window, buffer, left, known)
        few = min(2 * few, MOST_AT_ONCE) if len(lines.starts) == len(left.starts) else FEW


def _one_by_one(parser: Parser, window: Window, lines: Lines, done: int) -> int:
    """Read lines one by one from where reading is `done`, and return how far it is.

    Those below the header of a table are its rows, those of a block are read with it.
    """
    for start, end in zip(lines.starts.tolist(), lines.ends.tolist(), strict=True):
        if start < done or parser.of_a_table(start):
            continue
        line = window.data[start:end]
        block = block_at(window.data, (start, end), window.begin, window.reach(start))
        if block is not None:
            parser.add_block(block, line)
            done = block.end
            continue
        if parser.passes(line):
            continue
        for first, part in fragments(line):
            shape = parser.read(part, start + first)
            if shape is None and first == 0:
                done = max(_below(parser, window, part, start, end), done)
    return done


def _below(parser: Parser, window: Window, line: bytes, start: int, end: int) -> int:
    """Read what goes on below a line that says nothing by itself: a table, or a dictionary that is broken."""
    if _OPEN.search(line):
        return _wrapped(parser, window, start, end)
    table = table_below(window, line, end)
    if table is not None:
        parser.add_table(table, window, end + 1)
    return -1


def _wrapped(parser: Parser, window: Window, start: int, end: int) -> int:
    """Join a dictionary that a terminal broke over several lines, in the middle of words too.

    A terminal leaves no blank where it breaks; a line that was printed broken is indented. All of it must be pairs
    of numbers, a loss among them: configurations are printed like this as well.
    """
    reach = min(window.reach(start), end + 1000 * WRAPPED_LINES)
    close = window.data.find(b"}", end, reach)
    lines = window.data[start:close].split(b"\n") if close >= 0 else []
    if not 1 < len(lines) <= WRAPPED_LINES or any(b"\r" in line or b"{" in line for line in lines[1:]):
        return -1
    text = b"".join([lines[0], *(b" " + line.strip() if line[:1] == b" " else line for line in lines[1:])])
    body = text[text.rindex(b"{") + 1 :]
    found = list(pairs(body))
    whole = body.count(b":") == len(found) == sum(number(value) is not None for _, value, _ in found)
    if not whole or not any(is_loss(key.decode("utf-8", "replace")) for key, _, _ in found):
        return -1
    parser.read(text + b"}", start)
    return close + 1
