"""The nouns of a comparison."""

from typing import Literal, TypeAlias

from forensics.deferred.records import dataclass
from forensics.model import Axis, Group, Hypothesis, Report, Scalar, Source

Relevance: TypeAlias = Literal["decides", "counts", "concerned", "other"]
RELEVANCES: tuple[Relevance, ...] = ("decides", "counts", "concerned", "other")
DifferenceGroup: TypeAlias = Group | Literal["event"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that the runs do not share. A side that recorded nothing has the value and the source None.

    `relevance` says what the rules make of it, for the symptom seen in BAD: it *decides* when the cause no longer
    holds with GOOD's value, *counts* when the cause loses `points` by it, is *concerned* when a rule looks at it
    or a fix would change it, and is *other* when no rule knows of it. `code` names the rule.
    """

    group: DifferenceGroup
    name: str
    good: Scalar
    bad: Scalar
    good_source: Source | None
    bad_source: Source | None
    relevance: Relevance = "other"
    points: int = 0
    why: str = ""
    code: str = ""

    @property
    def recorded_twice(self) -> bool:
        return self.good_source is not None and self.bad_source is not None


@dataclass(frozen=True, slots=True)
class Divergence:
    """One metric over the steps that both runs logged (`aligned` of them).

    `differs_from` is the first step at which the values differ by more than they were rounded; `parts_from` the
    step from which they stay further apart than GOOD's own noise. Values are those at `parts_from`, or else at the
    last aligned step. Where no steps are known, all of them are places on `axis`. `factor` is the usual ratio of BAD
    to GOOD where one lasts to the end, None elsewhere.
    """

    metric: str
    aligned: int
    differs_from: int | None
    parts_from: int | None
    step: int
    good: float
    bad: float
    axis: Axis = "step"
    factor: float | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two runs, judged, with what is said of it."""

    name: str
    report: Report


@dataclass(frozen=True, slots=True)
class WeightsCompared:
    """A checkpoint of each run after the same step: how many tensors differ, how many of BAD's hold NaN or Inf.

    `largest` names the tensor with the largest relative change, None when all are equal.
    """

    step: int
    good: str
    bad: str
    tensors: int
    differ: int
    poisoned: int
    largest: str | None
    relative_change: float


@dataclass(frozen=True, slots=True)
class RecordsCompared:
    """What two records say of one another.

    `step` and `other_step` are the steps of the first difference, or of the first pair of batches that differ; `tensor`
    and `column` where it lies, None where nothing differs or the data do. `aligned` counts the pairs of steps.
    `comparable` is false where the two saw other data.
    """

    sentence: str
    aligned: int
    comparable: bool
    tolerance: float
    step: int | None = None
    other_step: int | None = None
    tensor: str | None = None
    column: str | None = None
    good: float | None = None
    bad: float | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """GOOD beside BAD: the differences by relevance and weight, and where the metrics part."""

    good: Side
    bad: Side
    headline: str
    symptom: str | None
    cause: Hypothesis | None
    differences: tuple[Difference, ...]
    divergences: tuple[Divergence, ...]
    weights: WeightsCompared | None = None
    records: RecordsCompared | None = None
