"""What the log and the end of a run tell: events, last words, signals."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from forensics.analysis.crashes import last_deaths, of_an_earlier_attempt, outlived, own_exceptions
from forensics.analysis.endings import Death, deaths_of
from forensics.model import Run, Source
from forensics.names import LOSS, Kind
from forensics.rules._seen import Seen
from forensics.signatures import BY_NAME
from forensics.signatures.reported import BETWEEN, events_in

MOST = 500
"""Different texts of a kind that are looked at from the first on, and as many up to the last."""
IN_WORDS = 4
"""The most that an event is worth which nothing but a sentence tells of: it makes a cause possible, never likely."""


def happened(run: Run, kind: str, *, told: str = "") -> Seen | None:
    """Tell whether the log shows an event; None when no event of any kind was read, as then no log may exist."""
    found = next(iter(run.timeline.events_of(kind)), None)
    if found is not None and len(found):
        earlier = of_an_earlier_attempt(run, kind)
        if earlier is not None:
            return Seen(False, f"an attempt before the last one tells of {kind}", earlier.source, f"event {kind}")
        count = run.timeline.count_of(kind)
        text = told or (f"the log says “{found.text.strip()[:160]}”" if found.text else f"the log shows {kind}")
        times = "once" if count == 1 else f"{count} times"
        return Seen(True, f"{text} ({times})", found.source_at(0), f"event {kind}")
    death = next(iter(last_deaths(run, kind)), None)
    if death is not None:
        return Seen(True, told or f"the log says “{death.text[:160]}”", death.source, f"event {kind}")
    spoken = _by_its_author(run).get(kind)
    if spoken is not None:
        return spoken
    if run.timeline.events:
        return Seen(False, f"no {kind} line is in the log", None, f"event {kind}")
    return None


def _by_its_author(run: Run) -> Mapping[str, Seen]:
    """Return the events that nothing but sentences of an account tells of."""
    return run.timeline.once(
        "events in words", lambda: {seen.key.removeprefix("event "): seen for seen in _spoken(run)}
    )


def _spoken(run: Run) -> Iterator[Seen]:
    for events in run.timeline.events_of(Kind.REPORTED):
        for index in range(len(events)):
            for sentence in events.text_at(index).split(BETWEEN):
                for kind in events_in(sentence.removeprefix("# "), title=sentence.startswith("# ")):
                    text = " ".join(sentence.removeprefix("# ").split())[:160]
                    yield Seen(True, f"its author says “{text}”", events.source_at(index), f"event {kind}", IN_WORDS)


def said(run: Run, kind: str, pattern: re.Pattern[str]) -> Seen | None:
    """Tell whether an event was logged in words that match; None when no event of any kind was read."""
    earlier = of_an_earlier_attempt(run, kind)
    if earlier is not None:
        return Seen(False, f"an attempt before the last one tells of {kind}", earlier.source, f"text of {kind}")
    for text, source in _texts(run, kind):
        if pattern.search(text):
            told = " ".join(text.split())[:200]
            return Seen(True, f"the log says “{told}”", source(), f"text of {kind}")
    if run.timeline.events:
        return Seen(False, f"no {kind} line that says so is in the log", None, f"text of {kind}")
    return None


_Place: TypeAlias = Callable[[], Source]


def _texts(run: Run, kind: str) -> list[tuple[str, _Place]]:
    """Return what events of a kind say, and the last words that are of this kind in other words than its phrases.

    Each text stands at its first place; of very many the first and the last are returned. A traceback that the run
    outlived says nothing of what it died of in the end. Some two hundred rules ask, so it is looked up once.
    """
    ended = run.ending.name if run.ending else ""
    return run.timeline.once(f"texts of {kind} before {ended}", lambda: _looked_up(run, kind))


def _looked_up(run: Run, kind: str) -> list[tuple[str, _Place]]:
    survived = outlived(run) if kind == Kind.TRACEBACK else frozenset()
    found: dict[str, _Place] = {}
    for events in run.timeline.events_of(kind):
        for index, text in enumerate(events.texts or (events.text,) * bool(len(events))):
            if (events.path, int(events.records[index])) not in survived:
                found.setdefault(text, partial(events.source_at, index))
    for death in last_deaths(run, kind):
        found.setdefault(death.text, partial(_source_of, death))
    texts = list(found.items())
    return texts if len(texts) <= 2 * MOST else texts[:MOST] + texts[-MOST:]


def _source_of(death: Death) -> Source:
    return death.source


def missed_on_the_way(run: Run) -> Seen | None:
    """Tell whether what a start needs was missed after training had begun; None where nothing was missed."""
    ending = run.ending
    signature = BY_NAME.get(ending.name) if ending is not None else None
    if ending is None or signature is None or signature.symptom != "crash-launcher":
        return None
    begun = ending.symptom != "crash-launcher"
    when = "after training had begun" if begun else "before training began"
    return Seen(begun, f"{signature.told} {when}", ending.source, "when it was missed")


def before_the_first_step(run: Run) -> Seen | None:
    """Tell whether the run crashed before it logged a loss; None where it came to another end."""
    ending = run.ending
    if ending is None or ending.kind != "crashed":
        return None
    loss = run.timeline.get(LOSS)
    begun = ending.step is not None or (loss is not None and len(loss) > 0)
    when = "after a loss was logged" if begun else "before any loss was logged"
    return Seen(not begun, f"it ended {when}", ending.source, "when it ended")


def raised(run: Run) -> Seen | None:
    """Tell whether the script ended in an exception of its own; None when no event of any kind was read."""
    for death in own_exceptions(run):
        return Seen(True, f"the log says “{death.text[:160]}”", death.source, "exception")
    return Seen(False, "no exception of the script is in the log", None, "exception") if run.timeline.events else None


def ended_by_signal(run: Run, *numbers: int) -> Seen | None:
    """Tell whether a launcher says that a process was ended by one of these signals; None when it says nothing.

    A launcher writes -9, a shell 137 for signal 9.
    """
    codes = [(events, i) for events in run.timeline.events_of(Kind.SIGNAL) for i in range(len(events))]
    for events, i in codes:
        code = float(events.values[i])
        if code in {float(-n) for n in numbers} | {128.0 + n for n in numbers}:
            said = f"a process ended with exit code {code:.0f}"
            return Seen(True, said, events.source_at(i), "exit code")
    return Seen(False, "no process was ended by a signal", None, "exit code") if codes else None


def native_signal(run: Run) -> Seen | None:
    """Tell whether a process died of a signal that native code raises (a segmentation fault, an abort, a bus error)."""
    deaths = [d for d in deaths_of(run.timeline) if d.symptom == "crash-signal" and d.name == Kind.SIGNAL]
    for death in deaths:
        return Seen(True, f"{death.told}, as “{death.text[:120]}” says", death.source, "native signal")
    return Seen(False, "no process died of a native signal", None, "native signal") if run.timeline.events else None


def stopped_by_user(run: Run) -> Seen | None:
    """Tell whether the run ended by its user's own hand; None when nothing tells how it ended."""
    ending = run.ending
    if ending is None or ending.kind == "unknown":
        return None
    return Seen(ending.kind == "stopped-by-user", ending.statement, ending.source, "ending")


def session_closed(run: Run) -> Seen | None:
    """Tell whether the terminal or the connection went away that the run was started from (SIGHUP)."""
    said = "its terminal or its connection was closed (signal 1, SIGHUP)"
    hung_up = ended_by_signal(run, 1)
    return replace(hung_up, statement=said) if hung_up is not None and hung_up.holds else hung_up
