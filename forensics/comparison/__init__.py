"""Two runs side by side: what differs, and which difference the rules hold to matter for what went wrong.

`compare(good, bad)` asks of every difference what the reasoning about BAD would come to if BAD had had GOOD's
value. The drop in points of the cause is the weight of the difference: no list of "important settings" is kept.
"""

from forensics.comparison.compare import compare
from forensics.comparison.difference import (
    RELEVANCES,
    Comparison,
    Difference,
    Divergence,
    RecordsCompared,
    Relevance,
    Side,
    WeightsCompared,
)
from forensics.comparison.weights import compare_weights

__all__ = [
    "RELEVANCES",
    "Comparison",
    "Difference",
    "Divergence",
    "RecordsCompared",
    "Relevance",
    "Side",
    "WeightsCompared",
    "compare",
    "compare_weights",
]
