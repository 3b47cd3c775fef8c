"""What its author varied: one thing was changed, and training went another way."""

from forensics.analysis.tried import Tried, parted, trials
from forensics.model import Run
from forensics.names import Kind
from forensics.rules._seen import Seen, held, holds
from forensics.rules._setup import several_ranks
from forensics.signatures.reported import BETWEEN, stated_in
from forensics.signatures.tried import OTHERS


def another_attention_works(run: Run) -> Seen | None:
    """Tell whether another implementation of attention trains where this one fails."""
    return _told(parted(run, "attn_implementation"), "attn_implementation")


def another_device_works(run: Run) -> Seen | None:
    """Tell whether the same trains on another board, on the CPU or on another machine."""
    found = parted(run, "gpu")
    elsewhere = next((one for one in trials(run) if one.trial.works and one.trial.value in OTHERS), None)
    if found is None and elsewhere is not None:
        said = f"its author says that it works elsewhere ({elsewhere.trial.value})"
        return Seen(True, said, elsewhere.source, "trial of device")
    return _told(found, "device")


def one_rank_works(run: Run) -> Seen | None:
    """Tell whether one device trains where several fail."""
    found = parted(run, "several ranks")
    if found is None or found[0].trial.value != "false":
        return None
    said = f"its author says that one device works and several fail: “{found[1].trial.text[:120]}”"
    return Seen(True, said, found[0].source, "trial of several ranks")


def full_precision_works(run: Run) -> Seen | None:
    """Tell whether float32 trains where bf16 fails."""
    found = parted(run, "fp32", "bf16")
    if found is None or found[1].trial.name != "bf16" or found[1].trial.value == "false":
        return None
    return _told(found, "fp32")


def _told(found: tuple[Tried, Tried] | None, key: str) -> Seen | None:
    if found is None:
        return None
    good, bad = (_named(one) for one in found)
    return Seen(True, f"its author says that {good} works and {bad} fails", found[0].source, f"trial of {key}")


def _named(one: Tried) -> str:
    name, value = one.trial[1:3]
    if name == "gpu":
        return value
    return name if value == "true" else f"{name} {value}"


def several_ranks_hang(run: Run) -> Seen | None:
    """Tell whether its author says that a training on several devices hangs."""
    ranks = held(several_ranks(run))
    if not holds(ranks) or ranks is None:
        return None
    for events in run.timeline.events_of(Kind.REPORTED):
        for index in range(len(events)):
            for sentence in events.text_at(index).split(BETWEEN):
                title = sentence.startswith("# ")
                stated = stated_in(sentence.removeprefix("# "), title=title)
                if any(said.symptom == "run-hung" for said in stated):
                    told = f"its author says “{stated[0].text[:120]}”, and {ranks.statement}"
                    return Seen(True, told, events.source_at(index), "ranks that hang")
    return None
