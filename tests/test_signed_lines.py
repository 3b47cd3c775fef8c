"""Whatever signs every line of a log, the way the run ended is told; where lines are quotes, nothing is."""

from pathlib import Path

import pytest

from forensics import analyze, read

STEPS = [
    f"{{'loss': {2.5 - 0.05 * i:.4f}, 'grad_norm': 0.8, 'learning_rate': 1e-05, 'epoch': {i / 40:.3f}}}"
    for i in range(1, 13)
]
TRACEBACK = [
    "Traceback (most recent call last):",
    '  File "/srv/app/train.py", line 91, in <module>',
    "    main()",
    '  File "/srv/app/train.py", line 64, in main',
    "    loss = model(batch)",
]
OUT_OF_MEMORY = [
    *TRACEBACK,
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.50 GiB. GPU 0 has a total",
]
ENDS = {
    "out-of-memory": (OUT_OF_MEMORY, "crash-oom"),
    "token-id-beyond-embedding": ([*TRACEBACK, "IndexError: index out of range in self"], "crash-exception"),
    "host-memory-exhausted": (
        [*TRACEBACK, "RuntimeError: DefaultCPUAllocator: can't allocate memory: you tried to allocate 9000 bytes."],
        "crash-memory",
    ),
    "native-crash": (["Fatal Python error: Segmentation fault"], "crash-signal"),
    "host-kill": (["Killed"], "crash-killed"),
    "disk-full": ([*TRACEBACK, "OSError: [Errno 28] No space left on device"], "crash-disk"),
}
SIGNS = {
    "logging": "2026-11-02 12:00:{n:02d},123 - train - INFO - ",
    "logging, bars": "2026-11-02 12:00:{n:02d}.123 | INFO     | __main__:train:88 - ",
    "level first": "INFO 2026-11-02 12:00:{n:02d},123 train ",
    "date of examples": "11/02/2026 12:00:{n:02d} - INFO - __main__ - ",
    "Hydra": "[2026-11-02 12:00:{n:02d},123][train][INFO] - ",
    "seconds since 1970": "17620840{n:02d}.123456 ",
    "offset": "2026-11-02T12:00:{n:02d}+00:00 ",
    "zone": "2026-11-02 12:00:{n:02d}.123 UTC ",
    "ts": "Nov 02 12:00:{n:02d} ",
    "journal": "Nov 02 12:00:{n:02d} node07 train[4711]: ",
    "CRI": "2026-11-02T12:00:{n:02d}.123456789Z stdout F ",
    "compose": "trainer-1  | ",
    "kubectl": "[pod/train-0/pytorch] ",
    "Ray": "(TrainWorker pid=4711, ip=10.0.0.7) ",
    "rank": "Rank 0: ",
    "MPI": "[1,0]<stdout>:",
    "glog": "I1102 12:00:{n:02d}.123456 4711 train.py:88] ",
    "a form that nobody has seen": "<<farm ~ job {n}>> ",
}


def log(folder: Path, sign: str, lines: list[str]) -> Path:
    text = "".join(f"{sign.format(n=number % 60)}{line}\n" for number, line in enumerate(lines))
    (folder / "train.log").write_text(text)
    return folder


@pytest.mark.parametrize("sign", SIGNS.values(), ids=SIGNS)
@pytest.mark.parametrize("cause", ENDS)
def test_a_sign_before_each_line_hides_no_end(cause: str, sign: str, tmp_path: Path) -> None:
    lines, symptom = ENDS[cause]
    report = analyze(log(tmp_path, sign, [*STEPS, *lines]))

    assert report.verdict == "broken"
    assert symptom in {finding.symptom for finding in report.findings}
    assert report.hypotheses[0].cause == cause


@pytest.mark.parametrize("sign", SIGNS.values(), ids=SIGNS)
@pytest.mark.parametrize(
    "line",
    [
        "steps: {step} loss: {loss:.4f} iter time (s): 1.231 samples/sec: 12.995",
        "step {step}/400 | loss {loss:.4f} | lr 1e-4",
        "Epoch [1/3], Step [{step}/400], Loss: {loss:.4f}",
        " iteration {step:8d}/     400 | lm loss: {loss:.6E} | grad norm: 1.125 |",
        "global_step={step} train_loss={loss:.4f}",
    ],
)
def test_a_sign_before_each_line_moves_no_number(line: str, sign: str, tmp_path: Path) -> None:
    lines = [line.format(step=10 * i, loss=2.5 - 0.05 * i) for i in range(1, 13)]
    losses = read(log(tmp_path, sign, lines)).timeline["loss"]

    assert losses.axis == "step"
    assert losses.steps.tolist() == [10 * i for i in range(1, 13)]
    assert losses.values.tolist() == pytest.approx([2.5 - 0.05 * i for i in range(1, 13)])


@pytest.mark.parametrize("sign", ["sample {n}: ", "> ", "prompt: "])
def test_what_is_quoted_on_every_line_is_no_end(sign: str, tmp_path: Path) -> None:
    quoted = [sign.format(n=number) + line for number, line in enumerate(OUT_OF_MEMORY * 3)]
    report = analyze(log(tmp_path, "", [*STEPS[:6], *quoted, *STEPS[6:]]))

    assert report.verdict == "healthy"
