"""Warnings and milestones that a log tells in words; how a process died is in `forensics.signatures`.

One table: what is searched, which kind it is, which number belongs to it. Sources: transformers `trainer.py`,
`trainer_utils.py`, `modeling_utils.py` (4.21 to 5.23), DeepSpeed `loss_scaler.py`, `engine.py`, Megatron-LM
`training.py`, Lightning `trainer.py`, FastChat `train.py`, TRL's completion-only collator.
"""

import re
from collections.abc import Callable

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.model import UNKNOWN_STEP
from forensics.names import Kind
from forensics.readers._events.checkpoint_names import checkpoint_step
from forensics.readers._events.warned import NO_TRAINING_DATA, WARNED

NOT_A_NUMBER = float("nan")
REPORTED = {
    b"MISSING": Kind.NEWLY_INITIALIZED,
    b"UNEXPECTED": Kind.UNUSED_WEIGHTS,
    b"MISMATCH": Kind.SIZE_MISMATCH,
}
"""Status words of the loading report; the value of the event is the number of rows with that status."""


@dataclass(frozen=True, slots=True)
class Sign:
    """A phrase and the kind of event it stands for.

    The anchor is searched; `unless` must not match from there on, and `confirm` must match the line.
    """

    anchor: bytes
    kind: str
    confirm: re.Pattern[bytes] | None = None
    read: "Callable[[re.Match[bytes]], tuple[float, int]] | None" = None
    unless: re.Pattern[bytes] | None = None


def _value(found: re.Match[bytes]) -> tuple[float, int]:
    return float(found[1]), UNKNOWN_STEP


def _twice(found: re.Match[bytes]) -> tuple[float, int]:
    return 2 * float(found[1]), UNKNOWN_STEP


def _difference(found: re.Match[bytes]) -> tuple[float, int]:
    return float(found[1]) - float(found[2]), UNKNOWN_STEP


def _step(found: re.Match[bytes]) -> tuple[float, int]:
    return NOT_A_NUMBER, int(found[1].replace(b",", b""))


def _saved(found: re.Match[bytes]) -> tuple[float, int]:
    return NOT_A_NUMBER, checkpoint_step(found[1])


def _sign(
    anchor: str, kind: str, confirm: str | None = None, read: object = None, unless: re.Pattern[bytes] | None = None
) -> Sign:
    pattern = expression(confirm.encode()) if confirm else None
    return Sign(anchor.encode(), kind, pattern, read, unless)  # type: ignore[arg-type]  # a function above


_NUMBER = r"(\d{1,30}(?:\.\d+)?(?:e[+-]?\d+)?)"

_SOMEWHERE = r"(?:(?:global[ _])?(?:step|iteration|epoch)\b|(?:the )?(?:last |latest )?checkpoint\b|\S{0,400}[/.]\w)"
_SKIPPED = "Skipping step"
_SKIPPED_FOR_NAN = (
    r"(?i)^(?=.{0,400}(?:grad|norm|loss|updat|optim))(?!.{0,400}(?:loss.?scale|scaler))(?=.{0,400}\bskip)"
    r".{0,400}\b(?:nan|inf|infinite|infinity|non-?finite|not finite|not a number)\b"
)
"""In whatever words a loop says that an update was left out because a gradient or a loss was no number."""
_NONE_SKIPPED = expression(rb"S?kip\w{0,30} ?(?:\w{1,20}s)?\s{0,9}[:=]\s{0,9}0(?:\.0{1,9})?(?![\w.])")
"""A column that counts none: `number of skipped iterations:   0 | number of nan iterations:   0` is part of each line
of Megatron-LM (`training_log` in `megatron/training/training.py`)."""
_WEIGHTS = "Some weights of "
_NAMES = r"(?:'[^']{1,200}', ){20}"
_REPLICA = r"\b(?:[Pp]aram|[Ww]eight|[Mm]odel|checksum)\w{0,20}\b"
_UNLIKE = r"\b(?:[Dd]iffers?|[Mm]ismatch\w{0,3}|diverged?|not (?:the same|equal|identical))"
_IN_FP16 = (
    r"\b(?:[Pp]aram\w{0,8}|[Ww]eights?|[Mm]odel)\b(?:.{0,40}\bdtype\b\W{1,4}(?:torch\.)?|\s?[:=]\s?torch\.)float16\b"
)
_ABSENT = (
    r"(?i:\b(?:no|not|cannot|couldn't|failed|unable)\b.{0,200}\b(?:checkpoint|ckpt|weights)\b"
    r"|\b(?:checkpoint|ckpt|weights)\b.{0,300}\b(?:not|no|missing|failed)\b)"
)
"""Something that was to be loaded was not; what a program does then stands behind it."""

SIGNS = (
    # Loss scaling: `[deepspeed] OVERFLOW! Rank 0 Skipping step. Attempted loss scale: 65536, reducing to 32768`.
    _sign(_SKIPPED, Kind.OVERFLOW, rf"(?:OVERFLOW|overflow)!.{{0,400}}Attempted loss scale: {_NUMBER}", _value),
    _sign(_SKIPPED, Kind.NONFINITE_SKIPPED, r"OVERFLOW!(?!.{0,400}Attempted loss scale)"),
    # apex `amp/scaler.py` prints what the scale is reduced to, half of what was attempted.
    _sign(
        "Gradient overflow.",
        Kind.OVERFLOW,
        rf"Gradient overflow\.\s{{1,4}}Skipping step, loss scaler \d{{1,4}} reducing loss scale to {_NUMBER}",
        _twice,
    ),
    # fairseq `fp16_optimizer.py`, whose scale begins at 128 and may rest at 0.5 in a run that is well.
    *(
        _sign(
            f"{level}overflow detected",
            Kind.OVERFLOW,
            r"setting loss scale to: (0\.00\d{1,40}|\d\S{0,20}e-\d+)",
            _value,
        )
        for level in ("WARNING: ", "NOTE: ", "NOTE: gradient ")
    ),
    _sign("Gradient overflow.", Kind.NONFINITE_SKIPPED, r"Gradient overflow\.\s+(?!.{0,400}(?:loss scale|scaler))"),
    _sign(_SKIPPED, Kind.HYSTERESIS, rf"Attempted loss scale: {_NUMBER}, but hysteresis is", _value),
    *(
        _sign(word, Kind.NONFINITE_SKIPPED, _SKIPPED_FOR_NAN, unless=_NONE_SKIPPED)
        for word in ("Skip", "kipping ", "kipped", "kip ")
    ),
    _sign("Current loss scale already at minimum", Kind.LOSS_SCALE_AT_MINIMUM),
    # Milestones; the end of training and evaluations are told by metric dictionaries as well.
    _sign("Running training *****", Kind.TRAINING_STARTED),
    # ashleve/lightning-hydra-template and what was made from it (`src/train.py`).
    _sign("Starting training", Kind.TRAINING_STARTED, r"- Starting training!?\s{0,9}$"),
    _sign("Starting testing", Kind.TRAINING_FINISHED, r"- Starting testing!?\s{0,9}$"),
    _sign("Training completed. Do not forget", Kind.TRAINING_FINISHED),
    _sign("TrainOutput(global_step=", Kind.TRAINING_FINISHED),  # what `Trainer.train` returns, as a notebook shows it
    _sign("`Trainer.fit` stopped: `max_", Kind.TRAINING_FINISHED),
    _sign("xiting program a", Kind.TRAINING_FINISHED, r"exiting program (?:at iteration|after [\d.]+ minutes)"),
    _sign(
        "Training ",
        Kind.TRAINING_FINISHED,
        r"(?:^|[^A-Za-z\s]\s{0,4}|\bINFO\s{1,4})Training (?:is )?(?:complete|completed|finished|done|ended)"
        r"(?: successfully)?\s{0,9}[.!]{0,9}\s{0,9}"
        # torchvision's tutorials ("Training complete in 15m 10s") and what was made from them.
        r"(?:$|[,:;]?\s{0,4}(?:in|after|[Tt]ook|[Tt]otal [Tt]ime|[Tt]ime|[Ee]lapsed)\b[^\r\n]{0,20}\d)",
    ),
    _sign("fter training is done]", Kind.TRAINING_FINISHED),  # Megatron-LM, `print_datetime`
    _sign("Finished training", Kind.TRAINING_FINISHED, r"Finished [Tt]raining\s{0,8}[.!]*\s*$"),
    _sign("Finished Training", Kind.TRAINING_FINISHED, r"Finished Training\s{0,8}[.!]*\s*$"),
    # Keras, Ultralytics and loops of one's own; Lightning. "Early stopping counter: 3 of 10" is none.
    _sign(
        "arly stopping",
        Kind.TRAINING_FINISHED,
        r"[Ee]arly stopping(?: was)? (?:triggered|at (?:epoch|step)|after|due)|Epoch \d{1,9}: early stopping\s{0,4}$",
    ),
    _sign("EarlyStopping: Training stopped early", Kind.TRAINING_FINISHED),
    _sign("Signaling Trainer to stop", Kind.TRAINING_FINISHED, r"did not improve|Stopping threshold reached"),
    _sign("Running Evaluation *****", Kind.EVALUATED),
    _sign("Continuing training from global step", Kind.RESUMED, r"global step ([\d,]{1,18})", _step),
    _sign("Resuming training from checkpoint with", Kind.RESUMED, r"global step ([\d,]{1,18})", _step),
    # nanoGPT, litgpt, Ultralytics; Lightning. The step is told by the entries around the line.
    _sign("Resuming training from", Kind.RESUMED, r"Resuming training from \S"),
    _sign("Resuming from", Kind.RESUMED, r"Resuming from \S"),
    _sign("Resume training from", Kind.RESUMED, r"Resume training from \S"),
    _sign("Loaded checkpoint", Kind.RESUMED, r"Loaded checkpoint (?:from )?['\"]?[\w.~-]{0,400}/\S"),
    _sign("Loading checkpoint from", Kind.RESUMED, r"Loading checkpoint from \S"),
    # The ImageNet example of PyTorch and what was copied from it; loops of one's own.
    _sign("=> loaded checkpoint", Kind.RESUMED, r"=> loaded checkpoint '[^']{1,400}' \(epoch"),
    _sign("resum", Kind.RESUMED, rf"\bresum(?:ed|ing)(?: training)? (?:from|at) {_SOMEWHERE}"),
    _sign(
        "Resum", Kind.RESUMED, rf"\bResumed(?: training)? (?:from|at) {_SOMEWHERE}(?!.{{1,300}} at (?:global )?step)"
    ),
    _sign("Restor", Kind.RESUMED, r"Restor(?:ed all|ing) states from the checkpoint"),
    _sign("kpoint from", Kind.RESUMED, r"successfully loaded checkpoint from .{0,400}iteration +(\d{1,18})", _step),
    _sign("Resumed from ", Kind.RESUMED, r"\bResumed from .{1,300}? at (?:global )?step ([\d,]{1,18})", _step),
    _sign("Saving model checkpoint", Kind.CHECKPOINT_SAVED, r"Saving model checkpoint(?: to|:) (\S+)", _saved),
    _sign("kpoint from", Kind.CHECKPOINT_SAVED, r"successfully saved checkpoint from iteration +(\d{1,18})", _step),
    _sign("Saved checkpoint at epoch", Kind.CHECKPOINT_SAVED, r"step (\d{1,18})", _step),
    # Data and labels.
    _sign(
        "kenization mismatch: ",
        Kind.TOKENIZATION_MISMATCH,
        r"mismatch: (-?\d{1,18}) vs\. (-?\d{1,18})",
        _difference,
    ),
    _sign("Could not find response key", Kind.RESPONSE_TEMPLATE_NOT_FOUND),
    _sign("Could not find instruction key", Kind.RESPONSE_TEMPLATE_NOT_FOUND),
    _sign("All labels in your dataset are -100", Kind.ALL_LABELS_IGNORED),
    _sign("Setting `pad_token_id` to `eos_token_id`", Kind.PAD_TOKEN),
    _sign("pad token is same as eos token", Kind.PAD_TOKEN),
    # Model and weights.
    _sign("None of the inputs have requires_grad=True", Kind.NO_INPUT_REQUIRES_GRAD),
    # "... because the shapes did not match" is printed only where `ignore_mismatched_sizes=True` asked for it
    # (`PreTrainedModel._load_pretrained_model`); without it loading raises "size mismatch for".
    _sign(_WEIGHTS, Kind.NEWLY_INITIALIZED, r"not initialized from .{0,400}newly initialized"),
    _sign(_WEIGHTS, Kind.UNUSED_WEIGHTS, r"Some weights of the model checkpoint .{0,400}were not used"),
    _sign(
        "issing keys",
        Kind.NEWLY_INITIALIZED,
        r"[Mm]issing keys?(?: in [\w ]{1,40})?: ?[\[{]?['\"]?[A-Za-z_]\w{0,60}\.\w|[1-9]\d{0,8} missing keys",
    ),
    _sign("missing_keys=", Kind.NEWLY_INITIALIZED, r"missing_keys=\['"),
    # Twenty and more of either: no head that was left out, but names that do not meet (a prefix, another model).
    _sign(
        "issing keys",
        Kind.NOTHING_LOADED,
        r"(?:[2-9]\d|[1-9]\d{2,8}) missing keys?,? (?:and )?(?:[2-9]\d|[1-9]\d{2,8}) unexpected",
    ),
    _sign("missing_keys=", Kind.NOTHING_LOADED, rf"missing_keys=\[{_NAMES}.{{0,20000}}\], unexpected_keys=\[{_NAMES}"),
    _sign("from scratch", Kind.NOTHING_LOADED, rf"{_ABSENT}.{{0,300}}from scratch"),
    _sign("initial weights", Kind.NOTHING_LOADED, rf"{_ABSENT}.{{0,300}}initial weights"),
    _sign("from random", Kind.NOTHING_LOADED, rf"{_ABSENT}.{{0,300}}from random"),
    _sign("andomly initiali", Kind.NOTHING_LOADED, rf"{_ABSENT}.{{0,300}}[Rr]andomly initiali"),
    _sign("=> no checkpoint found at", Kind.NOTHING_LOADED),  # the ImageNet example of PyTorch
    _sign(
        "loat16",
        Kind.WEIGHTS_IN_FP16,
        _IN_FP16,
    ),
    # Programs that compare their replicas.
    *(
        _sign(said, Kind.RANKS_DIFFER, rf"{_REPLICA}.{{0,100}}{_UNLIKE} {said}")
        for said in ("between ranks", "across ranks")
    ),
    _sign("Size([", Kind.SIZE_MISMATCH, r"size mismatch for "),
    _sign("Error(s) in loading state_dict", Kind.CHECKPOINT_REFUSED),
    _sign("PytorchStreamReader failed", Kind.CHECKPOINT_REFUSED),
    _sign("Error while deserializing header", Kind.CHECKPOINT_REFUSED),
    _sign("DATA_LOSS: ", Kind.CHECKPOINT_REFUSED, r"(?i:checkpoint|ckpt|sstable)"),
    _sign("unexpected EOF, expected ", Kind.CHECKPOINT_REFUSED, r"expected \d{1,18} more bytes"),
    _sign("EOFError: Ran out of input", Kind.CHECKPOINT_REFUSED),
    _sign("pickle data was truncated", Kind.CHECKPOINT_REFUSED),
    _sign("invalid header or archive is corrupted", Kind.CHECKPOINT_REFUSED),
    _sign("truncated file: eof = ", Kind.CHECKPOINT_REFUSED),
    _sign("BadZipFile: ", Kind.CHECKPOINT_REFUSED, r"BadZipFile: File is not a zip file"),
    _sign("Weights only load failed", Kind.CHECKPOINT_REFUSED),
    _sign(
        "in _load_rng_state",
        Kind.CHECKPOINT_REFUSED,
        r"^\W{0,9}(?:\[rank\d{1,5}\]: {0,9})?File \"[^\"]{1,400}\", line \d{1,9}, in _load_rng_state",
    ),
    _sign("Unable to find latest file at", Kind.CHECKPOINT_REFUSED),
    _sign("Can't find a valid checkpoint at", Kind.CHECKPOINT_REFUSED),
    _sign(
        "Saving the full checkpoint instead",
        Kind.GATHER_DISABLED,
        r"stage3_gather_\w{1,20}_weights_on_model_save=false",
    ),
    *(_sign(anchor, Kind.FRAMEWORK_WARNING, confirm) for anchor, confirm in WARNED),
    *(_sign(anchor, Kind.NO_TRAINING_DATA, confirm) for anchor, confirm in NO_TRAINING_DATA),
    _sign(" non-null", Kind.COLUMN_FILLED, r"^\s{0,9}\d{1,5}\s{1,9}\S.{0,200}?\s(\d{1,12}) non-null\b", _value),
    # Optimizer and schedule.
    _sign("Detected call of `lr_scheduler.step()` before", Kind.LR_BEFORE_STEP),
    _sign("pping, returning lr=0", Kind.LR_UNAVAILABLE, r"tried to get lr value before"),
    _sign("Attempting to unscale FP16 gradients", Kind.UNSCALE_FP16),
    # Numerics.
    _sign("Partitioning pipeline stages", Kind.PIPELINE_ENGINE, r"_partition_layers"),
    *(
        _sign(said, Kind.NON_CUDA_DEVICE, rf"{said}.{{0,200}}?\b(?:npu|xpu|hpu|mps|mlu|musa|xla|sdaa)\b")
        for said in ("Process rank: ", "Using device", "Setting ds_accelerator to ")
    ),
    _sign("STAGE=", Kind.PIPELINE_ENGINE, r"\bSTAGE=\d+ LAYERS=\d+ \["),  # PipelineEngine.__init__
    _sign("SDPA backward got grad_output.strides()", Kind.CUDNN_SDPA_STRIDES, r"cuDNN SDPA backward"),
    _sign("Was asked to gather along dimension 0", Kind.DATA_PARALLEL),
    # transformers >= 5.0 prints a table, `utils/loading_report.py`.
    _sign("LOAD REPORT", Kind.NEWLY_INITIALIZED, r"LOAD REPORT.{0,400} from: "),
)
