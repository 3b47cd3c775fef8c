"""Data that a run could not take: workers that died, rows that do not decode, ids and labels out of range, shapes.

Sources: torch 2.13 `_utils/signal_handling.py`, `_utils/worker.py`, `nn/functional.py`, `LossNLL.cpp`; TensorFlow 2.16
`gather_op.cc`, `sparse_xent_op.h`; Paddle 2.6 `lookup_table_v2_op.h`; PIL; pyarrow; json; datasets.
"""

from forensics.signatures.signature import Role, Signature, Words

_OF_ANOTHER_DEVICE = (
    r"Input type \(torch\.(?:(?:Float|Half|BFloat16)Tensor\) and (?:weight|bias) type \(torch\.cuda"
    r"|cuda\.\w{1,20}\) and (?:weight|bias) type \(torch\.(?!cuda))"
)
"""The input lies on one device, the weight on the other: their dtypes are in order."""

SIGNATURES = (
    Signature(
        "data-loader-worker",
        "crash-exception",
        "crashed",
        Role.ROOT,
        "a worker of the data loader died",
        (
            Words(
                "DataLoader worker (pid",
                r"DataLoader worker \(pid(?:\(s\))?[^)]{0,200}\)+ (?:is killed by signal|exited unexpectedly)",
            ),
        ),
    ),
    Signature(
        "data-loader-timeout",
        "crash-exception",
        "hung",
        Role.ROOT,
        "the data loader waited in vain for its workers",
        (Words("DataLoader timed out after "),),
    ),
    Signature(
        "index-beyond-embedding",
        "crash-exception",
        "crashed",
        Role.ROOT,
        "an id lay beyond the embedding",
        (
            Words("IndexError: ", r"IndexError: index out of range in self"),
            Words("index out of range in self"),
            Words("Padding_idx must be within num_embeddings"),
            Words(
                "vocab",
                r"(?:Error|Exception): .{0,80}(?i:token|input|word|piece)[ _]?(?i:ids?|index|indices)\b.{0,60}"
                r"(?i:out of|outside|beyond|exceeds?|>=?|not less than|larger than|must be (?:less|smaller|below))"
                r".{0,30}vocab",
            ),
            Words("is not in [0, ", r"indices\[[\d,]{1,60}\] = -?\d+ is not in \[0, \d+\)"),
            Words(
                "Variable value (input) of OP(",
                r"(?:lookup_table|embedding)\w{0,40}\) expected >= 0 and < \d+, but got -?\d+",
            ),
        ),
    ),
    Signature(
        "class-out-of-range",
        "crash-exception",
        "crashed",
        Role.ROOT,
        "a label lay beyond the classes",
        (
            Words("IndexError: ", r"IndexError: Target -?\d+ is out of bounds"),
            Words("Target ", r"Target -?\d+ is out of bounds"),
            Words("Received a label value of ", r"label value of -?\d+ which is outside the valid range"),
        ),
    ),
    Signature(
        "shape-mismatch",
        "crash-exception",
        "crashed",
        Role.ROOT,
        "shapes did not fit",
        (
            Words("mat1 and mat2 shapes cannot be multiplied"),
            Words("The size of tensor a", r"The size of tensor a \(\d+\) must match the size of tensor b"),
            Words("Sizes of tensors must match"),
            Words("Expected input batch_size", r"Expected input batch_size \(\d+\) to match target batch_size"),
            Words("stack expects each tensor to be equal size"),
            Words("Given groups=", r"Given groups=\d+, weight of size"),
            Words("RuntimeError: shape '", r"shape '\[.{0,400}\]' is invalid for input of size"),
            Words("expected sequence of length ", r"expected sequence of length \d+ at dim \d+ \(got \d+\)"),
            Words("appears not to match sizes of the same param in process"),
            Words("Expected more than 1 value per channel when training"),
            Words("RuntimeError: both arguments to ", r"both arguments to \w{1,20} need to be at least 1D"),
            Words("Unable to create tensor, you should probably activate truncation"),
        ),
    ),
    Signature(
        "device-mismatch",
        "crash-exception",
        "crashed",
        Role.ROOT,
        "tensors lay on different devices",
        (
            Words("Expected all tensors to be on the same device"),
            Words("must have its parameters and buffers on device"),
            Words("Input type (", _OF_ANOTHER_DEVICE),
        ),
    ),
    Signature(
        "dtype-mismatch",
        "crash-exception",
        "crashed",
        Role.ROOT,
        "tensors had different dtypes",
        (
            Words("expected scalar type ", r"RuntimeError: expected scalar type \w+ but found"),
            Words("ve the same dtype", r"RuntimeError: .{0,200}(?:to|must) have the same dtype"),
            Words("Input type (", r"Input type \(.{0,400}\) and (?:weight|bias) type .{0,400} should be the same"),
            Words("source and destination dtypes match"),
            Words("only support fp16 and bf16 data type"),
            Words(" not implemented for '", r"RuntimeError: \S+ not implemented for '(?:Half|BFloat16)'"),
        ),
        unless=_OF_ANOTHER_DEVICE,
    ),
    Signature(
        "row-not-decoded",
        "crash-exception",
        "crashed",
        Role.ROOT,
        "a row of the data could not be decoded",
        (
            Words("JSONDecodeError: "),
            Words("UnicodeDecodeError: "),
            Words("UnidentifiedImageError: "),
            Words("ArrowInvalid: "),
            Words("DatasetGenerationError"),
            Words("DataFilesNotFoundError"),
            Words("image file is truncated", r"OSError: image file is truncated"),
            Words("OSError: image file is truncated"),
            Words("BadZipFile: "),
            Words("BadGzipFile: "),
            Words("SyntaxError: broken PNG file"),
            Words("Invalid data found when processing input"),
            Words("zlib.error: "),
            Words("CastError: Couldn't cast"),
            Words("could not convert string to float: "),
            Words("cv2.error: ", r"cv2\.error: .{0,300}empty\(\)"),
            Words("LibsndfileError: "),
            Words("DataLossError: ", r"DataLossError: corrupted record"),
            Words("EOFError: Compressed file ended before"),
            Words("mmap length is greater than file size"),
            Words("ReadError: unexpected end of data"),
        ),
    ),
)
