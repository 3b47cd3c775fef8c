"""ZeRO-2 shards of a synthetic model: diagnosed by us, and put together by DeepSpeed's zero_to_fp32.py.

    python benchmarks/zero_shards.py --size 200 --deepspeed PYTHON_WITH_DEEPSPEED

Makes shards of SIZE MB of fp32 parameters for two ranks (masters and both moments, so three times that), with one
NaN, then runs each program in a fresh process and prints its time and its peak memory, whole and above that of its
own imports. The page cache is warm for both. PYTHON_WITH_DEEPSPEED must have torch and deepspeed; without it only
ours is run.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

RANKS = 2
WIDTH = 1024

OURS = """
import json, resource, sys, time
from pathlib import Path
import numpy, forensics.weights.inspection
import forensics.weights.kernels
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
started = time.perf_counter()
checkpoints, _ = forensics.weights.inspection.scan(Path(sys.argv[1]))
seconds = time.perf_counter() - started
table = checkpoints[0].table
bad = [table.names[i] for i in range(len(table)) if table.nan[i]]
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
memory = {"peak": (peak - before) * 1024, "whole": peak * 1024}
print(json.dumps({"seconds": seconds, **memory, "bad": bad, "tensors": len(table)}))
"""
THEIRS = """
import contextlib, io, json, resource, sys, time
import torch
with contextlib.redirect_stdout(io.StringIO()):
    from deepspeed.utils.zero_to_fp32 import get_fp32_state_dict_from_zero_checkpoint
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    state = get_fp32_state_dict_from_zero_checkpoint(sys.argv[1], tag="global_step5")
    merged = time.perf_counter() - started
    bad = [name for name, tensor in state.items() if bool(torch.isnan(tensor).any())]
    seconds = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"seconds": seconds, "merged": merged, "peak": (peak - before) * 1024, "whole": peak * 1024,
                  "bad": bad, "tensors": len(state)}))
"""
MAKE = """
import math, sys
from collections import OrderedDict
from pathlib import Path
import torch
folder, parameters, ranks, width = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
rows = max(parameters // width // 16, 1)
shapes = OrderedDict((f"layers.{n}.weight", torch.Size((rows, width))) for n in range(16))
total = sum(math.prod(s) for s in shapes.values())
each = math.ceil(total / (2 * ranks)) * 2
for rank in range(ranks):
    torch.manual_seed(rank)
    master = torch.randn(max(min(each, total - rank * each), 0))
    if rank == 1:
        master[5] = float("nan")
    state = {0: {"step": torch.tensor(5.0), "exp_avg": master * 0.1, "exp_avg_sq": master * master}}
    group = {"lr": 1e-4, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0, "params": [0]}
    inner = {"zero_stage": 2, "partition_count": [ranks], "single_partition_of_fp32_groups": [master],
             "base_optimizer_state": {"state": state, "param_groups": [group]}}
    torch.save({"optimizer_state_dict": inner, "ds_version": "0.19.8"},
               folder / f"zero_pp_rank_{rank}_mp_rank_00_optim_states.pt")
header = {"module": {}, "buffer_names": [], "param_shapes": [shapes], "shared_params": {}, "ds_version": "0.19.8",
          "frozen_param_shapes": None, "frozen_param_fragments": None, "global_steps": 5, "dp_world_size": ranks,
          "mp_world_size": 1}
torch.save(header, folder / "mp_rank_00_model_states.pt")
"""


def run(python: str, program: str, *arguments: object) -> dict[str, Any]:
    environment = os.environ | {"DS_ACCELERATOR": "cpu", "TOKENIZERS_PARALLELISM": "false"}
    command = [python, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    lines = done.stdout.strip().splitlines()
    read: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    return read


def row(name: str, seen: dict[str, Any]) -> str:
    memory = f"{seen['peak'] / 1e6:,.0f} | {seen['whole'] / 1e6:,.0f}"
    return f"| {name} | {seen['seconds']:.2f} | {memory} | {seen['tensors']} | {sorted(set(seen['bad']))} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=200, help="MB of fp32 parameters")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--deepspeed", help="an interpreter with torch and deepspeed")
    parser.add_argument("--torch", default=sys.executable, help="an interpreter with torch, to make the data")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "global_step5"
        folder.mkdir()
        (Path(work) / "latest").write_text("global_step5")
        run(options.deepspeed or options.torch, MAKE, folder, options.size * 1_000_000 // 4, RANKS, WIDTH)
        size = sum(file.stat().st_size for file in folder.iterdir())
        print(f"{options.size} MB of parameters, {size / 1e6:,.0f} MB of shards, best of {options.repeat}\n")
        print("| program | seconds | memory above imports, MB | whole, MB | tensors | NaN in |")
        print("| --- | --- | --- | --- | --- | --- |")
        ours = min((run(sys.executable, OURS, folder) for _ in range(options.repeat)), key=lambda r: r["seconds"])
        print(row("medforensics scan (masters and moments)", ours))
        if options.deepspeed:
            trials = (run(options.deepspeed, THEIRS, work) for _ in range(options.repeat))
            theirs = min(trials, key=lambda r: r["seconds"])
            print(row("zero_to_fp32.py and torch.isnan (masters)", theirs))
            print(f"\nmerge alone: {theirs['merged']:.2f} s")
            print(f"time: {ours['seconds'] / theirs['seconds']:.2f} of theirs")
            print(f"memory: {ours['peak'] / theirs['peak']:.3f} of theirs above the imports")
            print(f"memory: {ours['whole'] / theirs['whole']:.3f} of theirs, interpreter and imports included")


if __name__ == "__main__":
    main()
