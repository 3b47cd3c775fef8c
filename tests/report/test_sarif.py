"""SARIF for code scanning."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from forensics.investigate import investigate
from forensics.report import sarif
from runs import BROKEN, FOUNDING, HEALTHY, Case

jsonschema = pytest.importorskip("jsonschema")
SCHEMA = Path(__file__).parent.parent / "data" / "sarif-schema-2.1.0.json"


def log(case: Case) -> Any:
    return json.loads(sarif.render(investigate(case.run)))


@pytest.mark.parametrize("case", [*BROKEN, *HEALTHY], ids=str)
def test_the_log_is_valid(case: Case) -> None:
    jsonschema.validate(log(case), json.loads(SCHEMA.read_text()))


@pytest.mark.parametrize("case", [*BROKEN, *HEALTHY], ids=str)
def test_locations_are_relative_files_of_the_run(case: Case) -> None:
    """GitHub drops a result whose place is absolute or does not exist."""
    for result in log(case)["runs"][0]["results"]:
        for location in (*result["locations"], *result.get("relatedLocations", [])):
            uri = location["physicalLocation"]["artifactLocation"]["uri"]

            assert not urlsplit(uri).scheme
            assert (case.run / unquote(uri)).exists(), uri


def test_the_cause_stands_in_the_message() -> None:
    results = log(FOUNDING)["runs"][0]["results"]
    first = results[0]

    assert first["ruleId"] == "loss-to-zero"
    assert first["level"] == "error"
    assert "DIST001" in first["message"]["text"]
    assert any("region" in place["physicalLocation"] for place in first["relatedLocations"])


def test_every_rule_of_a_result_is_declared() -> None:
    run = log(FOUNDING)["runs"][0]
    declared = {rule["id"] for rule in run["tool"]["driver"]["rules"]}

    assert {result["ruleId"] for result in run["results"]} <= declared
