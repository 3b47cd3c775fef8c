"""Native deaths: what the C library, the C++ runtime, the interpreter and shells write when a process dies of itself.

Sources: glibc 2.39 `malloc/malloc.c`, `debug/stack_chk_fail.c`; libstdc++ `vterminate.cc`; CPython 3.12
`Python/pylifecycle.c` (fatal_error), `Modules/faulthandler.c`; bash 5.2 `jobs.c`; Linux `arch/x86/mm/fault.c`.
"""

from forensics.signatures.signature import Record, Role, Signature, Words

SIGNATURES = (
    Signature(
        "native-crash",
        "crash-signal",
        "crashed",
        Role.ROOT,
        "native code broke the process",
        (
            Words("(): inv", r"(?:free|realloc|munmap_chunk|malloc)\(\): invalid (?:pointer|size|next size|old size)"),
            Words(
                "(): ", r"(?:malloc|free|realloc)\(\): (?:corrupted|unsorted|unaligned|mismatching|memory corruption)"
            ),
            Words("ption (", r"double free or corruption \("),
            Words("prev_size", r"corrupted size vs\. prev_size"),
            Words("-linked list", r"corrupted double-linked list"),
            Words("Assertion `", r"(?<=: )Assertion `.{1,300}' failed\.?$"),
            Words("failed assertion `"),
            Words("The futex facility returned an unexpected error code"),
            Words("*** stack smashing detected"),
            Words("*** buffer overflow detected"),
            Words("AddressSanitizer: ", r"ERROR: AddressSanitizer: (?!failed|out of memory)[\w-]+"),
            Words(
                "Fatal Python error: ",
                r"Fatal Python error: (?!(?:Segmentation fault|Aborted|Bus error|Illegal "
                r"instruction|Floating point exception|Floating-point exception|init_|Py_Initialize"
                r"|initfsencoding|config_))",
            ),
            Words("Windows fatal exception: ", r"Windows fatal exception: (?:access violation|stack overflow|code 0x)"),
            Record(
                "kernel: ", r"(?:python|pt_main|torchrun|ray::)[\w.:/-]{0,100}\[\d{1,12}\]: segfault at [0-9a-f]+ ip "
            ),
            Words("# A fatal error has been detected by the Java Runtime Environment"),
            Record("segfault at ", r"^segfault at [0-9a-f]+ ip [0-9a-f]+ "),
            Record("pt_main_thread[", r"segfault at [0-9a-f]+ ip "),
        ),
    ),
    Signature(
        "fatal-line",
        "crash-signal",
        "crashed",
        Role.ABORT,
        "native code ended the process after a check that failed",
        (Words("*** Check failure stack trace: ***"),),
    ),
    Signature(
        "actor-died",
        "crash-exception",
        "crashed",
        Role.OUTCOME,
        "a process of the program came to an end that nobody expected",
        (
            Record("A worker died or was killed while executing a task by an unexpected system error"),
            Record("Child process with PID ", r"Child process with PID \d+ terminated with code [1-9]"),
            Record("BackoffLimitExceeded"),
            Record("Job has reached the specified backoff limit"),
            Record("Back-off restarting failed container"),
            Record("TERM_ZOMBIE"),
            Record("DUE TO TASK FAILURE"),
            Record("Shadow exception!"),
            Record("is failed because ", r"is failed because \d+ \w+ replica\(s\) failed"),
            Record("Training job failed", r"Failed - Training job failed"),
            Record("FAILED_SETUP"),
            Record("Exiting because a job execution failed"),
            Record("Catastrophic failure", r"^Catastrophic failure"),
            Record("Wsl/Service/E_UNEXPECTED"),
            Words("KilledWorker"),
            Record("conda.cli.main_run:execute", r"failed\. \(See above for error\)"),
            Words("BrokenProcessPool: "),
            Record("The spark driver has stopped unexpectedly"),
        ),
    ),
    Signature(
        "error-line",
        "run-cut-off",
        "",
        Role.SIGN,
        "its last words are an error",
        (),
    ),
    Signature(
        "notebook-kernel-died",
        "crash-killed",
        "killed",
        Role.OUTCOME,
        "the kernel of the notebook died",
        (
            Record("The Kernel crashed while executing code"),
            Words("DeadKernelError", r"DeadKernelError: Kernel died"),
            Record("The kernel appears to have died"),
            Record("Your session crashed for an unknown reason"),
            Record("Canceled future for execute_request message before replies were done"),
        ),
    ),
    Signature(
        "terminate-called",
        "crash-signal",
        "crashed",
        Role.ABORT,
        "the C++ runtime ended the process",
        (
            Words(
                "terminate called",
                r"terminate called (?:after throwing an instance of|without an active exception|recursively)",
            ),
            Words("panicked at ", r"thread '.{1,80}' (?:\(\d+\) )?panicked at "),
        ),
    ),
)
