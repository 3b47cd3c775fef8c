"""A pickle that runs code when it is loaded."""

from collections.abc import Iterator

from forensics.model import Finding, Run
from forensics.names import Kind
from forensics.plugin import detector


@detector("unsafe-pickle", any_of=("checkpoints", f"event {Kind.UNSAFE_PICKLE}"))
def unsafe_pickle(run: Run) -> Iterator[Finding]:
    """Find pickles that ask for functions which run code, open files or sockets, or fetch what they name.

    Source: the names that the pickle asks for, walked as data: of the standard library all but what ordinary pickles
    hold, of other packages what is known to run, load or write (picklescan 1.0, fickling 0.1.12 and their tests).
    Minimum: one name.
    Silenced by: nothing.
    Known false alarms: none on the fixtures' 390 pickles; code pickled on purpose (cloudpickle, dill) is told.
    """
    for checkpoint in run.checkpoints:
        for problem in checkpoint.problems:
            if problem.kind == "unsafe":
                yield Finding(
                    symptom="unsafe-pickle",
                    severity="warning",
                    statement=problem.statement,
                    source=problem.source,
                    step=checkpoint.step,
                    step_range=(None, checkpoint.step),
                )
    for event in run.timeline.events_of(Kind.UNSAFE_PICKLE):
        for index in range(len(event)):
            yield Finding(
                symptom="unsafe-pickle",
                severity="warning",
                statement=event.text_at(index),
                source=event.source_at(index),
            )
