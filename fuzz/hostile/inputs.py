"""What a hostile run is made of: a class, a name, and how its files are written into an empty folder."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path


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
