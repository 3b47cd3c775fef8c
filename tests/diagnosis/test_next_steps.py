"""What to do where the cause is unknown: of this run, for this symptom, and nothing that the run does not have."""

from dataclasses import replace
from pathlib import Path

import pytest

import forensics
from forensics.diagnosis.next_steps import next_steps
from forensics.model import Experiment, Finding, Run, Scalar, Source
from forensics.testing import make_checkpoint, make_run

TRAINED: dict[str, Scalar] = {
    "seed": 7,
    "per_device_train_batch_size": 4,
    "gradient_accumulation_steps": 2,
    "logging_steps": 10,
    "bf16": True,
    "world_size": 2,
}


def found(symptom: str, fine: int | None = 20, bad: int = 30) -> Finding:
    return Finding(symptom, "error", "it broke", Source("log"), bad, (fine, bad))


def steps_of(run: Run, symptom: str) -> tuple[Experiment, ...]:
    return next_steps(run, [found(symptom)])


def trainer(**options: int | bool) -> Run:
    settings: dict[str, Scalar] = {**TRAINED, **options}
    return make_run(
        loss=[1.0] * 4,
        logging_steps=10,
        settings=settings,
        frameworks=("transformers",),
        checkpoints=[make_checkpoint(20)],
    )


def test_nan_is_looked_for_where_it_began() -> None:
    told = steps_of(trainer(), "loss-nan")
    actions = [e.action for e in told]
    code = "\n".join(e.code for e in told)

    assert actions == [
        "Print the batches of steps 20 to 30.",
        (
            "Resume from checkpoint-20 and run to step 30 with anomaly detection and logging_steps=1; "
            "then stop it by hand."
        ),
        "Run the same steps from checkpoint-20 in fp32.",
        "Run the same steps from checkpoint-20 on one GPU.",
    ]
    assert "# this run: seed 7, 4 samples a batch, 2 batches a step, 2 processes" in code
    assert "islice(loader, 38, 60), start=38" in code
    assert "--resume_from_checkpoint run/checkpoint-20\n--logging_steps 1 --logging_nan_inf_filter False" in code
    assert "set_detect_anomaly(True)" in code
    assert max(len(line) for line in code.splitlines()) <= 80


@pytest.mark.parametrize(
    ("options", "absent"),
    [({"bf16": False}, "fp32"), ({"world_size": 1}, "one GPU"), ({"logging_steps": 1}, "logging_steps=1")],
)
def test_nothing_is_asked_that_the_run_does_not_have(options: dict[str, int | bool], absent: str) -> None:
    assert not any(absent in e.action for e in steps_of(trainer(**options), "loss-nan"))


def test_a_checkpoint_without_its_optimizer_is_no_place_to_resume() -> None:
    run = trainer()
    poor = replace(run, checkpoints=tuple(replace(c, lacks=("optimizer state",)) for c in run.checkpoints))
    told = steps_of(poor, "loss-nan")

    assert told[1].action.startswith("Run again from the start to step 30")
    assert not any("--resume" in e.code for e in told)


def test_a_later_epoch_is_counted_from_its_own_start() -> None:
    """Twelve steps an epoch: step 29 is the fifth of the third epoch, whose batches are drawn anew."""
    epochs = [1 / 12 * step for step in range(1, 41)]
    run = make_run(loss=[1.0] * 40, epoch=epochs, settings={"seed": 7}, frameworks=("transformers",))
    code = next_steps(run, [found("loss-nan", 29, 30)])[0].code

    assert "loader.set_epoch(2)" in code
    assert "islice(loader, 4, 6), start=4" in code
    assert 'print("step", 25 + n,' in code


def test_the_snippet_is_python() -> None:
    for frameworks in (("transformers",), ()):
        run = make_run(loss=[1.0] * 40, settings=TRAINED, frameworks=frameworks)
        compile(next_steps(run, [found("loss-spike", 29, 30)])[0].code, "snippet", "exec")


@pytest.mark.parametrize(
    ("symptom", "settings", "word"),
    [
        ("run-hung", {}, "py-spy"),
        ("crash-nccl", {}, "TORCH_NCCL_TRACE_BUFFER_SIZE"),
        ("crash-killed", {}, "dmesg"),
        ("crash-exception", {"dataloader_num_workers": 4}, "num_workers=0"),
        ("loss-plateau", {}, ""),
        ("grad-norm-zero", {}, ""),
    ],
)
def test_each_symptom_has_steps_of_its_own(symptom: str, settings: dict[str, int], word: str) -> None:
    told = steps_of(make_run(loss=[1.0] * 3, settings=settings), symptom)

    assert told
    assert word in " ".join(f"{e.action} {e.code}" for e in told)


def test_kernels_are_watched_on_a_gpu_only() -> None:
    assert not steps_of(make_run(loss=[1.0]), "crash-exception")
    assert "CUDA_LAUNCH_BLOCKING" in steps_of(make_run(loss=[1.0], hardware={"gpu": "H100"}), "crash-device")[0].code


RAISED = """Traceback (most recent call last):
  File "train.py", line 10, in <module>
    main()
"""


@pytest.mark.parametrize(
    ("log", "action"),
    [
        (f"{RAISED}PipelineError: stage 3 has no input\n", "Stop where it is raised"),
        (f"{RAISED}FileNotFoundError: [Errno 2] No such file or directory: 'clips/7.npy'\n", "Stop where it is raised"),
        (RAISED, "Find the rest of the log"),
        ("srun: error: node7: task 3: Exited with exit code 1\n", "Find what that process itself wrote last"),
    ],
)
def test_an_exception_without_a_known_cause_is_asked_for_its_own_words(tmp_path: Path, log: str, action: str) -> None:
    """What raised it says what it was about: no advice on precision or packages, and no list of all that could be."""
    entries = "".join(f"step {n} loss {2 - n / 10:.2f}\n" for n in range(1, 8))
    (tmp_path / "train.log").write_text(entries + log)
    report = forensics.analyze(tmp_path)
    unknown = next(h for h in report.hypotheses if h.cause == "unknown")

    assert report.findings[0].symptom == "crash-exception"
    assert [e.action.startswith(action) for e in unknown.experiments] == [True]
    assert not any("cannot tell" in e.statement for e in unknown.evidence)


def test_an_exception_about_something_else_is_not_laid_on_the_precision(tmp_path: Path) -> None:
    """Fp16 alone speaks for no overflow where the exception says what it was about."""
    (tmp_path / "run.sh").write_text("python train.py --fp16 True\n")
    (tmp_path / "train.log").write_text(f"{RAISED}MisconfigurationException: You requested GPUs: [0]\n")
    report = forensics.analyze(tmp_path)

    assert report.run.environment.value("fp16") is True
    assert report.findings[0].symptom == "crash-exception"
    assert not {"fp16-overflow", "fp16-bf16-pretrained-model", "fp16-scaler-skip"} & {
        h.cause for h in report.hypotheses
    }


def test_a_calm_run_has_nothing_to_do() -> None:
    assert next_steps(make_run(loss=[1.0]), []) == ()
    assert next_steps(make_run(loss=[1.0]), [replace(found("loss-nan"), severity="notice")]) == ()
    assert steps_of(make_run(loss=[1.0]), "throughput-drop") == ()


def test_places_that_are_no_steps_are_not_counted_in_batches() -> None:
    told = next_steps(make_run(loss=[1.0]), [replace(found("loss-nan"), axis="entry")])

    assert [e.action for e in told] == [
        "Run again from the start past the onset with anomaly detection; then stop it by hand."
    ]
