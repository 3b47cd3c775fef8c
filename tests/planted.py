"""A run in which everything that must not get out stands everywhere it could stand."""

import base64
import json
import struct
from pathlib import Path
from urllib.parse import quote

from secrets_planted import BY_NAME, IDENTITIES, SECRETS

HOST = "gpu-node-17"
STEPS = 12
TELLING_ALONE = (
    "email",
    "home",
    "winhome",
    "dataset_path",
    "bucket",
    "hostname",
    "master_addr",
    "ipv6",
    "remote",
    "uuid",
)
"""Identities that are known by their look, without anything else of the run: a tensor may be named like one."""


def make(folder: Path) -> Path:
    """Write the run and return its directory, whose name holds a secret too."""
    run = folder / "alice.doe" / f"run-{dict(SECRETS)['hub_token']}"
    run.mkdir(parents=True)
    _log(run / "train.log")
    _state(run / "trainer_state.json")
    _configs(run)
    for checkpoint in ("checkpoint-6", "checkpoint-9"):
        (run / checkpoint).mkdir(parents=True)
        _weights(run / checkpoint / "model.safetensors")
    _captures(run)
    _healthy(folder / "alice.doe" / "good")
    (run / f"events.out.tfevents.1700000000.{HOST}.4711.0").write_bytes(b"")
    return run


def encoded(value: str) -> str:
    """Return the value as a URL and an `Authorization: Basic` hold it."""
    return f"https://x.invalid/?q={quote(value, safe='')} {base64.b64encode(f'user:{value}'.encode()).decode()}"


def _log(path: Path) -> None:
    lines = [
        "Loading /home/alice.doe/projects/secret-client/train.py",
        f"{HOST}:4711:4711 [0] NCCL INFO Bootstrap",
    ]
    for name, value in (*SECRETS, *BY_NAME, *IDENTITIES):
        lines += [f"{name.upper()}={value}", f"using {value} for {name}", f'{{"{name}": {json.dumps(value)}}}']
    lines += [f"{{'loss': {1.0 - i / 100}, 'learning_rate': 1e-05, 'epoch': {i / 10}}}" for i in range(1, STEPS // 2)]
    secret = " ".join(value for _, value in (*SECRETS, *BY_NAME))
    secret += " " + " ".join(encoded(value) for _, value in (*SECRETS, *BY_NAME))
    lines += [
        "Traceback (most recent call last):",
        f'  File "/home/alice.doe/projects/secret-client/{HOST}.py", line 1, in f',
    ]
    lines += [f"RuntimeError: cannot push with {secret}", f"ValueError: {HOST} alice.doe@corp.invalid"]
    path.write_text("\n".join(lines) + "\n")


def _state(path: Path) -> None:
    history = [
        {
            "step": i,
            "loss": 1.0 - i / 100 if i < STEPS // 2 else 0.0,
            "epoch": i / 10,
            **{v: 1.0 for _, v in SECRETS},
        }
        for i in range(1, STEPS)
    ]
    path.write_text(json.dumps({"global_step": STEPS - 1, "max_steps": STEPS, "log_history": history}))


def _configs(run: Path) -> None:
    settings = dict((*SECRETS, *BY_NAME, *IDENTITIES))
    (run / "config.json").write_text(
        json.dumps({"model_type": "llama", "_name_or_path": "/home/alice.doe/m", **settings})
    )
    (run / "ds_config.json").write_text(
        json.dumps({"zero_optimization": {"stage": 2, **settings}, "bf16": {"enabled": True}})
    )
    lines = [f"{name}: {json.dumps(value)}" for name, value in settings.items()]
    (run / "config.yaml").write_text("\n".join([*lines, "learning_rate: 1.0e-5"]) + "\n")
    exports = [f"export {name.upper()}={value!r}" for name, value in settings.items() if "\n" not in value]
    (run / "train.sh").write_text(
        "#!/bin/bash\n#SBATCH --account=secretproject\n" + "\n".join(exports) + "\ntorchrun train.py\n"
    )


def _captures(run: Path) -> None:
    """What W&B and pip write down about the machine."""
    identities, secrets = dict(IDENTITIES), dict(SECRETS)
    args = [word for name, value in (*SECRETS, *BY_NAME, *IDENTITIES) for word in (f"--{name}", value)]
    told = {
        "host": HOST, "username": "alice.doe", "email": identities["email"], "root": identities["home"],
        "args": args, "program": f"{identities['home']}/train.py", "python": "3.11",
        "git": {"remote": identities["https_remote"], "commit": "c0ffee12" * 5},
    }  # fmt: skip
    (run / "wandb-metadata.json").write_text(json.dumps(told))
    freeze = ["torch==2.1.0", "transformers==4.36.2", "deepspeed==0.12.5"]
    freeze += [f"-e git+https://{secrets['github_token']}@github.com/secret-client/model.git@{'c0ffee12' * 5}#egg=m"]
    (run / "requirements.txt").write_text("\n".join(freeze) + "\n")


def _healthy(run: Path) -> None:
    """Write the run that the other is compared with: it knows the same people."""
    run.mkdir()
    history = [{"step": i, "loss": 1.0 - i / 100, "epoch": i / 10} for i in range(1, STEPS)]
    state = {"global_step": STEPS - 1, "max_steps": STEPS, "log_history": history}
    (run / "trainer_state.json").write_text(json.dumps(state))
    _configs(run)
    (run / "ds_config.json").write_text(json.dumps({"zero_optimization": {"stage": 1}, "bf16": {"enabled": True}}))
    (run / "requirements.txt").write_text("deepspeed==0.11.1\n")


def _weights(path: Path) -> None:
    names = ["model.norm.weight", *(f"layer.{value}.weight" for _, value in SECRETS)]
    names += [f"{value} weight" for name, value in IDENTITIES if name in TELLING_ALONE]
    header = {name: {"dtype": "F32", "shape": [2], "data_offsets": [8 * i, 8 * i + 8]} for i, name in enumerate(names)}
    head = json.dumps(header).encode()
    values = struct.pack("<2f", float("nan"), 1.0) * len(names)
    path.write_bytes(struct.pack("<Q", len(head)) + head + values)
