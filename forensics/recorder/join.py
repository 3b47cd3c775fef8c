"""All parts of the recorder as one file, for training repositories where nothing can be installed."""

import ast
from pathlib import Path

PARTS = (
    "layout", "files", "norms", "gradients", "setups", "probe", "meta", "early", "writer", "box", "callbacks",
)  # fmt: skip
"""In the order of their imports: each needs only what stands before it."""
HEAD = '''"""The black box recorder of medforensics {version}, one file: needs torch and numpy.

Made by `medforensics recorder`; do not edit, make it again. Apache-2.0.

    from blackbox import BlackBox, BlackBoxCallback
"""

from __future__ import annotations

'''


def joined(version: str) -> str:
    """Return the source of one module that does what the package does."""
    imports: set[str] = set()
    bodies: list[str] = []
    for part in PARTS:
        source = (Path(__file__).parent / f"{part}.py").read_text(encoding="utf-8")
        lines = source.splitlines()
        for node in ast.parse(source).body:
            ours = isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("forensics", "__future__"))
            docstring = isinstance(node, ast.Expr) and node.lineno == 1
            if not isinstance(node, (ast.Import, ast.ImportFrom)) and not docstring:
                continue
            for number in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[number] = ""
            if not ours and not docstring:
                imports.add(ast.unparse(node))
        bodies.append(f"# {part}.py\n" + "\n".join(lines).strip("\n"))
    plain = sorted(line for line in imports if line.startswith("import "))
    named = sorted(line for line in imports if line.startswith("from "))
    return HEAD.format(version=version) + "\n".join([*plain, *named]) + "\n\n" + "\n\n\n".join(bodies) + "\n"
