"""Exceptions that state a NaN, an infinity or a scale that cannot fall any further.

`states` names the symptom that such a line proves. Sources: detectron2 `train_loop.py` (_detect_anomaly), Megatron-LM
`training.py`, `rerun_state_machine.py`; fairseq `fp16_optimizer.py`; apex `amp`; torch autograd anomaly mode; Lightning
`detect_nan_parameters`; torch.multinomial, torch.distributions (`Distribution.__init__`); scikit-learn `check_array`;
Keras `TerminateOnNaN`; Lightning `EarlyStopping`; MAE `engine_pretrain.py`; nerfstudio, mmengine.
"""

from forensics.signatures.signature import Role, Signature, Words

_NAMES_NAN = r"\w{0,40}(?:N[aA]N_?Loss|Loss(?:Is)?_?N[aA]N|Non_?[Ff]initeLoss)\w{0,40}(?:Error|Exception)"

SIGNATURES = (
    Signature(
        "nan-assertion",
        "crash-exception",
        "crashed",
        Role.ROOT,
        "the program stopped at a number that is none",
        (
            Words("Detected inf/nan during batch_number"),
            Words("ps_norm > 0", r"assert all_groups_norm > 0"),
            Words("NaN in local", r"found NaN in local"),
            Words("FloatingPointError: "),
            Words("Loss became infinite or NaN"),
            Words("Loss is nan, stopping training"),
            Words("Loss is inf, stopping training"),
            Words("Minimum loss scale reached"),
            Words("Current loss scale already at minimum", r"cannot decrease scale anymore"),
            Words("NaN or Inf found in input tensor"),
            Words("The loss returned in `training_step` is", r"`training_step` is (?:nan|inf)"),
            Words("Detected nan and/or inf values in"),
            Words("Function '", r"Function '\w+' returned nan values in its \d+th output"),
            Words("probability tensor contains either"),
            Words(
                "to satisfy the constraint",
                r"Expected (?:parameter|value) .{0,300}(?:\bnan\b|constraint \w{0,40}\(?Real\()",
            ),
            Words("cannot convert float ", r"cannot convert float (?:NaN|infinity) to integer"),
            Words(
                "contained non-finite values", r"(?:\w{1,40}\.){0,4}\w{0,20}Error: .{0,200}contained non-finite values"
            ),
            Words("contains NaN", r"Input (?:\w+ )?contains NaN\.?$"),
            Words("gradients at all steps are invalid", r"gradients at all steps are invalid"),
            Words("Invalid loss, terminating training", r"(?:[Bb]atch \d+: )?Invalid loss, terminating"),
            Words("Monitored metric ", r"Monitored metric \S{1,100} = .{1,40} is not finite"),
            # What programs name an exception of their own: NaNLossError, LossNaNError, NanLossDuringTrainingError.
            *(
                Words(word, rf"(?:^|[\s.]){_NAMES_NAN}(?=[:\s(]|$)")
                for word in ("NaNLoss", "NanLoss", "LossNaN", "LossNan", "LossIsN", "NonFiniteLoss", "NonfiniteLoss")
            ),
            Words("Unexpected result nan"),
            Words("Unexpected result inf"),
            Words(
                "Loss is NaN",
                r"(?:Error|Exception|assert|[Ss]topping|abort).{0,120}Loss is NaN|Loss is NaN.{0,40}(?:stopp"
                r"|abort|exit)",
            ),
        ),
        unless=r"NaN or Inf found in input tensor\.\s*$",
    ),
)

STATES: tuple[tuple[str, str], ...] = (
    ("loss-scale-collapse", r"Minimum loss scale reached|loss scale already at minimum"),
    (
        "grad-norm-nan",
        (
            r"gradients at all steps are invalid|all_groups_norm > 0|found NaN in local grad|Backward\d*' returned nan"
            r"|(?i:\b(?:gradients?|grad[_ ]?norm)\b.{0,40}\b(?:nan|inf|non-?finite)\b)"
        ),
    ),
    (
        "loss-nan",
        (
            r"Loss became infinite or NaN|Loss is (?:nan|inf|NaN)|NaN in local forward loss|found NaN in local(?! grad)"
            r"|`training_step` is (?:nan|inf)|Detected inf/nan during batch|Unexpected result (?:nan|inf)"
            rf"|Invalid loss, terminating|{_NAMES_NAN}"
            r"|(?i:\bloss\b.{0,40}\b(?:nan|inf|infinite|non-?finite)\b|\bnan\b.{0,20}\bloss\b)"
        ),
    ),
)
"""Which symptom the words of a nan-assertion prove; the first that matches."""
STATED_STEP = r"\b(?:iteration|iter|step|global_step|batch_number|update)\s{0,8}[=:#]?\s{0,8}(\d{1,12})"
"""Where such a line names its step."""
