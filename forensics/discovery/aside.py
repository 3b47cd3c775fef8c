"""Files that lie beside a run and are not of it: documentation, source code, tests, data, predictions.

A project is trained in its own folder, so that its README quotes the failures of others, its tests raise what they
check, and its data have a column `loss`. What such files tell of settings may hold for the run; their curves and their
deaths are not its own while it has a log, a state or an event file itself.
"""

import re
from collections.abc import Iterable, Sequence

from forensics.deferred.patterns import expression
from forensics.model import Fact, Samples, Setting, Skip

_LOG = r"(?:log|out|err)(?:\.\d{1,9})?$"
_KINDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "documentation",
        expression(
            r"(?:^|/)(?:docs?|documentation)/"
            # What no documentation is written in: `history.csv` is a curve, `news_classifier.log` a log.
            rf"|(?:^|/)(?![^/]*\.(?:csv|tsv|jsonl?|ndjson|{_LOG}))"
            r"(?:readme|changelog|changes|history|news|contributing|security|faq|troubleshooting|install(?:ation)?"
            r"|code_of_conduct|licen[sc]e|notice|authors|todo)(?:[._-][^/]*)?$",
            re.IGNORECASE,
        ),
    ),
    # Not `test`: summary writers have a folder for each kind of data (train, validation, test).
    ("a test", expression(r"(?:^|/)(?:tests|__tests__|testdata|test_data)/", re.IGNORECASE)),
    ("data", expression(r"(?:^|/)(?:data|datasets?|raw_data|corpus|corpora)/", re.IGNORECASE)),
    (
        "a prediction",
        expression(rf"(?:^|/)(?![^/]*\.{_LOG})(?:generated_)?predictions?(?:[._-][^/]*)?$", re.IGNORECASE),
    ),
    (
        "source code",
        expression(r"\.(?:py|pyi|sh|c|cc|cpp|cxx|cu|cuh|h|hpp|js|ts|java|go|rs|css|tex|bib|rst)$", re.IGNORECASE),
    ),
)


def aside(path: str) -> str:
    """Return what a file beside a run is by its path in the run's folder; empty for what may be of the run.

    >>> aside("README.md"), aside("data/claims.csv"), aside("data_parallel.log"), aside("history.csv")
    ('documentation', 'data', '', '')
    """
    return next((kind for kind, pattern in _KINDS if pattern.search(path)), "")


def of_the_run(facts: Iterable[tuple[str, Sequence[Fact]]]) -> list[Fact]:
    """Return the facts of all files, given with their paths; of files aside only settings, if others have a curve."""
    told = list(facts)
    if not any(isinstance(fact, Samples) for path, each in told if not aside(path) for fact in each):
        return [fact for _, each in told for fact in each]
    kept: list[Fact] = []
    for path, each in told:
        kind = aside(path)
        some = [fact for fact in each if not kind or isinstance(fact, Setting)]
        if len(some) < len(each):
            kept.append(Skip(path, f"{kind}, not a record of this run (name it alone to have it read)"))
        kept.extend(some)
    return kept
