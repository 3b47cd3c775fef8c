"""What a triage has done so far, in a file of JSON lines outside of the runs."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field, replace
from pathlib import Path
from typing import Any, TextIO

import forensics
from forensics.deferred.records import dataclass
from forensics.errors import UnreadableError, UsageError
from forensics.fleet.row import Row, row_from, row_to
from forensics.redaction import Redactor
from forensics.storage.locations import Place

FORMAT = 3


@dataclass(slots=True)
class StateFile:
    """Rows that outlast an interruption; one is used again while its files and our version are the same.

    The first line names the format and the version. A line cut short by an interruption is passed over. Secrets are
    masked in it; `rows` go by a digest of their path, which may hold one.
    """

    path: Path
    rows: dict[str, Row]
    file: TextIO | None = field(default=None, repr=False)

    def row(self, path: str, signature: str) -> Row | None:
        """Return the row of a run whose files are as they were."""
        known = self.rows.get(_key(path))
        return replace(known, path=path) if known is not None and signature and known.signature == signature else None

    def knows(self, path: str) -> bool:
        """Tell whether the file holds a row of the run, fresh or not."""
        return _key(path) in self.rows

    def add(self, row: Row) -> None:
        """Write a row down at once; one without a signature may come out differently and is not kept."""
        if self.file is not None and row.signature:
            self.write(_key(row.path), row)

    def write(self, key: str, row: Row) -> None:
        """Write one line."""
        mask = Redactor(identities=False)
        data = {name: mask(value) if isinstance(value, str) else value for name, value in row_to(row).items()}
        if self.file is not None:
            self.file.write(json.dumps({"key": key, **data, "signature": row.signature}) + "\n")
            self.file.flush()


def _key(path: str) -> str:
    return hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()[:32]


@contextmanager
def state_file(path: Path | None, root: Place) -> Iterator[StateFile | None]:
    """Open the file for a triage of `root`; None when there is no path.

    Raises `UsageError` when the file lies under the root or is no such file, `UnreadableError` when it cannot be
    written.
    """
    if path is None:
        yield None
        return
    if isinstance(root, Path) and root.is_dir() and path.resolve().is_relative_to(root.resolve()):
        raise UsageError(f"{path} lies under {root}; nothing is ever written among the runs")
    rows = _rows(path)
    try:
        with path.open("w", encoding="utf-8") as file:
            file.write(json.dumps(_head()) + "\n")
            state = StateFile(path, rows, file)
            for key, row in rows.items():
                state.write(key, row)
            yield state
    except OSError as error:
        raise UnreadableError(f"{path} cannot be written: {error.strerror}") from error


def _head() -> dict[str, Any]:
    return {"medforensics triage": FORMAT, "version": forensics.__version__}


def _rows(path: Path) -> dict[str, Row]:
    """Return what the file holds; nothing when another version wrote it."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as the state of a triage: {error}") from error
    head = _parsed(lines[0]) if lines else _head()
    if "medforensics triage" not in head:
        raise UsageError(f"{path} is not the state of a triage; it is not overwritten")
    if head != _head():
        return {}
    rows = {}
    for line in lines[1:]:
        try:
            told = _parsed(line)
            rows[str(told["key"])] = row_from(told)
        except (TypeError, KeyError):
            continue
    return rows


def _parsed(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
