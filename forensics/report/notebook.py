"""A report as the value of a notebook cell: the HTML page in a frame of its own.

Registered by name with IPython when it runs, so that the model knows nothing of pages.
"""

import html as escaping
import sys

from forensics.model import Report

HEIGHT = 720


def show(report: Report) -> str:
    """Return the page inside a frame; people, hosts and paths are masked, as notebooks are passed on."""
    from forensics.report import html, masked

    page = html.render(masked(report, identities=True), masked=True)
    # A sandbox without allow-same-origin: the page may draw, but reaches neither the notebook nor its kernel.
    return (
        f'<iframe title="medforensics report" sandbox="allow-scripts" width="100%" height="{HEIGHT}" '
        f'style="border:0" srcdoc="{escaping.escape(page, quote=True)}"></iframe>'
    )


def register() -> bool:
    """Let IPython show reports as pages; tell whether there is a running IPython."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if shell is None:
        return False
    shell.display_formatter.formatters["text/html"].for_type(Report, show)
    return True
