"""A resumed run saw the same data again."""

from collections.abc import Iterator

from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.names import Kind
from forensics.plugin import Condition, rule
from forensics.rules._recorded import data_again
from forensics.rules._seen import Seen, first, held, weigh, weigh_yes
from forensics.rules._setup import setting_is
from forensics.rules._told import happened


def restarts(run: Run) -> Seen | None:
    """Tell whether the run was restarted."""
    if not run.timeline.segments:
        return None
    count = len(run.timeline.segments)
    said = f"the run has {count} segments" if count > 1 else "the run was not restarted"
    return Seen(count > 1, said, None, "segments")


@rule(
    "CKPT013",
    "resume-data-repeated",
    explains=("data-repeated", "resume-jump", "step-rewind"),
    helps=("event resumed", "ignore_data_skip"),
    references=(
        "https://huggingface.co/docs/transformers/main/en/main_classes/trainer#transformers.TrainingArguments",
    ),
    requires=(Condition("the run was restarted", lambda run, _: first(held(data_again(run)), restarts(run))),),
)
def resume_data_repeated(run: Run, explained: Explained) -> Iterator[Evidence | Fix | Experiment]:
    """The resumed run began its data from the start again and saw samples twice.

    ## What happens
    With ignore_data_skip, or an iterable data set that cannot be skipped, a resumed run starts at the first
    batch. The loss drops at the seam, as the samples are known.

    ## How to tell
    A restart in the timeline, ignore_data_skip true, and a loss that jumps down at the seam.

    ## What to do
    Leave ignore_data_skip false, or start the data set at the right shard.

    ## Sources
    `TrainingArguments.ignore_data_skip`.
    """
    del explained
    yield from weigh_yes(happened(run, Kind.RESUMED), 1)
    yield from weigh(data_again(run), 10, -2, "by their check sums")
    yield from weigh(setting_is(run, "ignore_data_skip", (True,)), 5, -2)
    yield Fix("Let the Trainer skip what was seen.", {"ignore_data_skip": False})
    yield Experiment("Log the ids of the first batch after the seam.", "they were seen before", 1)
