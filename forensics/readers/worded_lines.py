"""Lines of a step, a word and a number: what loops write of training and of each evaluation into one file."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from forensics.deferred.patterns import expression
from forensics.errors import ChangedError, TruncatedError
from forensics.formats.text import number, numbered_lines
from forensics.model import Artifact, Fact, Floats, Skip
from forensics.names import EVALUATION, canonical, is_loss
from forensics.plugin import reader
from forensics.readers._columns import MAX_NAMES
from forensics.readers.text.interpretations import falls
from forensics.readers.text.lexicon import TRAINING, Role, role_of
from forensics.readers.text.rows import plain_rows, samples
from forensics.storage.file import File

SEVERAL = 3
_LINE = expression(rb"[ \t]*(\d{1,12})[ \t,]+([A-Za-z][\w/-]{0,40})[ \t,:]+([-+\w.]{1,30})[ \t]*")


def looks_like_worded_lines(head: bytes) -> bool:
    """Tell whether each line has a step, a word and a number, and training or its loss is one of the words."""
    lines = [line for line in head.splitlines()[:40] if line.strip()]
    found = [_LINE.fullmatch(line.rstrip(b"\r")) for line in lines[:-1]]
    if len(found) < SEVERAL or not all(found):
        return False
    return any(_of_training(each[2].decode()) and number(each[3]) is not None for each in found if each)


@reader("worded-lines", match=(), sniff=looks_like_worded_lines, tested="the log.txt of build-nanogpt and its forks")
def worded_lines(artifact: Artifact) -> Iterator[Fact]:
    """Lines `250 train 3.91`, `250 val 3.88`, `250 hella 0.28`: a step, what is told, its number.

    `train` and `val` are losses where training falls, else scores, as everywhere in logs that name the part alone.
    """
    told: dict[str, list[tuple[int, int, float]]] = defaultdict(list)
    left = 0
    with File(artifact.location) as file:
        try:
            for record, line in numbered_lines(file, artifact.limits.text_line_bytes):
                found = _LINE.fullmatch(line.rstrip(b"\r\n"))
                value = number(found[3]) if found else None
                if found is None or value is None:
                    left += bool(line.strip())
                elif found[2].decode() in told or len(told) < MAX_NAMES:
                    told[found[2].decode()].append((record, int(found[1]), value))
        except (ChangedError, TruncatedError) as error:
            yield Skip(artifact.path, f"the end was not read: {error}")
    trained = next((_values(rows) for word, rows in told.items() if TRAINING.fullmatch(word)), np.zeros(0))
    losses = bool(len(trained)) and falls(trained)
    for word, rows in told.items():
        part = TRAINING.fullmatch(word) or EVALUATION.fullmatch(word)
        name = canonical(f"{word}_loss" if losses and part else word)
        records, steps, _ = zip(*rows, strict=True)
        at = np.array(records, dtype=np.int64)
        name = "loss" if name == "train_loss" else name
        yield from samples([plain_rows((name,), _values(rows)[:, None], at, at, steps)], artifact.path)
    if left:
        yield Skip(artifact.path, f"{left:,} lines are no step, word and number")


def _values(rows: list[tuple[int, int, float]]) -> Floats:
    return np.array([value for _, _, value in rows], dtype=np.float64)


def _of_training(word: str) -> bool:
    return TRAINING.fullmatch(word) is not None or is_loss(word) or role_of(word) is Role.NORM
