"""Reports: one module an output format, each a pure function of the report."""

import importlib
from collections.abc import Callable

from forensics.model import Report

FORMATS = ("terminal", "markdown", "json")


def renderer(name: str) -> Callable[[Report], str]:
    """Return the `render` function of an output format; imported only when it is asked for."""
    module = importlib.import_module(f"forensics.report.{name}")
    render: Callable[[Report], str] = module.render
    return render
