"""A report that may be passed on: the same report with every text masked."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from forensics.model import Environment, Report, Run, Setting
from forensics.redaction import Redactor
from forensics.report._mapped import Value, mapped

ROOT = Path("RUN")
"""What a masked report calls the run directory."""


def masked(report: Report, *, identities: bool, names: dict[str, str] | None = None) -> Report:
    """Return the report with secrets replaced by tokens, and users, hosts, paths and ids too when asked.

    `names` are values to mask that are known beforehand, by value with their kind (the user and the host of this
    machine). Artifacts, tensor records and unmerged samples are left out: no report shows them.
    """
    return masked_by(report, redactor_for(report.run, identities=identities, names=names or {}))


def masked_by(report: Report, redactor: Redactor) -> Report:
    """Return the report masked by a redactor that has learnt from its run, so that tokens agree elsewhere."""
    run = _masked_run(_lean(report.run), redactor)
    return mapped(replace(report, run=run), redactor)


def masked_run(run: Run) -> Run:
    """Return the run without its secrets; users, hosts and paths stay."""
    redactor = redactor_for(run, identities=False, names={})
    return mapped(_masked_run(_lean(run), redactor), redactor)


def without_secrets(value: Value) -> Value:
    """Return anything that holds texts with the secrets in them masked."""
    return mapped(value, Redactor(identities=False))


def redactor_for(run: Run, *, identities: bool, names: dict[str, str]) -> Redactor:
    """Return a redactor that has seen the names which the run gives away."""
    redactor = Redactor(identities=identities)
    if identities:
        for value, kind in names.items():
            redactor.learn_value(kind, value)
        if len(str(run.root)) >= 8:
            redactor.learn_value("path", str(run.root))
        redactor.learn(_telling_texts(run))
    for found in run.environment.entries.values():
        for setting in found:
            if isinstance(setting.value, str):
                redactor.learn_setting(setting.name, setting.value)
    return redactor


def _telling_texts(run: Run) -> Iterator[str]:
    yield run.root.as_posix()
    yield from (artifact.path for artifact in run.artifacts)
    yield from (events.text for events in run.timeline.events)
    for (_, name), found in run.environment.entries.items():
        yield from (f"{name}={setting.value}" for setting in found if isinstance(setting.value, str))
    yield from (skip.reason for skip in run.skips[:10_000])


def _lean(run: Run) -> Run:
    return replace(
        run,
        artifacts=(),
        checkpoints=tuple(replace(c, records=(), files=()) for c in run.checkpoints),
        timeline=replace(run.timeline, samples=()),
    )


def _masked_run(run: Run, redactor: Redactor) -> Run:
    """Mask what needs more than its text: the root, and settings whose name says what their value is."""
    entries = {
        key: tuple(_masked_setting(setting, redactor) for setting in found)
        for key, found in run.environment.entries.items()
    }
    root = ROOT if redactor.identities else Path(redactor(str(run.root)))
    return replace(run, root=root, environment=Environment(entries))


def _masked_setting(setting: Setting, redactor: Redactor) -> Setting:
    value = setting.value
    if not isinstance(value, str) or setting.group == "package":
        return setting
    if redactor.identities and redactor.is_place(setting.name, value) and redactor(value) == value:
        return replace(setting, value=redactor.token("path" if "/" in value else "name", value))
    return setting
