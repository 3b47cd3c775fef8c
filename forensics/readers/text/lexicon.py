"""What a name that stands before a number in a log means: one lexicon for every format.

The words were collected from some two hundred public logs; a name must match as a whole where a part of it would
mislead (`number of skipped iterations` is no iteration, `loss scale` no loss).
"""

import re
from collections.abc import Sequence
from enum import Enum
from functools import lru_cache

from forensics.deferred.patterns import expression
from forensics.names import (
    ALIASES,
    ERRORS,
    EVAL_LOSS,
    EVALUATION,
    FOREIGN_NAME,
    GRAD_NORM,
    LEARNING_RATE,
    LOSS,
    TRAIN_LOSS,
    canonical,
    is_loss,
)


class Role(Enum):
    """What a number is to the line it stands on."""

    LOSS = "loss"
    NORM = "norm"
    KNOWN = "known"
    """A metric of training without being a loss: a rate, an accuracy, a reward. It makes a line with a step count."""
    OTHER = "other"
    """Any other number with a name: a metric on lines that count for another reason."""
    GLOBAL = "global step"
    STEP = "step"
    BATCH = "batch"
    """A counter within an epoch."""
    RATIO = "ratio"
    """`10/100` without a name: the position of a bar or within an epoch."""
    EPOCH = "epoch"
    EPISODE = "episode"
    """A counter that tells an entry but no step: an episode of reinforcement learning."""
    LEADING = "leading"
    """A nameless number at the beginning of a line, a counter only where it rises."""
    BEHIND = "behind"
    """A nameless number right behind a loss without a sign: the loss itself where that one counts."""
    PART = "part"
    """A number that is called by the part of the run alone (`train 2.3 val 2.4`): a loss only where it falls."""
    NOTHING = "nothing"


SUBJECTS = frozenset({Role.LOSS, Role.NORM})
METRICS = frozenset({Role.LOSS, Role.NORM, Role.KNOWN, Role.OTHER})
COUNTERS = frozenset({Role.GLOBAL, Role.STEP, Role.BATCH, Role.RATIO, Role.EPOCH, Role.EPISODE, Role.LEADING})

_FOREIGN_EPOCH = "(?:训练|訓練)?[轮輪][次数數]?|epoche|[ée]poque|época|epo[ck]a|[эе]пох[аи]|エポック|에폭|에포크"
_FOREIGN_STEP = (
    "迭代[次数數]*|步[数數]?|schritte?|étape|etape|paso|passo|шаг|krok|крок|stap|ad\\u0131m|bước|ステップ|스텝"
    "|it[ée]ra(?:tion|[cç][iã][oó]n?|zione)|[иі]тераци?[яі]|イテレーション|反復(?:回数)?|이터레이션|반복"
)
_FOREIGN_BATCH = "批次|батч|バッチ|배치"
_FOREIGN_ACCURACY = (
    "(?:准确|正确|準確|正解)率|精度|정확도|точность|точність|genauigkeit|précision|exactitud|precisión|acurácia"
)
_FOREIGN_RATE = (
    "学习率|學習率|学習率|학습률|lernrate|taux d'apprentissage|скорость обучения|швидкість навчання"
    "|(?:tasa )?de aprendizaje|(?:taxa )?de aprendizado|(?:tasso )?di apprendimento|leersnelheid"
    "|öğrenme oran\\u0131|(?:tốc )?độ học"
    "|współczynnik uczenia"
)
_FOREIGN_NORM = (
    "梯度(?:的)?(?:l2 ?)?(?:范[数數]|範[数數]|模[长長]?|norm)|勾配(?:の)?ノルム|(?:그래디언트|기울기) ?노름"
    "|(?:norme )?d[eu]s? gradients?|(?:norma )?d[eo]l? gradientes?|норма град(?:ие|\\u0456є)нт(?:\\u0430|ов|ів)"
    "|gradienten?[- ]?norm|gradyan normu|gradiëntnorm|norma gradientu|chuẩn gradient"
)
_ENDS_AS_LOSS = expression(
    r"(?:loss[A-Za-z\d_]{0,12}[为為是]?|ppl|perplexity|entropy|cost|[损損]失|loss (?:train|val)\w{0,40})"
    r"(?: ?\([^)]{0,80}\))?$"
    rf"|loss value$|(?:^| ){FOREIGN_NAME}$|(?<![a-z])(?:nll|xent|b?ce|bp[bc]|l[12]|{ERRORS})$"
    r"|(?<![a-z])(?:triplet|contrastive|info_?nce|hinge)$",
    re.IGNORECASE,
)
_NORM = expression(
    rf"grad(?:ient)?s?.{{0,8}}norm|(?<![a-z])gnorm(?![a-z])|^\|?g(?:rad)?\|$|{_FOREIGN_NORM}", re.IGNORECASE
)
_NO_NORM = expression(r"(?:max|clip)\w{0,40}.grad|norm.?clip|clip", re.IGNORECASE)
_KNOWN = expression(
    rf"{_FOREIGN_ACCURACY}|{_FOREIGN_RATE}|"
    r"(?<![a-z])(?:lr|learning[ _-]?rate|acc|accuracy|acc@\d+|prec@\d+|top[-_ ]?\d|auc|auroc|dice|m?iou|psnr|ssim"
    r"|f1|fb1|f(?:1[ _-]?)?[ _-]?score"
    r"|fid|bleu|rouge\w{0,4}|wer|cer|elbo|log[ _-]?likelihood|obj(?:ective)?|rewards?|return|kl|entropy"
    r"|rew_mean|clip_?frac(?:tion)?|explained_variance"
    r"|mfu|t?flops|throughput|tps|tgs|skipped|loss[ _-]?scale|runtime|tok\w{0,40}/s\w{0,40}|samples?/s\w{0,40}"
    r"|\w{0,40}samplespersec|(?:train|val|valid|validation|test|eval)\w{0,3}[ _/-](?:err(?:or)?|score|map|auc|r2|mcc)"
    r"|(?:pa?-)?mpjpe|recall|ndcg|mrr|jaccard|spearman\w{0,3}|pearson\w{0,3})(?![a-z])"
    r"|^(?:(?:train(?:ing)?|val\w{0,7}|test|reconstruction|relative|l2)[ _])?err(?:or)?$",
    re.IGNORECASE,
)
_NO_KNOWN = expression(r"thresh|toleran|patience", re.IGNORECASE)
"""What a limit of a metric is called."""
_GLOBAL = expression(
    r"(?:^|[ /_(])(?:global[_ -]?(?:steps?|iter\w{0,40})|num[_ ]updates|nupdates|total[_ /]steps?|current_steps?"
    r"|total[_ ]?timesteps|timesteps_total|total_?env_?steps|totalenvinteracts|env_steps|num_env_steps_\w{0,40}"
    r"|train(?:er)?/(?:global_)?step|global_step/max_steps)$",
    re.IGNORECASE,
)
_BEFORE_STEP = (
    r"(?:(?:at|on|in|after|train(?:ing)?|learning|policy|env|epoch|current|trained|finished|completed|end of|processing"
    r"|test(?:ing)?|trainer|state)[ _/.]){0,4}"
)
_STEP = expression(
    rf"^(?:{_BEFORE_STEP}(?:opt(?=[ _/])|optim|valid|eval)\w{{0,40}}[ _/]){{0,2}}{_BEFORE_STEP}"
    rf"(?:steps?|iter(?:ation)?s?|updates?|up\.?|it|(?:total_)?timesteps|n_?iter|num_?iter|itr|{_FOREIGN_STEP})"
    r"(?:[ _]?(?:num|number|idx|no|count)|_i|_id)?(?: ?\(train(?:ing)?\))?$",
    re.IGNORECASE,
)
_BATCH = expression(
    r"(?:^|[ _])(?:(?:mini[- ]?)?batch(?:es)?(?:[ _](?:idx|id|num|number|no))?"
    rf"|(?:step|iter)\w{{0,40}}_in_\w{{1,40}}|data_slice|{_FOREIGN_BATCH})$",
    re.IGNORECASE,
)
_EPOCH = expression(
    rf"(?:^|[ /_(])(?:epochs?|ep|{_FOREIGN_EPOCH})(?:[ _](?:num|number|idx|no|end))?"
    r"(?: ?\((?:train|val|test)\w{0,40}\))?$",
    re.IGNORECASE,
)
_NO_EPOCH = expression(r"(?:^|[ _])(?:num|max|total|n|of|best)[ _](?:train[ _])?epochs?$", re.IGNORECASE)
_EPISODE = expression(
    r"^(?:train(?:ing)?[ _])?(?:episodes?|rounds?|games?|generations?)(?:[ _](?:num|number|idx|no))?$", re.IGNORECASE
)
_EARNED = expression(
    r"(?<![a-z])(?:rew(?:ard)?s?|returns?)(?:[/_ ](?:mean|avg|average|std|min|max|per[ _]episode))?$", re.IGNORECASE
)
_OF_A_POLICY = expression(
    r"^(?:[a-z]{1,20}/)?(?:(?:total|env|global)[_ ]?)?(?:num[_ ])?(?:time[_ ]?steps?|frames?|env_steps)(?:[_ ]total)?$",
    re.IGNORECASE,
)
"""What counts the steps of an environment."""
_LENGTH = expression(r"(?:steps?|length|(?:time|env_?)steps|num_?steps)", re.IGNORECASE)
"""What an episode is long."""
_INDEX = expression(r"^(?:i|idx|index|cnt|counter)$", re.IGNORECASE)
_COUNTER_NAMES = (
    (_GLOBAL, Role.GLOBAL),
    (_BATCH, Role.BATCH),
    (_STEP, Role.STEP),
    (_NO_EPOCH, Role.NOTHING),
    (_EPOCH, Role.EPOCH),
    (_EPISODE, Role.EPISODE),
    (_INDEX, Role.LEADING),
)
MOST_NAME = 80
_NO_METRIC = expression(
    r"^(?:rank|global_rank|local_rank|pid|eta|v_num|seed|gpus?|device|node|port|line|host|version|[dptcev]p|worker"
    r"|pool|size|percentage|elapsed_time|remaining(?:_time)?|timestamp|_timestamp|wall_time|time|_runtime|_step|#)$"
    r"|^(?:total|max|num|train)_(?:steps|epochs|iters)$|epochs?$|^micro_step$|steps? total$",
    re.IGNORECASE,
)
TRAINING = expression(r"(?<![a-z])(?:train|training)(?![a-z])", re.IGNORECASE)


@lru_cache(maxsize=1 << 14)
def role_of(name: str) -> Role:
    """Return the role of a named number.

    >>> role_of("lm loss"), role_of("loss scale"), role_of("number of skipped iterations"), role_of("Up.")
    (<Role.LOSS: 'loss'>, <Role.KNOWN: 'known'>, <Role.KNOWN: 'known'>, <Role.STEP: 'step'>)
    """
    if is_loss(name):
        return Role.LOSS
    if _NORM.search(name) and not _NO_NORM.search(name):
        return Role.NORM
    for pattern, role in _COUNTER_NAMES:
        if pattern.search(name):
            return role
    if _NO_METRIC.search(name) or len(name) > MOST_NAME:
        return Role.NOTHING
    return Role.KNOWN if _KNOWN.search(name) and not _NO_KNOWN.search(name) else Role.OTHER


def step_named(names: Sequence[str]) -> str | None:
    """Return the name that counts optimizer steps among names of a record that holds a loss, None where none does.

    A bare `i` is one where a record begins with it and names no other counter; `index` and `id` number examples.
    A batch is one beside its epoch: who reads the records makes it global. Beside what a policy earned its time steps
    and frames count; steps of an episode are its length.

    >>> step_named(["iter_num", "optimizer_step", "train_loss"]), step_named(["step", "price"])
    ('optimizer_step', None)
    >>> step_named(["Epoch", "Batch", "Gen Loss"])
    'Batch'
    >>> step_named(["i", "loss"])
    'i'
    >>> step_named(["timesteps", "mean_episode_rewards"]), step_named(["episode", "steps", "reward"])
    ('timesteps', None)
    """
    if not any(role_of(name) in SUBJECTS for name in names):
        return next((name for name in names if _OF_A_POLICY.search(name)), None) if earns(names) else None
    found = [name for name in names if role_of(name) in {Role.GLOBAL, Role.STEP}]
    if any(role_of(name) is Role.EPISODE for name in names):
        found = [name for name in found if not _LENGTH.fullmatch(name)]
    if any(role_of(name) is Role.EPOCH for name in names):
        other = next((name for name in names if role_of(name) is Role.BATCH), None)
    else:
        other = names[0] if names[0].lower() == "i" else None
    return min(found, key=lambda name: (role_of(name) is Role.STEP, "step" not in name.lower()), default=other)


def earns(names: Sequence[str]) -> bool:
    """Tell whether one of several names is that of what a policy earned: its reward, its return.

    >>> earns(["rollout/ep_rew_mean"]), earns(["reward_scale"])
    (True, False)
    """
    return any(map(_EARNED.search, names))


def ends_as_loss(name: str) -> bool:
    """Tell whether a name is that of a loss without a colon: its last word must be one (`loss detected at` is none)."""
    return bool(_ENDS_AS_LOSS.search(name))


# Words as other trainers write them with an underscore.
_WORDS = {
    **dict.fromkeys(("train loss", "training loss", "loss train", "loss (train)", "loss (training)"), LOSS),
    "epoch loss": "epoch_loss",
    **dict.fromkeys(("lm loss value", "lm_loss value"), LOSS),
    **dict.fromkeys(
        (f"{of}{ppl}" for of in ("train ", "train_", "train-", "training ") for ppl in ("ppl", "perplexity")),
        "perplexity",
    ),
    **dict.fromkeys(("ppl", "lm loss ppl", "lm_loss_ppl value", "lm_loss_ppl"), "perplexity"),
}
_EVALUATED = expression(
    r"^(?:val|va|valid|validation|validate|eval|evaluation|evaluate|dev|held[ _-]?out)[ _/.-]+(.+)$"
    r"|^(.+?)[ /]\(?(?:val|valid|validation|eval|dev|held[ _-]?out)\)?$",
    re.IGNORECASE,
)
_BLANKS = expression(r"\s+")
_AVERAGE = expression(r"(?<=[a-z]) (?:average|avg\.?|mean) ")


_BEFORE_ENGLISH = expression(r"^[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af的]+ ?(?=[a-z])", re.IGNORECASE)
_ELSEWHERE = (
    (expression(rf"[损損]失(?:[值値]|函[数數])?[为為是]?$|^{FOREIGN_NAME}$", re.IGNORECASE), LOSS),
    (expression(rf"(?:{_FOREIGN_ACCURACY})[为為是]?$", re.IGNORECASE), "accuracy"),
    (expression(rf"(?:{_FOREIGN_RATE})[为為是]?$", re.IGNORECASE), LEARNING_RATE),
    (expression(rf"(?:{_FOREIGN_NORM})[为為是]?$", re.IGNORECASE), GRAD_NORM),
)
"""What names of other languages mean."""


@lru_cache(maxsize=1 << 14)
def metric_name(name: str, evaluation: bool) -> str:
    """Return the canonical name of a metric of a log; `evaluation` where the words around say so.

    >>> metric_name("Train Loss", False), metric_name("Val Loss", False), metric_name("loss", True)
    ('loss', 'eval_loss', 'eval_loss')
    """
    if not name.isascii():
        evaluation = evaluation or EVALUATION.search(name) is not None
        name = _BEFORE_ENGLISH.sub("", name)
    meant = next((known for pattern, known in _ELSEWHERE if pattern.search(name)), None)
    if meant is not None:
        return f"eval_{meant}" if evaluation or EVALUATION.search(name) else meant
    known = canonical(name)
    if known == name:
        lowered = _AVERAGE.sub(" ", _BLANKS.sub(" ", name.strip().lower()))
        joined = lowered.replace(" ", "_")
        known = _WORDS.get(lowered) or next((canonical(each) for each in (lowered, joined) if each in ALIASES), name)
    if evaluation or known == name:
        found = _EVALUATED.match(known)
        if found:
            inner = metric_name(found[1] or found[2], evaluation=False)
            return f"eval_{inner}"
    if not evaluation or known.startswith(("eval", "test")) or known == TRAIN_LOSS:
        return known
    return EVAL_LOSS if known == LOSS else f"eval_{known}"
