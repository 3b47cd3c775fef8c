"""From the table of lines to metrics with steps: streams, the names of metrics, how exactly they were printed."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.patterns import expression
from forensics.model import UNKNOWN_STEP, Floats, Integers, Precision
from forensics.model.order import alike, among, distinct, varied
from forensics.names import NO_LOSS, OF_ERRORS, is_loss, loss_rank
from forensics.readers.text.axes import MOSTLY, Axis, Headings, axis_of, is_epoch_axis, stream_of
from forensics.readers.text.entries import is_entry
from forensics.readers.text.interpretations import interpreted
from forensics.readers.text.lexicon import COUNTERS, SUBJECTS, Role, metric_name
from forensics.readers.text.names import Shape
from forensics.readers.text.periodic import periodic
from forensics.readers.text.printed import QUOTED_VALUE, metric_names, precision_of, told_anew
from forensics.readers.text.rows import Rows, columns_of
from forensics.readers.text.tables import Entries, joined
from forensics.readers.text.trainer_steps import DictRows

BAR_MARK = expression(rb"\x00 ?%\|")
_RESULT = expression(rb"\W*\w+ ?[:= ] ?\x00\W*")
_RESULT_NAMES = expression(
    r"^(?:train_loss|(?:eval|test|val|predict)_\w+|(?:eval_)?perplexity|[\w ]*(?:ppl|perplexity)|grad_norm)$"
)
_CELLS = expression(rb"\| [\w/ .-]{1,60}\| \x00 \|")
_ECHO = b">> {"
_DATA = expression(rb"\w=\{['\"]|['\"](?:betas|exp_avg\w*)['\"]:")
"""A dictionary that is the value of an argument (`coefficients={'loss_fine': 1.0}`), or the state of an optimizer."""
_WORDED = expression(rb"""['"] ?: ?(?:None|True|False|\{|['"](?!\x00))""")
"""What an entry holds beside numbers: several of them are the arguments of a run, unless their counter moves."""
_COST = expression(r"(?i)co[uû]t|cost[oe]?|custo|kosten|비용|コスト")
_RATE = expression(r"(?i)(?<![a-z])(?:lr|learning[ _-]?rate)\w{0,10}$")
SEVERAL = 3
MANY = 8
"""Lines of errors or costs alone, without a counter, from which on they are no table of models and no bill."""
MOST_KNOWN = 6
"""Numbers of a line that comes once and tells no loss: more are settings."""


@np.errstate(over="ignore", invalid="ignore")  # numbers of a log may be of any size
def series_of(tables: Sequence[Entries], unread: Counter[bytes]) -> tuple[list[DictRows], list[Rows]]:
    """Return metrics of the Trainer's dictionaries, still without steps, and all others with theirs.

    Lines that hold a loss and are no entries after all are added to `unread`, by shape.
    """
    whole = [joined(group) for group in _by_shape(tables).values()]
    entries = [interpreted(table) for table in whole if is_entry(table.shape) and not _is_data(table)]
    headings = Headings([table for table in whole if not is_entry(table.shape)])
    dicts = [table for table in entries if _is_trainer_dict(table.shape) and not _has_heading(table, headings)]
    apart = {id(table) for table in dicts}
    groups = _streams([table for table in entries if id(table) not in apart])
    rows = []
    for group in sorted(groups.values(), key=lambda group: not group[0].shape.counters):
        rows.append(list(_stream_rows(group, headings, unread)))
        headings.settle(rows[-1])
    for table in whole if not dicts else ():
        found = None if is_entry(table.shape) else periodic(table)
        rows += [_unless_told(list(_stream_rows([found], headings, unread)), rows)] if found is not None else []
    told = list(_averages_apart(list(_without_copies(rows))))
    return [each for table in dicts for each in _dict_rows(table)], _of_one_precision(told)


def _unless_told(found: Sequence[Rows], rows: Sequence[Sequence[Rows]]) -> list[Rows]:
    """Return rows without the metrics that others tell."""
    told = {name for stream in rows for table in stream for name in table.names}
    kept = [(table, [index for index, name in enumerate(table.names) if name not in told]) for table in found]
    return [
        replace(table, names=tuple(table.names[index] for index in chosen), values=table.values[:, chosen])
        for table, chosen in kept
        if chosen
    ]


def _averages_apart(rows: Sequence[Rows]) -> Iterator[Rows]:
    """Name a loss that is told once an epoch so, beside one of the same name that is told step by step."""
    stepped = {name for table in rows if (table.steps != UNKNOWN_STEP).any() for name in table.names}
    for table in rows:
        if (table.steps == UNKNOWN_STEP).all() and is_epoch_axis(table.epochs):
            names = tuple(f"epoch_{name}" if name in stepped and is_loss(name) else name for name in table.names)
            yield replace(table, names=names)
        else:
            yield table


def _without_copies(streams: Sequence[Sequence[Rows]]) -> Iterator[Rows]:
    """Leave out metrics that repeat those of another stream: step by step, or where they have no step and it has.

    Of two equal ones the first in the text stays; of what is printed a second time now and then, the other stream.
    """
    told: dict[str, list[tuple[int, Rows]]] = defaultdict(list)
    bare: dict[str, list[Rows]] = defaultdict(list)
    streams = sorted(streams, key=lambda stream: -min((int(table.at[0]) for table in stream if len(table)), default=0))
    for number, stream in enumerate(streams):
        for table in stream:
            for name in table.names:
                if _axis_of(table) is not None:
                    told[name].append((number, table))
                else:
                    bare[name].append(table)
    for number, stream in enumerate(streams):
        for table in stream:
            axis = _axis_of(table)
            kept = []
            for index, name in enumerate(table.names):
                others = [each for other, each in told[name] if other != number and _same_process(each, table)]
                same = [each for each in others if axis in {None, _axis_of(each)}]
                if _repeats(table, index, same, axis) or _echoes(table, index, bare[name]):
                    told[name] = [each for each in told[name] if each[1] is not table]
                else:
                    kept.append(index)
            if kept:
                yield replace(
                    table, names=tuple(table.names[index] for index in kept), values=columns_of(table.values, kept)
                )


def _axis_of(table: Rows) -> str | None:
    """Return what places the entries of a table: their steps, else their epochs, else nothing."""
    if (table.steps != UNKNOWN_STEP).any():
        return "steps"
    return None if np.isnan(table.epochs).all() else "epochs"


def _same_process(one: Rows, other: Rows) -> bool:
    return bool(len(one)) and bool(len(other)) and bool(one.ranks[0] == other.ranks[0])


def _repeats(table: Rows, index: int, others: Sequence[Rows], axis: str | None) -> bool:
    """Tell whether others say nearly all that a column says."""
    if not others:
        return False
    keys = [_keys(each, each.names.index(table.names[index]), axis) for each in others]
    return bool(among(_keys(table, index, axis), np.concatenate(keys)).mean() > MOSTLY)


def _echoes(table: Rows, index: int, others: Sequence[Rows]) -> bool:
    """Tell whether each number is the one that another stream, far longer and without a place, told last."""
    for other in others:
        behind = np.searchsorted(other.at, table.at) - 1
        longer = len(other) >= SEVERAL * len(table) and _same_process(other, table)
        if not longer or len(table) < SEVERAL or (behind < 0).any():
            continue
        values = other.values[behind, other.names.index(table.names[index])]
        if np.array_equal(values, table.values[:, index], equal_nan=True) and varied(values, SEVERAL):
            return True
    return False


def _keys(table: Rows, index: int, axis: str | None) -> Integers:
    """Return numbers that are equal where values are, and steps or epochs if they place them."""
    bits = np.ascontiguousarray(np.nan_to_num(table.values[:, index])).view(np.int64)
    if axis is None:
        return bits
    places = table.steps if axis == "steps" else np.ascontiguousarray(np.nan_to_num(table.epochs)).view(np.int64)
    return bits ^ (places * 0x9E3779B1)


def _of_one_precision(rows: Sequence[Rows]) -> list[Rows]:
    """Give every metric one precision, that of its least exact lines: it stays one series."""
    least: dict[str, Precision] = {}
    for table in rows:
        for name in table.names:
            least[name] = min(table.precision, least.get(name, table.precision))
    parted = []
    for table in rows:
        for precision in sorted({least[name] for name in table.names}):
            indices = [index for index, name in enumerate(table.names) if least[name] == precision]
            names = tuple(table.names[index] for index in indices)
            whole = len(indices) == len(table.names)
            values = table.values if whole else table.values[:, indices]
            parted.append(replace(table, names=names, values=values, precision=precision))
    return parted


def _by_shape(tables: Sequence[Entries]) -> dict[bytes, list[Entries]]:
    grouped: dict[bytes, list[Entries]] = defaultdict(list)
    for table in tables:
        grouped[table.shape.key].append(table)
    return grouped


def _is_data(table: Entries) -> bool:
    """Tell whether a line comes once and holds no metric but a rate, or a dictionary arguments or a vocabulary."""
    if table.shape.block:
        return False
    metrics = table.shape.metrics
    known = len(metrics) <= MOST_KNOWN and any(
        each.role is Role.KNOWN and not _RATE.search(each.name) for each in metrics
    )
    if len(table) == 1 and not table.shape.quoted and not known and not table.shape.has(Role.LOSS, Role.NORM):
        return True  # the arguments of a run: `epochs=10, batch=16, lr0=0.01, patience=100`
    told = known or table.shape.has(Role.LOSS, Role.NORM)
    if len(_WORDED.findall(table.shape.key)) >= (SEVERAL if told else 1) and not _moves(table):
        return True
    if len(table) != 1 or not table.shape.quoted:
        return False
    whole = len(table.shape.fields) >= SEVERAL and bool((table.numbers == np.floor(table.numbers)).all())
    return whole or _DATA.search(table.shape.key) is not None


def _moves(table: Entries) -> bool:
    """Tell whether a counter, a loss or a norm of these lines has more than one value."""
    told = [index for index, each in enumerate(table.shape.fields) if each.role in COUNTERS | SUBJECTS]
    return any(varied(table.numbers[:, index], 2) for index in told)


def _is_trainer_dict(shape: Shape) -> bool:
    """Tell whether a line is a dictionary that names no step of its own: bars and epochs must tell it."""
    return shape.quoted and not shape.has(Role.GLOBAL, Role.STEP, Role.BATCH)


def _has_heading(table: Entries, headings: Headings) -> bool:
    """Tell whether dictionaries without an epoch and a bar have a step above them (TensorFlow's object detection)."""
    if len(table) < SEVERAL or table.shape.has(Role.EPOCH, Role.RATIO) or (table.bars >= 0).any():
        return False
    return headings.above(table.at, (Role.GLOBAL, Role.STEP)) is not None


def _streams(tables: Sequence[Entries]) -> dict[tuple[object, ...], list[Entries]]:
    """Group lines by their counters, by the process that wrote them, and by whether they evaluate."""
    grouped: dict[tuple[object, ...], list[Entries]] = defaultdict(list)
    for table in tables:
        shape = table.shape
        counters = frozenset(
            (field.role, field.name.lower()) for field in shape.counters if field.role is not Role.LEADING
        )
        bar = bool(BAR_MARK.search(shape.key))
        own = shape.sentence if counters else tuple(sorted(field.name for field in shape.metrics))
        ranks = distinct(table.ranks).tolist()
        for rank in ranks:
            key = (counters, own, bar, _evaluates(shape), rank)
            grouped[key].append(table.take(table.ranks == rank) if len(ranks) > 1 else table)
    return grouped


def _evaluates(shape: Shape) -> bool:
    metrics = [field for field in shape.metrics if field.role is not Role.OTHER]
    return bool(metrics) and all(metric_name(field.name, field.evaluation).startswith("eval") for field in metrics)


def _stream_rows(tables: list[Entries], headings: Headings, unread: Counter[bytes]) -> Iterator[Rows]:
    bar = bool(BAR_MARK.search(tables[0].shape.key))
    evaluation = _evaluates(tables[0].shape)
    stream, order = stream_of(tables, bar=bar, evaluation=evaluation)
    axis = axis_of(stream, headings)
    placed = not (axis.steps == UNKNOWN_STEP).all() or is_epoch_axis(axis.epochs)
    if tables[0].shape.block and not _is_periodic(tables, axis):
        return
    if not placed or not stream.counted or tables[0].shape.sentence:
        certain = [table for table in tables if _is_certain(table, placed=placed)]
        unread.update(
            {
                table.shape.key: len(table)
                for table in tables
                if not any(table is each for each in certain) and table.shape.has(Role.LOSS)
            }
        )
        if not certain:
            return
        tables = certain
        stream, order = stream_of(tables, bar=bar, evaluation=evaluation)
        axis = axis_of(stream, headings)
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    new = told_anew(tables, back, axis) if bar else {}
    first = 0
    for table in tables:
        place = back[first : first + len(table)]
        first += len(table)
        own = Axis(axis.steps[place], axis.epochs[place], axis.kept[place])
        yield from _rows(table, own, {name: kept[place] for name, kept in new.items()}, bar=bar)


def _is_periodic(tables: Sequence[Entries], axis: Axis) -> bool:
    """Tell whether blocks tell of several places, or of a loss: one that comes once tells arguments."""
    several = varied(axis.steps, 2) or varied(axis.epochs[np.isfinite(axis.epochs)], 2)
    return several or (len(axis.steps) == 1 and tables[0].shape.has(Role.LOSS))


def _is_certain(table: Entries, *, placed: bool) -> bool:
    """Tell whether lines without a counter of their own are entries: prose never repeats its shape."""
    shape = table.shape
    if shape.quoted or shape.table:
        return True
    metrics = [field for field in shape.metrics if field.role is not Role.OTHER]
    result = _RESULT.fullmatch(shape.key) and all(_RESULT_NAMES.match(field.name) for field in metrics)
    if result or (placed and _CELLS.fullmatch(shape.key)):  # a table of one step
        return True
    if len(table) < 2 or (len(table) < SEVERAL and _single(shape) and not placed):
        return False
    if placed:
        return True
    losses = [field.name for field in shape.metrics if field.role in SUBJECTS]
    if losses and len(table) < MANY and all(map(_is_of_anything, losses)):
        return False
    indices = [index for index, field in enumerate(shape.fields) if field in metrics]
    return any(not _is_numbering(table.numbers[:, index]) for index in indices)


def _is_of_anything(name: str) -> bool:
    """Tell whether a name is that of an error or a cost: of models that are compared, of what is bought."""
    return OF_ERRORS <= loss_rank(name) < NO_LOSS or _COST.fullmatch(name) is not None


def _single(shape: Shape) -> bool:
    return sum(field.role is not Role.NOTHING for field in shape.fields) < 2


def _is_numbering(values: Floats) -> bool:
    """Tell whether numbers count something, or are one number again and again."""
    if len(values) < SEVERAL or not np.isfinite(values).all():
        return False
    gaps = np.diff(values)
    return bool((gaps == gaps[0]).all()) and bool((values == np.floor(values)).all() or gaps[0] == 0)


def _rows(table: Entries, axis: Axis, new: dict[str, NDArray[np.bool_]], *, bar: bool) -> Iterator[Rows]:
    names = metric_names(table)
    exact = [precision_of(table, index, bar=bar) for index, _ in names]
    base = Rows(
        names=(),
        values=table.numbers[:, :0],
        at=table.at,
        records=table.records,
        steps=axis.steps,
        epochs=axis.epochs,
        wall_times=table.times,
        ranks=table.ranks,
    )
    for precision in sorted(set(exact)):
        chosen = [pair for pair, each in zip(names, exact, strict=True) if each is precision]
        plain = [(index, name) for index, name in chosen if name not in new]
        if plain:
            yield _chosen(base, table, plain, axis.kept, precision)
        for pair in chosen:
            if pair not in plain:
                yield _chosen(base, table, [pair], new[pair[1]], precision)


def _chosen(
    base: Rows, table: Entries, pairs: Sequence[tuple[int, str]], kept: NDArray[np.bool_], precision: Precision
) -> Rows:
    values = columns_of(table.numbers, [index for index, _ in pairs])
    rows = replace(base, names=tuple(name for _, name in pairs), values=values, precision=precision)
    return rows if kept.all() else rows.take(kept)


def _dict_rows(table: Entries) -> Iterator[DictRows]:
    """Return dictionaries of the Trainer with the bars around them, for `trainer_steps`."""
    shape = table.shape
    names = metric_names(table)
    epochs = next((index for index, field in enumerate(shape.fields) if field.role is Role.EPOCH), None)
    if not names:
        return
    rows = Rows(
        names=tuple(name for _, name in names),
        values=columns_of(table.numbers, [index for index, _ in names]),
        at=table.at,
        records=table.records,
        steps=np.broadcast_to(np.int64(UNKNOWN_STEP), len(table)),
        epochs=np.broadcast_to(np.float64("nan"), len(table)) if epochs is None else table.numbers[:, epochs],
        wall_times=table.times,
        ranks=table.ranks,
    )
    yield DictRows(
        rows=rows,
        before=_bar_before(table),
        after=table.bars,
        echoed=_ECHO in shape.key,
        quoted=bool(QUOTED_VALUE.search(shape.key)),
    )


def _bar_before(table: Entries) -> Integers:
    before = np.full((len(table), 2), -1, dtype=np.int64)
    for index, field in enumerate(table.shape.fields):
        if field.role not in {Role.RATIO, Role.LEADING}:
            break
        if field.role is Role.RATIO and BAR_MARK.search(table.shape.key):
            before[:, 0], before[:, 1] = table.numbers[:, index], table.totals[:, index]
    return alike(before)
