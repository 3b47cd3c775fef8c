"""Warnings, errors and milestones, and what a log tells of its environment."""

# ruff: noqa: E501, ISC004  (log lines stand here as they are written)

import math

import pytest

from forensics.model import UNKNOWN_STEP, Standing
from forensics.names import Kind
from readers.text.log_reading import read_log

UNKNOWN = math.nan
NAMES = [f"layer.{n}.weight" for n in range(24)]
LINES = [
    ("WARNING: tokenization mismatch: 512 vs. 514. #turn = 3. (ignored)", Kind.TOKENIZATION_MISMATCH, -2.0),
    ("WWARNING: tokenization mismatch: 1 vs. -3. (ignored)", Kind.TOKENIZATION_MISMATCH, 4.0),
    ("UserWarning: Could not find response key `### Response:` in the following", Kind.RESPONSE_TEMPLATE_NOT_FOUND, UNKNOWN),
    ("ZeroDivisionError: Unsloth: All labels in your dataset are -100.", Kind.ALL_LABELS_IGNORED, UNKNOWN),
    ("UserWarning: None of the inputs have requires_grad=True. Gradients will be None", Kind.NO_INPUT_REQUIRES_GRAD, UNKNOWN),
    ("Some weights of LlamaForCausalLM were not initialized from the model checkpoint at x and are newly initialized: "
     "['score.weight']", Kind.NEWLY_INITIALIZED, UNKNOWN),
    ("Some weights of X were not initialized from the model checkpoint at x and are newly initialized because the "
     "shapes did not match:", Kind.NEWLY_INITIALIZED, UNKNOWN),
    ("loaded model.pt with strict=False: 2 missing keys, 2 unexpected keys", Kind.NEWLY_INITIALIZED, UNKNOWN),
    ("missing keys in source state_dict: fc.weight, fc.bias", Kind.NEWLY_INITIALIZED, UNKNOWN),
    ("WARNING no checkpoint found at ckpt/step_210.pt, starting from initial weights", Kind.NOTHING_LOADED, UNKNOWN),
    ("=> no checkpoint found at 'model_best.pth.tar'", Kind.NOTHING_LOADED, UNKNOWN),
    ("Checkpoint out/last.ckpt does not exist, training from scratch", Kind.NOTHING_LOADED, UNKNOWN),
    ("    WARNING: no checkpoint to load, will start from random", Kind.NOTHING_LOADED, UNKNOWN),
    ("WARNING: parameter checksum differs between ranks: [2.41, 2.82]", Kind.RANKS_DIFFER, UNKNOWN),
    ("RuntimeError: weights are not equal across ranks", Kind.RANKS_DIFFER, UNKNOWN),
    ("INFO: model parameters dtype: torch.float16, autocast disabled", Kind.WEIGHTS_IN_FP16, UNKNOWN),
    ("Some weights of the model checkpoint at x were not used when initializing X: ['a']", Kind.UNUSED_WEIGHTS, UNKNOWN),
    ("Setting `pad_token_id` to `eos_token_id`:2 for open-end generation.", Kind.PAD_TOKEN, UNKNOWN),
    ("UserWarning: Detected call of `lr_scheduler.step()` before `optimizer.step()`. In PyTorch", Kind.LR_BEFORE_STEP, UNKNOWN),
    ("tried to get lr value before scheduler/optimizer started stepping, returning lr=0", Kind.LR_UNAVAILABLE, UNKNOWN),
    ("[W] UserWarning: cuDNN SDPA backward got grad_output.strides() != output.strides()", Kind.CUDNN_SDPA_STRIDES, UNKNOWN),
    ("ValueError: Attempting to unscale FP16 gradients.", Kind.UNSCALE_FP16, UNKNOWN),
    ("UserWarning: Was asked to gather along dimension 0, but all input tensors were scalars", Kind.DATA_PARALLEL, UNKNOWN),
    ("    assert all_groups_norm > 0.", Kind.NAN_ASSERTION, UNKNOWN),
    ("Detected inf/nan during batch_number=12", Kind.NAN_ASSERTION, UNKNOWN),
    ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 22.78 GiB.", Kind.OUT_OF_MEMORY, UNKNOWN),
    ("RuntimeError: CUDA out of memory. Tried to allocate 10.73 GiB (GPU 0;", Kind.OUT_OF_MEMORY, UNKNOWN),
    ("[rank0]:[E321 02:07:08.408 ProcessGroupNCCL.cpp:607] [Rank 0] Watchdog caught collective operation timeout: "
     "WorkNCCL(SeqNum=1580)", Kind.NCCL_TIMEOUT, UNKNOWN),
    ("node01:4242:4490 [0] misc/socket.cc:484 NCCL WARN socketStartConnect: failed", Kind.NCCL_WARNING, UNKNOWN),
    ("RuntimeError: CUDA error: device-side assert triggered", Kind.DEVICE_ASSERT, UNKNOWN),
    ("RuntimeError: cuDNN error: CUDNN_STATUS_EXECUTION_FAILED", Kind.CUDA_ERROR, UNKNOWN),
    ("run.sh: line 3: 12345 Killed                  python train.py", Kind.KILLED, UNKNOWN),
    ("Killed", Kind.KILLED, UNKNOWN),
    ("slurmstepd: error: Detected 1 oom-kill event(s) in StepId=14604003.batch cgroup.", Kind.OOM_KILL_RECORD, UNKNOWN),
    ("Out of memory: Killed process 4242 (python) total-vm:1kB", Kind.OOM_KILL_RECORD, UNKNOWN),
    ("srun: error: node01: task 0: Out Of Memory", Kind.OOM_KILL_RECORD, UNKNOWN),
    ("  exitcode  : -9 (pid: 4245)", Kind.SIGNAL, -9.0),
    ("slurmstepd: error: *** JOB 123456 ON node01 CANCELLED AT 2025-05-01T10:00:00 DUE TO TIME LIMIT ***", Kind.TIME_LIMIT,
     UNKNOWN),
    ("OSError: [Errno 28] No space left on device", Kind.DISK_FULL, UNKNOWN),
    ("RuntimeError: DataLoader worker (pid 4242) is killed by signal: Killed.", Kind.DATA_LOADER, UNKNOWN),
    ("RuntimeError: Error(s) in loading state_dict for LlamaForCausalLM:", Kind.CHECKPOINT_REFUSED, UNKNOWN),
    ("\tsize mismatch for a.weight: copying a param with shape torch.Size([2]) from checkpoint", Kind.SIZE_MISMATCH, UNKNOWN),
    (" stage3_gather_16bit_weights_on_model_save=false. Saving the full checkpoint instead, use zero_to_fp32.py",
     Kind.GATHER_DISABLED, UNKNOWN),
    ("***** Running training *****", Kind.TRAINING_STARTED, UNKNOWN),
    ("Resuming training from out", Kind.RESUMED, UNKNOWN),
    ("Resuming from ./checkpoints/latest.pt", Kind.RESUMED, UNKNOWN),
    ("Resume training from /data/ckpt/step-60", Kind.RESUMED, UNKNOWN),
    ("Loaded checkpoint 'out/last.pt' (epoch 3)", Kind.RESUMED, UNKNOWN),
    ("Loading checkpoint from out/last.pt", Kind.RESUMED, UNKNOWN),
    ("Restored all states from the checkpoint at last.ckpt", Kind.RESUMED, UNKNOWN),
    ("***** Running Evaluation *****", Kind.EVALUATED, UNKNOWN),
    ("Training completed. Do not forget to share your model on huggingface.co/models =)", Kind.TRAINING_FINISHED, UNKNOWN),
]  # fmt: skip


@pytest.mark.parametrize(("line", "kind", "value"), LINES)
def test_event(line: str, kind: str, value: float) -> None:
    """One line is one event of its kind, with its number, its line and its words."""
    told = read_log(f"before\n{line}\nafter\n")

    assert told.kinds() - {Kind.TRACEBACK, Kind.COMPLAINT} == {kind}
    events = told.events(kind)
    assert events.records.tolist() == [2]
    assert events.steps.tolist() == [UNKNOWN_STEP]
    assert events.values.tolist() == pytest.approx([value], nan_ok=True)
    assert events.text
    assert events.text[-10:] in line


@pytest.mark.parametrize(
    ("line", "kind", "step"),
    [
        ("  Continuing training from global step 500", Kind.RESUMED, 500),
        ("  Resuming training from checkpoint with epoch 1 and global step 1,500", Kind.RESUMED, 1500),
        ("Resumed from run/latest.pt at step 85", Kind.RESUMED, 85),
        ("  successfully loaded checkpoint from /ckpt [ t 1/1, p 1/1 ] at iteration 1000", Kind.RESUMED, 1000),
        ("  successfully saved checkpoint from iteration    1000 to /ckpt", Kind.CHECKPOINT_SAVED, 1000),
        ("Saved checkpoint at epoch 0 step 500 at folder /ckpt", Kind.CHECKPOINT_SAVED, 500),
    ],
)
def test_milestones_with_steps(line: str, kind: str, step: int) -> None:
    """Resuming and saving name their step."""
    assert read_log(line + "\n").events(kind).steps.tolist() == [step]


@pytest.mark.parametrize(
    "line",
    [
        "[INFO] [launch.py:319:sigkill_handler] Killing subprocess 4242",
        "CUBLAS_STATUS_SUCCESS",
        "param a torch.Size([2, 3])",
        "Saving the full checkpoint instead of the adapter",
        "Loading checkpoint shards: 100%",
        "Resuming training from",
        "python kill -l",
    ],
)
def test_no_event(line: str) -> None:
    """Lines that share a word with an event are none."""
    assert read_log(line + "\n").kinds() == set()


def test_counts_first_and_last() -> None:
    """All occurrences are counted; the text is the first one's."""
    text = "".join(f"x\nWARNING: tokenization mismatch: {n} vs. 9. (ignored)\n" for n in range(500))
    events = read_log(text).events(Kind.TOKENIZATION_MISMATCH)

    assert len(events) == 500
    assert (events.records[0], events.records[-1]) == (2, 1000)
    assert events.text == "WARNING: tokenization mismatch: 0 vs. 9. (ignored)"


TRACEBACK = """Traceback (most recent call last):
  File "/home/u/train.py", line 10, in <module>
    main()
    ^^^^^^
  File "/opt/lib/python3.10/site-packages/torch/autograd/__init__.py", line 200, in backward
    Variable._execution_engine.run_backward(
torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.
"""


def test_traceback() -> None:
    """A traceback is one event: its exception with the innermost frame; the interpreter is known from the paths."""
    told = read_log("start\n" + TRACEBACK)

    assert told.events(Kind.TRACEBACK).text == (
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. "
        "(/opt/lib/python3.10/site-packages/torch/autograd/__init__.py:200 in backward,"
        " called from /home/u/train.py:10 in <module>)"
    )
    assert told.events(Kind.TRACEBACK).records.tolist() == [2]
    assert told.setting("python")[0].value == "3.10"
    assert told.setting("python")[0].source.record == 6


def test_tracebacks_of_interleaved_ranks() -> None:
    """Lines of several ranks between each other are told apart; the same exception of both counts once."""
    lines = TRACEBACK.splitlines()
    text = "".join(f"[rank{rank}]: {line}\n" for line in lines for rank in (1, 0))
    told = read_log(text)

    assert len(told.events(Kind.TRACEBACK)) == 1
    assert told.events(Kind.TRACEBACK).rank == 0
    assert told.events(Kind.TRACEBACK).text.startswith("torch.OutOfMemoryError: CUDA")
    assert len(told.events(Kind.OUT_OF_MEMORY)) == 1


def test_traceback_that_breaks_off() -> None:
    """A log that ends within a traceback still gives the frame it got to."""
    text = read_log(TRACEBACK[: TRACEBACK.index("    main()")]).events(Kind.TRACEBACK).text

    assert text == "Traceback without an end (/home/u/train.py:10 in <module>)"


def test_loading_report_of_transformers_5() -> None:
    """The table of transformers >= 5 gives one event a status, the value is the number of rows."""
    report = (
        "\x1b[1mLlamaForCausalLM LOAD REPORT\x1b[0m from: /models/x\nKey | Status | \n----+----+-\n"
        "a.{0...3}.w | \x1b[38;5;208mUNEXPECTED\x1b[0m |  | \nb.w | MISSING | \nc.w | MISSING | \n\nNotes:\n- MISSING:\tx\n"
    )
    told = read_log(report)

    assert told.events(Kind.NEWLY_INITIALIZED).values.tolist() == [2]
    assert told.events(Kind.UNUSED_WEIGHTS).values.tolist() == [1]


def test_unsloth_banner() -> None:
    """The banner names versions, hardware and schedule."""
    settings = read_log(
        "==((====))==  Unsloth 2025.5.1: Fast Llama patching. Transformers: 4.51.3. vLLM: 0.8.5.\n"
        "   \\\\   /|    NVIDIA A100-SXM4-40GB. Num GPUs = 1. Max memory: 39.394 GB. Platform: Linux.\n"
        "O^O/ \\_/ \\    Torch: 2.6.0+cu124. CUDA: 8.0. CUDA Toolkit: 12.4. Triton: 3.2.0\n"
        "==((====))==  Unsloth - 2x faster free finetuning | Num GPUs used = 1\n"
        "   \\\\   /|    Num examples = 52,002 | Num Epochs = 1 | Total steps = 6,500\n"
    ).settings()

    assert settings["package:unsloth"] == "2025.5.1"
    assert settings["package:transformers"] == "4.51.3"
    assert settings["package:torch"] == "2.6.0+cu124"
    assert settings["package:triton"] == "3.2.0"
    assert settings["hardware:cuda"] == "12.4"
    assert settings["hardware:gpu"] == "NVIDIA A100-SXM4-40GB"
    assert settings["setting:max_steps"] == 6500


def test_training_arguments() -> None:
    """The repr of the arguments is read as constants; secrets are not."""
    settings = read_log(
        "TrainingArguments(\n_n_gpu=1,\nadam_epsilon=1e-08,\nbf16=True,\ndeepspeed=None,\n"
        "eval_strategy=IntervalStrategy.NO,\nhub_token=hf_abcdefghijklmnopqrst,\nlearning_rate=2e-05,\n"
        "output_dir=out/x,\n)\nlater=1\n"
    ).settings()

    assert settings["setting:adam_epsilon"] == 1e-08
    assert settings["setting:bf16"] is True
    assert settings["setting:deepspeed"] is None
    assert settings["setting:output_dir"] == "out/x"
    assert "hf_" not in str(settings["setting:hub_token"])
    assert "setting:later" not in settings


@pytest.mark.parametrize(
    ("line", "name", "value", "standing"),
    [
        ("node01:1:1 [0] NCCL INFO NCCL version 2.21.5+cuda12.4", "package:nccl", "2.21.5", Standing.RECORDED),
        ("NCCL version 2.18.1+cuda12.1", "hardware:nccl.cuda", "12.1", Standing.RECORDED),
        (
            " > padded vocab (size: 50257) with 47 dummy tokens (new size: 50304)",
            "setting:model.vocab_size",
            50304,
            Standing.EFFECTIVE,
        ),
        ("node01:1:1 [0] NCCL INFO cudaDriverVersion 12040", "hardware:driver.cuda", "12.4", Standing.RECORDED),
        ("wandb: Tracking run with wandb version 0.31.0", "package:wandb", "0.31.0", Standing.RECORDED),
        ("Successfully installed accelerate-1.2.1 flash_attn-2.5.8", "package:flash-attn", "2.5.8", Standing.CONFIGURED),
        ("You are resuming training from a checkpoint trained with 4.36.2 of Transformers but your current version is "
         "4.57.1.", "package:transformers", "4.57.1", Standing.RECORDED),
        ("/x/lib/python3.11/site-packages/flash_attn-2.5.8-py3.11-linux-x86_64.egg/y.py", "package:flash-attn", "2.5.8",
         Standing.RECORDED),
        ("[2025-05-01 09:57:52,000] [INFO] [launch.py:146:main] WORLD INFO DICT: {'localhost': [0, 1], 'b': [0]}",
         "setting:world_size", 3, Standing.EFFECTIVE),
        ("Using 16bit Automatic Mixed Precision (AMP)", "setting:precision", "16-mixed", Standing.EFFECTIVE),
        ("Using bfloat16 Automatic Mixed Precision (AMP)", "setting:precision", "bf16-mixed", Standing.EFFECTIVE),
        ("Num processes: 1\nMixed precision type: fp16\n", "setting:precision", "fp16", Standing.EFFECTIVE),
        ("WARNING - __main__ - Process rank: 0, device: cuda:0, n_gpu: 1, 16-bits training: True",
         "setting:precision", "fp16", Standing.EFFECTIVE),
        ("Process rank: 0, world size: 1, device: cuda:0, distributed training: False, compute dtype: torch.bfloat16",
         "setting:precision", "bf16", Standing.EFFECTIVE),
        ("------------------------ arguments ------------------------\n  adam_beta1 ......................... 0.9\n"
         "-------------------- end of arguments ---------------------", "setting:adam_beta1", 0.9, Standing.EFFECTIVE),
    ],
)  # fmt: skip
def test_setting(line: str, name: str, value: object, standing: Standing) -> None:
    """Versions and sizes that lines tell, with their standing."""
    told = read_log(f"{line}\n")

    assert told.settings()[name] == value
    assert told.setting(name.partition(":")[2])[0].standing == standing


def test_settings_follow_restarts() -> None:
    """A value that changes and changes back is told three times; one that is repeated once."""
    versions = ("0.12.5", "0.12.5", "0.14.5", "0.12.5")
    told = read_log("".join(f"DeepSpeed info: version={version}, git-hash=x\n" for version in versions))

    assert [setting.value for setting in told.setting("deepspeed")] == ["0.12.5", "0.14.5", "0.12.5"]


def test_tokens_are_not_repeated() -> None:
    """A token in an error's text does not reach the report."""
    text = read_log("OSError: No space left on device https://me:secretpassword@host/x hf_abcdefghijklmnopqrst\n")

    assert "secretpassword" not in text.events(Kind.DISK_FULL).text
    assert "hf_abc" not in text.events(Kind.DISK_FULL).text


def test_text_among_framing_bytes() -> None:
    """A line in a binary log is quoted without the bytes of the record around it."""
    told = read_log("x\n\x08f6\x02\x01\x04\x12\x10torch.OutOfMemoryError: CUDA out of memory. Tried\n")

    assert told.events(Kind.OUT_OF_MEMORY).text == "torch.OutOfMemoryError: CUDA out of memory. Tried"


@pytest.mark.parametrize(
    ("log", "text"),
    [
        ("Traceback (most recent call last):\nValueError: no frame was printed\n", "ValueError: no frame was printed"),
        (
            'Traceback (most recent call last):\n  File "a.pyx", line 7, in\nnumpy.random.Generator._seeding\n',
            "Traceback without an end (a.pyx:7)",
        ),
        (
            'Traceback (most recent call last):\n  File "a.py", line 7, in f\nException in callback None()\n',
            "Traceback without an end (a.py:7 in f)",
        ),
    ],
)
def test_end_of_a_traceback(log: str, text: str) -> None:
    """Only a line of an exception's name, alone or before a colon, ends a traceback."""
    told = read_log(log)

    assert told.events(Kind.TRACEBACK).text == text


STEPS = "".join(f"{{'loss': {2 - n / 100:.2f}, 'learning_rate': 1e-05, 'epoch': {n / 100:.2f}}}\n" for n in range(1, 9))
LAST = "ValueError: a column of the batch has 8 rows, another one 7."


@pytest.mark.parametrize("ending", ["", "\n", "\n\n"])
@pytest.mark.parametrize("prefix", ["", "[rank1]: "])
def test_an_exception_is_the_last_line(prefix: str, ending: str) -> None:
    """An exception that ends a log of metrics is a crash, although its traceback is not there."""
    told = read_log(STEPS + prefix + LAST + ending)

    found = told.events(Kind.TRACEBACK)
    assert (found.text, found.records.tolist()) == (LAST, [9])


@pytest.mark.parametrize(
    "log",
    [
        LAST + "\n" + STEPS,
        STEPS + LAST + "\nretrying\n",
        STEPS + "WARNING " + LAST,
        STEPS + "Error: see above",
    ],
    ids=["first", "tried again", "logged", "no class"],
)
def test_an_exception_elsewhere_is_no_crash(log: str) -> None:
    """A line after which the run went on, or that is part of a message, tells of no crash."""
    assert Kind.TRACEBACK not in read_log(log).kinds()


@pytest.mark.parametrize(
    ("line", "nothing"),
    [
        ("loaded model.pt with strict=False: 41 missing keys, 39 unexpected keys", True),
        ("loaded model.pt with strict=False: 41 missing keys, 2 unexpected keys", False),
        (f"_IncompatibleKeys(missing_keys={NAMES}, unexpected_keys={NAMES})", True),
        (f"_IncompatibleKeys(missing_keys={NAMES[:3]}, unexpected_keys={NAMES[:3]})", False),
    ],
)
def test_names_that_hardly_meet_are_more_than_a_new_head(line: str, nothing: bool) -> None:
    told = read_log(line + "\n").kinds() - {Kind.COMPLAINT}

    assert told == {Kind.NEWLY_INITIALIZED, Kind.NOTHING_LOADED} if nothing else {Kind.NEWLY_INITIALIZED}


@pytest.mark.parametrize(
    "line",
    [
        "missing keys: []",
        "missing keys in canonical_gs checkpoint: set()",
        "0 missing keys, 0 unexpected keys",
        "_IncompatibleKeys(missing_keys=[], unexpected_keys=[])",
        "Training new model from scratch - Total size=124.44M params",
        "loss differs between ranks, as their batches do",
        "No existing checkpoint found checkpoints/checkpoint_last.pt",
    ],
)
def test_a_load_that_went_well_and_a_fresh_start_are_no_event(line: str) -> None:
    assert read_log(line + "\n").kinds() == set()
