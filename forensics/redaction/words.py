"""Words that decide what is masked: names too common, owners too well known, settings that name places."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


COMMON = _words("""
    accelerate adam adamw admin app auto base bf16 bias centos checkpoint checkpoints command conda
    config cpu cuda data debian debug deepspeed default ec2-user embed epoch error etc eval false
    file fp16 fp32 from gloo gpu guest hardware home host hosts id info jovyan layers line llama
    lm_head local localhost localhost.localdomain log logs lora loss main master mistral mnt model
    models name nccl nobody node nodes none null opt optimizer output outputs package path peft
    project projects python qwen rank rank0 rank1 results root run runner runs scratch setting
    settings shared slurm step tensor test that this tmp torch train transformers trl true type
    ubuntu user user1 users usr value var variable venv venvs wandb warning weight weights with work
    worker workspace
""")
"""Names too common to be told from ordinary words; paths that hold them are masked all the same."""

PUBLIC_OWNERS = _words("""
    01-ai advantagese2 allenai apple axolotl-ai-cloud baichuan-inc bigcode bigscience
    bitsandbytes-foundation bytedance cohere dao-ailab databricks databricks-mosaicml deepseek-ai
    deepspeedai distilbert eleutherai facebook facebookai facebookresearch google google-bert
    google-research hiyouga huggingface huggingfacefw huggingfaceh4 huggingfacetb ibm-granite
    internlm lightning-ai linkedin lmsys meta-llama microsoft mistralai modelscope mosaicml nvidia
    openai openai-community pytorch qwen rocm stabilityai stanford-crfm tatsu-lab teknium thudm
    tiiuae tinyllama triton-lang trl-lib unslothai upstage vllm-project volcengine xai-org zai-org
""")
"""Owners of public models and projects: what they publish identifies nobody and helps a maintainer."""

PUBLIC_HOSTS = _words("""
    arxiv.org deepspeed.ai developer.nvidia.com discuss.huggingface.co discuss.pytorch.org
    docs.nvidia.com docs.python.org docs.pytorch.org docs.wandb.ai download.pytorch.org
    errors.pydantic.dev lightning.ai numpy.org pypi.org pytorch.org readthedocs.io stackoverflow.com
    www.deepspeed.ai
""")

PLACES = _words("""
    _name_or_path account adapter_name_or_path args base_model base_model_name_or_path cache_dir
    codepath comment cwd data_dir data_files data_path dataset dataset_config dataset_config_name
    dataset_dir dataset_name dataset_path datasets deepspeed entity eval_data_path eval_file
    experiment_name git hub_model_id job_name logging_dir model_id model_name_or_path model_path
    name_or_path output_dir pretrained_model_name_or_path program project project_name
    push_to_hub_model_id push_to_hub_organization ref_model_name_or_path remote
    resume_from_checkpoint reward_model run_name save_dir tensorboard_dir test_file tokenizer_name
    tokenizer_name_or_path train_data train_file train_files validation_file wandb_entity
    wandb_project wandb_run_name working_dir
""")
"""Settings whose value names a model, a dataset, a project or a folder of somebody."""
