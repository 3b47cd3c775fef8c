"""A section that fails costs itself: the report has one line about it, and everything else."""

from collections.abc import Callable, Iterator
from typing import Concatenate, ParamSpec, TypeVar

from forensics.model import Report

Given = ParamSpec("Given")
Part = TypeVar("Part")
Other = TypeVar("Other")
Made = TypeVar("Made")


def failed(section: str, error: Exception) -> str:
    """Return the line about a section that failed."""
    return f"the section {section} failed: {type(error).__name__}: {error}"


def contained(
    section: Callable[Concatenate[Report, Given], Iterator[Part]],
    instead: Callable[[str], Other],
    report: Report,
    *args: Given.args,
    **kwargs: Given.kwargs,
) -> Iterator[Part | Other]:
    """Yield the parts of a section; where it fails, those before and one that says so."""
    try:
        yield from section(report, *args, **kwargs)
    except Exception as error:  # noqa: BLE001  (one bad section must not cost the report)
        yield instead(failed(section.__name__.strip("_"), error))


def filled(made: Callable[[], Made], empty: Made, section: str, failures: list[str]) -> Made:
    """Return what a section makes; where it fails, `empty`, and a line about it among the failures."""
    try:
        return made()
    except Exception as error:  # noqa: BLE001  (the same)
        failures.append(failed(section, error))
        return empty
