"""How the ends of processes are named: gpualert-eval, its logs behind healthy metrics and quoted, and LogHub's samples.

    python benchmarks/endings.py CLONE_OF_GPUALERT_EVAL [CLONE_OF_LOGHUB] [--list]

The corpora are not part of this repository: github.com/Parv-01/gpualert-eval (474 short logs with one of 15 classes
each; near-duplicates, so a floor and no goal) and github.com/logpai/loghub (2,000 lines of each of sixteen systems
that train nothing). Three rows are scored for the first: the logs as they are, each behind 200 healthy lines of
metrics, and with its last line quoted inside a logged sample of a healthy log, which must be silent. `CLASSES` says
what counts as named.
"""

import argparse
import json
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from forensics.errors import ForensicsError
from forensics.investigate import investigate
from forensics.model import Report

CLASSES = {
    "segfault": ("crash-signal", "segmentation fault"),
    "ram_oom": ("crash-memory", "host-memory-exhausted"),
    "oom_killer": ("crash-killed", "host-kill"),
    "cuda_oom": ("crash-oom", "out-of-memory"),
    "cuda_runtime": ("crash-device", "device-assert|token-id-beyond|class-beyond|illegal-memory|architecture|device"),
    "nccl": ("crash-nccl", "collective|rank"),
    "nan_loss": ("loss-nan", ""),
    # A failed start where they stand alone, an exception of a running program behind metrics.
    "missing_module": ("crash-", "module|library"),
    "file_not_found": ("crash-", "not found"),
    "permission": ("crash-exception", "permission-denied"),
    "device_mismatch": ("crash-exception", "device"),
    "div_zero": ("crash-exception", "ZeroDivisionError"),
    "assertion": ("crash-exception", "AssertionError"),
    "runtime_error": ("crash-", "RuntimeError|runtime error"),
    "traceback": ("crash-exception", r"[A-Z]\w*(?:Error|Exception|Interrupt|Iteration)"),
}
"""Class of the corpus: the symptom that must be found, and words that must stand in its statement or first cause."""
HEALTHY = "".join(f"step {n:04d} | loss = {27.0 - 0.06 * n:.4f}\n" for n in range(1, 201))
METRIC = re.compile(r"\bloss\W+nan\b")
"""A log whose last line is a metric has no death line to be quoted."""
FLOOR = 0.97


def judged(text: str) -> Report | None:
    """Return the report on a folder that holds nothing but this log; None where nothing is readable."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "train.log").write_text(text)
        try:
            return investigate(Path(folder))
        except ForensicsError:
            return None


def named(report: Report | None, mode: str) -> bool:
    """Tell whether the report names the class: its symptom, in the words of the finding or of the first cause."""
    if report is None:
        return False
    symptom, words = CLASSES[mode]
    found = [f.statement for f in report.findings if f.symptom.startswith(symptom) and f.severity != "notice"]
    told = " ".join([*found, *(h.cause for h in report.hypotheses[:1])])
    return bool(found) and re.search(words, told, re.IGNORECASE) is not None


def loud(report: Report | None) -> list[str]:
    """Return the symptoms of a report that are more than notices."""
    return [] if report is None else [f.symptom for f in report.findings if f.severity != "notice"]


def quoted(text: str) -> Iterator[str]:
    """Yield a healthy log in which the last line of a death is quoted: in a prompt, in JSON, in a sentence."""
    line = next(line for line in reversed(text.splitlines()) if line.strip())
    head, tail = HEALTHY[: len(HEALTHY) // 2], HEALTHY[len(HEALTHY) // 2 :]
    head, tail = head[: head.rfind("\n") + 1], head[head.rfind("\n") + 1 :] + tail
    for quote in (
        f"[sample 100] prompt: {line}",
        json.dumps({"prompt": "why does this happen", "response": line}),
        f'step 100 generation: "My script says {line}"',
    ):
        yield f"{head}{quote}\n{tail}"


def corpus(clone: Path) -> Iterator[tuple[str, str, str]]:
    """Yield (id, class, text) of every log."""
    for line in (clone / "corpus" / "labels.jsonl").read_text().splitlines():
        label = json.loads(line)
        yield label["id"], label["mode"], (clone / label["log_path"]).read_text(errors="replace")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gpualert", type=Path)
    parser.add_argument("loghub", type=Path, nargs="?")
    parser.add_argument("--list", action="store_true", help="print every log that is not named")
    parser.add_argument("--every", type=int, default=1, help="score one log of so many")
    given = parser.parse_args()
    totals: Counter[str] = Counter()
    by_class: dict[str, Counter[str]] = {}
    for identity, mode, text in [*corpus(given.gpualert)][:: given.every]:
        rows = {"alone": judged(text), "behind": judged(HEALTHY + text)}
        counts = by_class.setdefault(mode, Counter())
        counts["logs"] += 1
        counts["read"] += rows["alone"] is not None
        counts["broken"] += rows["alone"] is not None and rows["alone"].verdict == "broken"
        for row, report in rows.items():
            counts[row] += named(report, mode)
            if given.list and not named(report, mode):
                told = (
                    "nothing readable" if report is None else [(f.symptom, f.statement[:90]) for f in report.findings]
                )
                print(f"{identity} {row}: {told}")
        last = text.strip().rpartition("\n")[2]
        quotes = () if METRIC.search(last) else quoted(text)
        noise = [symptom for quote in quotes for symptom in loud(judged(quote))]
        counts["silent"] += not noise
        if given.list and noise:
            print(f"{identity} quoted: {noise}")
    for mode, counts in sorted(by_class.items()):
        print(
            f"{mode:16}"
            + "".join(f" {name} {counts[name]:3}" for name in ("logs", "read", "broken", "alone", "behind", "silent"))
        )
        totals += counts
    size = totals["logs"]
    print(" ".join(f"{name} {totals[name]}/{size}" for name in ("read", "broken", "alone", "behind", "silent")))
    noisy = 0
    for path in sorted(given.loghub.rglob("*_2k.log")) if given.loghub else ():
        said = loud(judged(path.read_text(errors="replace")))
        noisy += bool(said)
        print(f"{path.name}: {', '.join(said) or 'silent'}")
    whole = totals["read"] == totals["silent"] == size and not noisy
    return 0 if whole and min(totals["alone"], totals["behind"]) >= FLOOR * size else 1


if __name__ == "__main__":
    sys.exit(main())
