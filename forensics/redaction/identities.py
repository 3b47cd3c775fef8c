"""What a run gives away about who made it and where, taken up by a redactor before anything is masked."""

import contextlib
from collections.abc import Iterator, Mapping

from forensics.model import Run
from forensics.redaction import Redactor
from forensics.redaction.names import is_telling


def redactor_for(*runs: Run, identities: bool, names: Mapping[str, str]) -> Redactor:
    """Return a redactor that has seen the names which the runs give away.

    `names` are values to mask that are known beforehand, by value with their kind (the user and the host of this
    machine).
    """
    redactor = Redactor(identities=identities)
    if identities:
        for value, kind in names.items():
            redactor.learn_value(kind, value)
    for run in runs:
        _learn(redactor, run)
    return redactor


def _learn(redactor: Redactor, run: Run) -> None:
    if redactor.identities and len(str(run.root)) >= 8:
        redactor.learn_value("path", str(run.root))
    redactor.learn_secrets(run.hidden)
    redactor.learn(_telling_texts(run))
    for found in run.environment.entries.values():
        for setting in found:
            if isinstance(setting.value, str):
                redactor.learn_setting(setting.name, setting.value)


def _telling_texts(run: Run) -> Iterator[str]:
    yield run.root.as_posix()
    yield from (artifact.path for artifact in run.artifacts)
    for events in run.timeline.events:
        yield from dict.fromkeys((events.text, *events.texts))
    for (_, name), found in run.environment.entries.items():
        yield from (f"{name}={setting.value}" for setting in found if isinstance(setting.value, str))
    yield from (skip.reason for skip in run.skips[:10_000])


def machine_names() -> dict[str, str]:
    """Return the names of this machine and of who uses it, by name with their kind: masked in shared reports."""
    import getpass
    import socket

    found = {socket.gethostname(): "host", socket.gethostname().partition(".")[0]: "host"}
    # Without user database and variable (a container with a bare user id) there is no name to hide.
    with contextlib.suppress(OSError, KeyError):
        found[getpass.getuser()] = "user"
    return {name: kind for name, kind in found.items() if is_telling(name)}
