"""A metric of evaluation that has the one value of a model which gives one answer to everything."""

import re

import numpy as np

from forensics.model import Run, Series
from forensics.names import EVALUATION, is_loss

ALWAYS = 10
"""Evaluations throughout which it must be that value: a model needs some before its first right answer."""
PREFIX = r"(?:eval|val|valid|validation|test|dev)[/_ ]"
WHOLE = r"(?:(?:macro|micro|weighted|mean|avg|overall)[/_ ])?"
WORST = re.compile(r"(?<![A-Za-z])(?:wer|cer|word_error_rate)(?![A-Za-z])", re.IGNORECASE)
QUALITY = re.compile(
    rf"^{PREFIX}{WHOLE}(?:acc|accuracy|top[-_]?1|f1|f1_score|recall|precision|mcc|matthews_correlation|bleu|rouge\w{{0,5}}|auc"
    r"|m?ap|m?iou|dice|exact_match|em|score)(?:[-_ ](?:macro|micro|weighted|score))?$"
    r"|^metrics/(?:precision|recall|map\d{0,3}(?:-\d{1,3})?)(?:\([a-z]\))?$",
    re.IGNORECASE,
)
"""The quality of the whole; that of one class or head of several may be lost, or never be there."""


def stuck(run: Run) -> tuple[Series, str] | None:
    """Return a metric of ten evaluations and more that is at its worst in all of them, and how to say so.

    An error rate of words or characters of 1 (100 %), or a score of exactly 0; not where the losses of evaluation are 0
    throughout as well: Ultralytics writes that where it did not evaluate.
    """
    skipped = any(
        EVALUATION.search(name) and is_loss(name) and len(s) > 1 and not s.values.any()
        for name, s in run.timeline.series.items()
    )
    for name, series in sorted(run.timeline.series.items()):
        known = series.values
        if len(known) < ALWAYS or not bool(np.isfinite(known).all()) or float(np.ptp(known)) > 0:
            continue
        worst = WORST.search(name) and float(known[0]) in {1.0, 100.0}
        nothing = QUALITY.search(name) and float(known[0]) == 0 and not skipped
        if worst or nothing:
            return series, f"{name} is {float(known[0]):g} in all of {len(known)} evaluations"
    return None
