"""Time for many runs and for a long one: `python benchmarks/scale.py [--runs 2000] [--entries 100000]`."""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from forensics.fleet.run import Options, triage
from forensics.investigate import detect
from forensics.testing import make_run
from rival_runs import SITUATIONS, healthy, write_state

SHORT = 100


def write_runs(root: Path, count: int) -> None:
    """Write small runs, two thirds of them broken, of a hundred entries each."""
    kinds = list(SITUATIONS.values())
    for number in range(count):
        folder = root / f"group{number % 20}" / f"run{number}"
        folder.mkdir(parents=True)
        _, _, _, make = kinds[number % len(kinds)]
        columns = make(np.random.default_rng(number))
        write_state(folder, {name: values[350 : 350 + SHORT] for name, values in columns.items()})
        (folder / "config.json").write_text('{"model_type": "llama", "vocab_size": 32000}', encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--entries", type=int, default=100_000)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        write_runs(Path(temporary), chosen.runs)
        started = time.perf_counter()
        rows = triage(Path(temporary), Options(workers=2))
        took = time.perf_counter() - started
    print(f"triage: {len(rows):,} runs on 2 of {os.cpu_count()} cores in {took:.1f} s ({took / len(rows):.4f} s each)")
    long = healthy(np.random.default_rng(1), chosen.entries)
    run = make_run(**{name: values.tolist() for name, values in long.items()})
    detect(run)
    started = time.perf_counter()
    findings, _, _ = detect(run)
    took = time.perf_counter() - started
    print(f"detectors: {chosen.entries:,} entries in {took:.3f} s, {len(findings)} findings")
    return 0


if __name__ == "__main__":
    sys.exit(main())
