"""Tables of tensors: rows put together, and layers against checkpoints."""

from pathlib import Path

import numpy as np
import pytest

from forensics.model import Checkpoint
from forensics.report._heat import CELLS, ROWS, heat_map
from forensics.report.tensors import By, Choice, render
from forensics.weights.series import scan_series
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
