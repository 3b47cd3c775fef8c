"""Run every hostile input: `python -m fuzz.hostile [--only CLASS] [--every N] [--write PAGE] [--list]`.

Each is made in a temporary folder and removed; `scan`, `analyze`, `bundle` and `triage` are run on it under limits of
time and memory, and none may execute, write, connect, end in a traceback or forget the log that lies beside.
"""

import argparse
import re
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from fuzz.hostile.case import Payload
from fuzz.hostile.every import every
from fuzz.hostile.watch import Tried, tried, warmed

MARK = re.compile(r"(?<=<!-- hostile -->\n).*?(?=<!-- /hostile -->)", re.DOTALL)


def table(seen: Sequence[Tried], command: str) -> str:
    """Return what was seen, a class a row, as a table of Markdown."""
    classes: dict[str, list[Tried]] = defaultdict(list)
    for one in seen:
        classes[one.one.group].append(one)
    lines = [
        "| input class | tried | survived | worst time | worst memory |",
        "|---|---:|---:|---:|---:|",
    ]
    for group, members in classes.items():
        made = [one for one in members if not one.left_out]
        slow, large = (
            max(made, key=lambda one: one.seconds, default=None),
            max(made, key=lambda one: one.grown, default=None),
        )
        if slow is None or large is None:
            lines.append(f"| {group} | 0 | 0 | | |")
            continue
        lines.append(
            f"| {group} | {len(made)} | {sum(not one.faults for one in made)} | "
            f"{slow.seconds:.2f} s ({slow.one.name}; {slow.slowest}) | "
            f"{large.grown / 1e6:,.0f} MB ({large.one.name}; {large.hungriest}) |"
        )
    made = [one for one in seen if not one.left_out]
    whole = f"{len(made)} inputs, {sum(not one.faults for one in made)} survived: `{command}`."
    left = [f"{one.one.group}, {one.one.name}" for one in seen if one.left_out]
    return "\n".join([*lines, "", whole + (f" Not made on this machine: {'; '.join(left)}." if left else "")])


def main() -> int:
    asked = argparse.ArgumentParser(prog="python -m fuzz.hostile", description=__doc__)
    asked.add_argument("--only", default="", help="a regular expression for classes and names")
    asked.add_argument("--every", type=int, default=1, help="every so manieth input of each class")
    asked.add_argument("--write", type=Path, help="a page whose table is written anew")
    asked.add_argument("--list", action="store_true", help="each input with its time and memory")
    given = asked.parse_args()
    seen: list[Tried] = []
    counts: dict[str, int] = defaultdict(int)
    with tempfile.TemporaryDirectory(prefix="medforensics-hostile-") as base:
        marker = Path(base, "executed")
        warmed(Path(base, "input"))
        for one in every(Payload(str(marker))):
            counts[one.group] += 1
            if not re.search(given.only, f"{one.group}, {one.name}") or (counts[one.group] - 1) % given.every:
                continue
            place = Path(base, "input")
            seen.append(tried(one, place, marker))
            place.rmdir()
            for fault in seen[-1].faults:
                print(f"{one.group}, {one.name}: {fault}", file=sys.stderr, flush=True)
            if given.list:
                last = seen[-1]
                print(
                    f"{one.group}, {one.name}: {last.seconds:.2f} s ({last.slowest}), "
                    f"{last.grown / 1e6:,.0f} MB ({last.hungriest}){last.left_out}",
                    flush=True,
                )
    told = table(seen, "python -m fuzz.hostile --write docs/security.md")
    print(told)
    if given.write is not None:
        page = given.write.read_text(encoding="utf-8")
        given.write.write_text(MARK.sub(lambda _: f"{told}\n", page), encoding="utf-8")
    return 1 if any(one.faults for one in seen) else 0


if __name__ == "__main__":
    sys.exit(main())
