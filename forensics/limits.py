"""How much one input may cost. Frozen, validated, passed down, never global."""

from dataclasses import fields

from forensics.deferred.records import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds for untrusted input; counts unless a unit is named.

    The pickle limits follow what real files need: fickling 0.1.12 stops at 1,000,000 opcodes
    (`InterpreterLimits`), but a 24,000-chunk `.metadata` of torch.distributed.checkpoint needs about
    2,000,000. `pickle_cost_fold` is how many bytes of objects a byte of pickle may build: the pickles of all fixtures
    stay below 26. A safetensors header may be 100,000,000 bytes by the format's own rule
    (`safetensors/src/tensor.rs`, `MAX_HEADER_SIZE`), which is some 700,000 tensors. The public checkpoint with the most
    tensors that we know of, moonshotai/Kimi-K2-Thinking, has about 208,000 in 62 files and an index of some 25 MB: 60
    layers of 384 experts, three matrices each, stored as weight, scale and shape (its config.json, compressed-tensors).
    `tensors` and `json_bytes` are ten times a file and an index of it, or more. `files_of_a_kind`, of one ending in one
    folder, are a log for each rank of the largest training of which the number of GPUs is public (The Llama 3 Herd of
    Models, section 3.3).
    """

    files: int = 100_000
    files_of_a_kind: int = 16_384
    depth: int = 32
    text_line_bytes: int = 65_536
    json_bytes: int = 256 << 20
    yaml_bytes: int = 1 << 20
    small_file_bytes: int = 16 << 20
    pickle_opcodes: int = 12_000_000
    pickle_bytes: int = 64 << 20
    pickle_cost_bytes: int = 400 << 20
    pickle_cost_fold: int = 64
    pickle_nesting: int = 3
    zip_entries: int = 500_000
    header_bytes: int = 100_000_000
    tensors: int = 1_000_000
    dimensions: int = 64
    event_record_bytes: int = 64 << 20
    archive_bytes: int = 8 << 30

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int) or value <= 0:
                raise ValueError(f"limit {field.name} must be a positive integer, not {value!r}")


DEFAULT = Limits()
