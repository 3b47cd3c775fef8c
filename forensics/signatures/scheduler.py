"""What schedulers and cluster managers say when they end a job.

Sources: Slurm 23.11 `slurmstepd/mgr.c`, `job_state_reason`; PBS, LSF and SGE job reports; Kubernetes 1.30 container,
pod and node reasons; Ray `gcs_node_manager`; SkyPilot and spot notices.
"""

from forensics.signatures.signature import Record, Role, Signature, Words

SIGNATURES = (
    Signature(
        "time-limit",
        "crash-killed",
        "time-limit",
        Role.ROOT,
        "the scheduler ended the job at its time limit",
        (
            Record("DUE TO TIME LIMIT"),
            Record("TERM_RUNLIMIT"),
            Record("PBS: job killed: walltime", r"walltime \d+ exceeded limit"),
            Record("DeadlineExceeded", r"DeadlineExceeded\b.{0,400}(?:Job|Pod|active)|Reason:\s*DeadlineExceeded"),
            Record("Job was active longer than specified deadline"),
            Record("Job reached terminal state TIMEOUT"),
            Record("exceeded hard wallclock time"),
            Record("MaxRuntimeExceeded"),
            Record("MaxWaitTimeExceeded"),
            Record("maximum walltime exceeded"),
            Record("timeout: sending signal ", r"^timeout: sending signal [A-Z]+ to command"),
            Record("DEADLINE_EXCEEDED", r"(?:[Jj]ob|timeout|cancell?ed).{0,80}DEADLINE_EXCEEDED"),
        ),
        unless=r"(?i)retry|watchdog|nccl",
    ),
    Signature(
        "preempted",
        "run-preempted",
        "preempted",
        Role.ROOT,
        "the scheduler preempted the job",
        (
            Record("DUE TO PREEMPTION"),
            Record("DUE TO JOB REQUEUE"),
            Record("DUE to SIGNAL Terminated", r"DUE to SIGNAL Terminated.{0,400}(?:PREEMPT|preempt)"),
            Record("TERM_PREEMPT"),
            Record("PREEMPTED", r"\bPREEMPTED\b"),
            Record(
                "Preempted",
                r"\bPreempted (?:by|in order to|to make room)|Reason:\s*Preempt(?:ed|ing|ion)|PreemptionByScheduler",
            ),
            Record("PreemptionByScheduler"),
            Record("Spot ", r"Spot (?i:(?:training job|instance|VM) )interrupt(?:ed|ion)"),
            Record("pot interruption", r"(?i:\bspot interruption (?:notice|warning|signal))"),
            Record("EventType", r"EventType\W+(?:Preempt|Terminate)\b"),
            Record("Instance was preempted"),
            Record("Received preemption notice", r"[Pp]reemption notice"),
            Record("Preemption notice", r"Preemption notice (?:received|was received)"),
        ),
        unless=(
            r"(?i)\b(?:if|when|once|on|until|would|will|can|may|could|not) (?:\w+ ){0,3}(?:be )?preempt"
            r"|preempted[:=]? ?(?:0|false|no)\b"
        ),
    ),
    Signature(
        "evicted",
        "run-evicted",
        "evicted",
        Role.ROOT,
        "the pod was evicted from its node",
        (
            Record("The node was low on resource"),
            Record("The node had condition", r"The node had condition: \["),
            Record(
                "Evicted",
                r"Reason:\s*Evicted|\bEvicted\b.{0,40}(?:kubelet|pod|Pod|limit)"
                r"|status(?:\.reason)?[\"': =]+Evicted|Warning +Evicted",
            ),
            Record("Pod ephemeral local storage usage exceeds"),
            Record("Container ", r"Container \S+ exceeded its local ephemeral storage limit"),
            Record("TaintManagerEviction"),
            Record("Job was evicted"),
            Record("EvictionByEvictionAPI"),
            Record("Usage of EmptyDir volume", r"Usage of EmptyDir volume .{0,400} exceeds the limit"),
        ),
    ),
    Signature(
        "node-failure",
        "run-node-lost",
        "node-lost",
        Role.ROOT,
        "the node that ran the job was lost",
        (
            Record("DUE TO NODE FAILURE"),
            Record("NODE_FAIL", r"\bNODE_FAIL\b"),
            Record("Node failure on "),
            Record("Job step aborted: node failure"),
            Record("NodeLost"),
            Record("NodeNotReady", r"(?:Warning|Normal|Reason).{0,40}NodeNotReady"),
            Record("Node is not ready"),
            Record("unexpectedly rebooted", r"[Nn]ode \S+ unexpectedly rebooted"),
            Record("The node was lost"),
            Record("The actor died because its node has died"),
            Record("NodeDiedError"),
            Record("Communication connection failure", r"srun: error: .{0,400}Communication connection failure"),
            Record("ORTE has lost communication with a remote daemon"),
            Record("PRTE has lost communication with a remote daemon"),
        ),
        unless=r"(?i)\b(?:resized|rejoined|replaced|retry|recovered|continu)",
    ),
    Signature(
        "step-cancelled",
        "run-cancelled",
        "stopped-by-user",
        Role.OUTCOME,
        "the job step was cancelled",
        (Record("CANCELLED AT ", r"STEP \S+ ON \S+ CANCELLED AT \S+ \*\*\*"),),
    ),
    Signature(
        "cancelled",
        "run-cancelled",
        "stopped-by-user",
        Role.ROOT,
        "the job was cancelled",
        (
            Record("CANCELLED AT ", r"CANCELLED AT \S+ \*\*\*"),
            Record("CANCELLED by ", r"\bCANCELLED by \d+"),
            Record("TERM_OWNER"),
            Record("TERM_ADMIN"),
            Record("JOB WAS CANCELLED BY USER"),
        ),
        unless=r"\*\*\* STEP ",
    ),
    Signature(
        "interrupted",
        "crash-exception",
        "stopped-by-user",
        Role.ROOT,
        "the run was interrupted by its user",
        (
            Record("Detected KeyboardInterrupt", r"Detected KeyboardInterrupt, attempting graceful shutdown"),
            Record("KeyboardInterrupt received"),
            Words("Aborted!", r"Aborted!\s*$"),
            Record("Keyboard interrupt received", r"[Kk]eyboard interrupt received"),
            Record(
                "Interrupted by user", r"(?:Training|Run|Process|run|training).{0,40}[Ii]nterrupted by (?:the )?user"
            ),
        ),
    ),
    Signature(
        "tracker-failed",
        "crash-exception",
        "crashed",
        Role.OUTCOME,
        "the tracker has the run on record as failed",
        (
            Words("MLflow status: failed"),
            Words("SwanLab status: crashed"),
        ),
    ),
    Signature(
        "tracker-killed",
        "crash-killed",
        "killed",
        Role.OUTCOME,
        "the tracker has the run on record as killed",
        (Words("MLflow status: killed"), Words("SwanLab status: aborted")),
    ),
    Signature(
        "dependency-failed",
        "crash-launcher",
        "crashed",
        Role.ROOT,
        "the job that this one depends on failed",
        (
            Record("DependencyNeverSatisfied"),
            Record("DUE TO JOB DEPENDENCY"),
            Record("Job dependency can't be satisfied"),
        ),
    ),
)
