"""Rows of an SQLite database, read without leaving a trace beside it.

The file is opened `immutable`: SQLite then takes no lock, makes no `-shm` and no journal. A database that was not
closed has its newest rows in a write-ahead log (`-wal`); then both are copied to a private folder, where SQLite
may apply the log (sqlite.org, "Write-Ahead Logging", section 4, and "URI filenames", `immutable`). What the
database says is data: no schema of it is trusted, and only its tables are asked, never its views.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.errors import LimitError, MalformedError
from forensics.limits import DEFAULT, Limits
from forensics.storage.file import File

if TYPE_CHECKING:
    import sqlite3

MAGIC = b"SQLite format 3\0"
STEPS_AT_A_TIME = 1_000_000
MAX_TURNS = 2_000
"""The virtual machine is stopped after so many times a million of its instructions: no query of ours needs it."""
LARGEST_ROW_BYTES = 16 << 20
"""SQLite itself would hand out a gigabyte; a row of a tracker is a number, a name or a configuration."""
Value = str | bytes | int | float | None


def is_sqlite(head: bytes) -> bool:
    return head.startswith(MAGIC)


class Database:
    """An open database: its tables by name with their columns, and rows of them."""

    __slots__ = ("_connection", "tables")

    def __init__(self, connection: "sqlite3.Connection") -> None:
        self._connection = connection
        self.tables = {name: self._columns(name) for name in self._names()}

    def rows(self, table: str, columns: Sequence[str], order: str, limit: int) -> Iterator[tuple[Value, ...]]:
        """Yield rows in the order of a column; a column that the table lacks is None.

        Raises `MalformedError` when the database is damaged, `LimitError` when there are more than `limit` rows.
        """
        import sqlite3

        if table not in self.tables:
            return
        held = self.tables[table]
        asked = ", ".join(_quoted(c) if c in held else "NULL" for c in columns)
        sort = f" ORDER BY {_quoted(order)}" if order in held else ""
        query = f"SELECT {asked} FROM {_quoted(table)}{sort} LIMIT {limit + 1}"  # noqa: S608  (quoted names)
        try:
            for number, row in enumerate(self._connection.execute(query)):
                if number == limit:
                    raise LimitError(f"table {table} has more than {limit:,} rows")
                yield row
        except (sqlite3.Error, UnicodeError) as error:
            raise MalformedError(f"table {table} cannot be read: {error}") from error

    def _names(self) -> list[str]:
        found = self._connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' LIMIT 1000")
        return [str(name) for (name,) in found]

    def _columns(self, table: str) -> tuple[str, ...]:
        found = self._connection.execute(f"PRAGMA table_info({_quoted(table)})")
        return tuple(str(row[1]) for row in found)


@contextmanager
def opened(path: Path, limits: Limits = DEFAULT) -> Iterator[Database]:
    """Open a database for reading.

    Raises `MalformedError` when SQLite cannot read it, `LimitError` when a copy of it would be too large.
    """
    with File(path) as file:
        if file.head(len(MAGIC)) != MAGIC:
            raise MalformedError(f"{path.name} is no SQLite 3 database")
    log = path.with_name(f"{path.name}-wal")
    if not log.is_file() or not log.stat().st_size:
        with _connected(f"{path.absolute().as_uri()}?mode=ro&immutable=1", path) as database:
            yield database
        return
    import tempfile

    with tempfile.TemporaryDirectory(prefix="medforensics-") as made:
        copy = Path(made) / "copy.db"
        _copied(path, copy, limits)
        _copied(log, copy.with_name("copy.db-wal"), limits)
        with _connected(copy.as_uri(), path) as database:
            yield database


def _copied(path: Path, target: Path, limits: Limits) -> None:
    with File(path) as file, target.open("wb") as out:
        if file.size > limits.json_bytes * 4:
            raise LimitError(f"{path.name} has {file.size:,} bytes; its write-ahead log was not applied")
        for block in file.blocks():
            out.write(block)


@contextmanager
def _connected(uri: str, path: Path) -> Iterator[Database]:
    import sqlite3

    try:
        connection = sqlite3.connect(uri, uri=True, isolation_level=None)
    except (sqlite3.Error, UnicodeError) as error:
        raise MalformedError(f"{path.name} cannot be opened: {error}") from error
    turns = iter(range(MAX_TURNS))
    # A false answer lets SQLite go on; a true one stops it.
    connection.set_progress_handler(lambda: int(next(turns, None) is None), STEPS_AT_A_TIME)
    if hasattr(connection, "setlimit"):  # Python 3.11
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST_ROW_BYTES)
    connection.text_factory = lambda data: data.decode("utf-8", "replace")
    try:
        for pragma in ("query_only = ON", "trusted_schema = OFF", "cell_size_check = ON", "mmap_size = 0"):
            connection.execute(f"PRAGMA {pragma}")
        try:
            database = Database(connection)
        except (sqlite3.Error, UnicodeError) as error:
            raise MalformedError(f"{path.name} is damaged: {error}") from error
        yield database
    finally:
        connection.close()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
