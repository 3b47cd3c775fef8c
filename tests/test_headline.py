"""The headline of a run without a fault."""

from dataclasses import replace
from typing import Any

import pytest

from forensics.diagnosis.checked import checked
from forensics.diagnosis.headline import headline_of, verdict_of
from forensics.model import Evidence, Finding, Hypothesis, Run, Source
from forensics.testing import make_checkpoint, make_run

CENTRED = "a loss that prints 0 is in order there, as advantages are centred."


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"max_steps": 36}, "over 5 of 36 planned steps"), ({"max_steps": 5}, "over 5 steps"), ({}, "over 5 steps")],
)
def test_a_run_that_ends_before_its_plan_says_so(settings: dict[str, int], words: str) -> None:
    """A process that was killed without a word leaves nothing else."""
    run = make_run(loss=[2.0, 1.75, 1.5, 1.25, 1.0], settings=settings)

    assert headline_of(run, "healthy", [], []) == f"Nothing is wrong: the loss went from 2 to 1 {words}."


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (make_run(loss=[2.0, 1.0]), "Nothing is wrong in the 2 entries read: the loss went from 2 to 1."),
        (make_run(loss=[2.0]), "Nothing is wrong in the one entry read: the loss is 2 at first and 2 at the end."),
        (
            make_run(loss=[2.0, 1.9, 1.8, 1.7, 1.6, 1.5], steps={"loss": [500, 510, 520, 530, 540, 550]}),
            "Nothing is wrong in the 6 entries read: the loss went from 2 to 1.5.",
        ),
        (
            make_run(loss=[2.0, 2.1, 2.0, 2.1, 2.0, 2.1]),
            "Nothing is wrong: the loss is 2 at first and 2.1 at the end over 6 steps.",
        ),
        (
            make_run(loss=[0.0] * 6, reward=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]),
            f"Nothing is wrong: the reward went from 0.1 to 0.6; {CENTRED}",
        ),
    ],
    ids=["few", "one", "excerpt", "no fall", "rewards"],
)
def test_healthy_says_what_was_read(run: Run, said: str) -> None:
    """A few entries, an excerpt and a loss that does not fall are told as what they are."""
    assert headline_of(run, "healthy", [], []) == said


def cause(verdict_points: int, **options: Any) -> Hypothesis:
    evidence = (Evidence(verdict_points, "a sign"),)
    return Hypothesis("race", "R1", "A race", ("lr-constant",), ("race", "lr-constant"), evidence, **options)


def test_a_possible_cause_of_a_notice_is_told_instead() -> None:
    notice = Finding("lr-constant", "notice", "the rate stands", Source("log"), 3, (2, 3))
    run = make_run(loss=[2.0, 1.5, 1.0])

    assert headline_of(run, "healthy", [notice], [cause(2)]) == (
        "No fault was found; one thing to look at: the rate stands (race)."
    )
    assert headline_of(run, "healthy", [notice], [cause(1)]).startswith("Nothing is wrong")
    assert headline_of(run, "healthy", [notice], [cause(2, would_decide=("x",))]).startswith("Nothing is wrong")


def test_a_cause_whose_condition_is_open_is_no_statement() -> None:
    error = Finding("lr-constant", "error", "the rate stands", Source("log"), 3, (2, 3))
    said = headline_of(make_run(loss=[2.0]), "broken", [error], [cause(9, would_decide=("fp16 was in use",))])

    assert said == "The rate stands. The cause is not known; race would fit if fp16 was in use."


def test_the_cause_in_the_headline_explains_its_symptom() -> None:
    error = Finding("loss-nan", "error", "the loss is NaN", Source("log"), 3, (2, 3))

    assert headline_of(make_run(loss=[2.0]), "broken", [error], [cause(10)]) == "The loss is NaN. The cause is unknown."


@pytest.mark.parametrize(
    ("run", "verdict"),
    [
        (make_run(loss=[2.0] * 5), "unknown"),
        (make_run(loss=[2.0, 1.8, 1.6, 1.5, 1.4]), "healthy"),
        (make_run(loss=[2.0, 1.9]), "healthy"),
        (make_run(loss=[2.0, 1.99]), "unknown"),
        (make_run(loss=[2.0]), "unknown"),
        (make_run(grad_norm=[2.0] * 5), "healthy"),
        (make_run(grad_norm=[2.0] * 4), "unknown"),
        (make_run(eval_accuracy=[0.5, 0.6]), "healthy"),
        (make_run(eval_accuracy=[0.6, 0.5]), "unknown"),
        (make_run(eval_loss=[0.6, float("nan")]), "unknown"),
        (make_run(reward=[0.1, 0.4], pg_loss=[0.0, 0.0]), "healthy"),
        (make_run(pg_loss=[0.5]), "unknown"),
        (make_run(loss_scale=[65536.0] * 9), "unknown"),
        (make_run(loss=[2.0], checkpoints=[make_checkpoint(3)]), "healthy"),
        (make_run(learning_rate=[1e-4]), "unknown"),
        (make_run(perplexity=[40.0, 8.0, 3.0, 2.5, 2.2, 2.1]), "healthy"),
        (make_run(train_nll=[3.0, 2.0]), "healthy"),
        (make_run(epoch=[1.0], glossy=[1.0]), "unknown"),
        (make_run(), "unknown"),
    ],
)
def test_a_run_of_which_too_little_is_known_is_not_called_healthy(run: Run, verdict: str) -> None:
    assert verdict_of(run, []) == verdict


def test_a_loss_that_never_moved_is_healthy_only_where_something_tells_that_it_need_not() -> None:
    """MONAI prints a Dice loss of 1 for three epochs; a model that was trained before may rest, with its noise."""
    plateau = [Finding("loss-plateau", "notice", "the loss does not learn", Source("log"), 1, (None, 1))]
    flat = [1.09, *([1.0] * 20), 0.98]

    assert verdict_of(make_run(loss=flat), plateau) == "unknown"
    assert headline_of(make_run(loss=flat), "unknown", plateau, []) == (
        "Nothing was found wrong, but the loss never moved, and nothing else that was logged got better."
    )
    assert verdict_of(make_run(loss=flat, eval_accuracy=[0.2, 0.7]), plateau) == "healthy"
    known = ("peft",)
    restless = [1.09, *([1.02, 0.98] * 10), 0.98]
    assert verdict_of(replace(make_run(loss=flat), frameworks=known), plateau) == "unknown"
    assert verdict_of(replace(make_run(loss=restless), frameworks=known), plateau) == "healthy"


def test_what_was_and_was_not_judged_is_told_with_its_reason() -> None:
    seen = checked(make_run(loss=[2.0] * 5, grad_norm=[1.0], checkpoints=[replace(make_checkpoint(3), table=None)]))

    assert seen.judged == ("loss", "gradient norm")
    assert seen.not_judged == (
        ("shape of the gradient norm", "1 entry, fewer than 5"),
        ("evaluation", "none was logged"),
        ("learning rate", "none was logged"),
        ("weights", "no checkpoint was examined"),
        ("optimizer state", "no checkpoint was examined"),
        ("messages of the log", "no log tells an event"),
    )
