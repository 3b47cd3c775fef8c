"""What a launcher, a container or a logger puts before each line of a format changes nothing that is read of it."""

import pytest

from forensics.model import Samples
from readers.text.log_reading import read_log
from readers.text.test_console_formats_table import ALL, UNREAD

LEADS = {
    "torchrun": "[default0]:",
    "c10d": "[rank0]: ",
    "ray": "(main_task pid=12345) ",
    "ray in colours": "\x1b[36m(TaskRunner pid=4123, ip=10.0.0.3)\x1b[0m ",
    "Open MPI": "[1,0]<stdout>:",
    "srun": "0: ",
    "pdsh": "worker-1: ",
    "docker compose": "trainer-1  | ",
    "kubectl": "2026-05-04T11:20:{n:02d}.123456789Z ",
    "containerd": "2026-05-04T11:20:{n:02d}.123456789Z stdout F ",
    "syslog": "May  4 11:20:{n:02d} node07 train.sh[4321]: ",
    "SageMaker": "2026-05-04T11:20:01.000+00:00 algo-1-abcde ",
    "loguru": "2026-05-04 11:20:{n:02d}.123 | INFO     | __main__:train:123 - ",
    "logging": "2026-05-04 11:20:{n:02d},123 - trainer - INFO - ",
    "Hydra": "[2026-05-04 11:20:{n:02d},123][train][INFO] - ",
    "absl": "I0504 11:20:{n:02d}.123456 140234567890 train.py:321] ",
    "quoted": "> ",
}


SHARE = 5
"""One in so many formats is tried behind each lead; another fifth behind the next."""


def told(text: str) -> dict[str, list[list[float]]]:
    """Return the steps and the values of each loss, whatever process is named."""
    found = [f for f in read_log(text).facts if isinstance(f, Samples) and "loss" in f.name.lower()]
    return {each.name: [each.steps.tolist(), [round(v, 9) for v in each.values.tolist()]] for each in found}


def led(text: str, lead: str) -> str:
    return "".join(lead.format(n=n % 60) + line for n, line in enumerate(text.splitlines(keepends=True)))


READ = [given for given in ALL if given.name not in UNREAD]
LOST = 0.1
"""Share of formats that such a lead may cost: those that begin with a bare number, and drawn tables without a loss."""


@pytest.mark.parametrize("lead", LEADS)
def test_a_lead_costs_no_format(lead: str) -> None:
    number = [*LEADS].index(lead)
    asked = READ[number % SHARE :: SHARE]
    lost = [given.name for given in asked if told(led(given.text(), LEADS[lead])) != told(given.text())]

    assert len(lost) <= max(1, LOST * len(asked)), lost
