"""Imports point down only."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import forensics

PACKAGE = Path(forensics.__file__).parent

LAYERS = (
    {"deferred"},
    {"errors", "limits", "names", "recorder", "signatures"},
    {"storage"},
    {"model"},
    {"cluster", "formats", "plugin", "analysis", "progress", "redaction"},
    {"discovery"},
    {"readers", "detectors", "rules", "weights", "assemble", "testing", "diagnosis"},
    {"documents"},
    {"catalog"},
    {"investigate", "comparison", "plan"},
    {"fleet"},
    {"report"},
    {"commands"},
    {"cli"},
    {"__main__"},
)
"""From the bottom up; members of one layer do not import each other, except inside a folder.

The package itself (`forensics/__init__.py`) hands out the public names lazily and may name any layer.
"""
HEIGHT = {name: height for height, layer in enumerate(LAYERS) for name in layer}


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        relative = path.relative_to(PACKAGE)
        top = relative.parts[0].removesuffix(".py")
        if top != "__init__":
            yield top, path


def imported(source: str) -> Iterator[str]:
    """Yield the top part below `forensics` of everything that a module imports, at any depth of its code."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [f"{node.module}.{a.name}" if node.module == "forensics" else node.module or "" for a in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "forensics" and len(parts) > 1:
                yield parts[1]


def violations(top: str, source: str) -> list[str]:
    known = (name for name in imported(source) if name in HEIGHT)
    return [name for name in known if name != top and HEIGHT[name] >= HEIGHT[top]]


@pytest.mark.parametrize(("top", "path"), list(modules()), ids=lambda v: v.name if isinstance(v, Path) else v)
def test_imports_point_down(top: str, path: Path) -> None:
    assert top in HEIGHT, f"{path.name} belongs to no layer; put it into one in this test"
    assert violations(top, path.read_text()) == []


@pytest.mark.parametrize(
    ("top", "source"),
    [
        ("model", "from forensics.formats.zip_index import ZipIndex"),
        ("readers", "import forensics.detectors"),
        ("formats", "def f():\n    from forensics import investigate"),
    ],
)
def test_an_import_turned_round_is_seen(top: str, source: str) -> None:
    """The test above would fail if one import pointed up."""
    assert violations(top, source)


ROOMLESS = {
    "__init__",
    "__main__",
    "catalog",
    "cli",
    "cluster",
    "errors",
    "investigate",
    "limits",
    "names",
    "plugin",
    "progress",
    "testing",
}
"""The files that may lie at the top of the package; everything else has a room, so that the listing reads as the
pipeline: storage, discovery, formats, readers, assemble, detectors, rules, weights, diagnosis, report."""


def test_no_loose_file_at_the_top() -> None:
    assert {path.stem for path in PACKAGE.glob("*.py")} <= ROOMLESS


def file_imports() -> dict[str, set[str]]:
    """Return for each module of the package, by dotted name, the modules that it names in import statements.

    The package's own `__init__` is left out: it hands out the public names lazily.
    """
    paths = {path: ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in PACKAGE.rglob("*.py")}
    known = {name.removesuffix(".__init__"): name for name in paths.values()}
    graph: dict[str, set[str]] = {}
    for path, name in paths.items():
        wanted: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                wanted.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                inside = {f"{node.module}.{alias.name}" for alias in node.names}
                wanted.update(inside & set(known) or {node.module})
        graph[name] = {known[want] for want in wanted if want in known} - {name, "forensics.__init__"}
    return graph


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Return the modules of one circle of imports; empty where there is none."""
    done: set[str] = set()
    trail: list[str] = []

    def visit(name: str) -> list[str]:
        if name in trail:
            return trail[trail.index(name) :]
        if name not in done:
            trail.append(name)
            for other in sorted(graph[name]):
                if found := visit(other):
                    return found
            trail.pop()
            done.add(name)
        return []

    return next((found for name in sorted(graph) if (found := visit(name))), [])


def test_no_file_imports_in_a_circle() -> None:
    assert circle(file_imports()) == []


def test_a_circle_is_seen() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]


HEAVY = {"torch", "pandas", "tensorboard", "numba"}


LIVE = {"join.py", "layout.py", "__init__.py"}
"""The files of the recorder that the analyzer shares, without torch; the others live in the training process."""


def test_nothing_imports_torch_but_the_verifier_and_the_recorder() -> None:
    """torch is the oracle of the tests and of --verify-with-torch, never the reader."""
    for top, path in modules():
        if top == "recorder" and path.name not in LIVE:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.split(".")[0] in {"torch", "transformers", "deepspeed"} for name in names):
                assert path.name == "verify_with_torch.py"


def test_the_recorder_imports_nothing_of_the_rest() -> None:
    for path in (PACKAGE / "recorder").glob("*.py"):
        assert set(imported(path.read_text())) <= {"recorder"}, path.name


def test_help_is_light() -> None:
    """`--help` imports none of the heavy libraries."""
    import subprocess
    import sys

    code = (
        "import sys\nfrom forensics.cli import main\n"
        "try:\n    main(['analyze', '--help'])\nexcept SystemExit:\n    pass\n"
        f"print('HEAVY', sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "HEAVY []"
