"""What is declared in pyproject.toml is what the code imports: the base by itself, an extra only where it is asked for.

The sizes of an installation and what it leaves alone are shown by `.ci/light`, which needs a package index.
"""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from click.testing import CliRunner
from packaging.requirements import Requirement

import forensics
from forensics.cli import main
from forensics.weights import series
from runs import FOUNDING

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PACKAGE = Path(forensics.__file__).parent
PROJECT = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
USERS = {"cluster", "fast", "mcp", "remote", "tensorboard", "torch"}
"""The extras for users; `test` is for those who work on the project."""
LAZY = {"loops.py", "kernels.py", "remote_http.py"}
"""Modules that import an extra at their top; each is imported in a function that asks for the extra first."""


def names(requirements: list[str]) -> set[str]:
    return {normal(Requirement(text).name) for text in requirements}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


BASE = names(PROJECT["dependencies"])
OF_EXTRAS = set[str]().union(*(names(EXTRAS[extra]) for extra in USERS))
INSIDE_OF = {"llvmlite": "numba"}
"""What is imported by the side of a package that cannot be without it."""
NOT_HERE = {"tomli": "tomli", "torch": "torch", "yaml": "pyyaml"}
"""Distributions by what is imported of them, where an installation need not have them (or names them otherwise)."""


def distribution(module: str) -> str:
    module = INSIDE_OF.get(module, module)
    found = NOT_HERE.get(module) or metadata.packages_distributions().get(module, [module])[0]
    return normal(found)


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield the distributions that a file imports, and whether it does so when it is imported itself."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            modules = [node.module or ""]
        else:
            continue
        for module in {name.split(".")[0] for name in modules}:
            if module != "forensics" and module not in sys.stdlib_module_names:
                yield distribution(module), node in tree.body


RECORDER = PACKAGE / "recorder"
"""Runs inside a training program, and imports of it what that program has; `tests/recorder` says what it may need."""
IMPORTED = {
    (path.name, *found)
    for path in PACKAGE.rglob("*.py")
    if not path.is_relative_to(RECORDER)
    for found in imports(path)
}


def test_every_base_package_is_imported() -> None:
    assert BASE - {name for _, name, _ in IMPORTED} == set()


def test_nothing_undeclared_is_imported() -> None:
    assert {name for _, name, _ in IMPORTED} - BASE - OF_EXTRAS == set()


def test_extras_are_imported_lazily() -> None:
    assert {file for file, name, at_once in IMPORTED if at_once and name in OF_EXTRAS - BASE} <= LAZY


def test_an_undeclared_import_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "made.py"
    path.write_text("import os, requests\ndef f():\n    from numba import njit\n")

    assert set(imports(path)) == {("requests", True), ("numba", False)}


def test_the_base_is_light() -> None:
    """What weighs most or may pull other packages down is an extra."""
    assert not BASE & {"numba", "tensorboard", "safetensors", "torch", "distributed", "aiohttp", "fsspec", "pyarrow"}
    assert {"numpy", "pandas"} <= BASE


def test_the_tests_have_every_extra_but_torch() -> None:
    """torch is gigabytes and pinned; the README names it beside `test`."""
    brought = [Requirement(text) for text in EXTRAS["test"]]
    own = next(requirement for requirement in brought if requirement.name == PROJECT["name"])

    assert own.extras == USERS - {"torch"}
    assert set(EXTRAS) == USERS | {"test"}


def test_the_readme_names_every_extra() -> None:
    readme = (PACKAGE.parent / "README.md").read_text()

    assert set(re.findall(r"^\| `medforensics\[(\w+)\]`", readme, re.MULTILINE)) == USERS


WITHOUT_EXTRAS = """
import sys

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {refused!r}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)

sys.meta_path.insert(0, Refusing())
from forensics.cli import main
main({arguments!r})
"""
MODULES = {"numba", "llvmlite", "tensorboard", "safetensors", "torch", "distributed", "dask"}
MODULES |= {"aiohttp", "fsspec", "mcp", "yarl"}


def without_extras(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = WITHOUT_EXTRAS.format(refused=MODULES, arguments=list(arguments))
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_the_modules_refused_are_those_of_the_extras() -> None:
    assert {distribution(module) for module in MODULES} >= OF_EXTRAS


@pytest.mark.parametrize("form", ["terminal", "markdown", "html", "json", "sarif"])
def test_a_base_installation_analyses(form: str) -> None:
    done = without_extras("analyze", str(FOUNDING.run), "-f", form)

    assert done.returncode == 1, done.stderr
    assert "ds-zero12-comm-corruption" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("scan", "checkpoint-24"), 1),
        (("diff", "checkpoint-12", "checkpoint-24"), 0),
        (("timeline", ""), 0),
        (("env", ""), 0),
        (("triage", ""), 1),
    ],
)
def test_a_base_installation_has_the_other_commands(arguments: tuple[str, ...], code: int) -> None:
    command, *places = arguments
    done = without_extras(command, *(str(FOUNDING.run / place) for place in places))

    assert done.returncode == code, done.stderr
    assert done.stdout


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (("timeline", str(FOUNDING.run), "-f", "tensorboard", "-o", "board"), "tensorboard"),
        (("scan", "https://localhost:1/model.safetensors"), "remote"),
        (("scan", str(FOUNDING.run / "checkpoint-12"), "--cluster", "tcp://localhost:1"), "cluster"),
        (("scan", str(FOUNDING.run / "checkpoint-12"), "--verify-with-torch"), "torch"),
    ],
)
def test_a_missing_extra_is_one_clear_line(arguments: tuple[str, ...], extra: str) -> None:
    done = without_extras(*arguments)

    assert done.returncode in {2, 3}
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert f"medforensics[{extra}]" in done.stderr


def test_without_numba_much_data_is_counted_by_numpy_with_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound from which kernels are used is lowered; what they would have counted is then done without them."""
    arguments = ["scan", str(FOUNDING.run / "checkpoint-24"), "-f", "json", "--top", "0"]
    before = json.loads(CliRunner().invoke(main, arguments).stdout)
    monkeypatch.setattr(series, "KERNEL_BYTES", 0)
    monkeypatch.setattr(series, "installed", lambda: False)
    monkeypatch.setattr(series, "compiled", lambda: pytest.fail("numba was asked for"))
    after = json.loads(CliRunner().invoke(main, arguments).stdout)

    assert after == before


@pytest.mark.parametrize(
    ("before", "told"), [("", "True False"), ("sys.modules['numba'] = None;", "False True")], ids=["there", "missing"]
)
def test_numba_is_looked_for_without_an_import(before: str, told: str) -> None:
    code = (
        f"import sys; {before} from forensics.weights.work import installed; print(installed(), 'numba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == f"{told}\n"
