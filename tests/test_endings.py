"""Every way a process ends is read back from a line: signatures, signals by number and word, order, quotes."""

import ast
import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import forensics
from forensics import catalog
from forensics.analysis.endings import groups
from forensics.errors import NothingReadableError
from forensics.investigate import investigate
from forensics.model import Report, Timeline
from forensics.plugin import Rule
from forensics.report import endings as page
from forensics.report.json import tree
from forensics.signatures import SIGNALS, SIGNATURES, Role

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PACKAGE = Path(forensics.__file__).parent
STEPS = "".join(f"step {n} | loss {2.4 - n / 100:.3f}\n" for n in range(1, 41))
TABLE = (Path(__file__).parent / "data" / "deaths.tsv").read_text().splitlines()
ROWS = [line.split("\t") for line in TABLE]
LINES: list[tuple[str, str]] = [(row[0], row[1]) for row in ROWS]
FIRST: list[tuple[str, str]] = list(dict(reversed(LINES)).items())[::-1]
"""For each signature lines that say so, in the words of several programs; and the first line of each."""
LEVELS = {"fatal-line", "error-line"}
CODES = [
    ("bash: line 1: 4242 Segmentation fault      (core dumped) python train.py", 11),
    ("zsh: segmentation fault  python train.py", 11),
    ("run.sh: line 7:  4242 Bus error               (core dumped) python train.py", 7),
    ("Illegal instruction (core dumped)", 4),
    ("./launch.sh: line 9: 3312 Quit                    (core dumped) python train.py", 3),
    ("make: *** [Makefile:12: train] Error 139", 11),
    ("Floating point exception (core dumped)", 8),
    ("Fatal Python error: Segmentation fault", 11),
    ("Fatal Python error: Aborted", 6),
    ("srun: error: node01: task 0: Segmentation fault (core dumped)", 11),
    ("srun: error: node01: tasks 0-7: Bus error", 7),
    ("srun: error: node01: task 3: Exited with exit code 139", 11),
    ("[launch.py:321:sigkill_handler] ['/usr/bin/python', 'train.py'] exits with return code = -11", 11),
    ("  exitcode  : -4 (pid: 4714)", 4),
    ("torch.multiprocessing.spawn.ProcessExitedException: process 0 terminated with signal SIGSEGV", 11),
    ("subprocess.CalledProcessError: Command '['python', 'train.py']' died with <Signals.SIGSEGV: 11>.", 11),
    ("Process finished with exit code 139 (interrupted by signal 11: SIGSEGV)", 11),
    ("mpirun noticed that process rank 3 with PID 0 on node n1 exited on signal 11 (Segmentation fault).", 11),
    ("=   KILLED BY SIGNAL: 7 (Bus error)", 7),
    ("Command terminated by signal 11", 11),
    ("train.service: Main process exited, code=dumped, status=11/SEGV", 11),
    ("[node01:1234:0:1234] Caught signal 11 (Segmentation fault: address not mapped to object at address 0x8)", 11),
    ("trainer-0 exited with code 139", 11),
    ("*** SIGABRT received by PID 3173 (TID 3173) on cpu 47 from PID 3173; stack trace: ***", 6),
    ("*** SIGSEGV (@0x8), see go/stacktraces#s15 received by PID 4411 (TID 4512) on cpu 3; stack trace: ***", 11),
    ("exit_status  137                  (Killed)", 9),
    ("      Exit Code:    137", 9),
    ("bash: line 1:  4242 Killed                  python train.py", 9),
    ("zsh: killed     python train.py", 9),
    ("slurm_script: line 12:  99 Killed  torchrun train.py", 9),
    ("Killed", 9),
    ("./run.sh: Zeile 3:  4242 Speicherzugriffsfehler  (Speicherabzug geschrieben) python train.py", 11),
    ("./run.sh: ligne 3 :  4242 Erreur de segmentation  (core dumped) python train.py", 11),
    ("./run.sh: 行 3:  4242 段错误               (核心已转储) python train.py", 11),
    ("./run.sh: 行 3:  4242 已杀死               python train.py", 9),
    ("Training ━━━━━━━╸━━━ 61% 0:01:10 4.31 it/s loss: 1.912 Killed", 9),
    ("Exited with exit code 137.", 9),
    ("Process returned exit code -1073741819", None),
    ("Process finished with exit code -1073741819 (0xC0000005)", 11),
]


def judged(folder: Path, text: str) -> Report:
    (folder / "train.log").write_text(text)
    return investigate(folder)


def loud(report: Report) -> list[str]:
    return [finding.symptom for finding in report.findings if finding.severity != "notice"]


def test_every_signature_has_an_example() -> None:
    """One is told by many lines together (tests/test_standstill.py)."""
    assert sorted({name for name, _ in LINES} | {"standstill"}) == sorted(signature.name for signature in SIGNATURES)


def test_a_public_thread_is_cited_as_one() -> None:
    """The third column names a thread (`#`) or a file (`:`) in which the words stand, with other numbers and names."""
    cited = [row[2] for row in ROWS if len(row) > 2]

    assert len(cited) >= 150
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+(?:#\d+|:[\w./+-]+)", thread) for thread in cited)
    assert all(len(row) in {2, 3} for row in ROWS)


def expected(symptom: str, line: str) -> str:
    """Return the symptom behind metrics: what a running program misses is no failed start."""
    raised = re.search(r"\w(?:Error|NotFound)\b", line) and symptom == "crash-launcher"
    return "crash-exception" if raised else symptom


@pytest.mark.parametrize(("name", "line"), LINES)
def test_a_line_is_read_as_what_it_says(tmp_path: Path, name: str, line: str) -> None:
    """Alone and behind forty healthy steps it is an event of its kind; what ends a run is told under its symptom."""
    signature = next(s for s in SIGNATURES if s.name == name)
    # What a text says in general terms, with the word ERROR or FATAL, counts behind metrics only.
    texts = [f"{STEPS}{line}\n", *([] if name in LEVELS else [f"{line}\n"])]
    tried = [judged(tmp_path, text) for text in texts]
    behind = tried[0]

    assert all(report.run.has(f"event {name}") for report in tried)
    if signature.role != Role.SIGN:
        assert {r.run.ending.name if r.run.ending else "" for r in tried} == {name}
        assert expected(signature.symptom, line) in {f.symptom for f in behind.findings}
        assert [behind.run.attempts[-1].ending.step] == [40]


@pytest.mark.parametrize(("name", "line"), FIRST)
@pytest.mark.parametrize(
    "quote", ["[sample 3] prompt: {}", '{{"response": "{}"}}', 'step 20 answer: my script says "{}"']
)
def test_a_quote_is_no_death(tmp_path: Path, name: str, line: str, quote: str) -> None:
    half = STEPS.splitlines(keepends=True)
    text = "".join(half[:20]) + quote.format(line.replace('"', "'")) + "\n" + "".join(half[20:])

    assert [f.symptom for f in judged(tmp_path, text).findings] == [], name


@pytest.mark.parametrize(("name", "line"), FIRST)
def test_what_a_run_survives_is_no_more_than_a_notice(tmp_path: Path, name: str, line: str) -> None:
    half = STEPS.splitlines(keepends=True)
    report = judged(tmp_path, "".join(half[:20]) + line + "\n" + "".join(half[20:]))

    assert loud(report) == [], name
    assert report.run.ending is None or report.run.ending.kind in {"unknown", "cut-off", "finished"}


@pytest.mark.parametrize(("line", "number"), CODES)
def test_signals_are_known_by_number_and_word(tmp_path: Path, line: str, number: int | None) -> None:
    report = judged(tmp_path, f"{STEPS}{line}\n")
    ending = report.run.ending

    if number is None:
        assert ending is None or ending.kind in {"unknown", "crashed"}
        return
    assert ending is not None
    assert (ending.kind, ending.symptom) == (SIGNALS[number].ending, SIGNALS[number].symptom)
    assert f"signal {number}" in ending.statement


def test_a_failed_launch_is_an_attempt_and_the_last_one_decides(tmp_path: Path) -> None:
    failed = 'Traceback (most recent call last):\n  File "train.py", line 3, in <module>\nValueError: 4 devices\n'
    report = judged(tmp_path, failed + STEPS + "Training completed.\n")
    told: list[dict[str, Any]] = tree(report)["run"]["attempts"]

    assert [(a["first"], a["last"], a["ending"]["kind"]) for a in told] == [
        (None, None, "crashed"),
        (1, 40, "finished"),
    ]
    assert report.verdict == "healthy"


@pytest.mark.parametrize(
    "end", ["Training completed.", "Training complete in 15m 10s", "Training completed. Total time: 2:11:08"]
)
def test_after_the_end_of_training_a_crash_is_a_warning(tmp_path: Path, end: str) -> None:
    report = judged(tmp_path, f"{STEPS}{end}\nbash: line 1: 9 Segmentation fault  (core dumped) python a.py\n")

    assert report.verdict == "suspicious"
    assert report.run.attempts[-1].ending.after_finish
    assert "training finished, then" in report.headline.lower()


def test_a_signal_that_paddle_words_as_an_exception_is_one(tmp_path: Path) -> None:
    told = "FatalError: `Segmentation fault` is detected by the operating system."
    text = f"{told}\n  [SignalInfo: *** SIGSEGV (@0x0) ***]\n"
    ending = judged(tmp_path, f"{STEPS}{text}").run.attempts[-1].ending

    assert (ending.kind, ending.symptom) == ("crashed", "crash-signal")


@pytest.mark.parametrize(("said", "kind"), [("SystemExit: 3", "crashed"), ("SystemExit: 0", ""), ("SystemExit", "")])
def test_the_code_of_an_exit_tells_whether_it_was_calm(tmp_path: Path, said: str, kind: str) -> None:
    text = f'Traceback (most recent call last):\n  File "a.py", line 3, in <module>\n{said}\n'
    ending = judged(tmp_path, f"{STEPS}{text}").run.attempts[-1].ending

    assert ("" if ending.kind == "unknown" else ending.kind) == kind


@pytest.mark.parametrize(
    "line",
    [
        '[sample 3] prompt: "ERROR: the optimizer state is missing"',
        "WARNING: retrying after: ERROR: reading the checkpoint failed",
    ],
)
def test_what_is_quoted_or_tried_again_is_no_complaint(tmp_path: Path, line: str) -> None:
    half = STEPS.splitlines(keepends=True)

    assert judged(tmp_path, "".join([*half[:20], line + "\n", *half[20:]])).verdict == "healthy"


IGNORED = (
    "Exception ignored in: <function Pool.__del__ at 0x7f>",
    "--- Logging error ---",
    "Exception in thread Thread-3:",
    "Error in atexit._run_exitfuncs:",
)


@pytest.mark.parametrize("above", IGNORED)
def test_an_exception_that_python_ignored_ends_nothing(tmp_path: Path, above: str) -> None:
    text = f'{above}\nTraceback (most recent call last):\n  File "a.py", line 3, in f\nAttributeError: no x\n'

    assert judged(tmp_path, f"{STEPS}Training completed.\n{text}").verdict == "healthy"


def test_the_terminals_own_sign_of_ctrl_c_may_stand_before_a_traceback(tmp_path: Path) -> None:
    text = '^CTraceback (most recent call last):\n  File "a.py", line 3, in <module>\nKeyboardInterrupt\n'

    assert judged(tmp_path, STEPS + text).run.attempts[-1].ending.kind == "stopped-by-user"


INTERRUPTED = 'Traceback (most recent call last):\n  File "a.py", line 3, in <module>\nKeyboardInterrupt\n'


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("ValueError: expected sequence of length 12 at dim 1 (got 14)", "crashed"),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.20 GiB.", "crashed"),
        ("_queue.Empty", "stopped-by-user"),
        ("RuntimeError: DataLoader worker (pid 7) exited unexpectedly", "stopped-by-user"),
        ("torch.distributed.DistBackendError: Connection closed by peer", "stopped-by-user"),
    ],
)
def test_what_died_before_the_user_stopped_the_rest_is_the_root(tmp_path: Path, said: str, kind: str) -> None:
    """An interrupt makes partners and handlers fail; it makes no wrong shape and fills no memory."""
    died = f'Traceback (most recent call last):\n  File "a.py", line 3, in <module>\n{said}\n'

    assert judged(tmp_path, STEPS + died + INTERRUPTED).run.attempts[-1].ending.kind == kind
    assert judged(tmp_path, STEPS + INTERRUPTED + died).run.attempts[-1].ending.kind == "stopped-by-user"


def test_a_hang_that_somebody_ended_by_hand_is_a_hang(tmp_path: Path) -> None:
    watchdog = (
        "[rank0]:[E1204 09:41:10.408 ProcessGroupNCCL.cpp:616] [Rank 0] Watchdog caught collective operation timeout: "
        "WorkNCCL(SeqNum=118, OpType=ALLREDUCE, Timeout(ms)=600000) ran for 600020 milliseconds before timing out.\n"
    )

    assert judged(tmp_path, STEPS + watchdog + INTERRUPTED).run.attempts[-1].ending.kind == "hung"


def test_the_frame_of_ones_own_code_is_named(tmp_path: Path) -> None:
    text = (
        'Traceback (most recent call last):\n  File "/app/train.py", line 9, in <module>\n    main()\n'
        '  File "/opt/lib/python3.11/site-packages/torch/x.py", line 2, in f\n    g()\n'
        "acme.OddFault: never seen before\n"
    )
    report = judged(tmp_path, STEPS + text)

    assert "called from /app/train.py:9 in <module>" in report.findings[0].statement


CALLED = 'Traceback (most recent call last):\n  File "fit.py", line 7, in <module>\n    fit()\n'
WRAPPED = {
    "quoted": (
        "sagemaker.exceptions.UnexpectedStatusException: Error for Training job a: Failed. Reason: AlgorithmError:\n"
        'ExitCode 1\nErrorMessage "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB."\n'
    ),
    "below an empty line": (
        f"{CALLED}acme.errors.ResourceExhaustedError: Graph execution error:\n\nDetected at node a/b\n"
        "OOM when allocating tensor with shape[64,256] on /job:localhost/device:GPU:0\n"
    ),
    "of another process": (
        f"{CALLED}ray.exceptions.RayTaskError(OSError): ray::Loader.take() (pid=81, ip=10.0.0.1)\n"
        '  File "/w/loader.py", line 3, in take\n    f.read()\nOSError: [Errno 121] Remote I/O error\n'
    ),
    "of another writer": (
        f"{CALLED}KeyError: 'labels'\nslurmstepd: error: *** STEP 1.0 ON n1 CANCELLED AT 2026-04-12T11:20:41 ***\n"
    ),
}


@pytest.mark.parametrize(
    ("text", "name"),
    [*zip(WRAPPED.values(), ("out-of-memory", "out-of-memory", "file-system-fault", "traceback"), strict=True)],
    ids=WRAPPED,
)
def test_the_reason_may_stand_below_the_name_of_an_exception(tmp_path: Path, text: str, name: str) -> None:
    ending = judged(tmp_path, STEPS + text).run.ending

    assert ending is not None
    assert ending.name == name


def test_the_page_tells_every_ending_and_signature() -> None:
    text = page.render(catalog.rules())

    assert all(f"| {signature.name} | {signature.symptom} |" in text for signature in SIGNATURES)
    assert {*(s.ending for s in SIGNATURES), *(s.ending for s in SIGNALS.values())} - {""} <= {
        kind for kind, _, _ in page.KINDS
    }


ASKED = re.compile(
    r"[\w./*-]*\w\.(?:json|jsonl|log|txt|gz|yaml|yml|toml|csv|pt|bin|safetensors|pkl|out|err)\b|flight record\w*"
)
KNOWN_FILES = re.compile(
    r"flight record|^(?:requirements|pip_freeze|environment)|\.py$|config\.json$|adapter_model|model\.|optimizer\."
    r"|trainer_state|_states\.pt$|tokenizer|generation_config|training_args|index\.json"
)


@pytest.mark.parametrize("rule", catalog.rules(), ids=lambda rule: rule.code)
def test_advice_names_no_file_that_no_reader_opens(rule: Rule) -> None:
    """What a fix or an experiment asks for can be read here, or is a checkpoint."""
    asked = {word for line in rule.doc.splitlines() for word in ASKED.findall(line)}
    strange = {
        word
        for word in asked
        if not any(reader.takes(word) for reader in catalog.readers()) and not KNOWN_FILES.search(word)
    }

    assert strange == set()


def asked_of() -> Iterator[tuple[str, str]]:
    """Yield (file, sentence) of what rules and next steps advise: fixes and experiments of all rows and functions."""
    for path in sorted((PACKAGE / "rules").rglob("*.toml")):
        table = tomllib.loads(path.read_text())
        for advice in (*table.get("fix", []), *table.get("experiment", [])):
            for key in ("action", "expect"):
                yield path.name, str(advice.get(key, ""))
    for path in [*sorted((PACKAGE / "rules").rglob("*.py")), PACKAGE / "diagnosis" / "next_steps.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"Experiment", "Fix"}:
                for part in ast.walk(node):
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        yield path.name, part.value


def test_no_fix_or_experiment_asks_for_a_file_that_no_reader_opens() -> None:
    advice = [*asked_of()]
    strange = {
        (name, word)
        for name, sentence in advice
        for word in ASKED.findall(sentence)
        if not any(reader.takes(word) for reader in catalog.readers()) and not KNOWN_FILES.search(word)
    }

    assert len(advice) > 400
    assert strange == set()


SHAPES = {
    "entries": "{{'loss': {loss:.4f}, 'grad_norm': 1.1, 'learning_rate': 2e-05, 'epoch': {part:.2f}}}\n",
    "steps": "step {step}/5000 | train loss {loss:.4f} | lr 3.00e-04 | 812 ms\n",
    "stamped": "2026-05-02 14:{minute:02d}:07 | INFO | train | epoch: 1 step: {step} loss: {loss:.5f} lr: 0.00025\n",
    "megatron": (
        " [2026-03-01 10:{minute:02d}:12] iteration {step:8d}/  100000 | elapsed time per iteration (ms): 1203.4 |"
        " lm loss: {loss:.6E} | grad norm: 2.100 | number of skipped iterations:   0 |\n"
    ),
}
TAILS = [
    (part.partition(" | ")[0], part.partition("\n")[2])
    for part in (Path(__file__).parent / "data" / "healthy_tails.txt").read_text().split("\n### ")[1:]
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("name", "text"), TAILS)
def test_words_of_errors_that_end_nothing_are_no_alarm(tmp_path: Path, name: str, text: str, shape: str) -> None:
    entries = [SHAPES[shape].format(step=5 * n, loss=4.5 - n / 30, part=n / 60, minute=n % 60) for n in range(1, 61)]
    if text.startswith("@FIRST\n"):
        log = text.removeprefix("@FIRST\n") + "".join(entries)
    else:
        cut = 40 if "@MORE" in text else 60
        log = "".join(entries[:cut]) + text.replace("@MORE", "") + "".join(entries[cut:])
    report = judged(tmp_path, log)

    # What a program says of its own gradients forbids to call it healthy (`_events.complaints`), and is no alarm.
    assert (loud(report), report.verdict) == ([], "unknown" if name == "grad-skip-nan" else "healthy"), name


def test_what_a_tracker_has_on_record_tells_of_an_end_that_the_log_does_not(tmp_path: Path) -> None:
    run = tmp_path / "mlruns" / "0" / ("a" * 32)
    (run / "metrics").mkdir(parents=True)
    (run / "metrics" / "loss").write_text("".join(f"{n} {2.4 - n / 100} {n}\n" for n in range(1, 41)))
    for status, kind, verdict in ((3, "unknown", "healthy"), (4, "crashed", "broken"), (5, "killed", "broken")):
        (run / "meta.yaml").write_text(f"run_id: {'a' * 32}\nstatus: {status}\nend_time: null\n")
        report = investigate(tmp_path)
        ending = report.run.ending

        assert ending is not None
        assert (ending.kind, report.verdict) == (kind, verdict)

    (tmp_path / "train.log").write_text(f"{STEPS}MemoryError\n")
    told = investigate(tmp_path).run.ending
    assert told is not None
    assert told.name == "host-memory"


def test_an_out_of_memory_message_says_what_the_numbers_mean(tmp_path: Path) -> None:
    text = (
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.32 GiB. GPU 3 has a total capacity of"
        " 79.15 GiB of which 1.21 GiB is free. Including non-PyTorch memory, this process has 77.93 GiB memory in use."
        " Of the allocated memory 70.12 GiB is allocated by PyTorch, and 5.01 GiB is reserved by PyTorch but"
        " unallocated.\n"
    )

    told = [finding.statement for finding in judged(tmp_path, STEPS + text).findings if finding.symptom == "crash-oom"]

    assert [statement for statement in told if "5.01 GiB lay idle in pieces" in statement]


def test_a_log_that_ends_in_an_error_of_unknown_words_is_no_healthy_run(tmp_path: Path) -> None:
    report = judged(tmp_path, f"{STEPS}slurmstepd: error: Prolog hung on node n7\n")

    assert (report.verdict, loud(report)) == ("suspicious", ["run-cut-off"])
    assert "\u201cslurmstepd: error: Prolog hung on node n7\u201d" in report.headline
    assert report.run.ending is not None
    assert report.run.ending.kind == "unknown"


@pytest.mark.parametrize(
    ("count", "fine", "verdict"), [(30, 0, "suspicious"), (900, 0, "suspicious"), (900, 80, "healthy")]
)
def test_a_run_that_only_fails_any_more_is_no_healthy_one(tmp_path: Path, count: int, fine: int, verdict: str) -> None:
    """However long it tries; what other work it does behind its errors shows that it got over them."""
    failing = "".join(f"ERROR: shard {n % 7} of the stream is not answering\n" for n in range(count))
    going_on = "".join(f"writing sample {n}\n" for n in range(fine))

    assert judged(tmp_path, STEPS + failing + going_on).verdict == verdict


def test_an_error_that_speaks_of_a_checkpoint_is_an_end(tmp_path: Path) -> None:
    """It is a complaint of the program as well, which says of no end what it was."""
    line = "[ERROR] checkpoint write failed: no space left on device"
    ended = judged(tmp_path, f"{STEPS}{line}\n").run.ending
    assert ended is not None
    assert (ended.kind, ended.name) == ("crashed", "disk-full")


def test_a_structured_error_is_read_by_its_message(tmp_path: Path) -> None:
    line = '{"level": "error", "ts": 1777733521.2, "msg": "checkpoint write failed: no space left on device"}'
    ended = judged(tmp_path, f"{STEPS}{line}\n").run.ending
    assert ended is not None
    assert (ended.kind, ended.name) == ("crashed", "disk-full")

    for calm in (line.replace("error", "info"), '{"level": "error", "loss": 2.1, "msg": "no space left on device"}'):
        assert judged(tmp_path, f"{STEPS}{calm}\n").verdict == "healthy"


PLANS = {
    "a counter": (
        [f" iteration {n:8d}/    2000 | lm loss: {5 - n / 50:.4E} |" for n in range(10, 130, 10)],
        "120 of 2,000",
    ),
    "a heading": ([f"Epoch {n}/30\n250/250 - 12s - loss: {5 - n / 9:.4f}" for n in range(1, 13)], "epoch 12 of 30"),
    "an epoch in brackets": (
        [f"Epoch [{n // 6 + 1}/4], Step [{n % 6 * 100 + 100}/600], Loss: {3 - n / 20:.4f}" for n in range(14)],
        "epoch 3 of 4",
    ),
    "a bar": (
        [
            f"{{'loss': {3 - n / 20:.4f}, 'learning_rate': 2e-05, 'epoch': {n / 9:.2f}}}\n"
            f"\r {n}%|#  | {n}/100 [00:0{n % 9}<9:00, 1it/s]"
            for n in range(1, 15)
        ],
        "14 of 100",
    ),
}


@pytest.mark.parametrize(("lines", "said"), PLANS.values(), ids=PLANS)
def test_a_log_that_ends_before_its_plan_says_so_and_is_no_alarm(tmp_path: Path, lines: list[str], said: str) -> None:
    report = judged(tmp_path, "\n".join(lines) + "\n")
    ending = report.run.ending

    assert ending is not None
    assert (ending.kind, report.verdict, loud(report)) == ("cut-off", "healthy", [])
    assert report.headline.startswith("Healthy so far: ")
    assert said in report.headline


def test_a_run_that_came_to_the_end_of_its_plan_or_stopped_early_is_finished(tmp_path: Path) -> None:
    lines = [f"Epoch {n}/12\n250/250 - 12s - loss: {5 - n / 9:.4f}" for n in range(1, 13)]
    for log in ("\n".join(lines), "\n".join([*lines[:9], "Epoch 9: early stopping"])):
        ending = judged(tmp_path, f"{log}\n").run.ending

        assert ending is not None
        assert ending.kind == "finished"


def test_a_log_that_reaches_as_near_to_its_plan_as_its_entries_allow_is_not_cut_off(tmp_path: Path) -> None:
    for last, kind in ((330, "unknown"), (320, "cut-off")):
        lines = [f"iteration {n}/ 336 | lm loss: {5 - n / 200:.4f}" for n in range(10, last + 1, 10)]
        ending = judged(tmp_path, "\n".join(lines)).run.ending

        assert ending is not None
        assert ending.kind == kind


def test_a_step_that_begins_anew_with_each_epoch_plans_nothing(tmp_path: Path) -> None:
    lines = [f"step {n % 6 * 100 + 100}/600 loss: {3 - n / 20:.4f}" for n in range(14)]

    assert judged(tmp_path, "\n".join(lines)).run.planned_steps is None


DUMPED = (
    "Process {pid}: python train.py --local_rank {rank}\nPython v3.11.7 (/usr/bin/python3.11)\n\n"
    'Thread {pid} (active): "MainThread"\n    {frame}\n    step (/app/train.py:40)\n    <module> (/app/train.py:90)\n'
    'Thread 9 (idle): "Thread-1"\n    wait (threading.py:331)\n'
)
FAULT = (
    "Timeout (0:10:00)!\nThread 0x00007f1c2e7fc700 (most recent call first):\n"
    '  File "/usr/lib/python3.11/threading.py", line 327 in wait\n\n'
    "Thread 0x00007f1cde4f4740 (most recent call first):\n"
    '  File "/app/data.py", line 44 in take\n  File "/app/train.py", line 91 in main\n'
)


def test_stacks_in_a_log_tell_where_it_stood(tmp_path: Path) -> None:
    waiting = DUMPED.format(pid=81, rank=0, frame="all_reduce (torch/distributed/distributed_c10d.py:9)")
    reading = DUMPED.format(pid=82, rank=1, frame="read (/app/data.py:7)")
    for text, said in (
        (
            f"$ py-spy dump --pid 81\n{waiting}$ py-spy dump --pid 82\n{reading}",
            "rank 1 stood in read (/app/data.py:7)",
        ),
        (FAULT, "Timeout (0:10:00)!"),
    ):
        report = judged(tmp_path, STEPS + text)
        ending = report.run.ending

        assert ending is not None
        assert (ending.kind, report.verdict, loud(report)) == ("hung", "broken", ["run-hung"])
        assert said in " ".join(finding.statement for finding in report.findings)
        # Where metrics follow, somebody looked at a slow step; one process alone proves nothing.
        assert judged(tmp_path, STEPS[:600] + "\n" + text + STEPS[600:]).verdict == "healthy"
    assert judged(tmp_path, STEPS + waiting).verdict == "healthy"


def test_the_stack_of_a_process_that_died_is_no_hang(tmp_path: Path) -> None:
    text = "Fatal Python error: Segmentation fault\n\nCurrent thread 0x00007f1cde4f4740 (most recent call first):\n"
    report = judged(tmp_path, f'{STEPS}{text}  File "/app/data.py", line 44 in take\n')

    assert not any(events.kind == "stack" for events in report.run.timeline.events)


def test_a_rank_that_aborted_is_the_root_of_connections_that_were_closed(tmp_path: Path) -> None:
    closed = "[rank0]: RuntimeError: [/x/gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:2\n"
    failed = "E0502 14:52:01.42 81 api.py:869] failed (exitcode: -6) local_rank: {} (pid: 83) of binary: /x/python\n"
    for rank, symptom in ((1, "crash-signal"), (0, "crash-nccl")):
        ending = judged(tmp_path, STEPS + closed + failed.format(rank)).run.ending

        assert ending is not None
        assert ending.symptom == symptom


ATTEMPT = (
    "[2026-09-23 19:{0}:01,023][__main__][INFO] - Starting training!\n"
    "[2026-09-23 19:{0}:09,527][src.utils][ERROR] - \nTraceback (most recent call last):\n"
    "  File \"train.py\", line 9, in <module>\n    main()\nModuleNotFoundError: No module named 'SGD'\n"
)
LAST = "[2026-09-23 20:31:01,023][__main__][INFO] - Starting training!\n"
TESTED = "[2026-09-23 20:34:44,280][__main__][INFO] - Starting testing!\n"


def test_a_later_start_in_a_log_without_metrics_answers_for_the_run(tmp_path: Path) -> None:
    failed = "".join(ATTEMPT.format(minute) for minute in (10, 20))
    for log, kind, verdict in (
        (failed + LAST + TESTED, "finished", "unknown"),
        (failed + LAST, "unknown", "unknown"),
        (failed, "crashed", "broken"),
    ):
        report = judged(tmp_path, log)

        assert report.run.ending is not None
        assert (report.run.ending.kind, report.verdict) == (kind, verdict)


def test_a_file_that_a_running_program_misses_is_no_failed_start(tmp_path: Path) -> None:
    missing = "FileNotFoundError: [Errno 2] No such file or directory: './captions/7.txt'\n"
    for log in (STEPS + CALLED + missing, LAST + TESTED + CALLED + missing, STEPS + missing):
        assert loud(judged(tmp_path, log)) == ["crash-exception"]
    assert loud(judged(tmp_path, CALLED + missing)) == ["crash-launcher"]


WIDTHS = (40, 48, 57, 64, 72, 79, 80, 100, 120)
BROKEN = {
    "hung": (
        "[rank4]:[F1104 02:11:05.998 ProcessGroupNCCL.cpp:1557] [PG ID 0 PG GUID 0 Rank 4] ProcessGroupNCCL's watchdog"
        " got stuck for 480 seconds without making progress in monitoring enqueued collectives. This typically"
        " indicates a NCCL/CUDA API hang blocking the watchdog."
    ),
    "time-limit": "slurmstepd: error: *** JOB 3221871 ON gpu-17 CANCELLED AT 2026-04-12T11:20:41 DUE TO TIME LIMIT ***",
}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", BROKEN)
def test_lines_that_a_terminal_broke_are_put_together(tmp_path: Path, kind: str, width: int) -> None:
    text = BROKEN[kind]
    broken = "\n".join(text[at : at + width] for at in range(0, len(text), width))
    for above in ("", STEPS):
        ending = judged(tmp_path, f"{above}{broken}\n").run.ending

        assert ending is not None
        assert ending.kind == kind


def test_metrics_as_wide_as_each_other_are_no_broken_line(tmp_path: Path) -> None:
    log = "".join(f"step {n:5d} | loss {2.4 - n / 100:.6f} | norm {1.5 + n / 1000:.6f}\n" for n in range(1, 41))

    assert judged(tmp_path, f"{log}exited with code 0 on 4 of 4 nodes, no error at all\n").verdict == "healthy"


@pytest.mark.parametrize(("late", "kind"), [(90, "running"), (3000, "unknown")])
def test_a_run_whose_last_entry_is_fresh_may_still_go_on(tmp_path: Path, late: int, kind: str) -> None:
    end = time.time() - late
    rows = [{"step": n, "loss": 2.4 - n / 100, "timestamp": end - 10 * (40 - n)} for n in range(1, 41)]
    (tmp_path / "metrics.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    report = investigate(tmp_path)

    assert report.run.ending is not None
    assert (report.run.ending.kind, report.verdict) == (kind, "healthy")
    assert ("may still go on" in report.headline) is (kind == "running")


def test_what_a_text_without_a_reader_ends_with_is_quoted(tmp_path: Path) -> None:
    (tmp_path / "job.log").write_text("preparing\nthe frobnicator gave up, token=hf_abcdefghijklmnopqrst\n")
    with pytest.raises(NothingReadableError, match=r"job\.log ends with .the frobnicator gave up") as raised:
        investigate(tmp_path)
    assert "hf_abc" not in str(raised.value)
    (tmp_path / "job.log").write_bytes(b"\xff\xfe\x01\x02")
    with pytest.raises(NothingReadableError) as raised:
        investigate(tmp_path)
    assert "ends with" not in str(raised.value)


def test_what_an_earlier_attempt_died_of_is_no_cause_of_the_last_death(tmp_path: Path) -> None:
    half = STEPS.splitlines(keepends=True)
    (tmp_path / "slurm-11.out").write_text("".join(half[:20]) + "torch.OutOfMemoryError: CUDA out of memory.\n")
    killed = (
        "slurmstepd: error: Detected 1 oom_kill event in StepId=12.0. Some of the step tasks have been OOM Killed.\n"
    )
    (tmp_path / "slurm-12.out").write_text("".join(half[20:]) + killed)
    report = investigate(tmp_path)
    top = report.hypotheses[0]

    assert [finding.symptom for finding in report.findings if finding.severity == "error"] == ["crash-killed"]
    assert (top.cause, top.verdict) == ("host-kill", "established")
    assert all(h.verdict == "possible" for h in report.hypotheses if h.cause == "out-of-memory")


def test_deaths_are_put_together_once_for_all_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hundred rules ask; a log of thousands of exceptions took a minute."""
    asked: list[int] = []
    made = groups._groups

    def counting(timeline: Timeline) -> list[groups.Group]:
        asked.append(id(timeline))
        return made(timeline)

    monkeypatch.setattr(groups, "_groups", counting)
    (tmp_path / "train.log").write_text(STEPS + "RuntimeError: CUDA error: an illegal memory access was encountered\n")
    report = investigate(tmp_path)

    assert {finding.symptom for finding in report.findings} == {"crash-device"}
    assert len(asked) == len(set(asked))


def test_an_evaluation_that_stood_in_a_buffer_is_no_later_attempt(tmp_path: Path) -> None:
    """The errors are written at once: what was printed before them may come last, with a step of its own."""
    bar = " 46%|####6     | {}/2200 [10:16<10:52,  1.79it/s]"
    text = (
        f"{bar.format(110)}\n{{'loss': 0.71, 'grad_norm': 1.2, 'learning_rate': 1e-05, 'epoch': 0.5}}\n"
        f"{bar.format(220)}\n{{'loss': 0.22, 'grad_norm': 0.8, 'learning_rate': 2e-05, 'epoch': 1.0}}\n"
        f"{bar.format(1100)}Traceback (most recent call last):\n"
        '  File "/srv/fit.py", line 71, in <module>\n    trainer.train()\n'
        "ValueError: the adapter cannot be written\n"
        "{'eval_loss': 0.03, 'eval_runtime': 1.0, 'epoch': 5.0}\n"
    )
    report = judged(tmp_path, text)

    assert report.verdict == "broken"
    assert loud(report) == ["crash-exception"]


def test_a_shell_goes_on_behind_a_line_that_names_no_program(tmp_path: Path) -> None:
    """Of `sbatch` scripts a line `SBATCH --time=...` without its `#` is common."""
    complaint = "/var/spool/slurmd/job77/slurm_script: line 4: SBATCH: command not found\n"
    trace = 'Traceback (most recent call last):\n  File "fit.py", line 9, in <module>\n    step()\n'
    memory = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 96.00 MiB.\n"
    report = judged(tmp_path, complaint + trace + memory)

    assert loud(report) == ["crash-oom"]
    assert report.hypotheses[0].cause == "out-of-memory"
    assert "launch-error" not in {each.cause for each in report.hypotheses}
    assert loud(judged(tmp_path, complaint)) == ["crash-launcher"]


def test_a_look_up_in_passing_ends_no_run(tmp_path: Path) -> None:
    """PEFT looks for the configuration of its base model where it saves, and warns (`check_file_exists_on_hf_hub`)."""
    warned = "Cannot access gated repo for url https://huggingface.co/acme/base/resolve/main/config.json.\n"

    assert judged(tmp_path, STEPS + warned).verdict == "healthy"
    assert loud(judged(tmp_path, warned)) == ["crash-launcher"]


def test_what_train_returns_in_a_notebook_is_the_end_of_training(tmp_path: Path) -> None:
    returned = "TrainOutput(global_step=40, training_loss=1.9, metrics={'train_runtime': 99.5, 'epoch': 1.0})\n"
    report = judged(tmp_path, STEPS + returned)

    assert report.run.ending is not None
    assert report.run.ending.kind == "finished"


def test_a_loop_that_tries_again_and_logs_nothing_has_not_survived(tmp_path: Path) -> None:
    """PyTracking's trainer says that it finished, whatever became of its tries (`BaseTrainer.train`)."""
    text = (
        "Training crashed at epoch 3\nTraceback (most recent call last):\n"
        '  File "trainers/base_trainer.py", line 87, in train\n    self.train_epoch()\n'
        '  File "actors/siam.py", line 40, in compute_losses\n    raise ValueError("outputs are NaN, stop")\n'
        "ValueError: outputs are NaN, stop\n\nRestarting training from last epoch ...\nFinished training!\n"
    )
    report = judged(tmp_path, text)

    assert report.verdict == "broken"
    assert report.hypotheses[0].cause == "stopped-at-nan"
    assert judged(tmp_path, STEPS + text).verdict == "healthy"


def test_what_a_run_went_on_after_before_it_goes_on_after_again(tmp_path: Path) -> None:
    """Two pictures that cannot be read are met in each epoch; in the last one few entries are left behind them."""
    met = (
        'Traceback (most recent call last):\n  File "a.py", line 12, in <module>\n    image = load(i)\n'
        "ValueError: picture_{}.png: cannot identify image file, left out\n"
    )
    entries = [f"{{'step': {n}, 'loss': {0.4 + 0.9**n:.3f}}}\n" for n in range(3, 49, 3)]
    text = [met.format(5 + n % 4) * (n % 4 in {1, 2}) + entry for n, entry in enumerate(entries)]

    assert judged(tmp_path, "".join(text)).verdict == "healthy"
    assert judged(tmp_path, "".join([*entries[:13], *text[13:]])).verdict == "broken"


@pytest.mark.parametrize("name", ["L2_Error", "RelError", "Validation MeanAbsError", "ReconstructionFault"])
@pytest.mark.parametrize("spelled", ["{:.4f}", "{:.3e}", "{:.2f} %"])
def test_an_error_that_is_measured_is_no_exception(tmp_path: Path, name: str, spelled: str) -> None:
    lines = [f"Epoch {n}, Loss: {2 / (1 + n / 5):.4f}, {name}: {spelled.format(1 / n)}\n" for n in range(1, 13)]
    (tmp_path / "train.log").write_text("".join(lines))

    assert [f for f in investigate(tmp_path).findings if f.severity == "error"] == []
