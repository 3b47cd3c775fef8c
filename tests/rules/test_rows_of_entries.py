"""Every rule has a row of its own; of a TOML entry one run that shows its cause, and one in which it is impossible."""

from pathlib import Path

import pytest

from forensics import catalog
from forensics.investigate import investigate
from forensics.plugin import Rule
from rules import (
    rows_of_engines,
    rows_of_entries,
    test_branches_reached,
    test_built_errors,
    test_known_issues,
    test_last_lines,
    test_more_known_issues,
)
from rules.issue_runs import Facts
from rules.rule_judging import ask
from rules.test_known_issues import ISSUES

STEPS = "".join(f"step {number} | loss {2.4 - number / 100:.3f}\n" for number in range(1, 41))
FRAMES = 'Traceback (most recent call last):\n  File "train.py", line 7, in <module>\n    main()\n'
LOGS: list[tuple[str, str]] = [
    (
        "collectives-differ",
        (
            f"{FRAMES}RuntimeError: Detected mismatch between collectives on ranks. Rank 0 is running collective: "
            "CollectiveFingerPrint(SequenceNumber=9, OpType=ALLREDUCE, TensorShape=[10]), but Rank 1 is running "
            "collective: CollectiveFingerPrint(SequenceNumber=9, OpType=BROADCAST, TensorShape=[10]).\n"
        ),
    ),
    (
        "device-assert",
        (
            "/aten/src/ATen/native/cuda/Loss.cu:111: operator(): block: [62,0,0], thread: [38,0,0] Assertion "
            "`input_val >= zero && input_val <= one` failed.\n"
            f"{FRAMES}RuntimeError: CUDA error: device-side assert triggered\n"
        ),
    ),
    (
        "gpu-hardware-fault",
        (
            "[1834.22] NVRM: Xid (PCI:0000:3b:00): 79, pid=4242, name=python, GPU has fallen off the bus.\n"
            f"{FRAMES}RuntimeError: CUDA error: unspecified launch failure\n"
        ),
    ),
    ("illegal-memory-access", f"{FRAMES}RuntimeError: CUDA error: an illegal memory access was encountered\n"),
    ("native-crash", "Segmentation fault (core dumped)\n"),
    (
        "node-failure",
        (
            "slurmstepd: error: *** JOB 8842 ON gpu-012 CANCELLED AT 2025-03-01T11:22:33 DUE TO NODE FAILURE, "
            "SEE SLURMCTLD LOG FOR DETAILS ***\n"
        ),
    ),
    (
        "pod-evicted",
        "The node was low on resource: ephemeral-storage. Threshold quantity: 10Gi, available: 1Gi.\n",
    ),
    (
        "preempted-by-scheduler",
        "slurmstepd: error: *** STEP 8842.0 ON gpu-012 CANCELLED AT 2025-03-01T11:22:33 DUE TO PREEMPTION ***\n",
    ),
    (
        "shared-memory-full",
        (
            "ERROR: Unexpected bus error encountered in worker. This might be caused by insufficient shared memory "
            "(shm).\n"
            f"{FRAMES}RuntimeError: DataLoader worker (pid 77) is killed by signal: Bus error. It is possible that "
            "dataloader's workers are out of shared memory. Please try to raise your shared memory limit.\n"
        ),
    ),
    (
        "stopped-at-nan",
        f"{FRAMES}AssertionError: Rank 3: found NaN in local forward loss calculation. Device: 3, node: n12\n",
    ),
    ("stopped-by-user", f"{FRAMES}KeyboardInterrupt\n"),
    ("token-id-beyond-embedding", f"{FRAMES}IndexError: index out of range in self\n"),
    ("values-to-unpack", f"{FRAMES}ValueError: not enough values to unpack (expected 2, got 1)\n"),
]
"""Cause, and how the log of a run ends that logged forty steps before."""

HINTED = {issue["name"] for issue in ISSUES.values() if "hint" in issue}
"""Entries that all their signs together leave at possible."""
ROWS = [*rows_of_entries.ROWS, *rows_of_engines.ROWS]
CONVINCED = {"established", "likely"}
JUDGED = [*test_known_issues.WHOLE_CASES, *test_more_known_issues.CASES]
SHOWN = {
    *(cause for cause, _, _ in ROWS),
    *(cause for cause, _ in LOGS),
    *(cause for cause, _ in test_last_lines.LINES),
    *(row[0] for row in (*test_built_errors.ROWS, *test_branches_reached.ROWS)),
    *(cause for cause, _, verdict in JUDGED if verdict in CONVINCED | ({"possible"} if cause in HINTED else set())),
}
RULED_OUT = {
    *(cause for cause, _, against in ROWS if against is not None),
    *(cause for cause, _, verdict in JUDGED if verdict == "ruled out"),
}


def wanted(cause: str) -> set[str]:
    return {"possible"} if cause in HINTED else CONVINCED


def changed(facts: Facts, change: Facts) -> Facts:
    """Return the run of `facts` with some of its settings and releases, or whole other parts, in another way."""
    parts: Facts = {
        name: {**facts.get(name, {}), **change[name]} for name in ("settings", "packages") if name in change
    }
    return {**facts, **change, **parts}


@pytest.mark.parametrize("rule", catalog.rules(), ids=lambda rule: rule.name)
def test_a_rule_has_a_row_of_its_own(rule: Rule) -> None:
    assert rule.name in SHOWN, (
        f"no row of tests/rules/rows_of_entries.py shows {rule.name}: write what its sources tell"
    )


@pytest.mark.parametrize("cause", [issue["name"] for issue in ISSUES.values()])
def test_an_entry_with_conditions_has_a_row_that_rules_it_out(cause: str) -> None:
    if catalog.find_rule(cause).requires:
        assert cause in RULED_OUT, f"no row of tests/rules/rows_of_entries.py says when {cause} is impossible"


@pytest.mark.parametrize(("cause", "facts"), [(cause, facts) for cause, facts, _ in ROWS], ids=[row[0] for row in ROWS])
def test_its_run_convinces(cause: str, facts: Facts) -> None:
    said = ask(catalog.find_rule(cause), facts)

    assert said.verdict in wanted(cause), (said.score, said.evidence)


@pytest.mark.parametrize(
    ("cause", "facts", "against"),
    [pytest.param(*row, id=row[0]) for row in ROWS if row[2] is not None],
)
def test_one_condition_rules_it_out(cause: str, facts: Facts, against: Facts) -> None:
    assert ask(catalog.find_rule(cause), changed(facts, against)).verdict == "ruled out"


@pytest.mark.parametrize(("cause", "end"), LOGS, ids=[cause for cause, _ in LOGS])
def test_the_end_of_its_log_names_it_first(tmp_path: Path, cause: str, end: str) -> None:
    (tmp_path / "train.log").write_text(STEPS + end)
    first = investigate(tmp_path).hypotheses[0]

    assert (first.cause, first.verdict in wanted(cause)) == (cause, True), (first.verdict, first.evidence)
