"""Weights in bf16 that are their own masters: what both rules about lost updates ask for."""

from forensics.model import Run
from forensics.plugin import Condition
from forensics.rules._curves import shown
from forensics.rules._deepspeed import deepspeed_used
from forensics.rules._rates import peak_rate
from forensics.rules._recorded import masterless, recorded_as
from forensics.rules._seen import Seen, first
from forensics.rules._tensors import weights_stored_as, without_masters

SMALL_RATE = 1e-5
"""Adam moves a weight by about the learning rate; half a bf16 step of a weight of 0.005 is 1e-5."""
PURE_BF16 = (
    Condition(
        "the weights that train are stored in bf16",
        lambda run, _: first(recorded_as(run, "bfloat16"), weights_stored_as(run, "BF16")),
    ),
    Condition(
        "no fp32 masters are kept", lambda run, _: first(without_masters(run, deepspeed_used(run)), masterless(run))
    ),
)


def small_rate(run: Run) -> Seen | None:
    """Tell whether the rate never was above what bf16 resolves, and was not zero all along."""
    found = peak_rate(run)
    if found is None:
        return None
    rate, source = found
    return Seen(0 < rate <= SMALL_RATE, f"the highest learning rate is {shown(rate)}", source, "learning rate")
