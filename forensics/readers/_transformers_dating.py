"""Which transformers release wrote a file, from the fields that it has. Always inferred, never recorded.

Bounds are the two releases whose sources were compared, so a field that appeared between 4.40.2 and 4.41.2 gives
`>4.40.2` when present and `<4.41.2` when absent (`TrainerState` in `transformers/trainer_callback.py`).
"""

from collections.abc import Iterator, Mapping, Sequence

from packaging.version import Version

from forensics.model import Artifact, Setting, Standing

# (field, last release without it, first release seen with it)
_STATE_FIELDS = (
    ("logging_steps", "4.30.2", "4.33.3"),
    ("train_batch_size", "4.33.3", "4.36.2"),
    ("stateful_callbacks", "4.40.2", "4.41.2"),
    ("best_global_step", "4.48.3", "4.51.3"),
)
_LOOKED_AT = 200
"""Rows of the log history that are looked at; the first ones tell."""


def date_state(
    artifact: Artifact, state: Mapping[str, object], rows: Sequence[object], *, whole: bool
) -> Iterator[Setting]:
    """Yield the range of releases that writes such a trainer state, as a version specifier.

    A missing field says something only in a `whole` file.
    """
    lower, upper, why = "", "", ""
    for name, before, since in _STATE_FIELDS:
        if name in state:
            lower, why = f">{before}", name
        elif whole and not upper:
            upper = f"<{since}"
    seen = [row for row in rows[:_LOOKED_AT] if isinstance(row, Mapping)]
    if not lower and any("grad_norm" in row for row in seen):
        lower, why = ">4.36.2", "grad_norm"  # logged since 4.38.0
    if lower and upper and Version(lower[1:]) >= Version(upper[1:]):
        upper = ""  # a field is missing for another reason than the age of the writer
    if _loss_in_full(seen):
        lower, upper, why = ">=5.0", "", "loss"  # `Trainer._maybe_log_save_evaluate` rounded to 4 places before
    if why:
        text = ",".join(part for part in (lower, upper) if part)
        yield Setting("setting", "inferred.transformers", text, artifact.at(why), Standing.INFERRED)


def _loss_in_full(rows: Sequence[Mapping[str, object]]) -> bool:
    losses = [value for row in rows if isinstance(value := row.get("loss"), float)]
    finite = [value for value in losses if abs(value) < 1e8]
    long = sum(round(value, 4) != value for value in finite)
    return long >= 2 and long * 2 > len(finite)
