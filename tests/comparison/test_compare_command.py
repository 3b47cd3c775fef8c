"""`medforensics compare` as a user calls it."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from comparison.run_pair import Pair
from forensics.cli import main
from forensics.report._onset import Curve
from forensics.report._svg import overlay
from runs import FOUNDING

VERDICT = "deepspeed 0.11.1 -> 0.12.5 is the difference that matters for loss-to-zero"


@pytest.mark.parametrize("form", ["table", "markdown", "json", "html"])
def test_every_format_tells_the_difference_that_matters(pair: Pair, form: str) -> None:
    done = CliRunner().invoke(main, ["compare", str(pair.good), str(pair.bad), "--format", form])

    assert done.exit_code == 0
    assert VERDICT in done.stdout.replace("\\", "").replace("&gt;", ">")


def test_the_first_line_is_the_verdict(pair: Pair) -> None:
    done = CliRunner().invoke(main, ["compare", str(pair.good), str(pair.bad)])

    assert done.stdout.startswith(VERDICT)


def test_json_is_strict(pair: Pair) -> None:
    done = CliRunner().invoke(main, ["compare", str(pair.good), str(pair.bad), "--format", "json"])

    def refuse(literal: str) -> None:
        raise AssertionError(literal)

    tree = json.loads(done.stdout, parse_constant=refuse)

    assert tree["format"] == 1
    assert tree["cause"]["code"] == "DIST001"
    assert tree["differences"][0]["relevance"] == "decides"


def test_weights_of_a_common_step_are_compared(pair: Pair) -> None:
    run = str(FOUNDING.run)
    done = CliRunner().invoke(main, ["compare", run, run, "--weights", "--format", "json"])
    weights = json.loads(done.stdout)["weights"]

    assert (weights["step"], weights["differ"], weights["poisoned"], weights["tensors"]) == (36, 0, 21, 21)


def test_a_folder_without_a_run_is_an_error_in_one_line(pair: Pair, tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["compare", str(pair.good), str(tmp_path)])

    assert done.exit_code == 3
    assert done.stderr.startswith("medforensics: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("form", ["table", "markdown", "json"])
def test_a_lasting_factor_is_told_and_equal_curves_never_part(tmp_path: Path, form: str) -> None:
    norms = (4.7, 3.9, 6.1, 4.0)
    for name, factor in (("good", 1.0), ("bad", 0.4)):
        rows = [{"step": i + 1, "loss": 1.5 - 0.1 * i, "grad_norm": factor * norm} for i, norm in enumerate(norms)]
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    said = CliRunner().invoke(main, ["compare", *(str(tmp_path / n) for n in ("good", "bad")), "--format", form]).stdout

    assert "its grad_norm is 0.4 times GOOD's from step 1 on." in said.replace("\\", "")
    if form == "json":
        loss, norm = json.loads(said)["metrics"]
        assert (loss["parts_from"], loss["factor"], norm["parts_from"]) == (None, None, 1)
        assert norm["factor"] == pytest.approx(0.4)
    else:
        rows_said = [line.replace("|", " ").split()[:4] for line in said.splitlines()]
        assert ["loss", "4", "never", "never"] in rows_said


def test_the_page_draws_both_runs_on_the_same_axes(pair: Pair) -> None:
    page = CliRunner().invoke(main, ["compare", str(pair.good), str(pair.bad), "-f", "html", "--no-redact"]).stdout
    drawings = re.findall(r'<svg class="overlay".*?</svg>', page)

    assert drawings
    for drawing in drawings:
        assert drawing.count('class="good"') == drawing.count('class="bad"') == 1
        numbers = [float(one) for one in re.findall(r"[ML](-?[\d.]+) ", drawing)]
        assert 0 <= min(numbers) <= max(numbers) <= 600
    assert "They part at step 18 (the dotted line)" in page
    assert 'class="parted"' in drawings[0]
    assert "<script" not in page


def test_a_value_is_at_one_height_in_both_curves() -> None:
    steps = np.arange(1, 6)
    good = Curve("loss", steps, np.array([4.0, 3.0, 2.0, 1.0, 0.5]))
    bad = Curve("loss", steps, np.array([2.0, np.nan, 9.0, np.inf, 1.0]))
    drawn = overlay(good, bad, None)
    path = {name: re.search(f'class="{name}" d="([^"]+)"', drawn)[1] for name in ("good", "bad", "ticks")}  # type: ignore[index]
    heights = {name: re.findall(r"[ML][\d.]+ ([\d.]+)", path[name]) for name in ("good", "bad")}

    assert heights["good"][2] == heights["bad"][0]
    assert heights["good"][3] == heights["bad"][2]
    assert path["ticks"].count("M") == 2
