"""The learning rate was too high."""

from collections.abc import Iterator

from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.plugin import rule
from forensics.rules._curves import healthy_before, infinite_first, loss_rose, norms_grew, shown
from forensics.rules._labels import is_ctc
from forensics.rules._rates import peak_rate, rate_jumped
from forensics.rules._seen import Seen, holds, weigh_no, weigh_yes
from forensics.rules._setup import fp16_used
from forensics.rules._tensors import single

HIGH_ADAPTER, USUAL_ADAPTER = 1e-3, 3e-4
"""LoRA: maintainers of LLaMA-Factory and alpaca-lora advise 1e-4 to 2e-4 and see 1e-3 and above diverge."""
HIGH_FULL, USUAL_FULL = 1e-4, 3e-5
"""Full fine-tuning: the projects' own scripts use 1e-5 to 2e-5 (Stanford Alpaca, LLaVA, FastChat)."""


EXTREME = 0.02
"""Adam moves every weight by about the rate in one step, and this is how wide weights are drawn: `initializer_range` of
BERT, GPT-2 and Llama (transformers 5.x, `configuration_llama.py`)."""
LARGE = 0.5
"""A rate that only plain gradient descent on well scaled data bears (`detectors._rate_on_file`)."""
CONVINCING = 4
"""Points of a rate that alone explains why nothing was learned."""
ABSURD = 1.0
"""Adam moves a weight by about the rate (arXiv 1412.6980, section 2.1), and weights are smaller than this."""


def _rate(run: Run, *, alone: bool) -> Iterator[Evidence]:
    """Weigh the highest rate; `alone` when no curve shows a divergence, which a high rate does not prove."""
    found = peak_rate(run)
    if found is None:
        return
    rate, source = found
    adapter = run.has("adapter.r") or run.has("lora_r") or "peft" in run.frameworks
    high, usual = (HIGH_ADAPTER, USUAL_ADAPTER) if adapter else (HIGH_FULL, USUAL_FULL)
    what = "an adapter" if adapter else "full fine-tuning"
    if rate >= ABSURD:
        said = f"the highest learning rate is {shown(rate)}; {ABSURD:g} and more moves every weight by its own size"
        yield Evidence(5, said, source, "learning rate")
    elif rate >= EXTREME and _adam(run):
        said = f"the highest learning rate is {shown(rate)}: Adam moves every weight by as much as weights are wide"
        yield Evidence(4, said, source, "learning rate")
    elif rate >= LARGE:
        yield Evidence(4, f"the highest learning rate is {shown(rate)}: few trainings bear it", source, "learning rate")
    elif rate >= high:
        said = f"the highest learning rate is {shown(rate)}; {high:g} and more is high for {what}"
        yield Evidence(1 if alone else 2, said, source, "learning rate")
    elif rate <= usual:
        said = f"the highest learning rate is {shown(rate)}, which is usual for {what}"
        yield Evidence(-2, said, source, "learning rate")


def _adam(run: Run) -> bool:
    """Tell whether the optimizer is of Adam's kind: by its name, or by default of the Trainer that wrote the log."""
    named = run.environment.best("optim") or run.environment.best("optimizer")
    if named is not None and named.value:
        return "adam" in str(named.value).lower()
    return run.environment.best("inferred.transformers") is not None


def _scaling(run: Run) -> Seen | None:
    alpha, rank = run.environment.number("adapter.lora_alpha"), run.environment.number("adapter.r")
    setting = run.environment.best("adapter.lora_alpha")
    if alpha is None or rank is None or rank <= 0 or setting is None:
        return None
    return Seen(alpha / rank >= 2, f"lora_alpha / r is {alpha / rank:g}", setting.source, "scaling")


STANDS = frozenset({"loss-plateau", "loss-constant", "diversity-collapse"})
"""What stands, and what is left alone, says nothing of its rate unless the first steps threw the weights away."""
LOOKS = ("loss-divergence", "loss-erratic", "grad-norm-explosion", "weights-exploded")


def _argue(run: Run, explained: Explained) -> Iterator[Evidence]:
    if explained.name in STANDS:
        yield from (said for said in _rate(run, alone=True) if said.points >= CONVINCING)
        return
    jumped = rate_jumped(run, explained)
    rose, grew = loss_rose(run, explained), norms_grew(run, explained)
    yield from _rate(run, alone=explained.name not in LOOKS and not any(map(holds, (jumped, rose, grew))))
    yield from weigh_yes(_scaling(run), 1)
    yield from weigh_yes(jumped, 6, "what follows is its doing")
    yield from weigh_yes(rose, 3)
    if rose is None and not holds(fp16_used(run)) and not holds(is_ctc(run)):
        yield from weigh_yes(infinite_first(run), 3, "within a few entries, as of updates that overshoot")
    yield from weigh_yes(grew, 3)
    if not holds(jumped):
        yield from weigh_no(rose, -2, "a divergence shows before it ends")
    if explained.name not in LOOKS:
        # A rate that is too high may be so from the first entry on; a NaN from the first entry on is something else.
        yield from weigh_no(healthy_before(run, explained), -2)
    yield from weigh_yes(single(run), -2)


@rule(
    "OPT010",
    "lr-too-high",
    explains=(
        "nan-gradient-applied",
        "loss-divergence",
        "loss-spike",
        "loss-uniform",
        "loss-plateau",
        "loss-constant",
        "grad-norm-explosion",
        "weights-exploded",
        "overflow-steps-skipped",
        "loss-erratic",
        "loss-above-uniform",
        "eval-gap",
        "reward-collapse",
        "kl-explosion",
        "diversity-collapse",
    ),
    helps=("learning_rate", "grad_norm", "loss", "warmup_steps", "adapter.r"),
    cases=2,
    references=(
        "https://github.com/hiyouga/LlamaFactory/issues/1989",
        "https://github.com/tloen/alpaca-lora/issues/391",
        "https://github.com/hiyouga/LlamaFactory/issues/1483",
    ),
)
def lr_too_high(run: Run, explained: Explained) -> Iterator[Evidence | Fix | Experiment]:
    """The learning rate is too high for this model: the loss diverged before it broke.

    ## What happens
    Updates overshoot, the loss rises and the gradients grow, until activations overflow or the outputs
    saturate at uniform probabilities (loss = ln of the vocabulary size), where the loss may stand for good. Norm
    layers may hide it: huge finite weights without a single NaN.

    ## How to tell
    The loss rises or jumps about and grad_norm grows before the onset, near the peak of the schedule. A
    fault of a kernel or of communication strikes from healthy numbers, in one step. A high rate alone proves
    nothing.

    ## What to do
    1e-4 to 2e-4 for LoRA, 1e-5 to 2e-5 for full fine-tuning, with warmup and max_grad_norm 1.0.

    ## Sources
    LLaMA-Factory issues 1989 and 1483 (maintainer's advice), alpaca-lora issue 391 (3e-3, alpha / r of 2).
    """
    argued = list(_argue(run, explained))
    yield from argued
    if explained.name in LOOKS and any(e.points > 0 for e in argued):
        yield Evidence(1, f"{explained.name} is how a rate that is too high looks", explained.finding.source)
    yield Fix(
        "Lower the learning rate by three to ten times, warm up over 3 % of the steps, and clip at 1.0.",
        {"learning_rate": _lower(run), "warmup_ratio": 0.03, "max_grad_norm": 1.0},
        "https://github.com/hiyouga/LlamaFactory/issues/1989",
    )
    yield Experiment("Run the same steps at a tenth of the rate.", "no divergence", 1)


def _lower(run: Run) -> float:
    """Return a fifth of the rate that was asked for, in one digit; what usually trains where none is recorded."""
    asked = run.environment.number("learning_rate")
    return float(f"{asked / 5:.0e}") if asked is not None and asked > 0 else 1e-05
