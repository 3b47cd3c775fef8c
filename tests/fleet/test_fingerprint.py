"""Runs that died of the same share a fingerprint, whatever their paths, steps and sizes."""

from collections.abc import Sequence

from forensics.fleet.fingerprint import fingerprint_of
from forensics.investigate import judge
from forensics.model import Scalar
from forensics.testing import make_run

HEALTHY = [2.0 - 0.05 * i for i in range(20)]


def fingerprint(loss: Sequence[float], *, dead: float = float("nan"), **settings: Scalar) -> str:
    norms = [0.5 if value else dead for value in loss]
    run = make_run(loss=loss, grad_norm=norms, settings=settings, frameworks=("transformers",))
    return fingerprint_of(judge(run))


def died(at: int, length: int = 30) -> list[float]:
    return [3.0 - 0.01 * i if i < at else 0.0 for i in range(length)]


def test_steps_and_sizes_do_not_matter() -> None:
    one = fingerprint(died(10), learning_rate=1e-5, output_dir="/data/a", seed=1)
    other = fingerprint(died(17, 40), learning_rate=2e-5, output_dir="/data/b", seed=2)

    assert one == other
    assert len(one) == 12


def test_another_cause_is_another_fingerprint() -> None:
    assert fingerprint(died(10)) != fingerprint(died(10), dead=0.0)


def test_another_precision_is_another_fingerprint() -> None:
    assert fingerprint(died(10), bf16=True) != fingerprint(died(10), bf16=False)


def test_a_switch_reads_the_same_as_text() -> None:
    assert fingerprint(died(10), bf16=True) == fingerprint(died(10), bf16="True")


def test_a_healthy_run_has_none() -> None:
    assert fingerprint(HEALTHY) == ""
