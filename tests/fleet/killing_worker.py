"""A dask worker that dies in the middle of a triage, once: imported by the worker processes of a test."""

import os
import signal
from pathlib import Path
from typing import Any

from distributed import WorkerPlugin

from forensics import investigate


class KillOnce(WorkerPlugin):  # type: ignore[misc]  # dask is untyped
    """A worker plugin: the second run that any worker begins kills its process; `folder` counts for all of them."""

    name = "kill-once"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def setup(self, worker: Any) -> None:
        del worker
        original, folder = investigate.investigate, self.folder

        def killing(*what: Any, **how: Any) -> Any:
            for number in range(2):
                try:
                    (folder / str(number)).touch(exist_ok=False)
                except FileExistsError:
                    continue
                if number == 1:
                    os.kill(os.getpid(), signal.SIGKILL)
                break
            return original(*what, **how)

        investigate.investigate = killing  # in a process that the test owns

    def teardown(self, worker: Any) -> None:
        pass
