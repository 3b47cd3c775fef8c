"""What a log alone cannot decide is said, with the files that would decide it."""

from forensics import catalog
from forensics.diagnosis.headline import headline_of
from forensics.diagnosis.reason import Reasoned, rank, reason
from forensics.model import Evidence, Finding, Hypothesis, Run, Source
from forensics.testing import make_run

NAN = float("nan")
BARE = make_run(loss=[2.0] * 6 + [NAN] * 6)
FINDING = Finding("loss-nan", "error", "the loss is NaN from step 7 on", Source("log"), 7, (6, 7))


def judged(run: Run) -> Reasoned:
    return reason(run, [FINDING], catalog.rules())


def hypothesis(cause: str, *, points: int = 2, cases: int = 0, explains: tuple[str, ...] = ("loss-nan",)) -> Hypothesis:
    evidence = (Evidence(points, cause),)
    return Hypothesis(cause, cause.upper(), cause, explains, (cause, "loss-nan"), evidence, cases=cases)


def test_bare_nan_names_the_open_causes_by_how_often_they_were_reported() -> None:
    first, decides = (e.statement for e in judged(BARE).causes[0].evidence[:2])

    assert first.startswith("what was read cannot tell ")
    assert first.index("ds-zero12-comm-corruption (23 public cases)") < first.index("fp16-bf16-pretrained-model (12")
    assert decides.startswith("what would decide, most telling first: ")
    assert "grad_norm in the log" in decides
    assert "pip freeze" in decides


def test_no_file_or_experiment_of_a_package_without_a_trace_is_asked_for() -> None:
    """A bare log: DeepSpeed is an open cause, and nothing says that the run had it. With a trace its advice comes."""
    bare = next(h for h in judged(BARE).causes if h.cause == "unknown")
    used = make_run(loss=[2.0] * 6 + [NAN] * 6, packages={"deepspeed": "0.12.5"})
    traced = next(h for h in judged(used).causes if h.cause in {"unknown", "ds-zero12-comm-corruption"})

    told = " ".join([*(e.action for e in bare.experiments), *bare.missing, bare.evidence[1].statement]).lower()
    assert "deepspeed" not in told
    assert "zero_optimization" not in told
    assert any("deepspeed" in e.action.lower() for e in traced.experiments)


def test_what_is_excluded_is_not_called_open() -> None:
    """A run in bf16 without DeepSpeed leaves out the causes of fp16 and of DeepSpeed."""
    run = make_run(loss=[2.0] * 6 + [NAN] * 6, settings={"bf16": True, "deepspeed": None})
    unknown = next(h for h in judged(run).causes if h.cause == "unknown")

    assert "fp16-overflow" not in unknown.evidence[0].statement
    assert "ds-zero12" not in unknown.evidence[0].statement


def test_points_then_reach_then_reports_then_code_order_the_causes() -> None:
    many = hypothesis("d", explains=("loss-nan", "weights-nan"))
    given = [hypothesis("a"), hypothesis("b", cases=9), hypothesis("c", points=3), many]

    assert [h.cause for h in sorted(given, key=rank)] == ["c", "d", "b", "a"]


def test_a_tie_at_the_top_is_said_in_the_headline() -> None:
    tied = [hypothesis(cause, points=1 + (cause == "a")) for cause in "abcd"]
    said = headline_of(BARE, "broken", [FINDING], tied)
    alone = headline_of(BARE, "broken", [FINDING], [hypothesis("a", points=3), hypothesis("b", points=1)])

    assert said.endswith("4 causes fit equally well: a, b, c, d.")
    assert "Possible cause: A." in alone
