"""Metrics as JSON lines, one object a record, whatever tool wrote them."""

from collections.abc import Iterator

from forensics.deferred.patterns import expression
from forensics.errors import ChangedError, TruncatedError
from forensics.formats.text import Piece, pieces
from forensics.model import Artifact, Fact, Setting, Skip, Standing
from forensics.plugin import reader
from forensics.readers._json_entries import STEP_KEYS, counter_named
from forensics.readers._json_lines import JsonLines
from forensics.readers.text.evidence import of_a_training
from forensics.readers.text.rows import samples
from forensics.storage.file import File

BLOCK_BYTES = 4 << 20
_OBJECT = expression(rb"\s*\{")
_FRACTION = expression(rb""":\s*"?-?(?:\d*\.\d|\d+[eE]-?\d|NaN|nan|-?Infinity|inf\b)""")
_COUNTED = expression(rf'"(?:{"|".join((*STEP_KEYS, "epoch"))})"\s*:\s*"?\d'.encode())
_NAMES = expression(rb'"([\w/. -]{1,60})"\s*:\s*"?[-\dNnIi.]')


def looks_like_metrics(head: bytes) -> bool:
    """Tell whether the first lines are JSON objects and one of them has a step or epoch beside a number.

    A file without any fraction among its numbers (a vocabulary, a table of token counts) holds no metrics.
    """
    lines = [line for line in head.splitlines()[:20] if line.strip()]
    if not lines or not all(_OBJECT.match(line) for line in lines[: max(1, len(lines) - 1)]):
        return False
    if not any(_FRACTION.search(line) for line in lines):
        return False
    return any(
        _COUNTED.search(line) or counter_named(tuple(name.decode() for name in _NAMES.findall(line))) for line in lines
    )


@reader(
    "metrics-jsonl",
    match=(r"\.jsonl$", r"(?:^|/)vis_data/[^/]*\.json$"),
    sniff=looks_like_metrics,
    tested="seven public files of LLaMA-Factory and DETR; ms-swift, mmengine and verl as lines",
)
def metrics_jsonl(artifact: Artifact) -> Iterator[Fact]:
    """JSON lines with a step and numbers.

    LLaMA-Factory `trainer_log.jsonl`, ms-swift `logging.jsonl`, torchtune, xtuner `tracker.jsonl`, mmengine
    `vis_data/*.json`, verl, and any file of the kind.
    """
    lines = JsonLines()
    with File(artifact.location) as file:
        try:
            for block in _blocks(pieces(file, artifact.limits.small_file_bytes, BLOCK_BYTES)):
                lines.read(block)
        except (ChangedError, TruncatedError) as error:
            yield Skip(artifact.path, f"the end was not read: {error}")
    # ms-swift ends its file with the whole log_history: it tells what the lines told, unless they are missing.
    yield from samples(of_a_training(lines.tables()), artifact.path)
    for total, record in lines.totals.items():
        yield Setting("setting", "max_steps", total, artifact.at("line {}", record), Standing.RECORDED)
    if lines.broken:
        count, first = len(lines.broken), min(lines.broken)
        yield Skip(artifact.path, f"{count:,} lines are no whole JSON object, the first of them line {first}")


def _blocks(text: Iterator[Piece]) -> Iterator[bytes]:
    """Yield whole lines, ended by LF; CR ends a line as LF does."""
    rest = b""
    for piece in text:
        data = rest + piece.data.replace(b"\r", b"\n")
        cut = data.rfind(b"\n") + 1
        rest = data[cut:]
        if cut:
            yield data[:cut]
    if rest:
        yield rest + b"\n"
