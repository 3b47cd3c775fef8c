"""Run the fuzzer: `python -m fuzz [--seconds N] [--seed N] [--only NAME] [--keep FOLDER] [--write PAGE]`."""

import argparse
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from fuzz.harness import Seen, apart, kept
from fuzz.targets import TARGETS

MARK = re.compile(r"(?<=<!-- fuzz -->\n).*?(?=<!-- /fuzz -->)", re.DOTALL)


def table(seen: Sequence[Seen], seconds: float) -> str:
    """Return what was seen as a table of Markdown."""
    rows = [
        f"| {one.name} | {one.tried:,} | {one.refused:,} | {len(one.faults)} | {one.slowest:.2f} s "
        f"({len(one.slow) / 1e3:,.0f} KB) | {one.grown >> 20:,} MB |"
        for one in seen
    ]
    tried, faults = sum(one.tried for one in seen), sum(len(one.faults) for one in seen)
    lines = [
        "| parser | mutants | refused | faults | slowest mutant | memory |",
        "|---|---:|---:|---:|---:|---:|",
        *rows,
        "",
        f"{tried:,} mutants, {seconds:g} s for each parser, {faults} faults: `python -m fuzz --seconds {seconds:g}`.",
    ]
    return "\n".join(lines)


def main() -> int:
    asked = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    asked.add_argument("--seconds", type=float, default=60.0, help="for each parser")
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--only", default="", help="a regular expression for the names of parsers")
    asked.add_argument("--keep", type=Path, help="where faulty mutants are written (default: a folder of /tmp)")
    asked.add_argument("--write", type=Path, help="a page whose table is written anew")
    given = asked.parse_args()
    folder = given.keep or Path(tempfile.mkdtemp(prefix="medforensics-faults-"))
    folder.mkdir(parents=True, exist_ok=True)
    seen = []
    for target in TARGETS:
        if re.search(given.only, target.name):
            seen.append(apart(target, given.seconds, given.seed))
            print(f"{target.name}: {seen[-1].tried:,} mutants", file=sys.stderr)
            for line in kept(seen[-1], folder):
                print(line, file=sys.stderr)
    print(table(seen, given.seconds))
    if given.write is not None:
        page = given.write.read_text(encoding="utf-8")
        given.write.write_text(MARK.sub(lambda _: f"{table(seen, given.seconds)}\n", page), encoding="utf-8")
    return 1 if any(one.faults for one in seen) else 0


if __name__ == "__main__":
    sys.exit(main())
