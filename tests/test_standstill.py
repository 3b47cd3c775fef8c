"""Runs that stand still without a time-out on file: lines that only wait, stacks of gdb; and runs that only look so."""

from pathlib import Path

import pytest

from forensics.investigate import investigate
from forensics.model import Report

STEPS = "".join(f"step {n} | loss {2.4 - n / 100:.3f}\n" for n in range(1, 41))
MORE = "".join(f"step {n} | loss {2.0 - n / 200:.3f}\n" for n in range(41, 81))


def judged(folder: Path, text: str, **files: str) -> Report:
    (folder / "train.log").write_text(text)
    for name, stacks in files.items():
        (folder / f"{name}.txt").write_text(stacks)
    return investigate(folder)


def lines(form: str, count: int, every: int = 60, first: int = 1) -> str:
    """Return lines of a form in which {n} counts, {s} tells the seconds and {clock} the time of the day."""
    told = ((n, n * every) for n in range(first, first + count))
    return "".join(
        form.format(n=n, s=s, clock=f"{10 + s // 3600}:{s // 60 % 60:02d}:{s % 60:02d}") + "\n" for n, s in told
    )


STILL = {
    "a heartbeat that names the step": ("2026-11-01 {clock} INFO heartbeat: rank 0 alive, step 40", 30, 60),
    "a heartbeat of many ranks": ("[heartbeat] worker={n} alive last_step=40 idle={s}s", 29, 60),
    "a heartbeat that names no step": ("{clock} [keepalive] process 4711 alive, gpu util {n} %, 71.5 GiB", 40, 60),
    "a monitor": ("2026-11-01 {clock} [monitor] global_step=40 elapsed={s}s", 29, 60),
    "a heartbeat without any time": ("heartbeat #{n}: step 40", 35, 60),
    "a rank that does not come": ("{clock} [rank0] still waiting for the others at barrier (attempt {n})", 40, 30),
    "a wait that is counted": ("Still waiting for checkpoint barrier... {s}s elapsed", 70, 10),
    "a wait that says no more": ("Waiting for 3 workers to join", 39, 0),
    "an iteration": ("[{clock}] Heartbeat: still alive at iteration 40", 29, 120),
    "two lines": ("{clock} heartbeat rank 0 step 40\n{clock} gpu0 util 100% mem 71.2GiB step 40", 39, 60),
    "no progress": ("W watchdog: no progress for {s} seconds", 25, 60),
}


@pytest.mark.parametrize("name", STILL)
def test_a_log_that_ends_in_lines_that_only_wait_is_one_of_a_hang(tmp_path: Path, name: str) -> None:
    form, count, every = STILL[name]
    report = judged(tmp_path, STEPS + lines(form, count, every))
    ending = report.run.ending

    assert ending is not None
    assert (ending.kind, ending.step) == ("hung", 40)
    assert [(f.symptom, f.severity) for f in report.findings] == [("run-hung", "error")]
    assert report.verdict == "broken"


CALM = {
    "a long evaluation": STEPS + lines("{clock} heartbeat: alive, step 40", 60) + MORE,
    "a long evaluation at the end": STEPS + "Running evaluation\n" + lines("{clock} heartbeat: rank 0 alive", 60),
    "an evaluation that goes on": STEPS + lines("{clock} alive, step 40, evaluated {n} of 900 batches", 60),
    "a checkpoint that is written": STEPS + lines("still waiting for rank 5 to finish saving ({s}s)", 19, 10) + MORE,
    "a shard after the other": STEPS + lines("{clock} waiting for shard {n} of 90", 60),
    "a run that ended": STEPS + "Training complete.\n" + lines("{clock} heartbeat: alive, step 40", 60),
    "a few": STEPS + lines("{clock} heartbeat: rank 0 alive, step 40", 9, 600),
    "a short time": STEPS + lines("{clock} heartbeat: rank 0 alive, step 40", 30, 10),
    "slow steps": "".join(f"step {n} | loss {2 - n / 99:.3f}\n" + lines("{clock} alive", 40) for n in range(1, 30)),
    "heartbeats among steps": "".join(f"step {n} | loss {2 - n / 99:.3f}\nheartbeat: step {n}\n" for n in range(1, 41)),
    "a tracker": STEPS + lines("wandb: Waiting for W&B process to finish... (success).", 60),
    "ranks that say once how long a step took": STEPS + lines("[rank{n}] step 40 took 0.81 s", 64),
    "ranks that say once that they wait": STEPS + lines("[rank{n}] waiting for the barrier", 64),
    "a download": STEPS + lines("{clock} waiting for the download of 3 files", 60),
}


@pytest.mark.parametrize("name", CALM)
def test_a_run_that_works_or_is_over_does_not_hang(tmp_path: Path, name: str) -> None:
    report = judged(tmp_path, CALM[name])
    ending = report.run.ending

    assert [f.symptom for f in report.findings if f.severity != "notice"] == []
    assert ending is None or ending.kind in {"unknown", "finished"}


NCCL = """===========rank {rank} ===============

(gdb) thread apply all bt

Thread 2 (Thread 0x7f535e7fb000 (LWP 5{rank}879)):
#0  futex_wait_cancelable (private=<optimized out>, expected=0) at ../sysdeps/nptl/futex-internal.h:183
#1  __pthread_cond_wait (cond=cond@entry=0x7f535ebfc130) at pthread_cond_wait.c:647
#2  0x00007f539f454740 in ncclProxyGetPostedOps (added=<synthetic pointer>, proxyState=0x55d8) at proxy.cc:713
#3  ncclProxyProgress (proxyState_=0x55d847bc00c0) at proxy.cc:868
#4  0x00007f539ef93133 in clone () at ../sysdeps/unix/sysv/linux/x86_64/clone.S:95

Thread 1 (Thread 0x7f53a10fb000 (LWP 5{rank}860) "python"):
#0  0x00007ffd2b3c5a28 in clock_gettime ()
#1  0x00007f539d1d2f11 in ?? () from /usr/lib/x86_64-linux-gnu/libcuda.so.1
#2  0x00007f539d2d2f11 in cuStreamSynchronize () from /usr/lib/x86_64-linux-gnu/libcuda.so.1
#3  0x00007f539c1d2f11 in c10d::ProcessGroupNCCL::allreduce(std::vector<at::Tensor>&) () from /opt/libtorch_cuda.so
#4  0x00000000004fc9a8 in _PyEval_EvalFrameDefault ()
"""
"""After NVIDIA/nccl#901, with other addresses."""
RUNTIME = """[New LWP 135{rank}]
Thread 18 (Thread 0x7f0498ffd700 (LWP 135{rank})):
#0  0x00007f05daa8fe8b in pthread_rwlock_wrlock () from /usr/lib/x86_64-linux-gnu/libpthread.so.0
#1  0x00007f0580bb3641 in ?? () from /usr/lib/x86_64-linux-gnu/libcuda.so
#2  0x00007f04fc98d6e6 in ncclGroupEnd () from /usr/lib/x86_64-linux-gnu/libnccl.so.2
#3  0x00007f05da06e256 in tfrt::gpu::wrapper::NcclGroupEnd() () from /app/pyRuntime.so

Thread 1 (Thread 0x7f05db0ff740 (LWP 135{rank})):
#0  0x00007f05daa8c7b2 in pthread_cond_wait () from /usr/lib/x86_64-linux-gnu/libpthread.so.0
#1  0x000055d4c0a1b2c3 in main () from /app/run
"""
"""After NVIDIA/nccl#899: a runtime calls the library from a thread of its own."""


@pytest.mark.parametrize(
    ("form", "place"), [(NCCL, "c10d::ProcessGroupNCCL::allreduce"), (RUNTIME, "tfrt::gpu::wrapper::NcclGroupEnd")]
)
@pytest.mark.parametrize("apart", [True, False])
def test_stacks_of_gdb_tell_where_ranks_wait(tmp_path: Path, form: str, place: str, apart: bool) -> None:
    stacks = [form.replace("{rank}", str(rank)) for rank in range(2)]
    files = {f"gdb_rank{rank}": text for rank, text in enumerate(stacks)} if apart else {"gdb": "\n".join(stacks)}
    report = judged(tmp_path, STEPS, **files)
    found = next(f for f in report.findings if f.symptom == "run-hung")

    assert found.severity == "error"
    assert place in found.statement
    assert "2 processes" in found.statement or "ranks 0, 1" in found.statement


def test_a_stack_of_one_process_or_of_a_core_is_no_hang(tmp_path: Path) -> None:
    one = judged(tmp_path, STEPS, gdb=NCCL.replace("{rank}", "0"))
    core = "Core was generated by `python'.\nProgram terminated with signal SIGSEGV, Segmentation fault.\n"
    dead = judged(tmp_path, STEPS, gdb=core + NCCL.replace("{rank}", "0") + NCCL.replace("{rank}", "1"))

    assert [f.severity for f in one.findings if f.symptom == "run-hung"] == ["notice"]
    assert [f.symptom for f in dead.findings if f.symptom == "run-hung"] == []


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("transport/net_ib.cc:1295 NCCL WARN NET/IB : Got completion from peer 10.0.0.4<512> with error 12", True),
        ("misc/socket.cc:484 NCCL WARN socketStartConnect: Connect to 10.0.0.3<413> failed : Connection refused", True),
        ("proxy.cc:1524 NCCL WARN [Service thread] Accept failed Resource temporarily unavailable", False),
        ("proxy.cc:1518 NCCL WARN [Service thread] Connection closed by localRank 0", False),
        ("init.cc:1900 NCCL WARN Cuda failure 4 'driver shutting down'", False),
    ],
)
def test_a_log_that_ends_in_a_warning_of_nccl_proves_no_end(tmp_path: Path, line: str, told: bool) -> None:
    """What failed is quoted as its last words; what closes when all is over is not (NCCL 2.27 `proxy.cc`)."""
    text = f"{STEPS}node1:411:511 [3] NCCL INFO NET/IB : Using [0]mlx5_0:1\nnode1:411:511 [3] {line}\n"
    report = judged(tmp_path, text)
    ending = report.run.ending

    assert ending is None or ending.kind == "unknown"
    assert [f.symptom for f in report.findings if f.severity == "warning"] == (["run-cut-off"] if told else [])


OVERFLOW = "[deepspeed] OVERFLOW! Rank 0 Skipping step. Attempted loss scale: {}, reducing to {}"


@pytest.mark.parametrize("quote", ['sample {}: "I see {}"', '{{"id": {}, "prompt": "why {}?"}}', "[row {}] answer: {}"])
def test_a_quoted_overflow_is_no_sign(tmp_path: Path, quote: str) -> None:
    said = (quote.format(n, OVERFLOW.format(2 ** (40 - n), 2 ** (39 - n))) + "\n" for n in range(1, 41))
    text = "".join(step + each for step, each in zip(STEPS.splitlines(keepends=True), said, strict=True))

    assert [f.symptom for f in judged(tmp_path, text).findings] == []


@pytest.mark.parametrize("form", ["{}", '{{"level": "INFO", "message": "{}"}}', "2026-11-01 10:00:00,123 [INFO] {}"])
def test_an_overflow_of_the_run_is_one(tmp_path: Path, form: str) -> None:
    said = (form.format(OVERFLOW.format(2 ** (40 - n), 2 ** (39 - n))) + "\n" for n in range(1, 41))
    text = "".join(step + each for step, each in zip(STEPS.splitlines(keepends=True), said, strict=True))

    assert "loss-scale-collapse" in {f.symptom for f in judged(tmp_path, text).findings}
