"""Names of tensors in flattened training states: which are weights, which belong to the optimizer."""

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.model import Role

STATES = ("model", "state_dict", "module", "app", "net", "network", "weights", "model_state_dict")
"""First parts under which trainers save the weights; taken off, since the same tensor has none elsewhere."""
ROLES: dict[str, Role] = {
    "exp_avg": "exp_avg",
    "exp_avg_sq": "exp_avg_sq",
    "fp32_param": "master",
    "master_param": "master",
    "master": "master",
}
_TORCH = expression(r"(?:(?:.*\.)?(?:optim|optimizer)(?:_states)?(?:\.\d+)?\.)?state\.(.+)\.([a-z_0-9]+)")
_MEGATRON = expression(r"(?s)(?:.*\.)?optimizer(?:_\d+)?\.state\.(exp_avg|exp_avg_sq|fp32_param|master_param)\.(.+)")
_OTHERS = expression(
    r"(?:.*\.)?(?:optim|optimizer)(?:_states)?\..*|(?:lr_)?scheduler\..*|param_groups\..*|rng_state.*|dataloader.*"
    r"|train_state.*"
)


@dataclass(frozen=True, slots=True)
class Named:
    """A tensor's name and role; `role` is None for what is neither weight nor moment, `entry` then tells what."""

    name: str
    role: Role | None
    entry: str = ""


def named_by_key(key: str, path: tuple[object, ...] | None = None) -> Named:
    """Return what a flattened key stands for; `path` is where the value stood in the nested dict, if known.

    >>> named_by_key("optimizer.state.norm.weight.exp_avg")
    Named(name='norm.weight', role='exp_avg', entry='')
    >>> named_by_key("model.norm.weight", ("model", "norm.weight")).name
    'norm.weight'
    """
    megatron = _MEGATRON.fullmatch(key)
    if megatron is not None:
        return Named(megatron[2], ROLES[megatron[1]])
    torch = _TORCH.fullmatch(key)
    if torch is not None:
        role = ROLES.get(torch[2])
        return Named(torch[1], role, torch[2]) if role is None else Named(torch[1], role)
    if _OTHERS.fullmatch(key):
        return Named(key, None, "other")
    if path is not None and len(path) > 1 and path[0] in STATES:
        return Named(".".join(str(part) for part in path[1:]), "weight")
    return Named(key, "weight")
