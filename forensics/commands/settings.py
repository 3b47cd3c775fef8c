"""`medforensics.toml`, or `[tool.medforensics]` in a pyproject.toml: what to leave out and when to fail.

Looked for in the current directory and its parents up to the first repository, never in the run that is read: what
lies there is evidence, not configuration.
"""

from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from forensics import catalog
from forensics.deferred.records import dataclass
from forensics.diagnosis.selection import Selection
from forensics.errors import ForensicsError, UsageError
from forensics.formats.toml_ini import parse_toml
from forensics.limits import DEFAULT
from forensics.storage.file import File
from forensics.storage.locations import Place

FAIL_ON = ("error", "warning", "notice", "never")
KEYS = ("select", "ignore", "fail-on")


@dataclass(frozen=True, slots=True)
class Settings:
    """What a configuration file says; empty where it says nothing."""

    selection: Selection = field(default_factory=Selection)
    fail_on: str | None = None


def load(run_dir: Place, start: Path | None, explicit: Path | None = None) -> Settings:
    """Return the settings of `explicit`, else of the first file found from `start` upwards.

    Raises `UsageError` when the file is no valid TOML or says something that is not known.
    """
    if explicit is not None:
        return _read(explicit)
    for path in () if start is None else _candidates(start):  # none: the current folder was deleted
        if not isinstance(run_dir, Path) or not _inside(path, run_dir):
            found = _table(path)
            if found is not None:
                return _settings(found, path)
    return Settings()


def _candidates(start: Path) -> Iterator[Path]:
    for folder in (start, *start.parents):
        yield folder / "medforensics.toml"
        yield folder / "pyproject.toml"
        if (folder / ".git").exists():
            return


def _inside(path: Path, run_dir: Path) -> bool:
    try:
        return path.resolve().is_relative_to(run_dir.resolve())
    except (OSError, RuntimeError):
        return True


def _read(path: Path) -> Settings:
    found = _table(path)
    if found is None:
        raise UsageError(f"{path} holds no settings of medforensics")
    return _settings(found, path)


def _table(path: Path) -> Mapping[str, Any] | None:
    """Return the settings that a file holds; None when there is no file or it is not about us."""
    if not path.is_file():
        return None
    try:
        with File(path) as file:
            text = file.head(DEFAULT.small_file_bytes).decode("utf-8")
        tree = parse_toml(text)
    except (ForensicsError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    if path.name == "pyproject.toml":
        found = tree.get("tool", {}).get("medforensics")
        return found if isinstance(found, dict) else None
    return tree


def _settings(table: Mapping[str, Any], path: Path) -> Settings:
    unknown = [key for key in table if key not in KEYS]
    if unknown:
        raise UsageError(f"{path}: {unknown[0]!r} is not known; it takes {', '.join(KEYS)}")
    fail_on = table.get("fail-on")
    if fail_on is not None and fail_on not in FAIL_ON:
        raise UsageError(f"{path}: fail-on takes {', '.join(FAIL_ON)}, not {fail_on!r}")
    selection = Selection(_names(table, "select", path), _names(table, "ignore", path))
    try:
        catalog.require_known((*selection.select, *selection.ignore))
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    return Settings(selection, fail_on)


def _names(table: Mapping[str, Any], key: str, path: Path) -> tuple[str, ...]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise UsageError(f"{path}: {key} takes a list of rule codes, causes or symptoms")
    return tuple(value)
