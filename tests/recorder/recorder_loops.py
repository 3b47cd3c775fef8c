"""Small training loops under the black box, one process a rank: `python recorder_loops.py OUT CASE...`.

Each case trains a model of 26 tensors and writes its record to OUT/CASE/blackbox. The losses and, where asked for,
gradients made by hand lie beside it, so that a test can hold the record against them.
"""

import argparse
import contextlib
import copy
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

WIDTH, VOCABULARY, LAYERS, TOKENS, ROWS = 16, 64, 4, 12, 4
POISONED = "layers.1.up.weight"


@dataclass(frozen=True)
class Case:
    """How a case trains and what goes wrong at step 7."""

    kind: str = "single"
    fault: str = ""
    accumulation: int = 1
    steps: int = 12
    rate: float = 1e-3
    clip: float = 0.0
    dtype: str = "float32"
    reentrant: bool = False
    optimizer: str = "AdamW"
    seed: int = 1
    shift: int = 0
    threads: int = 1
    frozen: bool = False
    autocast: bool = False
    compiled: bool = False
    stop: bool = False
    every: int = 1
    box: bool = True
    by_hand: bool = False
    offload: bool = False


class Poison(torch.autograd.Function):  # type: ignore[misc, unused-ignore]
    """The identity; its gradient gets one NaN while `active`."""

    active = False

    @staticmethod
    def forward(ctx: Any, weight: Any) -> Any:
        del ctx
        return weight.view_as(weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        del ctx
        gradient = gradients[0].clone()
        if Poison.active:
            gradient[0, 0] = torch.nan
        return gradient


class Layer(nn.Module):  # type: ignore[misc, unused-ignore]
    """Norm, up, down: six tensors."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        self.norm, self.up, self.down = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 32), nn.Linear(32, WIDTH)

    def forward(self, x: Any) -> Any:
        weight = Poison.apply(self.up.weight) if self.number == 1 else self.up.weight
        return x + self.down(functional.gelu(functional.linear(self.norm(x), weight, self.up.bias)))


class Model(nn.Module):  # type: ignore[misc, unused-ignore]
    """Embedding, layers, head: 26 tensors, a next-token loss."""

    def __init__(self, *, reentrant: bool = False) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.layers = nn.ModuleList([Layer(i) for i in range(LAYERS)])
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)
        self.reentrant = reentrant

    def forward(self, ids: Any) -> Any:
        x = self.embed(ids)
        for layer in self.layers:
            x = checkpoint(layer, x, use_reentrant=True) if self.reentrant else layer(x)
        logits = self.head(x)
        return functional.cross_entropy(logits[:, :-1].reshape(-1, VOCABULARY).float(), ids[:, 1:].reshape(-1))


def batches(case: Case, rank: int) -> list[list[Any]]:
    """Return the micro-batches of each step of this rank."""
    generator = torch.Generator().manual_seed(1000 + rank)
    count = (case.steps + 40) * case.accumulation
    tokens = torch.randint(0, VOCABULARY, (count, ROWS, TOKENS), generator=generator)
    if case.fault == "repeated":
        tokens[10 * case.accumulation :] = tokens[: count - 10 * case.accumulation].clone()
    if case.fault == "global":  # the batches of two ranks, one after the other
        ranks = [torch.Generator().manual_seed(1000 + r) for r in (0, 1)]
        parts = [torch.randint(0, VOCABULARY, (case.steps + 40, ROWS, TOKENS), generator=g) for g in ranks]
        tokens = torch.stack(parts, dim=1).flatten(0, 1)
    if case.fault == "same-batch":
        tokens = torch.randint(0, VOCABULARY, tokens.shape, generator=torch.Generator().manual_seed(7))
    tokens = tokens[case.shift :]
    return [list(tokens[s * case.accumulation : (s + 1) * case.accumulation]) for s in range(case.steps)]


def wrapped(case: Case, model: Any) -> Any:
    if case.kind in {"ddp", "ddpview"}:
        model = nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=case.kind == "ddpview")
        if case.fault == "reduction":
            model.register_comm_hook(None, spoiling_hook)
    if case.kind == "fsdp1":
        from torch.distributed.fsdp import FullyShardedDataParallel

        model = FullyShardedDataParallel(model, use_orig_params=True, device_id=torch.device("cpu"))
    if case.kind == "fsdp2":
        from torch.distributed.fsdp import CPUOffloadPolicy, fully_shard

        options: Any = {"offload_policy": CPUOffloadPolicy(pin_memory=False)} if case.offload else {}
        for layer in model.layers:
            fully_shard(layer, **options)
        fully_shard(model, **options)
    return torch.compile(model, backend="aot_eager") if case.compiled else model


CLOCK = {"step": 0}


def spoiling_hook(state: object, bucket: dist.GradBucket) -> torch.futures.Future[torch.Tensor]:
    """Average the bucket as DDP does, then put one NaN into it."""
    del state
    gradients = bucket.buffer()
    gradients.div_(dist.get_world_size())

    def spoil(future: Any) -> Any:
        reduced = future.value()[0]
        if CLOCK["step"] == 7 and bucket.is_last():
            # The last gradient of the bucket belongs to one tensor of those that come last in the backward pass.
            reduced[0] = torch.nan
        return reduced

    future: torch.futures.Future[torch.Tensor] = dist.all_reduce(gradients, async_op=True).get_future().then(spoil)
    return future


def spoiling_reduce_scatter(inner: Any) -> Any:
    """Return reduce_scatter_tensor that puts one NaN into what rank 1 receives in the first call of step 7."""
    done = set()

    def call(*args: Any, **kwargs: Any) -> Any:
        result = inner(*args, **kwargs)
        output: Any = kwargs["output"] if "output" in kwargs else args[0]
        if CLOCK["step"] == 7 and dist.get_rank() == 1 and "done" not in done:
            done.add("done")
            if result is not None and hasattr(result, "wait"):
                result.wait()
            output[0] = torch.nan
        return result

    return call


def train(case: Case, out: Path, rank: int) -> None:
    from forensics.recorder import BlackBox

    torch.manual_seed(case.seed)
    torch.set_num_threads(case.threads)
    model = Model(reentrant=case.reentrant).to(getattr(torch, case.dtype))
    if case.frozen:
        model.embed.weight.requires_grad_(False)
    net = wrapped(case, model)
    kinds = {"AdamW": torch.optim.AdamW, "SGD": torch.optim.SGD}
    optimizer = kinds[case.optimizer]([p for p in net.parameters() if p.requires_grad], lr=case.rate)
    stop_on: Any = "nonfinite" if case.stop else None
    box = BlackBox(net, optimizer, out / "blackbox", stop_on=stop_on, every=case.every) if case.box else None
    losses: list[float] = []
    truth: list[dict[str, Any]] = []
    for step, micro in enumerate(batches(case, rank), start=1):
        CLOCK["step"] = step
        Poison.active = case.fault == "nan" and step == 7 and rank == ranks_of() - 1
        made = gradients_by_hand(model, micro) if case.by_hand else {}
        loss = backward(case, net, micro, box)
        if case.kind == "by-hand":
            reduce_by_hand(model)
        if case.clip:
            nn.utils.clip_grad_norm_(net.parameters(), case.clip)
        before = {n: p.detach().clone() for n, p in model.named_parameters()} if case.by_hand else {}
        if case.fault != "never-stepped":
            optimizer.step()
        if case.by_hand:
            after = {n: p.detach().clone() for n, p in model.named_parameters()}
            truth.append({**made, "before": before, "after": after})
        losses.append(float(loss.detach()))
        if box is not None:
            box.step(step=step, loss=loss, batch={"input_ids": micro[-1], "labels": micro[-1]})
        optimizer.zero_grad()
        if box is not None and box.should_stop:
            break
    out.mkdir(parents=True, exist_ok=True)
    weights = {n: getattr(p, "_local_tensor", p).detach() for n, p in net.named_parameters()}
    torch.save({"losses": losses, "truth": truth, "weights": weights}, out / f"truth.{rank}.pt")


def backward(case: Case, net: Any, micro: list[Any], box: Any) -> Any:
    """Run the micro-batches of one step, synchronised in the last one; return its loss."""
    loss: Any = None
    for number, ids in enumerate(micro):
        last = number == len(micro) - 1
        unsynced = case.fault == "never-synced" and CLOCK["step"] >= 7
        quiet = case.kind.startswith("ddp") and (not last or unsynced)
        if case.kind == "fsdp2":
            net.set_requires_gradient_sync(last)
        autocast = torch.autocast("cpu", torch.bfloat16) if case.autocast else contextlib.nullcontext()
        with net.no_sync() if quiet else contextlib.nullcontext():
            with autocast:
                loss = net(ids) / len(micro)
            (loss * 0 if case.fault == "zero" and CLOCK["step"] >= 7 else loss).backward()
        if box is not None and not last:
            box.note(loss, ids, ids)
    return loss


def reduce_by_hand(model: Any) -> None:
    for p in model.parameters():
        dist.all_reduce(p.grad)
        p.grad /= dist.get_world_size()


def gradients_by_hand(model: Any, micro: list[Any]) -> dict[str, Any]:
    """Return the gradients of this rank alone, and their mean over the ranks, from a copy of the model."""
    twin = copy.deepcopy(model)
    twin.zero_grad()
    for ids in micro:
        (twin(ids) / len(micro)).backward()
    local = {n: p.grad.clone() for n, p in twin.named_parameters() if p.grad is not None}
    if dist.is_initialized():
        reduce_by_hand(twin)
    reduced = {n: p.grad.clone() for n, p in twin.named_parameters() if p.grad is not None}
    return {"local": local, "reduced": reduced}


def ranks_of() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


CASES = {
    "hand-1": Case(by_hand=True, steps=5),
    "hand-3": Case(by_hand=True, steps=5, accumulation=3, frozen=True),
    "hand-clip": Case(by_hand=True, steps=5, clip=0.05, frozen=True),
    "hand-autocast": Case(accumulation=2, autocast=True, steps=3),
    "hand-ddp": Case(kind="ddp", by_hand=True, steps=5),
    "hand-ddpview": Case(kind="ddpview", by_hand=True, steps=5),
    "hand-ranks": Case(kind="by-hand", by_hand=True, steps=5),
    **{
        f"none-{kind}-{gas}": Case(kind=kind, accumulation=gas, steps=6)
        for kind in ("ddp", "ddpview", "fsdp2")
        for gas in (1, 2)
    },
    **{f"none-fsdp2-offload-{gas}": Case(kind="fsdp2", offload=True, accumulation=gas, steps=6) for gas in (1, 2)},
    "nan-fsdp2-offload": Case(kind="fsdp2", fault="nan", offload=True),
    "reduction-fsdp2-offload": Case(kind="fsdp2", fault="reduction", offload=True),
    "nan-single": Case(fault="nan", clip=1.0),
    "nan-compiled": Case(fault="nan", compiled=True),
    "nan-ddp": Case(kind="ddp", fault="nan", clip=1.0),
    "nan-ddp-reentrant": Case(kind="ddp", fault="nan", reentrant=True),
    "nan-ddp-3": Case(kind="ddp", fault="nan", accumulation=3),
    "nan-fsdp2": Case(kind="fsdp2", fault="nan"),
    "reduction-ddp": Case(kind="ddp", fault="reduction"),
    "reduction-fsdp2": Case(kind="fsdp2", fault="reduction"),
    "zero": Case(fault="zero", steps=20),
    "stall": Case(dtype="bfloat16", rate=2e-6, steps=20),
    "stall-not": Case(dtype="bfloat16", rate=2e-3, steps=20),
    "drift": Case(kind="ddp", fault="never-synced"),
    "repeated": Case(fault="repeated", steps=20),
    "not-repeated": Case(steps=20),
    "unreduced": Case(kind="unreduced", steps=8),
    "same-batch": Case(kind="ddp", fault="same-batch", steps=8),
    "never-stepped": Case(fault="never-stepped", steps=20),
    "stop-ddp": Case(kind="ddp", fault="nan", stop=True),
    "stop-fsdp2": Case(kind="fsdp2", fault="nan", stop=True),
    "every-4": Case(every=4, steps=12),
    "compare-a": Case(),
    "compare-b": Case(),
    "compare-lr": Case(rate=1.01e-3),
    "compare-clip": Case(clip=0.05),
    "compare-clip-half": Case(clip=0.025),
    "compare-sgd": Case(optimizer="SGD"),
    "compare-seed": Case(seed=2),
    "compare-shift": Case(shift=1),
    "compare-bf16": Case(dtype="bfloat16"),
    "compare-global": Case(accumulation=2, fault="global", steps=6),
    "compare-ddp": Case(kind="ddp"),
    "compare-ddp-again": Case(kind="ddp"),
    "compare-ddpview": Case(kind="ddpview"),
    "compare-fsdp2": Case(kind="fsdp2"),
    "compare-fsdp1": Case(kind="fsdp1"),
    "compare-checkpointed": Case(reentrant=True),
    "compare-threads": Case(threads=2),
    "plain-ddp": Case(kind="ddp", box=False, clip=1.0),
    "boxed-ddp": Case(kind="ddp", clip=1.0),
    "plain-fsdp2": Case(kind="fsdp2", box=False, clip=1.0),
    "boxed-fsdp2": Case(kind="fsdp2", clip=1.0),
    "plain-single": Case(box=False, clip=1.0, dtype="bfloat16"),
    "boxed-single": Case(clip=1.0, dtype="bfloat16"),
}
"""Cases by name; those of several ranks need WORLD_SIZE 2."""
ALONE = {"single"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("cases", nargs="+")
    parser.add_argument("--steps", type=int, default=0)
    options = parser.parse_args()
    ranks = int(os.environ.get("WORLD_SIZE", "1"))
    if ranks > 1:
        dist.init_process_group("gloo")
        # torch 2.13 renamed what FSDP2 calls.
        scatter_name = "reduce_scatter_single" if hasattr(dist, "reduce_scatter_single") else "reduce_scatter_tensor"
        scatter = getattr(dist, scatter_name)
    for name in options.cases:
        case = CASES[name] if not options.steps else replace(CASES[name], steps=options.steps)
        if ranks > 1:
            spoiled = case.kind == "fsdp2" and case.fault == "reduction"
            setattr(dist, scatter_name, spoiling_reduce_scatter(scatter) if spoiled else scatter)
        train(case, options.out / name, int(os.environ.get("RANK", "0")))
        (options.out / name / "case.json").write_text(json.dumps({"name": name}))
    if ranks > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
