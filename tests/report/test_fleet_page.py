"""The page of many runs in a real browser: sorted, filtered, quick with two thousand."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import chromium
from forensics.fleet.group import groups_of
from forensics.fleet.row import Row
from forensics.report import fleet

needs_chromium = pytest.mark.skipif(
    chromium.binary() is None, reason="no Chromium here; `apt-get install chromium` lets the page be tested"
)
CURVE = tuple((step, 2.0 - step / 100 if step % 7 else None) for step in range(1, 61))
DEAD = Row("seed-1", "broken", "error", "loss-nan", 17, 18, "bad-data-sample", "DATA012", "likely", curve=CURVE)
ROWS = (
    DEAD,
    replace(DEAD, path="seed-10", onset=9, steps_after=70),
    replace(DEAD, path="seed-2", cause="fp16-overflow", onset=40),
    Row("<b>fine</b>", "healthy", curve=CURVE),
)


def many() -> list[Row]:
    causes = [f"cause-{number % 23}" for number in range(2_000)]
    return [
        replace(DEAD, path=f"sweep/run-{(number * 7919) % 2_000}", cause=cause, onset=(number * 31) % 500)
        for number, cause in enumerate(causes)
    ]


@pytest.fixture(scope="module")
def browser() -> Iterator[chromium.Page]:
    with chromium.Page() as page:
        yield page


@pytest.fixture
def page(browser: chromium.Page, tmp_path: Path) -> chromium.Page:
    path = tmp_path / "fleet.html"
    path.write_text(fleet.render(ROWS, pages={"seed-1": "pages/0001.html"}))
    browser.emulate()
    browser.open(path)
    return browser


SHOWN = "[...document.querySelectorAll('#runs tbody tr')].filter((r) => !r.hidden).map((r) => r.dataset.path)"


def test_one_cause_is_one_group_whatever_its_settings() -> None:
    rows = [replace(DEAD, fingerprint="1"), replace(DEAD, path="b", fingerprint="2", verdict="suspicious")]
    groups = groups_of([*rows, replace(DEAD, path="c", cause="unknown"), Row("d", "healthy")])

    assert [(g.label, g.verdict, g.title, len(g.rows)) for g in groups] == [
        ("A", "broken", "bad-data-sample", 2),
        ("B", "broken", "loss-nan, cause unknown", 1),
        ("", "healthy", "healthy", 1),
    ]


def test_nothing_of_a_run_is_markup() -> None:
    text = fleet.render(ROWS)

    assert "<b>" not in text
    assert text.count("<script") == 1
    assert "unsafe-inline" not in text


@needs_chromium
def test_rows_are_sorted_and_the_order_is_told(page: chromium.Page) -> None:
    page.run("document.querySelector('[data-key=path]').click()")
    assert page.run(SHOWN) == ["<b>fine</b>", "seed-1", "seed-2", "seed-10"]
    page.run("document.querySelector('[data-key=at]').click()")
    assert page.run(SHOWN) == ["seed-10", "seed-1", "seed-2", "<b>fine</b>"]
    page.run("document.querySelector('[data-key=at]').click()")
    assert page.run(SHOWN) == ["seed-2", "seed-1", "seed-10", "<b>fine</b>"]
    assert page.run("document.querySelector('.c-onset').getAttribute('aria-sort')") == "descending"
    assert page.run("document.querySelectorAll('[aria-sort=none]').length") == 6


@needs_chromium
def test_rows_are_filtered_and_counted(page: chromium.Page) -> None:
    page.run("byId = (id) => document.getElementById(id), set = (id, v) => { byId(id).value = v;"
             " byId(id).dispatchEvent(new Event(id === 'search' ? 'input' : 'change')); }")  # fmt: skip
    page.run("set('search', 'OVERFLOW')")
    assert page.run(SHOWN) == ["seed-2"]
    assert page.run("byId('count').textContent") == "1 of 4 runs"
    page.run("set('search', ''), set('verdict', 'healthy')")
    assert page.run(SHOWN) == ["<b>fine</b>"]
    page.run("set('verdict', ''), set('group', 'A')")
    assert page.run(SHOWN) == ["seed-1", "seed-10"]


@needs_chromium
def test_each_run_has_its_loss_and_its_link(page: chromium.Page) -> None:
    assert page.run("document.querySelectorAll('#runs svg.curve .line').length") == 4
    assert page.run("document.querySelectorAll('#runs svg.curve .onset').length") == 3
    assert page.run("[...document.querySelectorAll('#runs a')].map((a) => a.getAttribute('href'))") == [
        "pages/0001.html"
    ]
    assert page.console == []


@needs_chromium
def test_two_thousand_runs_sort_as_fast_as_they_are_moved(browser: chromium.Page, tmp_path: Path) -> None:
    """A sort takes at most twice what ordering the names and moving the rows take, which cannot be avoided.

    By the clock of the page, the best of five, all in one run, so that a slow machine changes nothing.
    """
    path = tmp_path / "fleet.html"
    path.write_text(fleet.render(many()))
    browser.open(path)
    script = """(() => {
        const body = document.querySelector('#runs tbody');
        const best = (act) => Math.min(...Array.from({length: 5}, () => {
            const start = performance.now(); act(); body.getBoundingClientRect(); return performance.now() - start;
        }));
        const button = document.querySelector('[data-key=path]');
        const names = [...body.rows].map((row) => row.dataset.path);
        const collator = new Intl.Collator('en', {numeric: true});
        return [
            best(() => button.click()),
            best(() => body.append(...[...body.rows].reverse())),
            best(() => [...names].sort(collator.compare)),
        ];
    })()"""
    sorting, moving, ordering = browser.run(script)

    assert browser.run("document.querySelectorAll('#runs tbody tr').length") == 2_000
    assert sorting <= 2 * (moving + ordering)
