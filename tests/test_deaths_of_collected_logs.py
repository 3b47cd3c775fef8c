"""What collectors and clouds put around each line hides no death: journald, CRI, compose, Google Cloud, Ray."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from forensics.investigate import investigate
from forensics.model import Report

STEPS = [f"step {n} | loss {2.4 - n / 100:.3f}" for n in range(1, 31)]
RAISED = """Traceback (most recent call last):
  File "/w/t.py", line 3, in <module>
    main()
  File "/w/t.py", line 9, in main
    loss.backward()
torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB"""
DEATHS = {
    "crashed": (RAISED, "crash-oom"),
    "stopped-by-user": (
        'Traceback (most recent call last):\n  File "/w/t.py", line 3, in <module>\n    main()\nKeyboardInterrupt',
        "crash-exception",
    ),
    "time-limit": (
        "slurmstepd: error: *** JOB 77 ON n1 CANCELLED AT 2024-03-11T12:40:01 DUE TO TIME LIMIT ***",
        "crash-killed",
    ),
}


def _google(number: int, line: str) -> str:
    resource = {"labels": {"pod_name": "t-0", "cluster_name": "c"}, "type": "k8s_container"}
    entry = {"insertId": f"x{number}", "resource": resource, "severity": "ERROR", "textPayload": line}
    return json.dumps({**entry, "timestamp": f"2024-05-01T10:10:{number % 60:02d}.1Z"})


def _google_fields(number: int, line: str) -> str:
    told = {"message": line, "levelname": "INFO"}
    return json.dumps({"jsonPayload": told, "severity": "INFO", "timestamp": f"2024-05-01T10:10:{number % 60:02d}.1Z"})


def _kaggle(number: int, line: str) -> str:
    return ("," if number else "[") + json.dumps({"stream_name": "stderr", "time": 1.0 * number, "data": f"{line}\n"})


COLLECTORS: dict[str, Callable[[int, str], str]] = {
    "journald": lambda n, line: f"May 01 10:10:{n % 60:02d} ws python[4411]: {line}",
    "syslog": lambda n, line: f"2024-05-01T10:10:{n % 60:02d}.111111+00:00 gpu-host-3 trainer[4411]: {line}",
    "cri": lambda n, line: f"2024-05-01T10:10:{n % 60:02d}.111222333Z stderr F {line}",
    "kubectl --prefix": lambda _, line: f"[pod/llm-trainer-0/trainer] {line}",
    "stern": lambda _, line: f"llm-trainer-0 trainer {line}",
    "docker compose": lambda _, line: f"trainer-1  | {line}",
    "docker compose of old": lambda _, line: f"train_worker_1 | {line}",
    "docker's json": lambda n, line: json.dumps({"log": f"{line}\n", "stream": "stderr", "time": f"2024-05-01 {n}"}),
    "google cloud": _google,
    "google cloud, fields": _google_fields,
    "cloudwatch": lambda n, line: json.dumps({"timestamp": 1714558210000 + n, "message": line, "ingestionTime": n}),
    "kaggle": _kaggle,
    "mpirun": lambda _, line: f"[1,0]<stderr>:{line}",
    "sagemaker": lambda _, line: f"[1,mpirank:0,algo-1]<stderr>:{line}",
    "ray": lambda _, line: f"\x1b[36m(TrainWorker pid=4411, ip=10.0.0.3)\x1b[0m {line}",
    "skypilot": lambda _, line: f"(llm-run, pid=4411) {line}",
    "torchx": lambda _, line: f"llm/trainer/0 {line}",
    "gh run view": lambda n, line: f"train\tRun training\t2024-05-01T10:10:{n % 60:02d}.1112223Z {line}",
    "gitlab": lambda n, line: f"2024-05-01T10:10:{n % 60:02d}.111222Z 01O {line}",
    "determined": lambda n, line: f"[2024-05-01T10:10:{n % 60:02d}.111Z] 3f2a1c [rank=0] || {line}",
}


def judged(folder: Path, text: str) -> Report:
    (folder / "train.log").write_text(text)
    return investigate(folder)


@pytest.mark.parametrize("kind", DEATHS)
@pytest.mark.parametrize("name", COLLECTORS)
def test_a_collector_hides_no_death_and_no_metrics(tmp_path: Path, name: str, kind: str) -> None:
    text, symptom = DEATHS[kind]
    lines = (COLLECTORS[name](number, line) for number, line in enumerate([*STEPS, *text.split("\n")]))
    report = judged(tmp_path, "".join(f"{line}\n" for line in lines))

    assert len(report.run.timeline["loss"]) == len(STEPS)
    assert report.run.ending is not None
    assert report.run.ending.kind == kind
    assert symptom in {finding.symptom for finding in report.findings}


@pytest.mark.parametrize("lead", ["sample 3 | ", "prompt: ", '"text": "', "he wrote "])
def test_a_sample_that_is_a_traceback_is_none(tmp_path: Path, lead: str) -> None:
    quoted = "\n".join(
        f"{lead}{line}" if number == 0 or "sample" in lead or "prompt" in lead else line
        for number, line in enumerate(RAISED.split("\n"))
    )
    half = len(STEPS) // 2
    report = judged(tmp_path, "\n".join([*STEPS[:half], quoted, *STEPS[half:], ""]))

    assert report.findings == ()


BOX = """╭───────────────────── Traceback (most recent call last) ──────────────────────╮
│ /home/a/t.py:31 in <module>                                                  │
│                                                                              │
│   28 x = 1                                                                   │
│ ❱ 31 main()                                                                  │
│                                                                              │
│ /opt/lib/python3.11/site-packages/torch/nn/modules/linear.py:125 in forward  │
╰──────────────────────────────────────────────────────────────────────────────╯
"""


@pytest.mark.parametrize(
    ("last", "kind"),
    [("ValueError: bad label 7\n", "crashed"), ("KeyboardInterrupt\n", "stopped-by-user"), ("", "crashed")],
)
def test_a_traceback_in_a_box_of_rich_is_read_with_its_places(tmp_path: Path, last: str, kind: str) -> None:
    report = judged(tmp_path, "\n".join([*STEPS, BOX + last]))

    assert report.run.ending is not None
    assert report.run.ending.kind == kind
    assert "linear.py:125 in forward, called from /home/a/t.py:31 in <module>" in report.run.ending.quoted


def test_a_traceback_in_a_field_of_json_is_read(tmp_path: Path) -> None:
    line = json.dumps({"level": "error", "msg": "train failed", "exc_info": RAISED, "ts": 1.7})
    report = judged(tmp_path, "\n".join([*STEPS, line, ""]))

    assert [f.symptom for f in report.findings if f.severity == "error"] == ["crash-oom"]
    assert report.hypotheses[0].cause == "out-of-memory"


def test_a_row_of_data_with_a_text_is_no_line_of_a_log(tmp_path: Path) -> None:
    row = '{"id": 7, "text": "RuntimeError: CUDA out of memory", "severity": "error report"}'

    assert judged(tmp_path, "\n".join([*STEPS, row, ""])).findings == ()


@pytest.mark.parametrize(
    ("line", "symptom"),
    [
        ("The application 'python' ended, exit code 0xC0000409", "crash-signal"),
        ("Exit_status=271", "crash-killed"),
        ("Error while serializing: IoError(Os { code: 122, kind: FilesystemQuotaExceeded })", ""),
    ],
)
def test_codes_of_windows_and_pbs(tmp_path: Path, line: str, symptom: str) -> None:
    report = judged(tmp_path, "\n".join([*STEPS, line, ""]))

    assert [f.symptom for f in report.findings if f.severity == "error"] == ([symptom] if symptom else [])
    assert report.run.ending is None or report.run.ending.kind != "finished"


def test_a_cause_is_named_wherever_in_an_exception_the_words_stand(tmp_path: Path) -> None:
    last = (
        "safetensors_rust.SafetensorError: Error while serializing: "
        'IoError(Os { code: 122, kind: FilesystemQuotaExceeded, message: "Disk quota exceeded" })'
    )
    raised = f'Traceback (most recent call last):\n  File "/w/t.py", line 3, in <module>\n    main()\n{last}\n'
    report = judged(tmp_path, "\n".join([*STEPS, raised]))

    assert (report.hypotheses[0].cause, report.hypotheses[0].verdict) == ("disk-full", "established")


def test_a_scale_of_fairseq_that_falls_to_its_minimum_has_collapsed(tmp_path: Path) -> None:
    falling = "".join(f"| WARNING: overflow detected, setting loss scale to: {2.0**-n}\n" for n in range(2, 14))
    report = judged(tmp_path, "\n".join([*STEPS, falling]))
    well = judged(tmp_path, "\n".join([*STEPS, falling.splitlines()[0], *STEPS, ""]))

    assert "loss-scale-collapse" in {f.symptom for f in report.findings if f.severity == "error"}
    assert "loss-scale-collapse" not in {f.symptom for f in well.findings}


def test_a_traceback_in_the_backquotes_of_an_account_is_read(tmp_path: Path) -> None:
    (tmp_path / "issue.md").write_text(
        '# Loss becomes NaN\n\nI get:\n`Traceback (most recent call last):\n  File "main.py", line 402, in <module>\n'
        "    main(options.get_state())\nRuntimeError: loss became NaN`\n"
    )
    report = investigate(tmp_path)

    assert {f.symptom for f in report.findings if f.severity == "error"} == {"crash-exception", "loss-nan"}
    assert report.hypotheses[0].cause == "stopped-at-nan"


def test_a_probability_that_is_none_is_no_class_beyond_the_head(tmp_path: Path) -> None:
    line = (
        "/pytorch/aten/src/ATen/native/cuda/Loss.cu:111: operator(): block: [62,0,0], thread: [38,0,0] "
        "Assertion `input_val >= zero && input_val <= one` failed.\n"
    )
    report = judged(tmp_path, "\n".join([*STEPS, line]))

    assert [h.cause for h in report.hypotheses if h.holds] == ["device-assert"]


def test_a_traceback_whose_end_is_lost_among_others_is_no_root(tmp_path: Path) -> None:
    """Two ranks write line by line without a mark: of one traceback only the beginning is whole."""
    mixed = """Traceback (most recent call last):
  File "/w/train.py", line 120, in <module>
    main()
Traceback (most recent call last):
OSError: [Errno 28] No space left on device
  File "/w/train.py", line 120, in <module>
    main()
RuntimeError: [../third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer [10.0.0.4]:1234
"""
    report = judged(tmp_path, "\n".join([*STEPS, mixed]))
    cut = judged(tmp_path, "\n".join([*STEPS, 'Traceback (most recent call last):\n  File "/w/t.py", line 1, in f\n']))

    assert [f.symptom for f in report.findings if f.severity == "error"] == ["crash-disk"]
    assert [f.symptom for f in cut.findings if f.severity == "error"] == ["crash-exception"]
