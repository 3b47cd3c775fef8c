"""Several trainings in one text: where they are told apart, and where a counter that begins anew is one training."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from forensics.assemble.trainings import told_apart
from forensics.investigate import investigate, read
from forensics.model import Events, Fact, Report, Samples, Setting, Source, Standing
from forensics.names import Kind
from forensics.report._first import rows

LEARNS = tuple(round(2.3 * math.exp(-n / 3) + 0.1 + 0.01 * (n % 2), 4) for n in range(8))
NAN = (*LEARNS[:3], *[math.nan] * 5)
RESTS = (2.31, 2.29, 2.305, 2.298, 2.302, 2.307, 2.296, 2.301)


def block(  # noqa: PLR0913  (each part of a block may be given)
    values: Sequence[float],
    steps: Sequence[int] | None = None,
    *,
    name: str = "loss",
    epochs: Sequence[int] | None = None,
    records: Sequence[int] | None = None,
    path: str = "train.log",
) -> Samples:
    told = np.full(len(values), -1, dtype=np.int64) if steps is None else np.array(steps, dtype=np.int64)
    at = np.arange(1, len(values) + 1) * 10 if records is None else np.array(records)
    counted = None if epochs is None else np.array(epochs, dtype=np.float64)
    return Samples(name, told, np.array(values, dtype=np.float64), at.astype(np.int64), path, "line {}", epochs=counted)


def event(kind: str, record: int) -> Events:
    return Events(
        kind, np.array([-1]), np.array([math.nan]), np.array([record], dtype=np.int64), "train.log", "line {}"
    )


def parts(*facts: Fact) -> list[list[float]]:
    return [
        [value for fact in training if isinstance(fact, Samples) for value in fact.values.tolist()]
        for training in told_apart(facts).trainings
    ]


COUNT = [*range(1, 9)]


@pytest.mark.parametrize("counted", ["steps", "epochs"])
def test_a_counter_and_a_loss_that_begin_anew(counted: str) -> None:
    whole = block(LEARNS * 3, COUNT * 3) if counted == "steps" else block(LEARNS * 3, epochs=COUNT * 3)

    assert parts(whole) == [list(LEARNS)] * 3


def test_a_training_that_is_lost_ends_where_the_next_one_begins() -> None:
    found = parts(block((*NAN, *LEARNS, *RESTS), COUNT * 3))

    assert [len(each) for each in found] == [8, 8, 8]
    assert math.isnan(found[0][-1])
    assert found[2] == list(RESTS)


@pytest.mark.parametrize(
    "values",
    [[2.3, 2.0, 1.8, 1.79, 1.5, 1.4, 1.42, 1.2, 1.1], [2.28, 2.22, 2.16, 2.08, 2.0, 1.89, 1.78, 1.66, 1.54]],
    ids=["slower in each", "steadily"],
)
def test_a_loss_that_goes_on_is_one_training(values: list[float]) -> None:
    """Local epochs of a round: the places go on as the loss does."""
    told = told_apart([block(values, [1, 2, 3] * 3)])
    (fact,) = told.facts

    assert told.trainings == ()
    assert isinstance(fact, Samples)
    assert fact.steps.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_late_epochs_of_one_model_are_one_training() -> None:
    """Batches are counted within epochs that nothing tells, and noise is all that a piece gains."""
    values = [0.52, 0.50, 0.47, 0.51, 0.5, 0.49, 0.53, 0.48, 0.5, 0.51, 0.47, 0.5]
    told = told_apart([block(values, [10, 20, 30, 40] * 3)])
    (fact,) = told.facts

    assert told.trainings == ()
    assert isinstance(fact, Samples)
    assert fact.steps.tolist() == [*range(10, 130, 10)]


@pytest.mark.parametrize("first", [RESTS, (8.2, 3.8, 2.8, 2.5, 2.6, 2.5, 2.5, 2.4)], ids=["rests", "is thrown"])
def test_a_training_that_learned_nothing_before_two_that_do(first: tuple[float, ...]) -> None:
    assert len(parts(block((*first, *LEARNS, *LEARNS), COUNT * 3))) == 3


def test_another_loss_that_gains_little() -> None:
    assert len(parts(block((*RESTS, *[5e4 + 100 * value for value in RESTS]), COUNT * 2))) == 2


def test_two_of_which_only_the_last_gains() -> None:
    assert len(parts(block((*RESTS, *LEARNS), COUNT * 2))) == 2


def test_epochs_of_a_loss_that_goes_on() -> None:
    (fact,) = told_apart([block([2.3, 2.0, 1.8, 1.79, 1.5, 1.4], epochs=[0, 1, 2] * 2)]).facts

    assert isinstance(fact, Samples)
    assert fact.epochs is not None
    assert fact.epochs.tolist() == [0, 1, 2, 3, 4, 5]


def test_a_counter_from_0_goes_on_one_distance_behind_its_last_entry() -> None:
    """No entry is lost where a step is told twice; one whose last entry is told early is at its end there."""
    for counts, steps in (
        ([0, 10, 20] * 2, [0, 10, 20, 30, 40, 50]),
        ([0, 10, 23] * 2, [0, 10, 23, 24, 34, 47]),
        ([10, 20, 30] * 2, [10, 20, 30, 40, 50, 60]),
    ):
        (fact,) = told_apart([block([2.3, 2.0, 1.8, 1.79, 1.5, 1.4], counts)]).facts
        assert isinstance(fact, Samples)
        assert fact.steps.tolist() == steps


@pytest.mark.parametrize("kind", [Kind.RESUMED, Kind.TRACEBACK, Kind.KILLED, Kind.OUT_OF_MEMORY])
def test_an_attempt_that_died_is_no_training_of_its_own(kind: str) -> None:
    assert parts(block(LEARNS * 2, COUNT * 2), event(kind, 85)) == []


def test_a_counter_that_falls_into_the_middle() -> None:
    assert parts(block(LEARNS[:6] + LEARNS[3:], [*range(1, 7), *range(4, 9)])) == []


@pytest.mark.parametrize("values", [LEARNS[:2] * 5, LEARNS[:1] * 9])
def test_pieces_of_hardly_an_entry(values: tuple[float, ...]) -> None:
    assert parts(block(values, [*range(1, 3)] * 5 if len(values) == 10 else [1] * 9)) == []


def test_without_a_counter_that_falls_equal_pieces_are_trainings() -> None:
    """A reader lays `step 3/8` end to end where nothing tells an epoch."""
    found = parts(block((*LEARNS, *NAN, *LEARNS, *LEARNS), range(1, 33)))

    assert [len(each) for each in found] == [8, 8, 8, 8]


@pytest.mark.parametrize(
    "values",
    [
        (*LEARNS, *LEARNS[:7]),
        (*LEARNS, *[1.2 * value for value in LEARNS[4:]], *LEARNS[4:]),
        (*LEARNS, *LEARNS),
        LEARNS[:4] * 3,
    ],
    ids=["of other lengths", "not as high", "once", "of four entries"],
)
def test_other_leaps_are_no_trainings(values: tuple[float, ...]) -> None:
    assert parts(block(values, range(1, len(values) + 1))) == []


def test_what_stands_between_two_trainings() -> None:
    """An evaluation before the first step is of the later one, the end of training of the one before."""
    loss = block(LEARNS * 2, COUNT * 2)
    evaluation = block((2.4, 0.4, 2.4, 0.4), [0, 8, 0, 8], name="eval_loss", records=[5, 81, 85, 165])
    facts: list[Fact] = [loss, evaluation, event(Kind.TRAINING_FINISHED, 83), event(Kind.TRAINING_STARTED, 84)]
    first, second = told_apart(facts).trainings

    assert [fact.values.tolist() for fact in first[:2] if isinstance(fact, Samples)] == [list(LEARNS), [2.4, 0.4]]
    assert [fact.values.tolist() for fact in second[:2] if isinstance(fact, Samples)] == [list(LEARNS), [2.4, 0.4]]
    assert [fact.kind for fact in first if isinstance(fact, Events)] == [Kind.TRAINING_FINISHED]
    assert [fact.kind for fact in second if isinstance(fact, Events)] == [Kind.TRAINING_STARTED]


def test_a_setting_is_of_the_training_below_it() -> None:
    rates = [
        Setting("setting", "learning_rate", rate, Source("train.log", f"line {at}", at), Standing.RECORDED)
        for rate, at in ((0.1, 5), (0.2, 85))
    ]
    config = Setting("setting", "batch", 4, Source("config.json", "batch", 0), Standing.CONFIGURED)
    first, second = told_apart([block(LEARNS * 2, COUNT * 2), *rates, config]).trainings

    assert [fact.value for fact in first if isinstance(fact, Setting)] == [0.1, 4]
    assert [fact.value for fact in second if isinstance(fact, Setting)] == [0.1, 0.2, 4]


def test_texts_that_do_not_tell_the_same_are_left_whole() -> None:
    one, other = block(LEARNS * 2, COUNT * 2), block(LEARNS, COUNT, path="other.log")

    assert parts(one, other) == []
    assert len(parts(one, block(LEARNS * 2, COUNT * 2, path="other.log"))) == 2


def log_of(folder: Path, *trainings: Sequence[float]) -> Path:
    lines = []
    for number, values in enumerate(trainings, 1):
        lines.append(f"===== Fold {number} =====")
        lines += [f"Epoch {n}/{len(values)}: loss {value:.4f}" for n, value in enumerate(values, 1)]
    (folder / "train.log").write_text("\n".join(lines))
    return folder


def judged(folder: Path, *trainings: Sequence[float]) -> Report:
    return investigate(log_of(folder, *trainings))


def test_the_report_is_that_of_the_worst(tmp_path: Path) -> None:
    report = judged(tmp_path, LEARNS, NAN, LEARNS, LEARNS)

    assert (report.verdict, report.training) == ("broken", 2)
    assert report.headline.startswith("Training 2 of 4: The loss is NaN")
    assert [each.verdict for each in report.trainings] == ["healthy", "broken", "healthy", "healthy"]
    assert (report.findings[0].symptom, report.findings[0].axis, report.findings[0].step) == ("loss-nan", "epoch", 4)
    assert str(report.findings[0].source) == "train.log:line 14"
    told = {row.word: row.said for row in rows(report)}
    assert told["training"] == "2 of 4 in one log, from train.log:line 11 on; healthy: 1, 3, 4"


def test_healthy_trainings(tmp_path: Path) -> None:
    report = judged(tmp_path, LEARNS, LEARNS, LEARNS[:1])

    assert (report.verdict, report.training) == ("healthy", 2)
    assert report.headline.startswith("Training 2 of 3: Nothing is wrong")


def test_a_reader_of_the_run_finds_every_training(tmp_path: Path) -> None:
    run = read(log_of(tmp_path, LEARNS, NAN))

    assert [len(each.timeline["loss"]) for each in run.trainings] == [8, 8]
    assert len(run.frame()) == 16


def test_rows_of_a_table(tmp_path: Path) -> None:
    table = [json.dumps({"epoch": n, "loss": value}) for values in (LEARNS, NAN) for n, value in enumerate(values, 1)]
    (tmp_path / "metrics.jsonl").write_text("\n".join(table).replace("NaN", '"NaN"'))
    report = investigate(tmp_path)

    assert (report.verdict, report.training) == ("broken", 2)


THROWN = (8.2, 3.8, 2.8, 2.5, 2.6, 2.5, 2.5, 2.4)


def test_a_training_that_ends_where_the_others_began(tmp_path: Path) -> None:
    """By itself it is a curve that falls; beside others of the same log it came nowhere."""
    report = judged(tmp_path, LEARNS, LEARNS, THROWN)

    assert (report.verdict, report.training) == ("suspicious", 3)
    assert report.findings[0].symptom == "loss-plateau"
    assert report.findings[0].statement == (
        "nothing is learned: loss ends at 2.5, where 2 other trainings of the same log come from 2.4 to 0.4113 and less"
    )


@pytest.mark.parametrize(
    "trainings",
    [
        (LEARNS, THROWN),
        (LEARNS, tuple(10 * value for value in LEARNS), THROWN),
        (LEARNS, LEARNS, tuple(0.8 * value for value in THROWN)),
        (LEARNS, LEARNS, tuple(-value for value in LEARNS)),
    ],
    ids=["one other", "of other scales", "not so high", "of another sign"],
)
def test_what_others_do_not_tell(tmp_path: Path, trainings: tuple[tuple[float, ...], ...]) -> None:
    assert judged(tmp_path, *trainings).verdict == "healthy"


@pytest.mark.parametrize(
    ("accuracies", "verdict"),
    [([0.1, 0.09, 0.11, 0.1, 0.1], "suspicious"), ([0.1, 0.12, 0.2, 0.24, 0.29], "healthy")],
    ids=["at that of guessing", "of a harder task"],
)
def test_an_accuracy_below_where_that_of_another_training_began(
    tmp_path: Path, accuracies: list[float], verdict: str
) -> None:
    """Its loss is that of another task, of which nothing can be said."""
    lines = []
    for losses, told in (((2.3, 1.5, 1.0, 0.6, 0.5), [0.3, 0.5, 0.7, 0.8, 0.9]), ((90, 30, 21, 19, 20.1), accuracies)):
        lines += [f"epoch {n}: loss {v:.3f} acc {a:.3f}" for n, (v, a) in enumerate(zip(losses, told, strict=True), 1)]
    (tmp_path / "train.log").write_text("\n".join(lines))
    report = investigate(tmp_path)

    assert (report.verdict, len(report.trainings)) == (verdict, 2)


def test_one_entry_before_a_counter_falls_is_no_training() -> None:
    """A line that lost its end (`timeout 600step 5/5000 loss 4.4`) counts what nobody counted."""
    values = (4.4, *LEARNS, *LEARNS)

    assert parts(block(values, [600, *range(5, 5 * len(values), 5)])) == []
