"""Causes that the last line of a dead run names: read from a log as programs write it, and quiet where nothing died."""

from pathlib import Path

import pytest

from forensics.investigate import investigate
from forensics.model import Report

STEPS = "".join(f"step {n} | loss {2.4 - n / 100:.3f}\n" for n in range(1, 41))
TABLE = (Path(__file__).parent.parent / "data" / "last_lines.tsv").read_text().splitlines()
LINES = [(line.partition("\t")[0], line.partition("\t")[2]) for line in TABLE]
FRAMES = 'Traceback (most recent call last):\n  File "train.py", line 7, in <module>\n    main()\n'


def judged(folder: Path, text: str) -> Report:
    (folder / "train.log").write_text(text)
    return investigate(folder)


@pytest.mark.parametrize(("name", "line"), LINES)
@pytest.mark.parametrize("before", ["", STEPS], ids=["at the start", "behind healthy steps"])
@pytest.mark.parametrize("rank", ["", "[rank0]: "], ids=["plain", "of a rank"])
def test_the_last_line_names_its_cause(tmp_path: Path, name: str, line: str, before: str, rank: str) -> None:
    """Whole or behind a rank's mark, at the start or behind healthy steps, its cause comes first and is likely."""
    told = "".join(f"{rank}{one}\n" for one in (FRAMES + line).splitlines())
    best = judged(tmp_path, before + told).hypotheses[0]

    assert (best.cause, best.holds) == (name, True), (best.verdict, best.evidence)


@pytest.mark.parametrize(("name", "line"), LINES)
def test_the_same_words_in_a_run_that_goes_on_are_no_alarm(tmp_path: Path, name: str, line: str) -> None:
    """What was survived, or is quoted in a sample, is no more than a notice, and its cause is not likely."""
    half = STEPS.splitlines(keepends=True)
    survived = judged(tmp_path, "".join(half[:20]) + FRAMES + line + "\n" + "".join(half[20:]))
    quoted = judged(tmp_path, "".join(half[:20]) + f"[sample 3] prompt: {line}\n" + "".join(half[20:]))

    for report in (survived, quoted):
        assert [finding.severity for finding in report.findings if finding.severity != "notice"] == []
        assert not any(cause.holds for cause in report.hypotheses if cause.cause == name)


def test_a_refused_file_is_the_random_state_only_where_the_frames_say_so(tmp_path: Path) -> None:
    """transformers 4.55 resumes through `_load_rng_state`; the innermost frame is torch's in either case."""
    library = "/venv/lib/python3.11/site-packages"
    resumed = f'  File "{library}/transformers/trainer.py", line 3118, in _load_rng_state\n    torch.load(rng_file)\n'
    torch = (
        f'  File "{library}/torch/serialization.py", line 1609, in load\n    raise pickle.UnpicklingError(message)\n'
    )
    last = "_pickle.UnpicklingError: Weights only load failed. This file can still be loaded, to do so you have two\n"
    any_file = judged(tmp_path, FRAMES + torch + last).hypotheses
    random_state = judged(tmp_path, FRAMES + resumed + torch + last).hypotheses

    assert (any_file[0].cause, any_file[0].verdict) == ("torch-load-refused", "likely")
    assert not any(cause.holds for cause in any_file if cause.cause == "rng-state-refused")
    assert (random_state[0].cause, random_state[0].verdict) == ("rng-state-refused", "likely")


def test_a_sampler_of_no_samples_may_have_lost_them_otherwise(tmp_path: Path) -> None:
    line = "ValueError: num_samples should be a positive integer value, but got num_samples=0\n"

    assert not any(cause.holds for cause in judged(tmp_path, FRAMES + line).hypotheses)


KERAS = """ValueError: Exception encountered when calling Sequential.call().

\x1b[1mInput 0 with name 'None' of layer 'dense' is incompatible with the layer: expected axis -1 of input shape\
 to have value 16, but received input with shape (32, 12)\x1b[0m"""
SAVED = """RuntimeError: Error(s) in loading state_dict for Sequential:
\tsize mismatch for 2.weight: copying a param with shape torch.Size([5, 8]) from checkpoint, the shape in current model\
 is torch.Size([3, 8])."""
SAMPLED = """ValueError: Expected parameter loc (Tensor of shape (1, 2)) of distribution Normal(loc: torch.Size([1, 2])\
, scale: torch.Size([1, 2])) to satisfy the constraint Real(), but found invalid values:
tensor([[nan, nan]])"""
ANNOUNCED = [
    ("shape-mismatch", KERAS, "expected axis -1"),
    ("state-dict-of-another-model", SAVED, "size mismatch for 2.weight"),
    ("stopped-at-nan", SAMPLED, "Expected parameter loc"),
]
"""Exceptions (Keras 3.11, torch 2.13) whose first line announces what the next one says."""


@pytest.mark.parametrize(("name", "text", "told"), ANNOUNCED, ids=[name for name, _, _ in ANNOUNCED])
def test_an_exception_is_read_on_where_its_first_line_only_announces(
    tmp_path: Path, name: str, text: str, told: str
) -> None:
    report = judged(tmp_path, STEPS + FRAMES + text + "\n")

    assert report.hypotheses[0].cause == name
    assert any(told in finding.statement for finding in report.findings)


OTHERS = (
    "ValueError: batch_size should be a positive integer value, but got batch_size=0",
    "AssertionError: embed_dim must be divisible by num_heads (got `embed_dim`: 100 and `num_heads`: 12).",
    "RuntimeError: Detected mismatch between collectives on ranks. Rank 0 is running ALLREDUCE, but Rank 1 BROADCAST.",
    "OSError: Consistency check failed: file should be of size 4999 but has size 3012 (model.safetensors).",
    "ValueError: loaded state dict contains a parameter group that doesn't match the size of optimizer's group",
    "RuntimeError: The checkpoint used a DP world size of 32 but the current world size is 48.",
    "ValueError: could not convert string to float: '2,5'",
    "ValueError: Sample larger than population or is negative",
)


@pytest.mark.parametrize("line", OTHERS)
def test_numbers_and_sizes_of_other_things_are_no_shapes(tmp_path: Path, line: str) -> None:
    assert "shape-mismatch" not in {cause.cause for cause in judged(tmp_path, STEPS + FRAMES + line + "\n").hypotheses}


FAILED_STARTS = (
    "ValueError: 'cosin' is not a valid SchedulerType, please select one of ['linear', 'cosine']",
    "ValueError: BuilderConfig 'en' not found. Available: ['default']",
    "huggingface_hub.errors.HFValidationError: Repo id must be in the form 'repo_name': '/data/m/x'.",
    "ValueError: No valid checkpoint found in output directory (out/sft)",
    "yaml.scanner.ScannerError: mapping values are not allowed here",
    "OSError: Can't load tokenizer for 'foo/bar'. If you were trying to load it from the Hub, make sure of it.",
    "OSError: Error no file named pytorch_model.bin, model.safetensors, tf_model.h5 found in directory ./out.",
    "KeyError: 'MyDataset is not in the mmdet::dataset registry. Please check it.'",
)


@pytest.mark.parametrize("line", FAILED_STARTS)
def test_a_configuration_or_a_name_that_is_refused_is_a_failed_start(tmp_path: Path, line: str) -> None:
    best = judged(tmp_path, FRAMES + line + "\n").hypotheses[0]

    assert (best.cause, best.holds) == ("launch-error", True)


NO_COMPILER = (
    "subprocess.CalledProcessError: Command '['/usr/bin/gcc', '/tmp/main.c']' returned non-zero exit status 1.",
    "RuntimeError: Failed to find C compiler. Please specify via CC environment variable.",
    "RuntimeError: Could not find nvcc, please set CUDA_HOME",
    "torch._inductor.exc.InductorError: InvalidCxxCompiler: No working C++ compiler found",
)


@pytest.mark.parametrize("line", NO_COMPILER)
def test_a_compiler_may_be_missed_at_the_first_kernel(tmp_path: Path, line: str) -> None:
    """At the start it is a failed start as well; behind healthy steps no start failed."""
    at_the_start = {c.cause: c.verdict for c in judged(tmp_path, FRAMES + line + "\n").hypotheses}
    later = judged(tmp_path, STEPS + FRAMES + line + "\n").hypotheses[0]

    assert (at_the_start["compiler-failed"], at_the_start["launch-error"]) == ("established", "established")
    assert (later.cause, later.verdict) == ("compiler-failed", "established")


WEAK = (
    ("values-to-unpack", "ValueError: not enough values to unpack (expected 2, got 1)"),
    ("data-set-empty", "ValueError: num_samples should be a positive integer value, but got num_samples=0"),
    ("releases-do-not-fit", "AttributeError: 'XGRPOTrainer' object has no attribute 'num_iterations'"),
    ("argument-of-another-release", "TypeError: build() got an unexpected keyword argument 'width'"),
    ("columns-not-of-the-model", "KeyError: 'answer'"),
    ("script-error", "AttributeError: 'NoneType' object has no attribute 'group'"),
    ("script-error", "TypeError: unsupported operand type(s) for +: 'int' and 'str'"),
)


@pytest.mark.parametrize(("name", "line"), WEAK)
def test_words_with_several_reasons_name_the_nearest_and_claim_nothing(tmp_path: Path, name: str, line: str) -> None:
    best = judged(tmp_path, STEPS + FRAMES + line + "\n").hypotheses

    assert (best[0].cause, best[0].verdict) == (name, "possible")
    assert not any(cause.holds for cause in best)


OF_THE_LIBRARY = '  File "/venv/lib/python3.11/site-packages/{}", line 12, in {}\n    f(x)\n'
FRAMED = (
    (
        "releases-do-not-fit",
        "unsloth/rl.py",
        "loss",
        "AttributeError: 'UnslothGRPOTrainer' object has no attribute '_logps'",
    ),
    ("columns-not-of-the-model", "datasets/formatting/formatting.py", "__getitem__", "KeyError: 'chosen'"),
    ("columns-not-of-the-model", "pandas/core/indexes/base.py", "get_loc", "KeyError: 'is_valid'"),
    (
        "argument-of-another-release",
        "timm/models/_builder.py",
        "load",
        "TypeError: Head.build() got an unexpected keyword argument 'use_x'",
    ),
    (
        "worker-not-picklable",
        "torch/multiprocessing/spawn.py",
        "start",
        "TypeError: cannot pickle '_thread.lock' object",
    ),
    (
        "ds-config-refused",
        "deepspeed/runtime/config.py",
        "_check",
        "TypeError: '>' not supported between instances of 'str' and 'int'",
    ),
    (
        "launch-error",
        "transformers/training_args.py",
        "__post_init__",
        "ValueError: --load_best_model_at_end requires more",
    ),
    (
        "optimizer-state-missing",
        "transformers/integrations/deepspeed.py",
        "load",
        "ValueError: Can't find a valid checkpoint at out/checkpoint-9",
    ),
    (
        "launch-error",
        "transformers/trainer.py",
        "_load_from_checkpoint",
        "ValueError: Can't find a valid checkpoint at out/checkpoint-9",
    ),
)


@pytest.mark.parametrize(("name", "file", "function", "line"), FRAMED)
def test_the_innermost_frame_says_whose_words_they_are(
    tmp_path: Path, name: str, file: str, function: str, line: str
) -> None:
    """The same words without a frame of a library convince nobody."""
    framed = judged(tmp_path, FRAMES + OF_THE_LIBRARY.format(file, function) + line + "\n").hypotheses

    assert (framed[0].cause, framed[0].verdict) == (name, "likely")


OWN_FUNCTIONS = (
    (
        "trl/trainer/grpo_trainer.py",
        "_calculate_rewards",
        "TypeError: Scorer.score() missing 1 required positional argument: 'answer'",
    ),
    (
        "torch/utils/data/_utils/fetch.py",
        "fetch",
        "TypeError: Collate.pack() takes 2 positional arguments but 3 were given",
    ),
    ("torch/nn/modules/module.py", "_call_impl", "TypeError: Net.forward() got an unexpected keyword argument 'use_x'"),
    ("torch/nn/modules/module.py", "__getattr__", "AttributeError: 'MyModel' object has no attribute 'haed'"),
    ("numpy/core/x.py", "load", "KeyError: '12'"),
)


@pytest.mark.parametrize(("file", "function", "line"), OWN_FUNCTIONS)
def test_what_a_library_calls_for_the_user_is_no_matter_of_releases(
    tmp_path: Path, file: str, function: str, line: str
) -> None:
    framed = judged(tmp_path, FRAMES + OF_THE_LIBRARY.format(file, function) + line + "\n").hypotheses

    assert not any(cause.holds for cause in framed), framed[0]


def test_an_exception_of_an_earlier_attempt_says_nothing_of_this_one(tmp_path: Path) -> None:
    """What the first start died of is mended in the second, which dies of another thing."""
    first = FRAMES + "TypeError: Trainer.training_step() takes 3 positional arguments but 4 were given\n"
    second = FRAMES + "ValueError: the moon is in the wrong quarter\n"
    causes = judged(tmp_path, first + STEPS * 3 + second).hypotheses

    assert not any(cause.holds for cause in causes), causes[0]


def test_a_quota_is_told_in_the_words_of_rust(tmp_path: Path) -> None:
    """safetensors quotes the error of the system inside of its own: no line begins with it."""
    error = 'Os { code: 122, kind: QuotaExceeded, message: "Disk quota exceeded" }'
    line = f"safetensors_rust.SafetensorError: Error while serializing: IoError({error})\n"
    best = judged(tmp_path, STEPS + FRAMES + line).hypotheses[0]

    assert (best.cause, best.verdict) == ("disk-full", "established")


def test_a_probability_that_is_none_is_no_class_beyond_the_head(tmp_path: Path) -> None:
    """torch 2.13 `Loss.cu` checks the inputs of binary_cross_entropy; labels are checked in nll_loss."""
    line = "/aten/cuda/Loss.cu:111: operator(): block: [62,0,0], thread: [38,0,0] Assertion `{}` failed.\n"
    of_an_input = judged(tmp_path, STEPS + line.format("input_val >= zero && input_val <= one")).hypotheses
    of_a_label = judged(tmp_path, STEPS + line.format("t >= 0 && t < n_classes")).hypotheses

    assert [cause.cause for cause in of_an_input[:2]] == ["device-assert", "not-probabilities"]
    assert "class-beyond-head" not in {cause.cause for cause in of_an_input if cause.holds}
    assert (of_a_label[0].cause, of_a_label[0].verdict) == ("class-beyond-head", "established")


def test_a_warning_that_quotes_a_missing_module_ends_nothing(tmp_path: Path) -> None:
    """vLLM 0.6 `connections.py`, built from source: the commit hash is not there."""
    quoted = "/x/vllm/connections.py:8: RuntimeWarning: Failed to read commit hash:\nNo module named 'vllm._version'\n"
    causes = judged(tmp_path, quoted + FRAMES + "AssertionError: no register center\n").hypotheses

    assert not any(cause.holds for cause in causes), causes[0]


def test_a_tracker_without_a_key_is_no_service_that_failed(tmp_path: Path) -> None:
    line = "wandb.errors.UsageError: api_key not configured (no-tty). call wandb.login(key=[your_api_key])\n"

    assert not any(cause.cause == "remote-service-failed" for cause in judged(tmp_path, FRAMES + line).hypotheses)


def test_a_post_may_quote_its_traceback_inside_one_line(tmp_path: Path) -> None:
    """Markdown's mark of code stands before the header and behind the last line."""
    (tmp_path / "post.md").write_text("# It stops\n\n`" + FRAMES + "RuntimeError: loss became NaN`\n")
    best = investigate(tmp_path / "post.md").hypotheses[0]

    assert best.cause == "stopped-at-nan"


def test_fairseq_tells_its_loss_scale_in_words_of_its_own(tmp_path: Path) -> None:
    """fairseq 0.6 to 0.12 `fp16_optimizer.py`: each overflow halves the scale, and the minimum ends the run."""
    scales = "".join(f"| WARNING: overflow detected, setting loss scale to: {2.0**-n}\n" for n in range(2, 14))
    report = judged(tmp_path, STEPS + scales + "Traceback (most recent call last):\n")

    assert report.hypotheses[0].cause in {"fp16-overflow", "fp16-bf16-pretrained-model"}


STARTS = (
    "ValueError: No valid checkpoint found in output directory (out/sft)",
    "FileExistsError: [Errno 17] File exists: 'runs/exp1'",
    "ValueError: Total number of attention heads (14) must be divisible by tensor parallel size (4).",
    "ValueError: Output directory (out) already exists and is not empty. Use --overwrite_output_dir to overcome.",
    "ValueError: Error initializing torch.distributed using env://: environment variable RANK expected, but not set",
    "RuntimeError: CUDA error: invalid device ordinal",
    "RuntimeError: Distributed package doesn't have NCCL built in",
    "OSError: foo/bar does not appear to have a file named pytorch_model.bin, tf_model.h5 or model.safetensors.",
    "requests.exceptions.HTTPError: 401 Client Error: Unauthorized for url: https://huggingface.co/api/models/x",
)


@pytest.mark.parametrize("line", STARTS)
def test_what_a_start_asks_for_is_no_start_behind_healthy_steps(tmp_path: Path, line: str) -> None:
    at_once = judged(tmp_path, FRAMES + line + "\n").hypotheses
    later = judged(tmp_path, STEPS + FRAMES + line + "\n").hypotheses

    assert (at_once[0].cause, at_once[0].holds) == ("launch-error", True)
    assert not any(cause.holds for cause in later if cause.cause == "launch-error")


def test_a_child_that_was_sent_too_little_read_no_checkpoint(tmp_path: Path) -> None:
    """Windows: the parent cannot pickle its data set, and the child finds the pipe closed."""
    spawn = 'Traceback (most recent call last):\n  File "<string>", line 1, in <module>\n'
    spawn += '  File "C:\\\\envs\\\\lib\\\\multiprocessing\\\\spawn.py", line 126, in _main\n    load(f)\n'
    parent = FRAMES + "AttributeError: Can't pickle local object 'main.<locals>.<lambda>'\n"
    causes = judged(tmp_path, parent + spawn + "EOFError: Ran out of input\n").hypotheses
    file = judged(tmp_path, FRAMES + "EOFError: Ran out of input\n").hypotheses

    assert causes[0].cause == "worker-not-picklable"
    assert not any(cause.holds for cause in causes if cause.cause == "truncated-write")
    assert (file[0].cause, file[0].holds) == ("truncated-write", True)


COLLATE = '  File "/v/site-packages/torch/utils/data/_utils/collate.py", line 274, in collate_tensor_fn\n    x\n'


@pytest.mark.parametrize("rank", ["", "[rank0]: "], ids=["plain", "of a rank"])
def test_what_a_worker_of_the_data_loader_raised_is_what_the_run_died_of(tmp_path: Path, rank: str) -> None:
    """torch 2.13 `ExceptionWrapper.reraise` puts the worker's own traceback below the one of the main process."""
    passed_on = "RuntimeError: Caught RuntimeError in DataLoader worker process 0.\nOriginal " + FRAMES + COLLATE
    told = FRAMES + passed_on + "RuntimeError: Trying to resize storage that is not resizable\n"
    report = judged(tmp_path, STEPS + "".join(f"{rank}{line}\n" for line in told.splitlines()))

    assert (report.hypotheses[0].cause, report.hypotheses[0].verdict) == ("shape-mismatch", "likely")
    assert any("Trying to resize storage" in finding.statement for finding in report.findings)


def test_a_worker_whose_own_words_are_cut_off_died_all_the_same(tmp_path: Path) -> None:
    report = judged(tmp_path, STEPS + FRAMES + "RuntimeError: Caught KeyError in DataLoader worker process 0.\n")

    assert any("Caught KeyError" in finding.statement for finding in report.findings)


def test_a_traceback_that_powershell_broke_at_its_width_is_read(tmp_path: Path) -> None:
    """Windows PowerShell 5.1 writes what `*>` redirects in UTF-16, broken at the width of the console."""
    said = "torch._inductor.exc.TritonMissing: Cannot find a working triton installation. Either the package is not"
    frame = (
        '  File "G:\\envs\\search\\lib\\site-packages\\torch\\_inductor\\scheduler.py", line 5433, in create_backend'
    )
    text = f"{FRAMES}{frame}\n    raise TritonMissing(inspect.currentframe())\n{said}\n"
    broken = [line[at : at + 58] for line in text.splitlines() for at in range(0, len(line), 58)]
    config = f"Model config: {{{', '.join(map(repr, range(80)))}}}\n"
    (tmp_path / "err.log").write_bytes((config + "\n".join(broken) + "\n").replace("\n", "\r\n").encode("utf-16"))
    report = investigate(tmp_path)

    assert "compiler-failed" in {cause.cause for cause in report.hypotheses if cause.holds}


@pytest.mark.parametrize("code", ["run.sh: line 3:  8052 CPU time limit exceeded python train.py", "exit code 152"])
def test_used_up_seconds_of_a_processor_are_a_time_limit(tmp_path: Path, code: str) -> None:
    best = judged(tmp_path, STEPS + code + "\n").hypotheses[0]

    assert (best.cause, best.verdict) == ("time-limit-reached", "established")
