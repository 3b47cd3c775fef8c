"""Faults that a framework warns of and goes on with: they name the cause of what a curve shows, and nothing else."""

from pathlib import Path

import pytest

from forensics.investigate import investigate
from forensics.model import Hypothesis, Report
from forensics.names import Kind
from forensics.readers._events.warned import NO_TRAINING_DATA, WARNED

NAN = float("nan")
BROADCAST = (
    "/x/train.py:14: UserWarning: Using a target size (torch.Size([50, 1])) that is different to the input size"
    " (torch.Size([50])). This will likely lead to incorrect results due to broadcasting."
)
SOFTMAX = (
    "/v/keras/src/ops/nn.py:959: UserWarning: You are using a softmax over axis -1 of a tensor of shape (64, 1). This"
    " axis has size 1. The softmax operation will always return the value 1, which is likely not what you intended."
)
ONE_CLASS = (
    "/v/keras/src/losses/losses.py:33: SyntaxWarning: In loss categorical_crossentropy, expected y_pred.shape to be"
    " (batch_size, num_classes) with num_classes > 1. Received: y_pred.shape=(None, 1)."
)
NO_OPTIMIZER = (
    "/v/lightning/pytorch/core/optimizer.py:180: `LightningModule.configure_optimizers` returned `None`, this fit will"
    " run with no optimizer"
)
NOT_TRAINABLE = "UserWarning: The model does not have any trainable weights."
NO_PAIRS = "Number of image pairs: 0"
NO_EXAMPLES = "  Num examples = 0"
NO_SAMPLE = "There seems not to be a single sample in your epoch_iterator, stopping training at step 0!"
NO_FEATURE = "[LightGBM] [Warning] There are no meaningful features which satisfy the provided configuration."
COLUMNS = """RangeIndex: 3000 entries, 0 to 2999
 #   Column  Non-Null Count  Dtype
---  ------  --------------  -----
 0   age     3000 non-null   float64
 1   income  {} non-null   float64"""
DIVIDED = "/x/prepare.py:8: RuntimeWarning: invalid value encountered in divide"
HALF = "weights: torch.float16 | optimizer: AdamW lr=1e-4 eps=1e-8"

LEVEL = [
    1.0077,
    1.0058,
    1.006,
    1.0062,
    1.005,
    1.0047,
    1.0046,
    1.0052,
    1.0048,
    1.0056,
    1.005,
    1.0049,
    1.0048,
    *[1.0046, 1.0048] * 6,
]
CONSTANT = [7.7121] * 12
FALLS = [2.4, 2.1, 1.8, 1.55, 1.3, 1.12, 0.98, 0.87, 0.79, 0.73, 0.69, 0.66, 0.64]
BROKE = [4.8781] + [NAN] * 12


def judged(folder: Path, warning: str, losses: list[float]) -> Report:
    """Return what is said of a run that prints a warning, and then an epoch a line."""
    steps = "".join(f"step {n} | loss {value:.4f}\n" for n, value in enumerate(losses, 1))
    (folder / "train.log").write_text(f"{warning}\n{steps}")
    return investigate(folder)


def named(report: Report, cause: str) -> Hypothesis | None:
    return next((each for each in report.hypotheses if each.cause == cause), None)


FAULTS = [
    ("shape-mismatch", BROADCAST, LEVEL),
    ("gradients-all-zero", SOFTMAX, CONSTANT),
    ("gradients-all-zero", ONE_CLASS, CONSTANT),
    ("nothing-trainable", NO_OPTIMIZER, CONSTANT),
    ("nothing-trainable", NOT_TRAINABLE, CONSTANT),
    ("data-set-empty", NO_PAIRS, [0.0] * 12),
    ("data-set-empty", NO_EXAMPLES, [0.0] * 12),
    ("data-set-empty", NO_SAMPLE, [0.0] * 12),
    ("data-set-empty", NO_FEATURE, CONSTANT),
    ("bad-data-sample", COLUMNS.format(2920), [NAN] * 12),
    ("fp16-trainable-params", HALF, BROKE),
]


@pytest.mark.parametrize(("cause", "warning", "losses"), FAULTS)
def test_a_warning_that_names_the_fault_names_the_cause(
    tmp_path: Path, cause: str, warning: str, losses: list[float]
) -> None:
    """Without its warning the same curve names it as likely nowhere."""
    told, silent = tmp_path / "told", tmp_path / "silent"
    told.mkdir()
    silent.mkdir()
    found = named(judged(told, warning, losses), cause)
    alone = named(judged(silent, "", losses), cause)

    assert found is not None, cause
    assert found.holds, (found.verdict, found.evidence)
    assert alone is None or not alone.holds


@pytest.mark.parametrize("warning", sorted({warning for _, warning, _ in FAULTS}))
def test_a_run_that_warns_and_trains_well_is_no_alarm(tmp_path: Path, warning: str) -> None:
    report = judged(tmp_path, warning, FALLS)

    assert report.verdict == "healthy"
    assert not any(cause.holds for cause in report.hypotheses)


def test_columns_that_are_all_filled_lack_nothing(tmp_path: Path) -> None:
    found = named(judged(tmp_path, COLUMNS.format(3000), [NAN] * 12), "bad-data-sample")

    assert found is None or not found.holds


def test_a_loss_that_was_a_number_first_was_not_broken_by_missing_values(tmp_path: Path) -> None:
    found = named(judged(tmp_path, COLUMNS.format(2920), [*FALLS, *[NAN] * 9]), "bad-data-sample")

    assert found is None or not found.holds


@pytest.mark.parametrize("line", ["Number of skipped pairs: 0", "Number of test images: 0", "Number of pairs: 10"])
def test_what_counts_other_things_is_no_empty_data_set(tmp_path: Path, line: str) -> None:
    found = named(judged(tmp_path, line, [0.0] * 12), "data-set-empty")

    assert found is None or not found.holds


def test_a_loader_of_no_length_is_read_though_its_name_stands_in_backticks(tmp_path: Path) -> None:
    line = (
        "/v/lightning/pytorch/utilities/data.py:105: `DataLoader` returned 0 length. Please make sure this was meant."
    )
    found = named(judged(tmp_path, line, [0.0] * 12), "data-set-empty")

    assert found is not None
    assert any("returned 0 length" in each.statement for each in found.evidence)


RESUMED = "resumed from checkpoint out/300.pt\n"


def resumed(folder: Path, levels: list[float]) -> Report:
    begun = [3.56, 3.14, 2.61, 2.31, 2.01, 1.83, 1.72, 1.69, 1.71, 1.66, 1.68, 1.65, 1.67, 1.63, 1.62]
    lines = [f"step {10 * n} | loss {value:.4f}\n" for n, value in enumerate(begun, 1)]
    again = [f"step {150 + 10 * n} | loss {value:.4f}\n" for n, value in enumerate(levels, 1)]
    (folder / "train.log").write_text("".join([*lines, RESUMED, *again]))
    return investigate(folder)


def test_a_resume_at_the_level_of_the_start_loaded_no_weights(tmp_path: Path) -> None:
    found = named(resumed(tmp_path, [3.6, 3.5, 3.2, 2.9, 2.6, 2.3, 2.1, 1.9, 1.8, 1.7]), "weights-not-loaded")

    assert found is not None
    assert found.holds, (found.verdict, found.evidence)


def test_a_resume_that_lost_a_part_may_have_lost_other_things(tmp_path: Path) -> None:
    found = named(resumed(tmp_path, [2.5, 2.4, 2.3, 2.1, 1.9, 1.8, 1.7, 1.7, 1.7, 1.7]), "weights-not-loaded")

    assert found is None or not found.holds


WORDINGS = [
    BROADCAST,
    SOFTMAX,
    ONE_CLASS,
    NO_OPTIMIZER,
    NOT_TRAINABLE,
    NO_SAMPLE,
    NO_FEATURE,
    DIVIDED,
    "Total length of `DataLoader` across ranks is zero. Please make sure this was your intention.",
    "`DataLoader` returned 0 length. Please make sure this was your intention.",
    "WARNING Labels are missing or empty in /data/labels.cache, training may not work correctly.",
    "train: WARNING No labels found in /data/labels.cache.",
    "Found keys that are in the model state dict but not in the checkpoint: ['head.weight']",
    "UserWarning: Found missing adapter keys while loading the checkpoint: ['h.0.lora_A.weight'].",
    "Warning: The following arguments do not match the ones in the `trainer_state.json`:",
    "UserWarning: Skipping features without any observed values: ['width']. At least one value is needed.",
    "/x/scale.py:4: RuntimeWarning: Mean of empty slice",
]
COUNTS = [
    NO_EXAMPLES,
    NO_PAIRS,
    "Training samples: 0",
    "Training examples: 0",
    "Train samples: 0",
    "Train examples: 0",
    "Training images: 0",
    "train images: 0 (0 labels)",
    "Training set size: 0",
    "train set size: 0 | val set size: 10",
    "train size: 0, val size: 10",
    "Training on 0 images",
    "Train on 0 samples, validate on 12 samples",
    "dataset: 0 train / 297 val",
    "Loaded 0 samples from /data/train",
    "Loaded 0 training examples and 12 validation examples",
    "Found 0 image files in /data/train",
]


def test_every_wording_has_its_line() -> None:
    told = "\n".join([*WORDINGS, *COUNTS])

    assert [phrase for phrase, _ in (*WARNED, *NO_TRAINING_DATA) if phrase not in told] == []


@pytest.mark.parametrize(
    ("kind", "line"),
    [*((Kind.FRAMEWORK_WARNING, line) for line in WORDINGS), *((Kind.NO_TRAINING_DATA, line) for line in COUNTS)],
)
def test_each_wording_is_noted(tmp_path: Path, kind: str, line: str) -> None:
    assert judged(tmp_path, line, FALLS).run.timeline.count_of(kind) == 1


def test_a_nan_that_a_library_met_is_a_hint_at_the_data_only(tmp_path: Path) -> None:
    """It may have met it in a metric, or in a loss of one's own."""
    found = named(judged(tmp_path, DIVIDED, [NAN] * 12), "bad-data-sample")

    assert found is not None
    assert (found.score, found.verdict) == (3, "possible")
