"""What the run ran on and with, each value with its witness."""

import json

from tabulate import tabulate

from forensics.model import Run, Setting
from forensics.report._safe import clean

GROUPS = ("package", "hardware", "setting", "variable", "command")


def render(run: Run, form: str) -> str:
    """Return the environment as a table, or as JSON with every witness."""
    found = [setting for group in GROUPS for setting in run.environment.of(group)]  # type: ignore[arg-type]  # Group
    if form == "json":
        return json.dumps([_entry(run, s) for s in found], indent=1, allow_nan=False, default=str) + "\n"
    rows = [
        [s.group, clean(s.name, 60), clean(str(s.value), 60), s.standing.name.lower(), clean(str(s.source), 80)]
        for s in found
    ]
    return tabulate(rows, headers=["group", "name", "value", "standing", "read in"], disable_numparse=True) + "\n"


def _entry(run: Run, setting: Setting) -> dict[str, object]:
    return {
        "group": setting.group,
        "name": clean(setting.name),
        "value": clean(str(setting.value)),
        "standing": setting.standing.name.lower(),
        "source": clean(str(setting.source)),
        "conflicts": [
            {"value": clean(str(s.value)), "source": clean(str(s.source))}
            for s in run.environment.conflicts(setting.name, setting.group)
        ],
    }
