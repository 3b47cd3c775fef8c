"""What loops of one's own print of their configuration before they train, on one line or over several.

    ===== hyperparameters =====          args: model=mlp, lr=0.01, epochs=20
      learning_rate: 0.001               config = {'lr': 0.001, 'batch_size': 32}
      epochs       : 20                  lr 0.1 | batch size 64 | epochs 20

A rate and another word of a training tell it, and that nothing among it is a loss that was measured.
"""

import ast
import contextlib
from collections.abc import Iterator, Mapping

from forensics.deferred.patterns import expression
from forensics.errors import LimitError
from forensics.formats.flatten import flatten
from forensics.formats.text import scalar
from forensics.model import Artifact, Fact, Setting, Standing
from forensics.names import is_loss, snake_case
from forensics.plugin import reader
from forensics.readers._arguments import is_plain
from forensics.readers._environment import LINE, read_head, split_lines
from forensics.readers.printed_arguments import UNSPELLED

HEAD_BYTES = 1 << 16
"""How far into a log its configuration is looked for: a program prints it before it trains."""
LEAST = 3
"""Lines of one setting each that are a block."""
_RATE = expression(rb"(?i)(?:\blr|learning[ _]rate)['\"]?[ \t]{0,30}(?:[:=|]|\.{2,20}|->)?[ \t]{0,20}\d")
_OTHERS = (".py", ".yaml", ".yml", ".json", ".jsonl", ".toml", ".ini", ".cfg", ".sh", ".md", ".csv", ".tsv", ".ipynb")
_STAMP = expression(
    r"^(?:\[?\d{2,4}[-/]\d\d[-/]\d\d[ T][\d:.,]{5,15}\]?|\[?(?:INFO|DEBUG)\b)[^:=\r\n]{0,60}(?:[\])]|[:|-](?= ))\s{0,5}"
    r"(?=[A-Za-z][\w.\- ]{0,40}?[ \t]{0,30}(?:[:=|]|->))"
)
"""What a logger puts before a line."""
_SIGN = expression(r"[:=|]|\.{2,20}|->")
_NAME = expression(r"[A-Za-z][\w.\- ]{0,40}")
_TITLE = expression(
    r"(?i)^[\w\s\[\]-]{0,40}\b(?:args|arguments|(?:hyper)?-?param(?:eter)?s|hparams|config(?:uration)?|options|settings)\b"
    r" ?[:=] "
)
"""What a line of several settings may begin with, so that it is no name."""
_PAIR = expression(
    r"(?:^|[\s,;|({])['\"]?([A-Za-z][\w.]{0,40}(?: [a-z]+)?)['\"]? ?[:=] ?"
    r"('[^']{0,80}'|\"[^\"]{0,80}\"|\[[^\]]{0,80}\]|\([^)]{0,80}\)|[^\s,;|(){}\[\]]+)"
)
_SEVERAL = expression(r"[,|] ?\w{1,40}(?:[/.]\w{1,40})? ?[:=]")
_SHORT, _LONG = 200, 4000
"""Characters of the value of one setting, and of a dictionary of them on one line."""


def _sniff(head: bytes) -> bool:
    return _RATE.search(head[:HEAD_BYTES]) is not None


@reader("printed-configuration", sniff=_sniff)
def printed_configuration(artifact: Artifact) -> Iterator[Fact]:
    """Arguments that loops of one's own print: lines of one setting each, or all of them on one line."""
    if artifact.path.lower().endswith(_OTHERS):
        return
    block: dict[str, tuple[object, int]] = {}
    nested = False
    for line in split_lines(read_head(artifact)[:HEAD_BYTES], artifact.limits.text_line_bytes):
        # A section within a dictionary that is printed over lines: its settings are not those of the program.
        nested = not line.text.startswith("}") if nested else line.text[:1].isspace() and line.text.endswith(("{", "["))
        pairs = {} if nested else _of_one_line(line.text)
        if pairs:
            yield from _settings(artifact, {name: (value, line.number) for name, value in pairs.items()})
            continue
        name, value = _of_a_line(_STAMP.sub("", line.text))
        if name and name not in block and not nested:
            block[name] = value, line.number
            continue
        yield from _block(artifact, block)
        block = {}
    yield from _block(artifact, block)


def _of_a_line(text: str) -> tuple[str, object]:
    """Return name and value of a line that holds one setting, no name where it does not."""
    text = text.strip(" \t|*>,-")
    sign = _SIGN.search(text)
    if sign is None:
        return "", None
    name, value = text[: sign.start()].strip(" \t'\""), text[sign.end() :].strip()
    one = (
        0 < len(value) <= _SHORT
        and value[-1] not in "{[("
        and _NAME.fullmatch(name) is not None
        and not _SEVERAL.search(value)
    )
    return (name, scalar(value.strip("'\""))) if one else ("", None)


def _block(artifact: Artifact, block: Mapping[str, tuple[object, int]]) -> Iterator[Setting]:
    if len(block) >= LEAST and _configures({name: value for name, (value, _) in block.items()}):
        yield from _settings(artifact, block)


def _settings(artifact: Artifact, found: Mapping[str, tuple[object, int]]) -> Iterator[Setting]:
    for name, (value, number) in found.items():
        with contextlib.suppress(LimitError):
            for dotted, held in flatten(value, snake_case(name)):
                yield Setting("setting", dotted, held, artifact.at(LINE, number), Standing.RECORDED)


def _of_one_line(text: str) -> Mapping[str, object]:
    """Return the settings of a line that names several of them, a rate among them; none where it does not."""
    start, found = text.find("{"), dict[str, object]()
    if start > 0 and text[:start].strip() and not _TITLE.search(text[:start]):
        return {}
    if 0 <= start < len(text) - 2 and text.rstrip().endswith("}") and len(text) <= _LONG:
        with contextlib.suppress(*UNSPELLED):
            value = ast.literal_eval(text[start:].strip())
            found = {str(name): held for name, held in value.items()} if isinstance(value, dict) else {}
    if not found and "Namespace(" not in text and "Arguments(" not in text and "Args(" not in text:
        found = {name: scalar(value.strip("'\"")) for name, value in _PAIR.findall(_TITLE.sub("", text))}
    return found if _configures(found) else {}


def _configures(found: Mapping[str, object]) -> bool:
    """Tell whether names are those of a configuration and none is a loss with a number, which was measured."""
    measured = any(is_loss(name) and isinstance(value, int | float) for name, value in found.items())
    return not measured and is_plain(snake_case(name) for name in found)
