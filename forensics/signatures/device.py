"""What a device reports: assertions of kernels, bad accesses, hardware that failed, kernels made for another board.

Sources: CUDA runtime `cudaGetErrorString` texts (12.x), cuDNN and cuBLAS status names, ROCm `hip_runtime_api.h`, the
kernels of torch 2.13 (`ATen/native/cuda/Indexing.cu`, `ScatterGatherKernel.cu`, `Loss.cu`, `NLLLoss2d.cu`), Triton
`runtime/errors.py`, torch_npu `ERR00100`, the NVIDIA driver's Xid lines (docs.nvidia.com/deploy/xid-errors).
"""

from forensics.signatures.signature import Record, Role, Signature, Words

SIGNATURES = (
    Signature(
        "gpu-hardware",
        "crash-device",
        "crashed",
        Role.ROOT,
        "the GPU or its link failed",
        (
            Words("uncorrectable ", r"uncorrectable (?:ECC|NVLink) error"),
            Words(
                "CUDA error: ",
                r"CUDA error: (?:uncorrectable (?:ECC|NVLink) error|device not ready.{0,400}bus|hardware stack error)",
            ),
            Record("GPU has fallen off the bus"),
            Record("NVRM: fallen off the bus"),
            Record("GPU is lost", r"GPU is lost\b"),
            Words("Unable to determine the device handle for GPU"),
            Words("Unable to determine the device handle for gpu"),
            Record(
                "NVRM: Xid",
                r"NVRM: Xid \((?:PCI:)?[0-9A-Fa-f:.]+\): (?:48|62|64|74|79|92|94|95|109|110|119|120|121|136|140|143"
                r"|14[4-9]|150)\b",
            ),
            Words("CUDA_ERROR_ECC_UNCORRECTABLE"),
            Words("cudaErrorECCUncorrectable"),
            Words("HW Exception by GPU node"),
        ),
    ),
    Signature(
        "xid",
        "crash-device",
        "",
        Role.SIGN,
        "the driver reported an error of the GPU",
        (Record("NVRM: Xid", r"NVRM: Xid \((?:PCI:)?[0-9A-Fa-f:.]+\): (\d+)"),),
    ),
    Signature(
        "gpu-health",
        "crash-device",
        "",
        Role.SIGN,
        "a board reported that it is not well",
        (Words("GPU health: "),),
    ),
    Signature(
        "device-assert",
        "crash-device",
        "crashed",
        Role.ROOT,
        "an assertion failed in a kernel of the device",
        (
            Record("Assertion `", r"(?:\.cuh?|\.hip|\.cpp):\d+: .{0,300}(?:block|thread): \[.{0,200}Assertion `"),
            Words("CUDA error: ", r"CUDA error: device-side assert triggered"),
            Words("HIP error: ", r"HIP error: device-side assert triggered"),
            Words("CUDA_ERROR_ASSERT"),
            Words("cudaErrorAssert"),
        ),
    ),
    Signature(
        "illegal-memory-access",
        "crash-device",
        "crashed",
        Role.ROOT,
        "a kernel of the device read or wrote where it must not",
        (
            Words(
                "CUDA error: ",
                r"CUDA error: (?:an illegal memory access was encountered|misaligned address|unspecified launch failure"
                r"|an illegal instruction was encountered|invalid program counter|operation not supported on global)",
            ),
            Words(
                "HIP error: ", r"HIP error: (?:an illegal memory access|unspecified launch failure|misaligned address)"
            ),
            Words("Memory access fault by GPU"),
            Words("CUDA_ERROR_ILLEGAL_ADDRESS"),
            Words("CUDA_ERROR_LAUNCH_FAILED"),
            Words("cudaErrorIllegalAddress"),
            Words("Cuda failure ", r"Cuda failure (?:\d+ )?'?(?:an illegal memory access|unspecified launch failure)"),
            Words("XPU error: ", r"device lost|illegal"),
            Words(
                "Triton Error [",
                r"Triton Error \[\w+\]: (?:an illegal memory access|misaligned address|unspecified launch failure)",
            ),
        ),
    ),
    Signature(
        "kernel-for-another-architecture",
        "crash-device",
        "crashed",
        Role.ROOT,
        "the kernels were built for another kind of board",
        (
            Words(
                "CUDA error: ",
                r"CUDA error: (?:no kernel image is available|invalid device function|device kernel image is invalid"
                r"|the provided PTX was compiled)",
            ),
            Words(
                "HIP error: ",
                r"HIP error: (?:invalid device function|no kernel image|shared object initialization failed)",
            ),
            Words("CUDA_ERROR_NO_BINARY_FOR_GPU"),
            Words("ptxas fatal", r"ptxas fatal\s{1,8}: Value 'sm_\w{1,8}' is not defined"),
            Words("cudaErrorNoKernelImageForDevice"),
            Record("CUDA capability sm_", r"with CUDA capability sm_\w{1,8} is not compatible"),
            Words("FATAL: kernel ", r"FATAL: kernel `?.{0,200} is for sm"),
            Words("PTX was compiled with an unsupported toolchain"),
            Words("Value 'sm_", r"Value 'sm_\w+' is not defined for option 'gpu-name'"),
            Words("FlashAttention only supports ", r"FlashAttention only supports .{0,40}GPUs or newer"),
        ),
    ),
    Signature(
        "triton-resources",
        "crash-device",
        "crashed",
        Role.ROOT,
        "a kernel needs more shared memory or registers than the board has",
        (
            Words("OutOfResources", r"OutOfResources: out of resource"),
            Words("CUDA error: ", r"CUDA error: too many resources requested for launch"),
        ),
    ),
    Signature(
        "cuda-error",
        "crash-device",
        "crashed",
        Role.ROOT,
        "the device reported an error",
        (
            Words("CUDA error: "),
            Words("HIP error: "),
            Words("NN error: ", r"cuDNN error: "),
            Words("CUBLAS_STATUS_", r"CUBLAS_STATUS_(?!SUCCESS|ALLOC_FAILED)"),
            Words("CUDNN_STATUS_", r"CUDNN_STATUS_(?!SUCCESS|ALLOC_FAILED)"),
            Words("CUSPARSE_STATUS_", r"CUSPARSE_STATUS_(?!SUCCESS)"),
            Words("AcceleratorError: "),
            Words("EZ9999: "),
            Words("Intel GPU", r"UR_RESULT_ERROR|PI_ERROR"),
            Words("Triton Error [", r"Triton Error \[\w+\]: "),
            Record("HSA_STATUS_ERROR", r"HSA_STATUS_ERROR\w*"),
            Record("synStatus", r"synStatus ?=? ?[1-9]"),
            Record("kIOGPUCommandBufferCallbackError", r"CallbackError(?!OutOfMemory)\w+"),
            Words("Error ", r"^Error [a-z][\w ]{1,80} at line \d+ in file \S+\.cu"),
        ),
        unless=r"out of memory|ALLOC_FAILED|device-side assert|illegal memory access|misaligned address"
        r"|unspecified launch failure"
        r"|no kernel image|invalid device (?:function|ordinal)|uncorrectable|illegal instruction|too many resources"
        r"|PTX was compiled"
        r"|initialization error|driver version is insufficient|no CUDA-capable|kernel image is invalid",
    ),
    Signature(
        "device-call-failed",
        "crash-device",
        "crashed",
        Role.ABORT,
        "a call of the device's library failed",
        (Words("PTA call acl api failed"),),
    ),
)
