"""A metric that one file tells, one of thousands: what is made of it without sorting is what sorting would make."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics import names
from forensics.analysis import context
from forensics.analysis.context import policy_gradient
from forensics.assemble import assemble
from forensics.assemble.attempts import attempts_of
from forensics.assemble.merge import _combine
from forensics.model import Precision, Samples

_ENTRIES = st.lists(
    st.tuples(st.integers(0, 9), st.floats(width=32), st.sampled_from([np.nan, np.inf, 1.7e9])), min_size=1, max_size=6
)


def block(entries: list[tuple[int, float, float]]) -> Samples:
    steps, values, walls = (np.array(column) for column in zip(*entries, strict=True))
    records = np.arange(len(entries), dtype=np.int64)
    whole = values.astype(np.float64)
    return Samples(
        "odd/metric", steps.astype(np.int64), whole, records, "a", "event {}", Precision.SINGLE, wall_times=walls
    )


def same(one: object, other: object) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    return one == other


@given(_ENTRIES)
def test_alone_or_beside_nothing_it_is_the_same(entries: list[tuple[int, float, float]]) -> None:
    told = block(entries)
    nothing = told.take(np.zeros(len(entries), dtype=bool))
    account, beside = attempts_of([told]), attempts_of([told, nothing])
    assert all(same(getattr(account, f.name), getattr(beside, f.name)) for f in fields(account) if f.name != "places")

    alone, _ = _combine("odd/metric", [account], told)
    merged, _ = _combine("odd/metric", [account, replace(account.take(slice(0, 0)), places=())], told)
    assert all(same(getattr(alone, f.name), getattr(merged, f.name)) for f in fields(alone))


def test_the_names_of_a_run_are_gone_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def counted(name: str) -> str:
        asked.append(name)
        return names.snake_case(name)

    run = assemble(Path("run"), (), [replace(block([(1, 2.0, 1.0)]), name=f"tag/{n}") for n in range(50)])
    monkeypatch.setattr(context, "snake_case", counted)
    assert not policy_gradient(run)
    assert not policy_gradient(run)
    assert len(asked) == 50
