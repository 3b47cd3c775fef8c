"""What the documents show is what the program prints."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from click import Group
from click.testing import CliRunner

from forensics.cli import main
from runs import ROOT

README = ROOT / "README.md"
SHOWN = re.compile(r"(<!-- output -->\n```text\n)(.*?)(```)", re.DOTALL)


def test_the_readme_shows_true_output(request: pytest.FixtureRequest) -> None:
    """The block under the first command is its output, to the letter."""
    text = README.read_text()
    command = re.search(r"\$ pip install .* && medforensics (.*)", text)
    assert command is not None
    env = {"PATH": "", "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-m", "forensics", *command[1].split()],
        cwd=ROOT, capture_output=True, text=True, check=False, env=env,
    )  # fmt: skip
    if request.config.getoption("--accept"):
        README.write_text(SHOWN.sub(lambda m: m[1] + done.stdout + m[3], text))
    shown = SHOWN.search(README.read_text())

    assert shown is not None
    assert shown[2] == done.stdout


def test_the_library_example_runs() -> None:
    block = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert block is not None
    command = [sys.executable, "-c", block[1]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.startswith("broken ds-zero12-comm-corruption\n")


def test_generated_pages_are_fresh() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", sorted(main.commands))
def test_every_command_has_help_with_an_example(name: str) -> None:
    shown = CliRunner().invoke(main, [name, "--help"])

    assert shown.exit_code == 0
    assert isinstance(main.commands[name], Group) or "Example" in shown.output
    assert f"medforensics {name}" in README.read_text() or name in README.read_text()


def test_no_path_of_a_machine_is_committed() -> None:
    """Documents and code name no folder of the machine they were written on."""
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *Path(ROOT / "forensics").rglob("*.py")]:
        assert not re.search(r"/(?:work|root)/[a-z]", path.read_text()), path
