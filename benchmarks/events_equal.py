"""Compare what is read of event files of many writers with EventAccumulator and tbparse, value by value.

    python benchmarks/events_equal.py
    python benchmarks/events_equal.py --python old=/venvs/old/bin/python --python new=/venvs/new/bin/python

Every writer runs in every Python that is named and has it (the one that runs this too); tensorboard and tbparse
are needed here. tbparse drops what a restart hides, so that it is not asked about falling steps. Exits with 1 when
a point differs.
"""

import argparse
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tabulate import tabulate
from tbparse import SummaryReader
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

from forensics.formats.event_file import read_events
from forensics.storage.file import File

Table = dict[str, list[tuple[int, float, float]]]
HEAD = "import sys, math\nfolder = sys.argv[1]\n"
TORCH = HEAD + "from torch.utils.tensorboard import SummaryWriter as Writer\nw = Writer(folder)\n"
TENSORBOARDX = HEAD + "from tensorboardX import SummaryWriter as Writer\nw = Writer(folder)\n"
PATTERNS = {
    "scalars": "for i in range(500): w.add_scalar('train/loss', 2 / (i + 1), i); w.add_scalar('lr', 1e-5, i)",
    "NaN and Inf": "for i, v in enumerate((1, math.nan, math.inf, -math.inf, -0.0, 1e-45)): w.add_scalar('a', v, i)",
    "text and histograms": "import numpy as np\nfor i in range(20):\n w.add_scalar('a', i / 7, i)\n"
    " w.add_histogram('h', np.arange(9.0), i)\n w.add_text('t', str(i), i)",
    "hparams": "w.add_hparams({'lr': 0.1, 'bf16': True, 'name': 'x'}, {'m': 0.5})\nw.add_scalar('a', 1.5, 3)",
    "several files": "for n in range(3):\n w = Writer(folder, filename_suffix=f'.{n}')\n"
    " [w.add_scalar('loss', 1 / (i + 1), i) for i in range(9 * n, 9 * n + 9)]\n w.close()",
    "falling steps": "[w.add_scalar('loss', float(i), i) for i in (1, 2, 3, 2, 3, 4)]",
    "purged restart": "w.close()\nw = Writer(folder, purge_step=5, filename_suffix='.z')\nw.add_scalar('a', 1.0, 5)",
    "wall times that fall": "[w.add_scalar('a', i / 3, i, walltime=1000.0 - i) for i in range(30)]",
}
DOUBLE = (
    "from tensorboard.compat.proto import summary_pb2, tensor_pb2, types_pb2, tensor_shape_pb2 as shape\n"
    "P = summary_pb2.SummaryMetadata.PluginData\n"
    "meta = summary_pb2.SummaryMetadata(plugin_data=P(plugin_name='scalars'))\n"
    "def put(tag, i, **t):\n"
    " v = summary_pb2.Summary.Value(tag=tag, metadata=meta, tensor=tensor_pb2.TensorProto(\n"
    "  tensor_shape=shape.TensorShapeProto(), **t))\n"
    " w.file_writer.add_summary(summary_pb2.Summary(value=[v]), i)\n"
    "for i in range(20):\n"
    " put('double', i, dtype=types_pb2.DT_DOUBLE, double_val=[i / 3])\n"
    " put('half', i, dtype=types_pb2.DT_HALF, half_val=[0x3C00 + i])"
)
LIGHTNING = HEAD + (
    "from lightning.pytorch.loggers import TensorBoardLogger\nw = TensorBoardLogger(folder, name='', version='')\n"
    "w.log_hyperparams({'lr': 0.1})\n"
    "[w.log_metrics({'train_loss': 1 / (i + 1), 'epoch': 0}, step=i) for i in range(50)]\n"
    "w.finalize('success')"
)
TRAINER = TORCH + (
    "import transformers\nfrom transformers.integrations import TensorBoardCallback\n"
    "told, state = TensorBoardCallback(w), transformers.TrainerState(is_world_process_zero=True)\n"
    "for i in range(1, 60):\n state.global_step = i * 10\n"
    " told.on_log(None, state, None, logs={'loss': 2 / i, 'grad_norm': math.nan, 'learning_rate': 1e-5})\n"
    " told.on_log(None, state, None, logs={'eval_loss': 3 / i})\nw.flush()"
)
TENSORFLOW = HEAD + (
    "import tensorflow as tf\nw = tf.summary.create_file_writer(folder)\nwith w.as_default():\n"
    " for i in range(50): tf.summary.scalar('loss', 1 / (i + 1), step=i)\nw.flush()"
)
WRITERS = {
    **{f"torch, {name}": TORCH + code + "\nw.close()" for name, code in PATTERNS.items()},
    **{f"tensorboardX, {name}": TENSORBOARDX + code + "\nw.close()" for name, code in PATTERNS.items()},
    "torch, tensors of double and half": TORCH + DOUBLE.replace("w.file_writer", "w._get_file_writer()"),
    "Lightning's logger": LIGHTNING,
    "Trainer's callback": TRAINER,
    "TensorFlow": TENSORFLOW,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", action="append", default=[], metavar="NAME=PATH")
    arguments = parser.parse_args()
    pythons = {"this": sys.executable, **dict(named.split("=", 1) for named in arguments.python)}
    rows = list(_compared(pythons))
    print(tabulate(rows, headers=("writer", "Python", "files", "points", "verdict"), tablefmt="github"))
    return int(any(row[-1] != "equal" for row in rows))


def _compared(pythons: dict[str, str]) -> Iterator[tuple[str, str, int, int, str]]:
    for writer, code in WRITERS.items():
        for name, python in pythons.items():
            with tempfile.TemporaryDirectory() as made:
                ran = subprocess.run([python, "-c", code, made], capture_output=True, text=True, check=False)
                files = sorted(Path(made).rglob("*tfevents*"))
                if ran.returncode == 0:
                    yield writer, name, len(files), *_verdict(files, asked="falling" not in writer)
                elif "No module named" not in ran.stderr:
                    yield writer, name, 0, 0, f"not written: {ran.stderr.strip().splitlines()[-1]}"


def _verdict(files: list[Path], *, asked: bool) -> tuple[int, str]:
    points = 0
    for path in files:
        found = _ours(path)
        points += sum(map(len, found.values()))
        if not _equal(found, _accumulated(path)):
            return points, "differs from EventAccumulator"
        if asked and not _equal(found, _parsed(path)):
            return points, "differs from tbparse"
    return points, "equal"


def _ours(path: Path) -> Table:
    return {
        found.tag: list(zip(found.steps.tolist(), found.values.tolist(), found.wall_times.tolist(), strict=True))
        for found in read_events(File(path)).points
    }


def _accumulated(path: Path) -> Table:
    """Return scalars, and tensors of one element that the scalars plugin wrote."""
    loaded = EventAccumulator(str(path), size_guidance={"scalars": 0, "tensors": 0}, purge_orphaned_data=False)
    loaded.Reload()
    tags = loaded.Tags()
    table = {tag: [(e.step, e.value, e.wall_time) for e in loaded.Scalars(tag)] for tag in tags["scalars"]}
    for tag in tags["tensors"]:
        rows = [(e.step, make_ndarray(e.tensor_proto), e.wall_time) for e in loaded.Tensors(tag)]
        if all(_is_number(value) for _, value, _ in rows):
            table[tag] = [(step, float(value), wall) for step, value, wall in rows]
    return table


def _parsed(path: Path) -> Table:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = SummaryReader(str(path), extra_columns={"wall_time"})
        frame, tensors = read.scalars, read.tensors
    table: Table = {}
    for part in (frame, tensors):
        for tag, rows in part.groupby("tag") if len(part) else ():
            columns = rows[["step", "value", "wall_time"]].itertuples(index=False, name=None)
            found = list(columns)
            if all(_is_number(value) for _, value, _ in found):
                table[str(tag)] = [(step, float(value), wall) for step, value, wall in found]
    return table


def _is_number(value: object) -> bool:
    array = np.asarray(value)
    return array.size == 1 and array.dtype.kind in "fiub"


def _equal(one: Table, other: Table) -> bool:
    return one.keys() == other.keys() and all(
        np.array_equal(np.array(rows), np.array(other[tag]), equal_nan=True) for tag, rows in one.items()
    )


if __name__ == "__main__":
    sys.exit(main())
