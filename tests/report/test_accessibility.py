"""axe-core finds nothing in any page, light or dark, wide or narrow.

axe-core is no dependency (MPL-2.0, 550 KB): `AXE` names its `axe.min.js`, out of `npm pack axe-core@4.10.3`. Without
it, or without a Chromium, the tests are skipped; `.ci/long` runs them where both are.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from chromium import Page, binary
from forensics.cli import main
from runs import RUNS

AXE = Path(os.environ.get("AXE", ""))
pytestmark = pytest.mark.skipif(
    binary() is None or not AXE.is_file(), reason="no Chromium, or AXE names no axe.min.js (npm pack axe-core)"
)
BROKEN, HEALTHY = RUNS / "broken", RUNS / "healthy"
TOLD = "told.violations.map(v => v.id + ': ' + v.nodes.slice(0, 3).map(n => n.html.slice(0, 160)).join(' | '))"
PAGES: dict[str, tuple[str | Path, ...]] = {
    "founding": ("analyze", BROKEN / "ds-zero12-comm-corruption" / "run"),
    "recorded": ("analyze", BROKEN / "ds-zero12-comm-corruption-recorded" / "run"),
    "healthy": ("analyze", HEALTHY / "converging" / "run"),
    "crash": ("analyze", BROKEN / "out-of-memory" / "run"),
    "no curve": ("analyze", BROKEN / "disk-full" / "run"),
    "two runs": (
        "compare",
        HEALTHY / "zero2-bf16-two-ranks" / "run",
        BROKEN / "ds-zero12-comm-corruption" / "run",
    ),
    "fleet": ("triage", RUNS),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    with Page(1280, 900) as page:
        yield page


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(name: str, browser: Page, tmp_path: Path) -> None:
    command, *places = PAGES[name]
    path = tmp_path / "page.html"
    done = CliRunner().invoke(
        main, [str(command), *map(str, places), "-f", "html", "-o", str(path), "-q", "--no-redact"]
    )
    assert path.is_file(), done.output

    found: dict[str, Any] = {}
    for dark in (False, True):
        for width in (1280, 390):
            browser.call(
                "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
            )
            browser.emulate(dark=dark)
            browser.open(path)
            browser.run(AXE.read_text(encoding="utf-8") + ";0")
            browser.run("window.told = null; axe.run().then(r => { window.told = r; }); 0")
            browser.until("window.told !== null")
            assert browser.run("told.passes.length") > 10
            each = browser.run(TOLD)
            found[f"dark={dark} width={width}"] = each

    assert not any(found.values()), found
