"""Training by frameworks under the black box, one process a rank: `python recorder_frameworks.py OUT CASE...`.

Run by the interpreter of a fixture environment (`fixtures/generators/venvs.py`), old or new.
"""

import argparse
import copy
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from recorder.recorder_loops import CLOCK, Case, Model, Poison, batches, gradients_by_hand, ranks_of


@dataclass(frozen=True)
class Framework:
    """How a case trains: `trainer` is engine (plain DeepSpeed), hf, lightning or accelerate."""

    trainer: str
    stage: int | None = None
    dtype: str = "float32"
    fault: str = ""
    accumulation: int = 1
    steps: int = 10
    ranks: int = 2
    lora: bool = False
    stop: bool = False
    box: bool = True
    offload: str = ""


CASES = {
    **{f"engine-zero{s}": Framework("engine", stage=s) for s in (0, 1, 2, 3)},
    **{f"engine-zero{s}-2": Framework("engine", stage=s, accumulation=2) for s in (1, 2, 3)},
    **{f"engine-zero{s}-nan": Framework("engine", stage=s, fault="nan") for s in (0, 1, 2, 3)},
    **{f"engine-zero{s}-reduction": Framework("engine", stage=s, fault="reduction") for s in (1, 2, 3)},
    **{f"engine-zero{s}-bf16": Framework("engine", stage=s, dtype="bfloat16") for s in (1, 2, 3)},
    **{f"engine-zero{s}-bf16-nan": Framework("engine", stage=s, dtype="bfloat16", fault="nan") for s in (1, 2, 3)},
    **{
        f"engine-zero{s}-offload{fault}": Framework("engine", stage=s, fault=fault[1:], offload="cpu", accumulation=2)
        for s in (1, 2, 3)
        for fault in ("", "-nan", "-reduction")
    },
    "engine-zero2-fp16": Framework("engine", stage=2, dtype="float16"),
    "engine-zero2-stop": Framework("engine", stage=2, fault="nan", stop=True),
    "engine-zero2-without": Framework("engine", stage=2, box=False),
    "hf": Framework("hf", ranks=1, accumulation=2),
    "hf-without": Framework("hf", ranks=1, accumulation=2, box=False),
    "hf-nan": Framework("hf", ranks=1, accumulation=2, fault="nan"),
    "hf-stop": Framework("hf", ranks=1, fault="nan", stop=True),
    "hf-lora": Framework("hf", ranks=1, lora=True),
    "hf-ddp-nan": Framework("hf", fault="nan"),
    "hf-ddp-stop": Framework("hf", fault="nan", stop=True),
    "hf-zero2-nan": Framework("hf", stage=2, dtype="bfloat16", accumulation=2, fault="nan"),
    "hf-zero3-nan": Framework("hf", stage=3, dtype="bfloat16", fault="nan"),
    "lightning": Framework("lightning", ranks=1),
    "lightning-nan": Framework("lightning", ranks=1, fault="nan"),
    "accelerate": Framework("accelerate", accumulation=2),
    "accelerate-nan": Framework("accelerate", accumulation=2, fault="nan"),
}
UP = "model.layers.1.mlp.up_proj.weight"


def config(case: Framework) -> dict[str, Any]:
    made: dict[str, Any] = {
        "train_micro_batch_size_per_gpu": 4,
        "gradient_accumulation_steps": case.accumulation,
        "gradient_clipping": 1.0,
        "zero_allow_untested_optimizer": True,
        "zero_optimization": {
            "stage": case.stage,
            "overlap_comm": False,
            "reduce_bucket_size": 5000,  # the default allocates 2 GB a rank
            "allgather_bucket_size": 5000,
        },
    }
    if case.offload:
        made["zero_optimization"]["offload_optimizer"] = {"device": case.offload}
        made["zero_force_ds_cpu_optimizer"] = False
    if case.dtype != "float32":
        made["bf16" if case.dtype == "bfloat16" else "fp16"] = {"enabled": True}
    return made


def spoil_reduction(zero: Any) -> None:
    """From step 7 on rank 1's first reduced gradient holds a NaN, put there between reduction and optimizer."""
    inner = zero.step

    def step(*args: Any, **kwargs: Any) -> Any:
        if CLOCK["step"] == 7 and dist.get_rank() == 1:
            # Of an offloaded optimizer they lie beside its float32 weights.
            names = ("single_partition_of_fp32_groups", "fp32_partitioned_groups_flat")
            weights = next(getattr(zero, name) for name in names if hasattr(zero, name))
            found = [g for gradients in zero.averaged_gradients.values() for g in gradients or []]
            held = found or [weight.grad for weight in weights]
            next(g for g in held if g.numel()).view(-1)[0] = torch.nan
        return inner(*args, **kwargs)

    zero.step = step


COLLECTIVES = ("all_reduce", "reduce", "broadcast", "all_gather", "reduce_scatter", "barrier")
PLAIN = {
    name: getattr(dist, name) for name in dir(dist) if name.startswith(COLLECTIVES) and callable(getattr(dist, name))
}


def counted() -> Counter[str]:
    """Count from now on every collective that is called through torch.distributed."""
    calls: Counter[str] = Counter()

    def counting(name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            calls[name] += 1
            return PLAIN[name](*args, **kwargs)

        return call

    for name in PLAIN:
        setattr(dist, name, counting(name))
    return calls


def train_engine(case: Framework, out: Path) -> None:
    import deepspeed
    from deepspeed.accelerator.cpu_accelerator import CPU_Accelerator

    from forensics.recorder import BlackBox

    CPU_Accelerator.is_fp16_supported = lambda _self: True
    torch.manual_seed(1)
    calls = counted()
    net = Model()
    hand = copy.deepcopy(net)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    engine, *_ = deepspeed.initialize(model=net, optimizer=optimizer, config=config(case))
    stop_on: Any = "nonfinite" if case.stop else None
    box = BlackBox(engine, engine.optimizer, out / "blackbox", stop_on=stop_on) if case.box else None
    if case.fault == "reduction":
        spoil_reduction(engine.optimizer)
    losses, truth = [], None
    plain = Case(accumulation=case.accumulation, steps=case.steps)
    for step, micro in enumerate(batches(plain, dist.get_rank()), start=1):
        CLOCK["step"] = step
        Poison.active = case.fault == "nan" and step == 7 and dist.get_rank() == ranks_of() - 1
        if step == 1:
            truth = gradients_by_hand(hand, micro)
            calls.clear()
        for number, ids in enumerate(micro):
            loss = engine(ids)
            engine.backward(loss)
            engine.step()
            if box is not None and number < len(micro) - 1:
                box.note(loss, ids, ids)
        losses.append(float(loss.detach()))
        if box is not None:
            box.step(step=step, loss=loss, batch={"input_ids": ids, "labels": ids})
            if box.should_stop:
                break
    out.mkdir(parents=True, exist_ok=True)
    torch.save({"losses": losses, "truth": truth, "calls": sum(calls.values())}, out / f"truth.{dist.get_rank()}.pt")


def llama(case: Framework) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(1)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=64, max_position_embeddings=64, use_cache=False, **shape))
    if case.lora:
        from peft import LoraConfig, get_peft_model

        model = get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"))
    return model


def rows(count: int) -> list[dict[str, Any]]:
    tokens = torch.randint(0, 64, (count, 12), generator=torch.Generator().manual_seed(11))
    return [{"input_ids": row, "labels": row} for row in tokens]


def plant(model: Any, case: Framework) -> None:
    """Step 7's gradient of one weight gets one NaN on the last rank."""

    def poison(gradient: Any) -> Any:
        if case.fault == "nan" and CLOCK["step"] == 7 and int(os.environ.get("RANK", "0")) == case.ranks - 1:
            gradient = gradient.clone()
            gradient.view(-1)[0] = torch.nan
        return gradient

    model.get_parameter(UP).register_hook(poison)


def train_hf(case: Framework, out: Path) -> None:
    from transformers import Trainer, TrainerCallback, TrainingArguments

    from forensics.recorder import BlackBoxCallback

    losses: list[float] = []

    class Planting(TrainerCallback):
        """Lays the hook when the engine has taken the model, and keeps the clock and the logged losses."""

        def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **rest: Any) -> None:
            del args, state, control, rest
            if case.fault:
                plant(getattr(model, "module", model), case)

        def on_step_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            del args, control, rest
            CLOCK["step"] = state.global_step + 1

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **rest: Any) -> None:
            del args, state, control, rest
            losses.extend([logs["loss"]] if "loss" in logs else [])

    args = TrainingArguments(
        output_dir=str(out),
        max_steps=case.steps,
        per_device_train_batch_size=4,
        gradient_accumulation_steps=case.accumulation,
        learning_rate=1e-3,
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        dataloader_pin_memory=False,
        bf16=case.dtype == "bfloat16",
        disable_tqdm=True,
        ddp_backend="gloo" if case.ranks > 1 and case.stage is None else None,
        deepspeed=None if case.stage is None else config(case) | {"zero_force_ds_cpu_optimizer": False},
    )
    model = llama(case)
    stop_on: Any = "nonfinite" if case.stop else None
    recorders = [BlackBoxCallback(stop_on=stop_on)] if case.box else []
    trainer = Trainer(model=model, args=args, train_dataset=rows(400), callbacks=[Planting(), *recorders])
    trainer.train()
    weights = {} if case.stage == 3 else {n: p.detach().clone() for n, p in model.named_parameters()}
    torch.save({"losses": losses, "weights": weights}, out / f"truth.{os.environ.get('RANK', '0')}.pt")


def train_lightning(case: Framework, out: Path) -> None:
    import lightning
    from torch.utils.data import DataLoader

    from forensics.recorder import lightning_callback

    class Module(lightning.LightningModule):
        """The small Llama."""

        def __init__(self) -> None:
            super().__init__()
            self.net = llama(case)

        def training_step(self, batch: Any, _index: int) -> Any:
            CLOCK["step"] = self.global_step + 1
            return self.net(**batch).loss

        def configure_optimizers(self) -> Any:
            return torch.optim.AdamW(self.parameters(), lr=1e-3)

    module = Module()
    plant(module.net, case)
    trainer = lightning.Trainer(
        max_steps=case.steps, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, callbacks=[lightning_callback()], default_root_dir=str(out),
    )  # fmt: skip
    trainer.fit(module, DataLoader(rows(400), batch_size=4))


def train_accelerate(case: Framework, out: Path) -> None:
    from accelerate import Accelerator
    from torch.utils.data import DataLoader

    from forensics.recorder import BlackBox

    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=case.accumulation)
    model = llama(case)
    plant(model, case)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model, optimizer, data = accelerator.prepare(model, optimizer, DataLoader(rows(400), batch_size=4))
    box = BlackBox(model, optimizer, out / "blackbox")
    step = 0
    for batch in data:
        CLOCK["step"] = step + 1
        with accelerator.accumulate(model):
            loss = model(**batch).loss
            accelerator.backward(loss)
            optimizer.step()
            optimizer.zero_grad()
        if not accelerator.sync_gradients:
            box.note(loss, batch["input_ids"], batch["labels"])
            continue
        step += 1
        box.step(step=step, loss=loss, batch=batch)
        if step == case.steps:
            break


TRAINERS = {"engine": train_engine, "hf": train_hf, "lightning": train_lightning, "accelerate": train_accelerate}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("cases", nargs="+", choices=CASES)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and CASES[options.cases[0]].trainer == "engine":
        import deepspeed

        deepspeed.init_distributed("gloo")
    for name in options.cases:
        TRAINERS[CASES[name].trainer](CASES[name], options.out / name)
    if dist.is_initialized():
        # Without it the rank that ends first cuts the connections of the other, which gloo answers with an abort.
        dist.barrier()
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
