"""Checkpoints as evidence: what each holds, and what a scan saw in every tensor."""

import math
from collections.abc import Iterator
from dataclasses import field, fields
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.records import dataclass
from forensics.model.counts import Counts
from forensics.model.facts import Floats, Integers, Source

Role: TypeAlias = Literal["weight", "buffer", "master", "exp_avg", "exp_avg_sq", "optimizer"]
Status: TypeAlias = Literal["clean", "poisoned", "damaged", "incomplete", "unsafe", "not examined"]
Depth: TypeAlias = Literal["full", "quick", "off"]
Trained: TypeAlias = Literal["trainable", "frozen", "tied", "buffer", "unknown"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of bytes of one file (path relative to the run) that holds a part of a tensor, in order."""

    path: str
    offset: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class TensorRecord:
    """A tensor as its file declares it.

    `dtype` is the safetensors spelling (F32, BF16, F8_E4M3, ...). `strides` counts elements and is None for a
    C-contiguous tensor. `alias_of` names the tensor whose bytes this one shares. A tensor may lie in several
    pieces (a parameter that straddles two ZeRO ranks); pieces are in element order. `trained` says whether the
    run meant to move it, as far as optimizer and adapter files tell.
    """

    name: str
    role: Role
    dtype: str
    shape: tuple[int, ...]
    pieces: tuple[Piece, ...]
    strides: tuple[int, ...] | None = None
    alias_of: str | None = None
    trained: Trained = "unknown"

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return sum(piece.nbytes for piece in self.pieces)


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

    names: tuple[str, ...]
    roles: tuple[Role, ...]
    dtypes: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    trained: tuple[Trained, ...]
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
        buffer = np.array([t == "buffer" or r == "buffer" for t, r in zip(self.trained, self.roles, strict=True)])
        return np.asarray((self.nan > 0) | ((self.infinite > 0) & ~buffer.astype(bool)), dtype=bool)

    @property
    def is_weight(self) -> NDArray[np.bool_]:
        return np.array([role in {"weight", "buffer"} for role in self.roles], dtype=bool)

    @property
    def all_zero(self) -> NDArray[np.bool_]:
        return np.asarray((self.elements > 0) & self.zero.equal(self.elements), dtype=bool)

    @property
    def unchanged(self) -> NDArray[np.bool_]:
        return np.asarray((self.elements > 0) & self.same.equal(self.elements), dtype=bool)

    @property
    def frozen(self) -> NDArray[np.bool_]:
        return np.array([state in {"frozen", "tied", "buffer"} for state in self.trained], dtype=bool)

    def index(self, name: str, role: Role = "weight") -> int | None:
        for i, (candidate, kind) in enumerate(zip(self.names, self.roles, strict=True)):
            if candidate == name and kind == role:
                return i
        return None

    def taken(self, rows: Integers) -> "TensorTable":
        """Return a table of these rows, in the order given; a row may be named several times."""
        made: dict[str, Any] = {}
        for column in fields(self):
            values = getattr(self, column.name)
            if isinstance(values, Counts):
                made[column.name] = values.taken(rows)
            elif isinstance(values, np.ndarray):
                made[column.name] = values[rows]
            else:
                made[column.name] = tuple(values[row] for row in rows.tolist())
        return TensorTable(**made)

    def named(self, mask: NDArray[np.bool_]) -> Iterator[str]:
        return (self.names[int(i)] for i in np.flatnonzero(mask))


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
    records: tuple[TensorRecord, ...] = ()
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
