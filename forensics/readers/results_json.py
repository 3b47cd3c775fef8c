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

from collections.abc import Iterator

from forensics.errors import MalformedError
from forensics.model import Artifact, Fact, Standing
from forensics.plugin import reader
from forensics.readers._environment import damage, load_object, settings


@reader("results-json", match=(r"(^|/)(all|train|eval|test|predict)_results\.json$",))
def results_json(artifact: Artifact) -> Iterator[Fact]:
    """`all_results.json` of the Trainer and its parts, as settings under `results.`."""
    document, results = load_object(artifact)
    if results is None:
        raise MalformedError(f"{artifact.path} holds no JSON object")
    yield from damage(artifact, document, "the metrics before it were read")
    yield from settings(artifact, results, Standing.RECORDED, "results")
