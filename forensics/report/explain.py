"""A rule as a page: the text of `medforensics explain` and of docs/rules/."""

from forensics.plugin import Rule


def render(rule: Rule) -> str:
    """Return the page of a rule in Markdown."""
    kind = "mechanism" if rule.mechanism else "benign explanation" if rule.benign else "cause"
    head, _, body = rule.doc.partition("\n")
    parts = [f"# {rule.code}: {rule.name}", "", head.strip(), "", f"A {kind}, since {rule.since}."]
    parts += ["", f"Explains: {', '.join(f'`{name}`' for name in rule.explains)}."]
    if rule.helps:
        parts += ["", f"Looks at: {', '.join(f'`{name}`' for name in rule.helps)}."]
    if body.strip():
        parts += ["", body.strip()]
    if rule.references:
        parts += ["", "## References", "", *(f"- <{url}>" for url in rule.references)]
    return "\n".join(parts)
