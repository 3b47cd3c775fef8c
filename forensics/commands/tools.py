"""What an agent may ask through the model context protocol: four questions, read-only, answers of bounded length.

Plain functions from texts to a text, so that they are tested and used without the protocol. An error that a user could
mend comes back as one line, as the command line would print it; nothing is raised through the protocol.
"""

import functools
from collections.abc import Callable
from typing import ParamSpec

import forensics
from forensics.errors import ForensicsError

Given = ParamSpec("Given")
MAX_CHARS = 20_000
"""The longest answer; at four characters a token it leaves room for the conversation around it."""


def bounded(tool: Callable[Given, str]) -> Callable[Given, str]:
    """Mask secrets, cut what is too long and say so, and turn our own errors into a line."""

    @functools.wraps(tool)
    def ask(*args: Given.args, **kwargs: Given.kwargs) -> str:
        from forensics.report import without_secrets

        try:
            text = tool(*args, **kwargs)
        except ForensicsError as error:
            text = f"medforensics: {error}"
        text = without_secrets(text)
        if len(text) <= MAX_CHARS:
            return text
        note = f"\n[cut: {len(text):,} characters in all]"
        return text[: MAX_CHARS - len(note)] + note

    return ask


@bounded
def analyze(path: str) -> str:
    """Say what broke in a training run, from which step, because of what, and what to change, as Markdown.

    `path` is a run folder, a log, a trainer state, an archive, or a saved issue of this machine.
    """
    from forensics.report import markdown, masked

    report = forensics.analyze(path)
    return markdown.render(masked(report, identities=False), max_chars=MAX_CHARS - 1_000)


@bounded
def compare(good: str, bad: str) -> str:
    """Say what differs between two runs, and which difference can matter for what went wrong in the second."""
    from forensics.report import comparison, redactor_for

    compared = forensics.compare(good, bad)
    runs = (compared.good.report.run, compared.bad.report.run)
    found = comparison.masked(compared, redactor_for(*runs, identities=False, names={}))
    return comparison.render(found, "markdown")


@bounded
def timeline(path: str, metric: str = "loss") -> str:
    """Return one metric of a run over its steps as CSV; an unknown metric is answered with those that there are."""
    from forensics.report import timeline as page

    return page.render(forensics.read(path), [metric], "csv")


@bounded
def explain(name: str) -> str:
    """Explain a cause, a mechanism or a symptom by its name or code; any other word lists what speaks of it."""
    from forensics import catalog
    from forensics.report import explain as page

    found = catalog.find(name)
    if not found.exact:
        return page.several(name, found.rules, found.symptoms)
    if found.rules:
        return page.render(found.rules[0])
    detector = next((d for d in catalog.detectors() if d.name == found.symptoms[0]), None)
    return page.symptom(found.symptoms[0], detector, catalog.rules())


TOOLS = (analyze, compare, timeline, explain)
