"""What a run left behind to be judged by, and what could not be judged and why."""

import re

from forensics.model import Checked, Run
from forensics.names import GRAD_NORM, LEARNING_RATE

FEW = 5
"""Entries below which a curve has no shape: only NaN, zeros and leaps are seen in it."""
OF_A_LOSS = re.compile(r"(?:^|[/_ ])loss(?:$|[/_ ])", re.IGNORECASE)
OF_AN_EVALUATION = re.compile(r"^(?:eval|val|valid|validation|test)[/_]", re.IGNORECASE)
OF_A_NORM = re.compile(r"grad(?:ient)?_?norm", re.IGNORECASE)
TELLING = ("loss", "gradient norm", "evaluation", "weights")
"""Without one of these nothing is known of how a run went."""


def checked(run: Run) -> Checked:
    """Return what was judged and what was not."""
    judged: list[str] = []
    left: list[tuple[str, str]] = []
    names = [name for name, series in run.timeline.series.items() if len(series)]
    evaluations = [name for name in names if OF_AN_EVALUATION.search(name)]
    losses = [name for name in names if OF_A_LOSS.search(name) and name not in evaluations]
    curves = {
        "loss": losses,
        "gradient norm": [name for name in names if name == GRAD_NORM or OF_A_NORM.search(name)],
        "evaluation": evaluations,
        "learning rate": [name for name in names if name == LEARNING_RATE],
    }
    for what, found in curves.items():
        count = max((len(run.timeline[name]) for name in found), default=0)
        if count:
            judged.append(what)
        if count < FEW:
            left.append((what if not count else f"shape of the {what}", _reason(count)))
    looked = (("weights", "weights"), ("optimizer state", "optimizer"), ("messages of the log", "events"))
    for what, name in looked:
        if run.has(name):
            judged.append(what)
        else:
            left.append((what, _absent(run, what)))
    return Checked(tuple(judged), tuple(left))


def tells(seen: Checked) -> bool:
    """Tell whether anything that shows how a run went was judged."""
    return any(what in seen.judged for what in TELLING)


def _reason(count: int) -> str:
    return "none was logged" if not count else f"{count} {'entry' if count == 1 else 'entries'}, fewer than {FEW}"


def _absent(run: Run, what: str) -> str:
    if what == "messages of the log":
        return "no line of a log was read that tells an event"
    return "no checkpoint was examined" if run.checkpoints else "no checkpoint is there"
