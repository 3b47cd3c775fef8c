"""Canonical metric names, the aliases that trainers use for them, and the kinds of events.

The canonical names are those of the Hugging Face Trainer and DeepSpeed. An alias that is not here keeps its own
name, so that nothing is lost; keys under `eval_` and `eval/` become `eval_NAME`.
"""

import re
from functools import lru_cache
from types import MappingProxyType

from forensics.deferred.patterns import expression

LOSS = "loss"
EVAL_LOSS = "eval_loss"
TRAIN_LOSS = "train_loss"
GRAD_NORM = "grad_norm"
LEARNING_RATE = "learning_rate"
EPOCH = "epoch"
LOSS_SCALE = "loss_scale"
SKIPPED_STEPS = "skipped_steps"
SAMPLES_PER_SECOND = "samples_per_second"

SECOND_OF_LORA = expression(r"lora_(?:embedding_)?[Bb](?![a-z])|lora[._]up(?![a-z])|lora_linear_out")
"""What adapters call the matrix that begins at zero: PEFT, litgpt and torchtune, kohya-ss and diffusers."""

RECORDED = MappingProxyType({name: f"recorded_{name}" for name in (LOSS, GRAD_NORM, LEARNING_RATE, LOSS_SCALE)})
"""What the black box of rank 0 measured: taken for the metric of the run where it has no other."""

ARGUMENTS = MappingProxyType(
    {
        "learning_rate": ("lr", "peak_lr", "max_lr", "initial_lr", "init_lr", "adam_lr", "optimizer.params.lr"),
        "warmup_steps": (
            "num_warmup_steps",
            "lr_warmup_steps",
            "lr_warmup_iters",  # Megatron-LM
            "warmup_iters",
            "warmup_updates",  # fairseq
            "scheduler.params.warmup_num_steps",  # DeepSpeed
        ),
        "max_steps": ("max_train_steps", "train_iters", "max_iters", "max_update", "total_steps", "num_training_steps"),
        "gradient_accumulation_steps": (
            "accumulate_grad_batches",  # Lightning
            "accumulation_steps",
            "grad_accum_steps",
            "gradient_accumulation",
            "grad_accumulation_steps",
            "accum_iter",
            "accum_grad",  # ESPnet, WeNet
            "accum_freq",  # OpenCLIP
        ),
        "per_device_train_batch_size": ("micro_batch_size", "train_micro_batch_size_per_gpu", "device_batch_size"),
        "max_grad_norm": (
            "clip_grad",
            "grad_clip",
            "gradient_clip_val",
            "gradient_clipping",
            "clip_norm",
            "clip_grad_norm",
        ),
        "lr_scheduler_type": ("lr_decay_style", "lr_scheduler", "lr_schedule"),
    }
)
"""What other trainers call an argument of the Trainer; asked for where the Trainer's own name is not on file."""

ALIASES = MappingProxyType(
    {
        "loss": LOSS,
        "train/loss": LOSS,
        "training_loss": LOSS,
        "Training Loss": LOSS,  # transformers, `NotebookProgressCallback`
        "Train Loss": LOSS,
        "Train loss": LOSS,
        "train_loss_step": LOSS,  # Lightning, `self.log("train_loss", on_step=True)`
        "lm loss": LOSS,  # Megatron-LM, `training_log`
        "lm_loss": LOSS,  # GPT-NeoX, nanotron
        "train/lm_loss": LOSS,  # GPT-NeoX
        "loss_metrics/global_avg_loss": LOSS,  # torchtitan
        "reduced_train_loss": LOSS,  # NeMo
        "reduced_llm_loss": LOSS,  # XTuner v1
        "gpt_loss": LOSS,  # OpenRLHF
        "train/gpt_loss": LOSS,  # OpenRLHF
        "Train/Samples/train_loss": LOSS,  # DeepSpeed monitor
        "total_loss": LOSS,
        "loss/policy_avg": LOSS,  # TRL PPOTrainer: the loss that moves the policy
        "eval_loss": EVAL_LOSS,
        "eval/loss": EVAL_LOSS,
        "val_loss": EVAL_LOSS,  # Lightning
        "val/loss": EVAL_LOSS,  # verl SFT
        "validation_loss": EVAL_LOSS,
        "Validation Loss": EVAL_LOSS,  # transformers, `NotebookProgressCallback`
        "Eval loss": EVAL_LOSS,
        "valid_loss": EVAL_LOSS,
        "test_loss": "test_loss",
        "lm loss validation": EVAL_LOSS,  # Megatron-LM
        "Train/Samples/eval_loss": EVAL_LOSS,  # DeepSpeed monitor
        "train_loss": TRAIN_LOSS,  # Trainer: the mean over the whole run, in the last entry
        "train/train_loss": TRAIN_LOSS,
        "grad_norm": GRAD_NORM,
        "train/grad_norm": GRAD_NORM,
        "train_grad_norm": GRAD_NORM,  # columns that say of each metric which data it is of
        "grad norm": GRAD_NORM,  # Megatron-LM
        "grad-norm": GRAD_NORM,  # Megatron-LM TensorBoard
        "gradient_norm": GRAD_NORM,
        "global_grad_norm": GRAD_NORM,
        "gnorm": GRAD_NORM,
        "actor/grad_norm": GRAD_NORM,  # verl
        "learning_rate": LEARNING_RATE,
        "train/learning_rate": LEARNING_RATE,
        "learning rate": LEARNING_RATE,  # Megatron-LM
        "learning-rate": LEARNING_RATE,  # Megatron-LM TensorBoard
        "lr": LEARNING_RATE,
        "train/lr": LEARNING_RATE,
        "train_lr": LEARNING_RATE,  # ViT, DeiT, MAE: `log.txt`
        "train_learning_rate": LEARNING_RATE,
        "actor/lr": LEARNING_RATE,  # verl
        "Train/Samples/lr": LEARNING_RATE,  # DeepSpeed monitor
        "epoch": EPOCH,
        "train/epoch": EPOCH,
        "loss_scale": LOSS_SCALE,
        "loss scale": LOSS_SCALE,  # Megatron-LM
        "loss-scale": LOSS_SCALE,  # Megatron-LM TensorBoard
        "train/loss_scale": LOSS_SCALE,
        "Train/Samples/loss_scale": LOSS_SCALE,  # DeepSpeed monitor
        "CurrSamplesPerSec": SAMPLES_PER_SECOND,  # DeepSpeed, `ThroughputTimer.stop`
        "RunningAvgSamplesPerSec": "running_samples_per_second",
        "skipped": SKIPPED_STEPS,  # DeepSpeed engine, `_report_progress`
        "train/train_runtime": "train_runtime",
        "train/total_flos": "total_flos",
    }
)


_SCALE = expression(
    r"(?:^|[/. _-])(?:(?:loss|grad(?:ient)?|amp|fp16)[ _-]?(?:loss[ _-]?|grad[ _-]?)?scal(?:e|er)(?:[ _-]value)?"
    r"|scaler/scale)$",
    re.IGNORECASE,
)
"""What loops call the loss scale of fp16: `grad_scale` (icefall), `amp_scale`, `loss_scaler`, `scaler/scale`."""
_SPACING = expression(r"[ _-]")
_HUMPS = expression(r"(?<=[a-z\d])(?=[A-Z])")
_SPELLED = {
    "gradnorm": GRAD_NORM,
    "gradientnorm": GRAD_NORM,
    "globalgradnorm": GRAD_NORM,
    "totalgradnorm": GRAD_NORM,
    "learningrate": LEARNING_RATE,
}
"""Names that loops of one's own spell in every way: GradNorm, grad-norm, Gradient Norm."""


def snake_case(name: str) -> str:
    """Return a name in small letters, its words joined by underscores.

    >>> snake_case("ValLoss"), snake_case("Train Loss"), snake_case("MSE")
    ('val_loss', 'train_loss', 'mse')
    """
    return _SPACING.sub("_", _HUMPS.sub("_", name)).lower()


def canonical(name: str) -> str:
    """Return the canonical name of a metric as a trainer wrote it.

    >>> canonical("train/loss"), canonical("eval/accuracy"), canonical("rewards/margins"), canonical("GradNorm")
    ('loss', 'eval_accuracy', 'rewards/margins', 'grad_norm')
    """
    if name.lower().endswith("losses"):
        name = name[:-2]  # lists of a history
    known = ALIASES.get(name) or _SPELLED.get(_SPACING.sub("", name).lower()) or ALIASES.get(snake_case(name))
    if known is None and "scale" in name.lower() and _SCALE.search(name):
        return LOSS_SCALE
    if known is not None:
        return LOSS if known == TRAIN_LOSS and "_" not in name else known  # `TrainLoss` is no mean over the run
    for prefix, kept in (("eval/", "eval_"), ("test/", "test_"), ("train/", "")):
        if name.startswith(prefix):
            return kept + name[len(prefix) :]
    return name


FOREIGN_LOSS = (
    "[损損]失(?:[值値]|函[数數])?|ロス|誤差|손실(?:값|률|함수)?|로스"
    "|(?:функция )?потер[иья]|лосс|ошибка обучения|втрат[аи]|[^\\W\\d_]{0,20}verlust|perte|p[ée]rdida|perda"
    "|perdita|strata|verlies|kay\\u0131p|mất mát|förlust|ztráta"
)
"""What a loss is called in other languages: the noun of its name."""
_FOREIGN_TRAINING = (
    "train(?:ing)?s?|(?:d')?entra[iî]nement|(?:d')?apprentissage|entrenamiento|treino|treinamento|addestramento"
    "|обучени[еяю]|обучающ\\w{2,4}|тренировочн\\w{2,4}|средн\\w{2,4}|訓練|训练|学習|학습|훈련"
    "|trening\\w{0,4}|huấn luyện|eğitim"
    "|moyenne|media|média|gesamt|totale?|평균|총|平均"
)
FOREIGN_EVALUATION = (
    "проверк[аеи]|проверочн\\w{2,4}|валидаци\\w{1,5}|тестов\\w{2,4}|валідац\\w{1,5}|validierung\\w{0,8}|validaci[óo]n"
    "|validação|validazione|validatie|walidac\\w{1,4}|doğrulama|kiểm tra|検証|検査|評価|검증|평가|테스트"
    "|évaluation|evaluación|prueba|test(?=verlust)"
)
_OF = "(?:de |da |di |do |du |del |van |на |при |の)?"
_FOREIGN_WORD = rf"(?:{_FOREIGN_TRAINING}|{FOREIGN_EVALUATION}|validation|valid|val|test|eval|dev)"
FOREIGN_NAME = (
    rf"(?:{_FOREIGN_WORD}[ _]?){{0,2}}(?:{FOREIGN_LOSS})(?:[ _]{_OF}{_FOREIGN_WORD}){{0,2}}"
    rf"(?: ?\({_OF}{_FOREIGN_WORD}\))?"
)
"""The whole of such a name: the part of the run that it is of stands before the noun or behind it."""
_OF_ERRORS = ("mse|msle|huber|smooth[ _-]?l1", "rmse|rmsle", "mae", "mape|smape")
"""Errors that are minimised, the one that is most often trained on first."""
ERRORS = "|".join(_OF_ERRORS)
_BRIEF = (
    r"^(?:(?:train|training|val|valid|test|eval|dev|avg|mean|batch|epoch)\w{0,3}'?s?[ _/.-]){0,2}"
    r"(?:ce|l1|l2|learn|triplet|contrastive|info_?nce|nt_?xent|hinge)$"
)
"""Names too short or too common to be sought within others; `learn` is CatBoost's error over the training data."""
_PART = r"(?:train(?:ing)?|val\w{0,7}|test)"
_COST = (
    rf"^(?:(?:{_PART}|epoch|batch)[ _/]){{0,2}}cost(?:[ _/]{_PART})?$|^(?:co[uû]t|cost[oe]|custo|kosten|비용|コスト)$"
)
_LOSS = expression(
    rf"loss|\bppl\b|perplexity|(?<![a-z])(?:nll|xent|bce|bp[bc]|{ERRORS})(?![a-z])|cross[ _-]?entropy"
    rf"|{_COST}|[损損]失|^{FOREIGN_NAME}$|{_BRIEF}"
    r"|^l_(?:pix|percep|style|feat|[gd])\w{0,20}$"
    r"|(?-i:^(?:[DG]|cycle|idt)_[AB]$|^[DG]_(?:GAN|L1|Feat|VGG|real|fake)$)",  # pytorch-CycleGAN-and-pix2pix
    re.IGNORECASE,
)
_NO_LOSS = expression(
    r"(?:packet|data|weight|hearing|hair|information|job|memory|precision|signal|heat|path|stop"
    r"|return|insertion|total_?no)[ _-]loss|-$"
    r"|(?:daten|paket|gewichts|wärme|hör|haar|druck|zeit|strom|leistungs)verlust"
    r"|^(?:no|use|log|with|has|is)_|loss.?scal|scal\w{0,40}.loss|lossless|\b[gf]loss"
    r"|loss.?(?:weight|coef|type|fn|mask|func|lambda|alpha|beta|gamma|ratio|name|multiplier|factor|offset|limit|thresh|toler)"
    r"|best|min(?:imum)?[ _.-]loss|patience|previous|target[ _]loss",
    re.IGNORECASE,
)
EVALUATION = expression(
    r"(?<![a-z])(?:val|valid|validation|validate|validating|va|eval|evaluation|evaluate|evaluating|test|testing|te|dev"
    r"|held[ _-]?out|prequential)"
    r"(?:(?![a-z])|(?<=(?-i:[a-z]))(?=(?-i:[A-Z])))"  # valLoss
    rf"|验证|驗證|测试|測試|评估|評估|{FOREIGN_EVALUATION}",
    re.IGNORECASE,
)
_RANKS = tuple(
    expression(pattern, re.IGNORECASE)
    for pattern in (
        r"^(?:lm[ _])?loss$",
        (
            r"^(?:avg_|mean_|total_|reduced_)?(?:train(?:ing)?)[ _/.]?(?:lm_)?(?:loss|crossentropyloss)(?:[_ ]step)?$"
            r"|^loss[ _/](?:train(?:ing)?)(?: ?\(\w+\))?$"
            r"|^(?:train )?loss(?:es)?/(?:train(?:ing)?/)?total$"
        ),
        r"^(?:avg|avr|ave|mean|total|step|epoch|batch|running|global|smooth\w*)[ _./]?loss$|^loss_avg\w*$",
        r"pg_loss$|actor.loss$|policy.loss$|^act_loss$",
        rf"loss|{_COST}|[损損]失|^{FOREIGN_NAME}$|^l_",
        rf"xent|nll|entropy|bce|bp[bc]|{_BRIEF}",
        *(rf"(?<![a-z])(?:{error})(?![a-z])" for error in _OF_ERRORS),
    )
)


NO_LOSS = len(_RANKS)
OF_TRAINING = 3
"""Ranks below this one are losses of training by their form; the others are terms of it."""
OF_ERRORS = NO_LOSS - len(_OF_ERRORS)
"""Ranks from this one on are errors, each of which says what the others say."""
_REMEMBERED = 1 << 15
"""Names that are judged once each: detectors ask of all names of a run, one after another."""


@lru_cache(maxsize=_REMEMBERED)
def is_loss(name: str) -> bool:
    """Tell whether a name is that of a loss: neither its scale nor its weight, nor a limit or the best of it."""
    return bool(_LOSS.search(name)) and not _NO_LOSS.search(name)


@lru_cache(maxsize=_REMEMBERED)
def loss_rank(name: str) -> int:
    """Return how good a name is for the loss of training, 0 for the best; as many as there are ranks for none."""
    if EVALUATION.search(name) or name.startswith(("eval_", "test_")) or not is_loss(name):
        return NO_LOSS
    return next((rank for rank, pattern in enumerate(_RANKS) if pattern.search(name)), NO_LOSS)


CUT_TRACEBACK = "Traceback without an end"
"""What readers say of a traceback that breaks off: what it died of may stand in another line."""


class Kind:
    """Kinds of events, as text constants."""

    OVERFLOW = "overflow"
    """A step skipped because gradients overflowed; the value is the loss scale that was attempted."""
    HYSTERESIS = "overflow-hysteresis"
    LOSS_SCALE_AT_MINIMUM = "loss-scale-at-minimum"
    NONFINITE_SKIPPED = "nonfinite-gradients-skipped"
    """DeepSpeed >= 0.19.8, or <= 0.11.1 with bf16: skipped without a loss scale."""
    TRAINING_STARTED = "training-started"
    TRAINING_FINISHED = "training-finished"
    RESUMED = "resumed"
    STEP_REWIND = "step-rewind"
    """The step fell: `steps` is where the new attempt begins, the value where the one before had ended."""
    CHECKPOINT_SAVED = "checkpoint-saved"
    EVALUATED = "evaluated"
    TOKENIZATION_MISMATCH = "tokenization-mismatch"
    """The value is the difference of the two lengths; negative values are kept."""
    RESPONSE_TEMPLATE_NOT_FOUND = "response-template-not-found"
    ALL_LABELS_IGNORED = "all-labels-ignored"
    NO_INPUT_REQUIRES_GRAD = "no-input-requires-grad"
    NEWLY_INITIALIZED = "newly-initialized-weights"
    UNUSED_WEIGHTS = "unused-weights"
    NOTHING_LOADED = "nothing-loaded"
    """Names of a checkpoint and of the model that hardly meet, or a checkpoint that was asked for and is not there."""
    WEIGHTS_IN_FP16 = "weights-in-fp16"
    """The program says that its parameters are float16."""
    RANKS_DIFFER = "ranks-differ"
    """The program itself compared the parameters of its ranks, and they are not equal."""
    PAD_TOKEN = "pad-token-is-eos"  # noqa: S105  (a kind of event, no password)
    LR_BEFORE_STEP = "scheduler-before-optimizer"
    LR_UNAVAILABLE = "learning-rate-not-started"
    CUDNN_SDPA_STRIDES = "cudnn-sdpa-strides"
    PIPELINE_ENGINE = "pipeline-engine"
    NON_CUDA_DEVICE = "non-cuda-device"
    """DeepSpeed laid the model out over pipeline stages."""
    UNSCALE_FP16 = "unscale-fp16-gradients"
    DATA_PARALLEL = "data-parallel-gather"
    NAN_ASSERTION = "nan-assertion"
    OUT_OF_MEMORY = "out-of-memory"
    NCCL_TIMEOUT = "nccl-timeout"
    NCCL_ERROR = "nccl-error"
    CUDA_ERROR = "cuda-error"
    KILLED = "killed"
    OOM_KILL_RECORD = "oom-kill-record"
    """A kernel or cgroup record that confirms a host out-of-memory kill."""
    SIGNAL = "signal"
    """A process ended by a signal or an exit code; the value is the code."""
    TIME_LIMIT = "time-limit"
    NCCL_WARNING = "nccl-warning"
    PREEMPTED = "preempted"
    EVICTED = "evicted"
    NODE_FAILURE = "node-failure"
    CANCELLED = "cancelled"
    HOST_MEMORY = "host-memory"
    NATIVE_CRASH = "native-crash"
    DEVICE_ASSERT = "device-assert"
    XID = "xid"
    COLLECTIVE_DONE = "collective-done"
    """The last collective of a process group that a rank completed; the value is its number."""
    COLLECTIVE_PENDING = "collective-pending"
    """The first collective of a process group that a rank had not completed; the value is its number."""
    STACK = "stack"
    """Where the main thread of a process stood still."""
    COMPLAINT = "complaint"
    """The program's own warning that its weights, gradients, ranks ... are not as they should be, or such a title."""
    REPORTED = "reported"
    """A sentence of an account that states a symptom in words (`forensics.signatures.reported`)."""
    TRIED = "tried"
    """A sentence of an account that tells what its author tried (`forensics.signatures.tried`)."""
    DISK_FULL = "disk-full"
    DATA_LOADER = "data-loader-worker"
    TRACEBACK = "traceback"
    """An uncaught exception; the text is its last line with the innermost frame."""
    CHECKPOINT_STEP = "checkpoint-step"
    """The step of which a checkpoint holds the weights, by the hashes of a black box, is the value."""
    UNSAFE_PICKLE = "unsafe-pickle"
    """A pickle asks for functions that run code where it is loaded; the text says which."""
    CHECKPOINT_REFUSED = "checkpoint-refused"
    FRAMEWORK_WARNING = "framework-warning"
    """A library names a fault that it sees and goes on with; causes look at its words."""
    NO_TRAINING_DATA = "no-training-data"
    """The program counted 0 samples to train on."""
    COLUMN_FILLED = "column-filled"
    """A row of pandas' `DataFrame.info()`; the value is how many entries of the column are there."""
    GATHER_DISABLED = "zero3-gather-disabled"
    SIZE_MISMATCH = "size-mismatch"
