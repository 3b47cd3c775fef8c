"""What a framework itself warns of: a fault that it sees and goes on with.

Each wording names one fault, and causes ask for it by its words (`event = "framework-warning"`); a run that trains well
prints some of them too, so none is a symptom. Sources: torch 2.13 `nn/functional.py`; Keras 3.11 `ops/nn.py`,
`losses/losses.py`, `trainers/trainer.py`, `optimizers/base_optimizer.py`; Lightning 2.5 `core/optimizer.py`,
`utilities/data.py`, `core/saving.py`; transformers 4.57 `trainer.py`, `trainer_callback.py`; PEFT 0.17 `peft_model.py`;
LightGBM 4.6 `io/dataset.cpp`; Ultralytics 8.3 `data/dataset.py`; scikit-learn 1.7 `impute/_base.py`; numpy 2.3 `ufunc`
errors. Where a message opens with a backtick its expression begins there, so that it is no quote.
"""

_OF_AN_ARRAY = r"in (?:(?:true_|scalar )?divide|log\w{0,5}|sqrt)\b"
WARNED = (
    ("Using a target size (", r"Using a target size \(.{1,60}\) that is different to the input size"),
    ("This axis has size 1. The softmax", None),
    ("In loss ", r"expected y_pred\.shape to be \(batch_size, num_classes\) with num_classes > 1"),
    ("LightningModule.configure_optimizers", r"`LightningModule\.configure_optimizers` returned `None`, this fit"),
    ("The model does not have any trainable weights", None),
    ("There seems not to be a single sample in your", None),
    ("Total length of `", r"across ranks is zero"),
    ("DataLoader` returned 0 length", r"`\w{0,40}DataLoader` returned"),
    ("There are no meaningful features which satisfy", None),
    ("Labels are missing or empty in ", None),
    ("No labels found in ", r"WARNING.{0,20}No labels found in \S"),
    ("Found keys that are in the model state dict but not", None),
    ("Found missing adapter keys while loading", None),
    ("The following arguments do not match the ones in", None),
    ("Skipping features without any observed values", None),
    ("RuntimeWarning: invalid value encountered in", _OF_AN_ARRAY),
    ("RuntimeWarning: Mean of empty slice", None),
)
"""A phrase that is sought, and the expression that its line must fit besides."""

_COUNTED = (
    r"Number of (?!.{0,40}(?:\b(?:val|test|eval)|quer|galler|skipp|invalid|bad|miss|drop|filter|duplic|nan|remov|fail))"
    r"[\w/ -]{0,24}(?:samples|examples|images|rows|pairs?|sentences)\s{0,4}[:=]\s{0,4}0\s*$"
)
_THINGS = r"(?:samples|examples|images|files|rows|pairs|sequences|batches|items)"
NO_TRAINING_DATA = (
    ("Num examples = 0", r"Num examples = 0\s*$"),
    ("Number of ", _COUNTED),
    *(
        (f"{each}: 0", rf"{each}: 0\s{{0,4}}(?:$|[,;|/(])")
        for each in (
            *("raining samples", "rain samples", "raining examples", "rain examples", "raining images", "rain images"),
            *("raining set size", "rain set size", "rain size"),
        )
    ),
    ("raining on 0 ", rf"raining on 0 {_THINGS}"),
    ("rain on 0 samples", None),
    (": 0 train", rf": 0 train(?:ing)? ?(?:{_THINGS}|[/,|] ?\d)"),
    ("Loaded 0 ", rf"Loaded 0 (?:train\w{{0,5}} {_THINGS}|(?:\w{{1,20}} )?{_THINGS} .{{0,200}}\btrain)"),
    ("Found 0 ", rf"Found 0 (?:train\w{{0,5}} {_THINGS}|(?:\w{{1,20}} )?{_THINGS} .{{0,100}}\btrain)"),
)
"""What a program counted before it began: nothing to train on."""
