"""A dask worker that dies in the middle of its work, once: imported by the worker processes of a test."""

import importlib
import os
import signal
from pathlib import Path
from typing import Any

from distributed import WorkerPlugin


class KillOnce(WorkerPlugin):  # type: ignore[misc]  # dask is untyped
    """A worker plugin: one call of a function kills the process of the worker that makes it.

    `owner` names a module, or a class in one ("module:class"), whose `function` is counted from 0 in `folder` for all
    workers; call `at` is the last of its process.
    """

    name = "kill-once"

    def __init__(self, folder: Path, owner: str, function: str, at: int) -> None:
        self.folder, self.owner, self.function, self.at = folder, owner, function, at

    def setup(self, worker: Any) -> None:
        del worker
        module, _, inside = self.owner.partition(":")
        owner: Any = importlib.import_module(module)
        owner = getattr(owner, inside) if inside else owner
        original, folder, at = getattr(owner, self.function), self.folder, self.at

        def killing(*what: Any, **how: Any) -> Any:
            for number in range(at + 1):
                try:
                    (folder / str(number)).touch(exist_ok=False)
                except FileExistsError:
                    continue
                if number == at:
                    os.kill(os.getpid(), signal.SIGKILL)
                break
            return original(*what, **how)

        setattr(owner, self.function, killing)  # in a process that the test owns

    def teardown(self, worker: Any) -> None:
        pass
