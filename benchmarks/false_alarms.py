"""How loud the product is on runs that are fine, and how blind on those that are not.

python benchmarks/false_alarms.py                            # the runs of fixtures/
python benchmarks/false_alarms.py --labels LIST.json DIR     # and each run of a list, in DIR
python benchmarks/false_alarms.py ... --symptom loss-plateau # what one detector says of them all

Each count "of N healthy runs" in a docstring of a detector comes from this command. A list is JSON, or one object a
line, as benchmarks/first_contact.jsonl is: `id`, `verdict` (healthy, suspicious, broken), `symptoms` (accepted ids,
may be empty) and `material`, the name of a file or a folder in DIR; entries whose material is not there are left out,
so that one list may be given with several folders. What counts against the product: an error or a warning on a healthy
run, `healthy` over one that is not, and an alarm that names none of the accepted symptoms.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from forensics.errors import ForensicsError
from forensics.investigate import investigate
from forensics.model import Finding

FIXTURES = Path(__file__).parent.parent / "fixtures" / "runs"
LOUD = ("error", "warning")
UNREAD = "unread"


@dataclass(frozen=True, slots=True)
class Labelled:
    """One run with what is true of it."""

    name: str
    path: Path
    healthy: bool
    symptoms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Heard:
    """What the product said of one run: its verdict, its findings and its headline."""

    verdict: str
    findings: tuple[Finding, ...] = ()
    headline: str = ""

    @property
    def loud(self) -> tuple[str, ...]:
        return tuple(f.symptom for f in self.findings if f.severity in LOUD)


def fixtures() -> Iterator[Labelled]:
    """Yield the runs of the repository; the folder says which of them are healthy."""
    for path in sorted(FIXTURES.glob("*/*/run")):
        yield Labelled(path.parent.name, path, path.parts[-3] == "healthy")


def listed(labels: Path, folder: Path) -> Iterator[Labelled]:
    """Yield the runs of a list whose material lies in the folder."""
    text = labels.read_text("utf-8")
    entries = json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]
    for entry in entries:
        if "verdict" in entry and (path := folder / str(entry.get("material", ""))).exists() and path != folder:
            yield Labelled(entry["id"], path, entry["verdict"] == "healthy", tuple(entry["symptoms"]))


def hear(path: Path) -> Heard:
    """Ask the product about a run."""
    try:
        report = investigate(path)
    except ForensicsError as error:
        return Heard(UNREAD, headline=str(error))
    return Heard(report.verdict, report.findings, report.headline)


def wrong(run: Labelled, heard: Heard) -> str:
    """Say what is wrong with an answer; empty where nothing is."""
    if run.healthy:
        return f"alarm on a healthy run: {', '.join(heard.loud)}" if heard.loud else ""
    if heard.verdict == "healthy":
        return "called healthy"
    missed = run.symptoms and heard.loud and not set(run.symptoms) & set(heard.loud)
    return f"names {', '.join(heard.loud)} in place of {' or '.join(run.symptoms)}" if missed else ""


def table(answers: Iterable[tuple[Labelled, Heard]]) -> str:
    """Return the counts: healthy and faulty runs by verdict, and how often a symptom was named."""
    verdicts: Counter[tuple[bool, str]] = Counter()
    named, nameable, alarmed, errors = 0, 0, 0, 0
    for run, heard in answers:
        verdicts[run.healthy, heard.verdict] += 1
        alarmed += run.healthy and bool(heard.loud)
        errors += run.healthy and any(f.severity == "error" for f in heard.findings)
        if not run.healthy and run.symptoms:
            nameable += 1
            named += bool(set(run.symptoms) & set(heard.loud))
    columns = ("broken", "suspicious", "healthy", "unknown", UNREAD)
    rows = [f"{'':8}" + "".join(f"{column:>12}" for column in columns)]
    rows += [
        f"{'healthy' if healthy else 'faulty':8}" + "".join(f"{verdicts[healthy, column]:>12}" for column in columns)
        for healthy in (True, False)
    ]
    healthy, faulty = verdicts[True, "healthy"], verdicts[False, "healthy"]
    rows.append(f"`healthy` is right {healthy} of {healthy + faulty} times")
    rows.append(f"symptoms named: {named} of {nameable} faulty runs that have one")
    count = sum(number for (fine, _), number in verdicts.items() if fine)
    rows.append(f"healthy runs with a warning or an error: {alarmed} of {count}, with an error: {errors}")
    return "\n".join(rows)


def said(symptom: str, answers: Iterable[tuple[Labelled, Heard]]) -> str:
    """Return where one symptom was found: how often on healthy and on faulty runs, loud or as a notice."""
    counts: Counter[tuple[str, str]] = Counter()
    for run, heard in answers:
        kind = "healthy" if run.healthy else "faulty"
        counts[kind, "runs"] += 1
        for severity in {f.severity for f in heard.findings if f.symptom == symptom}:
            counts[kind, severity] += 1
    return "\n".join(
        f"{symptom}, {kind}: " + ", ".join(f"{counts[kind, s]} {s}" for s in (*LOUD, "notice", "runs"))
        for kind in ("healthy", "faulty")
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask about each run, print what is wrong, and count; 1 where a healthy run has an error."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0] if __doc__ else None)
    parser.add_argument("--labels", nargs=2, type=Path, action="append", default=[], metavar=("LIST", "DIR"))
    parser.add_argument("--symptom", action="append", default=[], help="count what one detector says of all runs")
    options = parser.parse_args(arguments)
    runs = [*fixtures(), *(run for labels, folder in options.labels for run in listed(labels, folder))]
    answers = []
    for run in runs:
        answers.append((run, hear(run.path)))
        if fault := wrong(*answers[-1]):
            print(f"{run.name}: {fault}\n    {answers[-1][1].headline}")
    print(table(answers))
    for symptom in options.symptom:
        print(said(symptom, answers))
    return int(any(run.healthy and any(f.severity == "error" for f in heard.findings) for run, heard in answers))


if __name__ == "__main__":
    sys.exit(main())
