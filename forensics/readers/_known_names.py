"""What people and tools call packages and hardware, and the names under which they are kept (PEP 503)."""

from collections.abc import Mapping
from types import MappingProxyType

_SAME = (
    "accelerate adam-mini apex auto-gptq autoawq axolotl bitsandbytes colossalai cupy datasets deepspeed "
    "diffusers einops evaluate fairscale fairseq flash-attn flash-linear-attention flashinfer-python flax "
    "gptqmodel habana-torch-plugin huggingface-hub hydra-core intel-extension-for-pytorch jax jaxlib "
    "keras lightning liger-kernel llamafactory llmcompressor lm-eval mamba-ssm megatron-core mindspore "
    "mmcv mmengine modelscope ms-swift nemo-toolkit neptune neuronx-distributed numpy nvidia-nccl-cu11 "
    "nvidia-nccl-cu12 openrlhf optax optimum paddlepaddle pandas peft protobuf pyarrow pydantic python "
    "pytorch-lightning ray safetensors scipy sentence-transformers sentencepiece sglang swanlab "
    "tensorboard tensorboardx tensordict tensorflow timm tokenizers torch torch-npu torch-xla torchao "
    "torchaudio torchdata torchtitan torchtune torchvision transformer-engine transformers triton trl "
    "trackio unsloth unsloth-zoo verl vllm wandb xformers xtuner "
)
_OTHER = {
    "pytorch": "torch",
    "deepseed": "deepspeed",
    "flash-attention": "flash-attn",
    "flash-attention-2": "flash-attn",
    "flashattention": "flash-attn",
    "flash attention": "flash-attn",
    "fa2": "flash-attn",
    "bnb": "bitsandbytes",
    "hf hub": "huggingface-hub",
    "hf-hub": "huggingface-hub",
    "huggingface_hub": "huggingface-hub",
    "huggingface-transformers": "transformers",
    "llama-factory": "llamafactory",
    "llama factory": "llamafactory",
    "pytorch_lightning": "pytorch-lightning",
    "unsloth_zoo": "unsloth-zoo",
    "torch_npu": "torch-npu",
    "transformer_engine": "transformer-engine",
    "megatron_core": "megatron-core",
    "swift": "ms-swift",
    "ms_swift": "ms-swift",
    "flash_attn": "flash-attn",
    "liger_kernel": "liger-kernel",
    "tensorflow-gpu": "tensorflow",
    "python-version": "python",
}
PACKAGES: Mapping[str, str] = MappingProxyType({**{name: name for name in _SAME.split()}, **_OTHER})
"""Lower-case name as written to the canonical name of the package."""
HARDWARE: Mapping[str, str] = MappingProxyType(
    {
        "platform": "platform",
        "python platform": "platform",
        "os": "os",
        "operating system": "os",
        "gpu": "gpu",
        "gpus": "gpu",
        "gpu type": "gpu",
        "gpu model": "gpu",
        "gpu name": "gpu",
        "gpu(s)": "gpu",
        "npu type": "gpu",
        "npu": "gpu",
        "xpu type": "gpu",
        "hpu type": "gpu",
        "accelerator(s)": "gpu",
        "accelerators": "gpu",
        "cuda device(s)": "gpu",
        "gpu number": "gpu_count",
        "gpu count": "gpu_count",
        "gpus number": "gpu_count",
        "number of gpus": "gpu_count",
        "num gpus": "gpu_count",
        "npu number": "gpu_count",
        "cuda": "cuda",
        "cuda version": "cuda",
        "cuda-version": "cuda",
        "torch cuda version": "cuda",
        "cuda toolkit": "cuda",
        "cuda used to build pytorch": "cuda",
        "nvcc": "nvcc",
        "nvcc version": "nvcc",
        "driver version": "driver",
        "nvidia driver version": "driver",
        "nvidia driver": "driver",
        "cudnn": "cudnn",
        "cudnn version": "cudnn",
        "nccl": "nccl",
        "nccl version": "nccl",
        "rocm": "rocm",
        "rocm version": "rocm",
        "hip version": "rocm",
        "torch hip version": "rocm",
        "cann": "cann",
        "cann version": "cann",
    }
)
"""Lower-case name as written to the name of the hardware fact; a board is the "gpu" whoever makes it."""
