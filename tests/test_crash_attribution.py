"""Root, echo and teardown of a crash are told apart, across ranks and whatever their order in the log."""

from pathlib import Path

import pytest

from forensics.investigate import investigate
from forensics.model import Report
from forensics.names import Kind

STEPS = "".join(
    f"\r{i}%|#         | {i}/100 [00:{i:02d}<01:30,  1.00it/s]\n"
    f"{{'loss': {2 - i / 100:.4f}, 'grad_norm': 0.51, 'learning_rate': 1e-05, 'epoch': {i / 50:.2f}}}\n"
    f"\r{i}%|#         | {i}/100 [00:{i:02d}<01:30,  1.00it/s]"
    for i in range(1, 31)
)
TRACEBACK = (
    "\n[rank{rank}]: Traceback (most recent call last):\n"
    '[rank{rank}]:   File "/app/train.py", line 88, in <module>\n'
    "[rank{rank}]:     trainer.train()\n"
    "[rank{rank}]: {error}\n"
)
MEMORY = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 3.25 GiB. GPU 3 has a total capacity of 79.15"
    " GiB of which 1.06 GiB is free."
)
TIMEOUT = (
    "\n[rank{rank}]:[E1123 20:10:00.000 ProcessGroupNCCL.cpp:616] [Rank {rank}] Watchdog caught collective"
    " operation timeout: WorkNCCL(SeqNum=812, OpType=ALLREDUCE, NumelIn=16777216, NumelOut=16777216,"
    " Timeout(ms)=600000) ran for 600021 milliseconds before timing out.\n"
)
CLOSED = "[rank0]: torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:1970, system error\n"
SUMMARY = (
    "Traceback (most recent call last):\n"
    '  File "/venv/bin/torchrun", line 8, in <module>\n'
    "    sys.exit(main())\n"
    "torch.distributed.elastic.multiprocessing.errors.ChildFailedError:\n"
    "============================================================\n"
    "train.py FAILED\n"
    "Root Cause (first observed failure):\n"
    "  rank      : 2 (local_rank: 2)\n"
    "  exitcode  : {code} (pid: 4714)\n"
)


def died(rank: int, error: str) -> str:
    return TRACEBACK.format(rank=rank, error=error)


def waited(*ranks: int) -> str:
    return "".join(TIMEOUT.format(rank=rank) for rank in ranks)


KERNEL = "[1234.5] python invoked oom-killer: gfp_mask=0x100cca, order=0, oom_score_adj=0\n"
SLURM = "slurmstepd: error: *** JOB 1 ON node01 CANCELLED AT 2026-11-23T20:00:00 DUE TO TIME LIMIT ***\n"
GLOO = "RuntimeError: [unbound_buffer.cc:78] Timed out waiting 8000ms for recv operation to complete"
FULL = "OSError: [Errno 28] No space left on device"
LOADER = "RuntimeError: DataLoader worker (pid 5123) is killed by signal: Killed."
CASES = {
    "one rank out of memory, the others time out": (
        died(3, MEMORY) + waited(0, 1, 2) + SUMMARY.format(code=1), "crash-oom", "out-of-memory", "established",
    ),
    "the echo stands first in the log": (
        waited(0, 1, 2) + died(3, MEMORY), "crash-oom", "out-of-memory", "established",
    ),
    "connections that broke": (
        died(3, MEMORY) + CLOSED + SUMMARY.format(code=1), "crash-oom", "out-of-memory", "established",
    ),
    "the disk": (
        died(0, FULL) + waited(1, 2), "crash-disk", "disk-full", "established",
    ),
    "a data loader": (died(1, LOADER) + waited(0, 2), "crash-exception", "data-loader-failure", "likely"),
    "an exception of the script": (
        died(2, "ValueError: no input_ids") + waited(0, 1, 3), "crash-exception", "other-rank-died", "likely",
    ),
    "nothing but timeouts": (waited(0, 1, 2, 3), "crash-nccl", "collective-timeout", "likely"),
    "a timeout of gloo": (died(0, GLOO), "crash-nccl", "collective-timeout", "likely"),
    "one rank killed, the others time out": (
        waited(0, 1, 3) + SUMMARY.format(code=-9), "crash-killed", "host-kill", "possible",
    ),
    "a bare kill": ("\nKilled\n", "crash-killed", "host-kill", "possible"),
    "a kill that the kernel confirms": (f"\nKilled\n{KERNEL}", "crash-killed", "host-kill", "established"),
    "exit code -9": (f"\n{SUMMARY.format(code=-9)}", "crash-killed", "host-kill", "possible"),
    "the end of the granted time": (f"\n{SLURM}", "crash-killed", "time-limit-reached", "established"),
}  # fmt: skip


def judged(folder: Path, tail: str) -> Report:
    (folder / "train.log").write_text(STEPS + tail)
    return investigate(folder)


@pytest.mark.parametrize("name", CASES)
def test_the_root_is_named_and_the_echo_is_not(name: str, tmp_path: Path) -> None:
    tail, symptom, cause, verdict = CASES[name]
    report = judged(tmp_path, tail)
    top = report.hypotheses[0]

    assert (report.findings[0].symptom, top.cause, top.verdict) == (symptom, cause, verdict)
    assert report.findings[0].step == 30


def test_ranks_with_logs_of_their_own_are_read_together(tmp_path: Path) -> None:
    for rank in range(4):
        tail = died(3, MEMORY) if rank == 3 else waited(rank)
        (tmp_path / f"rank{rank}.log").write_text(STEPS + tail)
    report = investigate(tmp_path)

    assert (report.findings[0].symptom, report.hypotheses[0].cause) == ("crash-oom", "out-of-memory")


def test_the_same_line_on_many_ranks_is_one_finding(tmp_path: Path) -> None:
    """Eight ranks that run out of memory at once are one failure, not eight in a row."""
    report = judged(tmp_path, "".join(died(rank, MEMORY) for rank in range(8)))
    crashes = [f for f in report.findings if f.symptom.startswith("crash-")]

    assert [f.symptom for f in crashes] == ["crash-oom"]
    assert report.run.timeline.count_of(Kind.OUT_OF_MEMORY) == 1


def test_the_report_of_a_launcher_is_no_exception_of_its_own(tmp_path: Path) -> None:
    report = judged(tmp_path, died(3, MEMORY) + SUMMARY.format(code=1))

    assert [f.symptom for f in report.findings if f.severity == "error"] == ["crash-oom"]


def test_an_exit_code_of_1_is_no_kill(tmp_path: Path) -> None:
    report = judged(tmp_path, f"\n{SUMMARY.format(code=1)}")

    assert "crash-killed" not in {f.symptom for f in report.findings}
    assert all(h.cause != "host-kill" for h in report.hypotheses)


def test_memory_that_ran_out_while_a_batch_size_was_sought_is_a_notice(tmp_path: Path) -> None:
    head, _, rest = STEPS.partition("\r10%")
    (tmp_path / "train.log").write_text(
        head + died(0, MEMORY) + "\r10%" + rest + "\n{'train_runtime': 30.0, 'train_loss': 1.8, 'epoch': 0.6}\n"
    )
    report = investigate(tmp_path)

    assert {f.severity for f in report.findings if f.symptom == "crash-oom"} == {"notice"}
    assert report.verdict == "healthy"


def test_a_crash_among_counted_entries_has_its_entry(tmp_path: Path) -> None:
    """Without a bar the log tells no step: the crash is placed behind the last entry, not nowhere."""
    entries = "".join(
        f"{{'loss': {2 - i / 100:.4f}, 'learning_rate': 1e-05, 'epoch': {i / 50:.2f}}}\n" for i in range(1, 31)
    )
    (tmp_path / "train.log").write_text(f"{entries}{MEMORY}\n")
    crash = next(finding for finding in investigate(tmp_path).findings if finding.symptom == "crash-oom")

    assert (crash.step, crash.axis) == (30, "entry")
