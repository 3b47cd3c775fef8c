"""A report shows itself in a notebook."""

import html
import sys
from types import SimpleNamespace
from typing import Any

import pytest

import forensics
from forensics.model import Report
from forensics.report import notebook
from runs import FOUNDING


def test_a_report_is_shown_as_a_page_in_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """`analyze` registers with a running IPython; shown is the masked page, sealed off."""
    shown: dict[type[Any], Any] = {}
    formatter = SimpleNamespace(for_type=shown.__setitem__)
    shell = SimpleNamespace(display_formatter=SimpleNamespace(formatters={"text/html": formatter}))
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    report = forensics.analyze(FOUNDING.run)
    text = shown[Report](report)

    assert 'sandbox="allow-scripts"' in text
    assert "ds-zero12-comm-corruption" in html.unescape(text)
    assert "node01" not in text


def test_without_ipython_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))

    assert not notebook.register()
