"""How far bad tensors spread, and in which order of depth they are named."""

from collections.abc import Collection

import numpy as np
import pytest

from forensics.analysis.spread import depth_of, spread_of
from forensics.model import Counts, Piece, TensorRecord, TensorTable
from forensics.model.columns import Coded, Names, Shapes

MODEL = [
    "lm_head.weight",
    "model.embed_tokens.weight",
    *(f"model.layers.{n}.{part}.weight" for n in range(12) for part in ("mlp", "attn")),
    "model.norm.weight",
]


def table(names: list[str], frozen: Collection[str] = ()) -> TensorTable:
    ones = np.ones(len(names), dtype=np.int64)
    counts = Counts.of([1] * len(names))
    floats = np.ones(len(names))
    return TensorTable(
        names=Names(names),
        roles=Coded.all("weight", len(names)),
        dtypes=Coded.all("F32", len(names)),
        shapes=Shapes.of([(1,)] * len(names)),
        trained=Coded.of("frozen" if name in frozen else "trainable" for name in names),
        elements=ones,
        nan=counts,
        positive_infinity=counts,
        negative_infinity=counts,
        zero=counts,
        subnormal=counts,
        minimum=floats,
        maximum=floats,
        max_abs=floats,
        mean=floats,
        l2=floats,
        dead_rows=counts,
        same=counts,
        change_l2=floats,
        change_max=floats,
    )


def said(bad: Collection[str], frozen: Collection[str] = (), records: Collection[TensorRecord] = ()) -> str:
    mask = np.array([name in bad for name in MODEL])
    return str(spread_of(table(MODEL, frozen), mask, tuple(records)))


def layers(*numbers: int) -> list[str]:
    return [name for name in MODEL if any(f".{n}." in name for n in numbers)]


@pytest.mark.parametrize(
    ("bad", "frozen", "expected"),
    [
        (["model.norm.weight"], (), "in one tensor only"),
        (layers(9, 10), (), "only in the contiguous layers 9 to 10"),
        (layers(4)[:2], (), "only in layer 4"),
        (MODEL, (), "in everything that trains"),
        (MODEL[2:], MODEL[:2], "in everything that trains"),
        (layers(3, 9), (), "scattered over the model"),
        ([*layers(3), "lm_head.weight"], (), "scattered over the model"),
    ],
)
def test_the_extent_is_named(bad: list[str], frozen: list[str], expected: str) -> None:
    assert said(bad, frozen) == expected


def test_nothing_bad_has_no_extent() -> None:
    assert spread_of(table(MODEL), np.zeros(len(MODEL), dtype=bool)) is None


def test_the_first_name_is_the_one_nearest_to_the_input() -> None:
    """Not the first of the alphabet, and layer 9 before layer 10."""
    mask = np.array([name in {*layers(10, 9), "lm_head.weight"} for name in MODEL])
    spread = spread_of(table(MODEL), mask)

    assert spread is not None
    assert [depth_of(name)[1] for name in spread.names] == [9, 9, 10, 10, 0]


def in_ranks(cut: int) -> list[TensorRecord]:
    """Lay the model over two ranks' files; the tensor at the cut lies in both."""
    placed = [(0,) if n < cut else (0, 1) if n == cut else (1,) for n in range(len(MODEL))]
    return [
        TensorRecord(name, "weight", "F32", (1,), tuple(Piece(f"rank{rank}.pt", 0, 2) for rank in ranks))
        for name, ranks in zip(MODEL, placed, strict=True)
    ]


def test_the_slice_of_one_rank_is_recognised() -> None:
    """All that lies in the second rank's file is bad, the tensor at the border too."""
    assert said(MODEL[13:], records=in_ranks(13)) == "only in the slice of rank1.pt"


def test_a_part_of_a_ranks_slice_is_not_the_slice() -> None:
    assert said([MODEL[2], MODEL[9], MODEL[20]], records=in_ranks(13)) == "scattered over the model"
