"""`scan` and `diff` say when compiled loops would have been worth their installation, and only then."""

import pytest
from click.testing import CliRunner

from forensics.cli import main
from forensics.weights import inspection
from runs import FOUNDING

SAVED = FOUNDING.run / "checkpoint-12"
AGAIN = FOUNDING.run / "checkpoint-24"


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a machine without numba on which every byte takes long."""
    monkeypatch.setattr(inspection, "installed", lambda: False)
    monkeypatch.setattr(inspection, "SECONDS_A_GB", 1e6)


def told(*arguments: str) -> str:
    return CliRunner().invoke(main, list(arguments)).stdout


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("command", [("scan", str(SAVED)), ("diff", str(SAVED), str(AGAIN))])
def test_the_last_line_says_what_the_loops_would_have_saved(command: tuple[str, ...]) -> None:
    *_, blank, last = told(*command).splitlines()

    assert blank == ""
    assert last.startswith("the compiled loops of medforensics[fast] would have saved about ")
    assert last.endswith(" s of processor time")


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("form", ["csv", "json"])
def test_what_a_program_reads_has_no_footer(form: str) -> None:
    assert "medforensics[fast]" not in told("scan", str(SAVED), "-f", form)


@pytest.mark.usefixtures("slow")
def test_seconds_follow_the_bytes_that_loops_exist_for() -> None:
    """Integers and second names of a tensor would not have been faster."""
    scanned, _ = inspection.scan(SAVED)
    bytes_there = sum(r.nbytes for c in scanned for r in c.records if r.dtype in {"BF16", "F32"} and r.alias_of is None)

    assert f"about {bytes_there / 1e9 * 1e6:.0f} s" in inspection.hint(scanned)
    assert inspection.hint(()) == ""


def test_small_checkpoints_need_no_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "installed", lambda: False)

    assert "medforensics[fast]" not in told("scan", str(SAVED))


def test_with_numba_there_is_nothing_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "SECONDS_A_GB", 1e6)

    assert "medforensics[fast]" not in told("scan", str(SAVED))
