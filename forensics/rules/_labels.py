"""What kind of loss a run has, and whether any label counts in it."""

import re

import numpy as np

from forensics.deferred.patterns import expression
from forensics.model import Explained, Run
from forensics.names import LOSS, Kind
from forensics.plugin import Condition
from forensics.rules._curves import finite_beside, norm_is, series_of
from forensics.rules._seen import Seen, first, held, unless
from forensics.rules._tensors import poisoned
from forensics.rules._told import happened

CTC = expression(r"(?<![a-z])ctc|(?:For|Loss)CTC|CTC(?:Loss|BPE|Model)", re.IGNORECASE)
NAMES_OF_THE_LOSS = (
    "loss",
    "loss_type",
    "criterion",
    "criterion._name",
    "model.architectures",
    "_target_",
    "model_type",
    "task",
)


def is_ctc(run: Run, _: Explained | None = None) -> Seen | None:
    """Tell whether the loss is CTC, by a metric, a setting or the model; false where the model has another head."""
    loss = series_of(run, LOSS)
    if loss is not None and CTC.search(loss.logged_as):
        return Seen(True, f"the loss is {loss.logged_as}", loss.source_at(0), "kind of loss")
    for name, series in run.timeline.series.items():
        if CTC.search(name) and len(series):
            return Seen(True, f"{name} is logged", series.source_at(0), "kind of loss")
    for name in NAMES_OF_THE_LOSS:
        setting = run.environment.best(name)
        if setting is not None and CTC.search(str(setting.value)):
            return Seen(True, f"{name} is {setting.value}", setting.source, "kind of loss")
    heads = run.environment.best("model.architectures")
    if heads is not None and heads.value:
        return Seen(False, f"the model is {heads.value}", heads.source, "kind of loss")
    return None


def no_label_counts(run: Run, explained: Explained) -> Seen | None:
    """Tell whether no label counted: a mean over no token is NaN, and its gradients are exactly zero.

    None where neither a gradient norm nor a line of the trainer tells.
    """
    told = held(happened(run, Kind.ALL_LABELS_IGNORED)) or held(log_probabilities_zero(run))
    zero = norm_is(run, explained, "zero")
    others = (compares_samples(run), predicts_classes(run))
    return told or unless(zero, finite_beside(run, explained), poisoned(run, explained), *others)


CLASSES = expression(r"For(?:Sequence|Image|Audio|Video)Classification\b|ForMultipleChoice\b")


def predicts_classes(run: Run) -> Seen | None:
    """Tell whether the model gives a sample one class: no mask takes that label away, and one class alone costs 0."""
    setting = run.environment.best("model.architectures")
    if setting is None or not setting.value:
        return None
    said = f"the model is {setting.value}, of which no label is masked"
    return Seen(CLASSES.search(str(setting.value)) is not None, said, setting.source, "head of the model")


def log_probabilities_zero(run: Run) -> Seen | None:
    """Tell whether the summed log-probabilities of the answers are exactly 0: a sum over no token."""
    for name in ("logps/chosen", "logps/rejected"):
        series = run.timeline.get(name)
        if series is not None and len(series):
            zero = bool(np.all(series.values == 0))
            said = f"{name} is {'exactly 0 in' if zero else 'not 0 in all of'} {len(series)} entries"
            return Seen(zero, said, series.source_at(0), "log-probabilities")
    return None


HEADLESS = expression(r"^\W*\w+Model\W*$")
"""Architectures of transformers without a head: they embed, and a contrastive loss may truly be 0 (one candidate)."""


def without_head(run: Run) -> Seen | None:
    """Tell whether the model predicts no label at all; None where its configuration does not say."""
    setting = run.environment.best("model.architectures")
    if setting is None or not setting.value:
        return None
    said = f"the model is {setting.value}, which has no head to predict labels"
    return Seen(HEADLESS.match(str(setting.value)) is not None, said, setting.source, "head of the model")


COMPARES = expression(
    r"Multiple\s*Negatives|InfoNCE|NT-?Xent|\bGIST|SimCSE|contrastive|in.?batch|\bCLIP", re.IGNORECASE
)
"""Losses whose wrong answers are the other samples of the batch (sentence-transformers, OpenCLIP, SimCLR)."""
LOSSES = ("loss", "loss_type", "loss_name", "loss_function", "criterion", "task", "task_type")
EMBEDS = expression(
    r"Flag_?Embedding|sentence.?transformers|tevatron|contrastors|open_?clip|(?:^|[/_-])(?:bge|e5|gte|simcse)[-_]"
    r"|embedd(?:ing|er)",
    re.IGNORECASE,
)
"""Trainers and models of embeddings, which learn by such losses."""


def compares_samples(run: Run) -> Seen | None:
    """Tell whether the loss compares samples: it, its trainer or its model is named so, or no head predicts labels."""
    for name in LOSSES:
        setting = run.environment.best(name)
        if setting is not None and COMPARES.search(str(setting.value)):
            return Seen(True, f"{name} is {setting.value}", setting.source, "loss that compares")
    return first(held(without_head(run)), held(_embeds(run)), without_head(run))


def _embeds(run: Run) -> Seen | None:
    command, model = run.environment.best("launch", "command"), run.environment.best("model_name_or_path")
    for setting in (command, model):
        told = None if setting is None else EMBEDS.search(str(setting.value))
        if setting is not None and told is not None:
            return Seen(True, f"{setting.name} names {told[0].strip('/_-')}", setting.source, "trainer of embeddings")
    return None


NO_LABEL = Condition("no label counts (grad_norm is exactly 0 beside a loss of 0 or NaN)", no_label_counts)
