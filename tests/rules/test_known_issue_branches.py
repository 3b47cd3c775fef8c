"""Each piece of evidence of each data entry counts as it says: alone, beside the others, and in no other run."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from forensics.diagnosis.reason import reason
from forensics.model import Finding, Source
from forensics.rules._known_issues import OBSERVATIONS, declare, load, look
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
HINTS = {
    "environment-stack-regression": "only another image decides",
    "neftune-handling": "it never did more than raise the loss a little",
    "non-cuda-backend": "a board proves nothing",
    "pad-equals-eos-masking": "the end token is masked without any other sign",
    "torch-compile": "only a run without it decides",
}
"""Entries that never get beyond "possible", whatever the run recorded, and why."""


def branches() -> Iterator[Any]:
    """Yield (entry, number of its evidence, whether its subject holds) for all that is worth points."""
    for file, issue in ISSUES.items():
        for number, table in enumerate(issue.get("evidence", ())):
            for fits in (True, False):
                if table.get("yes" if fits else "no", 0):
                    yield pytest.param(file, number, fits, id=f"{file}-{number}-{'yes' if fits else 'no'}")


def counted(judge: Judge, issue: Mapping[str, Any], table: Table, facts: Facts) -> list[int]:
    """Return the points that the subject of `table` is given in the run of `facts`."""
    seen = look(table, run_of(facts), explained_by(facts))
    hypothesis = judge(declare(issue), run_of(facts), "loss-to-zero", step=facts.get("onset", 5))
    return [e.points for e in hypothesis.evidence if seen is not None and e.identity == seen.key]


def supports(issue: Mapping[str, Any]) -> Iterator[Facts]:
    """Yield runs in which one thing that speaks for this cause of its own is so."""
    if "affected" in issue and issue["affected"].get("yes", 4) > 0:
        yield affected(issue, fits=True)
    for table in issue.get("evidence", ()):
        if not table.get("sign"):
            yield from (facts_for(table, fits) for fits in (True, False) if table.get("yes" if fits else "no", 0) > 0)


def affected(issue: Mapping[str, Any], *, fits: bool) -> Facts:
    return {"packages": {issue["affected"]["package"]: version_for(issue["affected"]["versions"], fits)}}


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
    start = affected(issue, fits=True) if "affected" in issue else {}
    kept = [{"package": issue["affected"]["package"], "within": issue["affected"]["versions"]}] if start else []
    wanted = sorted((t for t in issue["evidence"] if t.get("yes", 0) > 0), key=lambda t: -t["yes"])
    facts = together(wanted, start, kept)
    hypothesis = judge(declare(issue), run_of(facts), "loss-to-zero", step=facts.get("onset", 5))

    assert hypothesis.holds is (issue["name"] not in HINTS), (hypothesis.verdict, hypothesis.evidence)


def test_every_observation_can_be_made_to_hold_and_to_fail() -> None:
    """The observations that entries may name are those that these tests know how to bring about."""
    used = {t["observation"] for issue in ISSUES.values() for t in issue.get("evidence", ()) if "observation" in t}

    assert set(OBSERVED) == set(OBSERVATIONS)
    assert used <= set(OBSERVED)
    assert set(HINTS) <= {issue["name"] for issue in ISSUES.values()}


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
        ranges = [(issue["affected"]["package"], issue["affected"]["versions"])] if "affected" in issue else []
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
def test_a_range_ends_where_it_says(judge: Judge, file: str, package: str, specifier: str, release: str) -> None:
    """A release at an end, just before and just after it counts by the range as written, build tags aside."""
    issue = ISSUES[file]
    told = f"{package} {release}+cu121 lies {'in' if lies_in(release, specifier) else 'outside'} {specifier}"
    run = make_run(packages={package: f"{release}+cu121"})
    found = [e for e in judge(declare(issue), run, "loss-to-zero").evidence if e.key == f"version of {package}"]
    expected = points_of(issue, package, specifier, inside=lies_in(release, specifier))

    assert sum(e.points for e in found if e.statement.startswith(told)) == expected


def points_of(issue: Mapping[str, Any], package: str, specifier: str, *, inside: bool) -> int:
    side = "yes" if inside else "no"
    given = issue.get("affected", {})
    if (given.get("package"), given.get("versions")) == (package, specifier):
        return int(given.get(side, {"yes": 4, "no": -6}[side]))
    same = (t for t in issue["evidence"] if (t.get("package"), t.get("within")) == (package, specifier))
    return int(next(same).get(side, 0))


def besides_its_version(issue: Mapping[str, Any]) -> list[Facts]:
    package = issue.get("affected", {}).get("package")
    return [facts for facts in supports(issue) if package not in facts.get("packages", {})]


@pytest.mark.parametrize("file", [f for f, i in ISSUES.items() if "affected" in i and besides_its_version(i)])
@pytest.mark.parametrize("version", [None, "unknown"])
def test_an_unknown_version_is_missing_evidence(judge: Judge, file: str, version: str | None) -> None:
    """A version that was not recorded is listed as missing and gives no point; nor does one that no release has."""
    issue = ISSUES[file]
    package = issue["affected"]["package"]
    facts = besides_its_version(issue)[0]
    if version is not None:
        facts = merged(facts, {"packages": {package: version}})
    rule = declare(issue)
    finding = Finding(rule.explains[0], "error", "", Source("log"), 5, (None, 5))
    argued = reason(run_of(facts), [finding], [rule]).causes[0]

    assert f"version of {package}" not in {e.key for e in judge(rule, run_of(facts), "loss-to-zero").evidence}
    assert (f"package {package}" in argued.missing) is (version is None)


UPSTREAM = {
    "bnb-8bit-optimizer-bug": ("bitsandbytes", ["0.36.0", "0.41.0"], ["0.35.4", "0.41.1"]),
    "ds-cpu-offload-gradients": ("deepspeed", ["0.16.9", "0.18.9"], ["0.19.0"]),
    "ds-pipeline-loss-display": ("deepspeed", ["0.11.2", "0.12.3"], ["0.11.1", "0.12.4"]),
    "ds-zero0-bf16-gradient-bug": ("deepspeed", ["0.13.2", "0.18.5"], ["0.18.6"]),
    "ds-zero2-gradient-regression": ("deepspeed", ["0.17.6", "0.18.3"], ["0.17.5", "0.18.6"]),
    "ds-zeropp-hpz-bug": ("deepspeed", ["0.13.2", "0.14.3"], ["0.14.4"]),
    "flash-attention-bug": ("flash-attn", ["2.0.0", "2.0.4"], ["1.0.9", "2.0.5"]),
    "framework-regression": ("unsloth", ["2024.11.6"], ["2024.11.5", "2024.11.7"]),
    "fully-masked-attention-row": ("torch", ["2.1.0", "2.4.1"], ["2.5.0"]),
    "neftune-handling": ("trl", ["0.9.6", "0.11.4"], ["0.12.0"]),
    "peft-double-state-dict-filter": ("peft", ["0.3.0", "0.15.0"], ["0.2.0"]),
    "rng-state-refused": ("torch", ["2.6.0", "2.7.1"], ["2.5.1"]),
}
"""Releases that upstream names as affected, and the nearest ones that it names as free of the fault."""


def test_the_ranges_hold_the_releases_that_upstream_names() -> None:
    entries = {issue["name"]: issue["affected"] for issue in ISSUES.values() if "affected" in issue}
    wrong = [
        (name, release)
        for name, (package, bad, good) in UPSTREAM.items()
        for release in (*bad, *good)
        if lies_in(release, entries[name]["versions"]) is not (release in bad) or entries[name]["package"] != package
    ]

    assert set(entries) == set(UPSTREAM)
    assert wrong == []
