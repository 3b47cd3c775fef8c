"""The model card that the Trainer writes: `README.md` (`transformers/modelcard.py`, TRL's and PEFT's templates).

### Training hyperparameters

The following hyperparameters were used during training:
- learning_rate: 2e-05
- train_batch_size: 4
- num_devices: 8
- mixed_precision_training: Native AMP

### Training results

| Training Loss | Epoch | Step | Validation Loss |
|:-------------:|:-----:|:----:|:---------------:|
| 1.2345        | 1.0   | 100  | 1.3456          |

### Framework versions

- Transformers 4.57.1
- Pytorch 2.5.1+cu124
- PEFT: 0.17.1
"""

from collections.abc import Iterator, Sequence

import numpy as np

from forensics.deferred.patterns import expression
from forensics.formats.flatten import scalar
from forensics.formats.plain_scalar import plain
from forensics.model import Artifact, Fact, Precision, Samples, Setting, Standing
from forensics.names import EVAL_LOSS, LOSS
from forensics.plugin import reader
from forensics.readers._environment import LINE, Line, package, read_lines, too_long

_HEADING = expression(r"^#{1,4} +(\S(?:.{0,98}\S)?)\s*$")
_VERSION = expression(r"^[-*] +([A-Za-z][\w \-]{1,40}?):? +(\d[\w.+!\-]{0,80})$")
_BULLET = expression(r"^[-*] +([a-z][a-z0-9_]{1,60}): (.{1,300})$")
_NAMES = {
    "train_batch_size": "per_device_train_batch_size",
    "eval_batch_size": "per_device_eval_batch_size",
    "num_epochs": "num_train_epochs",
    "training_steps": "max_steps",
    "num_devices": "world_size",
    "lr_scheduler_warmup_steps": "warmup_steps",
    "lr_scheduler_warmup_ratio": "warmup_ratio",
    "optimizer": "optim",
}
"""`modelcard.extract_hyperparameters_from_trainer`: the card's names and the arguments they come from."""
_COLUMNS = {"Training Loss": LOSS, "Validation Loss": EVAL_LOSS}


def _sniff(head: bytes) -> bool:
    return b"### Framework versions" in head or b"### Training hyperparameters" in head


@reader("model-card", match=(r"(^|/)README\.md$",), sniff=_sniff)
def model_card(artifact: Artifact) -> Iterator[Fact]:
    """Model card of Trainer, TRL or PEFT: framework versions, hyperparameters, table of results."""
    yield from too_long(artifact, "a model card")
    section = ""
    table: list[Line] = []
    for line in read_lines(artifact):
        heading = _HEADING.match(line.text)
        if heading is not None:
            section = heading[1].lower()
        elif section == "framework versions":
            yield from _read_version(artifact, line)
        elif section == "training hyperparameters":
            yield from _read_bullet(artifact, line)
        elif section == "training results" and line.text.startswith("|"):
            table.append(line)
    yield from _read_table(artifact, table)


def _read_version(artifact: Artifact, line: Line) -> Iterator[Setting]:
    match = _VERSION.match(line.text)
    if match is not None:
        name = "torch" if match[1].lower() == "pytorch" else match[1]
        yield from package(name, match[2], artifact.at(LINE, line.number), Standing.CONFIGURED)


def _read_bullet(artifact: Artifact, line: Line) -> Iterator[Setting]:
    match = _BULLET.match(line.text)
    if match is not None:
        name = _NAMES.get(match[1], match[1])
        # The card's total is the global batch that DeepSpeed calls train_batch_size.
        name = "train_batch_size" if name == "total_train_batch_size" else name
        value = scalar(name, plain(match[2].strip()))
        yield Setting("setting", name, value, artifact.at(LINE, line.number), Standing.CONFIGURED)


def _read_table(artifact: Artifact, table: Sequence[Line]) -> Iterator[Samples]:
    rows = [(line.number, [cell.strip() for cell in line.text.strip().strip("|").split("|")]) for line in table]
    if len(rows) < 3 or "Step" not in rows[0][1]:
        return
    header = rows[0][1]
    for title, name in _COLUMNS.items():
        if title not in header:
            continue
        points: list[tuple[int, float, int]] = []
        for number, cells in rows[2:]:
            point = _point(cells, header.index("Step"), header.index(title))
            if point is not None:
                points.append((*point, number))
        if points:
            steps, values, records = zip(*points, strict=True)
            yield Samples(
                name=name,
                steps=np.array(steps, dtype=np.int64),
                values=np.array(values, dtype=np.float64),
                records=np.array(records, dtype=np.int64),
                path=artifact.path,
                place=LINE,
                precision=Precision.FOUR_DECIMALS,
            )


def _point(cells: Sequence[str], step: int, value: int) -> tuple[int, float] | None:
    if len(cells) <= max(step, value) or not cells[step].isdecimal() or len(cells[step]) > 15:
        return None
    try:
        return int(cells[step]), float(cells[value])
    except ValueError:
        return None  # "No log" before the first logging step
