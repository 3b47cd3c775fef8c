"""Rounding of 16-bit weights and the size of Adam's step, against torch."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.weights.precision import (
    Adam,
    expected_update,
    rounded_bits,
    smallest_moving,
    stuck,
    ulp,
)

torch = pytest.importorskip("torch")

NAMES = {"BF16": torch.bfloat16, "F16": torch.float16}
FLOATS = st.floats(width=32, allow_nan=False)


@pytest.mark.parametrize("dtype", NAMES)
@given(values=st.lists(FLOATS, min_size=1, max_size=20))
def test_rounding_is_that_of_torch(dtype: str, values: list[float]) -> None:
    exact = np.array(values, dtype=np.float32)
    expected = torch.from_numpy(exact.copy()).to(NAMES[dtype]).view(torch.int16).numpy().view(np.uint16)

    assert rounded_bits(exact, dtype).tolist() == expected.tolist()


def test_ties_go_to_even_and_nan_stays_nan() -> None:
    values = np.array([1 + 2**-8, 1 + 3 * 2**-8, np.nan, -np.inf, -0.0], dtype=np.float32)

    assert [hex(b) for b in rounded_bits(values, "BF16")] == ["0x3f80", "0x3f82", "0x7fc0", "0xff80", "0x8000"]


def stored(value: float, dtype: str) -> Any:
    return torch.tensor(value, dtype=torch.float64).to(NAMES[dtype])


@pytest.mark.parametrize("dtype", NAMES)
@given(value=st.floats(1e-30, 6e4), up=st.booleans())
def test_the_unit_in_the_last_place_is_the_distance_to_the_next_number(dtype: str, value: float, up: bool) -> None:
    weight = stored(value if up else -value, dtype)
    if not weight.isfinite() or weight == 0:
        return
    away = torch.nextafter(weight, stored(float("inf") if up else -float("inf"), dtype))
    if not away.isfinite():
        return

    assert ulp(np.array([float(weight)]), dtype)[0] == abs(float(away) - float(weight))


@pytest.mark.parametrize("dtype", NAMES)
@given(value=st.floats(1e-4, 100), share=st.floats(0.05, 0.99), up=st.booleans())
def test_a_smaller_update_never_moves_a_weight(dtype: str, value: float, share: float, up: bool) -> None:
    """In float64, so that the sum itself rounds nothing away."""
    weight = stored(value, dtype)
    update = share * float(smallest_moving(np.array([float(weight)]), dtype)[0])
    moved = (weight.double() + (update if up else -update)).to(NAMES[dtype])

    assert bool(moved == weight)


@pytest.mark.parametrize("dtype", NAMES)
@given(value=st.floats(1e-4, 100))
def test_a_larger_update_moves_it(dtype: str, value: float) -> None:
    weight = stored(value, dtype)
    update = 1.01 * float(smallest_moving(np.array([float(weight)]), dtype)[0])
    moved = {bool((weight.double() + way * update).to(NAMES[dtype]) == weight) for way in (1, -1)}

    assert False in moved


def test_norm_weights_at_one_stay_where_small_ones_move() -> None:
    """At a step of 1e-5, bf16 numbers near 1 are 2^-8 apart below and 2^-7 above; near 1e-4 they are close."""
    assert stuck(np.array([1.0, 0.02, 1e-4]), 1e-5, "BF16").tolist() == [True, True, False]


@pytest.mark.parametrize("steps", [1, 7])
def test_the_expected_update_is_adams_next_step(steps: int) -> None:
    """With the gradient of the step before, torch does what the moments say, to a part in a hundred."""
    weight = torch.nn.Parameter(torch.linspace(-1, 1, 50, dtype=torch.float64))
    optimizer = torch.optim.Adam([weight], lr=1e-3, betas=(0.9, 0.95), eps=1e-8)
    gradient = torch.linspace(0.1, 5, 50, dtype=torch.float64)
    for _ in range(steps):
        weight.grad = gradient.clone()
        optimizer.step()
    state = optimizer.state[weight]
    settings = Adam(1e-3, 0.9, 0.95, 1e-8, steps)
    expected = expected_update(state["exp_avg"].numpy(), state["exp_avg_sq"].numpy(), settings)
    before = weight.detach().clone()
    weight.grad = gradient.clone()
    optimizer.step()

    assert np.allclose(expected, (weight.detach() - before).abs().numpy(), rtol=1e-2)
