"""Sentences that several detectors build."""

from collections.abc import Iterable, Sequence

from forensics.model import Series, StepRange


def number(value: float) -> str:
    """Return a value with four significant digits, as the console shows it."""
    return f"{value:.4g}"


def the_loss(series: Series) -> str:
    """Return what the loss is called: with the name that a term of it has in the source."""
    return f"the loss ({series.logged_as})" if series.logged_as else "the loss"


def counted(count: int, one: str, many: str | None = None) -> str:
    """Return a count with its noun.

    >>> counted(1, "entry", "entries"), counted(1200, "entry", "entries")
    ('1 entry', '1,200 entries')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def listed(names: Sequence[str], most: int = 3) -> str:
    """Return the first names and how many more there are."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest:,} more" if rest > 0 else "")


def joined(parts: Iterable[str]) -> str:
    return "; ".join(part for part in parts if part)


def began(bracket: StepRange, step: int | None = None) -> str:
    """Return the bracket in words, empty when `step`, the entry's own, says it all."""
    fine, bad = bracket
    if bad is None or fine is None or (bad == step and bad - fine <= 1):
        return ""
    return f"it began at step {bad}" if bad - fine <= 1 else f"it began after step {fine}, at step {bad} at the latest"
