"""MLflow's file store: `mlruns/<experiment>/<run>/{meta.yaml,metrics/,params/}`.

`metrics/train/loss` has a line per value, "wall time in ms, value, step"; old lines lack the step:

    1714557600123 2.3457 10
    1714557612456 nan 20

`params/learning_rate` holds the bare value `2e-06`. `meta.yaml` has `status`: 1 running, 3 finished, 4 failed,
5 killed (`mlflow/entities/run_status.py`); a run that was killed outright stays "running".
"""

from collections.abc import Iterator

import numpy as np

from forensics.deferred.patterns import expression
from forensics.errors import LimitError
from forensics.formats.flatten import scalar
from forensics.formats.plain_scalar import plain
from forensics.model import UNKNOWN_STEP, Artifact, Fact, Samples, Setting, Skip, Source, Standing
from forensics.names import canonical
from forensics.plugin import reader
from forensics.readers._environment import LINE
from forensics.readers._tracked import state_facts
from forensics.readers._yaml import load_yaml, yaml_damage
from forensics.storage.file import File

_RUN = r"(^|/)[0-9a-f]{32}/"
_PART = expression(_RUN + r"(?P<part>metrics|params|meta\.yaml)(?:/(?P<key>.+))?$")
_STATUS = {1: "running", 2: "scheduled", 3: "finished", 4: "failed", 5: "killed"}
MAX_PARAMETER_BYTES = 64 << 10
MAX_STEP = 1 << 62


@reader("mlflow-store", match=(_RUN + r"(metrics|params)/.+$", _RUN + r"meta\.yaml$"), tested="mlflow-skinny 3.17.2")
def mlflow_store(artifact: Artifact) -> Iterator[Fact]:
    """MLflow file store: metrics with steps and wall times, parameters, the status of the run."""
    part = _PART.search(artifact.path)
    if part is None:
        return
    if part["part"] == "metrics":
        yield from _read_metric(artifact, part["key"])
    elif part["part"] == "params":
        yield from _read_parameter(artifact, part["key"])
    else:
        yield from _read_meta(artifact)


def _read_metric(artifact: Artifact, key: str) -> Iterator[Samples | Skip]:
    with File(artifact.location) as file:
        if file.size > artifact.limits.json_bytes:
            raise LimitError(f"{artifact.path} has {file.size:,} bytes")
        lines = file.read(0, file.size).split(b"\n")
    rows: list[tuple[float, float, int, int]] = []
    bad = 0
    for number, line in enumerate(lines, start=1):
        row = _row(line, number)
        if row is not None:
            rows.append(row)
        elif line.strip():
            bad += 1
    if bad:
        yield Skip(artifact.path, f"{bad:,} lines are no 'time value step'")
    if rows:
        times, values, steps, records = zip(*rows, strict=True)
        yield Samples(
            name=canonical(key),
            steps=np.array(steps, dtype=np.int64),
            values=np.array(values, dtype=np.float64),
            records=np.array(records, dtype=np.int64),
            path=artifact.path,
            place=LINE,
            wall_times=np.array(times, dtype=np.float64) / 1000.0,
        )


def _row(line: bytes, number: int) -> tuple[float, float, int, int] | None:
    words = line[:200].split()
    if len(words) not in (2, 3):
        return None
    try:
        time, value = float(words[0]), float(words[1])
        step = int(words[2]) if len(words) == 3 else UNKNOWN_STEP
    except ValueError:
        return None
    return (time, value, step, number) if UNKNOWN_STEP <= step < MAX_STEP else None


def _read_parameter(artifact: Artifact, key: str) -> Iterator[Setting]:
    with File(artifact.location) as file:
        text = file.head(MAX_PARAMETER_BYTES).decode("utf-8", "replace").strip()
    name = key.replace("/", ".")
    value = None if text == "None" else scalar(name, plain(text))
    yield Setting("setting", name, value, Source(artifact.path), Standing.RECORDED)


def _read_meta(artifact: Artifact) -> Iterator[Fact]:
    document, found = load_yaml(artifact)
    yield from yaml_damage(artifact, document)
    status = (found or {}).get("status")
    if isinstance(status, int):
        told = _STATUS.get(status, str(status))
        yield from state_facts(artifact, "MLflow", told, "status")
