"""The page in a real browser: drawn, linked, searchable, quick, quiet."""

import base64
import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import chromium
from forensics.investigate import investigate
from forensics.model import Report, Timeline
from forensics.model.columns import Names
from forensics.report import html
from forensics.report._html_data import data, thinned
from forensics.report.excerpts import excerpts
from forensics.testing import make_series
from runs import BROKEN, FOUNDING, HEALTHY, Case
from wide_tables import repeated

needs_chromium = pytest.mark.skipif(
    chromium.binary() is None, reason="no Chromium here; `apt-get install chromium` lets the page be tested"
)
MOST_BYTES = 5 << 20
SCREENS = [
    FOUNDING,
    *(c for c in BROKEN if c.name in {"fully-masked-attention-row", "out-of-memory", "lr-spike", "fp16-overflow"}),
    *(c for c in HEALTHY if c.name == "converging"),
]
"""The founding case, an unknown cause, a crash, a divergence, a tie, a healthy run."""


@pytest.fixture(scope="module")
def report() -> Report:
    return investigate(FOUNDING.run, weights="full")


@pytest.fixture(scope="module")
def browser() -> Iterator[chromium.Page]:
    with chromium.Page() as page:
        yield page


@pytest.fixture(scope="module")
def page(browser: chromium.Page, report: Report, tmp_path_factory: pytest.TempPathFactory) -> chromium.Page:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(html.render(report, excerpts=tuple(excerpts(report))))
    browser.emulate()
    browser.open(path)
    return browser


def big(report: Report) -> Report:
    """100,000 points in each of two metrics, 5,000 tensors in two checkpoints."""
    count = 100_000
    values = np.sin(np.arange(count) / 500.0) + 2
    values[count // 2 :: 7] = np.nan
    steps = range(1, count + 1)
    series = {name: make_series(name, values.tolist(), steps) for name in ("loss", "grad_norm")}
    wide = []
    for checkpoint in report.run.checkpoints[:2]:
        assert checkpoint.table is not None
        table = repeated(checkpoint.table, 5_000)
        wide.append(replace(checkpoint, table=replace(table, names=Names(f"layer.{i}.weight" for i in range(5_000)))))
    return replace(report, run=replace(report.run, timeline=Timeline(series), checkpoints=tuple(wide)))


def test_the_page_stays_small(report: Report) -> None:
    assert len(html.render(big(report)).encode()) < MOST_BYTES


def test_thinning_keeps_extremes_and_gaps() -> None:
    values = np.ones(100_000)
    values[12_345], values[54_321], values[77_777] = 900.0, -5.0, np.nan
    kept = thinned(values, 5_000)

    assert len(kept) <= 5_002
    assert {0, 12_345, 54_321, 77_777, 99_999} <= set(kept.tolist())


def test_data_holds_no_number_that_json_lacks(report: Report) -> None:
    import json

    json.dumps(data(report), allow_nan=False)


def test_a_run_without_anything_still_makes_a_page(report: Report) -> None:
    empty = replace(report, run=replace(report.run, timeline=Timeline(), checkpoints=()), findings=(), hypotheses=())

    assert "Not examined" in html.render(empty)


@needs_chromium
def test_the_curves_are_drawn(page: chromium.Page) -> None:
    """Each canvas has the colour of the curve in it, and the onset is drawn in its own."""
    names = page.run("[...document.querySelectorAll('#plots .plot h3')].map((e) => e.textContent)")
    inked = """[...document.querySelectorAll('#plots canvas')].map((c) => {
        const p = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        let blue = 0, red = 0;
        for (let i = 0; i < p.length; i += 4) {
            if (p[i + 3] && p[i + 2] > p[i] + 80) blue++;
            if (p[i + 3] && p[i] > p[i + 2] + 80) red++;
        }
        return [blue > 50, red > 50];
    })"""

    assert names[0] == "loss"
    assert page.run(inked) == [[True, True]] * len(names)


@needs_chromium
def test_hovering_shows_the_value_in_every_plot(page: chromium.Page) -> None:
    box = page.run("(() => { const r = document.querySelector('.u-over').getBoundingClientRect(); "
                   "return [r.x, r.y + scrollY, r.width, r.height]; })()")  # fmt: skip
    page.run(f"scrollTo(0, {box[1] - 200})")
    top = page.run("document.querySelector('.u-over').getBoundingClientRect().y")
    page.mouse("mouseMoved", box[0] + box[2] / 4, top + box[3] / 2)
    page.until("document.querySelectorAll('#plots .u-legend .u-series .u-value')[0].textContent.trim() !== '--'")
    shown = page.run("[...document.querySelectorAll('#plots .u-legend')].map((e) => e.textContent)")

    assert "loss" in shown[0]
    assert any(character.isdigit() for character in shown[0])
    steps = {text.split("loss")[0].split("learning")[0].split("eval")[0] for text in shown[:2]}
    assert len(steps) == 1


@needs_chromium
def test_zooming_one_plot_zooms_all(page: chromium.Page) -> None:
    """Dragging over the first plot changes the step axis of the second; the button brings the whole run back."""
    before = page.run("document.querySelectorAll('#plots canvas')[1].toDataURL()")
    page.run("document.querySelector('#plots').scrollIntoView()")
    box = page.run(
        "(() => { const r = document.querySelector('.u-over').getBoundingClientRect(); return [r.x, r.y, r.width]; })()"
    )
    page.drag(box[0] + box[2] * 0.3, box[1] + 40, box[0] + box[2] * 0.6)
    page.until(f"document.querySelectorAll('#plots canvas')[1].toDataURL() !== {before!r}")
    page.run("document.getElementById('zoom-all').click()")
    page.until("new Promise((r) => setTimeout(() => r(true), 100))")
    zoomed = page.run("document.querySelectorAll('#plots canvas')[1].toDataURL()")
    page.run("document.querySelector('#plots [tabindex]').focus()")
    page.key("+", "+")
    page.until(f"document.querySelectorAll('#plots canvas')[1].toDataURL() !== {zoomed!r}")


@needs_chromium
def test_tensors_are_searched_and_sorted(page: chromium.Page) -> None:
    page.run("document.getElementById('tensor-search').focus()")
    for letter in "q_proj":
        page.key(letter, letter)
    page.until("document.getElementById('tensor-count').textContent.startsWith('8 of')")
    names = page.run("[...document.querySelectorAll('#tensor-map tbody th')].map((e) => e.textContent)")
    page.run(
        "(() => { const s = document.getElementById('tensor-order'); s.value = 'name';"
        " s.dispatchEvent(new Event('change')); })()"
    )
    ordered = page.run("[...document.querySelectorAll('#tensor-map tbody th')].map((e) => e.textContent)")

    assert names
    assert all("q_proj" in name for name in names)
    assert ordered == sorted(names)


@needs_chromium
def test_a_source_leads_to_its_line(page: chromium.Page) -> None:
    page.run("document.querySelector('.evidence a').click()")
    page.until("location.hash !== ''")
    page.until("document.querySelector(':target') && document.querySelector(':target').closest('details').open")
    text = page.run("document.querySelector(':target').textContent")

    assert "deepspeed" in text.lower()


@needs_chromium
def test_nothing_is_loaded_and_nothing_complains(page: chromium.Page) -> None:
    """No request leaves, no console error, and the policy lets nothing foreign run."""
    blocked = page.run(
        "(() => { const s = document.createElement('script'); s.textContent = 'window.foreign = 1';"
        " document.body.append(s); return window.foreign === undefined; })()"
    )
    complaints = [line for line in page.console if "Content Security Policy" not in line]

    assert blocked
    assert complaints == []


@needs_chromium
def test_dark_light_and_narrow(page: chromium.Page) -> None:
    """The page follows the system, and a phone's width needs no sideways scrolling."""
    colors = []
    for dark in (False, True):
        page.emulate(dark=dark)
        page.until(f"document.documentElement.dataset.theme === '{'dark' if dark else 'light'}'")
        colors.append(page.run("getComputedStyle(document.body).backgroundColor"))
    page.call("Emulation.setDeviceMetricsOverride", width=390, height=800, deviceScaleFactor=1, mobile=True)
    page.until("new Promise((r) => setTimeout(() => r(true), 300))")
    wide = page.run("document.documentElement.scrollWidth")
    page.call("Emulation.clearDeviceMetricsOverride")
    page.emulate()

    assert len(set(colors)) == 2
    assert wide <= 400


@needs_chromium
def test_everything_can_be_named_by_a_screen_reader(page: chromium.Page) -> None:
    """Controls have names, plots have a text, headings do not jump, ids are unique."""
    names = page.run(
        "[...document.querySelectorAll('button, input, select')].filter((e) => !e.hidden).map((e) =>"
        " (e.getAttribute('aria-label') || e.textContent || (e.labels && e.labels[0] && e.labels[0].textContent)"
        " || '').trim())"
    )
    plots = page.run("[...document.querySelectorAll('#plots [role=img]')].map((e) => e.getAttribute('aria-label'))")
    levels = page.run("[...document.querySelectorAll('h1, h2, h3')].map((e) => Number(e.tagName[1]))")
    ids = page.run("[...document.querySelectorAll('[id]')].map((e) => e.id)")

    assert "" not in names
    assert all("over steps" in text for text in plots)
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert len(ids) == len(set(ids))


@needs_chromium
def test_a_big_run_stays_usable(browser: chromium.Page, report: Report, tmp_path: Path) -> None:
    """5,000 tensors and 200,000 points: only rows in sight exist, and typing answers within a frame or so."""
    path = tmp_path / "big.html"
    path.write_text(html.render(big(report)))
    browser.open(path)
    rows = browser.run("document.querySelectorAll('#tensor-map tbody tr').length")
    took = browser.run(
        "(() => { const s = document.getElementById('tensor-search'); s.value = '499';"
        " const t = performance.now();"
        " s.dispatchEvent(new Event('input')); return performance.now() - t; })()"
    )
    count = browser.run("document.getElementById('tensor-count').textContent")

    assert rows < 100
    assert count.startswith("15 of 5,000") or count.split()[0].isdigit()
    assert took < 1000


@needs_chromium
def test_a_healthy_run_has_a_page_without_an_onset(browser: chromium.Page, tmp_path: Path) -> None:
    path = tmp_path / "healthy.html"
    path.write_text(html.render(investigate(HEALTHY[0].run)))
    browser.console.clear()
    browser.open(path)

    assert browser.run("document.getElementById('zoom-onset').hidden")
    assert browser.run("document.querySelectorAll('#plots canvas').length") >= 1
    assert browser.console == []


FIRST = """(() => {
    const bottom = (name) => {
        const found = document.querySelector(name);
        return found ? found.getBoundingClientRect().bottom : 0;
    };
    return [bottom('dl.first'), bottom('header .copy'), bottom('.first-curve'), document.documentElement.scrollWidth];
})()"""


@needs_chromium
@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)])
@pytest.mark.parametrize("case", SCREENS, ids=str)
def test_the_first_screen_needs_no_scrolling(
    browser: chromium.Page, case: Case, width: int, height: int, tmp_path: Path
) -> None:
    """What, when, cause, the last good checkpoint, what to copy and the curve, on a desk and on a telephone."""
    path = tmp_path / "report.html"
    path.write_text(html.render(investigate(case.run, weights="full")))
    browser.emulate()
    browser.call(
        "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
    )
    try:
        browser.open(path)
        *bottoms, wide = browser.run(FIRST)
    finally:
        browser.call("Emulation.clearDeviceMetricsOverride")

    assert max(bottoms) <= height
    assert bottoms[0] > 0
    assert wide <= width


@needs_chromium
@pytest.mark.parametrize("case", SCREENS, ids=str)
def test_it_prints_on_four_pages(browser: chromium.Page, case: Case, tmp_path: Path) -> None:
    """Without raw log lines and without every tensor, which are looked up on a screen."""
    report = investigate(case.run, weights="full")
    path = tmp_path / "report.html"
    path.write_text(html.render(report, excerpts=tuple(excerpts(report))))
    browser.emulate()
    browser.open(path)
    printed = base64.b64decode(browser.call("Page.printToPDF")["data"])

    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 4


@needs_chromium
def test_the_title_says_verdict_and_run(browser: chromium.Page, report: Report, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(html.render(report))
    browser.open(path)

    assert browser.run("document.title") == f"broken: {FOUNDING.run}"
