"""Memory that ran out: of the accelerator, of the host, of the group that a job was confined to.

Sources: torch `c10/cuda/CUDACachingAllocator.cpp`, `c10/core/CPUAllocator.cpp`, `AcceleratorError` (>= 2.8),
torch_npu, MPS and XPU allocators; XLA `status` texts; TensorFlow `bfc_allocator.cc`; numpy `_ArrayMemoryError`; Linux
`mm/oom_kill.c`; slurmstepd; Kubernetes container states; Ray `memory_monitor`.
"""

from forensics.signatures.signature import Record, Role, Signature, Words

SIGNATURES = (
    Signature(
        "oom-kill-record",
        "crash-killed",
        "killed",
        Role.ROOT,
        "memory ran out, of the host or at a limit, and a process was killed",
        (
            Record("kill", r"oom-kill:|oom_kill(?: event|er)?\b|oom-kill event|invoked oom-killer"),
            Record("Out of memory: Kill"),
            Record("Out of Memory: Kill", r"Out of Memory: Killed process \d+ \((?:python|pt_main|torchrun|ray)"),
            Record("Memory cgroup out of memory"),
            Record("Out Of Memory", r"(?:srun|slurmstepd): error: .{0,400}Out Of Memory"),
            Record("OUT_OF_MEMORY", r"\bOUT_OF_MEMORY\b(?!.{0,400}CUDA)"),
            Record("OOMKilled", r"\bOOMKilled\b(?![\"']?\s*[:=]\s*(?:false|False))"),
            Record("TERM_MEMLIMIT"),
            Record("qmaster enforced h_", r"qmaster enforced .{0,40}h_vmem"),
            Record("earlyoom", r"earlyoom.{0,20}: sending SIG\w+ to process"),
            Record("Your notebook tried to allocate more memory than is available"),
            Record("Job has gone over ", r"Job has gone over .{0,20}memory limit"),
            Record("Docker job has gone over memory limit"),
            Record("Container killed due to memory usage"),
            Record("Container killed by YARN for exceeding"),
            Record("memorystatus: killing", r"memorystatus: killing.{0,80}\b(?:python|pt_main)"),
            Record("Task was killed due to the node running low on memory"),
            Record("pressure (OOM", r"Workers \(tasks / actors\) killed due to memory pressure"),
            Record("Exceeded job memory limit"),
            Record("Exceeded step memory limit"),
            Record("PBS: job killed: mem", r"PBS: job killed: (?:v?mem|pmem) .{0,400}exceeded"),
            Record("Killed /", r"systemd-oomd\[\d+\]: Killed /"),
            Record("A process of this unit has been killed by the OOM killer"),
            Record("Failed with result '", r"Failed with result 'oom-kill'"),
            Record("Your session crashed after using all available RAM"),
            Record("ran out-of-memory and ", r"ran out-of-memory and (?:exited|was (?:killed|terminated))"),
            Record("ran out of memory and ", r"ran out of memory and (?:exited|was (?:killed|terminated|restarted))"),
            Record("Memory limit exceeded", r"(?:job|container|pod|cgroup).{0,80}Memory limit exceeded"),
        ),
        unless=(
            r"CUDA|HIP out of memory|java"
            r"|(?i:\b(?:killed 0|not killed|0 (?:workers|processes)[^,.]{0,60}memory))"
        ),
    ),
    Signature(
        "out-of-memory",
        "crash-oom",
        "crashed",
        Role.ROOT,
        "accelerator memory ran out",
        (
            Words("CUDA out of memory"),
            Words("HIP out of memory"),
            Words("NPU out of memory"),
            Words("XPU out of memory"),
            Words("MPS backend out of memory"),
            Words("OutOfMemoryError:"),
            Words("CUDA error: ", r"CUDA error: out of memory"),
            Words("HIP error: ", r"HIP error: out of memory"),
            Words("CUDA_ERROR_OUT_OF_MEMORY"),
            Words("CUBLAS_STATUS_ALLOC_FAILED"),
            Words("CUDNN_STATUS_ALLOC_FAILED"),
            Words("CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
            Words("ResourceExhaustedError", r"ResourceExhaustedError:.{0,400}\bOOM\b"),
            Words(
                "RESOURCE_EXHAUSTED: ",
                r"RESOURCE_EXHAUSTED: .{0,99}(?:[Oo]ut of memory|ran out of memory|allocat|to reserve )",
            ),
            Words("Ran out of memory in memory space"),
            Words("No available memory for the cache blocks"),
            Words("Failed to allocate ", r"Failed to allocate .{0,400}(?:CUDA|GPU|device)"),
            Words("Triton Error [", r"Triton Error \[\w+\]: out of memory"),
            Words("Error out of memory at line ", r"at line \d+ in file "),
            Words("Dst tensor is not initialized"),
            Words("OUT_OF_DEVICE_MEMORY"),
            Words("CUDA error ", r"CUDA error \d{1,4}\b.{0,120}\bout of memory"),
            Words("[metal::malloc] ", r"Attempting to allocate \d+ bytes which is greater"),
            Words("Failed to CUDA ", r"Failed to CUDA (?:calloc|malloc)"),
            Words("cudaErrorMemoryAllocation"),
            Record("Local rendezvous is aborting", r"with status: RESOURCE_EXHAUSTED: (?:OOM|failed to allocate)"),
            Words("ggml_", r"ggml_\w{1,60}: .{0,120}cudaMalloc failed: out of memory"),
        ),
        unless=r"node running low on memory|Container killed|java\.lang|host memory|cudaErrorHostMemory|CPU memory"
        r"|Errno|bad_alloc(?!.{0,200}(?:CUDA|cuda|HIP|hip)Error)(?!.{0,200}CUDA error)",
    ),
    Signature(
        "host-memory",
        "crash-memory",
        "crashed",
        Role.ROOT,
        "the memory of the host ran out",
        (
            Words(
                "MemoryError",
                r"(?:^|[\s:\]])(?:numpy\.(?:_?core\.)?_exceptions\.)?_?(?:Array|Arrow)?MemoryError\b(?=:|\s*$)"
                r"|pyarrow\.lib\.ArrowMemoryError",
            ),
            Words("Unable to allocate ", r"Unable to allocate [\d.]+ .iB for an array"),
            Words("DefaultCPUAllocator: ", r"can't allocate memory|not enough memory"),
            Words("Cannot allocate memory", r"(?:Errno 12\]|fork|mmap|: )\s*Cannot allocate memory"),
            Words("std::bad_alloc"),
            Words("Tried to allocate ", r"Buy new RAM!"),
            Words("WinError 1455]"),
            Words("Couldn't open shared file mapping", r"error code: <1455>"),
            Words("OpenBLAS : Program is Terminated"),
            Words(
                "java.lang.OutOfMemoryError: ",
                r"java\.lang\.OutOfMemoryError: (?:Java heap|GC overhead|unable to create)",
            ),
            Words("memory allocation of ", r"memory allocation of \d+ bytes failed"),
            Words("Please use an instance type with more memory"),
            Words("[LightGBM] [Fatal] bad allocation"),
        ),
        unless=r"CUDA|HIP out|(?<!java\.lang\.)OutOfMemoryError|cudaError",
    ),
)
