"""Launch scripts, Slurm headers, model cards."""

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forensics.model import Precision, Skip
from forensics.readers._environment import Line
from forensics.readers._shell import MAX_COMMAND, find_commands
from forensics.readers.launch_script import launch_script
from forensics.readers.model_card import model_card
from forensics.readers.python_source import python_source
from forensics.readers.slurm_script import slurm_script
from readers.reading import facts_of, samples_of, settings_of, survives

SCRIPT = """\
#!/bin/bash
#SBATCH --job-name=sft
#SBATCH -N 2
#SBATCH --gres=gpu:a100:8
#SBATCH --time=24:00:00
export NCCL_P2P_DISABLE=1 WANDB_API_KEY=abcdef
LR=2e-6
source activate llm && cd ${HOME}/train
CUDA_LAUNCH_BLOCKING=1 torchrun --nnodes 2 --nproc_per_node=8 \\
    --rdzv_backend c10d train.py \\
    --deepspeed zero2.json \\
    # --fp16 True \\
    --learning_rate ${LR} --lr_scheduler_type "${SCHED:-cosine}" \\
    --bf16 True --gradient_checkpointing \\
    --lora_target q_proj v_proj \\
    --seed -1 --hub-token sesame 2>&1 | tee train.log
"""
CARD = """\
---
library_name: transformers
---
# out

### Training hyperparameters

The following hyperparameters were used during training:
- learning_rate: 2e-05
- train_batch_size: 4
- total_train_batch_size: 128
- num_devices: 8
- optimizer: Use adamw_torch with betas=(0.9,0.999)
- mixed_precision_training: Native AMP

### Training results

| Training Loss | Epoch | Step | Validation Loss |
|:-------------:|:-----:|:----:|:---------------:|
| No log        | 0.5   | 50   | 1.5             |
| 1.2345        | 1.0   | 100  | nan             |
| 1.0           | 1.5   | -5   | 1.0             |

### Framework versions

- PEFT 0.17.1
- Transformers: 4.57.1
- Pytorch 2.5.1+cu124
"""


def test_a_script_tells_what_was_meant(tmp_path: Path) -> None:
    """Arguments of the script, exported variables, the number of processes; secrets are dropped."""
    found = settings_of(facts_of(launch_script, tmp_path, "train.sh", SCRIPT))

    assert [s[:4] for s in found if s[0] != "command"] == [
        ("variable", "NCCL_P2P_DISABLE", "1", "line 6"),
        ("variable", "WANDB_API_KEY", "<redacted>", "line 6"),
        ("variable", "CUDA_LAUNCH_BLOCKING", "1", "line 9"),
        ("setting", "world_size", 16, "line 9"),
        ("setting", "deepspeed", "zero2.json", "line 9"),
        ("setting", "learning_rate", 2e-6, "line 9"),
        ("setting", "lr_scheduler_type", "cosine", "line 9"),
        ("setting", "bf16", True, "line 9"),
        ("setting", "gradient_checkpointing", True, "line 9"),
        ("setting", "lora_target", "q_proj, v_proj", "line 9"),
        ("setting", "seed", -1, "line 9"),
        ("setting", "hub_token", "<redacted>", "line 9"),
    ]
    assert {s[4] for s in found} == {"INTENDED"}
    command = next(str(s[2]) for s in found if s[0] == "command")
    assert command.startswith("torchrun --nnodes 2 --nproc_per_node=8 --rdzv_backend c10d train.py --deepspeed")
    assert command.endswith("--seed -1 --hub-token <redacted>")
    assert "sesame" not in str(found)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("deepspeed --num_gpus 4 --num_nodes=2 train.py --lr 1e-5", {"world_size": 8, "lr": 1e-5}),
        ("deepspeed --include localhost:0,1 run.py --deepspeed ds.json", {"deepspeed": "ds.json"}),
        (
            "accelerate launch --use_deepspeed --zero_stage 2 --num_processes 4 train.py --bf16",
            {"world_size": 4, "accelerate.zero_stage": 2, "accelerate.num_processes": 4, "bf16": True},
        ),
        (
            "python3 -m torch.distributed.run --nproc_per_node 2 -m pkg.train --max_steps=10",
            {"world_size": 2, "max_steps": 10},
        ),
        ("python train.py --name 'a b' --x=1; echo done --y 2", {"name": "a b", "x": 1}),
        ("srun python -u train.py --bf16 False", {"bf16": False}),
        (
            "python -m verl.trainer.main trainer.nnodes=1 +actor.optim.lr=1e-6",
            {"trainer.nnodes": 1, "actor.optim.lr": 1e-6},
        ),
        ("llamafactory-cli train --learning_rate 1e-5", {"learning_rate": 1e-5}),
        ("torchrun --nnodes 1:4 --nproc_per_node auto train.py --a 1", {"a": 1}),
        ("ls -l --color=auto", {}),
        ("fairseq-train data --warmup-updates 40000", {"warmup_updates": 40000}),
        ("horovodrun -np 4 python fit.py --lr 1e-3", {"lr": 1e-3}),
        ("python train.py --unclosed 'quote", {"unclosed": "'quote"}),
    ],
)
def test_launchers(tmp_path: Path, command: str, expected: dict[str, object]) -> None:
    """What stands before the script belongs to the launcher, the rest to the script."""
    found = settings_of(facts_of(launch_script, tmp_path, "train.sh", command + "\n"))
    assert {s[1]: s[2] for s in found if s[0] == "setting"} == expected


VARIABLES = {
    "a text over several lines": """
        GPT_ARGS="
            --num-layers 24 \\
            # --fp16
            --lr $LR
        "
        torchrun train.py $GPT_ARGS --tail 1""",
    "a list": """
        GPT_ARGS=(
            --num-layers 24  # deep
            --lr $LR
        )
        torchrun train.py ${GPT_ARGS[@]} --tail 1""",
    "a list that grows": """
        A=(--num-layers 24)
        A+=(--lr "$LR")
        torchrun train.py "${A[@]}" --tail 1""",
    "a text that grows": """
        CMD="python train.py --num-layers 24"
        CMD+=" --lr $LR"
        CMD="$CMD --tail 1"
        eval $CMD""",
    "a shell of its own": """
        export CMD=" \\
            train.py --num-layers 24 \\
            --lr $LR"
        export LAUNCHER='accelerate launch --config_file a.yaml'
        srun --jobid 1 bash -c "$LAUNCHER $CMD --tail 1\"""",
}


@pytest.mark.parametrize("text", VARIABLES.values(), ids=list(VARIABLES))
def test_arguments_that_a_script_keeps_in_variables(tmp_path: Path, text: str) -> None:
    """As in the examples of Megatron-LM, and in the Slurm scripts of open-r1."""
    found = settings_of(facts_of(launch_script, tmp_path, "train.sh", f"#!/bin/bash\nLR=3e-4\n{text}\necho don't\n"))

    assert {s[1]: s[2] for s in found if s[0] == "setting"} == {"num_layers": 24, "lr": 3e-4, "tail": 1}


def test_a_lone_apostrophe_opens_nothing(tmp_path: Path) -> None:
    text = "echo it's on\nNAME='never closed\n" + "true\n" * 500 + "python train.py --lr 1e-3\n"
    found = settings_of(facts_of(launch_script, tmp_path, "train.sh", text))

    assert ("lr", 1e-3) in {(s[1], s[2]) for s in found}


def test_slurm_header(tmp_path: Path) -> None:
    """Options as settings, boards as hardware."""
    assert slurm_script.sniff is not None
    assert slurm_script.sniff(SCRIPT.encode())
    assert [s[:4] for s in settings_of(facts_of(slurm_script, tmp_path, "job.sh", SCRIPT))] == [
        ("setting", "slurm.job_name", "sft", "line 2"),
        ("setting", "slurm.nodes", 2, "line 3"),
        ("setting", "slurm.gres", "gpu:a100:8", "line 4"),
        ("hardware", "gpu", "a100", "line 4"),
        ("hardware", "gpu_count", 8, "line 4"),
        ("setting", "slurm.time", "24:00:00", "line 5"),
    ]


def test_model_card(tmp_path: Path) -> None:
    """Versions, hyperparameters under the Trainer's names, and the table of results."""
    facts = facts_of(model_card, tmp_path, "README.md", CARD)
    samples = samples_of(facts)

    assert [s[:4] for s in settings_of(facts)] == [
        ("setting", "learning_rate", 2e-5, "line 9"),
        ("setting", "per_device_train_batch_size", 4, "line 10"),
        ("setting", "train_batch_size", 128, "line 11"),
        ("setting", "world_size", 8, "line 12"),
        ("setting", "optim", "Use adamw_torch with betas=(0.9,0.999)", "line 13"),
        ("setting", "mixed_precision_training", "Native AMP", "line 14"),
        ("package", "peft", "0.17.1", "line 26"),
        ("package", "transformers", "4.57.1", "line 27"),
        ("package", "torch", "2.5.1+cu124", "line 28"),
        ("hardware", "cuda", "12.4", "line 28"),
    ]
    assert (samples["loss"].steps.tolist(), samples["loss"].values.tolist()) == ([100], [1.2345])
    assert samples["loss"].records.tolist() == [21]
    assert samples["loss"].precision is Precision.FOUR_DECIMALS
    assert repr(samples["eval_loss"].values.tolist()) == "[1.5, nan]"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.sampled_from([(launch_script, SCRIPT), (slurm_script, SCRIPT), (model_card, CARD)]).flatmap(
        lambda case: st.tuples(st.just(case[0]), st.integers(0, len(case[1])).map(lambda cut: case[1][:cut]))
    )
)
def test_any_prefix_is_read(tmp_path: Path, case: tuple[object, str]) -> None:
    """A script or a card may end anywhere."""
    reader, text = case
    assert survives(reader, tmp_path, "train.sh", text.encode())  # type: ignore[arg-type]  # a Reader of the list above


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text("$\\{}'\"=-; \n#abAB:|&<>()1", max_size=80))
def test_any_shell_text_is_read(tmp_path: Path, text: str) -> None:
    """Quotes, references and separators in any order raise nothing."""
    assert survives(launch_script, tmp_path, "train.sh", f"python t.py {text}".encode())


@given(st.text("abA1$={}()*?.-/ \t\n", max_size=60))
def test_words_without_a_sign_are_parted_as_by_the_shell(text: str) -> None:
    """A short way for what has no quote and no separator gives what `shlex` gives."""
    signed = [command.words for command in find_commands([Line(1, f"x {text} ''")])]

    assert [(*command.words, "") for command in find_commands([Line(1, f"x {text}")])] == signed


def test_a_variable_that_doubles_stays_small() -> None:
    """20,000 references to 60 kB were put together before they were cut."""
    lines = ["A=" + "x" * 60_000, *['A="$A$A"'] * 60, "torchrun train.py --name " + "$A" * 20_000]
    tracemalloc.start()
    commands = list(find_commands([Line(number, line) for number, line in enumerate(lines)]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert len(commands[-1].words[-1]) == MAX_COMMAND
    assert peak < 8 << 20


@pytest.mark.parametrize("mark", ["a;", "a\n", "a,"])
def test_a_program_that_would_fill_the_memory_is_not_parsed(mark: str, tmp_path: Path) -> None:
    """`ast` builds half a gigabyte of half a megabyte."""
    facts = facts_of(python_source, tmp_path, "train.py", "x = 1\n" + mark * 60_000)

    assert [fact.reason for fact in facts if isinstance(fact, Skip)] == [
        "a program of more than 50,000 marks; it was not read"
    ]
