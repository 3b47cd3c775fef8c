"""What a program steers by its settings while it trains: weights of terms, shares of teacher forcing, stages.

A loss may rise by design while one of them moves. They are told by what they are called and by having no noise.
"""

import re

import numpy as np

from forensics.deferred.patterns import expression
from forensics.model import Floats, Run, Series
from forensics.names import EVALUATION, LOSS, is_loss

STEERED = expression(
    r"weight(?!s)(?!.?decay)|(?<![A-Za-z])(?:w|beta|lambda|lam|lambd|alpha|gamma|tau|coef\w{0,7}|anneal\w{0,5}|tf|level"
    r"|stage|phase|curriculum|difficulty|forcing|temperature|temp|noise|sigma|sampling|warm(?:up)?)(?![A-Za-z])"
    r"|(?:seq\w{0,6}|max)[_ ]len|curriculum|forcing|annealing|resolution|image_size",
    re.IGNORECASE,
)
"""`kl_weight`, `beta`, `tf_ratio`, `lambda_adv`, `curriculum level`, `sampling_prob`, `seq_len`."""
TERM = expression(
    r"(?<![A-Za-z])(?:kl|kld|kl_div|recon\w{0,12}|rec|nll|bce|mse|ce|l1|rate|distortion)(?![A-Za-z])", re.IGNORECASE
)
SAME = expression(r"(?<![A-Za-z])(?:ppl|perplexity|bp[bc])(?![A-Za-z])", re.IGNORECASE)
"""The loss in other units: no term of it."""
LEAST, MOVES, KINKS = 8, 0.1, 1e-6
"""Entries, by which share of its whole way such a quantity moves while the loss rises, and its steps back."""
GREW, EXACT, MOST_TERMS = 1.3, 0.03, 6
"""How many times its first a weight that follows from the terms ends, how steadily it grows, and terms at most."""


def steered(run: Run, series: Series, index: int) -> str:
    """Return in words what the program moved while a loss rose from `index` on; empty where nothing was.

    It moves one way only, from entry to entry, and by a tenth of its whole way since five entries before the loss left
    its level. Where no such quantity was logged, the weight of a term may follow from the terms: the whole less the
    others, divided by the term, grows steadily then.
    """
    begin = max(0, index - max(5, len(series) // 5))
    for name, beside in sorted(run.timeline.series.items()):
        if beside is series or is_loss(name) or not STEERED.search(name) or EVALUATION.search(name):
            continue
        values = _beside(series, beside)
        if values is not None and _one_way(values) and abs(values[-1] - values[begin]) > MOVES * float(np.ptp(values)):
            return f"{name} goes from {float(values[begin]):.3g} to {float(values[-1]):.3g} meanwhile"
    return _weight_of_a_term(run, series) if series.name == LOSS else ""


def _beside(series: Series, other: Series) -> Floats | None:
    """Return the values of another series at the entries of one, float64 (n,); None where one is missing."""
    if len(series) < LEAST or other.axis != series.axis or len(other) < len(series):
        return None
    places = np.searchsorted(other.steps, series.steps)
    if int(places[-1]) >= len(other) or not bool((other.steps[places] == series.steps).all()):
        return None
    values = other.values[places]
    return values if bool(np.isfinite(values).all()) else None


def _one_way(values: Floats) -> bool:
    moves = np.diff(values)
    back = KINKS * float(np.ptp(values))
    return float(np.ptp(values)) > 0 and (bool((moves >= -back).all()) or bool((moves <= back).all()))


def _weight_of_a_term(run: Run, series: Series) -> str:
    """Return that a term of a loss weighs more and more, as whole and terms show; empty where they do not."""
    terms = {
        name: values
        for name, other in sorted(run.timeline.series.items())
        if other is not series and (is_loss(name) or TERM.search(name)) and not EVALUATION.search(name)
        if not SAME.search(name)
        if (values := _beside(series, other)) is not None and float(values.min()) > 0
    }
    if not 2 <= len(terms) <= MOST_TERMS or not bool(np.isfinite(series.values).all()):
        return ""
    whole = sum(terms.values(), np.zeros(len(series)))
    for name, term in terms.items():
        weight = (series.values - (whole - term)) / term
        slack = EXACT * float(np.ptp(weight))
        grows = float(weight.min()) >= -slack and bool((weight >= np.maximum.accumulate(weight) - slack).all())
        if grows and weight[-1] > GREW * max(float(weight[0]), 0.0) and weight[-1] - weight[0] > EXACT:
            return f"{name} weighs {float(weight[0]):.3g} times at first and {float(weight[-1]):.3g} times at the end"
    return ""
