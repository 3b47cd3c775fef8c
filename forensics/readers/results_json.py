"""Final metrics: `all_results.json`, `train_results.json`, `eval_results.json`.

Written by `Trainer.save_metrics` (`transformers/trainer_pt_utils.py`); `all_results.json` is updated in place, so
it may mix several runs of one output directory, and it knows no step:

    {
        "epoch": 3.0,
        "train_loss": 1.2345678,
        "train_runtime": 3605.1234,
        "perplexity": Infinity
    }
"""

import math
from collections.abc import Iterator

from forensics.errors import MalformedError
from forensics.model import Artifact, Fact, Standing
from forensics.names import EVALUATION, is_loss
from forensics.plugin import reader
from forensics.readers._columns import Columns
from forensics.readers._environment import damage, load_object, settings
from forensics.readers._json_entries import number_in
from forensics.readers.text.rows import samples


@reader("results-json", match=(r"(^|/)(all|train|eval|test|predict)_results\.json$",))
def results_json(artifact: Artifact) -> Iterator[Fact]:
    """`all_results.json` of the Trainer and its parts: settings under `results.`, and a loss that is no number."""
    document, results = load_object(artifact)
    if results is None:
        raise MalformedError(f"{artifact.path} holds no JSON object")
    yield from damage(artifact, document, "the metrics before it were read")
    yield from settings(artifact, results, Standing.RECORDED, "results")
    columns = Columns()
    columns.place(1, epoch=number_in(results.get("epoch")))
    for name, value in results.items():
        found = number_in(value)
        if found is not None and not math.isfinite(found) and EVALUATION.search(name) and is_loss(name):
            columns.add(name, found)
    yield from samples(columns.tables(), artifact.path)
