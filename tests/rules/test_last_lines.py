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
    "yaml.scanner.ScannerError: mapping values are not allowed here",
    "OSError: Can't load tokenizer for 'foo/bar'. If you were trying to load it from the Hub, make sure of it.",
    "OSError: Error no file named pytorch_model.bin, model.safetensors, tf_model.h5 found in directory ./out.",
    "KeyError: 'MyDataset is not in the mmdet::dataset registry. Please check it.'",
)


@pytest.mark.parametrize("line", FAILED_STARTS)
def test_a_configuration_or_a_name_that_is_refused_is_a_failed_start(tmp_path: Path, line: str) -> None:
    best = judged(tmp_path, FRAMES + line + "\n").hypotheses[0]

    assert (best.cause, best.holds) == ("launch-error", True)
