"""JSON files beside a run: model, adapter, tokenizer, DeepSpeed, index, results."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forensics.errors import MalformedError
from forensics.plugin import Reader
from forensics.readers.adapter_config import adapter_config
from forensics.readers.deepspeed_config import deepspeed_config
from forensics.readers.generation_config import generation_config
from forensics.readers.hf_checkpoint_index import hf_checkpoint_index
from forensics.readers.model_config import model_config
from forensics.readers.results_json import results_json
from forensics.readers.tokenizer_config import tokenizer_config
from readers.reading import facts_of, settings_of, skips_of, survives

MODEL = """{
  "architectures": [
    "LlamaForCausalLM"
  ],
  "model_type": "llama",
  "rope_scaling": {
    "factor": 8.0,
    "rope_type": "llama3"
  },
  "torch_dtype": "bfloat16",
  "transformers_version": "4.36.2",
  "use_cache": false
}
"""
GENERATION = '{"_from_model_config": true, "eos_token_id": [1, 2], "transformers_version": "4.57.1"}'
ADAPTER = """{"base_model_name_or_path": "tiny", "loftq_config": {}, "lora_alpha": 16, "peft_type": "LORA",
 "peft_version": "0.18.0", "r": 8, "target_modules": ["v_proj", "q_proj"]}"""
TOKENIZER = """{"added_tokens_decoder": {"0": {"content": "<unk>"}}, "chat_template": "{{ messages }}",
 "eos_token": {"content": "</s>", "lstrip": false}, "model_max_length": 1000000000000000019884624838656,
 "pad_token": "</s>", "padding_side": "right"}"""
ENGINE = """{
  "bf16": {"enabled": "auto"},
  "zero_optimization": {"stage": 2, "overlap_comm": true, "offload_optimizer": {"device": "cpu"}},
  "train_micro_batch_size_per_gpu": "auto",
  "steps_per_print": Infinity
}"""
INDEX = """{"metadata": {"total_parameters": 6738415616, "total_size": 13476839424.0},
 "weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors",
 "c": "model-00002-of-00002.safetensors"}}"""
RESULTS = '{\n    "epoch": 3.0,\n    "eval_loss": NaN,\n    "perplexity": Infinity,\n    "train_samples": 52002\n}'


@pytest.mark.parametrize(
    ("folder", "settings_standing", "version_standing"),
    [("checkpoint-500/", "RECORDED", "RECORDED"), ("", "CONFIGURED", "INTENDED")],
)
def test_model_configuration_is_a_better_witness_in_a_checkpoint(
    tmp_path: Path, folder: str, settings_standing: str, version_standing: str
) -> None:
    """In checkpoint-N the training library wrote it; elsewhere it may be the base model's."""
    facts = facts_of(model_config, tmp_path, f"{folder}config.json", MODEL)

    assert settings_of(facts) == [
        ("package", "transformers", "4.36.2", "transformers_version", version_standing),
        ("setting", "model.architectures", "LlamaForCausalLM", "architectures", settings_standing),
        ("setting", "model.model_type", "llama", "model_type", settings_standing),
        ("setting", "model.rope_scaling.factor", 8.0, "rope_scaling.factor", settings_standing),
        ("setting", "model.rope_scaling.rope_type", "llama3", "rope_scaling.rope_type", settings_standing),
        ("setting", "model.torch_dtype", "bfloat16", "torch_dtype", settings_standing),
        ("setting", "model.transformers_version", "4.36.2", "transformers_version", settings_standing),
        ("setting", "model.use_cache", False, "use_cache", settings_standing),
    ]


def test_another_tools_config_is_no_model(tmp_path: Path) -> None:
    """A config.json without any key of a model is told and not read."""
    facts = facts_of(model_config, tmp_path, "config.json", '{"api": {"port": 80}}')

    assert settings_of(facts) == []
    assert skips_of(facts) == [("config.json", "is not the configuration of a Hugging Face model")]


def test_generation_configuration(tmp_path: Path) -> None:
    """Lists become text, the version a package."""
    facts = facts_of(generation_config, tmp_path, "checkpoint-1/generation_config.json", GENERATION)

    assert [s[:3] for s in settings_of(facts)] == [
        ("package", "transformers", "4.57.1"),
        ("setting", "generation._from_model_config", True),
        ("setting", "generation.eos_token_id", "1, 2"),
        ("setting", "generation.transformers_version", "4.57.1"),
    ]


def test_adapter_configuration_sorts_its_modules(tmp_path: Path) -> None:
    """target_modules is a set: its order in the file says nothing."""
    facts = facts_of(adapter_config, tmp_path, "checkpoint-1/adapter_config.json", ADAPTER)

    assert [s[:3] for s in settings_of(facts)] == [
        ("package", "peft", "0.18.0"),
        ("setting", "adapter.base_model_name_or_path", "tiny"),
        ("setting", "adapter.lora_alpha", 16),
        ("setting", "adapter.peft_type", "LORA"),
        ("setting", "adapter.peft_version", "0.18.0"),
        ("setting", "adapter.r", 8),
        ("setting", "adapter.target_modules", "q_proj, v_proj"),
    ]


def test_tokenizer_configuration_keeps_special_tokens(tmp_path: Path) -> None:
    """The pad token is a setting, no secret; the template and the vocabulary are left out."""
    facts = facts_of(tokenizer_config, tmp_path, "tokenizer_config.json", TOKENIZER)

    assert [s[1:3] for s in settings_of(facts)] == [
        ("tokenizer.eos_token", "</s>"),
        ("tokenizer.model_max_length", 1000000000000000019884624838656),
        ("tokenizer.pad_token", "</s>"),
        ("tokenizer.padding_side", "right"),
    ]


@pytest.mark.parametrize("wrap", ["{}", '{{"deepspeed": {}, "lr": 1}}'])
def test_deepspeed_configuration_keeps_auto(tmp_path: Path, wrap: str) -> None:
    """Its own dotted names, "auto" as text, whether it is the file or one key of it."""
    data = wrap.format(ENGINE)
    assert deepspeed_config.sniff is not None
    assert deepspeed_config.sniff(data.encode())
    assert settings_of(facts_of(deepspeed_config, tmp_path, "ds.json", data)) == [
        ("setting", "bf16.enabled", "auto", "bf16.enabled", "CONFIGURED"),
        ("setting", "zero_optimization.stage", 2, "zero_optimization.stage", "CONFIGURED"),
        ("setting", "zero_optimization.overlap_comm", True, "zero_optimization.overlap_comm", "CONFIGURED"),
        (
            "setting",
            "zero_optimization.offload_optimizer.device",
            "cpu",
            "zero_optimization.offload_optimizer.device",
            "CONFIGURED",
        ),
        ("setting", "train_micro_batch_size_per_gpu", "auto", "train_micro_batch_size_per_gpu", "CONFIGURED"),
        ("setting", "steps_per_print", "inf", "steps_per_print", "CONFIGURED"),
    ]


def test_other_json_is_no_deepspeed_configuration() -> None:
    """A trainer state, a training configuration and a log line are not taken."""
    assert deepspeed_config.sniff is not None
    for data in (
        b'{"log_history": [], "zero_optimization": {}}',
        b'{"model_type": "llama"}',
        b"zero_optimization",
    ):
        assert not deepspeed_config.sniff(data)


def test_index_of_shards(tmp_path: Path) -> None:
    """Sizes and counts are recorded; total_parameters dates transformers."""
    facts = facts_of(hf_checkpoint_index, tmp_path, "checkpoint-1/model.safetensors.index.json", INDEX)

    assert [s[:3] + s[4:] for s in settings_of(facts)] == [
        ("setting", "checkpoint_index.total_size", 13476839424, "RECORDED"),
        ("setting", "checkpoint_index.total_parameters", 6738415616, "RECORDED"),
        ("setting", "checkpoint_index.tensors", 3, "RECORDED"),
        ("setting", "checkpoint_index.shards", 2, "RECORDED"),
        ("setting", "inferred.transformers", ">4.51.3", "INFERRED"),
    ]


def test_results_have_no_step_and_become_settings(tmp_path: Path) -> None:
    """What is not finite is kept as text, so that two equal results compare as equal."""
    assert [s[1:3] for s in settings_of(facts_of(results_json, tmp_path, "all_results.json", RESULTS))] == [
        ("results.epoch", 3.0),
        ("results.eval_loss", "nan"),
        ("results.perplexity", "inf"),
        ("results.train_samples", 52002),
    ]


CASES = [
    (model_config, "checkpoint-1/config.json", MODEL),
    (generation_config, "generation_config.json", GENERATION),
    (adapter_config, "adapter_config.json", ADAPTER),
    (tokenizer_config, "tokenizer_config.json", TOKENIZER),
    (deepspeed_config, "ds.json", ENGINE),
    (hf_checkpoint_index, "model.safetensors.index.json", INDEX),
    (results_json, "all_results.json", RESULTS),
]


@pytest.mark.parametrize(("reader", "path", "text"), CASES)
def test_a_cut_file_is_told(tmp_path: Path, reader: Reader, path: str, text: str) -> None:
    """Two thirds of a file give what they hold, and where they break."""
    cut = len(text) * 2 // 3
    facts = facts_of(reader, tmp_path, path, text[:cut])

    assert [f"of {cut:,};" in reason for _, reason in skips_of(facts)] == [True]


@pytest.mark.parametrize(("reader", "path", "text"), CASES)
@pytest.mark.parametrize("other", [b"[1]", b'"x"', b"\0\0\0", b"{" * 3000])
def test_something_else_is_a_typed_error(tmp_path: Path, reader: Reader, path: str, text: str, other: bytes) -> None:
    """No object, no facts."""
    assert text
    with pytest.raises(MalformedError):
        facts_of(reader, tmp_path, path, other)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(st.sampled_from(CASES), st.floats(0, 1))
def test_any_prefix_gives_facts_or_a_typed_error(tmp_path: Path, case: tuple[Reader, str, str], part: float) -> None:
    """Every cut after the first bracket is read."""
    reader, path, text = case
    cut = int(part * len(text))

    assert survives(reader, tmp_path, path, text[:cut].encode()) == (cut > 0)
