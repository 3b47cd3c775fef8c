"""An Aim repository, `.aim/`: which runs it holds. Their metrics lie in RocksDB, which is not read here.

`run_metadata.sqlite` names the runs; `meta/` and `seqs/` are RocksDB; a run that was killed has left its marker in
`meta/progress/<hash>` (aim, `aim/sdk/repo.py`, `aim/storage/structured/sql_engine/models.py`).
"""

from collections.abc import Iterator

from forensics.formats.sqlite_tables import opened
from forensics.model import Artifact, Fact, Setting, Skip, Source, Standing
from forensics.plugin import reader

MAX_RUNS = 10_000
UNREAD = "Aim keeps metrics in RocksDB, which medforensics does not read; export them with `aim runs` or `aim up`"


@reader("aim", match=(r"(^|/)\.aim/",), tested="aim 3.29.1")
def aim(artifact: Artifact) -> Iterator[Fact]:
    """Aim repositories: that there is one, and which run was under way when the process ended."""
    if artifact.path.endswith("run_metadata.sqlite"):
        yield from _runs(artifact)
    elif "/progress/" in artifact.path:
        yield Setting("setting", "aim.status", "in progress", Source(artifact.path), Standing.RECORDED)
    elif artifact.path.endswith("VERSION"):
        yield Skip(artifact.path, UNREAD)


def _runs(artifact: Artifact) -> Iterator[Skip]:
    with opened(artifact.local, artifact.limits) as database:
        names = [str(name or key) for key, name in database.rows("run", ("hash", "name"), "id", MAX_RUNS)]
    told = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    yield Skip(artifact.path, f"{UNREAD}; it holds {len(names)} runs" + (f": {told}" if told else ""))
