"""How often the diagnosis is right: real fixture runs, cases told as facts, and runs on which others fail.

python benchmarks/diagnosis.py                 # the tables
python benchmarks/diagnosis.py --verbose       # every miss as well
python benchmarks/diagnosis.py --peers DIR     # beside trainproof, runmedic, trainspotter and losslint in DIR
python benchmarks/diagnosis.py --calibration   # how often each word is true, beside what was never seen before
python benchmarks/diagnosis.py --leave-one-out # the bounds of the words, fitted without the source that they judge
"""

import argparse
import json
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tabulate import tabulate

from calibration import Claim, tables
from case_rendering import cases, render
from first_contact import Answer, Label, answer_of, claim, claims, first_answers
from forensics.errors import ForensicsError
from forensics.investigate import investigate
from forensics.model import Finding, Report
from forensics.report.json import tree
from leave_one_out import Scored, table
from peers import ask, installed
from rival_runs import rival_runs

FIXTURES = Path(__file__).parent.parent / "fixtures" / "runs"
KINDS = ("fixture", "case", "rival")


@dataclass(frozen=True, slots=True)
class Truth:
    """What must come out of a run. An empty `causes` accepts any; no `symptom` means that nothing may be wrong."""

    kind: str
    name: str
    symptom: str | None
    causes: tuple[str, ...]
    step: int | None
    confirmed: bool = True
    on_file: bool = True
    entry: int | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """What did come out."""

    truth: Truth
    report: Report | None

    @property
    def healthy(self) -> bool:
        return self.truth.symptom is None

    @property
    def severities(self) -> Counter[str]:
        return Counter(f.severity for f in self.report.findings) if self.report else Counter()

    @property
    def ranks(self) -> list[str]:
        if self.report is None:
            return []
        return [h.cause for h in self.report.hypotheses if h.verdict != "ruled out"]

    @property
    def found(self) -> bool:
        return self.report is not None and any(f.symptom == self.truth.symptom for f in self.report.findings)

    def cause_within(self, count: int) -> bool:
        wanted = self.truth.causes
        return not wanted or bool(set(wanted) & set(self.ranks[:count])) or ("" in wanted and self.quiet)

    @property
    def quiet(self) -> bool:
        return not self.severities["error"] and not self.severities["warning"]

    @property
    def brackets(self) -> list[Finding]:
        return [f for f in self.report.findings if f.symptom == self.truth.symptom] if self.report else []

    @property
    def holds(self) -> bool | None:
        """Whether the bracket holds the true first bad step (or the entry that first shows it); None: no truth."""
        step = self.truth.step
        if step is None or self.report is None:
            return None
        last = max(step, self.truth.entry or step)
        return any(
            (f.onset or 0) >= step
            and (f.step_range[0] is None or (f.step_range[0] <= step and (f.earliest or 0) <= last))
            for f in self.brackets
        )

    @property
    def exact(self) -> bool:
        shown = {self.truth.step, self.truth.entry} - {None}
        return any(f.onset in shown and f.earliest == f.onset for f in self.brackets)

    @property
    def established_wrongly(self) -> bool:
        top = self.report.hypotheses[0] if self.report and self.report.hypotheses else None
        return top is not None and top.verdict == "established" and top.cause not in self.truth.causes


def fixtures() -> Iterator[tuple[Truth, Path]]:
    """Yield the runs that real frameworks wrote."""
    for path in sorted(FIXTURES.glob("*/*/truth.json")):
        told = json.loads(path.read_text(encoding="utf-8"))
        run = path.parent / "run"
        if told["verdict"] == "healthy":
            yield Truth("fixture", path.parent.name, None, (), None), run
            continue
        causes = (told["cause"], *told["cause_also_accepted"])
        for symptom, where in told["symptoms"].items():
            step, entry = where["first_bad_step"], where["first_bad_entry"]
            yield Truth("fixture", path.parent.name, symptom, causes, step, entry=entry), run


def rendered(folder: Path) -> Iterator[tuple[Truth, Path]]:
    """Render the cases and the runs on which others fail, and yield them."""
    for case in cases():
        run = folder / "cases" / case.name
        render(case, run)
        symptom = None if case.benign else case.symptom
        yield Truth("case", case.name, symptom, case.causes, case.step, case.confirmed, case.on_file), run
    for number, made in enumerate(rival_runs()):
        run = folder / "rivals" / f"run{number}"
        run.mkdir(parents=True)
        made.write(run)
        yield Truth("rival", made.name, made.symptom, made.causes, made.step), run


def judge(truth: Truth, run: Path, known: dict[Path, Report | None]) -> Judged:
    if run not in known:
        try:
            known[run] = investigate(run, weights="full")
        except ForensicsError:
            known[run] = None
    return Judged(truth, known[run])


def share(right: int, of: int) -> str:
    return f"{right} of {of} ({right / of:.0%})" if of else "-"


def overview(judged: Sequence[Judged]) -> str:
    """Return one row a kind of runs."""
    rows = []
    for kind in KINDS:
        every = [j for j in judged if j.truth.kind == kind]
        broken = [j for j in every if not j.healthy]
        runs = list({j.truth.name: j for j in broken}.values())
        sure = [j for j in runs if j.truth.confirmed and j.truth.on_file and j.truth.causes]
        unsure = [j for j in runs if not j.truth.confirmed]
        calm = [j for j in every if j.healthy]
        dated = [j for j in broken if j.holds is not None]
        rows.append(
            [
                kind,
                share(sum(j.found for j in broken if j.truth.symptom), sum(bool(j.truth.symptom) for j in broken)),
                share(sum(bool(j.holds) for j in dated), len(dated)),
                share(sum(j.exact for j in dated), len(dated)),
                share(sum(j.cause_within(1) for j in sure), len(sure)),
                share(sum(j.cause_within(3) for j in sure), len(sure)),
                share(sum(j.established_wrongly for j in unsure), len(unsure)),
                share(sum(bool(j.severities["error"]) for j in calm), len(calm)),
                share(sum(bool(j.severities["warning"]) for j in calm), len(calm)),
            ]
        )
    head = ("runs", "symptom found", "bracket holds", "onset exact", "cause first", "cause in three",
            "unconfirmed, wrongly established", "healthy: errors", "healthy: warnings")  # fmt: skip
    return tabulate(rows, headers=head, disable_numparse=True, maxheadercolwidths=14)


def by(judged: Sequence[Judged], what: str) -> str:
    """Return one row a symptom or a cause, over all kinds."""
    groups: dict[str, list[Judged]] = defaultdict(list)
    for j in judged:
        if not j.healthy and j.truth.symptom:
            groups[j.truth.symptom if what == "symptom" else (j.truth.causes or ("any",))[0]].append(j)
    rows = []
    for name, found in sorted(groups.items()):
        dated = [j for j in found if j.holds is not None]
        rows.append(
            [
                name,
                len(found),
                share(sum(j.found for j in found), len(found)),
                share(sum(bool(j.holds) for j in dated), len(dated)),
                share(sum(j.cause_within(1) for j in found), len(found)),
                share(sum(j.cause_within(3) for j in found), len(found)),
            ]
        )
    head = (what, "runs", "symptom found", "bracket holds", "cause first", "cause in three")
    return tabulate(rows, headers=head, disable_numparse=True)


def misses(judged: Sequence[Judged]) -> Iterator[str]:
    """Yield what is not as it should be, one line each."""
    for j in judged:
        faults = []
        if j.healthy and not j.quiet:
            faults.append(f"false alarm {[f.symptom for f in j.report.findings] if j.report else ''}")
        if j.truth.symptom and not j.found:
            faults.append("symptom not found")
        if j.holds is False:
            faults.append("bracket does not hold")
        if not j.healthy and not j.cause_within(1):
            faults.append(f"cause at {'rank 2 or 3' if j.cause_within(3) else 'no rank'}: {j.ranks[:3]}")
        if faults:
            sure = "" if j.truth.confirmed and j.truth.on_file else " (not confirmed, or not on file)"
            cause = j.truth.causes[0] if j.truth.causes else "any"
            yield f"{j.truth.kind} {j.truth.name}: {j.truth.symptom} <- {cause}{sure}: {'; '.join(faults)}"


def calibrated(judged: Sequence[tuple[Judged, Path]]) -> list[Claim]:
    """Return one claim a run of what the rules were written with, by the measure of the record of first contacts."""
    told: dict[Path, list[Judged]] = defaultdict(list)
    for j, path in judged:
        told[path].append(j)
    return [_claim(found) for found in told.values()]


def scored(judged: Sequence[tuple[Judged, Path]]) -> list[Scored]:
    """Return the first claim of every labelled run whose truth is known: rendered, real, and of first contact."""
    told: dict[Path, list[Judged]] = defaultdict(list)
    for j, path in judged:
        told[path].append(j)
    asked = [(_label(found), _answer(found), found[0].truth.kind) for found in told.values()]
    asked += [(one, said, f"first contact, {one.group}") for one, said in first_answers()]
    return [
        Scored(group, f"{one.repository} {'/'.join(one.causes)}", said.score, bool(said.right["cause"]))
        for one, said, group in asked
        if said.cause is not None and said.right.get("cause") is not None
    ]


def _claim(found: Sequence[Judged]) -> Claim:
    return claim(_label(found), _answer(found), found[0].truth.kind)


def _answer(found: Sequence[Judged]) -> Answer:
    report = found[0].report
    return answer_of(_label(found), "", tree(report) if report else {})


def _label(found: Sequence[Judged]) -> Label:
    truth, symptoms = found[0].truth, tuple(j.truth.symptom for j in found if j.truth.symptom)
    causes = tuple(sorted({cause for j in found for cause in j.truth.causes if cause}))
    verdict = "broken" if symptoms else "healthy"
    onset = next(
        ((j.truth.step, max(j.truth.step, j.truth.entry or 0)) for j in found if j.truth.step is not None), None
    )
    return Label(truth.name, truth.kind, "", truth.name, "", "", verdict, symptoms, causes, truth.on_file, onset)


def beside(judged: Sequence[tuple[Judged, Path]], folder: Path) -> str:
    """Return how the linters do on the same runs: broken ones named, healthy ones left alone."""
    programs = installed(folder)
    told: dict[Path, list[Judged]] = defaultdict(list)
    for j, path in judged:
        if j.healthy or j.truth.symptom:
            told[path].append(j)
    broken = {path: found for path, found in told.items() if not found[0].healthy}
    calm = {path: found[0] for path, found in told.items() if found[0].healthy}
    found = sum(any(j.found for j in symptoms) for symptoms in broken.values())
    ours = Counter(next((s for s in ("error", "warning") if j.severities[s]), "") for j in calm.values())
    rows = [_row("medforensics", found, len(broken), ours)]
    for name, program in programs.items():
        heard = {path: ask(name, program, path) for path in told}
        named = sum(
            any(heard[path].names(j.truth.symptom or "") for j in symptoms) for path, symptoms in broken.items()
        )
        rows.append(_row(name, named, len(broken), Counter(heard[path].level for path in calm)))
    head = ("", "broken runs of which the symptom is named", "healthy: errors", "healthy: warnings")
    return tabulate(rows, headers=head, disable_numparse=True, maxheadercolwidths=24)


def _row(name: str, named: int, broken: int, calm: Counter[str]) -> list[str]:
    return [name, share(named, broken), share(calm["error"], calm.total()), share(calm["warning"], calm.total())]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables; return 1 when a healthy run is called broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--peers", type=Path, metavar="DIR")
    parser.add_argument("--calibration", action="store_true")
    parser.add_argument("--leave-one-out", action="store_true")
    chosen = parser.parse_args(arguments)
    known: dict[Path, Report | None] = {}
    with tempfile.TemporaryDirectory() as temporary:
        pairs = [*fixtures(), *rendered(Path(temporary))]
        judged = [(judge(truth, run, known), run) for truth, run in pairs]
        every = [j for j, _ in judged]
        print(overview(every), by(every, "symptom"), by(every, "cause"), sep="\n\n")
        if chosen.verbose:
            print("", *misses(every), sep="\n")
        if chosen.calibration:
            print("", tables([*calibrated(judged), *claims()]), sep="\n")
        if chosen.leave_one_out:
            print("", table(scored(judged)), sep="\n")
        if chosen.peers is not None:
            print("", beside(judged, chosen.peers), sep="\n")
    return int(any(j.healthy and j.severities["error"] for j in every))


if __name__ == "__main__":
    sys.exit(main())
