"""What schedulers and boards told in public threads, with other numbers and names: each witness from three places."""

import re
from pathlib import Path

import pytest

from forensics.investigate import investigate

STEPS = "".join(f"step {n} | loss {2.4 - n / 100:.3f}\n" for n in range(1, 41))
DIAGNOSIS = """Successfully ran diagnostic for group.
+---------------------------+------------------------------------------------+
| Diagnostic                | Result                                         |
+===========================+================================================+
|-----  Metadata  ----------+------------------------------------------------|
| DCGM Version              | {version}                                          |
| Driver Version Detected   | 555.42.02                                      |
| GPU Device IDs Detected   | 20b5,20b5                                      |
|-----  Deployment  --------+------------------------------------------------|
{deployment}
+-----  Hardware  ----------+------------------------------------------------+
| {name:<25} | Fail - GPUs: 1                                 |
| Warning                   | GPU 1 {warning:<40} |
+---------------------------+------------------------------------------------+
"""
WITNESSES = {
    "sacct, aligned": (
        "nebius/soperator#321",
        "sacct.txt",
        """JobID           JobName  AllocCPUS     MaxRSS  MaxVMSize   TotalCPU      State
------------ ---------- ---------- ---------- ---------- ---------- ----------
77                train          8                        41:00.004 OUT_OF_ME+
77.0             python          8  61872044K          0  41:00.004 OUT_OF_ME+
""",
        "killed",
    ),
    "sacct, every field": (
        "nauhpc/jobstats#14",
        "sacct.txt",
        """JobID|JobIDRaw|JobName|Partition|MaxVMSize|MaxRSS|AveRSS|Elapsed|NCPUS|State|ExitCode|
77|77|train|gpu||||2-00:00:21|8|TIMEOUT|0:0|
77.batch|77.batch|batch||9G|8G|8G|2-00:00:23|8|CANCELLED|0:15|
""",
        "time-limit",
    ),
    "scontrol, of a failed job": (
        "mknoxnv/ubuntu-slurm#5",
        "job.txt",
        """JobId=77 JobName=train
   UserId=jd(1004) GroupId=jd(1004) MCS_label=N/A
   Priority=4294 Nice=0 Account=lab QOS=normal
   JobState=FAILED Reason=NonZeroExitCode Dependency=(null)
   Requeue=1 Restarts=0 BatchFlag=1 Reboot=0 ExitCode=1:0
   RunTime=00:12:00 TimeLimit=UNLIMITED TimeMin=N/A
   SubmitTime=2026-11-01T14:54:02 EligibleTime=2026-11-01T14:54:02
""",
        "crashed",
    ),
    "scontrol, of a running job": (
        "tdegeus/GooseSLURM#32",
        "job.txt",
        """JobId=77 JobName=velocity
   UserId=jd(1004) GroupId=jd(1004) MCS_label=N/A
   Priority=54 Nice=0 Account=lab QOS=normal
   JobState=RUNNING Reason=None Dependency=(null)
   Requeue=0 Restarts=0 BatchFlag=1 Reboot=0 ExitCode=0:0
   RunTime=20:27:30 TimeLimit=2-00:00:00 TimeMin=N/A
""",
        "unknown",
    ),
    "seff": (
        "troycomi/reportseff#41",
        "seff.txt",
        """######################## JOB EFFICIENCY REPORT ########################
# Job ID:          77
# State:           TIMEOUT (exit code 0)
# Cores:           8
# CPU Utilized:    00:06:58
# Memory Utilized: 14.86 GB (estimated maximum)
#######################################################################
""",
        "time-limit",
    ),
    "seff, of an array": (
        "ycrc/seff-array#24",
        "seff.txt",
        """Job ID: 77
Array Job ID: 76_1
Cluster: alpha
User/Group: jd/jd
State: OUT_OF_MEMORY (exit code 0)
Nodes: 1
Cores per node: 20
Memory Utilized: 7.98 GB
Memory Efficiency: 99.77% of 8.00 GB
""",
        "killed",
    ),
    "seff, on nodes": (
        "troycomi/reportseff#16",
        "seff.txt",
        """Job ID: 77
State: NODE_FAIL (exit code 0)
Nodes: 2
Cores per node: 8
CPU Utilized: 4-23:56:22
Job Wall-clock time: 07:36:03
""",
        "node-lost",
    ),
    "qacct": (
        "marbl/canu#1279",
        "train.log",
        STEPS
        + """==============================================================
qname        gpu.q
hostname     node008
failed       37  : qmaster enforced h_rt, h_cpu, or h_vmem limit
exit_status  137                  (Killed)
""",
        "killed",
    ),
    "a board that fell off, in three lines": (
        "NVIDIA/NVSentinel#155",
        "dmesg.txt",
        """[ 1843.308145] NVRM: The NVIDIA GPU 0000:3b:00.0
               NVRM: (PCI ID: 10de:20b5) installed in this system has
               NVRM: fallen off the bus and is not responding to commands.
[ 1843.439662] NVRM: The NVIDIA probe routine failed for 1 device(s).
""",
        "crashed",
    ),
    "a board that fell off, in the journal": (
        "leptonai/gpud#1209",
        "journal.txt",
        """Feb 14 05:03:41 gpu-1 kernel: NVRM: The NVIDIA GPU 0000:3b:00.0
Feb 14 05:03:41 gpu-1 kernel: NVRM: (PCI ID: 10de:20b5) installed in this system has
Feb 14 05:03:41 gpu-1 kernel: NVRM: fallen off the bus and is not responding to commands.
""",
        "crashed",
    ),
    "Xid 79": (
        "Cyridd/cmpunlocker#4",
        "dmesg.txt",
        """[   21.091872] NVRM: Xid (PCI:0000:01:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.
[   21.092238] NVRM: GPU 0000:01:00.0: rm_init_adapter failed, device minor number 0
""",
        "crashed",
    ),
}


@pytest.mark.parametrize("name", WITNESSES)
def test_a_witness_of_a_public_thread_tells_how_the_run_ended(tmp_path: Path, name: str) -> None:
    source, file, text, kinds = WITNESSES[name]
    (tmp_path / file).write_text(text)
    if file != "train.log":
        (tmp_path / "train.log").write_text(STEPS)
    ending = investigate(tmp_path).run.ending
    kind = "unknown" if ending is None else ending.kind

    assert re.fullmatch(r"[\w.-]+/[\w.-]+#\d+", source)
    assert kind in kinds.split()


@pytest.mark.parametrize(
    ("source", "version", "deployment", "name", "warning"),
    [
        ("NVIDIA/go-dcgm#52", "3.3.1", "| Denylist                  | Pass      |", "GPU Memory", "had bad memory"),
        (
            "NVIDIA/DCGM#253",
            "4.2.3",
            "| software                  | Pass      |",
            "memory",
            "has 1 uncorrectable error",
        ),
        ("NVIDIA/DCGM#198", "3.3.7", "| NVML Library              | Pass      |", "PCIe", "link is too slow"),
    ],
)
def test_a_failed_diagnosis_is_told(  # noqa: PLR0913, PLR0917  (the parts of a report)
    tmp_path: Path, source: str, version: str, deployment: str, name: str, warning: str
) -> None:
    text = DIAGNOSIS.format(version=version, deployment=deployment, name=name, warning=warning)
    (tmp_path / "dcgm.txt").write_text(text)
    (tmp_path / "train.log").write_text(STEPS)

    assert "#" in source
    assert investigate(tmp_path).run.has("event gpu-health")


def test_the_log_of_another_system_tells_of_no_crash(tmp_path: Path) -> None:
    """Lines of a machine whose nodes could not load a program, as logpai/loghub has them of BlueGene/L."""
    line = "- 1117838570 2005.06.03 R02-M1-N0 RAS APP FATAL ciod: Error loading /g/x: bad image, Exec format error\n"
    (tmp_path / "system.log").write_text(line * 40)
    (tmp_path / "train.log").write_text(STEPS)

    assert [f.symptom for f in investigate(tmp_path).findings if f.severity != "notice"] == []
