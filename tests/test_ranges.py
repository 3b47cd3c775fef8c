"""The ends of ranges are found again in histories: made here, with tags, a branch and a fix that was carried over."""

import re
import subprocess
from pathlib import Path

import pytest

from benchmark_modules import loaded
from runs import ROOT

ranges = loaded("known_issues")
PULL = "https://github.com/o/n/pull/"


def git(place: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    subprocess.run(["git", "-C", str(place), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def clones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose pull request 12 is in 1.1 by its branch and in 1.2; 123 and a mention of 12 come later."""
    folder = tmp_path_factory.mktemp("clones")
    place = folder / "o" / "n"
    place.mkdir(parents=True)
    git(place, "init", "-q", "-b", "main")
    commit = ("commit", "-q", "--allow-empty", "-m")
    git(place, *commit, "begin (#1)")
    git(place, "tag", "v1.0")
    git(place, "branch", "release")
    git(place, *commit, "mend (#12)")
    git(place, "tag", "v1.2rc1")
    git(place, "tag", "v1.2")
    git(place, *commit, "more (#123)")
    git(place, *commit, "Revert what #12 said (#13)")
    git(place, "tag", "nightly")
    git(place, "checkout", "-q", "release")
    git(place, *commit, "mend (#12)")
    git(place, "tag", "v1.1")
    return folder


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("1", "1.0"),
        ("12", "1.1"),
        ("13", "no release has o/n#13 yet"),
        ("123", "no release has o/n#123 yet"),
        ("99", "no commit of o/n#99"),
    ],
)
def test_the_first_release_of_a_pull_request_is_found(clones: Path, number: str, expected: str) -> None:
    """A release branch counts, a candidate does not; a mention of the number is no commit of it."""
    assert str(ranges.first_release(PULL + number, clones)) == expected


def test_a_clone_that_is_not_there_is_said(clones: Path) -> None:
    assert ranges.first_release("https://github.com/p/q/pull/1", clones) == "no clone of p/q"
    assert "is no pull request" in ranges.first_release("https://github.com/o/n/issues/1", clones)


@pytest.mark.parametrize(
    ("claimed", "links", "verdict"),
    [
        ("1.1", ("12",), "agrees"),
        ("1.2", ("12",), "contradicted"),
        ("1.1", ("1", "12"), "agrees"),
        ("1.0", ("1", "12"), "contradicted"),
        ("1.0", (), "not checked: the entry names no pull request"),
    ],
)
def test_an_end_is_held_against_what_was_found(
    clones: Path, claimed: str, links: tuple[str, ...], verdict: str
) -> None:
    """Of several that mend the last one counts."""
    end = ranges.End("e", "n", "fixed", claimed, tuple(PULL + n for n in links))

    assert ranges.check(end, clones).verdict == verdict


def test_every_end_by_a_commit_names_the_pull_request_or_is_told(clones: Path) -> None:
    """Without clones all ends are listed as not checked, and nothing is contradicted."""
    found = [ranges.check(end, clones) for end in ranges.ends()]

    assert len(found) > 60
    assert all(f.verdict.startswith("not checked") for f in found)
    assert sum(f.verdict == "not checked: the entry names no pull request" for f in found) == 0


def test_the_page_lists_every_end_and_contradicts_none() -> None:
    """docs/ranges.md was written from the entries of today."""
    page = (ROOT / "docs" / "ranges.md").read_text()
    rows = [tuple(cell.strip() for cell in line.split("|")[1:5]) for line in page.splitlines() if line.startswith("| ")]

    assert rows[1:] == [(e.entry, e.package, e.kind, e.claimed) for e in ranges.ends()]
    assert re.search(r"\d+ ends: \d+ checked and right, 0 contradicted, \d+ not checked", page)
