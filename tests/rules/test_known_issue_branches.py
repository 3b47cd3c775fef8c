"""Each piece of evidence of each data entry counts as it says: alone, beside the others, and in no other run."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from forensics.diagnosis.reason import argued
from forensics.model import Explained, Finding, Hypothesis, Source
from forensics.rules._issue_files import load
from forensics.rules._known_issues import OBSERVATIONS, declare, look
from forensics.rules._versions import Affected
from forensics.testing import make_run
from rules.issue_runs import (
    OBSERVED,
    Facts,
    Table,
    explained_by,
    facts_for,
    fits_in,
    merged,
    run_of,
    together,
    version_for,
)
from rules.rule_judging import Judge

ISSUES = dict(load())


def branches() -> Iterator[Any]:
    """Yield (entry, number of its evidence, whether its subject holds) for all that is worth points."""
    for file, issue in ISSUES.items():
        for number, table in enumerate(issue.get("evidence", ())):
            for fits in (True, False):
                if table.get("yes" if fits else "no", 0):
                    yield pytest.param(file, number, fits, id=f"{file}-{number}-{'yes' if fits else 'no'}")


def asked(judge: Judge, issue: Mapping[str, Any], facts: Facts) -> Hypothesis:
    return judge(declare(issue), run_of(facts), facts.get("symptom", "loss-to-zero"), step=facts.get("onset", 5))


def counted(judge: Judge, issue: Mapping[str, Any], table: Table, facts: Facts) -> list[int]:
    """Return the points that the subject of `table` is given in the run of `facts`."""
    seen = look(table, run_of(facts), explained_by(facts))
    hypothesis = asked(judge, issue, facts)
    given = (e for e in hypothesis.evidence if e.state is None)
    return [e.points for e in given if seen is not None and e.identity == seen.key]


def supports(issue: Mapping[str, Any]) -> Iterator[Facts]:
    """Yield runs in which one thing that speaks for this cause of its own is so."""
    if affected(issue).get("packages") and issue["affected"][0].get("yes", 0) > 0:
        yield affected(issue)
    for table in issue.get("evidence", ()):
        if not table.get("sign"):
            yield from (facts_for(table, fits) for fits in (True, False) if table.get("yes" if fits else "no", 0) > 0)


def affected(issue: Mapping[str, Any]) -> Facts:
    """Return a run with a release in the first range that an entry names."""
    first = next(iter(issue.get("affected", ())), None)
    return {} if first is None else {"packages": {first["package"]: version_for(first["versions"], fits=True)}}


@pytest.mark.parametrize(("file", "number", "fits"), [*branches()])
def test_each_piece_of_evidence_counts_as_written(judge: Judge, file: str, number: int, fits: bool) -> None:
    """Alone it gives its points; a mark that many causes share gives them only beside one of the entry's own."""
    issue = ISSUES[file]
    table = issue["evidence"][number]
    points = table["yes" if fits else "no"]
    alone = facts_for(table, fits)
    shared = bool(table.get("sign")) and points > 0

    assert fits_in(table, alone, fits)
    assert counted(judge, issue, table, alone) == ([] if shared else [points])
    if shared:
        beside = [both for other in supports(issue) if fits_in(table, both := merged(other, alone), fits)]
        assert [points] in [counted(judge, issue, table, both) for both in beside], "nothing lets it count"


@pytest.mark.parametrize("file", ISSUES)
def test_all_that_an_entry_looks_for_makes_it_likely(judge: Judge, file: str) -> None:
    """A run that shows everything an entry names is called so, but for the entries that can only hint."""
    issue = ISSUES[file]
    start = affected(issue)
    kept = [{"package": t["package"], "within": t["versions"]} for t in issue.get("affected", ())[:1]]
    needed = [t for t in issue["evidence"] if t.get("necessary")]
    wanted = sorted((t for t in issue["evidence"] if t.get("yes", 0) > 0), key=lambda t: -t["yes"])
    facts = together([*needed, *wanted], start, kept)
    hypothesis = asked(judge, issue, facts)

    advice = "write what would decide as a `hint`" if "hint" not in issue else "leave out its `hint`"
    assert hypothesis.holds is ("hint" not in issue), f"{file} is {hypothesis.verdict} at most: {advice}"
    assert hypothesis.would_decide == ()


def needed_tables() -> Iterator[Any]:
    """Yield (entry, number) of every table that is a necessary condition."""
    for file, issue in ISSUES.items():
        for number, table in enumerate(issue.get("evidence", ())):
            if table.get("necessary"):
                yield pytest.param(file, number, id=f"{file}-{number}")


@pytest.mark.parametrize(("file", "number"), [*needed_tables()])
def test_a_condition_that_a_run_states_to_be_false_rules_out(judge: Judge, file: str, number: int) -> None:
    """So does each thing that contradicts it, however well the condition itself holds."""
    issue = ISSUES[file]
    table = issue["evidence"][number]
    against = [merged(facts_for(table, fits=True), facts_for(other, fits=True)) for other in table.get("unless", ())]
    against.append(facts_for(table, fits=False))

    for facts in against:
        said = judge(declare(issue), run_of(facts), "loss-to-zero", step=facts.get("onset", 5))
        assert said.verdict == "ruled out", facts


def test_every_observation_can_be_made_to_hold_and_to_fail() -> None:
    """The observations that entries may name are those that these tests know how to bring about."""
    tables = [t for issue in ISSUES.values() for table in issue["evidence"] for t in (table, *table.get("unless", ()))]
    used = {t["observation"] for t in tables if "observation" in t}

    assert set(OBSERVED) == set(OBSERVATIONS)
    assert used <= set(OBSERVED)


def number(release: str) -> tuple[int, ...]:
    return (*(int(part) for part in re.findall(r"\d+", release)[:4]), 0, 0, 0)[:4]


def neighbours(bound: str) -> tuple[str, str, str]:
    """Return the bound with a release just below and one just above it."""
    *head, last = [int(part) for part in re.findall(r"\d+", bound)]
    while last == 0 and head:
        last = head.pop()
    return ".".join(map(str, [*head, last - 1, 99])), bound, f"{bound}.1" if bound.replace(".", "").isdigit() else bound


def edges() -> Iterator[Any]:
    """Yield each end of each range of versions, with releases on both sides of it."""
    for file, issue in ISSUES.items():
        ranges = [(t["package"], t["versions"]) for t in issue.get("affected", ())[:1]]
        ranges += [(t["package"], t["within"]) for t in issue.get("evidence", ()) if "package" in t]
        for package, specifier in ranges:
            for bound in re.findall(r"[\d][\w.]*", specifier):
                for release in dict.fromkeys(neighbours(bound)):
                    yield pytest.param(file, package, specifier, release, id=f"{file}-{package}-{release}")


COMPARED = {
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
    "==": lambda a, b: a == b,
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
}


def lies_in(release: str, specifier: str) -> bool:
    """Compare number by number, without the library that the product uses."""
    clauses = [re.fullmatch(r"\s*([<>=]+)\s*(.*)", clause) for clause in specifier.split(",")]
    return all(c is not None and COMPARED[c[1]](number(release), number(c[2])) for c in clauses)


@pytest.mark.parametrize(("file", "package", "specifier", "release"), [*edges()])
def test_a_range_ends_where_it_says(file: str, package: str, specifier: str, release: str) -> None:
    """A release at an end, just before and just after it counts by the range as written, build tags aside."""
    inside = lies_in(release, specifier)
    run = make_run(packages={package: f"{release}+cu121"})
    seen = Affected(package, specifier).seen(run)

    assert seen is not None
    assert (seen.holds, seen.key) == (inside, f"version of {package}")
    assert seen.statement == f"{package} {release}+cu121 lies {'in' if inside else 'outside'} {specifier}"
    assert ISSUES[file]


def releases() -> Iterator[Any]:
    """Yield (entry, release, whether one of its ranges holds it, the number of the range that counts)."""
    for file, issue in ISSUES.items():
        tables = issue.get("affected", ())
        for number, table in enumerate(tables):
            yield pytest.param(file, version_for(table["versions"], fits=True), number, True, id=f"{file}-{number}-in")
        if tables:
            outside = next(v for v in ("0.0.1.dev0", "9999") if not any(lies_in(v, t["versions"]) for t in tables))
            yield pytest.param(file, outside, 0, False, id=f"{file}-outside")


@pytest.mark.parametrize(("file", "release", "number", "inside"), [*releases()])
def test_a_release_counts_by_the_range_that_holds_it(
    judge: Judge, file: str, release: str, number: int, inside: bool
) -> None:
    """Inside it gives the points of that range; outside of all it costs what the first says, or rules out."""
    issue = ISSUES[file]
    table = issue["affected"][number]
    said = judge(declare(issue), make_run(packages={table["package"]: release}), "loss-to-zero")
    found = [e.points for e in said.evidence if e.key == f"version of {table['package']}" and e.state is None]
    points = table.get("yes" if inside else "no", 0)

    assert found == ([points] if points else [])
    assert (said.verdict == "ruled out") is (not inside and bool(table.get("necessary")))


def besides_its_version(issue: Mapping[str, Any]) -> list[Facts]:
    package = next((t["package"] for t in issue.get("affected", ())), None)
    return [facts for facts in supports(issue) if package not in facts.get("packages", {})]


@pytest.mark.parametrize("file", [f for f, i in ISSUES.items() if "affected" in i and besides_its_version(i)])
@pytest.mark.parametrize("version", [None, "unknown"])
def test_an_unknown_version_is_missing_evidence(judge: Judge, file: str, version: str | None) -> None:
    """A version that was not recorded is listed as missing and gives no point; nor does one that no release has."""
    issue = ISSUES[file]
    package = issue["affected"][0]["package"]
    facts = besides_its_version(issue)[0]
    if version is not None:
        facts = merged(facts, {"packages": {package: version}})
    rule = declare(issue)
    finding = Finding(rule.explains[0], "error", "", Source("log"), 5, (None, 5))
    said = argued(rule, run_of(facts), Explained(finding.symptom, finding))

    assert f"version of {package}" not in {e.key for e in judge(rule, run_of(facts), "loss-to-zero").evidence}
    assert (f"package {package}" in said.missing) is (version is None)


@pytest.mark.parametrize("file", [file for file, issue in ISSUES.items() if "affected" in issue])
def test_a_range_names_a_release_inside_and_one_outside(file: str) -> None:
    """The loader holds them against the range: `test_vocabulary.py`."""
    tables = ISSUES[file]["affected"]

    assert any(table.get("bad") for table in tables)
    assert any(table.get("good") for table in tables)
