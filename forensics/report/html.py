"""One self-contained page: works offline, loads nothing, runs nothing but its own two scripts.

The content security policy names the hash of each script and style, so that nothing which came out of a log or a
tensor name could run even if it got past the escaping. Plots are drawn by uPlot 1.6.32 (MIT, `assets/`).
"""

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

import forensics
from forensics.model import Report
from forensics.redaction import NOT_MASKED
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
    scripts = [_asset("uPlot.iife.min.js"), _asset("report.js")]
    styles = [_asset("uPlot.min.css"), _asset("report.css")]
    return _template().render(
        page=page(report, excerpts),
        # Marked safe in the template: scripts and styles are ours, the data are JSON without any markup character.
        scripts=scripts,
        styles=styles,
        data=island(data(report)),
        policy=_policy(scripts, styles),
        version=forensics.__version__,
        not_masked=NOT_MASKED if masked else "",
    )


def _policy(scripts: Sequence[str], styles: Sequence[str]) -> str:
    return (
        f"default-src 'none'; script-src {_hashes(scripts)}; style-src {_hashes(styles)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hashes(texts: Sequence[str]) -> str:
    digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts)
    return " ".join(f"'sha256-{digest}'" for digest in digests)


@cache
def _asset(name: str) -> str:
    return resources.files("forensics.report").joinpath("assets", name).read_text(encoding="utf-8").strip("\n")


@cache
def _template() -> "Template":
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_asset("report.html.jinja"))
