"""The page of benchmarks: chapters stay until they are measured again."""

from pathlib import Path

import pytest

from benchmark_modules import loaded

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "tables.py"


tables = loaded("tables")


def test_a_chapter_that_is_not_measured_stays() -> None:
    """Written pages come back chapter by chapter, in the order of the program."""
    first, last = tables.CHAPTERS[0], tables.CHAPTERS[-1]
    page = tables.page_of({last.title: tables.written(last, "|a|\n|--|", 0.5)})

    kept = {**tables.chapters_of(page), first.title: tables.written(first, "plain", 2.0)}

    assert list(tables.chapters_of(tables.page_of(kept))) == [first.title, last.title]
    assert "```text\nplain\n```" in tables.page_of(kept)
    assert "load 0.5" in kept[last.title]


def test_a_page_that_is_read_and_written_again_is_the_same() -> None:
    page = tables.PAGE.read_text(encoding="utf-8")

    assert tables.page_of(tables.chapters_of(page)) == page


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"peers": None, "deepspeed": None}, ["benchmarks/readers_events.py"]),
        ({"peers": "/x", "deepspeed": None}, ["benchmarks/readers_events.py", "--peers", "/x/python"]),
    ],
)
def test_an_option_that_is_not_given_is_left_out(given: dict[str, str | None], expected: list[str]) -> None:
    (chapter,) = (each for each in tables.CHAPTERS if each.script == "readers_events")

    assert chapter.command(given) == expected


def test_every_chapter_has_its_script() -> None:
    for chapter in tables.CHAPTERS:
        assert (tables.FOLDER / f"{chapter.script}.py").is_file()


def test_the_readme_takes_the_first_and_the_last_table() -> None:
    """What stands between stays where it is, in the page of benchmarks."""
    readme = "before\n<!-- diagnosis -->\n```text\nold\n```\nafter"

    told = tables.with_diagnosis(readme, "all\nruns\n\nby symptom\n\nrivals\n")

    assert told == "before\n<!-- diagnosis -->\n```text\nall\nruns\n\nrivals\n```\nafter"
