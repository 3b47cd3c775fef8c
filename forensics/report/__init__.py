"""Reports: one module an output format, each a pure function of the report.

No format masks anything by itself: pass `masked(report, identities=...)` to what is meant for others, and at least
`identities=False`, which takes out the secrets, to everything that is shown.
"""

import importlib
from collections.abc import Callable

from forensics.model import Report
from forensics.redaction.identities import redactor_for
from forensics.report._masking import masked, masked_by, masked_checkpoints, masked_run, without_secrets

__all__ = [
    "FORMATS",
    "PASTED",
    "masked",
    "masked_by",
    "masked_checkpoints",
    "masked_run",
    "redactor_for",
    "renderer",
    "without_secrets",
]

FORMATS = ("terminal", "markdown", "html", "json", "sarif")
PASTED = ("markdown", "html", "sarif")
"""Formats that are made to be passed on: users, hosts, paths and ids are masked in them."""


def renderer(name: str) -> Callable[[Report], str]:
    """Return the `render` function of an output format; imported only when it is asked for."""
    module = importlib.import_module(f"forensics.report.{name}")
    render: Callable[[Report], str] = module.render
    return render
