"""A loss that compares the samples of a batch had nothing to compare."""

from collections.abc import Iterator

from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.names import LOSS
from forensics.plugin import Condition, rule
from forensics.rules._curves import from_first_entry, norm_is, series_of
from forensics.rules._labels import compares_samples
from forensics.rules._seen import Seen, every, holds, unless, weigh, weigh_yes
from forensics.rules._setup import has_metric, whole_number

BATCH = (
    "per_device_train_batch_size",
    "trainer_state.train_batch_size",
    "train_batch_size",
    "batch_size",
    "micro_batch_size",
)


def nothing_to_learn(run: Run, explained: Explained) -> Seen | None:
    """Tell whether loss and gradient are exactly 0 together, from the first entry on."""
    loss = series_of(run, LOSS)
    if loss is None:
        return None
    zero = Seen(bool((loss.values == 0).all()), "loss is exactly 0 in every entry", loss.source_at(0), "loss")
    return every(zero, norm_is(run, explained, "zero"))


def batch_of_one(run: Run) -> Seen | None:
    """Tell whether a process saw one sample at a time; None where no batch size is on file."""
    for name in BATCH:
        size, setting = whole_number(run, name), run.environment.best(name)
        if size is not None and setting is not None:
            return Seen(size == 1, f"{name} is {size}", setting.source, "batch size")
    return None


@rule(
    "DATA040",
    "no-negatives-in-batch",
    explains=("loss-to-zero", "gradients-all-zero"),
    helps=("loss", "grad_norm", "trainer_state.train_batch_size", "model.architectures"),
    references=(
        "https://sbert.net/docs/package_reference/sentence_transformer/losses.html",
        "https://arxiv.org/abs/1705.00652",
        "https://github.com/huggingface/sentence-transformers/issues/641",
        "https://github.com/huggingface/sentence-transformers/issues/2693",
    ),
    requires=(
        Condition("loss and gradient are exactly 0 in every entry", nothing_to_learn),
        Condition("the loss compares the samples of a batch", lambda run, _: compares_samples(run)),
    ),
)
def no_negatives_in_batch(run: Run, explained: Explained) -> Iterator[Evidence | Fix | Experiment]:
    """The loss tells a pair from the other samples of its batch, and the batch held one sample.

    ## What happens
    A ranking or contrastive loss is the cross entropy over the candidates of the batch. Of one candidate it is
    exactly -log 1 = 0, whatever the model says, and so is its gradient. Gradient accumulation does not help: each
    micro-batch is compared within itself.

    ## How to tell
    Loss and gradient norm are exactly 0 from the first entry, without a NaN; the batch size of a device is 1; the
    model embeds (BertModel, no head) or the loss is named (MultipleNegativesRankingLoss, InfoNCE). A frozen model
    has a loss above 0 that stands still.

    ## What to do
    Raise the batch size of a device, not the accumulation steps; a cached loss (GradCache) needs the memory of a
    small batch only. Or give hard negatives in the data.

    ## Sources
    sentence-transformers, MultipleNegativesRankingLoss ("works best with large batch sizes"); Henderson et al.,
    arXiv 1705.00652, section 4.4; measured: sentence-transformers at batch size 1.
    """
    together, compares = nothing_to_learn(run, explained), compares_samples(run)
    # Labels that are all masked look the same in a model that predicts: the marks count where samples are compared.
    known = holds(compares)
    alone = unless(together, has_metric(run, "reward"))
    yield from weigh_yes(alone, 3 if known else 1, "a comparison with nothing has no gradient")
    yield from weigh_yes(from_first_entry(run, explained), 1)
    yield from weigh(batch_of_one(run), 3 if known else 1, -2)
    yield from weigh_yes(compares, 1, "such models learn by comparing samples")
    yield Fix("Raise the batch size of a device (accumulation does not help), or add hard negatives to the data.")
    yield Experiment("Run ten steps with a batch of 2 a device.", "loss near ln 2 = 0.69", 1)
