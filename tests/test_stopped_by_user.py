"""A run that a person ended: told first, by its own ending and cause; how to stop one is no stop."""

from pathlib import Path

import pytest

from forensics.investigate import investigate
from forensics.model import Report

STEPS = "".join(f"step {n} | loss {2.4 - n / 100:.3f}\n" for n in range(1, 41))
CALLBACK = """Traceback (most recent call last):
  File "/home/a/ppo.py", line 281, in <module>
    out = train_jit(rng)
jaxlib.xla_extension.XlaRuntimeError: INTERNAL: CustomCall failed: CpuCallback error: Traceback (most recent call last):
  File "/home/a/ppo.py", line 281, in <module>
  File "/opt/lib/python3.11/site-packages/jax/_src/interpreters/mlir.py", line 2776, in _wrapped_callback
KeyboardInterrupt:
--------------------
For simplicity, JAX has removed its internal frames from the traceback of the following exception.
"""
ELASTIC = """WARNING:torch.distributed.elastic.agent.server.api:Received 2 death signal, shutting down workers
Traceback (most recent call last):
  File "/opt/bin/torchrun", line 8, in <module>
    sys.exit(main())
  File "/opt/lib/python3.11/site-packages/torch/distributed/elastic/multiprocessing/api.py", line 84, in _handler
    raise SignalException(f"Process {os.getpid()} got signal: {sigval}", sigval=sigval)
torch.distributed.elastic.multiprocessing.api.SignalException: Process 4242 got signal: 2
"""
STOPPED = {
    "a callback of jax": CALLBACK,
    "the agent of elastic": ELASTIC,
    "the agent of elastic, one line of it": ELASTIC.splitlines(keepends=True)[0],
    "deepspeed": "[2025-02-20 20:27:14,902] [launch.py:8:sigkill_handler] Main process received SIGINT, exiting\n",
    "scancel": "slurmstepd: error: *** JOB 2580 ON n1 CANCELLED AT 2024-07-09T20:50:31 ***\n",
    "lightning": "call.py:54: UserWarning: Detected KeyboardInterrupt, attempting graceful shutdown...\n",
    "the terminal": "^C\n",
    "the terminal, and a shell": "^C^C\n$ \n",
    "a script of bash": "./train.sh: line 14: 30121 Interrupt               python train.py --config c.yaml\n",
    "make": "make: *** [Makefile:14: train] Interrupt\n",
    "windows": "forrtl: error (200): program aborting due to control-C event\n",
    "a loop of one's own": "[!] Caught KeyboardInterrupt, saving the model and exiting\n",
    "another one": "Ctrl-C pressed, stopping after this step\n",
    "a third one": "Training interrupted by user. Saving checkpoint...\n",
    "julia": "ERROR: LoadError: InterruptException:\nStacktrace:\n  [1] train!(m::Chain)\n    @ Main ./train.jl:40\n",
    "a tuner": "WARNING tune.py:186 -- Stop signal received (e.g. via SIGINT/Ctrl+C), ending Ray Tune run.\n",
    "a cloud": "Status message: Job was intentionally stopped.\n",
}


def judged(folder: Path, text: str) -> Report:
    (folder / "train.log").write_text(text)
    return investigate(folder)


@pytest.mark.parametrize("text", STOPPED.values(), ids=STOPPED)
def test_a_run_that_its_user_ended_is_told_as_that(tmp_path: Path, text: str) -> None:
    report = judged(tmp_path, STEPS + text)

    assert report.run.ending is not None
    assert (report.run.ending.kind, report.verdict) == ("stopped-by-user", "healthy")
    assert report.headline.startswith("Stopped by its user after step 40. Nothing is wrong: the loss went from 2.39")
    assert (report.hypotheses[0].cause, report.hypotheses[0].verdict) == ("stopped-by-user", "established")


@pytest.mark.parametrize("name", ["a callback of jax", "the agent of elastic", "deepspeed", "scancel", "lightning"])
def test_so_is_one_that_was_ended_before_its_first_step(tmp_path: Path, name: str) -> None:
    report = judged(tmp_path, f"Loading the data\n{STOPPED[name]}")

    assert report.run.ending is not None
    assert (report.run.ending.kind, report.verdict) == ("stopped-by-user", "unknown")
    assert report.headline.startswith("Stopped by its user. Nothing was found wrong, but ")
    assert report.hypotheses[0].cause == "stopped-by-user"


@pytest.mark.parametrize(
    "line",
    [
        "Press Ctrl+C to stop training early",
        "TensorBoard 2.15 at http://localhost:6006/ (Press CTRL+C to quit)",
        "[INFO] installed handlers for SIGINT and SIGTERM",
        "registering SIGINT: a checkpoint is saved on it",
        "generated: the job was cancelled by user jdoe at 10:10",
        "sample 4 | prompt: why? | answer: ^C was pressed",
        "tokens: ['^C', 'abc']",
        "regex: ^C[a-z]+$ matched 12 lines",
        "The model was interrupted by users in 3 of 200 dialogues",
        "User: I pressed Ctrl-C and it was gone",
        "Spot instance, interruption rate 5%",
    ],
)
def test_words_of_how_a_run_could_be_stopped_are_no_stop(tmp_path: Path, line: str) -> None:
    report = judged(tmp_path, f"{STEPS}{line}\n")

    assert report.findings == ()
    assert report.run.ending is None or report.run.ending.kind == "unknown"


def test_a_session_that_was_closed_is_an_end_with_a_cause(tmp_path: Path) -> None:
    """SIGHUP ends what should have gone on: an error by docs/endings.md, and somebody's doing all the same."""
    report = judged(tmp_path, f"{STEPS}./train.sh: line 14: 30121 Hangup                  python train.py\n")
    top = report.hypotheses[0]

    assert report.run.ending is not None
    assert (report.run.ending.kind, report.verdict) == ("killed", "broken")
    assert (top.cause, top.verdict, top.benign) == ("stopped-by-user", "likely", False)
    assert any("closed (signal 1, SIGHUP)" in evidence.statement for evidence in top.evidence)
    assert any("outlives its session" in fix.action for fix in top.fixes)


def test_a_fault_before_its_user_stopped_it_is_told_with_that(tmp_path: Path) -> None:
    text = STEPS + "".join(f"step {n} | loss nan\n" for n in range(41, 61))
    report = judged(tmp_path, f"{text}{STOPPED['deepspeed']}")

    assert report.verdict == "broken"
    assert report.headline.startswith("Stopped by its user after step 60. The loss is NaN")


def test_a_row_that_was_skipped_refuses_no_checkpoint(tmp_path: Path) -> None:
    report = judged(tmp_path, f"{STEPS}Skipping sample 4411: zipfile.BadZipFile: File is not a zip file\n")

    assert [finding for finding in report.findings if finding.severity != "notice"] == []
