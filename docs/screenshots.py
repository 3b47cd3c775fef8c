"""Draw the pictures of the README: the founding case as terminal and as page. `python docs/screenshots.py`.

The terminal picture is SVG, drawn by rich; the page is photographed by a headless Chromium, which must be installed.
"""

import io
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from forensics.investigate import investigate
from forensics.report import html, masked, terminal

ROOT = Path(__file__).parent.parent
RUN = Path("fixtures/runs/broken/ds-zero12-comm-corruption/run")
IMAGES = ROOT / "docs" / "images"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
LINES = 46
"""As much as a screen shows: what happened, where, and why."""


def main() -> None:
    report = masked(investigate(ROOT / RUN), identities=True)
    draw_terminal(terminal.render(report, color=True))
    photograph(html.render(report))


def draw_terminal(text: str) -> None:
    """Write docs/images/terminal.svg. The fonts that rich would fetch from a server are left out."""
    console = Console(record=True, width=82, file=io.StringIO())
    console.print(Text.from_ansi("\n".join(text.splitlines()[:LINES])))
    drawn = console.export_svg(title=f"medforensics analyze {RUN}")
    drawn = re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL).replace("Fira Code", "monospace")
    (IMAGES / "terminal.svg").write_text(drawn, encoding="utf-8")


def photograph(page: str) -> None:
    """Write docs/images/page.png, the curves and the checkpoints of the HTML report."""
    # A headless browser photographs the top of a page only.
    page = page.replace('id="why"', 'id="why" hidden').replace('id="change"', 'id="change" hidden')
    program = next(found for found in map(shutil.which, BROWSERS) if found)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "report.html").write_text(page, encoding="utf-8")
        subprocess.run(
            [
                program,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                "--window-size=1000,950",
                "--virtual-time-budget=5000",
                f"--user-data-dir={folder}/profile",
                f"--screenshot={IMAGES / 'page.png'}",
                (Path(folder) / "report.html").as_uri(),
            ],
            check=True,
            capture_output=True,
        )


if __name__ == "__main__":
    main()
