"""A start that failed: arguments, files, modules, drivers, the hub, compilers of kernels.

Sources: CPython 3.12 `Modules/main.c`, `argparse.py`; bash 5.2; glibc `dl-load.c`; torch 2.13 `torch/cuda/__init__.py`,
`torch/utils/cpp_extension.py`, `_inductor/cpp_builder.py`; triton 3.4 `runtime/build.py`;
huggingface_hub 0.36 `errors.py`; transformers 5.x `utils/hub.py`.
"""

from forensics.signatures.signature import Record, Role, Signature, Words

_SHELL = r"(?:bash|/bin/\w{1,40}|\bsh|zsh|\.sh|slurm_script|line \d{1,9}|exec|env|srun|nohup|timeout)"

_REFUSALS = (
    "ScannerError",
    "ParserError",
    "MissingConfigException",
    "ConfigCompositionException",
    "InterpolationKeyError",
    "DatasetNotFoundError",
)
"""What YAML, Hydra, OmegaConf and datasets raise of a configuration or a name that they cannot take."""

SIGNATURES = (
    Signature(
        "library-missing",
        "crash-launcher",
        "crashed",
        Role.ROOT,
        "a shared library was missing or too old",
        (
            Words("cannot open shared object file"),
            Words("GLIBCXX_", r"version `GLIBCXX_[\d.]+' not found"),
            Words("GLIBC_", r"version `GLIBC_[\d.]+' not found"),
            Words("undefined symbol: "),
            Words("symbol lookup error: "),
        ),
    ),
    Signature(
        "module-missing",
        "crash-launcher",
        "crashed",
        Role.ROOT,
        "a Python module was missing",
        (
            Words("No module named "),
            Words("Error while finding module specification for "),
            Words("ModuleNotFoundError: "),
            Words("ImportError: "),
        ),
        unless=(
            r"No module named '?(?:apex|flash_attn|triton|deepspeed|bitsandbytes|xformers|tensorflow|wandb)'?"
            r".{0,400}(?:skipping|disabled|ignor)"
        ),
    ),
    Signature(
        "driver-mismatch",
        "crash-launcher",
        "crashed",
        Role.ROOT,
        "torch, CUDA and the driver do not fit, or no device is there",
        (
            Words("CUDA driver version is insufficient"),
            Words("Found no NVIDIA driver on your system"),
            Words("The NVIDIA driver on your system is too old"),
            Words(
                "CUDA error: ",
                r"CUDA error: (?:initialization error|no CUDA-capable device is detected|system not yet initialized"
                r"|invalid device ordinal)",
            ),
            Words("Distributed package doesn't have "),
            Words("since the accelerator is not available"),
            Words("mixed precision requires a GPU"),
            Words("No CUDA GPUs are available"),
            Words("No HIP GPUs are available"),
            Words("Torch not compiled with CUDA enabled"),
            Words("The detected CUDA version", r"The detected CUDA version \([\d.]+\) mismatches"),
            Words("CUDA unknown error"),
            Words("CUDA_HOME environment variable is not set"),
            Words("Installed CUDA version ", r"Installed CUDA version \S+ does not match"),
            Words("Driver/library version mismatch"),
        ),
    ),
    Signature(
        "job-refused",
        "crash-launcher",
        "crashed",
        Role.ROOT,
        "the job, its container or its launcher was refused before the program began",
        (
            Record("Batch job submission failed"),
            Record("Unable to create step for job"),
            Record("Unable to allocate resources", r"(?:srun|salloc): error: Unable to allocate resources"),
            Record("Error response from daemon", r"OCI runtime|nvidia-container-cli|device driver|failed to create"),
            Record("FATAL:   ", r"FATAL: {3}(?:could not open image|container creation failed|while )"),
            Record("pyxis: ", r"pyxis: (?:failed to|container start failed|couldn't)"),
            Record("PMI2_Init failed"),
            Record("PMI_Init failed"),
            Record("It looks like ", r"It looks like (?:MPI|pmix|PMIx|orte|prte)\w*(?: runtime)?[ _]init failed"),
            Record("Unable to initialize backend '"),
            Words("OMP: Error #15"),
            Record("setup failed with return code"),
            Record("Application launch failed", r"srun: error: Application launch failed"),
            Record("Task launch for ", r"Task launch for \S+ failed on node"),
            Record("Failed to initialize NVML"),
        ),
    ),
    Signature(
        "arguments-refused",
        "crash-launcher",
        "crashed",
        Role.ROOT,
        "the program refused its arguments",
        (
            Words("error: unrecognized arguments"),
            Words("error: the following arguments are required"),
            Words("error: argument ", r"error: argument .{1,200}: (?:invalid|expected|ignored|not allowed)"),
            Words("Some specified arguments are not used by the HfArgumentParser"),
            Words("Error: No such option"),
            Words("Error: Missing ", r"Error: Missing (?:option|argument|parameter)"),
            Words("Error: Invalid value for"),
            Words("Error: Got unexpected extra argument"),
            Words("Could not override '", r"Could not override '|Key '.{0,400}' is not in struct"),
            *(Words(f"{name}: ", rf"(?:\w{{1,30}}\.){{0,6}}{name}: ") for name in _REFUSALS),
            Words(" registry", r"KeyError: .{1,120} is not in the \S{1,80} registry"),
            Words("already exists and is not empty", r"Error: .{0,300}already exists and is not empty"),
            Words("expected, but not set", r"environment variable \w+ expected, but not set"),
            Words("Default process group has not been initialized"),
            Words("MissingMandatoryValue"),
            Words("ConfigAttributeError"),
        ),
    ),
    Signature(
        "file-missing",
        "crash-launcher",
        "crashed",
        Role.ROOT,
        "a file or program was not found",
        (
            Words("can't open file ", r"can't open file .{1,400}(?:No such file|Errno)"),
            Words("FileNotFoundError"),
            Words("not found", r"(?:^|\s)(?:/bin/)?(?:ba|da|z)?sh: (?:line )?\d+: \S+: not found\s*$"),
            Words("mmand not found", rf"{_SHELL}.{{0,200}}command not found|command not found\s*$"),
            Words("No such file or directory", rf"{_SHELL}: .{{1,300}}No such file or directory"),
            Words("execve(): ", r"slurmstepd: error: execve\(\): "),
            Words("executable file not found"),
            Words("ErrImagePull"),
            Words("ImagePullBackOff"),
            Words("not a valid JSON file", r"OSError: .{0,400}is not a valid JSON file"),
        ),
    ),
    Signature(
        "hub-unreachable",
        "crash-launcher",
        "crashed",
        Role.ROOT,
        "a model or data set could not be fetched",
        (
            Words("We couldn't connect to '"),
            Words("LocalEntryNotFoundError"),
            Words("OfflineModeIsEnabled"),
            Words("GatedRepoError"),
            Words("RepositoryNotFoundError"),
            Words("Cannot access gated repo"),
            Words("access a gated repo", r"OSError: You are trying to access a gated repo"),
            Words("OSError: Can't load ", r"OSError: Can't load (?:the )?\w{1,20} (?:\w{1,20} )?for '"),
            Words("OSError: Error no file named "),
            Words("Couldn't reach '", r"ConnectionError: Couldn't reach '"),
            Words("HfHubHTTPError", r"HfHubHTTPError: 40[134] "),
            Words("Client Error", r"HTTPError: 40[134] Client Error.{0,200}(?:huggingface|hf-mirror|modelscope)"),
            Words("does not appear to have a file named"),
            Words("MaxRetryError", r"MaxRetryError\(?.{0,400}(?:huggingface|hf-mirror|modelscope)"),
            Words("is not a local folder and is not a valid model identifier"),
        ),
    ),
    Signature(
        "compiler-failed",
        "crash-launcher",
        "crashed",
        Role.ROOT,
        "a compiler of kernels was missing or failed",
        (
            Words(
                "CalledProcessError: Command '",
                r"CalledProcessError: Command '\[?'?(?:[^ ',]{0,300}[\\/])?(?:[\w.-]{0,40}-)?"
                r"(?:gcc|g\+\+|cc|c\+\+|clang(?:\+\+)?|nvcc|ptxas|tcc|cl|ninja|hipcc|which)(?:-\d+)?(?:\.exe)?\b",
            ),
            Words("CppCompileError: "),
            Words("InvalidCxxCompiler: "),
            Words("Failed to find C compiler"),
            Words("PTXASError: "),
            Words("ptxas fatal", r"ptxas fatal\s*:"),
            Words("Cannot find a working triton installation"),
            Words("Ninja is required to load C++ extensions"),
        ),
    ),
    Signature(
        "syntax-error",
        "crash-launcher",
        "crashed",
        Role.ROOT,
        "the program could not be parsed",
        (
            Words("SyntaxError: "),
            Words("IndentationError: "),
            Words("TabError: "),
            Words("syntax error near unexpected token"),
            Words("syntax error: unexpected end of file"),
        ),
    ),
)
