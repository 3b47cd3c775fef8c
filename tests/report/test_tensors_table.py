"""Tables of tensors: rows put together, and layers against checkpoints."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from forensics.investigate import investigate
from forensics.model import Checkpoint
from forensics.model.counts import Counts
from forensics.report import _html_data
from forensics.report._heat import CELLS, ROWS, heat_map
from forensics.report.tensors import By, Choice, render
from forensics.weights.series import scan_series
from runs import BROKEN
from weights.tensor_reference import save

FINE, NAN, MIXED, ZERO = [1.0, 2.0], [np.nan, np.nan], [np.nan, 2.0], [0.0, 0.0]


def checkpoints(folder: Path, *saves: dict[str, list[float]]) -> list[Checkpoint]:
    """Save F32 tensors by name, one save after the other, and scan them as a series."""
    records = [
        save(
            folder, f"{i}.bin", [(name, "F32", (2,), np.array(v, "<f4").view(np.uint8)) for name, v in tensors.items()]
        )
        for i, tensors in enumerate(saves)
    ]
    tables = scan_series(folder, records)
    return [Checkpoint(f"step-{i}", "loose", step=i, table=table) for i, table in enumerate(tables)]


def test_each_cell_says_the_worst_of_its_layer(tmp_path: Path) -> None:
    """NaN outranks zero, zero outranks unchanged; what a checkpoint does not hold is blank."""
    first = {"a.0.w": FINE, "b.w": FINE, "c.w": FINE, "d.w": FINE}
    second = {"a.0.w": MIXED, "b.w": NAN, "c.w": ZERO, "d.w": FINE, "e.w": FINE}

    lines = list(heat_map(checkpoints(tmp_path, first, second)))

    assert lines[3:] == [
        "  a.0  .x",
        "  b    .X",
        "  c    .0",
        "  d    .=",
        "  e     .",
        f"  {', '.join(f'{cell} {CELLS[cell]}' for cell in 'Xx0=.')}",
    ]


def test_layers_that_look_alike_share_a_row(tmp_path: Path) -> None:
    """Numbers that follow each other are folded up to the layer where the picture changes."""
    tensors = {f"model.layers.{n}.w": NAN if n > 7 else FINE for n in range(12)}

    lines = list(heat_map(checkpoints(tmp_path, {**tensors, "norm.w": NAN})))

    assert lines[2:5] == ["  model.layers.0 to 7   .", "  model.layers.8 to 11  X", "  norm                  X"]


def test_a_map_of_many_rows_ends(tmp_path: Path) -> None:
    tensors = {f"layers.{n}.w": NAN if n % 2 else FINE for n in range(ROWS + 5)}

    lines = list(heat_map(checkpoints(tmp_path, tensors)))

    assert "  (5 more rows)" in lines


def test_nothing_examined_draws_nothing() -> None:
    assert list(heat_map([Checkpoint("step-1", "loose")])) == []


@pytest.mark.parametrize(
    ("by", "row"),
    [
        ("layer", ["a.0", "2", "4", "2", "0", "0.0%", "2", "2.236", "50.0%", "0"]),
        ("kind", ["a.*.w", "2", "4", "0", "0", "0.0%", "4", "5", "75.0%", "0.2"]),
    ],
)
def test_rows_put_together_add_up(by: By, row: list[str], tmp_path: Path) -> None:
    """Counts are sums and norms are of all elements together, of the tensors that were chosen."""
    first = {"a.0.w": FINE, "a.0.v": FINE, "a.1.w": [2.0, 3.0]}
    second = {"a.0.w": FINE, "a.0.v": NAN, "a.1.w": [2.0, 4.0]}
    if by == "kind":
        first, second = ({k: v for k, v in c.items() if not k.endswith("v")} for c in (first, second))
    base, after = checkpoints(tmp_path, first, second)

    text = render([after], [], Choice(by=by), "table", base)

    assert row in [line.split() for line in text.splitlines()]
    assert text.startswith("step-0: clean\n")


def test_rows_left_out_are_counted(tmp_path: Path) -> None:
    held = checkpoints(tmp_path, {f"a.{n}.w": FINE for n in range(5)})

    text = render(held, [], Choice(top=2, by="layer"), "table")

    assert "(3 more layers; --top 0 shows all)" in text


def test_names_are_shown_without_what_a_terminal_would_obey(tmp_path: Path) -> None:
    """The map shows no control character of a tensor's name or of a path."""
    (held,) = checkpoints(tmp_path, {"\x1b[31mred.w": NAN})

    assert "\x1b" not in "\n".join(heat_map([held]))


@pytest.mark.parametrize("form", ["csv", "json"])
def test_columns_are_added_once_and_not_for_each_tensor(
    form: Literal["csv", "json"], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of 700,000 tensors took 8 s, as all infinities were added for each row."""
    saved = checkpoints(tmp_path, {f"layers.{n}.w": MIXED for n in range(30)})
    added: list[int] = []
    add = Counts.__add__

    def counted(one: Counts, other: Counts) -> Counts:
        added.append(len(one))
        return add(one, other)

    monkeypatch.setattr(Counts, "__add__", counted)

    assert render(saved, (), Choice(), form).count("layers.") >= 30
    assert 0 < len(added) < 5


def test_what_is_the_same_in_all_rows_is_held_once(tmp_path: Path) -> None:
    table = checkpoints(tmp_path, {f"layers.{n}.w": FINE for n in range(30)})[0].table
    assert table is not None

    for column in (table.nan.values, table.positive_infinity.values, table.same.values, table.change_l2):
        assert len(column) == 30
        assert column.strides == (0,)
    assert table.nan.tolist() == [0] * 30
    assert table.same.tolist() == [None] * 30
    assert np.isnan(table.change_l2).all()


def test_the_page_counts_tensors_that_it_does_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is counted once, whatever checkpoint holds it; the worst of the latest come first."""
    first = {f"a.{n}": FINE for n in range(9)}
    second = {f"a.{n}": NAN if n == 7 else FINE for n in range(3, 12)}
    scanned = checkpoints(tmp_path, first, second)
    monkeypatch.setattr(_html_data, "MOST_TENSORS", 4)
    run = replace(investigate(BROKEN[0].run).run, checkpoints=tuple(scanned))

    both, one = (_html_data.tensors(replace(run, checkpoints=tuple(held))) for held in (scanned, scanned[1:]))

    assert both is not None
    assert one is not None
    assert (both["total"], len(both["names"]), both["names"][0]) == (12, 4, "a.7")
    assert (one["total"], len(one["names"]), one["names"][0]) == (9, 4, "a.7")
