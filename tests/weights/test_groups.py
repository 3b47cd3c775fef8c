"""Tables of tensors put together by layer."""

from pathlib import Path

import numpy as np
import pytest

from forensics.model.tensors import Piece
from forensics.weights.groups import by_kind, by_layer, grouped, kind_of, layer_of
from forensics.weights.series import scan_series
from weights.tensor_reference import record, save


@pytest.mark.parametrize(
    ("name", "layer", "kind"),
    [
        ("model.layers.0.mlp.up.weight", "model.layers.0", "model.layers.*.mlp.up.weight"),
        ("h.11.attn.c_attn.bias", "h.11", "h.*.attn.c_attn.bias"),
        ("lm_head.weight", "lm_head", "lm_head.weight"),
        ("wte", "wte", "wte"),
        ("layers.3.experts.7.w1", "layers.3", "layers.*.experts.*.w1"),
        ("conv2d.weight", "conv2d", "conv2d.weight"),
    ],
)
def test_names_tell_layer_and_kind(name: str, layer: str, kind: str) -> None:
    """Only numbers that stand alone between dots are layers."""
    assert (layer, kind) == (layer_of(name), kind_of(name))


def test_groups_add_up(tmp_path: Path) -> None:
    """Counts add, norms add as squares, the largest stays, and what was not examined is counted apart."""
    values = np.array([3, 0, np.nan, 4], np.float32)
    checkpoints = []
    for i in range(2):
        tensors = [(f"layers.{n}.w", "F32", (4,), (values * (n + 1 + i)).view(np.uint8)) for n in range(2)]
        records = save(tmp_path, f"{i}.bin", tensors)
        checkpoints.append([*records, record("layers.1.gone", "F32", (4,), [Piece("gone", 0, 16)])])

    table = scan_series(tmp_path, checkpoints)[1]
    groups = grouped(table, by_layer(table))

    assert groups.names == ("layers.0", "layers.1")
    assert [
        column.tolist()
        for column in (
            groups.tensors,
            groups.unexamined,
            groups.elements,
            groups.nan,
            groups.zero,
            groups.compared,
        )
    ] == [[1, 2], [0, 1], [4, 4], [1, 1], [1, 1], [4, 4]]
    assert [column.tolist() for column in (groups.l2, groups.max_abs, groups.change_l2, groups.change_max)] == [
        [10, 15],
        [8, 12],
        [5, 5],
        [4, 4],
    ]


def test_all_layers_together(tmp_path: Path) -> None:
    """By kind, one tensor of all layers is one row; no tensors make no rows."""
    tensors = [(f"layers.{n}.w", "F32", (1,), np.full(1, n, np.float32).view(np.uint8)) for n in (3, 4)]
    (table,) = scan_series(tmp_path, [save(tmp_path, "a", tensors)])
    (empty,) = scan_series(tmp_path, [[]])

    groups = grouped(table, by_kind(table))

    assert (groups.names, groups.l2.tolist()) == (("layers.*.w",), [5.0])
    assert grouped(empty, by_layer(empty)).names == ()
