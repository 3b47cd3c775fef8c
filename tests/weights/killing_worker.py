"""A dask worker that dies in the middle of its work, once: imported by the worker processes of a test."""

import os
import signal
from pathlib import Path
from typing import Any

from distributed import WorkerPlugin

from forensics.weights.work import Worker


class KillOnce(WorkerPlugin):  # type: ignore[misc]  # dask is untyped
    """A worker plugin: the third task that any worker begins kills its process; `folder` counts for all of them."""

    name = "kill-once"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def setup(self, worker: Any) -> None:
        del worker
        original, folder = Worker.do, self.folder

        def killing(self: Worker, *what: Any) -> Any:
            for number in range(3):
                try:
                    (folder / str(number)).touch(exist_ok=False)
                except FileExistsError:
                    continue
                if number == 2:
                    os.kill(os.getpid(), signal.SIGKILL)
                break
            return original(self, *what)

        Worker.do = killing  # type: ignore[method-assign, assignment]  # in a process that the test owns

    def teardown(self, worker: Any) -> None:
        pass
