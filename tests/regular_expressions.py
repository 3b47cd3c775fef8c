"""Every regular expression of the package, and texts made to be hard for one.

Run as a script it prints what was found as JSON: patterns compiled while the modules are imported (told by the
frame that compiles them), and patterns written as constants in a call inside a function.
"""

import ast
import importlib
import json
import pkgutil
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

parser: Any = importlib.import_module("re._parser" if sys.version_info >= (3, 11) else "sre_parse")

CALLS = frozenset({"compile", "match", "search", "fullmatch", "findall", "finditer", "sub", "subn", "split"})
BUILDERS = frozenset({"re.compile", "expression"})
HOSTILE = " \t\r\n0a_A.,:;'\"[](){}<>-=/\\|%#~@\x00\xe9"
"""Characters that are repeated; those of them that a repeat takes."""
PLAIN = (" ", "0", "a", "'", '"', "[", "]", "(", "{", "\r", "=", "/", ".", "-", "a ", "[(", "'a':", "a=0 ", "0.")
"""Repeats that are tried on every pattern, whatever it looks like."""
ENDS = ("", "\n", "\x00", "!", "{", "'", "a", "]")
MOST = 300
"""Attacks on one pattern, about: of more, every third or fifth is tried."""


SCANNED = frozenset({"search", "findall", "finditer", "sub", "subn", "split"})
"""Uses that try the pattern at every place of a text; `match` and `fullmatch` try one."""
EVERY_USE = frozenset({"search", "match", "fullmatch"})


@dataclass(frozen=True)
class Found:
    """A pattern, the file and line that it stands in, and the functions that it is used with.

    `text` is None where only running the call tells it; then `where` names the function around it.
    """

    where: str
    text: str | bytes | None
    flags: int
    uses: frozenset[str] = EVERY_USE


def patterns() -> list[Found]:
    """Collect the patterns in a fresh process, in which no module of the package was imported yet."""
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, check=True)
    found = []
    for where, kind, text, flags, uses in json.loads(done.stdout):
        found.append(Found(where, text.encode("latin-1") if kind == "bytes" else text, flags, frozenset(uses)))
    return found


def _collect() -> Iterator[Found]:
    import forensics

    root = Path(forensics.__file__).parent
    seen: list[tuple[str, int, Any, int]] = []
    real = re._compile  # type: ignore[attr-defined]  # what every function of `re` calls

    def noticed(pattern: Any, flags: int) -> Any:
        frame = sys._getframe(1)
        while frame.f_back is not None and frame.f_code.co_filename == re.__file__:
            frame = frame.f_back
        if Path(frame.f_code.co_filename).is_relative_to(root) and isinstance(pattern, str | bytes):
            seen.append((frame.f_code.co_filename, frame.f_lineno, pattern, int(flags)))
        return real(pattern, flags)

    def deferred(text: Any, flags: int = 0) -> Any:
        frame = sys._getframe(1)
        seen.append((frame.f_code.co_filename, frame.f_lineno, text, int(flags)))
        return real_expression(text, flags)

    later: Any = importlib.import_module("forensics.deferred.patterns")
    real_expression, later.expression = later.expression, deferred
    re._compile = noticed  # type: ignore[attr-defined]
    modules = [
        importlib.import_module(module.name)
        for module in pkgutil.walk_packages(forensics.__path__, "forensics.")
        if module.name != "forensics.__main__"
    ]
    re._compile = real  # type: ignore[attr-defined]
    texts = {_dotted(path, root): _Module(path) for path in root.rglob("*.py")}
    for file, line, pattern, flags in seen:
        uses = _uses(texts, _dotted(Path(file), root), line)
        yield Found(f"{Path(file).relative_to(root.parent)}:{line}", pattern, flags, uses)
    ran = {(file, line) for file, line, _, _ in seen}
    for module in modules:
        assert module.__file__ is not None
        yield from _written(Path(module.__file__), vars(module), ran, root.parent)


class _Module:
    """What the text of one module does with names."""

    def __init__(self, path: Path) -> None:
        tree = ast.parse(path.read_text())
        self.loads: Counter[str] = Counter()
        self.called: dict[str, list[str]] = defaultdict(list)
        self.imported: set[tuple[str, str]] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                self.loads[node.id] += 1
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                self.called[node.value.id].append(node.attr)
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "folder.matching":
                self.called[ast.unparse(node.args[0])].append("fullmatch")  # see `weights.folders`
            elif isinstance(node, ast.ImportFrom):
                self.imported.update((node.module or "", alias.name) for alias in node.names)
        self.compiled: dict[int, str] = {}
        for node in tree.body:
            target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
            value = getattr(node, "value", None)
            if isinstance(target, ast.Name) and isinstance(value, ast.Call) and ast.unparse(value.func) in BUILDERS:
                self.compiled[value.lineno] = target.id


def _uses(modules: dict[str, _Module], module: str, line: int) -> frozenset[str]:
    """Return what is done with the pattern that a line gives a name to; everything where that cannot be told."""
    name = modules[module].compiled.get(line)
    if name is None:
        return EVERY_USE
    uses: set[str] = set()
    for other, text in modules.items():
        if other == module or (module, name) in text.imported:
            uses.update(text.called[name])
            if text.loads[name] > len(text.called[name]):
                return EVERY_USE  # handed to somebody
    if not uses or not uses <= CALLS:
        return EVERY_USE
    return frozenset("search" if use in SCANNED else use for use in uses)


def _written(path: Path, names: dict[str, Any], ran: set[tuple[str, int]], root: Path) -> Iterator[Found]:
    """Yield the patterns of calls that importing the module did not run."""
    tree = ast.parse(path.read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for node in ast.walk(tree):
        called = node.func if isinstance(node, ast.Call) else None
        if not isinstance(called, ast.Attribute) or not isinstance(called.value, ast.Name):
            continue
        if called.value.id != "re" or called.attr not in CALLS:
            continue
        assert isinstance(node, ast.Call)
        if isinstance(node.args[0], ast.Starred):
            continue  # `deferred.patterns` compiles later what is collected where it was given
        if any((str(path), line) in ran for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)):
            continue
        where = f"{path.relative_to(root)}:{node.lineno}"
        try:
            text = eval(compile(ast.Expression(node.args[0]), str(path), "eval"), names)
        except NameError:
            around = [one for one in functions if one.lineno <= node.lineno <= (one.end_lineno or 0)]
            yield Found(f"{path.relative_to(root)}:{around[-1].name if around else node.lineno}", None, 0)
            continue
        taken = {"sub": 4, "subn": 4, "split": 3, "compile": 1}.get(called.attr, 2)
        given = [*node.args[taken:], *(word.value for word in node.keywords if word.arg == "flags")]
        flags = eval(compile(ast.Expression(given[0]), str(path), "eval"), names) if given else 0
        use = "search" if called.attr in SCANNED else called.attr
        yield Found(where, text, int(flags), EVERY_USE if use == "compile" else frozenset({use}))


def _dotted(path: Path, root: Path) -> str:
    return ".".join(path.relative_to(root.parent).with_suffix("").parts).removesuffix(".__init__")


@dataclass(frozen=True)
class Attack:
    """A text `before + pump * n + end`."""

    before: str
    pump: str
    end: str

    def of(self, size: int) -> str:
        return self.before + self.pump * (size // len(self.pump)) + self.end


def attacks(text: str | bytes, flags: int) -> list[Attack]:
    """Return texts that lead to each repeat of the pattern, feed it, and let it fail."""
    tree = parser.parse(text, flags)
    pumps: dict[tuple[str, str], None] = dict.fromkeys(("", plain) for plain in PLAIN)
    for before, fed in _repeats(list(tree)):
        for pump in fed:
            pumps[before, pump] = None
            # Each place where the pattern may begin is one more from which it looks to the end.
            pumps["", before + pump] = None
    made = [Attack(before, pump, end) for before, pump in pumps if pump for end in ENDS]
    # An odd step meets every end in turn.
    return made[:: (1 + len(made) // MOST) | 1]


def _repeats(tree: Sequence[Any]) -> Iterator[tuple[str, list[str]]]:
    """Yield a text that leads to each repeat, and what it can be fed with."""
    before = ""
    for node in tree:
        name, value = str(node[0]), node[1]
        if name in {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}:
            least, most, body = value
            body = list(body)
            if int(most) > 8:
                yield before, _fed(body)
            for inner, fed in _repeats(body):
                yield before + inner, fed
            before += _sample(body) * int(least)
            continue
        for inside in _parts(node):
            for inner, fed in _repeats(inside):
                yield before + inner, fed
        before += _sample([node])


def _parts(node: Any) -> Iterable[list[Any]]:
    name, value = str(node[0]), node[1]
    if name == "BRANCH":
        return [list(branch) for branch in value[1]]
    if name == "SUBPATTERN":
        return [list(value[-1])]
    if name in {"ASSERT", "ASSERT_NOT"}:
        return [list(value[1])] if value[0] == 1 else []
    if name == "ATOMIC_GROUP":
        return [list(value)]
    return []


def _fed(body: list[Any]) -> list[str]:
    if len(body) == 1:
        taken = [character for character in HOSTILE if _takes(body[0], character)]
        if taken:
            return taken
        found = [_sample(inside) for inside in _parts(body[0])]
        if len(found) > 1:
            return found
    return [_sample(body)]


def _sample(tree: Sequence[Any]) -> str:
    """Return a short text that the pattern takes; what it only looks at is not fed."""
    made = ""
    for node in tree:
        name, value = str(node[0]), node[1]
        if name in {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}:
            made += _sample(list(value[2])) * int(value[0])
        elif name in {"BRANCH", "SUBPATTERN", "ATOMIC_GROUP"}:
            made += _sample(next(iter(_parts(node))))
        elif name in {"LITERAL", "NOT_LITERAL", "IN", "ANY"}:
            made += chr(value) if name == "LITERAL" else next((c for c in HOSTILE[::-1] + "Tz1" if _takes(node, c)), "")
    return made


def _takes(node: Any, character: str) -> bool:
    """Tell whether a node of one character takes this one."""
    name, value = str(node[0]), node[1]
    if name == "IN":
        negated = str(value[0][0]) == "NEGATE"
        return any(_takes(one, character) for one in value[negated:]) != negated
    if name == "CATEGORY":
        letter = {"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w"}[str(value).rpartition("_")[2]]
        return (re.fullmatch(letter, character) is not None) != ("_NOT_" in str(value))
    taken: dict[str, Callable[[], bool]] = {
        "LITERAL": lambda: value == ord(character),
        "NOT_LITERAL": lambda: value != ord(character),
        "ANY": lambda: character != "\n",
        "RANGE": lambda: value[0] <= ord(character) <= value[1],
    }
    return name in taken and taken[name]()


def newer_syntax(tree: Iterable[Any]) -> list[str]:
    """Name what Python 3.10 does not know: atomic groups and possessive repeats."""
    found = []
    for node in tree:
        name = str(node[0])
        if name in {"POSSESSIVE_REPEAT", "ATOMIC_GROUP"}:
            found.append(name)
        inside = [list(node[1][2])] if name.endswith("_REPEAT") else _parts(node)
        for part in inside:
            found += newer_syntax(part)
    return found


if __name__ == "__main__":
    rows = []
    for one in _collect():
        kind = "bytes" if isinstance(one.text, bytes) else "str"
        text = one.text.decode("latin-1") if isinstance(one.text, bytes) else one.text
        rows.append((one.where, kind, text, one.flags, sorted(one.uses)))
    json.dump(rows, sys.stdout)
