"""Run every benchmark and write what they print into docs/benchmarks.md.

    python benchmarks/tables.py --peers DIR --deepspeed PYTHON --before OLDER
    python benchmarks/tables.py --only analyze         # keeps the other chapters as they are

DIR holds the programs of the rivals (a `bin` of an environment with runmedic, trainproof, trainspotter, losslint,
tensorboard and tbparse), PYTHON is an interpreter with torch and deepspeed, OLDER one with the version of
medforensics to compare with. A benchmark that fails keeps the chapter it had.
"""

import argparse
import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

FOLDER = Path(__file__).parent
PAGE = FOLDER.parent / "docs" / "benchmarks.md"
README = FOLDER.parent / "README.md"
HEAD = """\
# Benchmarks

Written by `python benchmarks/tables.py`; each chapter says which command printed it and on how busy a machine. Each
benchmark makes its data and measures its peers in the same run, without network. Trust CPU time before wall time, and
ratios of one table before its seconds.
"""


@dataclass(frozen=True, slots=True)
class Chapter:
    """A benchmark: its script with arguments. `asks` are options filled from those of this program, by name."""

    script: str
    title: str
    arguments: tuple[str, ...] = ()
    asks: tuple[tuple[str, str], ...] = ()

    def command(self, given: dict[str, str | None]) -> list[str]:
        """Return script and arguments; an option whose value is not given is left out."""
        filled = [(option, _filled(value, given)) for option, value in self.asks]
        options = [word for option, value in filled if value is not None for word in (option, value)]
        return [f"benchmarks/{self.script}.py", *self.arguments, *options]

    @property
    def shown(self) -> str:
        """Return the command as a reader types it."""
        return " ".join(["python", *self.command({"peers": "DIR", "deepspeed": "PYTHON", "before": "PYTHON"})])


CHAPTERS = (
    Chapter("installation", "What an installation weighs"),
    Chapter("start_up", "Start-up", asks=(("--before", "{before}"),)),
    Chapter("analyze", "The whole command line on an event file", asks=(("--peers", "{peers}"),)),
    Chapter("readers_events", "Event files", asks=(("--peers", "{peers}/python"),)),
    Chapter("readers_text", "Text logs"),
    Chapter("readers_beside", "Text logs beside the version before", asks=(("--before", "{before}"),)),
    Chapter("readers_sources", "Public notebooks, issues and logs"),
    Chapter("weights", "Checkpoints: scan and diff", ("--gigabytes", "4", "--cold")),
    Chapter("weights_commands", "Checkpoints: with and without compiled loops", asks=(("--before", "{before}"),)),
    Chapter("weights_passes", "Checkpoints: the passes of numpy"),
    Chapter("zero_shards", "ZeRO shards", ("--size", "4000", "--repeat", "2"), (("--deepspeed", "{deepspeed}"),)),
    Chapter("recorder", "The black box: what it costs"),
    Chapter("scale", "Thousands of runs, long logs"),
    Chapter("diagnosis", "How often the diagnosis is right", asks=(("--peers", "{peers}"),)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", metavar="DIR", help="the folder with the programs of the rivals")
    parser.add_argument("--deepspeed", metavar="PYTHON", help="an interpreter with torch and deepspeed")
    parser.add_argument("--before", metavar="PYTHON", help="an interpreter with the version before")
    parser.add_argument("--only", action="append", choices=[chapter.script for chapter in CHAPTERS])
    given = parser.parse_args()
    kept = chapters_of(PAGE.read_text(encoding="utf-8")) if PAGE.exists() else {}
    for chapter in CHAPTERS:
        if given.only and chapter.script not in given.only:
            continue
        print(chapter.shown, flush=True)
        load = os.getloadavg()[0]
        printed = _printed(chapter.command({name: getattr(given, name) for name in ("peers", "deepspeed", "before")}))
        if printed is not None:
            kept[chapter.title] = written(chapter, printed, load)
            PAGE.write_text(page_of(kept), encoding="utf-8")
            if chapter.script == "diagnosis":
                README.write_text(with_diagnosis(README.read_text(encoding="utf-8"), printed), encoding="utf-8")


def with_diagnosis(readme: str, printed: str) -> str:
    """Return the README with the first and the last table of the diagnosis: all runs, and the rivals on them."""
    blocks = printed.strip().split("\n\n")
    block = "\n\n".join([blocks[0], *blocks[1:][-1:]])
    return re.sub(
        r"(<!-- diagnosis -->\s*```text\n).*?(\n```)",
        lambda marked: marked[1] + block + marked[2],
        readme,
        flags=re.DOTALL,
    )


def page_of(kept: dict[str, str]) -> str:
    """Return the page with the chapters that there are, in their order."""
    return "\n".join([HEAD, *(kept[chapter.title] for chapter in CHAPTERS if chapter.title in kept)])


def written(chapter: Chapter, printed: str, load: float) -> str:
    """Return a chapter of the page; a table that is no Markdown stands as it was printed."""
    text = printed if "|--" in printed or "| --" in printed else f"```text\n{printed}\n```"
    return f"## {chapter.title}\n\n`{chapter.shown}`\n\n{_machine(load)}\n\n{text}\n"


def chapters_of(page: str) -> dict[str, str]:
    """Return the chapters of a page by title."""
    found = re.split(r"^## (.+)$", page, flags=re.MULTILINE)
    return {title: f"## {title}\n\n{body.strip()}\n" for title, body in zip(found[1::2], found[2::2], strict=True)}


def _filled(value: str, given: dict[str, str | None]) -> str | None:
    names = re.findall(r"\{(\w+)\}", value)
    return None if any(given.get(name) is None for name in names) else value.format(**given)


def _printed(command: list[str]) -> str | None:
    ran = subprocess.run([sys.executable, *command], cwd=FOLDER.parent, capture_output=True, text=True, check=False)
    if ran.returncode:
        print(f"  failed: {ran.stderr.strip().splitlines()[-1:]}")
        return None
    return ran.stdout.strip()


def _machine(load: float) -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "numba"))
    busy = f"load {load:.1f} at the start"
    return (
        f"{os.cpu_count()} shared cores, {platform.machine()}, Python {platform.python_version()}, {packages}; {busy}."
    )


if __name__ == "__main__":
    main()
