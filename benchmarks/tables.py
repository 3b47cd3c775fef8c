"""Run every benchmark and write what they print into docs/benchmarks.md.

    python benchmarks/tables.py --peers /path/to/venv/bin
    python benchmarks/tables.py --only analyze         # keeps the other tables as they are

A benchmark that fails keeps the table it had. Numbers are of the machine it runs on; ratios travel further.
"""

import argparse
import os
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

FOLDER = Path(__file__).parent
PAGE = FOLDER.parent / "docs" / "benchmarks.md"
HEAD = """\
# Benchmarks

Written by `python benchmarks/tables.py --peers DIR`, where DIR holds the programs of the rivals; every table can be
printed by itself with the command above it. The machines are shared: trust CPU time before wall time, and ratios
of one table before its seconds. No benchmark uses the network; each makes its data, or reads `fixtures/`.
"""


@dataclass(frozen=True, slots=True)
class Table:
    """A benchmark: its script with arguments; `peers` is how it is told where the rivals are, if it asks."""

    name: str
    title: str
    arguments: tuple[str, ...] = ()
    peers: str | None = None

    def command(self, peers: Path | None) -> list[str]:
        rivals = [] if self.peers is None or peers is None else ["--peers", self.peers.format(peers)]
        return [f"benchmarks/{self.name}.py", *self.arguments, *rivals]

    @property
    def shown(self) -> str:
        rivals = [] if self.peers is None else ["--peers", self.peers.format("DIR")]
        return " ".join(["python", f"benchmarks/{self.name}.py", *self.arguments, *rivals])


TABLES = (
    Table("analyze", "The whole command line", peers="{}"),
    Table("readers_events", "Event files", peers="{}/python"),
    Table("readers_text", "Text logs"),
    Table("weights", "Checkpoints: scan and diff"),
    Table("diagnosis", "How often the diagnosis is right", peers="{}"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, help="the folder with the programs of the rivals")
    parser.add_argument("--only", action="append", choices=[table.name for table in TABLES])
    arguments = parser.parse_args()
    kept = sections(PAGE.read_text(encoding="utf-8")) if PAGE.exists() else {}
    for table in TABLES:
        if arguments.only and table.name not in arguments.only:
            continue
        print(table.shown, flush=True)
        printed = _printed(table.command(arguments.peers))
        if printed is not None:
            kept[table.title] = section(table, printed)
    body = [kept[table.title] for table in TABLES if table.title in kept]
    PAGE.write_text("\n".join([HEAD, *body]), encoding="utf-8")


def _printed(command: Sequence[str]) -> str | None:
    ran = subprocess.run([sys.executable, *command], cwd=FOLDER.parent, capture_output=True, text=True, check=False)
    if ran.returncode:
        print(f"  failed: {ran.stderr.strip().splitlines()[-1:]}")
        return None
    return ran.stdout.strip()


def section(table: Table, printed: str) -> str:
    """Return a chapter of the page; tables that are no Markdown stand as they were printed."""
    text = printed if "|--" in printed else f"```text\n{printed}\n```"
    return f"## {table.title}\n\n`{table.shown}`\n\n{_machine()}\n\n{text}\n"


def sections(page: str) -> dict[str, str]:
    """Return the chapters of a page by title."""
    found = re.split(r"^## (.+)$", page, flags=re.MULTILINE)
    return {title: f"## {title}\n{body.rstrip()}\n" for title, body in zip(found[1::2], found[2::2], strict=True)}


def _machine() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "numba"))
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, {packages}."


if __name__ == "__main__":
    main()
