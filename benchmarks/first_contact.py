"""First contact: what the product says of material that it has never seen, labelled before it was asked.

benchmarks/first_contact.jsonl is a record that only grows. A line is a label (what a person read in the material:
verdict, symptoms, accepted causes, onset) or an answer (what the product said, and whether it was right). The label of
an entry is committed before its answer, which `check` reads from the history; neither is changed afterwards. A later
answer of the same entry stands beside the first one and counts for nothing but progress.

python benchmarks/first_contact.py label NEW.json --material DIR    # append labels; the material itself stays outside
python benchmarks/first_contact.py answer --material DIR [--tool medforensics] [--commit C] [--set NAME ...]
python benchmarks/first_contact.py check                            # the order of commits, nothing rewritten
python benchmarks/first_contact.py score [--set NAME ...] [--first GROUP:N] [--by-origin]   # the tables
python benchmarks/first_contact.py reliability                      # what reports say beside a word, from COUNTED

The material of an entry is DIR/NAME, a file or a folder; its SHA-256 stands in the label. NEW.json is a list of objects
with the keys of `Label` but `date` and `sha256`.
"""

import argparse
import datetime as dt
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from calibration import Claim, tables

HERE = Path(__file__).parent
RECORD = HERE / "first_contact.jsonl"
MEASURED = HERE.parent / "forensics" / "diagnosis" / "reliability.json"
VERDICTS = ("broken", "suspicious", "healthy")
STRONG = ("established", "likely")
CLAIMED = (*STRONG, "possible")
COUNTED = ("held3", "held4", "held5", "held6")
"""The groups behind the share beside a word: the last three, each answered by a frozen commit before anybody who mends
had read it. The sets before them measure older versions, of which a report should not speak; 26 of the fresh ones were
picked after their answers were known, and the "learn" set was collected to be learnt from."""


@dataclass(frozen=True, slots=True)
class Label:
    """What is true of one entry, written before the product was asked.

    `symptoms` and `causes` hold every accepted id, empty where none can be named; `on_file` tells whether what decides
    the cause is in the material; `onset` is the first bad step or entry as [earliest, latest]. `group` names the set
    that an entry belongs to: "baseline" (answered by version 0.1.0), "fresh" (by a frozen commit), "shown" (by a later
    one, its misses then read by those who mend), "unseen" (by the commit of version 0.2.0, then read as well),
    "held" (by a later frozen commit, shown to nobody before its answer, then read), "learn" (collected for those who
    mend: its misses are read at once, so it measures no version), "held2" to "held6" (of other sources
    each, shown to nobody before its answer by a frozen commit, then read). A run that its user stopped while it
    trained well is labelled healthy, as docs/endings.md calls that ending a notice; its cause is accepted and not asked
    for.
    """

    id: str
    group: str
    source: str
    repository: str
    material: str
    shows: str
    verdict: str
    symptoms: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    on_file: bool = True
    onset: tuple[int, int] | None = None
    date: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the product said of one entry: ids only, no sentence. `verdict` is "unread" where it read nothing."""

    id: str
    tool: str
    date: str
    verdict: str
    word: str | None = None
    cause: str | None = None
    score: int = 0
    three: tuple[str, ...] = ()
    strong: tuple[str, ...] = ()
    symptoms: tuple[str, ...] = ()
    errors: int = 0
    warnings: int = 0
    onsets: tuple[tuple[str, int | None, int | None], ...] = ()
    right: Mapping[str, bool | None] = field(default_factory=dict)


def read_record(text: str) -> tuple[dict[str, Label], dict[str, list[Answer]]]:
    """Return labels by id and answers by id, the first one first."""
    labels: dict[str, Label] = {}
    answers: dict[str, list[Answer]] = {}
    for line in text.splitlines():
        row = json.loads(line)
        kind = row.pop("record")
        for key in ("symptoms", "causes", "three", "strong"):
            if key in row:
                row[key] = tuple(row[key])
        if kind == "label":
            row["onset"] = None if row.get("onset") is None else tuple(row["onset"])
            labels[row["id"]] = Label(**row)
        else:
            row["onsets"] = tuple(tuple(onset) for onset in row["onsets"])
            answers.setdefault(row["id"], []).append(Answer(**row))
    return labels, answers


def today() -> str:
    return dt.datetime.now(tz=dt.timezone.utc).date().isoformat()


def git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=HERE.parent, capture_output=True, text=True, check=True).stdout


def digest(material: Path) -> str:
    """Return the SHA-256 of a file, or of the names and contents of a folder's files in order."""
    seen = hashlib.sha256()
    files = sorted(p for p in material.rglob("*") if p.is_file()) if material.is_dir() else [material]
    for file in files:
        if material.is_dir():
            seen.update(file.relative_to(material).as_posix().encode() + b"\0")
        seen.update(file.read_bytes())
    return seen.hexdigest()


def append(kind: str, row: Label | Answer) -> None:
    with RECORD.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"record": kind, **asdict(row)}, ensure_ascii=False) + "\n")


def label(new: Path, material: Path) -> int:
    """Append the labels of a file; an id that is known, a word that is not, or absent material is refused."""
    labels, _ = read_record(RECORD.read_text(encoding="utf-8") if RECORD.exists() else "")
    made = []
    for row in json.loads(new.read_text(encoding="utf-8")):
        row["symptoms"], row["causes"] = tuple(row.get("symptoms", ())), tuple(row.get("causes", ()))
        row["onset"] = tuple(row["onset"]) if row.get("onset") else None
        one = Label(**row)
        if one.id in labels or one.verdict not in VERDICTS or not (material / one.material).exists():
            sys.exit(f"{one.id}: known already, no such verdict, or no such material ({one.material})")
        made.append(replace(one, date=today(), sha256=digest(material / one.material)))
    for one in made:
        append("label", one)
    return len(made)


def ask(tool: str, material: Path) -> dict[str, Any]:
    """Return the JSON report of a tool on the material; empty when it reads nothing there."""
    done = subprocess.run(
        [tool, "analyze", str(material), "--format", "json"], capture_output=True, text=True, check=False, timeout=600
    )
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        return {}
    return found


def answer_of(one: Label, tool: str, report: Mapping[str, Any]) -> Answer:
    """Return the answer in ids, and what of it is right."""
    findings = report.get("findings", [])
    loud = [f for f in findings if f["severity"] in {"error", "warning"}]
    ranked = sorted((h for h in report.get("hypotheses", []) if h["cause"] != "unknown"), key=lambda h: h["rank"])
    ranked = [h for h in ranked if not h.get("benign") and h["verdict"] in CLAIMED]
    first = ranked[0] if ranked and loud else None
    made = Answer(
        id=one.id,
        tool=tool,
        date=today(),
        verdict=report.get("verdict", "unread"),
        word=first and first["verdict"],
        cause=first and first["cause"],
        score=first["score"] if first else 0,
        three=tuple(h["cause"] for h in ranked[:3]),
        strong=tuple(h["cause"] for h in ranked if h["verdict"] in STRONG),
        symptoms=tuple(dict.fromkeys(f["symptom"] for f in loud)),
        errors=sum(f["severity"] == "error" for f in findings),
        warnings=sum(f["severity"] == "warning" for f in findings),
        onsets=tuple((f["symptom"], *_bracket(f)) for f in loud),
    )
    return replace(made, right=judged(one, made))


def _bracket(finding: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Return the last place known to be fine and the first known to be bad, in steps or else in entries."""
    low, high = finding.get("step_range") or (None, None)
    if high is None:
        low, high = finding.get("entry_range") or (None, None)
    place = finding.get("step") if finding.get("step") is not None else finding.get("entry")
    return low, place if high is None else high


def judged(one: Label, said: Answer) -> dict[str, bool | None]:
    """Return what is right; None where the label says nothing of it."""
    faulty = one.verdict != "healthy"
    onset = None
    if one.onset is not None and (places := [o for o in said.onsets if o[0] in one.symptoms]):
        onset = any(high is not None and (low or 0) <= one.onset[1] and high >= one.onset[0] for _, low, high in places)
    elif one.onset is not None:
        onset = False
    return {
        "verdict": said.verdict == one.verdict or (faulty and said.verdict in {"broken", "suspicious"}),
        "symptom": bool(set(one.symptoms) & set(said.symptoms)) if faulty and one.symptoms else None,
        "cause": (said.cause in one.causes) if said.cause and (one.causes or not faulty) else None,
        "first": bool(said.cause in one.causes) if one.causes and one.on_file else None,
        "three": bool(set(said.three) & set(one.causes)) if one.causes and one.on_file else None,
        "onset": onset,
    }


def answer(material: Path, tool: str, groups: Sequence[str], commit: str | None) -> int:
    """Ask the tool (of `commit`, else of this checkout) about every labelled entry that it has not answered yet."""
    labels, answers = read_record(RECORD.read_text(encoding="utf-8"))
    name = commit or git("rev-parse", "--short", "HEAD").strip()
    count = 0
    for one in labels.values():
        known = {made.tool for made in answers.get(one.id, [])}
        place = material / one.material
        if (groups and one.group not in groups) or name in known or not place.exists():
            continue
        if digest(place) != one.sha256:
            sys.exit(f"{one.id}: the material is not what was labelled")
        append("answer", answer_of(one, name, ask(tool, place)))
        count += 1
    return count


def versions(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield each commit that touched the record, the oldest first, with the lines of the record there."""
    inside = path.resolve().relative_to(HERE.parent.resolve()).as_posix()
    for commit in git("log", "--reverse", "--format=%H", "--", inside).split():
        yield commit, git("show", f"{commit}:{inside}").splitlines()


def faults(history: Sequence[tuple[str, Sequence[str]]]) -> Iterator[str]:
    """Yield what breaks the promise: a line changed or gone, a label that came with or after its answer.

    Lines that one commit takes from the end and the next puts back as they were (a branch with an old tree that was
    landed) are a slip and no fault: the record says what it said, and nothing was written in between.
    """
    kept: Sequence[str] = ()
    lost = ""
    labelled: set[str] = set()
    for commit, lines in history:
        if not lost and len(lines) < len(kept) and list(kept[: len(lines)]) == list(lines):
            lost = commit
            continue
        if list(lines[: len(kept)]) != list(kept):
            yield f"{lost[:10] or commit[:10]} changes or removes a line that was there"
        lost = ""
        fresh = [json.loads(line) for line in lines[len(kept) :]]
        yield from (
            f"{commit[:10]} answers {row['id']} before its label was committed"
            for row in fresh
            if row["record"] == "answer" and row["id"] not in labelled
        )
        labelled.update(row["id"] for row in fresh if row["record"] == "label")
        kept = lines
    if lost:
        yield f"{lost[:10]} changes or removes a line that was there"


def claim(one: Label, said: Answer, group: str) -> Claim:
    """Return an answer beside its label, as the tables of calibration take it."""
    return Claim(
        group=group,
        cluster=f"{one.repository} {'/'.join(one.causes) or one.verdict}",
        healthy=one.verdict == "healthy",
        verdict=said.verdict,
        word=said.word,
        strong=len(said.strong),
        errors=said.errors,
        warnings=said.warnings,
        right=said.right,
    )


def claims(groups: Sequence[str] = (), first: str | None = None, *, by_origin: bool = False) -> list[Claim]:
    """Return the first answer to every labelled entry; `first` is GROUP:N, no more than N entries of that group."""
    told = first_answers(groups, first)
    return [claim(one, said, f"first contact, {origin(one) if by_origin else one.group}") for one, said in told]


def origin(one: Label) -> str:
    """Return where an entry is from: a run of ours, a thread or a public file."""
    if "ours" in one.source:
        return "runs of ours"
    return "threads" if "/issues/" in one.source or "/discussions/" in one.source else "public files"


def first_answers(groups: Sequence[str] = (), first: str | None = None) -> list[tuple[Label, Answer]]:
    """Return every entry (of some groups, or of all) that was answered with its first answer."""
    labels, answers = read_record(RECORD.read_text(encoding="utf-8") if RECORD.exists() else "")
    return [
        (one, said)
        for one in _leading(labels.values(), first)
        if (not groups or one.group in groups) and (said := next(iter(answers.get(one.id, [])), None)) is not None
    ]


def reliability() -> dict[str, dict[str, int]]:
    """Return how many first claims with each word were right, of how many, over the groups of `COUNTED`."""
    counted: dict[str, dict[str, int]] = {}
    for said in claims(COUNTED):
        if said.word is not None and (right := said.right.get("cause")) is not None:
            row = counted.setdefault(said.word, {"right": 0, "of": 0})
            row["right"], row["of"] = row["right"] + right, row["of"] + 1
    return dict(sorted(counted.items()))


def _leading(labels: Iterable[Label], first: str | None) -> Iterator[Label]:
    """Yield the labels, of the group of `first` no more than it says, in the order in which they were written."""
    limited, _, count = (first or "").partition(":")
    seen = 0
    for one in labels:
        seen += one.group == limited
        if one.group != limited or seen <= int(count):
            yield one


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("label", "answer", "check", "score", "reliability"))
    parser.add_argument("new", nargs="?", type=Path)
    parser.add_argument("--material", type=Path)
    parser.add_argument("--tool", default="medforensics")
    parser.add_argument("--commit", help="which version of the product the tool is; the checkout's when not given")
    parser.add_argument("--set", dest="groups", nargs="+", default=(), metavar="NAME")
    parser.add_argument("--first", metavar="GROUP:N", help="score no more than N entries of a group, in their order")
    parser.add_argument("--by-origin", action="store_true", help="score runs of ours, threads and public files apart")
    asked = parser.parse_args()
    if asked.action in {"label", "answer"} and asked.material is None:
        parser.error("--material DIR is needed")
    if asked.action == "label":
        if asked.new is None:
            parser.error("label takes a file of new labels")
        print(f"{label(asked.new, asked.material)} labels; commit them before the product is asked")
    elif asked.action == "answer":
        print(f"{answer(asked.material, asked.tool, asked.groups, asked.commit)} answers")
    elif asked.action == "check":
        broken = list(faults(list(versions(RECORD))))
        print("\n".join(broken) or "every label was committed before its answer; nothing was changed")
        return bool(broken)
    elif asked.action == "reliability":
        MEASURED.write_text(json.dumps(reliability(), indent=1) + "\n", encoding="utf-8")
    else:
        print(tables(claims(asked.groups, asked.first, by_origin=asked.by_origin)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
