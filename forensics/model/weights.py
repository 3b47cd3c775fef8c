"""Checkpoints as evidence: what each holds, and what a scan saw in every tensor."""

from collections.abc import Iterator, Sequence
from dataclasses import field, fields
from itertools import compress
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.records import dataclass
from forensics.model.columns import Coded, Names, Shapes
from forensics.model.counts import Counts
from forensics.model.facts import Floats, Integers, Source
from forensics.model.tensors import Role, TensorRecord, Tensors

Status: TypeAlias = Literal["clean", "poisoned", "damaged", "incomplete", "unsafe", "not examined"]
Depth: TypeAlias = Literal["full", "quick", "off"]


@dataclass(frozen=True, slots=True)
class TensorTable:
    """One row a tensor of one checkpoint; arrays have shape (n,).

    `elements` (int64) are those looked at, or those that the file declares where none could be read. The other
    counts are of these elements; a row that could not be read has none. `minimum`, `maximum`, `max_abs`, `mean` and
    `l2` are over finite elements (float64; NaN when there is none). `dead_rows` counts rows of the first dimension
    that are all zero (not counted when the tensor has fewer than two dimensions). `same` counts elements whose bits
    equal those of the checkpoint before, `change_l2` and `change_max` are the L2 norm and the largest absolute value
    of the difference over elements finite in both; `same` is not counted and the changes are NaN where there was
    nothing to compare.
    """

    names: Names
    roles: Coded
    dtypes: Coded
    shapes: Shapes
    trained: Coded
    elements: Integers
    nan: Counts
    positive_infinity: Counts
    negative_infinity: Counts
    zero: Counts
    subnormal: Counts
    minimum: Floats
    maximum: Floats
    max_abs: Floats
    mean: Floats
    l2: Floats
    dead_rows: Counts
    same: Counts
    change_l2: Floats
    change_max: Floats

    def __len__(self) -> int:
        return len(self.names)

    @property
    def unread(self) -> NDArray[np.bool_]:
        """Rows whose bytes could not be read, or not as they were when the scan began: nothing is known of them."""
        return ~self.nan.known

    @property
    def infinite(self) -> Counts:
        return self.positive_infinity + self.negative_infinity

    @property
    def compared(self) -> NDArray[np.bool_]:
        """Rows that were held against the same tensor of the checkpoint before."""
        return self.same.known

    @property
    def poisoned(self) -> NDArray[np.bool_]:
        """NaN anywhere, or an infinity outside a buffer: attention masks hold -inf on purpose."""
        buffer = self.trained.among({"buffer"}) | self.roles.among({"buffer"})
        return np.asarray((self.nan > 0) | ((self.infinite > 0) & ~buffer), dtype=bool)

    @property
    def is_weight(self) -> NDArray[np.bool_]:
        return self.roles.among({"weight", "buffer"})

    @property
    def all_zero(self) -> NDArray[np.bool_]:
        return np.asarray((self.elements > 0) & self.zero.equal(self.elements), dtype=bool)

    @property
    def unchanged(self) -> NDArray[np.bool_]:
        return np.asarray((self.elements > 0) & self.same.equal(self.elements), dtype=bool)

    @property
    def frozen(self) -> NDArray[np.bool_]:
        return self.trained.among({"frozen", "tied", "buffer"})

    def index(self, name: str, role: Role = "weight") -> int | None:
        of_role = self.roles.among({role})
        return next((row for row, held in enumerate(self.names) if held == name and of_role[row]), None)

    def taken(self, rows: Integers) -> "TensorTable":
        """Return a table of these rows, in the order given; a row may be named several times."""
        made: dict[str, Any] = {}
        for column in fields(self):
            values = getattr(self, column.name)
            made[column.name] = values[rows] if isinstance(values, np.ndarray) else values.taken(rows)
        return TensorTable(**made)

    def named(self, mask: NDArray[np.bool_]) -> Iterator[str]:
        return map(self.names.shown, compress(self.names.texts, mask))


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a checkpoint as files: what, where.

    `kind` is damaged, incomplete, suspicious, or unsafe: a pickle asks for code that a program which loads it runs.
    """

    kind: Literal["damaged", "incomplete", "suspicious", "unsafe"]
    statement: str
    source: Source


@dataclass(frozen=True, slots=True)
class OptimizerState:
    """What an optimizer, scheduler or scaler file says, read as data.

    `learning_rates` has one entry a parameter group; `step` is the optimizer's own counter. Absent facts are
    None or empty, never zero.
    """

    learning_rates: tuple[float, ...] = ()
    weight_decays: tuple[float, ...] = ()
    beta1: float | None = None
    beta2: float | None = None
    epsilon: float | None = None
    step: int | None = None
    scheduler_step: int | None = None
    loss_scale: float | None = None
    minimum_loss_scale: float | None = None
    skipped_steps: int | None = None
    global_steps: int | None = None
    kind: str = ""


@dataclass(frozen=True, slots=True)
class UpdateResolution:
    """How much of a 16-bit weight the optimizer's next step can move.

    Of `elements` looked at, `stuck` have an expected update below what rounding keeps. `expected_update` (Adam's
    step from its moments at `learning_rate`) and `smallest_moving` (half the distance to the next number of the
    dtype, a quarter at powers of two) are medians. `ones` tells whether every value is exactly 1.0, as norm
    weights begin.
    """

    name: str
    dtype: str
    elements: int
    stuck: int
    expected_update: float
    smallest_moving: float
    learning_rate: float
    ones: bool = False


@dataclass(frozen=True, slots=True)
class TokenRows:
    """Rows of an embedding that belong to tokens of the chat template.

    `name` is the embedding, `tokens` are texts, `norms` the L2 norms of their rows, `usual` is the median norm of
    the rows of other tokens.
    """

    name: str
    tokens: tuple[str, ...]
    norms: tuple[float, ...]
    usual: float


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One saved state of the run.

    `path` is relative to the run ("." for the run itself), `step` the optimizer step it was saved after (None
    when nothing tells), `kind` the layout (huggingface, deepspeed, dcp, ...). `records` is what the headers
    declare; `table` what a scan saw, None when the weights were not examined. `detection_limit` is the smallest
    share of bad elements that a quick look would have found with 95 % probability. `resolution` is known of the
    newest checkpoint when its weights are of 16 bits without fp32 masters. `lacks` names what a resume would miss.
    `token_rows` is known where a chat template lies beside an embedding.
    """

    path: str
    kind: str
    step: int | None = None
    records: Sequence[TensorRecord] = ()
    table: TensorTable | None = None
    problems: tuple[Problem, ...] = ()
    optimizer: OptimizerState | None = None
    world_size: int | None = None
    modified: float = 0.0
    depth: Depth = "off"
    detection_limit: float | None = None
    files: tuple[str, ...] = field(default=())
    resolution: tuple[UpdateResolution, ...] = ()
    lacks: tuple[str, ...] = ()
    token_rows: TokenRows | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "records", Tensors.of(self.records))

    @property
    def tensors(self) -> Tensors:
        """The records as the columns that they are held in."""
        assert isinstance(self.records, Tensors)
        return self.records

    @property
    def resumable(self) -> bool:
        """Tell whether a run can go on from it; the final model has neither a step nor an optimizer state."""
        return self.step is not None or self.optimizer is not None

    @property
    def status(self) -> Status:
        kinds = {problem.kind for problem in self.problems}
        if self.table is not None and bool(np.any(self.table.poisoned)):
            return "poisoned"
        for worst in ("damaged", "incomplete", "unsafe"):
            if worst in kinds:
                return worst
        # A tensor that nobody read may hold anything: what is left of the checkpoint is not called clean.
        return "clean" if self.table is not None and not self.table.unread.any() else "not examined"
