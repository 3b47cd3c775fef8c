"""A history as lists of numbers by metric, as Keras' `History.history` is dumped.

    {"loss": [0.9, 0.7], "val_loss": [0.95, 0.8], "lr": [0.001, 0.001]}

The lists have one length: one number an epoch there, but the file does not say so; the numbers are entries.
"""

import re
from collections.abc import Iterator, Mapping

import numpy as np

from forensics.model import UNKNOWN_STEP, Artifact, Fact, Precision, Samples
from forensics.names import canonical
from forensics.plugin import reader
from forensics.readers._environment import damage, load_object

_MARK = re.compile(rb'"[\w/ -]{0,40}loss"\s*:\s*\[\s*(?:-?\d|NaN|null|\])', re.IGNORECASE)
_INNER = ("history", "hist")


def looks_like_history(head: bytes) -> bool:
    """Tell whether JSON gives a loss as a list of numbers."""
    return head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"{") and _MARK.search(head) is not None


@reader("history-json", sniff=looks_like_history)
def history_json(artifact: Artifact) -> Iterator[Fact]:
    """JSON with lists of numbers by metric: Keras' history, and what scripts collect and dump at their end."""
    document, found = load_object(artifact)
    if found is None:
        return
    yield from damage(artifact, document, "the lists before it were read")
    held: Mapping[str, object] = next(
        (inner for name in _INNER if isinstance(inner := found.get(name), Mapping)), found
    )
    columns = {name: values for name, value in held.items() if (values := _numbers(value)) is not None}
    longest = next((len(values) for name, values in columns.items() if name.lower().endswith("loss")), 0)
    for name, values in columns.items():
        if longest and len(values) == longest:
            yield Samples(
                name=canonical(name),
                steps=np.full(longest, UNKNOWN_STEP, dtype=np.int64),
                values=values,
                records=np.arange(longest, dtype=np.int64),
                path=artifact.path,
                place="[{}]",
                precision=Precision.DOUBLE,
            )


def _numbers(value: object) -> "np.ndarray[tuple[int], np.dtype[np.float64]] | None":
    """Return a list of numbers as float64, null as NaN; None for anything else, and for no numbers at all."""
    if not isinstance(value, list) or not value:
        return None
    if not all(each is None or (isinstance(each, (int, float)) and not isinstance(each, bool)) for each in value):
        return None
    return np.array([np.nan if each is None else float(each) for each in value], dtype=np.float64)
