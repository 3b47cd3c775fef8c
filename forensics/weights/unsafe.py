"""Pickles beside the weights that ask for code: training arguments, random states, schedulers, caches.

What belongs to a checkpoint's layout is read there, and told as a problem of the checkpoint (`found.open_torch`). All
other pickles of a run are walked here, only to learn the names that they ask for: who resumes loads them too.
"""

from collections.abc import Collection, Iterable, Iterator

import numpy as np

from forensics.deferred.patterns import expression
from forensics.errors import ForensicsError, InternalError, LimitError, contained
from forensics.formats.pickle_search import unsafe_names
from forensics.model import Artifact, Checkpoint, Events, Skip
from forensics.names import Kind
from forensics.storage.file import File

ENDINGS = expression(
    r"\.(?:pt|pth|bin|ckpt|pkl|pickle|joblib|dat|data|dill|cloudpickle|p|tar|states|pyt|torch|metadata|zip|npz|npy)$"
)
ARRAYS = (".zip", ".npz", ".npy")
PICKLE = expression(rb"\x80[\x02-\x05]|PK\x03\x04|\x93NUMPY|[(\]})]|c[A-Za-z_][\w.]*\n[A-Za-z_]")
"""How pickles of protocol 2 to 5 begin, zip archives, arrays, and text pickles of a container or an object."""
HEAD_BYTES = 512
TOLD = 3


def unsafe_pickles(artifacts: Iterable[Artifact], checkpoints: Iterable[Checkpoint]) -> Iterator[Events | Skip]:
    """Yield an `UNSAFE_PICKLE` event for every file outside of the checkpoints' own that asks for code."""
    read = {path for checkpoint in checkpoints for path in (checkpoint.path, *checkpoint.files)}
    for artifact in artifacts:
        # A layout reads the numbers of arrays, and not what else lies in their archive.
        untold = artifact.path not in read or artifact.path.endswith(ARRAYS)
        if untold and artifact.size and ENDINGS.search(artifact.path):
            yield from _asks_for(artifact)


def _asks_for(artifact: Artifact) -> Iterator[Events | Skip]:
    try:
        with contained(f"the look for code in {artifact.path}"), File(artifact.location) as file:
            if not PICKLE.match(file.head(HEAD_BYTES)) and b"ustar" not in file.head(HEAD_BYTES):
                return
            found = unsafe_names(file, artifact.limits)
    except (LimitError, InternalError) as error:
        yield Skip(artifact.path, str(error), isinstance(error, InternalError))
        return
    except ForensicsError:
        return  # no pickle, or none that can be read; its own reader tells
    if found:
        yield Events(
            kind=Kind.UNSAFE_PICKLE,
            steps=np.array([-1]),
            values=np.array([np.nan]),
            records=np.array([0]),
            path=artifact.path,
            place="its pickle",
            text=asked_for(artifact.path, found),
        )


def asked_for(path: str, names: Collection[str]) -> str:
    """Say what a file would run, in a sentence."""
    shown = ", ".join(list(names)[:TOLD])
    more = f" and {len(names) - TOLD} more" if len(names) > TOLD else ""
    what = "a dangerous global" if len(names) == 1 else "dangerous globals"
    return f"{path} asks for {shown}{more}, {what}: a program that unpickles the file runs it; here nothing was run"
