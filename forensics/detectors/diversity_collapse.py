"""A model uses one code, one expert or one place for everything."""

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from forensics.deferred.patterns import expression
from forensics.detectors._wording import number
from forensics.model import Finding, Floats, Run, Series
from forensics.model.statistics import median
from forensics.names import LOSS
from forensics.plugin import detector

LEAST, SHOWN = 6, 3
"""Entries that are asked for, and those of them at the end that are spent."""
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
    Measure(
        _named(r"(?:\w{1,20}[_ ])?(?:perplexity|ppl)|(?:code)?s?_?ppl\w{0,6}|ppl_codes|(?:used|active)[_ ]codes"),
        4.0,
        1.1,
        "one code stands for every input",
        quantized=True,
    ),
    Measure(
        _named(r"(?:codebook|router|routing|gate|gating|expert|moe|attn|attention)\w{0,12}[/_ ]entropy(?:[/_ ]mean)?"),
        0.3,
        0.03,
        "one choice takes everything",
    ),
    Measure(
        _named(
            r"max[/_ ](?:expert[/_ ])?(?:load|share|usage|fraction|util\w{0,8})"
            r"|top[/_ ]expert(?:[/_ ](?:share|fraction))?"
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
    Measure(
        _named(r"(?:neg(?:ative)?[/_ ]?dist\w{0,6}|d(?:ist)?[/_ ]?(?:neg\w{0,6}|an)|d ?\(a, ?n\))"),
        0.02,
        0.002,
        "what should be far apart is given one place",
    ),
    Measure(_named(r"(?:n[/_ ])?(?:active[/_ ]units|au)"), 1.0, 0.0, "no latent tells anything of its input"),
    Measure(_named(r"(?:n[/_ ])?modes(?:[/_ ]covered)?"), 3.0, 1.0, "everything that is made is alike"),
)
TERM = expression(r"^(?:train[/_ ]|loss/)?(?:kld?|kl[/_ ](?:loss|div(?:ergence)?))$", re.IGNORECASE)
RECONSTRUCTION = expression(r"(?:^|[/_ ])rec(?:on)?\w{0,12}(?:[/_ ]|$)", re.IGNORECASE)
MARGIN_NAMES, AT_MARGIN, ABOVE = ("margin", "triplet_margin", "loss_margin"), 0.02, 1.1
"""How a margin is set; by what share of it a loss may lie off it to the end, and how far above it began."""
POSTERIOR, NATS = 1e-3, 0.05
"""What is left of the divergence from the prior: its share of the reconstruction, and nats. Both are means over the
same things, so that their ratio does not depend on how they are averaged."""


@detector("diversity-collapse")
def diversity_collapse(run: Run) -> Iterator[Finding]:
    """Find codes, experts, attention or embeddings of which one alone is left.

    Source: the perplexity of a codebook is the number of codes in use, 1 when one is (van den Oord et al., arXiv
    1711.00937); an entropy of a router of 0 and a largest share of 1 are one expert for all tokens (Shazeer et al.,
    arXiv 1701.06538); the deviation of embeddings falls to 0 where they collapse (Chen and He, arXiv 2011.10566).
    So does the divergence of an autoencoder from its prior, to a thousandth of the reconstruction and 0.05 nats, where
    its decoder learns without its latents (Bowman et al., arXiv 1511.06349).
    Or a loss that comes to rest within 2 % of the margin that is set for it (`margin`), as triplets do whose distances
    are all 0.
    Minimum: six finite entries, whose last third (three at least) is spent throughout and of which one was alive; codes
    may be spent in all but the first third of the entries.
    Silenced by: a perplexity where nothing says that codes are quantized.
    Known false alarms: none known; no healthy run of 691 logs such a metric at all, so that only simulated
    ones say how they look.
    """
    quantizes = any(QUANTIZED.search(name) for name in run.timeline.series)
    for name, series in sorted(run.timeline.series.items()):
        measures = [each for each in MEASURES if each.name.search(name) and (quantizes or not each.quantized)]
        if len(series) < LEAST or not measures:
            continue
        finite = np.flatnonzero(np.isfinite(series.values))
        for measure in measures if len(finite) >= LEAST else ():
            index = _spent(series.values[finite], measure)
            if index is not None:
                yield _finding(series, finite[index], measure)
                return
    yield from (*_of_a_posterior(run), *_at_its_margin(run))


def _spent(values: Floats, measure: Measure) -> int | None:
    """Return the entry from which the metric is spent to the end; None where it is alive."""
    if bool((values < 0).any()) or (measure.largest and float(values.max()) > 1 + 1e-6):
        return None
    spent = values >= 1 - measure.spent if measure.largest else values <= measure.spent
    alive = values <= measure.alive if measure.largest else values >= measure.alive
    if measure.quantized and bool(spent[len(values) // 3 :].all()):
        return int(np.argmax(spent))
    if not bool(spent[-max(SHOWN, len(values) // 3) :].all()) or not bool(alive.any()):
        return None
    return int(np.flatnonzero(~spent)[-1]) + 1


def _at_its_margin(run: Run) -> Iterator[Finding]:
    """Find a loss of triplets that comes to rest at its margin, where all distances are 0 (arXiv 1503.03832, 3.2)."""
    margin = next((found for name in MARGIN_NAMES if (found := run.environment.number(name)) is not None), None)
    series = run.timeline.get(LOSS)
    if margin is None or margin <= 0 or series is None or len(series) < LEAST:
        return
    values, last = series.values, series.values[-max(SHOWN, len(series) // 3) :]
    off = np.abs(last - margin) / margin
    if not bool(np.isfinite(values).all()) or float(off.max()) > AT_MARGIN or float(values[0]) < ABOVE * margin:
        return
    index = int(np.flatnonzero(np.abs(values - margin) > AT_MARGIN * margin)[-1]) + 1
    step = int(series.steps[index])
    yield Finding(
        symptom="diversity-collapse",
        severity="warning",
        statement=f"the loss falls from {number(float(values[0]))} and rests at its margin of {number(margin)}, as "
        "where every input is given one place",
        source=series.source_at(index),
        step=step,
        step_range=(int(series.steps[index - 1]), step),
    )


def _of_a_posterior(run: Run) -> Iterator[Finding]:
    """Find an autoencoder whose latents follow the prior whatever the input: their divergence from it is spent."""
    rebuilt = next((series for name, series in run.timeline.series.items() if RECONSTRUCTION.search(name)), None)
    for name, series in sorted(run.timeline.series.items()):
        values, third = series.values, max(SHOWN, len(series) // 3)
        if rebuilt is None or not TERM.search(name) or len(values) < LEAST or len(rebuilt) < LEAST:
            continue
        last, against = values[-third:], median(np.abs(rebuilt.values[-third:]))
        if not bool(np.isfinite(last).all()) or float(np.abs(last).max()) > min(NATS, POSTERIOR * against):
            continue
        alive = np.flatnonzero(~(np.abs(values) <= min(NATS, POSTERIOR * against)))
        index = int(alive[-1]) + 1 if len(alive) else 0
        step = int(series.steps[index])
        yield Finding(
            symptom="diversity-collapse",
            severity="warning",
            statement=f"{name} is {number(median(last))} beside a reconstruction of {number(against)}: "
            "no latent tells anything of its input",
            source=series.source_at(index),
            step=step,
            step_range=(int(series.steps[index - 1]) if index else None, step),
        )
        return


def _finding(series: Series, index: int, measure: Measure) -> Finding:
    known = series.values[: max(index, 1)][np.isfinite(series.values[: max(index, 1)])]
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
