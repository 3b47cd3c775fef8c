"""What the operating system refused: room on the disk, descriptors, rights, shared memory.

Sources: `errno.h` texts as C, Python and Rust print them; torch 2.13 `caffe2/serialize/inline_container.cc`,
`torch/multiprocessing/reductions.py`, `c10/util` shared memory; DataLoader `signal_handling.py`.
"""

from forensics.signatures.signature import Record, Role, Signature, Words

SIGNATURES = (
    Signature(
        "shared-memory-full",
        "crash-exception",
        "crashed",
        Role.ROOT,
        "shared memory (/dev/shm) was full",
        (
            Words("It is possible that dataloader's workers are out of shared memory"),
            Words("unable to write to file </torch_"),
            Words("unable to mmap ", r"unable to mmap \d+ bytes from file </torch_"),
            Words("Please try to raise your shared memory limit"),
            Words(
                "unable to open shared memory object ",
                r"unable to open shared memory object .{1,200} in read-write mode",
            ),
            Words(
                "No space left on device",
                r"/dev/shm.{0,200}No space left|No space left on device.{0,80}(?:/dev/shm|shared memory)"  # noqa: S108  (the words of a message)
                r"|torch_\d+_.{0,60}No space left",
            ),
            Words("Error while creating shared memory segment", r"/dev/shm|shared memory"),  # noqa: S108  (the words of a message)
            Words("DataLoader worker (pid", r"is killed by signal: Bus error"),
        ),
    ),
    Signature(
        "disk-full",
        "crash-disk",
        "crashed",
        Role.ROOT,
        "the disk was full",
        (
            Words("No space left on device"),
            Words("Disk quota exceeded"),
            Words("File too large", r"Errno 27\]|os error 27"),
            Words("File size limit exceeded"),
            Words("iostream error", r"basic_ios::clear: iostream error"),
            Words("PytorchStreamWriter failed"),
            Words("unexpected pos ", r"enforce fail at inline_container.{0,400}unexpected pos \d+ vs"),
            Words("[enforce fail at inline_container", r"unexpected pos \d+ vs"),
            Words("No usable temporary directory found"),
            Words("StorageFull"),
            Words("There is not enough space on the disk"),
            Words("Not enough free disk space"),
            Words("Not enough disk space"),
            Record(
                "No space left on device",
                r"^(?:cp|mv|tar|rsync|dd|tee|cat|mkdir|touch|gzip|zip|scp|aws|gsutil)(?:: .{1,300})?: No space left",
            ),
        ),
        unless=r"/dev/shm|</torch_|java\.|WARN(?:ING)?\b.{0,400}[Nn]ot enough free disk",  # noqa: S108  (the words of a message)
    ),
    Signature(
        "too-many-open-files",
        "crash-exception",
        "crashed",
        Role.ROOT,
        "the process may open no more files",
        (
            Words("Too many open files"),
            Words("received 0 items of ancdata"),
            Words("EMFILE"),
        ),
        unless=r"java\.",
    ),
    Signature(
        "too-many-processes",
        "crash-exception",
        "crashed",
        Role.ROOT,
        "the process may start no more threads or processes",
        (
            Words("can't start new thread"),
            Words("pthread_create failed", r"Resource temporarily unavailable"),
            Words("OpenBLAS blas_thread_init: pthread_create failed"),
            Words("libgomp: Thread creation failed"),
            Words("OMP: System error #11"),
            Words(
                "Resource temporarily unavailable", r"(?:fork|clone|Errno 11\]|os error 11).{0,80}Resource temporarily"
            ),
        ),
    ),
    Signature(
        "file-system-fault",
        "crash-disk",
        "crashed",
        Role.ROOT,
        "the file system failed",
        (
            Words("Stale file handle"),
            Words("StaleNetworkFileHandle"),
            Words("Read-only file system"),
            Words("Input/output error", r"(?:Errno 5\]|os error 5|: )\s*Input/output error"),
            Words("Transport endpoint is not connected"),
            Words("Remote I/O error"),
            Words("Cannot send after transport endpoint shutdown"),
            Words("Structure needs cleaning"),
        ),
    ),
    Signature(
        "permission-denied",
        "crash-exception",
        "crashed",
        Role.ROOT,
        "the process was not allowed to read or write a file",
        (
            Words("PermissionError: "),
            Words(
                "Permission denied",
                r"Errno 13\]|os error 13|(?:bash|sh|python\d?|line \d+): .{0,400}Permission denied"
                r"|: Permission denied\s*$",
            ),
        ),
        unless=r"ssh|publickey|sudo|java\.",
    ),
)
