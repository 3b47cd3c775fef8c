"""What a hostile run is made of: a class, a name, and how its files are written into an empty folder."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from fuzz.hostile.case import Case, Payload


def _still(_folder: Path) -> AbstractContextManager[object]:
    return nullcontext()


@dataclass(frozen=True, slots=True)
class Input:
    """One hostile run.

    `make` writes it into an empty folder and may raise `OSError` where the machine cannot hold it. `target` names the
    file that is given to the commands, "" for the folder. `moved` goes on changing the files while they are read;
    what it holds is then no proof that nothing was written.
    """

    group: str
    name: str
    make: Callable[[Path], object]
    target: str = ""
    moved: Callable[[Path], AbstractContextManager[object]] = _still


def written(content: bytes | Callable[[], bytes], place: str) -> Callable[[Path], object]:
    """Return a maker of a run of one file; large content is made when it is asked for."""

    def make(folder: Path) -> None:
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content())

    return make


def files(group: str, place: str, contents: Mapping[str, bytes | Callable[[], bytes]]) -> Iterator[Input]:
    """Yield an input for each content, all of which lie at one place of a run."""
    for name, content in contents.items():
        yield Input(group, name, written(content, place))


def of_cases(group: str, cases: Iterator[Case]) -> Iterator[Input]:
    """Yield files of the reader's tests as files of a run."""
    for case in cases:
        yield Input(group, case.name, written(case.content, f"checkpoint-5/{_name(case)}"))


def _name(case: Case) -> str:
    return {"pt": "pytorch_model.bin"}.get(case.ending, f"weights.{case.ending}")


def every(payload: Payload) -> Iterator[Input]:
    """Yield all inputs, class by class."""
    from fuzz.hostile import (
        archive_cases,
        machine_cases,
        old_cases,
        pickle_cases,
        settings_cases,
        text_cases,
        weights_cases,
        zip_cases,
    )

    yield from of_cases("pickle", pickle_cases.pickle_cases(payload))
    yield from of_cases("torch zip", zip_cases.zip_cases(payload))
    yield from of_cases("torch before 1.6", old_cases.legacy_cases(payload))
    yield from of_cases("torch in tar", old_cases.tar_cases(payload))
    yield from of_cases("numpy, joblib", old_cases.numpy_cases(payload))
    yield from of_cases("numpy, joblib", iter([old_cases.joblib_case(payload)]))
    yield from weights_cases.inputs()
    yield from settings_cases.inputs(payload)
    yield from text_cases.inputs(payload)
    yield from archive_cases.inputs()
    yield from machine_cases.inputs()
