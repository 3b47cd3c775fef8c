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
            Words("*** stack smashing detected"),
            Words("*** buffer overflow detected"),
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
        ),
    ),
)
