"""The input gives the labels away."""

import math
from collections.abc import Iterator

from forensics.analysis.epochs import epoch_at
from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.names import EVAL_LOSS
from forensics.plugin import Condition, rule
from forensics.rules._curves import ALIVE, onset, series_of, shown
from forensics.rules._rewards import rewarded
from forensics.rules._seen import Seen, opposite, unless, weigh_yes
from forensics.rules._setup import has_metric


def within_first_pass(run: Run, explained: Explained) -> Seen | None:
    """Tell whether the loss was that low before any sample had come back; None without epochs up to there."""
    step = onset(explained)
    reached = None if step is None else epoch_at(run, step)
    if reached is None or not math.isfinite(reached):
        return None
    said = f"the loss is that low at epoch {reached:.2g}"
    return Seen(reached < 1, said, explained.finding.source, "epoch of the onset")


def evaluation_as_low(run: Run, explained: Explained) -> Seen | None:
    """Tell whether data that were not trained on are predicted as well; None without an evaluation from there on."""
    series, step = series_of(run, EVAL_LOSS), onset(explained)
    if series is None or step is None or int(series.steps[-1]) < step or not math.isfinite(float(series.values[-1])):
        return None
    last = float(series.values[-1])
    said = f"eval_loss is {shown(last)} at step {series.steps[-1]}"
    return Seen(last < ALIVE, said, series.source_at(len(series) - 1), "eval_loss")


def writes_text(run: Run) -> Seen | None:
    """Tell whether the model predicts text; None where the configuration does not name its head."""
    setting = run.environment.best("model.architectures")
    if setting is None or not setting.value:
        return None
    heads = ("CausalLM", "LMHead", "ConditionalGeneration", "MaskedLM")
    text = any(head in str(setting.value) for head in heads)
    return Seen(text, f"the model is {setting.value}", setting.source, "head of the model")


def _too_early(run: Run, explained: Explained) -> Seen | None:
    """Tell whether text was predicted before it could be known; None where the pass over the data is not known."""
    others = opposite(evaluation_as_low(run, explained)), opposite(writes_text(run))
    return unless(within_first_pass(run, explained), *others, has_metric(run, "rewards/chosen"), rewarded(run))


@rule(
    "DATA014",
    "label-leakage",
    explains=("suspiciously-low-loss", "log-precision-rounds-to-zero"),
    helps=("epoch", "eval_loss", "model.architectures", "loss"),
    references=("https://doi.org/10.1002/j.1538-7305.1951.tb01366.x",),
    requires=(Condition("the loss of text is that low before a sample came back", _too_early),),
)
def label_leakage(run: Run, explained: Explained) -> Iterator[Evidence | Fix | Experiment]:
    """The input gives the labels away: the loss is lower than text allows, before anything could be memorised.

    ## What happens
    The causal mask is missing, labels are shifted once too little so that each token predicts itself, the answer
    stands in the prompt, or the evaluation set is part of the training set. The model copies instead of predicting.

    ## How to tell
    The loss sinks below 0.001 within the first pass over the data, when no sample has been seen twice, and eval_loss
    is as low. A model that memorises needs several passes, and its eval_loss stays high. Answers of one word or from
    a template can be that easy, and so can classes that separate: then nothing is wrong.

    ## What to do
    Print input and labels of one sample token by token, as the model gets them, and generate from the prompt alone.

    ## Sources
    Shannon, "Prediction and Entropy of Printed English" (1951): 0.6 to 1.3 bits a letter, so some nats a word, are
    left however much of the text before is known.
    """
    early, same = within_first_pass(run, explained), evaluation_as_low(run, explained)
    yield from weigh_yes(early, 3, "no sample had come back, so that none could be known by heart")
    yield from weigh_yes(same, 2, "data that were not trained on are predicted as well")
    yield from weigh_yes(writes_text(run), 1, "text has an entropy, classes need none")
    yield Fix("Mask what the model must not see, and take the samples of the evaluation out of the training data.")
    yield Experiment("Generate from ten prompts alone and compare with the answers.", "they differ: it copied", 1)
