"""A kind of fault is known in whatever words, files and frameworks it shows itself."""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from forensics.investigate import investigate
from forensics.model import Report
from forensics.names import Kind

FALLING = [3.0 * 0.97**i for i in range(30)]
TRAINED = "".join(f"step {10 * i} | loss {loss:.4f} | lr 3.0e-04\n" for i, loss in enumerate(FALLING))
HEADER = "Traceback (most recent call last):\n"


def looked(folder: Path, files: Mapping[str, str]) -> Report:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return investigate(folder)


def dicts(losses: list[float], **more: float) -> str:
    return "".join(
        str({"loss": round(loss, 4), **more, "learning_rate": 1e-05, "epoch": round(0.1 * i, 1)}) + "\n"
        for i, loss in enumerate(losses, 1)
    )


def megatron(losses: list[float], norms: list[float], scale: float = 1.0) -> str:
    return "".join(
        f" iteration {i:8d}/    5000 | consumed samples: {64 * i:12d} | elapsed time per iteration (ms): 700.1 | "
        f"learning rate: 1.0E-04 | global batch size:    64 | lm loss: {loss:.6E} | loss scale: {scale:.1f} | "
        f"grad norm: {norm:.3f} | number of skipped iterations:   0 | number of nan iterations:   0 |\n"
        for i, (loss, norm) in enumerate(zip(losses, norms, strict=True), 1)
    )


def symptoms(report: Report, *severities: str) -> set[str]:
    return {f.symptom for f in report.findings if f.severity in (severities or ("error", "warning"))}


def standing(report: Report, cause: str) -> str:
    return next((h.verdict for h in report.hypotheses if h.cause == cause), "not named")


Expectation = Callable[[Report], bool]

ENDINGS: Mapping[str, tuple[Mapping[str, str], Expectation]] = {
    "a step that is cancelled after a task died is an echo": (
        {
            "slurm-7.out": TRAINED + "srun: error: c12: task 3: Bus error (core dumped)\n"
            "slurmstepd: error: *** STEP 7.0 ON c11 CANCELLED AT 2025-02-03T04:05:06 ***\n"
        },
        lambda report: report.verdict == "broken" and "bus error" in report.headline.lower(),
    ),
    "a container that ended by a signal, as Docker tells of it": (
        {
            "train.log": TRAINED,
            "container.json": json.dumps([{"Id": "d0", "State": {"Status": "exited", "ExitCode": 135, "Error": ""}}]),
        },
        lambda report: report.verdict == "broken" and "bus error" in report.headline.lower(),
    ),
    "a container that the kernel killed for memory": (
        {
            "train.log": TRAINED,
            "inspect.txt": json.dumps({"State": {"Running": False, "OOMKilled": True, "ExitCode": 137}}, indent=1),
        },
        lambda report: standing(report, "host-kill") in {"likely", "established"},
    ),
    "a container that ended well, and one that still runs": (
        {
            "train.log": TRAINED,
            "inspect.txt": json.dumps(
                [{"State": {"ExitCode": 0}}, {"State": {"Running": True, "ExitCode": 137}}, {"State": "exited"}]
            ),
        },
        lambda report: report.verdict == "healthy",
    ),
    "a job that its user cancelled": (
        {"slurm-8.out": TRAINED + "slurmstepd: error: *** JOB 8 ON c11 CANCELLED AT 2025-02-03T04:05:06 ***\n"},
        lambda report: report.verdict != "broken",
    ),
    "a program that was not found, by the path of the script": (
        {"job.err": "/opt/jobs/0042/slurm_script: line 3: deepspeed: command not found\n"},
        lambda report: report.verdict == "broken" and "crash-launcher" in symptoms(report),
    ),
    "a lookup that TensorFlow refuses": (
        {"fit.log": TRAINED + "InvalidArgumentError: indices[0,511] = 30522 is not in [0, 30522)\n"},
        lambda report: standing(report, "token-id-beyond-embedding") in {"likely", "established"},
    ),
    "a label beyond the classes, as TensorFlow tells it": (
        {
            "fit.log": TRAINED + HEADER + '  File "fit.py", line 3, in <module>\n'
            "InvalidArgumentError: Received a label value of 12 which is outside the valid range of [0, 10).\n"
        },
        lambda report: standing(report, "class-beyond-head") in {"likely", "established"},
    ),
    "a file of the old format of torch.save that ends early": (
        {
            "resume.log": HEADER + '  File "train.py", line 9, in <module>\n'
            "RuntimeError: unexpected EOF, expected 4088 more bytes. The file might be corrupted.\n"
        },
        lambda report: standing(report, "truncated-write") in {"likely", "established"},
    ),
    "an HDF5 file that ends early": (
        {
            "resume.log": HEADER + '  File "train.py", line 9, in <module>\n'
            "OSError: Unable to open file (truncated file: eof = 96, sblock->base_addr = 0, stored_eof = 2048)\n"
        },
        lambda report: standing(report, "truncated-write") in {"likely", "established"},
    ),
}

SHAPES: Mapping[str, tuple[Mapping[str, str], Expectation]] = {
    "updates left out, in a loop's own words": (
        {
            "log.txt": "".join(
                f"WARNING gradients are not finite at step {i}, update skipped\nstep {i} | loss 4.{100 + i % 7}\n"
                for i in range(1, 30)
            )
        },
        lambda report: "steps-skipped" in symptoms(report),
    ),
    "rows left out before training are no updates": (
        {"log.txt": "skipped 3 rows with NaN\n" * 20 + TRAINED},
        lambda report: report.verdict == "healthy" and not report.run.has(f"event {Kind.NONFINITE_SKIPPED}"),
    ),
    "a scale of 1.0 is no scaler": (
        {"log.txt": megatron([3.0 - 0.02 * i for i in range(16)] + [4.7], [0.9] * 16 + [math.nan])},
        lambda report: "grad-norm-nan" in symptoms(report),
    ),
    "a scale of 4096 is one": (
        {"log.txt": megatron([3.0 - 0.02 * i for i in range(17)], [0.9] * 16 + [math.nan], 4096.0)},
        lambda report: "grad-norm-nan" not in symptoms(report),
    ),
    "a loss that stays above where it began, though not at half as much again": (
        {"log.txt": megatron([10.6, 9.6, 9.0, 8.6, 8.3, 8.1, 10.2] + [12.0, 11.8, 11.9] * 14, [1.0] * 49)},
        lambda report: any(f.symptom == "loss-divergence" and f.step == 8 for f in report.findings),
    ),
    "a perplexity of the evaluation that is no number": (
        {
            "log.txt": "".join(
                f"Epoch {i} finished, validation perplexity = {'nan' if i > 6 else 60 - i}\n" for i in range(1, 12)
            )
        },
        lambda report: "eval-nan" in symptoms(report),
    ),
    "a perplexity that is infinite is a number": (
        {"log.txt": "".join(f"Epoch {i} finished, validation perplexity = inf\n" for i in range(1, 12))},
        lambda report: "eval-nan" not in symptoms(report),
    ),
    "a total below terms that Composer names alike": (
        {
            "log.txt": "".join(
                f"[batch={i}/90]:\n\t Train metrics/train/CrossEntropy: 9.0\n\t Train loss/train/total: {9 - i / 10}\n"
                for i in range(1, 30)
            )
        },
        lambda report: report.run.timeline["loss"].values[-1] == pytest.approx(6.1),
    ),
    "a table beside the log whose loss is one number": (
        {
            "history.jsonl": "".join(json.dumps({"step": i, "train/loss": 4 - 0.02 * i}) + "\n" for i in range(1, 50)),
            "layers.csv": "step,loss,norm\n" + "".join(f"{i},0.0,{0.4 + i % 3}\n" for i in range(1, 50)),
        },
        lambda report: "loss-to-zero" not in symptoms(report) and report.run.timeline["loss"].values[0] > 3,
    ),
    "a loss of zeros in a log beside the log of an earlier start": (
        {
            "a.jsonl": "".join(json.dumps({"step": i, "loss": 4 - 0.02 * i}) + "\n" for i in range(1, 30)),
            "b.jsonl": "".join(json.dumps({"step": i, "loss": 0.0}) + "\n" for i in range(30, 60)),
        },
        lambda report: "loss-to-zero" in symptoms(report),
    ),
    "a loss above guessing, the vocabulary in Megatron's arguments": (
        {
            "log.txt": "------------------------ arguments ------------------------\n"
            "  padded_vocab_size ............................... 32000\n"
            "-------------------- end of arguments ---------------------\n"
            + megatron([31.0 - 0.2 * i for i in range(14)], [2.0] * 14)
        },
        lambda report: "loss-above-uniform" in symptoms(report),
    ),
    "the print of the pipeline engine, known by the layout of its stages": (
        {
            "log.txt": "[2023-12-01 08:00:00,001] [INFO] [engine.py:151:__init__] RANK=0 STAGE=0 LAYERS=7 [0, 7) "
            "STAGE_PARAMS=11 (0.000M)\n[2023-12-01 08:00:00,011] [INFO] [logging.py:96:log_dist] [Rank 0] DeepSpeed "
            "info: version=0.12.2, git-hash=unknown, git-branch=unknown\n"
            + "".join(f"steps: {i} loss: 0.0000 iter time (s): 2.{i:03d} samples/sec: 9.1\n" for i in range(1, 20))
        },
        lambda report: report.hypotheses[0].cause == "ds-pipeline-loss-display",
    ),
}

LOST = dicts([1.9, 1.8, 1.7, 1.6, *[0.0] * 12])
CONFIGURED: Mapping[str, tuple[Mapping[str, str], Expectation]] = {
    "a model made from a Llama 2, by its type": (
        {
            "log.txt": LOST,
            "args.yaml": "model_name_or_path: acme/wizard-13b\nfp16: true\nlearning_rate: 1.0e-5\n",
            "config.json": json.dumps({"model_type": "llama", "torch_dtype": "float16", "vocab_size": 32000}),
        },
        lambda report: standing(report, "fp16-bf16-pretrained-model") == "likely",
    ),
    "a model that was trained in float32": (
        {
            "log.txt": LOST,
            "args.yaml": "model_name_or_path: facebook/opt-1.3b\nfp16: true\nlearning_rate: 1.0e-5\n",
            "config.json": json.dumps({"model_type": "opt", "torch_dtype": "float16", "vocab_size": 50272}),
        },
        lambda report: standing(report, "fp16-bf16-pretrained-model") != "likely",
    ),
    "a loss over one candidate, named in the script": (
        {
            "log.txt": dicts([0.0] * 20, grad_norm=0.0),
            "fit.py": "from sentence_transformers import losses\nloss = losses.CachedMultipleNegativesRankingLoss(m)\n"
            "args = SentenceTransformerTrainingArguments('o', per_device_train_batch_size=1)\n",
        },
        lambda report: report.hypotheses[0].cause == "no-negatives-in-batch",
    ),
    "a loss over one candidate, by the trainer of embeddings that was launched": (
        {
            "log.txt": dicts([0.0] * 20, grad_norm=0.0),
            "run.sh": "python -m tevatron.retriever.driver.train --per_device_train_batch_size 1\n",
        },
        lambda report: report.hypotheses[0].cause == "no-negatives-in-batch",
    ),
    "labels of a language model, in a script that names another loss": (
        {
            "log.txt": dicts([0.0] * 20, grad_norm=0.0),
            "fit.py": "loss = torch.nn.CrossEntropyLoss(ignore_index=-100)\n",
        },
        lambda report: report.hypotheses[0].cause == "all-labels-masked",
    ),
    "a rate in a configuration of assignments": (
        {
            "log.txt": "".join(
                f"iter {i}: loss {v}, time 80.11ms\n" for i, v in enumerate(["10.9", "511.2", "4100.1"] + ["nan"] * 9)
            ),
            "config/big.py": "# tries\nlearning_rate = 6\nmax_iters = 900\n",
        },
        lambda report: "lr-too-high" in [h.cause for h in report.hypotheses[:3]],
    ),
    "a rate in a configuration of nested calls": (
        {
            "log.txt": TRAINED,
            "r50.py": "_base_ = ['a.py']\noptim_wrapper = dict(type='AmpOptimWrapper',\n"
            "    optimizer=dict(type='AdamW', lr=6e-5), clip_grad=dict(max_norm=35))\n",
        },
        lambda report: (
            report.run.environment.number("learning_rate") == pytest.approx(6e-5)
            and report.run.environment.number("max_grad_norm") == pytest.approx(35.0)
        ),
    ),
    "a warm-up longer than the run, in Megatron's arguments": (
        {
            "log.txt": megatron([11.0 - 0.001 * i for i in range(1, 41)], [1.0] * 40),
            "pretrain.sh": "torchrun pretrain_gpt.py --train-iters 40 --lr 3e-4 --lr-warmup-iters 4000\n",
        },
        lambda report: "warmup-never-ends" in symptoms(report),
    ),
    "a rate that the batch scales is no rate out of force": (
        {
            "log.txt": "Namespace(lr=0.0001, epochs=3)\n" + TRAINED,
        },
        lambda report: "setting-not-in-force" not in symptoms(report),
    ),
    "a backend by its package": (
        {"log.txt": dicts([0.0] * 12), "requirements.txt": "torch==2.4.0\ntorch-xla==2.4.0\n"},
        lambda report: standing(report, "non-cuda-backend") == "possible",
    ),
    "a backend by a line of the log": (
        {"log.txt": "Setting ds_accelerator to xpu (auto detect)\n" + dicts([0.0] * 12)},
        lambda report: standing(report, "non-cuda-backend") == "possible",
    ),
    "a board that the build of torch does not know": (
        {
            "log.txt": "NVIDIA B300 with CUDA capability sm_103 is not compatible with the current PyTorch "
            "installation.\n" + dicts([9.0, *[math.nan] * 12], grad_norm=math.nan)
        },
        lambda report: report.hypotheses[0].cause == "kernel-for-another-architecture",
    ),
    "a module of constants is no configuration": (
        {"log.txt": TRAINED, "names.py": "COLOUR = 'red'\nWIDTH = 3\n"},
        lambda report: not [s for s in report.run.environment.of("setting") if "names" in s.source.path],
    ),
}
CASES = {**ENDINGS, **SHAPES, **CONFIGURED}


@pytest.mark.parametrize("case", CASES)
def test_a_fault_is_known_by_its_kind(case: str, tmp_path: Path) -> None:
    files, holds = CASES[case]
    report = looked(tmp_path, files)
    told = (
        [(f.symptom, f.severity, f.step) for f in report.findings],
        [(h.cause, h.verdict) for h in report.hypotheses[:4]],
    )
    assert holds(report), (report.headline, told)
