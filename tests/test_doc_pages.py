"""Pages that are written by hand keep up with the program."""

import re
import subprocess
import sys

import pytest

from forensics import errors
from runs import ROOT

TUTORIAL = ROOT / "docs" / "tutorial.md"
SHOWN = re.compile(r"(<!-- output: (.*?) -->\n```text\n)(.*?)(```)", re.DOTALL)


def slugs() -> list[str]:
    found = (value for value in vars(errors).values() if isinstance(value, type))
    return sorted({kind.slug for kind in found if issubclass(kind, errors.ForensicsError)})


@pytest.mark.parametrize("slug", slugs())
def test_every_message_has_its_paragraph(slug: str) -> None:
    """One heading a slug, followed by words."""
    text = (ROOT / "docs" / "messages.md").read_text()

    assert len(re.findall(rf"(?m)^## {re.escape(slug)}\n\n\S", text)) == 1


def test_no_paragraph_is_about_nothing() -> None:
    headings = re.findall(r"(?m)^## (\S+)$", (ROOT / "docs" / "messages.md").read_text())

    assert sorted(headings) == slugs()


def printed(command: str) -> str:
    env = {"PATH": "", "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    words = [sys.executable, "-m", "forensics", *command.split()]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, env=env).stdout


def test_the_tutorial_shows_true_output(request: pytest.FixtureRequest) -> None:
    text = TUTORIAL.read_text()
    true = SHOWN.sub(lambda m: m[1] + printed(m[2]) + m[4], text)
    if request.config.getoption("--accept"):
        TUTORIAL.write_text(true)

    assert len(SHOWN.findall(text)) == 2
    assert TUTORIAL.read_text() == true


PAGES = sorted((ROOT / "docs").rglob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_commands_in_pages_exist(page: object) -> None:
    """Every `medforensics COMMAND --option` of a console block is a command with that option."""
    from pathlib import Path

    from forensics.cli import main

    assert isinstance(page, Path)
    for line in re.findall(r"(?m)^\s*(?:\$ .*?)?medforensics ([a-z]+ .*)$", page.read_text()):
        name, *words = line.split()
        if name not in main.commands:
            continue
        known = {option for parameter in main.commands[name].params for option in (*parameter.opts, "--help")}
        options = {word.split("=")[0] for word in words if word.startswith("-") and len(word) > 1}

        assert options - known == set(), f"{page.name}: {line}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: object) -> None:
    from pathlib import Path

    assert isinstance(page, Path)
    links = [link for link in re.findall(r"\]\(([^)#]+)", page.read_text()) if "://" not in link]

    assert [link for link in links if not (page.parent / link).exists()] == []
