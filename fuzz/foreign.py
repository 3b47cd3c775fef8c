"""Hostile inputs out of other scanners' tests: files as they are, and what their sources write down, never run.

A test module is parsed, not imported. Out of it come constants of bytes (base64 decoded), lists of fickling's opcodes
put together, and pickles of what a `__reduce__` returns. An argument that is no constant becomes a letter: what is
asked for counts, not with what.
"""

import ast
import base64
import binascii
import pickletools
import re
import struct
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

FILES = re.compile(r"\.(?:pkl|pickle|pt|pth|bin|zip|7z|npz|npy|safetensors|dat|data|h5|keras|ckpt|tar|gz)$")
HOSTILE = re.compile(r"malicious|exploit|evil|bad|unsafe|inject|payload", re.IGNORECASE)
PROTOCOLS = (0, 2, 4)
MOST_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Input:
    """One hostile file: where it comes from, its name, its bytes, and the names that it asks for as its tests say."""

    place: str
    name: str
    content: bytes
    asks: tuple[str, ...] = ()
    hostile: bool = False


@dataclass(frozen=True, slots=True)
class Repository:
    """A public repository at one commit, and the folders of it that hold its tests."""

    name: str
    url: str
    commit: str
    folders: tuple[str, ...]


REPOSITORIES: Sequence[Repository] = (
    Repository(
        "picklescan",
        "https://github.com/mmaitre314/picklescan",
        "f15d54da3dec9aa28a87ede82f87882bb80f1023",
        ("tests",),
    ),
    Repository(
        "fickling",
        "https://github.com/trailofbits/fickling",
        "854c99acd2637f97162dd2e1aa2dab4e8d55d77d",
        ("test", "example"),
    ),
    Repository(
        "modelscan",
        "https://github.com/protectai/modelscan",
        "8b8ed4bf78a863fcf3b664888dc7ff6ae22f5230",
        ("tests", "notebooks/utils"),
    ),
    Repository(
        "safetensors",
        "https://github.com/huggingface/safetensors",
        "24b0b2857fef49be734b9ab72ce97c09bb25f5b9",
        ("bindings/python/tests", "safetensors/src", "attacks"),
    ),
)


def fetched(repository: Repository, folder: Path) -> Path:
    """Return a git folder that holds the commit: one that is there already, or a bare clone made now."""
    target = folder / repository.name
    if not target.exists():
        _git(folder, "clone", "--quiet", "--bare", "--filter=blob:none", repository.url, str(target))
    return target


def inputs(repository: Repository, at: Path) -> Iterator[Input]:
    """Yield what the tests of a repository hold, every content once."""
    seen: set[bytes] = set()
    paths = _git(at, "ls-tree", "-r", "--name-only", repository.commit, *repository.folders).decode().splitlines()
    sources = {path: _blob(at, repository, path) for path in paths if path.endswith((".py", ".rs"))}
    asked = _asked(text.decode("utf-8", "replace") for path, text in sources.items() if path.endswith(".py"))
    for path in paths:
        if FILES.search(path):
            name = Path(path).name
            made = [Input(path, name, _blob(at, repository, path), asked.get(name, ()), name in asked)]
        elif path.endswith(".py"):
            made = list(_written(path, sources[path].decode("utf-8", "replace")))
        else:
            made = list(_of_rust(path, sources.get(path, b"").decode("utf-8", "replace")))
        for one in made:
            if one.content and one.content not in seen and len(one.content) <= MOST_BYTES:
                seen.add(one.content)
                yield one


def _git(at: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(at), *arguments], check=True, stdout=subprocess.PIPE).stdout  # noqa: S603, S607


def _blob(at: Path, repository: Repository, path: str) -> bytes:
    found = subprocess.run(  # noqa: S603
        ["git", "-C", str(at), "cat-file", "blob", f"{repository.commit}:{path}"],  # noqa: S607
        check=False,
        capture_output=True,
    )
    return found.stdout  # a snapshot may lack its largest files


def _asked(sources: Iterator[str]) -> Mapping[str, tuple[str, ...]]:
    """Return the dangerous names that picklescan's tests expect of its files, by file name."""
    found: dict[str, tuple[str, ...]] = {}
    for text in sources:
        tree = ast.parse(text)
        results = {
            node.targets[0].id: _dangerous(node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            files = [m[1] for part in ast.walk(call) for m in [re.search(r"([\w.-]+\.\w+)$", _text(part))] if m]
            names = _dangerous(call) or tuple(
                name for part in call.args if isinstance(part, ast.Name) for name in results.get(part.id, ())
            )
            for name in files if names and len(set(files)) == 1 else ():
                found[name] = tuple(sorted({*found.get(name, ()), *names}))
    return found


def _dangerous(tree: ast.AST) -> tuple[str, ...]:
    calls = (n for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name))
    return tuple(
        f"{_text(call.args[0])}.{_text(call.args[1])}"
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id == "Global" and "Dangerous" in ast.dump(call)
        if len(call.args) >= 2 and _text(call.args[0]) != "unknown"
    )


def _text(node: ast.AST) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _written(path: str, text: str) -> Iterator[Input]:
    """Yield what a Python source writes down."""
    tree = ast.parse(text)
    imports = dict(_imports(tree))
    for function in (n for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.ClassDef, ast.Module))):
        if isinstance(function, ast.ClassDef):
            yield from _reduced(path, function, imports)
        if not isinstance(function, ast.FunctionDef):
            continue
        said = ast.dump(function)
        hostile = "assertGreater" in said and "LIKELY_SAFE" in said
        for number, (content, whole) in enumerate(_assembled(function)):
            name = f"{number}.pkl"
            yield Input(f"{path}:{function.name}", name, content, (), hostile and whole and _asks(content))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, bytes) and len(node.value) > 8:
            yield Input(f"{path}:{node.lineno}", _named(node.value), node.value)
        if isinstance(node, ast.Call) and "b64decode" in ast.dump(node.func) and node.args:
            try:
                yield Input(f"{path}:{node.lineno}", "decoded.pkl", base64.b64decode(_text(node.args[0])))
            except (ValueError, binascii.Error):
                continue


def _named(content: bytes) -> str:
    return "literal.safetensors" if content[8:9] == b"{" else "literal.pkl"


def _of_rust(path: str, text: str) -> Iterator[Input]:
    """Yield the byte strings of a Rust source that stand where a file is read from."""
    for found in re.finditer(r'serialized = (b"(?:[^"\\]|\\.)*")', text):
        yield Input(f"{path}:{text.count(chr(10), 0, found.start()) + 1}", "literal.safetensors", _rust(found[1]))


def _rust(literal: str) -> bytes:
    value = ast.literal_eval(literal)
    return value if isinstance(value, bytes) else b""


def _imports(tree: ast.AST) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                yield (
                    (one.asname or one.name.partition(".")[0]),
                    (one.name if one.asname else one.name.partition(".")[0]),
                )
        elif isinstance(node, ast.ImportFrom) and node.module:
            for one in node.names:
                yield one.asname or one.name, f"{node.module}.{one.name}"


def _reduced(path: str, made: ast.ClassDef, imports: Mapping[str, str]) -> Iterator[Input]:
    """Yield pickles of objects of a class whose `__reduce__` names what is to be called."""
    for node in ast.walk(made):
        if not isinstance(node, ast.FunctionDef) or node.name not in {"__reduce__", "__reduce_ex__"}:
            continue
        for back in (n.value for n in ast.walk(node) if isinstance(n, ast.Return)):
            if not isinstance(back, ast.Tuple) or len(back.elts) < 2:
                continue
            asked = _callable(back.elts[0], imports)
            if asked:
                for protocol in PROTOCOLS:
                    content = _call(*asked, back.elts[1], protocol)
                    name = f"{made.name}-{protocol}.pkl"
                    yield Input(
                        f"{path}:{made.name}", name, content, (".".join(asked),), bool(HOSTILE.search(made.name))
                    )


def _callable(node: ast.AST, imports: Mapping[str, str]) -> tuple[str, str] | None:
    spelled = ast.unparse(node) if isinstance(node, (ast.Name, ast.Attribute)) else ""
    first, _, rest = spelled.partition(".")
    if not spelled or first == "self":
        return None
    whole = f"{imports.get(first, first)}.{rest}".rstrip(".") if first in imports else f"builtins.{spelled}"
    module, _, name = whole.rpartition(".")
    return (module, name) if module else None


def _call(module: str, name: str, arguments: ast.AST, protocol: int) -> bytes:
    """Return a pickle that calls module.name, in the words of a protocol."""
    given = arguments.elts if isinstance(arguments, ast.Tuple) else []
    texts = [str(one.value) if isinstance(one, ast.Constant) else "x" for one in given]
    if protocol >= 4:
        asked = b"".join(b"\x8c" + struct.pack("B", len(t)) + t for t in (module.encode(), name.encode())) + b"\x93"
    else:
        asked = f"c{module}\n{name}\n".encode()
    values = b"".join(f"V{text.encode('unicode_escape').decode()}\n".encode() for text in texts)
    head = b"" if protocol == 0 else b"\x80" + bytes([protocol])
    return head + asked + b"(" + values + b"tR."


OPCODES: Mapping[str, pickletools.OpcodeInfo] = {op.name.replace("_", ""): op for op in pickletools.opcodes}
SPELLED = {"NoneOpcode": "NONE", "TupleOne": "TUPLE1", "TupleTwo": "TUPLE2", "TupleThree": "TUPLE3"}
_PACKED = {"uint1": "<B", "uint2": "<H", "uint4": "<I", "int4": "<i", "uint8": "<Q", "float8": ">d"}
_COUNTED = {"string1": "<B", "string4": "<i", "bytes1": "<B", "bytes4": "<I", "bytes8": "<Q", "bytearray8": "<Q"}
_TEXTS = {"unicodestring1": "<B", "unicodestring4": "<I", "unicodestring8": "<Q"}


def _assembled(function: ast.FunctionDef) -> Iterator[tuple[bytes, bool]]:
    """Yield the pickles that a test puts together from opcodes, `Pickled([op.Proto.create(4), ...])`.

    Beside each stands whether its texts are all known: a name that a loop fills in is not.
    """
    for node in ast.walk(function):
        if isinstance(node, ast.List) and len(node.elts) > 1:
            made = [_opcode(one) for one in node.elts]
            if all(one is not None for one in made):
                texts = (a for one in node.elts if isinstance(one, ast.Call) for a in one.args)
                yield b"".join(one or b"" for one in made), all(isinstance(a, (ast.Constant, ast.Call)) for a in texts)


def _asks(content: bytes) -> bool:
    """Tell whether a pickle asks for any name at all."""
    try:
        return any(op.name in {"GLOBAL", "STACK_GLOBAL", "INST"} for op, _, _ in pickletools.genops(content))
    except Exception:  # noqa: BLE001  (pickletools raises what it meets)
        return True


def _opcode(node: ast.AST) -> bytes | None:
    if not isinstance(node, ast.Call):
        return None
    spelled = [part for part in ast.unparse(node.func).split(".") if part not in {"op", "fickle", "create"}]
    kind = OPCODES.get(SPELLED.get(spelled[-1], spelled[-1].upper())) if spelled else None
    if kind is None:
        return None
    given = node.args[0] if node.args else None
    value = given.value if isinstance(given, ast.Constant) else None
    return kind.code.encode("latin-1") + (b"" if kind.arg is None else _argument(kind.arg.name, value))


def _argument(kind: str, value: object) -> bytes:
    number = int(value) if isinstance(value, (int, float)) else 0
    text = value.encode() if isinstance(value, str) else value if isinstance(value, bytes) else b"x"
    if kind in _PACKED:
        form = _PACKED[kind]
        size = 8 * struct.calcsize(form)
        return struct.pack(form, float(number) if form == ">d" else number % (1 << size) if "i" not in form else number)
    if kind in _COUNTED or kind in _TEXTS:
        return struct.pack({**_COUNTED, **_TEXTS}[kind], len(text)) + text
    if kind == "stringnl_noescape_pair":
        module, _, name = text.partition(b" ")
        return module + b"\n" + name + b"\n"
    if kind == "stringnl":
        return repr(text.decode()).encode() + b"\n"
    if kind in {"long1", "long4"}:
        raw = number.to_bytes(8, "little", signed=True)
        return struct.pack("<B" if kind == "long1" else "<I", len(raw)) + raw
    return (text if isinstance(value, (str, bytes)) else str(number).encode()) + b"\n"
