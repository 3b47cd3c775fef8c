"""Which release a known issue begins and ends with, found again in the histories of the projects themselves.

    python benchmarks/known_issues.py --clones DIR          # the table
    python benchmarks/known_issues.py --clones DIR --write  # and docs/ranges.md

DIR holds clones with tags as OWNER+NAME, OWNER/NAME or NAME, or folders around them. An end that is known by "commit
and tag" names the pull requests that brought the fault (`brought`) and that mended it (`mended`): their commits are
looked for in all branches, since fixes are carried over to release branches, and the first release that `git tag
--contains` names is held against the range. Several that mend count from the last of them.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from packaging.version import Version
from tabulate import tabulate

from forensics.rules._issue_files import load

PAGE = Path(__file__).parent.parent / "docs" / "ranges.md"
HEAD = """\
# Ranges found again

Written by `python benchmarks/known_issues.py --clones DIR --write` from the histories of the projects. Each end of a
range of [the known issues](coverage.md) that is known by "commit and tag" stands here with the first release that the
commits of its pull requests are in. An end that could not be checked says why. No end may be contradicted.
"""
RELEASE = re.compile(r"(?:core_)?v*(\d+(?:\.\d+)+(?:\.post\d+)?)")
LINK = re.compile(r"https://github\.com/([\w.-]+/[\w.-]+)/(?:pull/(\d+)|commit/([0-9a-f]{7,40}))")
MOVED = {"volcengine/verl": "verl-project/verl", "hiyouga/LLaMA-Factory": "hiyouga/LlamaFactory"}
"""Repositories that have another name by now; a clone may lie under either."""
END = re.compile(r"(>=|<|==)\s*([\w.]+)")


@dataclass(frozen=True, slots=True)
class End:
    """One end of a range: which entry, the release that it claims, the links that show it."""

    entry: str
    package: str
    kind: str
    claimed: str
    links: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What the history says of an end."""

    end: End
    release: str
    verdict: str


def ends() -> Iterator[End]:
    """Yield every end that is known by a commit and the tags that hold it, in the order of the entries."""
    for _, issue in load():
        for table in issue.get("affected", ()):
            bounds = dict(END.findall(table["versions"]))
            for kind, how, sign in (("first", "brought", ">="), ("fixed", "mended", "<")):
                claimed = bounds.get(sign, bounds.get("=="))
                if claimed is not None and table.get(kind) == "commit and tag":
                    yield End(issue["name"], table["package"], kind, claimed, tuple(table.get(how, ())))


def check(end: End, clones: Path) -> Found:
    """Hold an end against the releases that hold its commits."""
    if not end.links:
        return Found(end, "", "not checked: the entry names no pull request")
    releases = []
    for link in end.links:
        found = first_release(link, clones)
        if isinstance(found, str):
            return Found(end, "", f"not checked: {found}")
        releases.append(found)
    last = max(releases)
    right = last == Version(end.claimed)
    return Found(end, str(last), "agrees" if right else "contradicted")


def first_release(link: str, clones: Path) -> Version | str:
    """Return the first release with the commit that a link names, else why there is none."""
    match = LINK.fullmatch(link)
    if match is None:
        return f"{link} is no pull request or commit"
    clone = clone_of(match[1], clones)
    if clone is None:
        return f"no clone of {match[1]}"
    commits = [match[3]] if match[3] else commits_of(clone, match[2])
    if not commits:
        return f"no commit of {match[1]}#{match[2]}"
    tags = (tag for commit in commits for tag in git(clone, "tag", "--contains", commit).split())
    versions = [Version(found[1]) for tag in tags if (found := RELEASE.fullmatch(tag))]
    return min(versions) if versions else f"no release has {match[1]}#{match[2]} yet"


def clone_of(repository: str, clones: Path) -> Path | None:
    for name in (
        repository,
        MOVED.get(repository, repository),
        *(old for old, new in MOVED.items() if new == repository),
    ):
        owner, _, short = name.partition("/")
        for folder in (clones / f"{owner}+{short}", clones / owner / short, clones / short):
            for place in (folder, folder / "repo"):
                if (place / "HEAD").exists() or (place / ".git").exists():
                    return place
    return None


def commits_of(clone: Path, number: str) -> list[str]:
    """Return the commits, on any branch, whose subject names the pull request as its own."""
    listed = git(clone, "log", "--all", "--format=%H%x09%s", "-E", f"--grep=#{number}([^0-9]|$)").splitlines()
    own = re.compile(rf"\(#{number}\)(?:\s|$)|Merge pull request #{number}\b")
    return [line.partition("\t")[0] for line in listed if own.search(line.partition("\t")[2])]


@cache
def git(clone: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", str(clone), *arguments], capture_output=True, text=True, check=True).stdout


def table_of(found: Sequence[Found]) -> str:
    rows = [
        (f.end.entry, f.end.package, f.end.kind, f.end.claimed, f.release, " ".join(map(short, f.end.links)), f.verdict)
        for f in found
    ]
    headers = ("entry", "package", "end", "claimed", "found", "by", "verdict")
    return tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True)


def short(link: str) -> str:
    """Return a link as a page shows it."""
    match = LINK.fullmatch(link)
    return link if match is None else f"[#{match[2]}]({link})" if match[2] else f"[{match[3][:9]}]({link})"


def counted(found: Sequence[Found]) -> str:
    agrees = sum(f.verdict == "agrees" for f in found)
    wrong = sum(f.verdict == "contradicted" for f in found)
    left = len(found) - agrees - wrong
    return f"{len(found)} ends: {agrees} checked and right, {wrong} contradicted, {left} not checked."


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clones", type=Path, required=True)
    parser.add_argument("--write", action="store_true")
    given: Any = parser.parse_args(arguments)
    found = [check(end, given.clones) for end in ends()]
    text = f"{table_of(found)}\n\n{counted(found)}\n"
    print(text, end="")
    if given.write:
        PAGE.write_text(f"{HEAD}\n{text}")
    return 1 if any(f.verdict == "contradicted" for f in found) else 0


if __name__ == "__main__":
    sys.exit(main())
