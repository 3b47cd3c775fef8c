"""Which tensors a run meant to train, as far as its optimizer and the names tell."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from forensics.deferred.patterns import expression
from forensics.formats.pickle_values import StoredTensor
from forensics.model.tensors import Tensors
from forensics.weights.found import Found

BUFFER = expression(
    r".*(?:inv_freq|original_inv_freq|masked_bias|position_ids|num_batches_tracked|running_(?:mean|var)|cos_cached"
    r"|sin_cached|token_type_ids)|.*\.attn\.bias"
)
"""Names of buffers that models keep in their state dicts (rotary embeddings, GPT-2's causal mask)."""
EMBEDDING = expression(r".*(?:embed_tokens|word_embeddings|embed_in|tok_embeddings|\bwte)\.weight")
HEAD = expression(r".*(?:lm_head|embed_out|\boutput)\.weight")
LAYER = expression(r".*\.(?:layers?|h|blocks?)\.\d+\.")

Shape = tuple[int, ...]


def mark_trained(found: Found, saved: Mapping[object, object]) -> None:
    """Tell trainable from frozen tensors: the optimizer knows its parameters only by number.

    A shape that occurs as often in the optimizer's state as among the weights is trainable throughout; one that
    does not occur there is frozen. Where the counts differ, the order tells input embeddings from the head: a
    model's parameters come in the order of its modules, embeddings before the layers and the head behind them.
    """
    held = found.records.tensors
    held = held.taken(np.flatnonzero(held.roles.among({"weight"})))
    mark_buffers(found, held)
    weights = [one for one in zip(held.names, held.shapes, strict=True) if found.trained.get(one[0]) != "buffer"]
    state, groups = saved.get("state"), saved.get("param_groups")
    if isinstance(state, Mapping) and state and all(isinstance(key, str) for key in state):
        found.trained.update((name, "trainable" if name in state else "frozen") for name, _ in weights)
        return
    listed = _numbers(groups)
    shapes = _state_shapes(state)
    if len(shapes) != sum(len(numbers) for numbers in listed):
        if sum(len(numbers) for numbers in listed) == len(weights):
            found.trained.update(dict.fromkeys((name for name, _ in weights), "trainable"))
        return
    counts, present = Counter(shapes.values()), Counter(shape for _, shape in weights)
    for name, shape in weights:
        known = counts.get(shape, 0)
        if known == present[shape]:
            found.trained[name] = "trainable"
        elif known == 0:
            found.trained[name] = "frozen"
    _by_order(found, weights, [[shapes[n] for n in numbers if n in shapes] for numbers in listed])


def mark_buffers(found: Found, weights: Tensors) -> None:
    for row in np.flatnonzero(weights.names.where(BUFFER.fullmatch) | weights.dtypes.among({"BOOL", "I64"})).tolist():
        found.trained[weights.names[row]] = "buffer"


def _by_order(found: Found, weights: Sequence[tuple[str, Shape]], groups: Sequence[Sequence[Shape]]) -> None:
    """Tell which of embedding and head is trained when they have one shape and the optimizer has it once."""
    inner = {shape for name, shape in weights if LAYER.match(name)}
    unknown = {shape for name, shape in weights if name not in found.trained}
    for shape in unknown - inner:
        same = [name for name, held in weights if held == shape]
        embeddings = [name for name in same if EMBEDDING.fullmatch(name)]
        heads = [name for name in same if HEAD.fullmatch(name)]
        if len(same) != 2 or len(embeddings) != 1 or len(heads) != 1:
            continue
        group = next((group for group in groups if shape in group), ())
        layers = [position for position, one in enumerate(group) if one in inner]
        if group.count(shape) != 1 or not layers or sum(shape in one for one in groups) != 1:
            continue
        first = group.index(shape) < layers[0]
        last = group.index(shape) > layers[-1]
        if first or last:
            found.trained[embeddings[0]] = "trainable" if first else "frozen"
            found.trained[heads[0]] = "trainable" if last else "frozen"


def _numbers(groups: object) -> list[list[object]]:
    if not isinstance(groups, list):
        return []
    listed = [group.get("params") for group in groups if isinstance(group, Mapping)]
    return [numbers for numbers in listed if isinstance(numbers, list)]


def _state_shapes(state: object) -> dict[object, Shape]:
    """Return the shape of each parameter that the optimizer keeps a state of, by its number."""
    found: dict[object, Shape] = {}
    for number, entry in state.items() if isinstance(state, Mapping) else ():
        values = entry.values() if isinstance(entry, Mapping) else ()
        shape = next((v.shape for v in values if isinstance(v, StoredTensor) and v.shape), None)
        if shape is not None:
            found[number] = shape
    return found
