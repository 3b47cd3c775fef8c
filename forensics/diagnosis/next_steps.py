"""What to do now where the cause is unknown: tied to the symptom, and to what this run recorded.

Nothing is asked for that the run does not have: fp32 only of a run in 16 bits, one process only of several, a resume
only from a checkpoint that can be resumed.
"""

from collections.abc import Iterator, Sequence
from shlex import quote

from forensics.analysis.endings import groups_of
from forensics.diagnosis.judgement import onset_of
from forensics.model import Experiment, Finding, Run
from forensics.names import CUT_TRACEBACK, Kind

NUMBERS = ("loss-", "grad-norm-", "eval-nan", "weights-nan", "weights-inf", "optimizer-nan", "metric-nan")
"""Symptoms of numbers that went wrong at a step: that step can be run again."""
NOT_A_NUMBER = ("nan", "to-zero", "zero-transient", "inf", "sentinel")
STILL = ("loss-plateau", "loss-constant", "loss-uniform", "loss-above-uniform", "grad-norm-zero", "weights-unchanged")
"""Symptoms of a run that does not learn: one batch shows it as well as all of them."""
RECORDED = ("local-gradient-nonfinite", "reduced-gradient-nonfinite")
WAITING = ("run-hung", "crash-nccl")
SILENT = ("crash-killed", "run-cut-off", "run-preempted", "crash-memory", "crash-signal")


def next_steps(run: Run, findings: Sequence[Finding]) -> tuple[Experiment, ...]:
    """Return what to run or look at next, the cheapest first; nothing where there is no error or warning."""
    grave = next((f for f in findings if f.severity != "notice"), None)
    if grave is None:
        return ()
    return tuple(_steps(run, grave, onset_of(findings, ()) or grave))


def _steps(run: Run, grave: Finding, began: Finding) -> Iterator[Experiment]:
    symptom = grave.symptom
    if symptom in WAITING:
        yield from _waiting()
    elif symptom in SILENT:
        yield from _silent(run)
    elif symptom.startswith("crash-"):
        yield from _raised(run, symptom)
    elif symptom in STILL:
        yield from _one_batch(run)
    elif symptom in RECORDED:
        alone = (run.environment.number("world_size") or 1) == 1
        if alone and symptom == "reduced-gradient-nonfinite":
            yield _between()
        yield from _numbers(run, began, nan=True)
    elif symptom.startswith(NUMBERS):
        yield from _numbers(run, began, nan=any(word in symptom for word in NOT_A_NUMBER))


def _numbers(run: Run, began: Finding, *, nan: bool) -> Iterator[Experiment]:
    """Yield the steps around the onset run again: looked at, watched, in fp32, on one process."""
    stepped = began.axis == "step" and began.onset is not None
    first, last = (began.earliest or 0, began.onset or 0) if stepped else (0, 0)
    if stepped:
        # What step N shows may have been done by the update before it.
        yield _batches(run, max(1, first - 1), last)
    yield _again(run, last, nan=nan)
    good = run.last_good_checkpoint
    whence = f"from {good.path} " if good is not None and not good.lacks and good.step else ""
    if _sixteen_bits(run):
        yield Experiment(
            f"Run the same steps {whence}in fp32.",
            "a fault that goes away is one of precision; one that stays is in the data or the model",
            3,
            "--bf16 False --fp16 False" if _of_trainer(run) else "",
        )
    if (run.environment.number("world_size") or 1) > 1:
        yield Experiment(
            f"Run the same steps {whence}on one GPU.",
            "a fault that goes away is one of the reduction between processes",
            4,
        )


def _between() -> Experiment:
    """Return a look at what stands between the backward pass and the optimizer."""
    code = "for n, p in model.named_parameters():\n    if p.grad is not None and not p.grad.isfinite().all(): print(n)"
    return Experiment(
        "Print what is not finite after each call before optimizer.step().",
        "no name before the call that spoils the gradients",
        1,
        code,
    )


def _again(run: Run, last: int, *, nan: bool) -> Experiment:
    """Return the run up to the onset again, each step logged, from a checkpoint where one can be resumed."""
    good = run.last_good_checkpoint
    resumed = good is not None and not good.lacks and good.step is not None and good.step < last
    where = f"Resume from {good.path} and run" if resumed and good is not None else "Run again from the start"
    to = f" to step {last}" if last else " past the onset"
    every = (run.environment.number("logging_steps") or 1) > 1
    watched = [*(["anomaly detection"] if nan else []), *(["logging_steps=1"] if every else [])]
    lines = []
    if _of_trainer(run):
        if resumed and good is not None:
            lines.append(f"--resume_from_checkpoint {quote(str(run.root / good.path))}")
        flags = ["--logging_steps 1"] if every else []
        flags += ["--logging_nan_inf_filter False"] if nan else []
        lines += [" ".join(flags)] if flags else []
    if nan:
        lines.append("torch.autograd.set_detect_anomaly(True)  # before training")
    watching = f" with {' and '.join(watched)}" if watched else ", the gradient norm of each layer printed"
    expect = "the traceback names the operation that made the NaN" if nan else "the step and the layer that leave first"
    return Experiment(f"{where}{to}{watching}; then stop it by hand.", expect, 2, "\n".join(lines))


def _batches(run: Run, first: int, last: int) -> Experiment:
    """Return the batches of these steps to look at, in the order in which this run drew them."""
    steps = f"steps {first} to {last}" if first < last else f"step {last}"
    expect = "an empty sample, labels that are all -100, an id beyond the vocabulary, text that is no text"
    return Experiment(f"Print the batches of {steps}.", expect, 1, _printing(run, first, last))


def _printing(run: Run, first: int, last: int) -> str:
    number = run.environment.number
    seed, size, ranks = number("seed"), number("per_device_train_batch_size"), number("world_size")
    parts = int(number("gradient_accumulation_steps") or 1)
    facts = [
        *([f"seed {seed:.0f}"] if seed is not None else []),
        *([f"{size:.0f} samples a batch"] if size else []),
        *([f"{parts} batches a step"] if parts > 1 else []),
        *([f"{ranks:.0f} processes"] if ranks and ranks > 1 else []),
    ]
    head = [f"# this run: {', '.join(facts)}"] if facts else []
    epoch, before = _epoch(run, first)
    start, stop = (first - 1 - before) * parts, (last - before) * parts
    step = f"{1 + before} + n // {parts}" if parts > 1 else f"{1 + before} + n"
    if _of_trainer(run):
        lines = [
            "from itertools import islice",
            "loader = trainer.get_train_dataloader()  # before trainer.train()",
            *([f"loader.set_epoch({epoch})"] if epoch else []),
            f"for n, batch in enumerate(islice(loader, {start}, {stop}), start={start}):",
            '    ids, labels = batch["input_ids"], batch["labels"]',
            f'    print("step", {step}, trainer.processing_class.batch_decode(ids))',
            "    print((labels != -100).sum(-1), ids.max())",
        ]
    else:
        lines = [
            *([f"torch.manual_seed({seed:.0f})"] if seed is not None else []),
            "from itertools import islice",
            f"for n, batch in enumerate(islice(loader, {start}, {stop}), start={start}):",
            f'    print("step", {step}, batch)',
        ]
    return "\n".join([*head, *lines])


def _epoch(run: Run, step: int) -> tuple[int, int]:
    """Return the epoch that a step belongs to, from 0, and the steps before that epoch; (0, 0) where none is known."""
    epochs = run.timeline.get("epoch")
    if epochs is None or epochs.axis != "step" or not len(epochs) or not float(epochs.values[-1]) > 0:
        return 0, 0
    a_pass = round(int(epochs.steps[-1]) / float(epochs.values[-1]))
    return ((step - 1) // a_pass, (step - 1) // a_pass * a_pass) if a_pass > 0 else (0, 0)


def _one_batch(run: Run) -> Iterator[Experiment]:
    code = "--max_steps 50 --lr_scheduler_type constant" if _of_trainer(run) else ""
    yield Experiment(
        "Train 50 steps on one single batch.",
        "a loss that nears 0; if it stays, labels, learning rate or frozen weights are wrong, not the data",
        1,
        code,
    )
    yield Experiment("Print the labels of that batch as text.", "the answer, and -100 only where no loss is wanted", 1)


def _raised(run: Run, symptom: str) -> Iterator[Experiment]:
    number = run.environment.number
    if run.has("gpu") or run.has("hardware gpu") or run.has("cuda") or run.has("hardware cuda"):
        code = "export CUDA_LAUNCH_BLOCKING=1"
        yield Experiment("Run it again with kernels one at a time.", "the traceback ends at the true line", 1, code)
    if (number("dataloader_num_workers") or 0) > 0:
        code = "--dataloader_num_workers 0" if _of_trainer(run) else "num_workers=0"
        yield Experiment("Load the data in the main process.", "the traceback of the sample itself", 1, code)
    if (number("world_size") or 1) > 1:
        yield Experiment("Run it on one process.", "the same error without the echo of the others", 2)
    if symptom == "crash-exception":
        yield from _in_its_own_words(run)


def _in_its_own_words(run: Run) -> Iterator[Experiment]:
    """Yield where the words of an exception are to be had: nothing else tells what it was about."""
    words = [death for group in groups_of(run.timeline) if group.fate == "final" for death in group.deaths]
    if not words:
        return
    if all(death.name == Kind.SIGNAL for death in words):
        yield Experiment("Find what that process itself wrote last.", "the traceback behind its exit code", 1)
    elif all(death.name == Kind.SIGNAL or death.text.startswith(CUT_TRACEBACK) for death in words):
        yield Experiment("Find the rest of the log.", "the last line of the traceback names the exception", 1)
    else:
        code = "python -m pdb -c continue YOUR_SCRIPT.py"
        yield Experiment("Stop where it is raised, and print what that line was given.", "what it refuses", 2, code)


def _waiting() -> Iterator[Experiment]:
    yield Experiment(
        "While it hangs, look at the stack of every process.",
        "one rank that stands elsewhere than the others",
        1,
        "for p in $(pgrep -f YOUR_SCRIPT.py); do py-spy dump --pid $p; done",
    )
    yield Experiment(
        "Run it again so that the collectives leave a record.",
        "the rank and the collective that were missed",
        2,
        "export TORCH_NCCL_TRACE_BUFFER_SIZE=2000 TORCH_NCCL_DUMP_ON_TIMEOUT=1 NCCL_DEBUG=WARN",
    )


def _silent(run: Run) -> Iterator[Experiment]:
    if run.has("slurm_job_id") or any("slurm" in a.path.lower() for a in run.artifacts):
        code = "sacct -j JOBID --format=JobID,State,ExitCode,MaxRSS,ReqMem,Timelimit,Elapsed"
        yield Experiment("Ask Slurm how the job ended.", "OUT_OF_MEMORY, TIMEOUT, PREEMPTED or NODE_FAIL", 1, code)
    code = "dmesg -T | grep -i -E 'killed process|oom|xid|mce'"
    yield Experiment("Ask the kernel of that machine.", "a process killed for memory, or a fault of the GPU", 1, code)


def _of_trainer(run: Run) -> bool:
    return bool({"transformers", "trl"} & set(run.frameworks))


def _sixteen_bits(run: Run) -> bool:
    settings = ("bf16", "fp16", "bf16.enabled", "fp16.enabled")
    return any(
        (found := run.environment.best(name)) is not None and str(found.value).lower() == "true" for name in settings
    )
