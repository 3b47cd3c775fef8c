"""Last errors in words that are not listed: what their build says is possible, said of nothing that others know."""

from pathlib import Path

import pytest

from forensics.analysis.last_error import KEY
from forensics.investigate import investigate
from forensics.model import Report
from forensics.signatures.structure import BUILDS, GUESS, built_as, taken_apart

STEPS = "".join(f"step {n} | loss {2.4 - n / 100:.3f}\n" for n in range(1, 41))
TABLE = (Path(__file__).parent.parent / "data" / "builds.tsv").read_text().splitlines()
ROWS = [tuple(line.split("\t")[:5]) for line in TABLE]
FRAMES = 'Traceback (most recent call last):\n  File "train.py", line 7, in <module>\n    main()\n'


def judged(folder: Path, text: str) -> Report:
    (folder / "train.log").write_text(text)
    return investigate(folder)


def told(file: str, function: str, line: str) -> str:
    frame = f'  File "/venv/lib/python3.11/site-packages/{file}", line 12, in {function}\n    f(x)\n' if file else ""
    return f"{FRAMES}{frame}{line}\n"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[-1][:40])
def test_an_error_is_told_by_its_build(tmp_path: Path, row: tuple[str, ...]) -> None:
    """The cause comes first, as a possible one; or words that are listed know more, and name the same."""
    cause, when, file, function, line = row
    best = judged(tmp_path, (STEPS if when == "later" else "") + told(file, function, line)).hypotheses[0]

    assert best.cause == cause
    if any(e.key == KEY for e in best.evidence):
        assert (best.verdict, best.score) in {("possible", GUESS), ("possible", GUESS - 2)}


def test_every_row_has_an_error_that_suits_it() -> None:
    suited = set()
    for _, when, file, function, line in ROWS:
        place = f" (/v/site-packages/{file}:12 in {function})" if file else ""
        error = taken_apart(line + place, begun=when == "later")
        assert error is not None, line
        suited.add(built_as(error))

    assert [build for build in BUILDS if build not in suited] == [next(b for b in BUILDS if b.by == "own")]


def test_the_runs_own_code_is_told_from_a_library() -> None:
    own = taken_apart("ValueError: the moon is full (/home/me/train.py:9 in step)")
    library = taken_apart("ValueError: the moon is full (/v/lib/python3.11/site-packages/x/y.py:9 in step)")

    assert own is not None
    assert library is not None
    assert (own.library, library.library) == (False, True)
    assert (built_as(own) or BUILDS[0]).cause == "script-error"
    assert built_as(library) is None


@pytest.mark.parametrize("text", ["Killed", "step 7 | loss 2.1", "Killed: 9", "it is a ValueError: no"])
def test_what_is_no_exception_is_not_taken_apart(text: str) -> None:
    assert taken_apart(text) is None


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[-1][:40])
def test_what_a_run_went_on_after_is_told_by_nothing(tmp_path: Path, row: tuple[str, ...]) -> None:
    half = STEPS.splitlines(keepends=True)
    report = judged(tmp_path, "".join(half[:20]) + told(*row[2:]) + "".join(half[20:]))

    assert [f.severity for f in report.findings if f.severity != "notice"] == []
    assert not any(e.key == KEY for h in report.hypotheses for e in h.evidence)


def test_a_guess_says_nothing_beside_words_that_are_known(tmp_path: Path) -> None:
    """The same death in two ranks: of one the words are listed, of the other only the build speaks."""
    known = told("torch/nn/x.py", "f", "RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)")
    guessed = told("vllm/x.py", "f", "ValueError: the seventh is not supported")
    both = judged(tmp_path, guessed + known).hypotheses

    assert both[0].cause == "shape-mismatch"
    assert not any(e.key == KEY for h in both for e in h.evidence)
