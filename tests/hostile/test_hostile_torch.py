"""Every hostile file ends in a typed error or in findings, runs nothing, and stays within memory and time."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import forensics
from fuzz.hostile.case import Case, Payload
from fuzz.hostile.old_cases import joblib_case, legacy_cases, numpy_cases, tar_cases
from fuzz.hostile.pickle_cases import pickle_cases
from fuzz.hostile.zip_cases import zip_cases


def every_case(payload: Payload) -> list[Case]:
    cases = [*pickle_cases(payload), *zip_cases(payload), *legacy_cases(payload)]
    return [*cases, *tar_cases(payload), *numpy_cases(payload), joblib_case(payload)]


CASES = {case.name: case for case in every_case(Payload("marker"))}


@dataclass(frozen=True, slots=True)
class Outcome:
    answers: dict[str, dict[str, object]]
    marker: Path
    exit_code: int


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    root = tmp_path_factory.mktemp("hostile")
    marker, folder = root / "executed", root / "files"
    folder.mkdir()
    for case in every_case(Payload(str(marker))):
        (folder / f"{case.name}.{case.ending}").write_bytes(case.content)
    script = Path(__file__).with_name("read_all.py")
    environment = {**os.environ, "PYTHONPATH": str(Path(forensics.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, str(script), str(folder)],
        env=environment,
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    sys.stderr.write(done.stderr)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    return Outcome({str(answer["name"]): answer for answer in answers}, marker, done.returncode)


def test_nothing_is_executed(outcome: Outcome) -> None:
    """No payload ran: the marker that each would create is absent."""
    assert not outcome.marker.exists()


def test_the_reader_survives_every_file(outcome: Outcome) -> None:
    """One process reads the whole set within 1 GiB and two minutes and answers for every file."""
    assert (outcome.exit_code, set(outcome.answers)) == (0, set(CASES))


@pytest.mark.parametrize("case", CASES.values(), ids=lambda case: case.name)
def test_hostile_file_is_described(case: Case, outcome: Outcome) -> None:
    """What is wrong is said in words, and intact tensors beside it are still listed."""
    answer = outcome.answers[case.name]
    said = answer["said"]
    assert isinstance(said, list)

    assert re.search(case.said, "\n".join(said)), said
    if case.tensors is not None:
        assert answer["tensors"] == case.tensors


def test_the_payloads_would_work(tmp_path: Path) -> None:
    """The set is no paper tiger: Python's own unpickler, in a process of its own, does create the marker."""
    marker, victim = tmp_path / "executed", tmp_path / "victim.pkl"
    cases = {case.name: case for case in pickle_cases(Payload(str(marker)))}
    victim.write_bytes(cases["system_protocol_2"].content)
    script = "import pickle, sys; pickle.load(open(sys.argv[1], 'rb'))"
    subprocess.run([sys.executable, "-c", script, str(victim)], check=True)

    assert marker.exists()
