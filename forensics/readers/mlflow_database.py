"""MLflow's database, `mlflow.db`, the default backend since MLflow 3 (`mlflow/store/tracking/dbmodels/models.py`).

    runs      run_uuid 337b87c1..., status "FINISHED", start_time 1795467628618
    metrics   key "loss", value 2.5, timestamp 1795467628636, step 10, is_nan 0
    params    key "learning_rate", value "1e-05"

NaN is stored as 0 with `is_nan` 1, infinities as the largest double (`SqlAlchemyStore._get_metric_value`).
"""

from collections.abc import Iterator

from forensics.formats.flatten import scalar
from forensics.formats.plain_scalar import plain
from forensics.formats.sqlite_tables import Database, Value, is_sqlite, opened
from forensics.model import Artifact, Fact, Setting, Skip, Source, Standing
from forensics.plugin import reader
from forensics.readers._tracked import Metrics, number, state_facts

PLACE = "metrics row {}"
MAX_ROWS = 5_000_000
LARGEST = 1.7976931348623157e308
SHOWN = 20


@reader(
    "mlflow-database",
    match=(r"(^|/)(mlflow|mlruns)\.(db|sqlite3?)$",),
    sniff=is_sqlite,
    binary=True,
    tested="mlflow-skinny 3.17.2",
)
def mlflow_database(artifact: Artifact) -> Iterator[Fact]:
    """MLflow's SQLite database: metrics, parameters and the status of the newest run in it."""
    with opened(artifact.local, artifact.limits) as database:
        if "latest_metrics" not in database.tables:
            return  # the reader of Trackio names what is no tracker's
        runs = list(database.rows("runs", ("run_uuid", "name", "status"), "start_time", MAX_ROWS))
        if not runs:
            yield Skip(artifact.path, "a database without a run of MLflow")
            return
        names = [str(name) for _, name, _ in runs]
        for name in names[:-1][-SHOWN:]:
            yield Skip(f"{artifact.path}, run {name}", f"another run; {names[-1]}, the newest, was read")
        run = runs[-1][0]
        status = str(runs[-1][2]).lower()
        yield from state_facts(artifact, "MLflow", status, "runs")
        yield from _metrics(artifact, database, run)
        yield from _parameters(artifact, database, run)


def _metrics(artifact: Artifact, database: Database, run: Value) -> Iterator[Fact]:
    metrics = Metrics()
    columns = ("run_uuid", "key", "value", "timestamp", "step", "is_nan")
    for record, (owner, key, held, stamp, step, is_nan) in enumerate(
        database.rows("metrics", columns, "timestamp", MAX_ROWS), start=1
    ):
        value, wall = number(held), number(stamp)
        if owner == run and value is not None:
            value = float("nan") if is_nan else value
            value = value if abs(value) < LARGEST else value * 2
            at = float("nan") if wall is None else wall / 1000.0
            metrics.add(str(key), value, step=step, record=record, wall=at)
    yield from metrics.samples(artifact.path, PLACE)


def _parameters(artifact: Artifact, database: Database, run: Value) -> Iterator[Setting]:
    for owner, key, value in database.rows("params", ("run_uuid", "key", "value"), "key", MAX_ROWS):
        if owner == run:
            name, text = str(key).replace("/", "."), str(value)
            held = None if text == "None" else scalar(name, plain(text))
            yield Setting("setting", name, held, Source(artifact.path, f"params {name}"), Standing.RECORDED)
