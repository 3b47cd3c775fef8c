"""What `Trainer.train()` returns, wherever it was printed or shown: the sum of a run, no point of its curve.

TrainOutput(global_step=60, training_loss=0.397, metrics={'train_runtime': 61.5, 'train_loss': 0.397, 'epoch': 1.0})
"""

import re
from collections.abc import Iterator

from forensics.formats.flatten import scalar
from forensics.formats.text import number
from forensics.model import Artifact, Fact, Setting, Standing
from forensics.plugin import reader
from forensics.readers._environment import LINE, read_lines

_SUMMARY = re.compile(
    r"TrainOutput\(global_step=(\d{1,15}), ?training_loss=([^,()\s]{1,40}), ?metrics=\{([^{}]{0,4000})\}?"
)
_METRIC = re.compile(r"'(\w{1,80})': ([^,{}\s]{1,40})")


@reader("train-output", sniff=lambda head: b"TrainOutput(global_step=" in head)
def train_output(artifact: Artifact) -> Iterator[Fact]:
    """`TrainOutput(...)` of the Trainer, as settings under `results.`."""
    for line in read_lines(artifact):
        told = _SUMMARY.search(line.text)
        for name, text in (("train_loss", told[2]), *_METRIC.findall(told[3])) if told else ():
            value = number(text.encode("utf-8", "replace"))
            if value is not None:
                held = scalar(name, value)
                yield Setting("setting", f"results.{name}", held, artifact.at(LINE, line.number), Standing.RECORDED)
