"""A model uses one code, one expert or one place for everything."""

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from forensics.deferred.patterns import expression
from forensics.detectors._wording import number
from forensics.model import Finding, Floats, Run, Series
from forensics.plugin import detector

LEAST = 20
QUANTIZED = expression(
    r"(?:^|[/_ ])(?:vq|rvq|fsq|commit(?:ment)?|codebook\w{0,8}|quanti[sz]\w{0,8})(?:[/_ ]|$)", re.IGNORECASE
)
"""Who quantizes: the perplexity of a language model is another thing, which is to fall."""


class Measure(NamedTuple):
    """A metric of how evenly something is used."""

    name: re.Pattern[str]
    alive: float
    """What it was at its best, at least; the highest of a share that is to be spread, at its best at most."""
    spent: float
    """What is left of it in the last third at most; a share that one takes is 1 less this."""
    meaning: str
    quantized: bool = False
    largest: bool = False


def _named(pattern: str) -> re.Pattern[str]:
    return expression(rf"(?:^|[/_ ])(?:{pattern})$", re.IGNORECASE)


MEASURES = (
    Measure(_named("perplexity"), 4.0, 1.1, "one code stands for every input", quantized=True),
    Measure(
        _named(r"(?:codebook|router|routing|gate|gating|expert|moe|attn|attention)\w{0,12}[/_ ]entropy(?:[/_ ]mean)?"),
        0.3,
        0.03,
        "one choice takes everything",
    ),
    Measure(
        _named(
            r"max[/_ ](?:expert[/_ ])?(?:load|share|usage|fraction|util\w{0,8})"
            r"|(?:expert|load|router)[/_ ](?:load[/_ ])?max(?:[/_ ](?:share|fraction))?"
        ),
        0.6,
        0.05,
        "one expert gets all tokens",
        largest=True,
    ),
    Measure(
        _named(r"(?:feat(?:ure)?|emb(?:edding)?|repr(?:esentation)?|latent|z|proj(?:ection)?)s?[/_ ]std"),
        1e-3,
        1e-4,
        "every input is given the same place",
    ),
)


@detector("diversity-collapse")
def diversity_collapse(run: Run) -> Iterator[Finding]:
    """Find codes, experts, attention or embeddings of which one alone is left.

    Source: the perplexity of a codebook is the number of codes in use, 1 when one is (van den Oord et al., arXiv
    1711.00937); an entropy of a router of 0 and a largest share of 1 are one expert for all tokens (Shazeer et al.,
    arXiv 1701.06538); the deviation of embeddings falls to 0 where they collapse (Chen and He, arXiv 2011.10566).
    Minimum: 20 finite entries, whose last third is spent throughout and of which one was alive.
    Silenced by: a perplexity where nothing says that codes are quantized.
    Known false alarms: none known; no healthy run of 691 logs such a metric at all, so that only simulated
    ones say how they look.
    """
    quantizes = any(QUANTIZED.search(name) for name in run.timeline.series)
    for name, series in sorted(run.timeline.series.items()):
        finite = np.flatnonzero(np.isfinite(series.values))
        if len(finite) < LEAST:
            continue
        for measure in MEASURES:
            if measure.name.search(name) and (quantizes or not measure.quantized):
                index = _spent(series.values[finite], measure)
                if index is not None:
                    yield _finding(series, finite[index], measure)
                    return


def _spent(values: Floats, measure: Measure) -> int | None:
    """Return the entry from which the metric is spent to the end; None where it is alive."""
    if bool((values < 0).any()) or (measure.largest and float(values.max()) > 1 + 1e-6):
        return None
    spent = values >= 1 - measure.spent if measure.largest else values <= measure.spent
    alive = values <= measure.alive if measure.largest else values >= measure.alive
    if not bool(spent[-(len(values) // 3) :].all()) or not bool(alive.any()):
        return None
    return int(np.flatnonzero(~spent)[-1]) + 1


def _finding(series: Series, index: int, measure: Measure) -> Finding:
    known = series.values[:index][np.isfinite(series.values[:index])]
    best = float(known.min() if measure.largest else known.max())
    step = int(series.steps[index])
    return Finding(
        symptom="diversity-collapse",
        severity="warning",
        statement=f"{series.name} goes from {number(best)} to {number(float(series.values[-1]))}: {measure.meaning}",
        source=series.source_at(index),
        step=step,
        step_range=(int(series.steps[index - 1]) if index else None, step),
    )
