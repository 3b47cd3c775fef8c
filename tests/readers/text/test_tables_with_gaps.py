"""Tables whose rows leave cells empty: each number belongs to the name that it stands below."""

import pytest

from readers.text.log_reading import read_log

HEADER = "step      loss   eval_loss     scale  skipped\n"


def row(step: int, loss: float, evaluated: float | None, scale: int, skipped: str) -> str:
    told = "" if evaluated is None else f"{evaluated:.4f}"
    return f"{step:4d}  {loss:.6f}  {told:>10}  {scale:>8}  {skipped}\n"


@pytest.mark.parametrize("chunk_bytes", [512, 1 << 20])
def test_a_cell_may_be_empty_at_the_end_or_between(chunk_bytes: int) -> None:
    losses = [round(0.7 - 0.004 * step, 6) for step in range(1, 81)]
    rows = [
        row(step, loss, 0.6 if step % 10 == 0 else None, 65536, "yes" if step < 9 else "")
        for step, loss in enumerate(losses, 1)
    ]
    log = read_log(HEADER + "".join(rows), chunk_bytes=chunk_bytes)

    assert log.points("loss") == list(enumerate(losses, 1))
    assert log.points("eval_loss") == [(step, 0.6) for step in range(10, 81, 10)]
    assert len(log.points("scale")) == 80


def test_numbers_that_stand_below_no_name_or_below_two_are_no_row() -> None:
    rows = "".join(row(step, 0.7, None, 65536, "") for step in range(1, 9))
    log = read_log(f"{HEADER}{rows}{'':55}7  8\n   12345678901234567\n")

    assert [step for step, _ in log.points("loss")] == list(range(1, 9))
