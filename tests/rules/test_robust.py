"""No rule breaks on a run that has something odd in it."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from forensics import catalog
from forensics.model import Evidence, Explained, Finding, Source
from forensics.names import Kind
from forensics.testing import make_checkpoint, make_events, make_run, make_table

NUMBERS = st.sampled_from([0.0, 1.0, 1.4142135381698608, 0.5, 2.3, 1e6, 1e-9, float("nan"), float("inf"), -1.0])
CURVE = st.lists(NUMBERS, min_size=0, max_size=9)
VALUES = st.sampled_from([None, True, False, 0, 1, 2, 3, "auto", "bf16", "", "nan", 1e-5, -1])
NAMES = st.sampled_from(
    [
        "learning_rate",
        "bf16",
        "fp16",
        "fp16.enabled",
        "zero_optimization.stage",
        "zero_optimization.overlap_comm",
        "zero_optimization.reduce_bucket_size",
        "world_size",
        "deepspeed",
        "fsdp",
        "max_grad_norm",
        "gradient_accumulation_steps",
        "torch_dtype",
        "model.torch_dtype",
        "loss_type",
        "adapter.r",
        "adapter.lora_alpha",
        "optim",
        "flash_attn",
        "template",
    ]
)
METRICS = st.sampled_from(
    [
        "loss",
        "grad_norm",
        "learning_rate",
        "eval_loss",
        "epoch",
        "loss_scale",
        "reward_std",
        "kl",
        "rewards/margins",
    ]
)
KINDS = sorted(value for name, value in vars(Kind).items() if name.isupper())


@st.composite
def odd_runs(draw: st.DrawFn) -> Any:
    metrics: dict[str, Any] = draw(st.dictionaries(METRICS, CURVE, max_size=4))
    kinds = draw(st.lists(st.sampled_from(KINDS), max_size=3, unique=True))
    bad = draw(st.sampled_from([{}, {"model.norm.weight": 1}, {"model.norm.weight": 64}]))
    same = draw(st.sampled_from([-1, 0, 64]))
    table = make_table(nan=bad, same=same, dtype=draw(st.sampled_from(["F32", "BF16", "F16"])))
    return make_run(
        settings=draw(st.dictionaries(NAMES, VALUES, max_size=5)),
        packages=draw(st.sampled_from([{}, {"deepspeed": "0.12.5"}, {"torch": "2.5.0+cu124", "deepspeed": "odd"}])),
        hardware=draw(st.sampled_from([{}, {"gpu": "NVIDIA H100"}, {"gpu": "Tesla V100"}, {"cuda": "12.4"}])),
        events=[make_events(kind, [draw(st.integers(-1, 9))]) for kind in kinds],
        checkpoints=[make_checkpoint(draw(st.integers(0, 9)), table)],
        **metrics,
    )


@settings(max_examples=60, deadline=None)
@given(run=odd_runs(), step=st.one_of(st.none(), st.integers(0, 12)), until=st.one_of(st.none(), st.integers(0, 12)))
def test_every_rule_argues_about_every_run(run: Any, step: int | None, until: int | None) -> None:
    """Rules raise nothing, count no observation twice, and say something in each piece of evidence."""
    finding = Finding("loss-to-zero", "error", "loss is 0", Source("log"), step, (None, step), until)
    for rule in catalog.rules():
        for name in rule.explains:
            said = [e for e in rule.reason(run, Explained(name, finding)) if isinstance(e, Evidence)]
            seen = [e.identity for e in said]

            assert len(set(seen)) == len(seen), (rule.name, seen)
            assert all(e.points and e.statement for e in said)
