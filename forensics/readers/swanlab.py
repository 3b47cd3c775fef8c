"""SwanLab's log of a run and the files beside it: `swanlog/run-<time>-<id>/`.

    run-<id>.swanlab, backup.swanlab    every metric, console line, how the run ended
    files/config.yaml                   learning_rate: {desc: '', sort: 0, value: 1.0e-05}
    files/swanlab-metadata.json         {"runtime": {"os": ..., "python_version": "3.11.7"}, "swanlab": {...}}

swanlab <= 0.5 kept `runs.swanlab`, an SQLite database; it is named and not read.
"""

from collections.abc import Iterator, Mapping

from forensics.errors import MalformedError
from forensics.formats.flatten import scalar
from forensics.formats.sqlite_tables import MAGIC as SQLITE
from forensics.formats.swanlab_log import IDENTITY, Console, End, Metric, read_log
from forensics.formats.wandb_log import Damage
from forensics.model import Artifact, Fact, Setting, Skip, Source, Standing
from forensics.plugin import reader
from forensics.readers._environment import hardware, load_object, package
from forensics.readers._tracked import Metrics, console_facts, number, seconds, state_facts
from forensics.readers._wandb import settings_of_config
from forensics.readers._yaml import load_yaml, yaml_damage
from forensics.storage.file import File

RECORD = "record {}"
SYSTEM = "__swanlab__."
TOLD = 3


@reader(
    "swanlab-log",
    match=(r"\.swanlab$",),
    sniff=lambda head: head.startswith(IDENTITY),
    binary=True,
    tested="swanlab 0.7.20, 0.10.3",
)
def swanlab_log(artifact: Artifact) -> Iterator[Fact]:
    """SwanLab logs: metrics with steps and wall times, console output, how the run ended."""
    metrics = Metrics()
    console: list[str] = []
    damage: list[str] = []
    status = "no end record"
    with File(artifact.location) as file:
        if file.head(len(SQLITE)) == SQLITE:
            raise MalformedError("a database of swanlab 0.5 or older, which is not read")
        for record, told in read_log(file, artifact.limits):
            match told:
                case Metric():
                    _add(metrics, told, record)
                case Console():
                    console.append(told.text)
                case End():
                    status = told.state
                case Damage():
                    damage.append(told.reason)
    for reason in damage[:TOLD]:
        yield Skip(artifact.path, reason)
    if len(damage) > TOLD:
        yield Skip(artifact.path, f"{len(damage) - TOLD} more places are damaged")
    yield from state_facts(artifact, "SwanLab", status, "")
    yield from metrics.samples(artifact.path, RECORD)
    if console:
        yield from console_facts(artifact, "\n".join(console).encode("utf-8", "replace"))


def _add(metrics: Metrics, told: Metric, record: int) -> None:
    value = number(told.value)
    if value is not None and not told.key.startswith(SYSTEM):
        wall = told.stamp if isinstance(told.stamp, float) else seconds(told.stamp)
        metrics.add(told.key, value, step=told.step, record=record, wall=wall)


@reader("swanlab-config", match=(r"(^|/)run-\d{8}_\d{6}-\w+/files/config\.yaml$",), tested="swanlab 0.7.20, 0.10.3")
def swanlab_config(artifact: Artifact) -> Iterator[Fact]:
    """`config.yaml` of a SwanLab run: its configuration."""
    document, found = load_yaml(artifact)
    config = {
        str(key): held["value"]
        for key, held in (found or {}).items()
        if isinstance(held, Mapping) and {"value", "sort"} <= set(held)
    }
    if not config:
        return  # W&B names its folders alike; its reader takes that file
    yield from yaml_damage(artifact, document)
    yield from settings_of_config(config, {key: Source(artifact.path, key) for key in config})


@reader("swanlab-metadata", match=(r"(^|/)swanlab-metadata\.json$",), tested="swanlab 0.7.20, 0.10.3")
def swanlab_metadata(artifact: Artifact) -> Iterator[Fact]:
    """`swanlab-metadata.json`: operating system, Python, SwanLab, GPUs, the command line."""
    _, found = load_object(artifact)
    source = Source(artifact.path)
    runtime = _part(found, "runtime") or _part({"runtime": found}, "runtime")
    tracker = _part(found, "swanlab")
    for name, version in (
        ("python", runtime.get("python_version") or runtime.get("python")),
        ("swanlab", tracker.get("version")),
    ):
        yield from package(name, str(version or ""), source, Standing.RECORDED)
    yield from hardware("os", str(runtime.get("os") or ""), source, Standing.RECORDED)
    boards = _part(found, "hardware").get("accelerators")
    named = [board for board in boards if isinstance(board, Mapping)] if isinstance(boards, list) else []
    if named and named[0].get("name"):
        yield from hardware("gpu", str(named[0]["name"]), source, Standing.RECORDED)
        yield from hardware("gpu_count", len(named), source, Standing.RECORDED)
    command = runtime.get("command")
    if isinstance(command, str) and command:
        yield Setting("command", "launch", scalar("launch", command), source, Standing.RECORDED)


def _part(found: Mapping[str, object] | None, name: str) -> Mapping[str, object]:
    held = (found or {}).get(name)
    return held if isinstance(held, Mapping) else {}
