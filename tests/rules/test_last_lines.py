"""Causes that the last line of a dead run names: read from a log as programs write it, and quiet where nothing died."""

from pathlib import Path

import pytest

from forensics.investigate import investigate
from forensics.model import Report

STEPS = "".join(f"step {n} | loss {2.4 - n / 100:.3f}\n" for n in range(1, 41))
TABLE = (Path(__file__).parent.parent / "data" / "last_lines.tsv").read_text().splitlines()
LINES = [(line.partition("\t")[0], line.partition("\t")[2]) for line in TABLE]
FRAMES = 'Traceback (most recent call last):\n  File "train.py", line 7, in <module>\n    main()\n'


def judged(folder: Path, text: str) -> Report:
    (folder / "train.log").write_text(text)
    return investigate(folder)


@pytest.mark.parametrize(("name", "line"), LINES)
@pytest.mark.parametrize("before", ["", STEPS], ids=["at the start", "behind healthy steps"])
@pytest.mark.parametrize("rank", ["", "[rank0]: "], ids=["plain", "of a rank"])
def test_the_last_line_names_its_cause(tmp_path: Path, name: str, line: str, before: str, rank: str) -> None:
    """Whole or behind a rank's mark, at the start or behind healthy steps, its cause comes first and is likely."""
    told = "".join(f"{rank}{one}\n" for one in (FRAMES + line).splitlines())
    best = judged(tmp_path, before + told).hypotheses[0]

    assert (best.cause, best.holds) == (name, True), (best.verdict, best.evidence)


@pytest.mark.parametrize(("name", "line"), LINES)
def test_the_same_words_in_a_run_that_goes_on_are_no_alarm(tmp_path: Path, name: str, line: str) -> None:
    """What was survived, or is quoted in a sample, is no more than a notice, and its cause is not likely."""
    half = STEPS.splitlines(keepends=True)
    survived = judged(tmp_path, "".join(half[:20]) + FRAMES + line + "\n" + "".join(half[20:]))
    quoted = judged(tmp_path, "".join(half[:20]) + f"[sample 3] prompt: {line}\n" + "".join(half[20:]))

    for report in (survived, quoted):
        assert [finding.severity for finding in report.findings if finding.severity != "notice"] == []
        assert not any(cause.holds for cause in report.hypotheses if cause.cause == name)
