"""A report that may be passed on: the same report with every text masked."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from forensics.model import Checkpoint, Environment, Report, Run, Scalar, Setting, Skip
from forensics.redaction import Redactor
from forensics.redaction.identities import redactor_for
from forensics.report._mapped import Value, mapped
from forensics.storage.locations import place_of

ROOT = Path("RUN")
"""What a masked report calls the run directory."""


def masked(report: Report, *, identities: bool, names: Mapping[str, str] | None = None) -> Report:
    """Return the report with secrets replaced by tokens, and users, hosts, paths and ids too when asked.

    `names` are values to mask that are known beforehand, by value with their kind (the user and the host of this
    machine). Artifacts, tensor records and unmerged samples are left out: no report shows them.
    """
    return masked_by(report, redactor_for(report.run, identities=identities, names=names or {}))


def masked_by(report: Report, redactor: Redactor) -> Report:
    """Return the report masked by a redactor that has learnt from its run, so that tokens agree elsewhere."""
    run = _masked_run(_lean(report.run), redactor)
    return mapped(replace(report, run=run), redactor)


def masked_run(run: Run, redactor: Redactor | None = None) -> Run:
    """Return the run masked by a redactor that has learnt from it; without one only its secrets are masked."""
    redactor = redactor or redactor_for(run, identities=False, names={})
    return mapped(_masked_run(_lean(run), redactor), redactor)


def masked_checkpoints(
    checkpoints: Sequence[Checkpoint], skips: Sequence[Skip], redactor: Redactor
) -> tuple[tuple[Checkpoint, ...], tuple[Skip, ...]]:
    """Return checkpoints that were named on a command line, and what was left out, masked.

    Of a checkpoint's own path the folders become a token and the last part, `checkpoint-500`, stays.
    """
    redactor.learn(text for c in checkpoints for text in (c.path, *(problem.statement for problem in c.problems)))
    redactor.learn(skip.reason for skip in skips)
    if redactor.identities:
        checkpoints = [replace(c, path=_last_part(c.path, redactor)) for c in checkpoints]
    return mapped((tuple(checkpoints), tuple(skips)), redactor)


def _last_part(path: str, redactor: Redactor) -> str:
    folder, slash, name = path.rpartition("/")
    return f"{redactor.token('path', folder)}{slash}{name}" if folder else path


def without_secrets(value: Value) -> Value:
    """Return anything that holds texts with the secrets in them masked."""
    return mapped(value, Redactor(identities=False))


def _lean(run: Run) -> Run:
    return replace(
        run,
        artifacts=(),
        hidden=(),
        checkpoints=tuple(replace(c, records=(), files=()) for c in run.checkpoints),
        timeline=replace(run.timeline, samples=()),
    )


def _masked_run(run: Run, redactor: Redactor) -> Run:
    """Mask what needs more than its text: the root, and settings whose name says what their value is."""
    entries = {
        key: tuple(_masked_setting(setting, redactor) for setting in found)
        for key, found in run.environment.entries.items()
    }
    root = ROOT if redactor.identities else place_of(redactor(str(run.root)))
    return replace(run, root=root, environment=Environment(entries))


def _masked_setting(setting: Setting, redactor: Redactor) -> Setting:
    value = masked_value(setting.group, setting.name, setting.value, redactor)
    return setting if value is setting.value else replace(setting, value=value)


def masked_value(group: str, name: str, value: Scalar, redactor: Redactor) -> Scalar:
    """Return the value of a setting, masked where its name says that it is somebody's; the rest is left to `mapped`."""
    if not isinstance(value, str) or group == "package":
        return value
    if redactor.identities and redactor.is_place(name, value) and redactor(value) == value:
        return redactor.token("path" if "/" in value else "name", value)
    return value
