"""A causal language model of two layers under the Trainer, launched as a plan launches it."""

from dataclasses import dataclass
from typing import Any

import torch
from transformers import HfArgumentParser, LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

from forensics.recorder.callbacks import BlackBoxCallback


@dataclass
class More:
    """What is no argument of the Trainer."""

    attn_implementation: str = "sdpa"


class Rows(torch.utils.data.Dataset[Any]):  # type: ignore[misc, unused-ignore]
    """256 rows of 16 tokens, the same for everybody."""

    def __len__(self) -> int:
        return 256

    def __getitem__(self, index: int) -> Any:
        ids = torch.randint(0, 64, (16,), generator=torch.Generator().manual_seed(index))
        return {"input_ids": ids, "labels": ids}


def main() -> None:
    arguments, more = HfArgumentParser((TrainingArguments, More)).parse_args_into_dataclasses()
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=32,
        attn_implementation=more.attn_implementation,
    )
    Trainer(
        model=LlamaForCausalLM(config), args=arguments, train_dataset=Rows(), callbacks=[BlackBoxCallback()]
    ).train()


if __name__ == "__main__":
    main()
