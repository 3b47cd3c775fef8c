"""The ladder as a page: each rung with its launch line, what it changes, what to expect."""

import json
from typing import Any

from forensics.plan import Change, Rung
from forensics.report._safe import clean

FORMAT = 1
RECORDER = (
    "Each rung runs under the black box: `trainer.add_callback(BlackBoxCallback())` (docs/how-to/record.md), which"
    " writes into its output_dir. Rungs whose data differ are refused by `compare`, with that sentence."
)


def render(rungs: tuple[Rung, ...], form: str) -> str:
    """Return the ladder as text or JSON."""
    if form == "json":
        tree = {"format": FORMAT, "rungs": [_tree(rung) for rung in rungs]}
        return json.dumps(tree, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    parts = [f"A ladder of {len(rungs)} rungs, cheapest first. Stop at the first that fails.", RECORDER]
    return "\n\n".join([*parts, *(_text(rung) for rung in rungs)]) + "\n"


def _text(rung: Rung) -> str:
    lines = [f"{rung.number}. {rung.title}", f"   adds: {rung.adds}", f"   $ {clean(rung.command, 4000)}"]
    lines += [f"   {_change(change)}" for change in rung.changes]
    lines.append(f"   expect: {rung.expect}")
    if rung.compare:
        lines.append(f"   then: {rung.compare}")
    lines.append(f"   if it fails: {rung.if_it_fails}")
    return "\n".join(lines)


def _change(change: Change) -> str:
    was = "(not recorded)" if change.was is None else clean(str(change.was), 200)
    now = "(unset)" if change.now in {None, ""} else str(change.now)
    return f"{change.where} {change.name}: {was} -> {now}"


def _tree(rung: Rung) -> dict[str, Any]:
    return {
        "rung": rung.number,
        "title": rung.title,
        "adds": rung.adds,
        "command": clean(rung.command, 4000),
        "changes": [
            {"where": c.where, "name": c.name, "was": clean(c.was) if isinstance(c.was, str) else c.was, "now": c.now}
            for c in rung.changes
        ],
        "expect": rung.expect,
        "compare": rung.compare or None,
        "if_it_fails": rung.if_it_fails,
    }
