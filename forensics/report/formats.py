"""The index of readers."""

from collections.abc import Sequence

from tabulate import tabulate

from forensics.plugin import Document, Reader


def render(readers: Sequence[Reader | Document]) -> str:
    """Return one row a reader: name, which files by name, whether content is recognised, what it is."""
    rows = [
        [
            reader.name,
            "  ".join(pattern.pattern for pattern in reader.match) or "-",
            "yes" if reader.sniff else "no",
            reader.doc.splitlines()[0] if reader.doc else "",
        ]
        for reader in readers
    ]
    headers = ["reader", "file names", "by content", "what it reads"]
    return tabulate(rows, headers=headers, maxcolwidths=[None, 40, None, 60])
