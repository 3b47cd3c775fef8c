"""A checkpoint's tensors against what its own `config.json` or `adapter_config.json` promises."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

import numpy as np

from forensics.deferred.patterns import expression
from forensics.errors import ForensicsError
from forensics.formats.lenient_json import load
from forensics.model import Artifact, Problem, Source
from forensics.model.tensors import Tensors
from forensics.storage.file import File
from forensics.weights.folders import Folder, Folders
from forensics.weights.found import Found
from forensics.weights.layouts._trained import EMBEDDING, HEAD
from forensics.weights.optimizer import whole

CONFIG_BYTES = 4 << 20
LAYER = expression(r"(.*)\.(?:layers?|h|blocks?)\.(\d{1,6})\.")
FAR_SMALLER = 0.5
"""Share of the elements that the configuration implies at least, below which weights are missing as a whole."""
SHOWN = 3


def judge_config(found: Found, folders: Folders) -> Iterator[Problem]:
    """Yield what the tensors lack or have otherwise than the configuration says, and label tensors on the way."""
    folder = folders.get(found.path)
    if folder is None or not found.kind.startswith(("huggingface", "deepspeed", "dcp", "fsdp")):
        return
    adapter = _load(folder, "adapter_config.json")
    held = found.records.tensors
    weights = held.taken(np.flatnonzero(held.roles.among({"weight"})))
    if adapter is not None:
        yield from _adapter(found, folder, adapter, weights)
        return
    config = _load(folder, "config.json")
    if config is None or not weights:
        return
    text = config.get("text_config") if isinstance(config.get("text_config"), Mapping) else config
    source = Source(folder.files["config.json"].path)
    assert isinstance(text, Mapping)
    tied = text.get("tie_word_embeddings", config.get("tie_word_embeddings"))
    yield from _sizes(found, text, weights, source)
    yield from _vocabulary(text, weights, source)
    yield from _head(config, tied, weights, source)
    if tied is True:
        found.trained.update(dict.fromkeys((r.name for r in weights.only(weights.names.where(HEAD.fullmatch))), "tied"))


def _load(folder: Folder, name: str) -> Mapping[object, object] | None:
    artifact: Artifact | None = folder.files.get(name)
    if artifact is None or artifact.size > CONFIG_BYTES:
        return None
    try:
        with File(artifact.location) as file:
            value = load(file, artifact.limits).value
    except ForensicsError:
        return None  # The reader of configurations tells it.
    return value if isinstance(value, Mapping) else None


def _number(config: Mapping[object, object], *names: str) -> int | None:
    return next((known for name in names if (known := whole(config.get(name))) is not None and known > 0), None)


def _sizes(found: Found, config: Mapping[object, object], weights: Tensors, source: Source) -> Iterator[Problem]:
    layers = _number(config, "num_hidden_layers", "n_layer", "num_layers")
    hidden = _number(config, "hidden_size", "n_embd", "d_model")
    if layers is None or hidden is None:
        return
    held = int(weights.elements[weights.own].sum(dtype=np.float64))
    if weights.dtypes.among({"U8", "I8", "I32", "QI8"}).any() or "quantization_config" in config:
        return  # Packed weights: an element is no parameter.
    if "num_hidden_groups" in config:
        return  # ALBERT: its layers share their weights.
    # Every layer has two matrices of this size at least; all that a family adds only makes it more.
    implied = layers * 2 * hidden * hidden + (_number(config, "vocab_size") or 0) * hidden
    if held < FAR_SMALLER * implied:
        beside = bool(found.records.tensors.roles.among({"master"}).any())
        where = (
            "; the ZeRO shards beside them hold the weights (zero_to_fp32.py puts them together)"
            if beside
            else "; they were saved without being gathered, or only in part"
        )
        yield Problem(
            "suspicious" if beside else "incomplete",
            f"the weights have {held:,} elements, the configuration implies {implied:,} at least{where}",
            source,
        )
        return
    present = _layers(weights)
    if present and len(present) < layers:
        missing = sorted(set(range(layers)) - present)
        shown = ", ".join(str(number) for number in missing[:SHOWN])
        more = " ..." if len(missing) > SHOWN else ""
        yield Problem("incomplete", f"{len(missing)} of {layers} layers are missing: {shown}{more}", source)


def _layers(weights: Tensors) -> set[int]:
    """Return the numbers of the layers of the stack with the most of them (a vision tower has its own)."""
    stacks: dict[str, set[int]] = defaultdict(set)
    kinds, of = weights.names.kinds
    for number, kind in enumerate(kinds):
        match = LAYER.match(kind)
        if match is None:
            continue
        # Names of a kind have their digits at the same places.
        names = {weights.names[row][: match.end(2)] for row in np.flatnonzero(of == number).tolist()}
        for name in names:
            stacks[name[match.start(1) : match.end(1)]].add(int(name[match.start(2) :]))
    return max(stacks.values(), key=len, default=set())


def _vocabulary(config: Mapping[object, object], weights: Tensors, source: Source) -> Iterator[Problem]:
    """Compare rows with `vocab_size`: a resize that reached only one of the two makes other tokens of some."""
    size = _number(config, "vocab_size")
    if size is None:
        return
    for record in weights.only(weights.names.where(EMBEDDING.fullmatch) | weights.names.where(HEAD.fullmatch)):
        if len(record.shape) != 2 or record.shape[0] in {size, 0}:
            continue
        yield Problem(
            "suspicious",
            f"{record.name} has {record.shape[0]:,} rows, config.json says vocab_size {size:,}",
            source,
        )


def _head(config: Mapping[object, object], tied: object, weights: Tensors, source: Source) -> Iterator[Problem]:
    """Tell a missing head: only with `tie_word_embeddings` true does a loader know where to take it from."""
    classes = config.get("architectures")
    causal = isinstance(classes, list) and any("CausalLM" in str(c) or "LMHead" in str(c) for c in classes)
    embeds = any(map(EMBEDDING.fullmatch, weights.names.kinds[0]))
    if tied is False and causal and embeds and not any(map(HEAD.fullmatch, weights.names.kinds[0])):
        yield Problem(
            "suspicious",
            "lm_head.weight is missing while tie_word_embeddings is false: a loader makes a random head",
            source,
        )


def _adapter(found: Found, folder: Folder, config: Mapping[object, object], weights: Tensors) -> Iterator[Problem]:
    """Judge a PEFT adapter: only its own tensors are trained."""
    source = Source(folder.files["adapter_config.json"].path)
    names = list(weights.names)
    inner = [name for name in names if _is_adapter(name)]
    saved = config.get("modules_to_save")
    modules = [str(module) for module in saved] if isinstance(saved, list) else []
    for name in names:
        own = _is_adapter(name) or any(f".{module}." in f".{name}." for module in modules)
        beside_base = len(inner) < len(names) and inner
        found.trained.setdefault(name, "trainable" if own or not beside_base else "frozen")
    for module in modules:
        if names and not any(f".{module}." in f".{name}." for name in names):
            yield Problem(
                "suspicious",
                f"modules_to_save names {module[:80]}, of which the adapter holds no tensor",
                source,
            )
    targets = config.get("target_modules")
    if isinstance(targets, list) and inner:
        absent = [t for t in targets if isinstance(t, str) and not any(f".{t}." in name for name in inner)]
        if absent:
            shown = ", ".join(sorted(absent)[:SHOWN])
            yield Problem("suspicious", f"the adapter has no tensor for the target modules {shown[:200]}", source)


def _is_adapter(name: str) -> bool:
    return (
        re.search(r"lora_|adapter|prompt_encoder|prompt_embeddings|ia3_|vera_|hada_|lokr_|oft_|modules_to_save", name)
        is not None
    )
