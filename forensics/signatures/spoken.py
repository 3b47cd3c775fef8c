"""The words of which people make a sentence about a training: what they speak of, what became of it, what denies it.

A sentence is read as a row of tokens. A token of a quantity (the loss, the norm, the process) and one of a predicate
(not a number, falls, hangs) make a statement where the grammar of `forensics.signatures.reported` joins them; so a new
word, in whatever language, is told in one place and goes with all others. After the English words of each row stand
those of Chinese, Japanese, Russian, Spanish and German, as far as public threads have them.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple


def _whole(*words: str) -> str:
    return rf"\b(?:{'|'.join(words)})\b"


_OF_EVALUATION = r"(?:val(?:id(?:ation)?)?|eval(?:uation)?|test(?:ing)?|dev|held[- ]out)"
_LINK = "|".join(
    (
        _whole(
            "is|are|was|were|be|been|becomes?|became|turn(?:s|ed)?(?: in)?to|go(?:es)? to|went to|get(?:s|ting)?|got",
            "shows?|stay(?:s|ed)?(?: at)?|remain(?:s|ed|ing)?(?: at)?|drop(?:s|ped)? to|to|of|equals?|reach(?:es|ed)?",
            "only|as|at|ist|wird|bleibt|es|son",
        ),
        "[=:]|为|為|是|变成|变|等于|归|到|至|成|ゼロに|が|равн\\w{1,3}|стал\\w{0,2}|до",
    )
)
"""What stands between a quantity and the zero that it is."""
_STILL = "(?: ?(?:all|exactly|always|only|just|still|constantly|consistently|immer|siempre|都|全|一直|始终|恒|为)){0,2}"

QUANTITIES: Mapping[str, tuple[str, ...]] = {
    "scale": (_whole("(?:loss|grad(?:ient)?)[ _-]?scal(?:e|er|ing)"),),
    "eval": (
        _whole(rf"{_OF_EVALUATION}[ _/-](?:set )?(?:loss(?:es)?|errors?|perplexity|ppl)"),
        "(?:验证|驗證|测试|评估|评测)集?的? ?(?:loss|损失)",
    ),
    "norm": (
        _whole(r"(?:\w{1,12}_)?gran?d(?:ient)?s?[ _-]?nor(?:ms?)?", "grad(?:ient)?s?", "gradienten?", "gnorm"),
        "梯度(?:范数|的范数)?|勾配|градиент\\w{0,3}|gradientes?\\b",
    ),
    "loss": (
        _whole(
            r"(?:\w{1,20}[ _-])?loss(?:es)?\d?(?![ _-]?scal)(?:[ _](?:values?|curves?|functions?|terms?))?",
            r"loses(?= (?:in|are|is|give))|(?:generator|discriminator|train(?:ing)?) errors?|perplexity|ppl",
            r"losses?_\w{1,20}",
        ),
        "(?:训练)?损失(?:函数)?值?|損失|ロス|лосс\\w{0,2}|функц\\w{1,3} потерь|потер\\w{1,3}|\\bpérdida\\b",
        r"\bVerlust\w{0,10}",
    ),
    "reward": (
        _whole(
            r"(?:\w{1,16} )?(?:rewards?|success rate|win rate)|scores?",
            "(?:episode|episodic|mean|average|avg|eval|test) returns?",
        ),
        "奖励|獎勵|回报|成功率|報酬|наград\\w{1,3}|\\brecompensa\\b",
    ),
    "kl": (_whole("kl(?:[ _-]?div(?:ergence)?)?"), "KL ?散度"),
    "entropy": (_whole("entropy"), "(?:策略)?熵"),
    "accuracy": (
        _whole(r"(?:\w{1,12} )?(?:accurac(?:y|ies)|acc|m?ap(?:50)?|m?iou|dice|f1|auc|bleu|rouge|psnr|ssim)"),
        "准确率|精度|指标|召回率",
    ),
    "rate": (_whole("learning[ _-]?rates?|lr"), "学习率"),
    "weights": (
        _whole(
            r"weights?|(?<!hyper )(?<!hyper-)(?<!other )(?<!default )(?<!same )(?<!training )param(?:eter)?s?"
            "|adapters?|embeddings?",
            r"lora(?:[_ ][ab])?(?: weights?| layers?)?",
        ),
        "权重|模型参数|(?<!其他)(?<!其它)(?<!其余)(?<!训练)(?<!默认)(?<!超)参数",
    ),
    "output": (
        _whole("outputs?|logits?|activations?|predictions?|hidden[ _]states?|log[ _]?probs?|logps|features?"),
        "模型输出|输出|中间变量",
    ),
    "data": (
        _whole("data(?:sets?)?|inputs?|labels?|images?|samples?|columns?|rows?|pixels?"),
        "数据集?|输入|标签",
    ),
    "speed": (
        _whole(
            "(?:training |train )?(?:speed|throughput)|(?:iteration|step|epoch|batch) times?",
            "time per (?:step|iteration|epoch)",
        ),
        "(?:训练)?速度",
    ),
    "memory": (
        _whole("(?:(?:gpu|cuda|host|system|cpu|device|main) )?(?:memory|ram|vram|swap)(?: usage| consumption)?"),
        "显存|内存",
    ),
    "utilization": (_whole(r"(?:gpu|cpu)[- ](?:util\w{0,10}|usage|load)(?: rate)?|utilizations?"), "利用率|占用"),
    "model": (
        _whole("models?|networks?|agents?|policy|policies|strategy|generator|discriminator|classifier|modelo|Modell"),
        "模型|网络|策略|モデル|модел\\w{1,3}",
    ),
    "train": (
        _whole("(?:(?:re|pre)[- ]?)?train(?:ing|er|ings)?|(?:fine|pre)[- ]?tun(?:ing|e)|finetun(?:ing|e)"),
        _whole("runs?|process(?:es)?|program|scripts?|jobs?|everything|grpo|ppo|dpo|sft|entrenamiento"),
        "训练|訓練|程序|进程|任务|微调|学習|トレーニング|обучен\\w{1,3}|процесс\\w{0,2}|\\bproceso\\b",
    ),
}
"""What a sentence speaks of; of two that begin at one place the earlier row is meant."""

PREDICATES: Mapping[str, tuple[str, ...]] = {
    "nan": (r"\b(?:nans?|infs?|infinit(?:e|y)|non-?finite|not a number)\b(?! loop)",),
    "zero": (
        rf"(?:{_LINK}){_STILL} ?(?:zeros?|none|null|0(?:\.0{{1,8}})?|零)(?![\w%:-]|\.\d)",
        r"\b(?:zero|vanish(?:es|ed|ing)?)\b(?= (?:loss|grad|reward|value|norm|\bto\b|after|$))",
        r"(?<=loss )0(?:\.0{1,8})?(?![\w%:.-])",
        "梯度消失|равн\\w{1,3} нулю",
    ),
    "overfits": (_whole("over-?fit(?:s|ted|ting)?"), "过拟合"),
    "spikes": (
        _whole("spik(?:es?|ed|ing)|jump(?:s|ed|ing)?|surg(?:es?|ed|ing)"),
        "突增|激增|陡增|尖峰|突然(?:变大|升高|增大|上升|飙升)|跳变",
    ),
    "slower": (
        _whole(r"slower and slower|slow(?:s|ed|ing) down|(?:getting|becom\w{2,4}|progressively) slower"),
        r"\b(?:speed|throughput)\b.{0,20}\b(?:drops?|dropped|decreas\w{1,3})\b",
        "越来越慢|变慢",
    ),
    "grows": (
        _whole(
            r"diverg(?:es?|ed|ing)|explod(?:es?|ed|ing)|explosion|bl(?:ow|ew|own|owing)s? up|skyrocket\w{0,3}",
            "increas(?:es?|ed|ing)|ris(?:es?|ing|en)|rose|go(?:es|ing)? (?:back )?up|went (?:back )?up",
            "gr(?:ow|ew)(?:s|ing)?|climb(?:s|ed|ing)?",
            r"(?:becom|became|get|got|gett?)\w{0,4} (?:\w{1,8} )?(?:larger|bigger|higher|worse)",
            r"divergi\w{1,3}|aument\w{1,3}|explot\w{1,3}|steigt|explodiert",
        ),
        "爆炸|发散|發散|上升|增大|增加|变大|升高|飙升|越来越[大高]|反弹|発散|増加|上昇",
        "растут?|взрыва\\w{2,4}|расходит\\w{0,2}",
    ),
    "erratic": (
        _whole(r"fluctuat\w{1,4}|oscillat\w{1,4}|bounc(?:es?|ed|ing)|unstable|instab\w{1,6}|very noisy"),
        "震荡|波动|抖动|不稳定",
    ),
    "collapses": (_whole("collaps(?:es?|ed|ing)|crash of"), "崩塌|坍塌|坍缩|崩壊"),
    "falls": (
        _whole(
            "(?:un-?)?(?:decreas|declin|reduc|converg|improv)(?:es?|ed|ing|ement)?",
            "go(?:es|ing)? (?:back )?down|went (?:back )?down|(?:drop|fall|dip)(?:s|ped|ping|ing|en)?|fell|comes? down",
            r"disminuy\w{1,3}|baja(?:ndo)?|mejora|sinkt|fällt|konvergiert",
        ),
        "下降|降低|收敛|收斂|减小|提升|提高|下が|減ら|減少|収束",
        "падает|снижает\\w{0,2}|уменьшает\\w{0,2}|сходит\\w{0,2}",
    ),
    "changes": (_whole("(?:chang|mov)(?:es?|ed|ing)?"), "变化|改变"),
    "learns": (
        _whole(
            r"learn(?:s|ed|t|ing)?(?![ _-]?rate)|(?:(?<=n't )|(?<=not ))(?:train|work)|trained|works",
            "updat(?:es?|ed|ing)",
        ),
        "学习|学到|更新",
    ),
    "constant": (
        _whole("constant|unchanged|identical|frozen"),
        r"\bthe same\b(?= ?(?:$|[.,;!)]|(?:after|for|in|at|from|on|during|over|all|every|value|throughout)\b))",
        "不变|恒定|没有任何变化",
    ),
    "flat": (
        _whole("flat|plateau(?:s|ed|ing)?|saturat(?:es?|ed)|hovers?|stagnat(?:es?|ed)|stagniert|se mantiene"),
        _whole(
            "(?:stay(?:s|ed|ing)?|remain(?:s|ed|ing)?|kept|keeps|always) (?:very |quite |so |constantly )?"
            "(?:high|low|at|around|near|about|between)"
        ),
        r"\b(?:is|stays?|was) always \d",
        (
            r"\b(?:hard|difficult) to converge\b|\b(?:worse|poor|slower) (?:training )?convergence\b"
            r"|\bconverg\w{1,3} (?:much )?(?:slower|worse)\b"
        ),
        "居高不下|停滞|降不下[去来]|下不[去来]|不掉|几乎没变|不降(?![低噪维])|横ばい|変わらない",
    ),
    "huge": (
        r"\bhigh (?=(?:\w{1,12} )?loss)",
        _whole(
            "(?:very|extremely|too|really|abnormal(?:ly)?|unusually|ridiculously|incredibly|much|super|so|significantly"
            "|way|a lot|far|notably|noticeably|considerably) (?:more )?(?:large|high|big)(?:er|r|ger)?",
            "(?:high|larg|bigg)er than (?:it |what |we )?(?:is |was |were )?(?:expected|supposed|should|usual|normal"
            "|before|reported|in the paper|the (?:paper|original|baseline)(?:'s)?)",
            "huge|enormous|astronomical|as (?:large|high)(?:r|er)? as",
        ),
        "(?:非常|很|太|特别|异常|过|极|超)[大高]|[高大]了(?:不少|很多|许多)|偏[高大]",
    ),
    "low": (_whole("(?:very|extremely|too|abnormally|unusually|suspiciously) (?:low|small)"),),
    "oom": (
        _whole(
            "(?:cuda |gpu )?(?:out[- ]of[- ]memory|oom(?:s|ed)?)",
            "(?:runs?|running|ran) out of (?:gpu |cuda |v?ram )?(?:memory|v?ram)",
        ),
        "显存(?:溢出|不足|爆|不够)|爆显?存|内存(?:溢出|不足|爆)",
    ),
    "killed": (
        _whole(r"(?:is|was|are|were|got|gets?|being|been|be) (?:\w{2,12} )?kill(?:ed)?|killed by|SIGKILL"),
        _whole("oom[- ]?kill(?:ed|er)"),
        "被(?:系统)?(?: ?kill|杀|终止)|已杀[死掉]|kill(?:ed)? ?[了掉]",
    ),
    "waits": (
        r"\b(?:nccl|watchdog|collective|all-?reduce|all-?gather|gloo|hccl|rccl)\b.{0,30}?\btime[sd]?[ -]?outs?\b",
        "(?:nccl|通信|集合).{0,10}超时",
    ),
    "faults": (_whole("seg(?:mentation)?[- ]?faults?|core dump(?:ed|s)?"), "段错误|核心已转储"),
    "hangs": (
        _whole("hang(?:s|ed|ing)?|hung|freez(?:es?|ing)|fro(?:ze|zen)|dead[- ]?lock(?:s|ed)?|stall(?:s|ed|ing)?"),
        r"(?<!I'm )(?<!I am )(?<!we are )\bstucks?\b|\bmakes? no progress\b",
        "(?<![单双多两二三四六八张块显网\\d])卡[住死在到主顿了]|停住|不动|挂起|死锁|无响应|没有?反应",
        "止ま|固ま|フリーズ|ハング|завис\\w{1,4}|\\bse (?:congela|cuelga)\\b|\\b(?:hängt|friert)\\b",
    ),
    "stops": (
        r"(?<!early )\b(?:stop(?:s|ped)?|quits?|terminate[sd]?|interrupted)\b(?! \w{2,16}ing\b)",
        "中断|停止|终止|退出|闪退|停了",
    ),
    "crashes": (_whole("crash(?:es|ed|ing)?|abort(?:s|ed)?"), "崩溃|崩掉"),
}
"""What became of it."""

NOT = "|".join(
    (
        _whole("not|never|no longer|cannot|hardly|barely|without|no|neither|nor|nothing|nicht|kein\\w{0,2}"),
        _whole("(?:fail|refus|struggl|ceas)(?:s|es|ed|ing)? to|stop(?:s|ped)?"),
        r"n['\u2019]t\b|\b(?:do|does|did|is|are|was|wo|ca)nt\b|\b(?:won|can|don|doesn|didn|isn)t\b",
        "不|没|沒|未|无法|难以|ない|ません|не |нет ",
    )
)
HEDGED = "|".join((_whole("may|might|can|could|would|should|potentially|possibly"), "可能|应该|会不会|能否"))
LESS = _whole("only|barely|hardly|slowly")
PREPOSITION = (
    r"(?:\b(?:of|in|for|from|during|on|with|by|under|while|when|after|before|at|using)"
    r"(?: (?:the|my|our|a|an|this|each|every))? ?|[的在于从对用])$"
)
"""In front of a quantity: then it is no head of the clause."""


class Token(NamedTuple):
    """One word of meaning: "quantity" or "predicate", which of them, and where it stands in the sentence."""

    part: str
    name: str
    start: int
    end: int


@cache
def lexicon() -> re.Pattern[str]:
    """Return one expression for all words; its groups are named by part and word (`q_loss`, `p_nan`)."""
    rows = [(f"p_{name}", words) for name, words in PREDICATES.items()]
    rows += [(f"q_{name}", words) for name, words in QUANTITIES.items()]
    # ASCII: words of Chinese have no blanks around them, so a border must be one of Latin letters.
    return re.compile("|".join(f"(?P<{name}>{'|'.join(words)})" for name, words in rows), re.IGNORECASE | re.ASCII)


def tokens(text: str) -> Iterator[Token]:
    """Yield the quantities and predicates of a sentence in their order.

    >>> [(t.part, t.name) for t in tokens("the gradient norm is fine but my loss turns to NaN")]
    [('quantity', 'norm'), ('quantity', 'loss'), ('predicate', 'nan')]
    """
    for found in lexicon().finditer(text):
        part, _, name = (found.lastgroup or "_").partition("_")
        yield Token("quantity" if part == "q" else "predicate", name, found.start(), found.end())
