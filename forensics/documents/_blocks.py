"""What a fenced block of a text is, told by what stands in it; the language behind the fence is a hint only.

People write ```json over Python dictionaries, ```python over logs and nothing at all over YAML, so a name is given
only to what parses as the thing; everything else stays in the text, which the reader of logs gets as a whole.
"""

import ast
import json
import re
from collections.abc import Mapping, Sequence

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.errors import ForensicsError
from forensics.formats.lenient_json import parse

_KEY = expression(r"^[A-Za-z_][\w.\-/]{0,80}\s?:(?:\s|$)")
_LOGGED = expression(r"\s*(?:train_|eval_|val_)?loss\s*:\s*[\dn]", re.IGNORECASE)
_SECTION = expression(r"^\s{0,4}\[{1,2}[\w.\-\" ]{1,80}\]{1,2}\s*$", re.MULTILINE)
_EQUAL = expression(r"^\s{0,8}[A-Za-z_][\w.\-]{0,80}\s{0,20}=\s{0,20}\S", re.MULTILINE)
_COUNTER = expression(r"\b(?:global_?)?(?:step|epoch|iter(?:ation)?)\b", re.IGNORECASE)
_ASSIGNED = expression(r"(?:export\s+|set\s+-)?[A-Za-z_]\w{0,80}=|export\s|set\s+-\w")
_PROGRAM = expression(
    r"(?m)(?:^|[\s\"'=])(?:\S{0,200}/)?(?:torchrun|deepspeed|accelerate|llamafactory-cli|swift|megatron|axolotl|tune|xtuner"
    r"|srun|mpirun|python[\d.]*|pip3?|uv|conda|bash|sh)\s"
)
_SHELL = expression(
    r"\s*(?:#|--?[A-Za-z]|[A-Za-z_]\w*=|(?:export|set|cd|source|conda|module|if|then|else|fi|for|do|done|echo|mkdir|nohup|sudo|rm|cp|mv|ls|sleep|wait|exit|pwd|ulimit|unset|eval|exec"
    r"|torchrun|deepspeed|accelerate|llamafactory-cli|swift|megatron|axolotl|tune|xtuner|srun|mpirun|python[\d.]*|pip3?|uv|bash"
    r"|sh)\b|\S+\s*\\$|\$\w+|\S+\.py\b|[\w.+~]+=)"
)
_COMMENT = expression(r"(?m)(?:^|(?<=[\s,{\[]))(?://|#)(?![^\n\"]*\"\s*[,:}\]]).*$")
_TRAILING = expression(r",(?=\s*[}\]])")
MOST_PARSED = 1 << 20
"""Characters of a block that is looked at; a longer one is a log."""
_NAMED_BY_KEY = (
    ("log_history", "trainer_state.json"),
    ("peft_type", "adapter_config.json"),
    ("tokenizer_class", "tokenizer_config.json"),
    ("architectures", "config.json"),
    ("model_type", "config.json"),
)
"""Keys that Hugging Face files always have, and the name under which such a file is known."""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced part of a text: its lines, the number of the first of them from 1, and the word behind the fence."""

    first: int
    language: str
    lines: tuple[str, ...]


def recognised(block: Block) -> tuple[str, str] | None:
    """Return the name of the file that a block is, and its text; None when it is a log or nothing that is known."""
    text = dedented(block.lines)
    stripped = text.strip()
    if not stripped or len(text) > MOST_PARSED:
        return None
    if stripped[0] in "{[" and (found := _object(text)):
        return found
    if name := _language(stripped, block.language):
        return f"block.{name}", text
    return None


def _language(text: str, told: str) -> str:
    """Return the ending of a file that is written like the text; empty when it is like none."""
    if _is_table(text):
        return "csv"
    if _is_python(text, told):
        return "py"
    if _is_shell(text, told):
        return "sh"
    if _SECTION.search(text) and len(_EQUAL.findall(text)) >= 2:
        return "toml"
    return "yaml" if is_mapping(text.splitlines(), named=told in {"yaml", "yml"}) else ""


def dedented(lines: Sequence[str]) -> str:
    """Return the lines without the indentation that all of them share, as in a list item; tabs count as written."""
    import textwrap

    return textwrap.dedent("\n".join(line.rstrip() for line in lines))


def _object(text: str) -> tuple[str, str] | None:
    """Name a JSON document: an object, or lines that are objects; a single flat object may be one entry of a log."""
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and all(line.lstrip().startswith("{") and line.rstrip().endswith("}") for line in lines):
        return ("block.jsonl", text) if all(_whole(line) is not None for line in lines) else None
    if len(lines) < 3 and text.count("{") < 2:
        return None  # an entry of a log at most
    value = _whole(text)
    if value is None and (loose := _loosened(text)) is not None:
        value, text = _whole(loose), _at_the_same_line(loose, text)
    if not isinstance(value, Mapping):
        return None
    return (name_of(value), text) if is_configuration(value) or len(lines) > 2 else None


def name_of(value: Mapping[str, object]) -> str:
    """Return the file name that an object of these keys has where it comes from."""
    return next((name for key, name in _NAMED_BY_KEY if key in value), "block.json")


def is_configuration(value: Mapping[str, object]) -> bool:
    """Tell whether an object holds objects, as configurations do and the entries of a log do not."""
    return any(isinstance(inner, Mapping) for inner in value.values())


def _whole(text: str) -> object | None:
    """Return what a JSON text means; None when it is not whole."""
    try:
        document = parse(text.encode("utf-8", "surrogatepass"))
    except (ForensicsError, RecursionError):
        return None
    return document.value if document.broken_at is None else None


MOST_LITERAL = 1 << 16
"""Characters that are parsed as a literal of Python, which takes some hundred times their size in memory."""


def _loosened(text: str) -> str | None:
    """Return JSON for what people make of it by hand: comments, trailing commas, Python's own literals."""
    loose = _TRAILING.sub("", _COMMENT.sub("", text))
    if _whole(loose) is not None:
        return loose
    if len(loose) > MOST_LITERAL:
        return None
    try:
        value = ast.literal_eval(loose.strip())
        return json.dumps(value) if isinstance(value, dict) else None
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return None


def _at_the_same_line(loose: str, text: str) -> str:
    return "\n" * (len(text) - len(text.lstrip("\n"))) + loose.lstrip("\n")


def _is_table(text: str) -> bool:
    """Tell whether the text is comma-separated: a header with a counter, then rows of as many cells."""
    lines = text.splitlines()
    commas = lines[0].count(",")
    named = bool(_COUNTER.search(lines[0])) and not re.search(r"[:={}|]|\d\.\d", lines[0])
    return commas > 0 and len(lines) > 1 and named and all(line.count(",") == commas for line in lines[1:])


def _is_python(text: str, language: str) -> bool:
    """Tell whether the text is a program: it parses, and does more than spell one value after the other."""
    if not re.search(r"[=(]", text) or (language not in {"python", "py", "python3"} and not re.search(r"\w\(", text)):
        return False
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return any(
        not isinstance(node, (ast.Expr, ast.AnnAssign))
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and bool(node.value.keywords))
        for node in body
    )


def _is_shell(text: str, told: str) -> bool:
    """Tell whether the text is a script: four lines of five are of a shell, and one of them starts a program.

    A terminal that shows a command and what it printed is no script.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    of_a_shell = sum(_SHELL.match(line) is not None for line in lines)
    begins = told in {"bash", "sh", "shell", "zsh"} or text.startswith("#!") or bool(_ASSIGNED.match(text))
    return begins and of_a_shell >= 0.8 * len(lines) and _PROGRAM.search(text) is not None


def is_mapping(lines: Sequence[str], *, named: bool) -> bool:
    """Tell whether lines are YAML: keys at the margin, and below them only what belongs to a key.

    `named` when the author said that it is YAML; otherwise three keys are asked for, since `Note: see below` is none.
    """
    kept = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    keys = sum(_KEY.match(line.lstrip(" -")) is not None for line in kept)
    belongs = bool(kept) and all(_KEY.match(line) or line[:1] in " \t-" for line in kept)
    logged = any(_LOGGED.match(line) for line in kept)
    return belongs and not logged and keys >= (1 if named else 3)
