"""What metrics are called that more than one detector asks for."""

import re

from forensics.deferred.patterns import expression

ERROR = expression(
    r"(?:^|[/_ ])(?:val|valid|validation|eval|evaluation|test|dev)[/_ ](?:\w{1,30}[/_ ])?"
    r"(?:loss|mse|msle|mae|rmse|mape|error|nll|perplexity|ppl)$",
    re.IGNORECASE,
)
"""Errors over validation data, which are numbers as long as predictions are; scores need not be (no positives)."""
