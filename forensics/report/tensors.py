"""Tensor tables for `scan` and `diff`: the worst first, or put together by layer or kind."""

import csv
import fnmatch
import io
import json
from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from forensics.deferred.records import dataclass
from forensics.model import Checkpoint, Skip, TensorTable
from forensics.report._heat import heat_map
from forensics.report._safe import cell, clean
from forensics.report.json import number
from forensics.weights.groups import by_kind, by_layer, grouped

By: TypeAlias = Literal["tensor", "layer", "kind"]

ONLY = ("nan", "inf", "zero", "unchanged", "changed", "dead-rows")
COLUMNS = (
    "checkpoint",
    "tensor",
    "role",
    "dtype",
    "shape",
    "elements",
    "nan",
    "inf",
    "zero",
    "subnormal",
    "minimum",
    "maximum",
    "max_abs",
    "mean",
    "l2",
    "dead_rows",
    "same",
    "change_l2",
    "relative_change",
    "change_max",
    "trained",
)


@dataclass(frozen=True, slots=True)
class Choice:
    """Which rows are shown: name patterns, properties, how many (0: all); `by` puts rows of the table together.

    `top` is of tables; of csv and json `most` are written of each checkpoint, the worst of them (0: all).
    """

    select: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    top: int = 20
    by: By = "tensor"
    most: int = 0


def render(
    checkpoints: Sequence[Checkpoint],
    skips: Sequence[Skip],
    choice: Choice,
    form: str,
    base: Checkpoint | None = None,
) -> str:
    """Return the tables of the checkpoints in the format asked for: table, csv or json.

    `base` is what the first one was compared with; it has no rows. Of a csv or json the rows are tensors always:
    what reads it can put them together as it likes.
    """
    if form == "table":
        return _table(checkpoints, skips, choice, base)
    return {"csv": _csv, "json": _json}[form](checkpoints, skips, choice)


def worst_first(table: TensorTable) -> NDArray[np.int64]:
    """Return row numbers: NaN, then infinities, dead and unchanged tensors, then the largest change."""
    trainable_still = table.unchanged & ~table.frozen
    change = np.nan_to_num(relative_change(table), nan=0.0, posinf=np.inf)
    share = table.nan.values / np.maximum(table.elements, 1)
    infinite = table.infinite.values
    return np.lexsort(
        (np.arange(len(table)), -change, ~trainable_still, ~table.all_zero, ~table.unread, -infinite, -share)
    )


def relative_change(table: TensorTable) -> NDArray[np.float64]:
    """Return the L2 norm of the change over that of the tensor (NaN where nothing was compared)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(table.change_l2 == 0, 0.0, table.change_l2 / table.l2)


def chosen_rows(table: TensorTable, choice: Choice) -> NDArray[np.int64]:
    masks = {
        "nan": table.nan > 0,
        "inf": table.infinite > 0,
        "zero": table.all_zero,
        "unchanged": table.unchanged,
        "changed": table.compared & ~table.unchanged,
        "dead-rows": table.dead_rows > 0,
    }
    keep = np.ones(len(table), dtype=bool)
    if choice.only:
        keep &= np.any([masks[name] for name in choice.only], axis=0)
    if choice.select:
        named = [any(fnmatch.fnmatchcase(name, glob) for glob in choice.select) for name in table.names]
        keep &= np.array(named, dtype=bool)
    order = worst_first(table)
    return order[keep[order]]


def _table(checkpoints: Sequence[Checkpoint], skips: Sequence[Skip], choice: Choice, base: Checkpoint | None) -> str:
    parts = [] if base is None else [_heading(base)]
    for checkpoint in checkpoints:
        parts.append(_heading(checkpoint))
        if checkpoint.table is not None:
            rows = _rows if choice.by == "tensor" else _grouped_rows
            parts.append(rows(checkpoint.table, choice))
    parts.append("\n".join(heat_map(checkpoints if base is None else (base, *checkpoints))))
    parts.extend(f"not examined: {clean(skip.what)}: {clean(skip.reason)}" for skip in skips)
    return "\n\n".join(part for part in parts if part) + "\n"


def _heading(checkpoint: Checkpoint) -> str:
    table = checkpoint.table
    lines = [f"{clean(checkpoint.path)}: {checkpoint.status}"]
    if table is not None:
        unread = int(np.count_nonzero(table.unread))
        read = len(table) - unread
        if unread:
            lines.append(f"{unread:,} of {len(table):,} tensors could not be read; what follows is about the others")
        lines.append(
            f"{read:,} tensor{'s' * (read != 1)}, {int(table.elements[~table.unread].sum()):,} elements; NaN in"
            f" {np.count_nonzero(table.nan > 0):,}, Inf in {np.count_nonzero(table.infinite > 0):,},"
            f" all zero {np.count_nonzero(table.all_zero):,}"
        )
        if table.compared.any():
            lines.append(
                f"compared with the one before: {np.count_nonzero(table.unchanged):,} of "
                f"{np.count_nonzero(table.compared):,} tensors unchanged"
            )
    # What is clean is not suspicious: what its files say otherwise stands behind a "but".
    words = {"suspicious": "but"}
    lines.extend(f"{words.get(p.kind, p.kind)}: {clean(p.statement)}" for p in checkpoint.problems)
    return "\n".join(lines)


def _rows(table: TensorTable, choice: Choice) -> str:
    rows = chosen_rows(table, choice)
    shown = rows[: choice.top] if choice.top else rows
    compared = bool(table.compared.any())
    headers = ["tensor", "dtype", "shape", "NaN", "Inf", "zero", "min", "max", "L2"]
    cells = [_cells(table, int(i)) for i in shown]
    if compared:
        headers += ["same", "change"]
        change = relative_change(table)
        for cell, i in zip(cells, shown, strict=True):
            cell += [_share(table.same[i], table.elements[i]), _real(change[i])]
    return tabulate(cells, headers=headers, disable_numparse=True) + _left(len(rows) - len(shown), "tensors")


def _grouped_rows(table: TensorTable, choice: Choice) -> str:
    table = table.taken(np.sort(chosen_rows(table, choice)))
    groups = grouped(table, (by_layer if choice.by == "layer" else by_kind)(table))
    headers = [choice.by, "tensors", "elements", "NaN", "Inf", "zero", "max abs", "L2"]
    columns: list[list[str]] = [
        [clean(name, 100) for name in groups.names],
        *([f"{int(n):,}" for n in column] for column in (groups.tensors, groups.elements, groups.nan, groups.infinite)),
        [_share(part, whole) for part, whole in zip(groups.zero, groups.elements, strict=True)],
        [_real(value) for value in groups.max_abs],
        [_real(value) for value in groups.l2],
    ]
    if groups.compared.any():
        headers += ["same", "change"]
        with np.errstate(divide="ignore", invalid="ignore"):
            change = np.where(groups.change_l2 == 0, 0.0, groups.change_l2 / groups.l2)
        columns.append([_share(part, whole) for part, whole in zip(groups.same, groups.compared, strict=True)])
        columns.append([_real(value) for value in change])
    rows = list(zip(*columns, strict=True))
    shown = rows[: choice.top] if choice.top else rows
    return tabulate(shown, headers=headers, disable_numparse=True) + _left(len(rows) - len(shown), f"{choice.by}s")


def _left(rows: int, what: str) -> str:
    return f"\n({rows:,} more {what}; --top 0 shows all)" if rows else ""


def _cells(table: TensorTable, i: int) -> list[str]:
    role = table.roles[i]
    name = clean(table.names[i], 100) + ("" if role == "weight" else f" ({role})")
    return [
        name,
        table.dtypes[i],
        "x".join(str(size) for size in table.shapes[i]) or "()",
        _counted(table.nan[i]),
        _counted(table.infinite[i]),
        _share(table.zero[i], table.elements[i]),
        _real(table.minimum[i]),
        _real(table.maximum[i]),
        _real(table.l2[i]),
    ]


def _counted(count: int | None) -> str:
    return "not read" if count is None else f"{int(count):,}"


def _share(part: int | None, whole: np.int64) -> str:
    if part is None:
        return ""
    return f"{part / whole:.1%}" if whole else "-"


def _real(value: np.float64) -> str:
    return "" if np.isnan(value) else f"{value:.4g}"


def _records(checkpoints: Sequence[Checkpoint], choice: Choice) -> Iterator[dict[str, object]]:
    for checkpoint in checkpoints:
        table = checkpoint.table
        if table is None:
            continue
        change, infinite = relative_change(table), table.infinite
        for i in chosen_rows(table, choice)[: choice.most or None].tolist():
            yield {
                "checkpoint": clean(checkpoint.path),
                "tensor": clean(table.names[i]),
                "role": table.roles[i],
                "dtype": table.dtypes[i],
                "shape": list(table.shapes[i]),
                "elements": int(table.elements[i]),
                "nan": table.nan[i],
                "inf": infinite[i],
                "zero": table.zero[i],
                "subnormal": table.subnormal[i],
                "minimum": number(float(table.minimum[i])),
                "maximum": number(float(table.maximum[i])),
                "max_abs": number(float(table.max_abs[i])),
                "mean": number(float(table.mean[i])),
                "l2": number(float(table.l2[i])),
                "dead_rows": table.dead_rows[i],
                "same": table.same[i],
                "change_l2": number(float(table.change_l2[i])),
                "relative_change": number(float(change[i])),
                "change_max": number(float(table.change_max[i])),
                "trained": table.trained[i],
            }


def _csv(checkpoints: Sequence[Checkpoint], skips: Sequence[Skip], choice: Choice) -> str:
    del skips  # a table of tensors has no row for what is no tensor; the other formats tell it
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for record in _records(checkpoints, choice):
        writer.writerow({k: cell(v) if isinstance(v, str) else v for k, v in record.items()})
    return out.getvalue()


def _json(checkpoints: Sequence[Checkpoint], skips: Sequence[Skip], choice: Choice) -> str:
    tree = {
        "format": 1,
        "checkpoints": [
            {
                "path": clean(c.path),
                "step": c.step,
                "kind": c.kind,
                "status": c.status,
                "unread": 0 if c.table is None else int(np.count_nonzero(c.table.unread)),
                "problems": [clean(p.statement) for p in c.problems],
                "tensors": list(_records([c], choice)),
            }
            for c in checkpoints
        ],
        "skips": [{"what": clean(s.what), "reason": clean(s.reason)} for s in skips],
    }
    return json.dumps(tree, indent=1, allow_nan=False) + "\n"
