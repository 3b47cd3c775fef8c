"""`medforensics compare` as a user calls it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from comparison.run_pair import Pair
from forensics.cli import main
from runs import FOUNDING

VERDICT = "deepspeed 0.11.1 -> 0.12.5 is the difference that matters for loss-to-zero"


@pytest.mark.parametrize("form", ["table", "markdown", "json"])
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
