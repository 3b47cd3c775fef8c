"""What a short analysis does not pay for: modules, expressions and searches for garbage that its files never ask for.

Times are in docs/benchmarks.md; here is what they rest on.
"""

import gc
import importlib
import pickle
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import forensics
from forensics import catalog
from forensics.deferred.patterns import Deferred, expression
from forensics.investigate import readers_of
from forensics.model import Artifact
from forensics.plugin import Reader
from forensics.rules import _issue_files
from runs import BROKEN, FOUNDING, HEALTHY, ROOT

LABELS = next(case for case in BROKEN if case.name == "all-labels-masked")


def loaded(*arguments: str) -> set[str]:
    """Return the modules that a process has imported when the command is done."""
    code = (
        "import atexit, sys\natexit.register(lambda: print('LOADED', *sorted(sys.modules)))\n"
        "from forensics.__main__ import start\n"
        f"sys.argv = ['medforensics', *{list(arguments)!r}]\nstart()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last = done.stdout.splitlines()[-1]
    assert last.startswith("LOADED "), done.stderr
    return set(last.split()[1:])


def test_the_package_itself_imports_next_to_nothing() -> None:
    """Ctrl-C is answered only once the package is there, and with `-m` a stranger's folder still leads the path."""
    code = (
        f"import os, sys\nsys.path.insert(0, {str(ROOT)!r})\nold = set(sys.modules)\n"
        "import forensics.__main__\nprint(*set(sys.modules) - old)"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)

    assert set(done.stdout.split()) <= {"__future__", "forensics", "forensics.__main__", "atexit", "gc"}


def test_a_quiet_analysis_imports_what_it_uses() -> None:
    found = loaded("analyze", str(LABELS.run), "-q")
    idle = (
        "rich jinja2 yaml pandas tabulate numba tensorboard torch fsspec distributed socket concurrent sqlite3 tempfile"
        " html.parser packaging.specifiers numpy.ma"
    )

    bare = subprocess.run(
        [sys.executable, "-c", "import sys, numpy; print(*sys.modules)"], capture_output=True, text=True, check=True
    )  # numpy 1 imports its masked arrays itself

    assert {"numpy", "forensics.readers.text_log"} <= found
    assert (found & set(idle.split())) - set(bare.stdout.split()) == set()


def test_the_full_report_imports_rich_alone() -> None:
    found = loaded("analyze", str(LABELS.run))

    assert "rich" in found
    assert found & {"jinja2", "yaml", "pandas", "tabulate", "numba", "concurrent"} == set()


def test_help_imports_no_number() -> None:
    assert loaded("analyze", "--help") & {"numpy", "forensics.catalog", "forensics.model", "rich"} == set()


def test_a_yaml_file_brings_the_parser(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("learning_rate: 1e-5\nmax_steps: 10\n")

    assert "yaml" in loaded("env", str(tmp_path))


def test_the_program_looks_for_garbage_rarely_and_not_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import gc, sys\nfrom forensics.__main__ import SPARSE, start\n"
        "sys.argv = ['medforensics', '--version']\n"
        "try:\n    start()\nexcept SystemExit:\n    print(gc.get_threshold()[0] == SPARSE)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "True"
    assert gc.get_threshold()[0] < 100_000, "importing the library changes nothing for whoever imports it"


def test_a_deferred_expression_is_compiled_once_and_behaves_like_one() -> None:
    made, real = expression(r"(?P<name>a+)b", re.IGNORECASE), re.compile(r"(?P<name>a+)b", re.IGNORECASE)
    text = "xAABab"

    assert "search" not in vars(made)
    found, expected = made.search(text), real.search(text)
    assert found is not None
    assert expected is not None
    assert found.groupdict() == expected.groupdict() == {"name": "AA"}
    assert "search" in vars(made)
    for name in ("pattern", "flags", "groups", "groupindex"):
        assert getattr(made, name) == getattr(real, name)
    assert made.findall(text) == real.findall(text)
    assert made.sub("-", text) == made.subn("-", text)[0] == "x--"
    assert made.split(text) == real.split(text)
    assert [m.span() for m in made.finditer(text)] == [m.span() for m in real.finditer(text)]
    assert made.match(text) is made.fullmatch(text) is None
    assert re.compile(pickle.loads(pickle.dumps(made)).pattern).pattern == real.pattern
    assert repr(made) == "expression('(?P<name>a+)b', re.IGNORECASE)"
    assert not hasattr(made, "scanner")


def test_bytes_are_searched_as_well() -> None:
    assert expression(rb"\d+").findall(b"1 22") == [b"1", b"22"]


def deferred() -> Iterator[tuple[str, Deferred]]:
    for module in pkgutil.walk_packages(forensics.__path__, "forensics."):
        if module.name.endswith(("__main__", ".loops", ".kernels", ".remote_http")):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            held = (
                value if isinstance(value, (tuple, list)) else value.values() if isinstance(value, dict) else (value,)
            )
            yield from ((f"{module.name}.{name}", one) for one in held if isinstance(one, Deferred))


COMPILES = """
import importlib, pkgutil, re, sys
compiled, made = re.compile, set()
def counting(*arguments, **named):
    caller = sys._getframe(1)
    name = caller.f_globals.get("__name__", "")
    if name.startswith("forensics."):
        made.add(name)
    return compiled(*arguments, **named)
re.compile = counting
import forensics
for module in pkgutil.walk_packages(forensics.__path__, "forensics."):
    if ".recorder" not in module.name and not module.name.endswith(("__main__", ".loops", ".kernels")):
        importlib.import_module(module.name)
print(*sorted(made - {"forensics.deferred.patterns"}))
"""


def test_no_module_compiles_an_expression_while_it_is_imported() -> None:
    """But for the recorder, which stands alone and has few."""
    done = subprocess.run([sys.executable, "-c", COMPILES], capture_output=True, text=True, check=True)

    assert done.stdout.split() == []


def test_every_deferred_expression_compiles() -> None:
    """A wrong one would be seen by the run that needs it first; so all are compiled here."""
    found = dict(deferred())

    assert len(found) > 40
    for name, one in found.items():
        assert one.groups >= 0, name


def test_a_healthy_run_loads_no_rules() -> None:
    assert not [name for name in loaded("analyze", str(HEALTHY[0].run), "-q") if name.startswith("forensics.rules.")]


@pytest.mark.parametrize("symptom", [*catalog.symptoms(), "no such symptom"])
def test_the_rules_of_a_symptom_are_all_that_lead_to_it(symptom: str) -> None:
    reached, size = {symptom}, 0
    while size != len(reached):
        size = len(reached)
        reached |= {rule.name for rule in catalog.rules() if rule.mechanism and reached.intersection(rule.explains)}

    assert catalog.rules({symptom}) == tuple(r for r in catalog.rules() if reached.intersection(r.explains))


def test_an_issue_that_is_written_in_another_way_is_parsed() -> None:
    """A quick look at the text says which files a run does not need; where it cannot tell, the file is needed."""
    names = frozenset({b"loss-nan"})

    assert _issue_files.may_explain(b'explains = [\n    "loss-nan",\n]\n', names)
    assert _issue_files.may_explain(b'"explains" = ["loss-constant"]\n', names)
    assert not _issue_files.may_explain(b'title = "loss-nan"\nexplains = ["loss-constant"]\n', names)


def test_bytes_are_asked_of_readers_of_bytes_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Searching the weights of a large model for words of text takes longer than all its logs."""
    asked: list[str] = []

    def asking(name: str) -> Reader:
        def sniff(_head: bytes) -> bool:
            asked.append(name)
            return False

        return Reader(name, lambda _artifact: iter(()), (), sniff, "", binary=name == "of bytes")

    monkeypatch.setattr(catalog, "readers", lambda: (asking("of text"), asking("of bytes")))
    weights = Artifact(tmp_path, "weights", 10240, 0.0)
    assert [*readers_of(weights, bytes(range(256)) * 40)] == []
    assert asked == ["of bytes"]

    assert [*readers_of(weights, "loss 0.5\n".encode("utf-16"))] == []
    assert asked == ["of bytes", "of text", "of bytes"]


def test_no_names_load_no_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "rules", lambda: pytest.fail("the rules were loaded to check nothing"))
    catalog.require_known(())
    assert FOUNDING.run.is_dir()
