"""Ends of real processes, and what schedulers, clusters and recorders tell of an end."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from forensics.investigate import investigate
from forensics.model import Report

ENDINGS = sorted((Path(__file__).parent.parent / "fixtures" / "endings").glob("*/truth.json"))
STEPS = "".join(f"step {n} | loss {2.4 - n / 100:.3f}\n" for n in range(1, 41))
VERDICTS = {"finished": "healthy", "stopped-by-user": "healthy"}


def judged(folder: Path, files: dict[str, str]) -> Report:
    for name, text in files.items():
        (folder / name).write_text(text)
    return investigate(folder)


@pytest.mark.parametrize("truth", ENDINGS, ids=lambda path: path.parent.name)
def test_the_end_of_a_real_process_is_named(truth: Path) -> None:
    told: dict[str, Any] = json.loads(truth.read_text())
    report = investigate(truth.parent / "run")
    ending = report.run.attempts[-1].ending
    loud = {finding.symptom for finding in report.findings if finding.severity == "error"}

    assert (ending.kind, ending.symptom) == (told["ending"], told["symptom"])
    assert report.verdict in {VERDICTS.get(told["ending"], "broken"), "unknown" if not loud else "broken"}
    assert loud <= {told["symptom"]}
    if told["signal"] > 2:
        assert f"signal {told['signal']}" in ending.statement or (told["signal"] == 9 and "killed" in ending.statement)


def test_a_rank_that_sleeps_is_told_by_the_dumps_of_both() -> None:
    report = investigate(Path(__file__).parent.parent / "fixtures" / "endings" / "rank-asleep" / "run")
    nccl = next(f for f in report.findings if f.symptom == "crash-nccl")

    assert "rank 0 waited in ALLREDUCE 11" in nccl.statement
    assert "rank 1 did not reach it" in nccl.statement or "rank 1 waited" in nccl.statement


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("lock-held", r"one process stood in hold \(\S+train\.py:\d+\)"),
        ("loader-locked", r"one process stood in __getitem__ \(\S+train\.py:\d+\), in the data loader"),
        ("rank-in-loader", r"rank 0 stood in all_reduce .* called from reduce .*rank 1 stood in __getitem__ "),
    ],
)
def test_a_hang_names_the_rank_and_the_place(name: str, place: str) -> None:
    report = investigate(Path(__file__).parent.parent / "fixtures" / "endings" / name / "run")
    hung = next(f for f in report.findings if f.symptom == "run-hung")
    first = report.hypotheses[0].cause if report.hypotheses else ""

    assert re.search(place, hung.statement)
    assert (first == "data-loader-failure") == ("loader" in name)


QUEUED = """Thread 0x7FA6E7C01740 (idle): "MainThread"
    wait (threading.py:302)
    get (queue.py:170)
    __next__ (app/data/iterators.py:648)
"""
IN_STEP = """Thread 0x7FA6E7C01741 (active): "MainThread"
    synchronize (torch/cuda/streams.py:90)
    recv_forward (app/parallel/p2p.py:437)
    train_step (app/training.py:1010)
"""


def test_stacks_without_the_line_of_their_process_are_read(tmp_path: Path) -> None:
    """As pytorch/pytorch issue 87995 and modelscope/ms-swift issue 6312 show them."""
    report = judged(tmp_path, {"train.log": STEPS, "rank0.txt": QUEUED, "rank1.txt": IN_STEP})
    hung = next(f for f in report.findings if f.symptom == "run-hung")

    assert hung.severity == "error"
    assert "rank 0 stood in wait" in hung.statement
    assert "called from recv_forward (app/parallel/p2p.py:437)" in hung.statement


def test_collectives_that_differ_are_the_cause(tmp_path: Path) -> None:
    real = Path(__file__).parent.parent / "fixtures" / "endings" / "collectives-differ" / "run"
    said = "RuntimeError: Received data size doesn't match expected size. Is there a distributed collective mismatch?"

    assert investigate(real).hypotheses[0].cause == "collectives-differ"
    assert judged(tmp_path, {"train.log": f"{STEPS}{said}\n"}).hypotheses[0].cause == "collectives-differ"


SACCT = """JobID|JobName|Partition|State|ExitCode|Elapsed|NodeList
{job}|train|gpu|{state}|{code}|10:00:12|node[01-02]
{job}.batch|batch||{state}|{code}|10:00:14|node01
{job}.0|python||{state}|{code}|10:00:13|node[01-02]
"""
ALIGNED = """       JobID    JobName  Partition    Account  AllocCPUS      State ExitCode
------------ ---------- ---------- ---------- ---------- ---------- --------
{job:<12} {name:>10} {part:>10} {account:>10} {cpus:>10} {state:>10} {code:>8}
{job:<9}.b+      batch            {account:>10} {cpus:>10} {state:>10} {code:>8}
{job:<9}.e+     extern            {account:>10} {cpus:>10}  COMPLETED      0:0
"""
"""As BSC-ES/autosubmit issue 382 shows it: columns cut at their width, a plus sign for what is lost."""
EFFICIENCY = """######################## JOB EFFICIENCY REPORT ########################
# Job ID:          {job}
# State:           {state} (exit code {code})
# Cores:           8
"""
"""As troycomi/reportseff issue 41 shows it."""
STATES = [
    ("TIMEOUT", "0:0", "time-limit", "suspicious"),
    ("PREEMPTED", "0:15", "preempted", "suspicious"),
    ("NODE_FAIL", "1:0", "node-lost", "broken"),
    ("OUT_OF_MEMORY", "0:125", "killed", "broken"),
    ("CANCELLED by 1000", "0:15", "stopped-by-user", "healthy"),
    ("FAILED", "139:0", "crashed", "broken"),
    ("FAILED", "0:9", "killed", "broken"),
    ("COMPLETED", "0:0", "finished", "healthy"),
]


@pytest.mark.parametrize("said", STATES)
@pytest.mark.parametrize("form", ["sacct", "aligned", "json", "scontrol", "seff", "efficiency"])
def test_slurm_says_how_the_last_job_ended(tmp_path: Path, said: tuple[str, str, str, str], form: str) -> None:
    state, code, kind, verdict = said
    word = state.split()[0]
    number, signal = (int(part) for part in code.split(":"))
    job = {
        "job_id": 77,
        "state": {"current": [state.split(maxsplit=1)[0]], "reason": "None"},
        "exit_code": {"return_code": {"number": number}, "signal": {"id": {"number": signal}}},
    }
    cut = state if len(state) <= 10 else f"{state[:9]}+"
    names = {"name": "train_long"[:9] + "+", "part": "gpu", "account": "acc1", "cpus": 8}
    if form in {"seff", "efficiency"} and state == "FAILED":
        code = "139" if number else "137"
        kind = "crashed" if number else "killed"
    told = {
        "sacct": SACCT.format(job=76, state="FAILED", code="1:0") + SACCT.format(job=77, state=state, code=code),
        "aligned": ALIGNED.format(job=77, state=cut, code=code, **names),
        "efficiency": EFFICIENCY.format(job=77, state=word, code=code.partition(":")[0]),
        "json": json.dumps({"meta": {"slurm": {}}, "jobs": [job]}),
        "scontrol": f"JobId=77 JobName=t\n   UserId=u(1)\n   JobState={word} Reason=None\n   ExitCode={code}\n",
        "seff": f"Job ID: 77\nCluster: c\nUser/Group: u/g\nState: {word} (exit code {code.partition(':')[0]})\n",
    }[form]
    report = judged(tmp_path, {"train.log": STEPS, "accounting": told})

    assert (report.run.attempts[-1].ending.kind, report.verdict) == (kind, verdict)


@pytest.mark.parametrize("state", ["RUNNING", "PENDING", "REQUEUED"])
def test_a_job_that_has_not_ended_is_no_death(tmp_path: Path, state: str) -> None:
    told = SACCT.format(job=76, state="FAILED", code="1:0") + SACCT.format(job=77, state=state, code="0:0")
    report = judged(tmp_path, {"train.log": STEPS, "accounting": told})

    assert (report.run.attempts[-1].ending.kind, report.verdict) == ("unknown", "healthy")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ({"containerStatuses": [{"state": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}]}, "killed"),
        ({"containerStatuses": [{"lastState": {"terminated": {"reason": "Error", "exitCode": 139}}}]}, "crashed"),
        ({"reason": "Evicted", "message": "The node was low on resource: memory."}, "evicted"),
        ({"reason": "NodeLost", "message": "Node n1 which was running pod p is unresponsive"}, "node-lost"),
        ({"containerStatuses": [{"state": {"terminated": {"reason": "Completed", "exitCode": 0}}}]}, "finished"),
    ],
)
def test_a_pod_says_how_it_ended(tmp_path: Path, status: dict[str, Any], kind: str) -> None:
    report = judged(tmp_path, {"train.log": STEPS, "pod.json": json.dumps({"kind": "Pod", "status": status})})

    assert report.run.attempts[-1].ending.kind == kind


def test_a_described_pod_says_how_it_ended(tmp_path: Path) -> None:
    told = (
        "Name:         train-0\nNamespace:    ml\nContainers:\n  trainer:\n    State:          Terminated\n"
        "      Reason:       OOMKilled\n      Exit Code:    137\n    Ready:          False\n"
    )
    report = judged(tmp_path, {"train.log": STEPS, "pod": told})

    assert (report.run.attempts[-1].ending.kind, report.run.attempts[-1].ending.name) == ("killed", "oom-kill-record")


def test_the_error_file_of_torch_elastic_names_the_exception(tmp_path: Path) -> None:
    stack = "Traceback (most recent call last):\n  File \"/app/train.py\", line 9, in main\nKeyError: 'input_ids'\n"
    told = {"message": {"message": "KeyError: 'input_ids'", "extraInfo": {"py_callstack": stack, "timestamp": "17"}}}
    report = judged(tmp_path, {"train.log": STEPS, "error.json": json.dumps(told)})

    assert "KeyError: 'input_ids' (/app/train.py:9 in main)" in report.findings[0].statement


SPY = (
    'Process {pid}: python train.py\nPython v3.11.7 (/usr/bin/python3.11)\n\nThread {pid} (idle): "MainThread"\n'
    "    {frame}\n    step (/app/train.py:40)\n    <module> (/app/train.py:90)\n"
)


def test_ranks_are_grouped_by_where_they_stood(tmp_path: Path) -> None:
    files = {f"rank{n}.txt": SPY.format(pid=n, frame="all_reduce (torch/distributed/c10d.py:9)") for n in range(3)}
    files["rank3.txt"] = SPY.format(pid=3, frame="read (/app/data.py:7)")
    report = judged(tmp_path, {"train.log": STEPS, **files})
    found = next(f for f in report.findings if f.symptom == "run-hung")

    assert "rank 3 stood in read (/app/data.py:7)" in found.statement
    assert "ranks 0, 1, 2 stood in all_reduce" in found.statement


def dumped(entries: list[dict[str, Any]]) -> str:
    return json.dumps({"version": "2.10", "entries": entries})


def entry(number: int, state: str, name: str = "nccl:all_reduce", size: int = 4) -> dict[str, Any]:
    return {
        "collective_seq_id": number,
        "process_group": ["0", "default_pg"],
        "profiling_name": name,
        "state": state,
        "is_p2p": False,
        "input_sizes": [[size]],
        "frames": [{"name": "step", "filename": "/app/train.py", "line": 40}],
    }


def test_a_rank_that_did_not_come_is_named(tmp_path: Path) -> None:
    files = {f"nccl_trace_rank_{n}": dumped([entry(7, "completed"), entry(8, "started")]) for n in range(2)}
    files["nccl_trace_rank_2"] = dumped([entry(6, "completed"), entry(7, "completed")])
    report = judged(tmp_path, {"train.log": STEPS, **files})
    found = next(f for f in report.findings if f.symptom == "run-hung")

    assert found.severity == "error"
    assert "ranks 0, 1 waited in ALLREDUCE 8 called at /app/train.py:40 in step" in found.statement
    assert "rank 2 did not reach it (last completed: 7)" in found.statement


def test_collectives_that_differ_are_told(tmp_path: Path) -> None:
    files = {
        "nccl_trace_rank_0": dumped([entry(8, "started")]),
        "nccl_trace_rank_1": dumped([entry(8, "started", "nccl:all_gather", 16)]),
    }
    report = judged(tmp_path, {"train.log": STEPS, **files})

    assert "collective 8 is not the same on all ranks" in next(
        f.statement for f in report.findings if f.symptom == "run-hung"
    )
