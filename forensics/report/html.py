"""One self-contained page: works offline, loads nothing, runs nothing but its own two scripts.

The content security policy names the hash of each script and style, so that nothing which came out of a log or a
tensor name could run even if it got past the escaping. Plots are drawn by uPlot 1.6.32 (MIT, `assets/`).
"""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import forensics
from forensics.model import Report
from forensics.redaction import NOT_MASKED
from forensics.report._assets import asset, policy, template
from forensics.report._html_data import data
from forensics.report._html_view import page
from forensics.report._safe import island
from forensics.report.excerpts import Excerpt

if TYPE_CHECKING:
    from jinja2 import Template


def render(report: Report, *, masked: bool = False, excerpts: Sequence[Excerpt] = ()) -> str:
    """Return the page. `excerpts` are lines of the logs that sources lead to, masked like the report.

    `masked` says that the report was masked; the footer then tells what was not.
    """
    scripts = [asset("uPlot.iife.min.js"), asset("report.js")]
    styles = [asset("uPlot.min.css"), asset("report.css")]
    return _template().render(
        page=page(report, excerpts),
        # Marked safe in the template: scripts and styles are ours, the data are JSON without any markup character.
        scripts=scripts,
        styles=styles,
        data=island(data(report)),
        policy=policy(scripts, styles),
        version=forensics.__version__,
        not_masked=NOT_MASKED if masked else "",
    )


@cache
def _template() -> "Template":
    return template("report.html.jinja")
