"""Callbacks for trainers: transformers (and what is built on it) and Lightning."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from forensics.recorder.box import BlackBox

Stop = Literal["nonfinite"]
PRECISIONS = ("bf16", "fp16")
"""Arguments of the Trainer that say in which type the gradients are made."""


def loss_of(output: Any) -> Any:
    """Return the loss of a model's output, a mapping or an object with attributes; None where there is none."""
    return output.get("loss") if hasattr(output, "get") else getattr(output, "loss", None)


class BlackBoxCallback:
    """Records a run of the transformers Trainer: `trainer.add_callback(BlackBoxCallback())`.

    TRL, LLaMA-Factory, axolotl and ms-swift take the same callbacks. The record lies in `output_dir/blackbox` unless
    `folder` is given. `stop_on="nonfinite"` ends the run one step after the first NaN, on all ranks.

    It has every event of a TrainerCallback without being one, so that transformers need not be imported to make it.
    """

    def __init__(
        self, folder: str | os.PathLike[str] | None = None, *, every: int = 1, stop_on: Stop | None = None
    ) -> None:
        self.folder, self.every, self.stop_on = folder, every, stop_on
        self.box: BlackBox | None = None
        self.handle: Any = None

    def __getattr__(self, name: str) -> Callable[..., None]:
        """Answer the events that say nothing to the recorder."""
        if name.startswith("on_"):
            return lambda *_args, **_kwargs: None
        raise AttributeError(name)

    def on_train_begin(self, args: Any, state: Any, control: Any, **found: Any) -> None:
        """Attach to the model as it is trained; a second `train()` makes a second record."""
        del state, control
        model = found.get("model")
        folder = self.folder or Path(args.output_dir) / "blackbox"
        # The Trainer hands out the inside of DDP.
        self.box = BlackBox(model, found.get("optimizer"), folder, every=self.every, stop_on=self.stop_on, wrapped=True)
        # Autocast leaves no trace at the parameters; the row of the first step writes this into meta.json.
        self.box.arguments = {name: bool(getattr(args, name, False)) for name in PRECISIONS}
        if model is not None and not self.box.dead:
            self.handle = model.register_forward_hook(self._forward, with_kwargs=True)

    def _forward(self, model: Any, _args: Any, inputs: Any, output: Any) -> None:
        if self.box is not None and model.training:
            self.box.note(loss_of(output), inputs.get("input_ids"), inputs.get("labels"))

    def on_step_end(self, args: Any, state: Any, control: Any, **found: Any) -> Any:
        """Write the row: the step is done and its gradients are gone, only numbers that were collected are left."""
        del args, found
        if self.box is not None:
            self.box.step(step=state.global_step)
            control.should_training_stop = control.should_training_stop or self.box.should_stop
        return control

    def on_train_end(self, args: Any, state: Any, control: Any, **found: Any) -> None:
        del args, state, control, found
        if self.handle is not None:
            self.handle.remove()
        if self.box is not None:
            self.box.close()


def lightning_callback(
    folder: str | os.PathLike[str] | None = None, *, every: int = 1, stop_on: Stop | None = None
) -> Any:
    """Return a callback for Lightning's Trainer: `Trainer(callbacks=[lightning_callback()])`.

    The record lies in `default_root_dir/blackbox` unless `folder` is given.
    """
    try:
        from lightning.pytorch import Callback
    except ImportError:
        from pytorch_lightning import Callback

    class LightningBlackBox(Callback):  # type: ignore[misc, unused-ignore]
        """Writes a row whenever the trainer's step counter has moved."""

        box: BlackBox | None = None
        last = 0

        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            model = getattr(trainer.strategy, "model", None) or pl_module
            optimizer = trainer.optimizers[0] if trainer.optimizers else None
            place = folder or Path(trainer.default_root_dir) / "blackbox"
            self.box = BlackBox(model, optimizer, place, every=every, stop_on=stop_on)
            self.last = trainer.global_step

        def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
            """Read here: Lightning runs the backward pass within the optimizer's step, and clips behind this."""
            del trainer, pl_module, optimizer
            if self.box is not None:
                self.box.read_reduced(at_step=False)

        def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
            del pl_module, batch_idx
            if self.box is None:
                return
            loss = outputs if not hasattr(outputs, "get") else outputs.get("loss")
            tokens = batch if hasattr(batch, "get") else {"input_ids": batch}
            self.box.note(loss, tokens.get("input_ids"), tokens.get("labels"))
            if trainer.global_step != self.last:
                self.last = trainer.global_step
                self.box.step(step=self.last)
                trainer.should_stop = trainer.should_stop or self.box.should_stop

    return LightningBlackBox()
