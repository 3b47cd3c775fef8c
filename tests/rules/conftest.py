"""One way to ask a rule, for all tests of rules."""

from collections.abc import Callable

import pytest

from forensics.model import Evidence, Experiment, Explained, Finding, Fix, Hypothesis, Run, Source
from forensics.plugin import Rule
from forensics.testing import make_run

Judge = Callable[..., Hypothesis]


def argue(rule: Rule, run: Run, symptom: str, step: int | None = None, name: str | None = None) -> Hypothesis:
    """Return what `rule` says of `run` when `symptom`, with its onset at `step`, is to be explained.

    `name` is the mechanism asked for; the first name that the rule explains when it is left out.
    """
    finding = Finding(symptom, "error", symptom, Source("trainer_state.json"), step, (None, step))
    said = list(rule.reason(run, Explained(name or rule.explains[0], finding)))
    evidence: dict[str, Evidence] = {}
    for item in said:
        if isinstance(item, Evidence):
            assert item.identity not in evidence, f"counted twice: {item}"
            evidence[item.identity] = item
    return Hypothesis(
        cause=rule.name,
        code=rule.code,
        title=rule.title,
        explains=(symptom,),
        chain=(rule.name, symptom),
        evidence=tuple(evidence.values()),
        fixes=tuple(item for item in said if isinstance(item, Fix)),
        experiments=tuple(item for item in said if isinstance(item, Experiment)),
        references=rule.references,
        mechanism=rule.mechanism,
        benign=rule.benign,
    )


@pytest.fixture(name="judge")
def fixture_judge() -> Judge:
    """Ask a rule; the helper of every table in this folder."""
    return argue


@pytest.fixture(name="nothing_recorded")
def fixture_nothing_recorded() -> Run:
    """Return a run of which nothing is known."""
    return make_run()
