"""A rule or symptom as a page: the text of `medforensics explain`, and of docs/rules/."""

from collections.abc import Sequence

from tabulate import tabulate

from forensics.plugin import Detector, Rule


def render(rule: Rule) -> str:
    """Return the page of a rule in Markdown."""
    kind = "mechanism" if rule.mechanism else "benign explanation" if rule.benign else "cause"
    head, _, body = rule.doc.partition("\n")
    parts = [f"# {rule.code}: {rule.name}", "", head.strip(), "", f"A {kind}, since {rule.since}."]
    parts += ["", f"Explains: {', '.join(f'`{name}`' for name in rule.explains)}."]
    if rule.requires:
        parts += ["", "Impossible unless:", "", *(f"- {condition.that}" for condition in rule.requires)]
    if rule.helps:
        parts += ["", f"Looks at: {', '.join(f'`{name}`' for name in rule.helps)}."]
    if body.strip():
        parts += ["", body.strip()]
    if rule.references:
        parts += ["", "## References", "", *(f"- <{url}>" for url in rule.references)]
    return "\n".join(parts)


def symptom(name: str, detector: Detector | None, rules: Sequence[Rule]) -> str:
    """Return the page of a symptom in Markdown: how it is found, and what can stand behind it."""
    parts = [f"# {name}", "", "A symptom."]
    if detector is not None:
        parts += ["", detector.doc]
    behind = [rule for rule in rules if name in rule.explains]
    parts += ["", "## What can stand behind it", ""]
    parts += [f"- `{rule.name}` ({rule.code}): {rule.title}." for rule in behind]
    if not behind:
        parts.append("No rule explains it: what it says is the answer, or leads to `unknown`.")
    return "\n".join(parts)


def several(word: str, rules: Sequence[Rule], symptoms: Sequence[str]) -> str:
    """Return a list of what a word stands in, for one of them to be asked for by name."""
    rows = [[name, "", "symptom"] for name in symptoms]
    rows += [[rule.name, rule.code, rule.title] for rule in rules]
    table = tabulate(rows, headers=["name", "code", "in one sentence"], maxcolwidths=[None, None, 70])
    return f"{len(rows)} entries speak of {word!r}; `medforensics explain NAME` shows one.\n\n{table}"
