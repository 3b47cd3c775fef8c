"""Twenty event files of different writers, each point equal to what tbparse and EventAccumulator read.

The Trainer of transformers (torch's writer) wrote those of the fixture runs; torch and tensorboardX write the
others here: floats of every kind, many tags, sparse steps, tensors as scalars, restarts in one folder.
"""

import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forensics.formats.event_file import read_events
from forensics.storage.file import File
from runs import BROKEN, HEALTHY

FIXTURES = 8
ODD = (0.0, -0.0, 1e-45, 3.4e38, float("inf"), float("-inf"), float("nan"), -1.5, 1 / 3)
Table = dict[str, list[tuple[int, float, float]]]


def odd_values(add: Callable[[str, float, int], None]) -> None:
    for step, value in enumerate(ODD):
        add("odd", value, step)


def many_tags(add: Callable[[str, float, int], None]) -> None:
    for step in range(20):
        for tag in range(30):
            add(f"group {tag % 3}/tag {tag}", step * 0.1 + tag, step)


def sparse_steps(add: Callable[[str, float, int], None]) -> None:
    for step in (0, 1, 7, 1_000, 2**31, 2**40):
        add("train/loss", 1.0 / (step + 1), step)


def falling_steps(add: Callable[[str, float, int], None]) -> None:
    for step in (1, 2, 3, 2, 3, 4):
        add("train/loss", float(step), step)


def unicode_tags(add: Callable[[str, float, int], None]) -> None:
    for step in range(5):
        add("Verlust/Übung 🙂", 0.5, step)
        add("a" * 300, 0.25, step)


PATTERNS = (odd_values, many_tags, sparse_steps, falling_steps, unicode_tags)


def writer_of(library: str, folder: Path, **options: Any) -> Any:
    if library == "torch":
        return pytest.importorskip("torch.utils.tensorboard").SummaryWriter(str(folder), **options)
    return pytest.importorskip("tensorboardX").SummaryWriter(str(folder), **options)


def cases() -> Iterator[tuple[str, Callable[[Path], None]]]:
    fixtures = [case.run for case in (*BROKEN, *HEALTHY) if list(case.run.rglob("events.out.tfevents.*"))]
    for run in fixtures[:FIXTURES]:
        yield f"Trainer, {run.parent.name}", lambda folder, run=run: copied(run, folder)  # type: ignore[misc]  # bound now
    for library in ("torch", "tensorboardX"):
        for pattern in PATTERNS:
            name = f"{library}, {pattern.__name__}"
            yield name, lambda folder, a=library, b=pattern: write(a, folder, b)  # type: ignore[misc]  # bound now
        yield f"{library}, restart", lambda folder, a=library: restarted(a, folder)  # type: ignore[misc]  # bound now


def copied(run: Path, folder: Path) -> None:
    for number, path in enumerate(sorted(run.rglob("events.out.tfevents.*"))):
        shutil.copy(path, folder / f"{path.name}.{number}")


def write(library: str, folder: Path, pattern: Callable[[Callable[[str, float, int], None]], None]) -> None:
    writer = writer_of(library, folder)
    pattern(writer.add_scalar)
    writer.add_text("note", "no scalar")
    writer.close()


def restarted(library: str, folder: Path) -> None:
    for number in range(2):
        writer = writer_of(library, folder, filename_suffix=f".{number}")
        for step in range(5 * number, 5 * number + 5):
            writer.add_scalar("train/loss", 1.0 / (step + 1), step)
        writer.close()


CASES = dict(cases())


def ours(folder: Path) -> Table:
    table: Table = {}
    for path in sorted(folder.iterdir()):
        for found in read_events(File(path)).points:
            rows = zip(found.steps.tolist(), found.values.tolist(), found.wall_times.tolist(), strict=True)
            table.setdefault(found.tag, []).extend(rows)
    return table


def accumulated(folder: Path) -> Table:
    module = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    table: Table = {}
    for path in sorted(folder.iterdir()):
        loaded = module.EventAccumulator(str(path), size_guidance={"scalars": 0}, purge_orphaned_data=False)
        loaded.Reload()
        for tag in loaded.Tags()["scalars"]:
            rows = ((e.step, e.value, e.wall_time) for e in loaded.Scalars(tag))
            table.setdefault(tag, []).extend(rows)
    return table


def parsed(folder: Path) -> Table:
    tbparse = pytest.importorskip("tbparse")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table: Table = {}
        for path in sorted(folder.iterdir()):
            frame = tbparse.SummaryReader(str(path), extra_columns={"wall_time"}).scalars
            for tag, rows in frame.groupby("tag") if len(frame) else ():
                found = rows[["step", "value", "wall_time"]].itertuples(index=False, name=None)
                table.setdefault(str(tag), []).extend(found)
        return table


def equal(one: Table, other: Table) -> None:
    assert one.keys() == other.keys()
    for tag, rows in one.items():
        np.testing.assert_array_equal(np.array(rows), np.array(other[tag]), err_msg=tag)


def test_there_are_twenty_cases() -> None:
    assert len(CASES) == 20


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
def test_every_point_equals_event_accumulator_and_tbparse(name: str, tmp_path: Path) -> None:
    """tbparse drops orphaned points as EventAccumulator does by default, so falling steps are not asked of it."""
    CASES[name](tmp_path)
    expected = accumulated(tmp_path)
    found = ours(tmp_path)

    assert sum(map(len, found.values())) > 4
    equal(found, expected)
    if "falling" not in name:
        equal(found, parsed(tmp_path))
