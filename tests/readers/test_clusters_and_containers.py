"""What Kubernetes, Docker and the driver say of an end, in the form of public captures; names and numbers rewritten."""

import json
from pathlib import Path

import pytest

from forensics.investigate import investigate

STEPS = "".join(f"step {n} | loss {2.4 - n / 100:.3f}\n" for n in range(1, 41))
DESCRIBED = """Name:         llm-0
Namespace:    train
Node:         node-7/10.1.2.3
Status:       Running
Containers:
  trainer:
    Container ID:   containerd://9f
    Image:          registry.local/llm:v2
    State:          {state}
      Started:      Tue, 03 Feb 2026 10:01:01 +0000
{ended}    Ready:          False
    Restart Count:  1
"""
LAST = """    Last State:     Terminated
      Reason:       {reason}
      Exit Code:    {code}
      Started:      Tue, 03 Feb 2026 08:00:00 +0000
      Finished:     Tue, 03 Feb 2026 10:01:00 +0000
"""
DESCRIPTIONS = {
    "gimlet-io/gimlet#649": (
        DESCRIBED.format(state="Running", ended=LAST.format(reason="OOMKilled", code=137)),
        "killed",
    ),
    "kubernetes/kubernetes#68286": (
        DESCRIBED.format(state="Running", ended=LAST.format(reason="Error", code=2)),
        "crashed",
    ),
    "kubernetes/kubernetes#131530": (
        DESCRIBED.format(state="Waiting", ended=LAST.format(reason="OOMKilled", code=0)),
        "killed",
    ),
}


@pytest.mark.parametrize("thread", DESCRIPTIONS)
def test_a_described_pod_tells_how_its_container_ended(tmp_path: Path, thread: str) -> None:
    text, kind = DESCRIPTIONS[thread]
    (tmp_path / "train.log").write_text(STEPS)
    (tmp_path / "pod.txt").write_text(text)
    report = investigate(tmp_path)

    assert report.run.ending is not None
    assert (report.run.ending.kind, report.verdict) == (kind, "broken")


def test_a_pod_as_json_tells_it_too(tmp_path: Path) -> None:
    """The form of kubernetes/kubernetes#19825: the reason is a bare "Error", the code says more."""
    ended = {"exitCode": 137, "reason": "Error", "startedAt": "2026-02-03T08:00:00Z", "containerID": "docker://1a"}
    status = {"phase": "Failed", "containerStatuses": [{"name": "trainer", "state": {"terminated": ended}}]}
    pod = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "llm-0"}, "status": status}
    (tmp_path / "train.log").write_text(STEPS)
    (tmp_path / "pod.json").write_text(json.dumps(pod, indent=4))
    report = investigate(tmp_path)

    assert report.run.ending is not None
    assert (report.run.ending.kind, report.run.ending.symptom) == ("killed", "crash-killed")


def _inspected(code: int, *, killed: bool) -> str:
    state = {
        "Status": "exited",
        "Running": False,
        "Paused": False,
        "Restarting": False,
        "OOMKilled": killed,
        "Dead": False,
        "Pid": 0,
        "ExitCode": code,
        "Error": "",
        "StartedAt": "2026-02-03T08:00:00.5Z",
        "FinishedAt": "2026-02-03T10:01:00.7Z",
    }
    return json.dumps([{"Id": "c0ffee", "Path": "/entry.sh", "Args": ["python", "train.py"], "State": state}], indent=4)


@pytest.mark.parametrize(
    ("code", "killed", "kind", "cause"),
    [
        (137, True, "killed", "host-kill"),
        (137, False, "killed", ""),
        (139, False, "crashed", "native-crash"),
        (0, False, "finished", ""),
    ],
    ids=[
        "moby/moby#15621",
        "docker/cli#2665",
        "AbdBarho/stable-diffusion-webui-docker#457",
        "docker-library/memcached#100",
    ],
)
def test_a_container_that_was_inspected_tells_it(
    tmp_path: Path, code: int, killed: bool, kind: str, cause: str
) -> None:
    (tmp_path / "train.log").write_text(STEPS)
    (tmp_path / "inspect.json").write_text(_inspected(code, killed=killed))
    report = investigate(tmp_path)
    named = next((h.cause for h in report.hypotheses if h.holds), "")

    assert report.run.ending is not None
    assert (report.run.ending.kind, named) == (kind, cause)


FALLEN = """[ 1843.3] NVRM: The NVIDIA GPU 0000:b3:00.0
               NVRM: (PCI ID: 10de:26b5) installed in this system has
               NVRM: fallen off the bus and is not responding to commands.
"""
LINK = """kernel: NVRM: Xid (PCI:0000:dc:00): 146, TLW_REMAP Nonfatal XC0 i0 Link 03
kernel: NVRM: Xid (PCI:0000:ed:00): 45, pid=991, name=python3, Ch 00000001 caused by previous Xid 146
"""


@pytest.mark.parametrize(
    "text",
    [
        "[ 1843.3] NVRM: Xid (PCI:0000:44:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.\n",
        FALLEN,
        LINK,
    ],
    ids=[
        "NVIDIA/open-gpu-kernel-modules#507",
        "NVIDIA/NVSentinel#155",
        "NVIDIA/open-gpu-kernel-modules#1150",
    ],
)
def test_the_drivers_own_lines_name_the_board(tmp_path: Path, text: str) -> None:
    died = "torch.AcceleratorError: CUDA error: unspecified launch failure\n"
    (tmp_path / "train.log").write_text(STEPS + died)
    (tmp_path / "dmesg.txt").write_text(text)
    report = investigate(tmp_path)

    assert report.verdict == "broken"
    assert (report.hypotheses[0].cause, report.hypotheses[0].verdict) == ("gpu-hardware-fault", "established")
