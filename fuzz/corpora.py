"""Run what other scanners test themselves with: `python -m fuzz.corpora FOLDER [--write PAGE] [--list]`.

FOLDER holds the git folders of the four repositories, named as in `foreign.REPOSITORIES`; one that is missing is
cloned there. Nothing of them is imported or executed, nothing of them is committed.
"""

import argparse
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias

import forensics
from forensics.errors import ForensicsError, NothingReadableError
from forensics.formats.pickle_search import unsafe_names
from forensics.limits import DEFAULT
from forensics.storage.file import File
from forensics.weights import inspection
from fuzz.foreign import REPOSITORIES, Input, Repository, fetched, inputs
from fuzz.harness import Explorer, Seen, held, in_child
from fuzz.targets import FailedError, Target

MARK = re.compile(r"(?<=<!-- corpora -->\n).*?(?=<!-- /corpora -->)", re.DOTALL)
ARCHIVES = (".zip", ".tar", ".gz")
IN_A_LONGER_NAME = frozenset({"builtins.getattr", "__builtin__.getattr"})
"""What is told by the name that it makes: `getattr(os, "system")` asks for `os.system`."""
Answer: TypeAlias = Literal["named", "refused", "silent"]


@dataclass(frozen=True, slots=True)
class Tried:
    """What was said of one input: every name that it asks for, why it cannot be read, or nothing."""

    one: Input
    answer: Answer
    said: str


def judged(one: Input, folder: Path) -> Tried:
    """Scan and analyze one input in a folder of its own, and render the report."""
    path = folder / one.name
    path.write_bytes(one.content)
    names, told = _names(path)
    outputs = "\n".join((*_scanned(path), *_analyzed(path if one.name.endswith(ARCHIVES) else folder)))
    asked = one.asks or names
    missed = [name for name in asked if name not in {*names, *IN_A_LONGER_NAME} and name not in outputs]
    if asked and not missed and "asks for" in outputs:
        return Tried(one, "named", ", ".join(asked))
    told = f"{told}\n{outputs}"
    refusal = next((line for line in told.splitlines() if line.startswith("refused: ")), "")
    return Tried(one, "refused" if refusal else "silent", refusal[9:] or f"{', '.join(missed)}: not named")


def _names(path: Path) -> tuple[tuple[str, ...], str]:
    try:
        with File(path) as file:
            return unsafe_names(file, DEFAULT), ""
    except ForensicsError as error:
        return (), f"refused: {error}"


def _scanned(path: Path) -> Iterator[str]:
    try:
        checkpoints, skips = inspection.scan(path)
    except NothingReadableError:
        return
    except ForensicsError as error:
        yield f"refused: {error}"
        return
    yield from (problem.statement for one in checkpoints for problem in one.problems)
    yield from (f"refused: {skip.reason}" for skip in skips)


def _analyzed(path: Path) -> Iterator[str]:
    try:
        report = forensics.analyze(path, weights="full")
    except NothingReadableError:
        return
    except ForensicsError as error:
        yield f"refused: {error}"
        return
    if report.failures:
        raise FailedError(report.failures[0])
    for form in ("terminal", "json", "html", "markdown", "sarif"):
        yield forensics.render(report, form)


def run(repository: Repository, folder: Path) -> tuple[Seen, list[Tried]]:
    """Try everything of one repository under the fuzzer's watch."""
    tried: list[Tried] = []
    ask: Callable[[Path], Tried]
    explorer = Explorer(Target(repository.name, lambda: iter(()), lambda _content, place: tried.append(ask(place))))
    with tempfile.TemporaryDirectory(prefix="medforensics-corpus-") as made:
        before = held()
        for one in inputs(repository, fetched(repository, folder)):
            ask = partial(judged, one)
            explorer.feed(one.content, Path(made) / "run")
        explorer.seen.grown = held() - before
    return explorer.seen, tried


def table(results: Sequence[tuple[Repository, Seen, Sequence[Tried]]]) -> str:
    """Return what was seen as a table of Markdown."""
    lines = [
        "| tests of | inputs | hostile | named | refused, with the reason | silent | faults | slowest | memory |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for repository, seen, tried in results:
        hostile = [one for one in tried if one.one.hostile]
        counts = [sum(one.answer == answer for one in hostile) for answer in ("named", "refused", "silent")]
        lines.append(
            f"| [{repository.name}]({repository.url}/tree/{repository.commit[:12]}) | {seen.tried} | {len(hostile)} | "
            f"{' | '.join(map(str, counts))} | {len(seen.faults)} | {seen.slowest:.2f} s | {seen.grown >> 20} MB |"
        )
    total = sum(seen.tried for _, seen, _ in results)
    return "\n".join([*lines, "", f"{total} inputs: `python -m fuzz.corpora FOLDER --write docs/security.md`."])


def main() -> int:
    asked = argparse.ArgumentParser(prog="python -m fuzz.corpora", description=__doc__)
    asked.add_argument("folder", type=Path, help="where the git folders are, or are cloned to")
    asked.add_argument("--list", action="store_true", help="every input with what was said of it")
    asked.add_argument("--write", type=Path, help="a page whose table is written anew")
    given = asked.parse_args()
    results = []
    for repository in REPOSITORIES:
        found, status = in_child(partial(run, repository, given.folder))
        if found is None:
            print(f"{repository.name}: the process died with status {status}", file=sys.stderr)
            return 1
        results.append((repository, *found))
    for _, seen, tried in results:
        for what, _content in seen.faults:
            print(f"{seen.name}: {what}", file=sys.stderr)
        for one in tried if given.list else [one for one in tried if one.one.hostile and one.answer == "silent"]:
            print(f"{seen.name}: {one.one.place} {one.one.name}: {one.answer}: {one.said}", file=sys.stderr)
    print(table(results))
    if given.write is not None:
        page = given.write.read_text(encoding="utf-8")
        given.write.write_text(MARK.sub(lambda _: f"{table(results)}\n", page), encoding="utf-8")
    wrong = any(seen.faults or any(t.one.hostile and t.answer == "silent" for t in tried) for _, seen, tried in results)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
