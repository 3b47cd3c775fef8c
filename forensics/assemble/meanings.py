"""What settings mean, whoever names them: the ZeRO stage, DeepSpeed's own switches and the number of processes.

    deepspeed: zero2.json                      a file that tools ship under a fixed name
    trainer.strategy: deepspeed_stage_2        Lightning
    --ds_stage 2, zero_stage: 2                loops of one's own, accelerate
    args.deepspeed.zero_optimization.stage: 2  a configuration inside of another
    devices: 7, --num_gpus 7                   Lightning, the launcher of DeepSpeed

Readers tell every setting under the name that it was given; what rules ask for is named here, once for all of them.
"""

from collections.abc import Iterable, Iterator

from forensics.deferred.patterns import expression
from forensics.model import Scalar, Setting, Standing

STAGE = "zero_optimization.stage"
_STAGES = frozenset({"zero_stage", "ds_stage", "deepspeed_stage", "zero_optimization_stage"})
_FILES = frozenset({"deepspeed", "deepspeed_config", "deepspeed_config_file", "ds_config", "ds_config_file"})
_STRATEGIES = frozenset(
    {
        "strategy",
        "distributed_strategy",
        "parallel_strategy",
        "distributed_backend",
        "plugin",
        "distributed",
        "sharding",
    }
)
_PROCESSES = frozenset({"num_gpus", "n_gpus", "ngpus", "devices", "gpus", "nproc_per_node", "n_gpus_per_node"})
_MACHINES = frozenset({"num_nodes", "nnodes", "num_machines", "n_nodes"})
_NAMED = expression(r"(?i)(?:^|[/_\-])(?:ds_?)?z(?:ero)?_?(?:stage_?)?([0-3])(?!\d|\.\d)(?:[\w.\-]{0,60})$")
"""`zero3` of ms-swift (`swift/llm/ds_config`), `ds_z2_config.json` of LLaMA-Factory, `deepspeed_configs/zero2.json` of
axolotl: only the stage is believed, and only until the file itself is read."""
_PRESET = expression(r"[\w\-]{1,40}")
_STRATEGY = expression(r"(?i)(?:deepspeed|ds|zero)[-_ ]?(?:stage|zero)?[-_ ]?([0-3])(?:[-_ ]\w{1,20})?")
_OF_THE_ENGINE = expression(r"^.{1,200}?\.((?:zero_optimization|bf16|fp16|bfloat16)\.[\w.]{1,100})$")
_HOLDS_ONE = expression(r"(?:^|[._])(?:deepspeed|ds|engine)(?:_?config\w{0,10})?(?:\.|$)")


def with_meanings(settings: Iterable[Setting]) -> list[Setting]:
    """Return settings, and behind them what they mean under the names that rules ask for."""
    given = list(settings)
    meant = [found for setting in given if setting.group == "setting" for found in _meant(setting)]
    return [*given, *meant, *_processes(given)]


def _meant(setting: Setting) -> Iterator[Setting]:
    leaf = setting.name.rpartition(".")[2].lower()
    inside = _OF_THE_ENGINE.match(setting.name)
    if inside is not None and (_HOLDS_ONE.search(setting.name[: inside.start(1)]) or inside[1].startswith("zero")):
        yield _named(setting, inside[1], setting.value)
    elif leaf in _STAGES and setting.name != STAGE and (stage := _whole(setting.value)) is not None and stage <= 3:
        yield _named(setting, STAGE, stage)
    elif leaf in _FILES and isinstance(setting.value, str) and (match := _NAMED.search(setting.value)):
        preset = _PRESET.fullmatch(setting.value) is not None
        standing = min(setting.standing, Standing.INTENDED) if preset else Standing.INFERRED
        yield Setting("setting", STAGE, int(match[1]), setting.source, standing)
    elif leaf in _STRATEGIES and isinstance(setting.value, str) and (match := _STRATEGY.fullmatch(setting.value)):
        yield _named(setting, STAGE, int(match[1]))


def _processes(given: Iterable[Setting]) -> Iterator[Setting]:
    """Yield the number of processes where only its parts were set, on each machine and of machines.

    Those of one section belong together: the nodes of a graph are no machines. One alone is left out: `gpus: 1` may be
    the number of a board as well as how many there are.
    """
    parts: dict[str, dict[str, Setting]] = {}
    for setting in given:
        section, _, leaf = setting.name.rpartition(".")
        if setting.group == "setting" and leaf.lower() == "world_size":
            return
        if setting.group == "setting" and leaf.lower() in _PROCESSES | _MACHINES:
            parts.setdefault(section, {}).setdefault(leaf.lower(), setting)
    for named in parts.values():
        several = [named[name] for name in sorted(_PROCESSES & named.keys()) if (_whole(named[name].value) or 0) > 1]
        machines = [number for name in sorted(_MACHINES & named.keys()) if (number := _whole(named[name].value))]
        if several:
            yield _named(several[0], "world_size", (_whole(several[0].value) or 0) * max([1, *machines]))
            return


def _named(setting: Setting, name: str, value: Scalar) -> Setting:
    return Setting("setting", name, value, setting.source, setting.standing)


def _whole(value: Scalar) -> int | None:
    """Return a whole number of zero or more, also one that is written as text; None for anything else."""
    if isinstance(value, bool):
        return None
    text = str(value).strip()
    return int(text) if text.isdigit() and len(text) < 9 else None
