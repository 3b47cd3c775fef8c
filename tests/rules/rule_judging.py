"""One way to ask a rule, and the runs that several tables ask about."""

from collections.abc import Callable
from typing import Any

from forensics.diagnosis.reason import argued
from forensics.model import (
    Checkpoint,
    Evidence,
    Explained,
    Finding,
    Hypothesis,
    Problem,
    Run,
    Source,
)
from forensics.plugin import Condition, Rule
from forensics.testing import make_checkpoint, make_run, make_table

Judge = Callable[..., Hypothesis]

NAN = float("nan")
INF = float("inf")
FALL = [2.3, 2.2, 2.1, 2.0, 0.0, 0.0, 0.0]
GOOD = [1.0, 1.1, 0.9, 1.0]
DEAD: dict[str, Any] = {"loss": FALL, "grad_norm": [*GOOD, NAN, NAN, NAN]}
GREW: dict[str, Any] = {
    "loss": [2.0, 2.0, 2.6, 3.4, 5.0, 9.0, NAN],
    "grad_norm": [1.0, 1.0, 1.0, 1.1, 8.0, 40.0, NAN],
    "onset": 7,
}
ONE = [make_checkpoint(6, make_table(nan={"model.norm.weight": 1}))]
WHOLE = [make_checkpoint(6, make_table(nan={"model.layers.0.mlp.weight": 64, "model.norm.weight": 64}))]
STILL = [make_checkpoint(6, make_table(same=64))]
NORMS = {"model.layers.0.mlp.weight": 30, "model.norm.weight": 64}
LORA = ("layers.0.q.lora_A.weight", "layers.0.q.lora_B.weight")
RACE = {
    "zero_optimization.stage": 2,
    "zero_optimization.overlap_comm": True,
    "zero_optimization.reduce_bucket_size": "auto",
    "bf16.enabled": True,
    "world_size": 7,
}
FOUNDING: dict[str, Any] = {**DEAD, "settings": RACE, "packages": {"deepspeed": "0.12.5"}}


def preference(loss: float, chosen: float, rejected: float, **others: Any) -> dict[str, Any]:
    """Return the first three entries of a DPO run whose answers have log-probabilities of -60 and -90."""
    named = {"rewards/chosen": chosen, "rewards/rejected": rejected, "rewards/margins": chosen - rejected}
    logs = {"logps/chosen": [-60.0] * 3, "logps/rejected": [-90.0] * 3}
    return {"loss": [loss, 0.6, 0.5], **{name: [value] * 3 for name, value in named.items()}, **logs, **others}


def founding(**settings: Any) -> dict[str, Any]:
    """Return the founding case with some of its settings changed."""
    return {**FOUNDING, "settings": {**RACE, **settings}}


def release(version: str) -> dict[str, Any]:
    return {**FOUNDING, "packages": {"deepspeed": version}}


def broken_file(statement: str, kind: Any = "damaged") -> list[Checkpoint]:
    problem = Problem(kind, statement, Source("checkpoint-6/model.safetensors"))
    return [make_checkpoint(3), make_checkpoint(6, problems=[problem])]


def zero2_without(*names: str) -> dict[str, Any]:
    return {**FOUNDING, "settings": {key: value for key, value in RACE.items() if key not in names}}


def bracket(step: int | None) -> tuple[int | None, int | None]:
    """Return the range of an onset that is known to the step."""
    return (step - 1 if step is not None and step > 1 else None, step)


def argue(rule: Rule, run: Run, symptom: str, step: int | None = None, name: str | None = None) -> Hypothesis:
    """Return what `rule` says of `run` when `symptom`, with its onset at `step`, is to be explained.

    `name` is the mechanism asked for; the first name that the rule explains when it is left out.
    """
    finding = Finding(symptom, "error", symptom, Source("trainer_state.json"), step, bracket(step))
    explained = Explained(name or rule.explains[0], finding)
    said = [item.identity for item in rule.reason(run, explained) if isinstance(item, Evidence)]
    assert len(said) == len(set(said)), f"counted twice: {said}"
    return argued(rule, run, explained)


ASKED = ("onset", "name", "symptom", "disagreements", "segments")


def run_of(facts: dict[str, Any]) -> Run:
    """Return the run of `facts`: arguments of `make_run`, `disagreements` of two sources, `segments` of restarts."""
    run = make_run(**{key: value for key, value in facts.items() if key not in ASKED})
    object.__setattr__(run.timeline, "disagreements", tuple(facts.get("disagreements", ())))
    if "segments" in facts:
        object.__setattr__(run.timeline, "segments", tuple(facts["segments"]))
    return run


def ask(rule: Rule, facts: dict[str, Any]) -> Hypothesis:
    """Return what `rule` says of the run of `facts`, and how it is asked.

    `onset` is the step at which the symptom begins (5 when left out), `symptom` what is found there ("loss-to-zero"),
    `name` the mechanism asked for.
    """
    symptom = facts.get("symptom", "loss-to-zero")
    return argue(rule, run_of(facts), symptom, step=facts.get("onset", 5), name=facts.get("name"))


def state_of(condition: Condition, rule: Rule, facts: dict[str, Any]) -> bool | None:
    """Return whether a necessary condition of `rule` holds in the run of `facts`; None when nothing tells."""
    step, symptom = facts.get("onset", 5), facts.get("symptom", "loss-to-zero")
    finding = Finding(symptom, "error", symptom, Source("trainer_state.json"), step, bracket(step))
    seen = condition.look(run_of(facts), Explained(facts.get("name") or rule.explains[0], finding))
    return None if seen is None else seen.holds
