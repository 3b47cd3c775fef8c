"""The black box of a training run: one row a step of what cannot be had from a log afterwards."""

from __future__ import annotations

import atexit
import functools
import os
import time
from collections.abc import Callable
from typing import Any, Literal

import torch

from forensics.recorder.early import StopFlag, sentence, tell, unseen
from forensics.recorder.files import Files
from forensics.recorder.gradients import Gradients, place_flag
from forensics.recorder.layout import PROBE, PROBED, THIN_EVERY
from forensics.recorder.meta import described
from forensics.recorder.norms import device_of
from forensics.recorder.probe import Probe
from forensics.recorder.setups import Setup
from forensics.recorder.writer import Row, Writer

MAXIMUM_EVERY = 10
"""On a GPU and for 16-bit weights the maxima are read in every tenth row, which halves what is read on the one and
spares a third of the time on a CPU; an L2 norm that is not finite shows NaN in any row."""


def guarded(method: Callable[..., Any]) -> Callable[..., Any]:
    """Turn the recorder off at its first error: it never raises into training."""

    @functools.wraps(method)
    def call(self: BlackBox, *args: Any, **kwargs: Any) -> Any:
        # A worker that was forked off the training process holds the same hooks and must not write.
        if self.dead or os.getpid() != self.pid:
            return None
        try:
            with torch.no_grad():
                return method(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001
            self.fail(error)
            return None

    return call


class BlackBox:
    """Records gradients before and after their reduction, updates and weights, in files that outlive a kill.

    Make it after DDP, `fully_shard` or `deepspeed.initialize` (give the engine as `model`), and call `step` after
    each optimizer step; `note` each micro-batch but the last. It never raises, never waits for the device, and never
    communicates, except for one number a step with `stop_on="nonfinite"`: then `should_stop` turns true on all ranks
    at the same step.

    `every` records each n-th step only. `wrapped` says that `model` is the inside of a DDP module.
    """

    def __init__(  # noqa: PLR0913
        self,
        model: Any,
        optimizer: Any = None,
        folder: str | os.PathLike[str] = "blackbox",
        *,
        every: int = 1,
        stop_on: Literal["nonfinite"] | None = None,
        wrapped: bool = False,
    ) -> None:
        self.dead = False
        self.pid = os.getpid()
        self.rows = self.calls = 0
        self.recording = True
        self.every = max(1, every)
        self.folder = os.fspath(folder)
        self.should_stop = self.stepped = False
        self.skipped: bool | None = None
        self.scale: float | None = None
        self.rates: list[float] | None = None
        dist = torch.distributed
        started = dist.is_available() and dist.is_initialized()
        self.rank = dist.get_rank() if started else int(os.environ.get("RANK", "0"))
        self.world = dist.get_world_size() if started else 1
        self.names: list[str] = []
        self.arguments: dict[str, bool] = {}
        self.pending: list[tuple[Any, Any, Any]] = []
        self.device = device_of(model.parameters())
        self.stop = StopFlag(self.rank, self.device, distributed=started and self.world > 1) if stop_on else None
        self.code: Any = None
        self._start(model, optimizer, wrapped=wrapped)

    def fail(self, error: Exception) -> None:
        """Go off for good, in one line."""
        if not self.dead:
            self.dead = True
            tell(f"off, training goes on ({type(error).__name__}: {error})")

    @guarded
    def _start(self, model: Any, optimizer: Any, *, wrapped: bool) -> None:
        self.setup = setup = Setup(model, optimizer, self.world, wrapped=wrapped)
        self.names = setup.names
        self.gradients = Gradients(len(setup.names), self.device, accumulates=setup.accumulates)
        self.queued = False
        self._clear()
        name = f"rank{self.rank:05d}-{int(time.time())}-{self.pid}"
        self.files = Files(self.folder, name, len(setup.names))
        on_gpu = self.device.type == "cuda"
        small = any(parameter.element_size() < 4 for parameter in setup.parameters)
        self.maximum_every = MAXIMUM_EVERY if on_gpu or small else 1
        self.writer = Writer(self.files, setup.names, threaded=on_gpu, fail=self.fail)
        self.started = time.time()
        self._write_meta()
        self.probe = Probe(setup.parameters, self.device)
        self._attach()
        atexit.register(self.writer.close)

    def _write_meta(self) -> None:
        meta = described(self.setup, rank=self.rank, world=self.world, start=self.started)
        meta |= {
            "ring": self.files.ring.rows,
            "thin": [THIN_EVERY, self.files.thin.rows],
            "row_bytes": self.files.dtype.itemsize,
            "every": self.every,
            "arguments": self.arguments,
            "probe": PROBE,
            "backward_order": self.gradients.order,
        }
        self.files.write_json(".meta.json", meta)

    # ------------------------------------------------------------------ hooks
    def _attach(self) -> None:
        setup = self.setup
        if setup.hooked:
            for index, parameter in enumerate(setup.parameters):
                self._hook(index, parameter)
        elif setup.kind == "fsdp2":
            self.forward = setup.model.register_forward_hook(self._attach_unsharded)
        if setup.zero is not None:
            self._wrap_step(setup.zero, self._before_partitioned_step)
        elif setup.engine is not None:
            self._wrap_step(setup.engine, self._before_engine_step)
        if setup.zero is None and isinstance(setup.optimizer, torch.optim.Optimizer):
            setup.optimizer.register_step_pre_hook(self._before_step)
            setup.optimizer.register_step_post_hook(lambda *_: self._after_step())

    def _hook(self, index: int, parameter: Any) -> None:
        handle = parameter.register_post_accumulate_grad_hook(lambda leaf: self._saw(index, leaf))
        # Before a framework's own hook, after which the gradient may be a view of a bucket in another stream.
        parameter._post_accumulate_grad_hooks.move_to_end(handle.id, last=False)

    @guarded
    def _attach_unsharded(self, *_: Any) -> None:
        found = self.setup.unsharded()
        for index, parameter in found:
            self._hook(index, parameter)
        if found:
            self.forward.remove()

    def _wrap_step(self, owner: Any, before: Callable[[], None]) -> None:
        """Read just before `owner.step`, which may skip the optimizer inside of it, and mark that it returned."""
        inner = owner.step

        @functools.wraps(inner)
        def step(*args: Any, **kwargs: Any) -> Any:
            before()
            result = inner(*args, **kwargs)
            self._after_step()
            return result

        owner.step = step

    @guarded
    def _saw(self, index: int, parameter: Any) -> None:
        if parameter.grad is None or not self.recording:
            return
        self.gradients.saw(index, parameter.grad, measured=self.setup.last_micro_batch)
        if self.setup.reduced == "callback" and not self.queued:
            self.queued = True
            queue = torch.autograd.Variable._execution_engine.queue_callback
            # Nested: after the callback in which DDP and FSDP2 finish their reduction.
            queue(lambda: queue(self._backward_ended))

    @guarded
    def _backward_ended(self) -> None:
        self.queued = False
        if self.gradients.whole and self.setup.last_micro_batch:
            self.gradients.read(self.setup.gradients(), place_flag(at_step=False, shard=self.setup.shard))

    @guarded
    def _before_step(self, _optimizer: Any, args: Any, kwargs: Any) -> None:
        self.rates = self.setup.rates()
        # `args` begins with the optimizer (torch, `Optimizer.profile_hook_step`). With a closure the backward pass is
        # yet to come, and what lies at the parameters is of the step before.
        closure = args[1] if len(args) > 1 else kwargs.get("closure")
        if closure is None:
            self.read_reduced(at_step=True)

    @guarded
    def read_reduced(self, *, at_step: bool) -> None:
        """Read the gradients that are about to be applied, unless that was done where the framework reduced them.

        For optimizers that are stepped with a closure: call it in the closure, behind the backward pass.
        """
        if self.recording and self.gradients.reduced is None:
            flag = place_flag(at_step=at_step, shard=self.setup.shard)
            self.gradients.read(self.setup.gradients(), flag, copy=self.setup.kind == "single")

    @guarded
    def _before_engine_step(self) -> None:
        if self.recording and self.setup.last_micro_batch:
            self.gradients.read(self.setup.gradients(), place_flag(at_step=False, shard=False))

    @guarded
    def _before_partitioned_step(self) -> None:
        scale = getattr(self.setup.zero, "loss_scale", None)
        self.scale = None if scale is None else float(scale)
        self.rates = self.setup.rates()
        if self.recording:
            if self.setup.offloads and self.device.type != "cpu":
                # Copies to the host may be under way (stages 1 and 2); the step begins with waiting for them, too.
                getattr(torch, self.device.type).synchronize(self.device)
            self.gradients.read(self.setup.partitions(), place_flag(at_step=False, shard=True))

    @guarded
    def _after_step(self) -> None:
        self.stepped = True
        if self.setup.zero is not None:
            self.skipped = bool(getattr(self.setup.zero, "overflow", False))

    # ------------------------------------------------------------------ one row
    def _clear(self) -> None:
        self.pending = []
        self.stepped = False
        self.skipped = self.scale = self.rates = None

    @guarded
    def note(self, loss: Any = None, input_ids: Any = None, labels: Any = None) -> None:
        """Take the loss (a 0-d tensor or a number) and the tokens of one micro-batch."""
        if self.recording:
            self.pending.append((loss.detach() if torch.is_tensor(loss) else loss, held(input_ids), held(labels)))

    def step(
        self,
        step: int | None = None,
        loss: Any = None,
        batch: Any = None,
        scale: float | None = None,
        skipped: bool | None = None,
        **extra: float | str,
    ) -> None:
        """Write the row of one optimizer step, after it; `loss` and `batch` are those of the last micro-batch.

        `step` counts optimizer steps and is counted here when not given. `scale` is the loss scale, `skipped`
        whether the optimizer was not stepped; both are found out for DeepSpeed. `extra` goes into the line.
        """
        self.calls += 1
        number = self.calls if step is None else int(step)
        self.code = None
        self._row(number, loss, batch, scale, skipped, extra)
        self._watch(number)

    @guarded
    def _row(  # noqa: PLR0913, PLR0917
        self, step: int, loss: Any, batch: Any, scale: float | None, skipped: bool | None, extra: dict[str, Any]
    ) -> None:
        if not self.recording:
            self._next_step()
            return
        if loss is not None or batch is not None:
            tokens = batch if hasattr(batch, "get") else {}
            self.note(loss, tokens.get("input_ids"), tokens.get("labels"))
        moved, hashes = self.probe.measure()
        columns = torch.cat([self.gradients.table(), moved, torch.zeros_like(moved[:1])])
        losses = self._losses()
        flags = self.gradients.flags()
        for position in self.probe.positions:
            flags[position] |= PROBED
        if self.stop is not None:
            self.code = self.stop.code(columns, losses, self.gradients.order)
        self.rows += 1
        row = Row(
            seq=self.rows,
            step=step,
            time=time.time(),
            flags=flags,
            columns=columns,
            hashes=hashes,
            losses=losses,
            batches=[(ids, labels) for _, ids, labels in self.pending],
            order=list(self.gradients.order),
            rates=self.rates,
            scale=self.scale if scale is None else scale,
            skipped=self._skipped() if skipped is None else skipped,
            extra=extra,
        )
        self.writer.submit(row)
        if self.rows == 1:
            self._write_meta()
            missing = unseen(flags, stepped=self.stepped)
            if missing:
                tell(f"rank{self.rank:05d}, not seen here ({self.setup.kind}): {missing}; the rest is recorded")
        self._next_step()

    def _next_step(self) -> None:
        self._clear()
        self.gradients.close_step()
        self.recording = self.calls % self.every == 0
        # Clipped gradients are read twice: then the maxima, too, would be half of the cost.
        every = MAXIMUM_EVERY if self.gradients.twice else self.maximum_every
        self.gradients.maximum = self.rows % every == 0

    def _skipped(self) -> bool | None:
        """Tell whether the optimizer was not stepped; None without an optimizer that could tell."""
        if self.skipped is not None:
            return self.skipped
        told = isinstance(self.setup.optimizer, torch.optim.Optimizer) or self.setup.zero is not None
        return not self.stepped if told else None

    def _losses(self) -> Any:
        """Return the losses of the step's micro-batches as a float32 tensor of shape (n,), on the device."""
        losses = [
            loss.float().reshape(()).to(self.device, non_blocking=True)
            if torch.is_tensor(loss)
            else torch.full((), float(loss), device=self.device)
            for loss, _, _ in self.pending
            if loss is not None
        ]
        return torch.stack(losses) if losses else torch.zeros(0, device=self.device)

    def _watch(self, step: int) -> None:
        """Exchange the stop flag. A recorder that went off on one rank still takes part, or the others would wait."""
        if self.stop is None or self.should_stop or os.getpid() != self.pid:
            return
        try:
            found = self.stop.read()
            if found is None:
                self.stop.send(self.code, step)
        except Exception as error:  # noqa: BLE001
            self.stop = None
            tell(f"stop_on is off, training goes on ({type(error).__name__}: {error})")
            return
        if found is not None:
            self.should_stop = True
            if self.rank == 0:
                tell(sentence(found, self.names, [] if self.dead else self.gradients.order, self.folder))

    def close(self) -> None:
        """Write what waits. Not needed: each row is written when its step is done."""
        if not self.dead:
            self.writer.close()


def held(tokens: Any) -> Any:
    """Return tokens on the host; from a GPU the copy is queued, not waited for."""
    if not torch.is_tensor(tokens) or tokens.is_floating_point():
        return None
    return tokens.detach().to("cpu", non_blocking=True)
