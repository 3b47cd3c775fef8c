"""A secret planted at any place of any file of any fixture is in no output of any command."""

import random
import re
import shutil
import zipfile
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forensics.cli import main
from secrets_planted import BY_NAME, SECRETS

RUNS = Path(__file__).resolve().parents[2] / "fixtures" / "runs"
SMALL = 200_000
TEXTS = (".log", ".out", ".err", ".txt", ".json", ".yaml", ".yml", ".md", ".csv", ".sh", ".py", ".jsonl", ".toml")
COMMANDS = (
    ["analyze", "RUN"],
    ["analyze", "RUN", "--verbose"],
    ["analyze", "RUN", "--json", "--no-redact"],
    ["analyze", "RUN", "-f", "markdown", "--no-redact"],
    ["analyze", "RUN", "-f", "html", "--no-redact"],
    ["analyze", "RUN", "-f", "sarif"],
    ["bundle", "RUN", "-q", "-o", "OUT"],
    ["timeline", "RUN", "-f", "csv"],
    ["timeline", "RUN", "-f", "json"],
    ["env", "RUN"],
    ["env", "RUN", "-f", "json", "--no-redact"],
    ["plan", "RUN"],
    ["scan", "RUN", "-f", "json", "--top", "0"],
    ["compare", "RUN", "GOOD", "-f", "markdown", "--no-redact"],
    ["compare", "GOOD", "RUN", "-f", "json"],
    ["triage", "ROOT", "-j", "1", "-f", "json"],
)
SPELLINGS = (
    "{name}={value}",
    "export {name}='{value}'",
    '"{name}": "{value}",',
    "--{name} {value}",
    "{name}: {value}",
    "os.environ['{name}'] = '{value}'",
)
"""How a value stands beside its name; one that is known by its look may stand alone."""


@cache
def places() -> tuple[tuple[Path, Path], ...]:
    """Return every small text file of the fixtures, with the run that it belongs to."""
    found = []
    for run in sorted(RUNS.glob("*/*/run")):
        files = [path for path in sorted(run.rglob("*")) if path.is_file()]
        if sum(path.stat().st_size for path in files) < SMALL:
            found += [(run, path) for path in files if path.suffix in TEXTS]
    return tuple(found)


def planted(text: str, secret: str, chance: random.Random) -> str:
    """Put a secret between two words, or on a line of its own."""
    gaps = [match.end() for match in re.finditer(r"[\s{,]", text)] or [len(text)]
    at = chance.choice(gaps)
    before, behind = chance.choice((("\n", "\n"), (" ", " ")))
    return f"{text[:at]}{before}{secret}{behind}{text[at:]}"


def said(command: list[str], run: Path, out: Path) -> str:
    held = {
        "RUN": str(run),
        "OUT": str(out),
        "ROOT": str(run.parent),
        "GOOD": str(RUNS / "healthy" / "converging" / "run"),
    }
    done = CliRunner().invoke(main, [held.get(word, word) for word in command])
    assert done.exit_code in {0, 1, 3}, (command, done.output[-2000:])
    text = done.output
    if out.exists():
        with zipfile.ZipFile(out) as archive:
            text += "".join(archive.read(name).decode() for name in archive.namelist())
    return text


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), command=st.sampled_from(COMMANDS))
def test_a_planted_secret_is_nowhere(tmp_path_factory: pytest.TempPathFactory, seed: int, command: list[str]) -> None:
    chance = random.Random(seed)
    run, path = chance.choice(places())
    named, bare = chance.choice((*BY_NAME, *SECRETS)), chance.choice(SECRETS)
    folder = tmp_path_factory.mktemp("planted")
    copy = folder / "run"
    shutil.copytree(run, copy)
    target = copy / path.relative_to(run)
    text = target.read_text(errors="replace")
    text = planted(text, chance.choice(SPELLINGS).format(name=named[0], value=named[1].replace("\n", "\\n")), chance)
    target.write_text(planted(text, f"using {bare[1]} now", chance))

    found = said(command, copy, folder / "out.zip")

    for _, value in (named, bare):
        lines = [line for line in value.splitlines() if len(line) > 12 and "PRIVATE" not in line]
        assert not any(line in found for line in lines), (path, command, value)
