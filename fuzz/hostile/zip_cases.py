"""Torch zips with hostile pickles, lying directories, impossible tensors and missing ends."""

from collections.abc import Iterator

from fuzz.hostile.assembled import (
    NONE,
    ORDERED_DICT,
    Member,
    call,
    deflated,
    mapping,
    name,
    number,
    numbers,
    pickled,
    storage,
    tensor,
    text,
    torch_members,
    torch_zip,
    zipped,
)
from fuzz.hostile.case import Case, Payload

GOOD = pickled(mapping(w=tensor()))
BOMB = deflated(bytes(256 << 20))


def zip_cases(payload: Payload) -> Iterator[Case]:
    evil = pickled(call(name("os", "system"), text(payload.command)))
    yield from _pickles(payload, evil)
    yield from _names(evil)
    yield from _directories()
    yield from _packed()
    yield from _cut()
    yield from _shapes()
    yield from _storages()
    yield from _special_tensors(payload)


def _pickles(payload: Payload, evil: bytes) -> Iterator[Case]:
    called = call(name("os", "system"), text(payload.command)) + b"0"
    yield Case("zip_system", torch_zip(pickled(mapping(w=tensor()) + called)), r"os\.system", 1)
    twice = torch_zip(GOOD, None, Member(name=b"archive/data.pkl", content=evil))
    yield Case("zip_two_data_pkl", twice, "two entries named", 1)
    other = torch_zip(GOOD, None, Member(name=b"other/data.pkl", content=evil))
    yield Case("zip_two_archives", other, "several data.pkl", 1)
    script = [Member(name=b"archive/constants.pkl", content=pickled(b")")), Member(name=b"archive/code/x.py")]
    yield Case("zip_torchscript", torch_zip(pickled(mapping(w=number(1))), {}, *script), "TorchScript")
    yield Case("zip_without_pickle", zipped([Member(name=b"readme.txt", content=b"hi")]), "without data.pkl")
    yield Case("zip_of_nothing", zipped([]), "without data.pkl")
    yield Case("zip_npz", zipped([Member(name=b"x.npy", content=b"\x93NUMPY")]), r"numpy \.npz")
    front = zipped(torch_members(GOOD), prefix=evil)
    yield Case("zip_behind_a_pickle", front, r"os\.system|also a zip")
    yield Case("zip_behind_a_script", b"#!/bin/sh\n" + torch_zip(GOOD), "not a torch or pickle file")


def _names(evil: bytes) -> Iterator[Case]:
    members = torch_members(GOOD)
    lying = [Member(name=b"archive/data.pkl", local_name=b"archive/datap.kl", content=evil), *members[1:]]
    yield Case("zip_other_local_name", zipped(lying), "disagree")
    lying = [Member(name=b"archive/data.pkl", content=GOOD, local_method=8), *members[1:]]
    yield Case("zip_other_local_method", zipped(lying), "disagree")
    for label, entry in (
        ("absolute", b"/etc/cron.d/x"),
        ("drive", b"C:\\x"),
        ("parent", b"archive/../../../../tmp/x"),
        ("control", b"archive/\x1b]0;title\x07\n<img src=x>"),
    ):
        yield Case(f"zip_{label}_name", zipped([*members, Member(name=entry)]), "unsafe entry name", 1)
    locked = [Member(name=b"archive/data.pkl", content=GOOD, flags=0x801), *members[1:]]
    yield Case("zip_encrypted", zipped(locked), "encrypted|without data.pkl")


def _directories() -> Iterator[Case]:
    members = torch_members(GOOD)
    yield Case("zip_comment_with_end", zipped(members, comment=b"x" * 50 + b"PK\5\6" + bytes(18)), "")
    beyond = [members[0], Member(name=b"archive/data/0", content=bytes(16), stored=1 << 31, size=1 << 31)]
    yield Case("zip_entry_past_the_end", zipped(beyond), "past the data", 0)
    yield Case("zip64_with_2_to_60_entries", zipped(members, wide=True, count=1 << 60), "over the limit", 1)
    yield Case("zip64_directory_of_4_gb", zipped(members, wide=True, directory_size=1 << 32), "over the limit", 1)
    yield Case("zip_more_entries_than_bytes", zipped(members, count=60_000), "cannot have", 1)
    many = [Member(name=b"archive/x/%d" % i) for i in range(50_000)]
    yield Case("zip_50_000_entries", zipped([*members, *many], wide=True), "", 1)
    alias = Member(name=b"archive/data/1", content=GOOD, header=0, has_local=False)
    yield Case("zip_overlap_disagreeing", zipped([*members, alias]), "disagree", 1)
    quoted = Member(name=b"archive/data.pkl", content=GOOD, stored=len(GOOD) + 90, size=len(GOOD) + 90)
    yield Case("zip_quoted_overlap", zipped([quoted, *members[1:]]), "overlaps")


def _packed() -> Iterator[Case]:
    packed = [
        Member(name=b"archive/data.pkl", content=GOOD, method=8),
        Member(name=b"archive/data/0", content=bytes(16), method=8),
    ]
    yield Case("zip_compressed", zipped(packed), "its storage record is compressed", 0)
    bomb = Member(name=b"archive/data.pkl", packed=BOMB, method=8, size=256 << 20)
    yield Case("zip_bomb", zipped([bomb]), "over the limit")
    liar = Member(name=b"archive/data.pkl", packed=BOMB, method=8, size=100)
    yield Case("zip_bomb_that_lies", zipped([liar]), "past its declared size")
    broken = Member(name=b"archive/data.pkl", packed=b"\xff" * 50, method=8, size=100)
    yield Case("zip_corrupt_deflate", zipped([broken]), "corrupt compressed data")
    strange = Member(name=b"archive/data.pkl", content=GOOD, method=99)
    yield Case("zip_unknown_method", zipped([strange]), "unknown method 99")
    huge = pickled(mapping(w=tensor(storage(elements=1 << 26), shape=(1 << 26,))))
    stored = Member(name=b"archive/data/0", packed=BOMB, method=8, size=256 << 20)
    yield Case("zip_bomb_storage", zipped([torch_members(huge)[0], stored]), "compressed", 0)


def _cut() -> Iterator[Case]:
    weights = {f"layer_{i}": tensor(storage(str(i), elements=256), shape=(16, 16), strides=(16, 1)) for i in range(8)}
    good = torch_zip(pickled(mapping(**weights)), {str(i): bytes([i + 1]) * 1024 for i in range(8)})
    yield Case("zip_cut_in_a_storage", good[:5600], "cut off", 4)
    yield Case("zip_cut_in_the_pickle", good[:400], "ends in the middle of an opcode")
    yield Case("zip_cut_in_the_directory", good[:-30], "no zip directory", 8)
    yield Case("zip_zero_tail", good[:5600] + bytes(len(good) - 5600), "no zip directory", 4)
    flipped = bytearray(good)
    flipped[good.find(b"layer_3") + 3] ^= 0x40
    yield Case("zip_flipped_pickle", bytes(flipped), "does not match its checksum")


def _shapes() -> Iterator[Case]:
    other = storage("1")
    for label, hostile, said in (
        ("stride_out_of_bounds", tensor(other, shape=(2, 2), strides=(1 << 20, 1)), "view needs"),
        ("offset_out_of_bounds", tensor(other, 1 << 30), "view needs"),
        ("negative_stride", tensor(other, strides=(-1,)), "impossible stride"),
        ("negative_offset", tensor(other, -4), "impossible storage offset"),
        ("negative_size", tensor(other, shape=(-4,)), "impossible shape"),
        ("overflow", tensor(other, shape=(1 << 31, 1 << 31, 4), strides=(1 << 33, 4, 1)), "view needs"),
        ("size_2_to_62", tensor(other, shape=(1 << 62,)), "impossible shape"),
        ("size_of_2_gb", tensor(other, shape=(700_000_000,)), "view needs"),
        ("dimensions_10_000", tensor(other, shape=(1,) * 10_000, strides=(1,) * 10_000), "10000 dimensions"),
        ("size_as_float", tensor(other, shape=(4.0,)), "impossible shape"),
        ("size_as_text", tensor(other, shape=text("4")), "shape is a str"),
        ("expanded", tensor(other, shape=(1 << 40,), strides=(0,)), "expanded view"),
        ("rank_mismatch", tensor(other, shape=(2, 2)), "2 sizes and 1 strides"),
        ("over_no_storage", tensor(number(1)), "that is no storage"),
    ):
        saved = pickled(mapping(ok=tensor(), w=hostile))
        yield Case(f"tensor_{label}", torch_zip(saved, {"0": bytes(16), "1": bytes(16)}), said, 1)


def _storages() -> Iterator[Case]:
    for label, hostile, said in (
        ("negative_count", storage("1", elements=-4), "bad storage"),
        ("count_2_to_61", storage("1", elements=1 << 61), "its record has 16"),
        ("count_as_float", storage("1", elements=4.5), "bad storage"),
        ("type_no_storage", storage("1", "system"), "bad storage"),
        ("type_of_another_module", storage("1", module="acme"), "bad storage"),
        ("parent_key", storage("../../../../etc/passwd"), "no data record"),
        ("nul_key", storage("0\0x"), "no data record"),
        ("short_record", storage("1", elements=1000), "its record has 16 of 4000"),
        ("declared_twice", storage("0", "DoubleStorage"), "declared twice"),
    ):
        size = 1000 if label == "short_record" else 4
        saved = pickled(mapping(ok=tensor(), w=tensor(hostile, shape=(size,))))
        # A view of four elements is there in full where only the declared count is too large.
        intact = 2 if label == "count_2_to_61" else 1
        yield Case(
            f"storage_{label}",
            torch_zip(saved, {"0": bytes(16), "1": bytes(16)}),
            said if intact == 1 else "",
            intact,
        )


def _special_tensors(payload: Payload) -> Iterator[Case]:
    quantizer = b"(" + name("torch", "per_tensor_affine") + number(0.1) + number(0) + b"t"
    for step in (1 << 40, 4096):
        arguments = (storage("0", "QUInt8Storage", 12), number(0), numbers(3, 4), numbers(step, 1), quantizer)
        rebuilt = call(name("torch._utils", "_rebuild_qtensor"), *arguments, b"\x89", ORDERED_DICT)
        # pytorch issue 184652: used to leak heap bytes or crash.
        yield Case(f"quantized_stride_{step}", torch_zip(pickled(rebuilt), {"0": bytes(12)}), "view needs", 0)
    rebuild = name("torch._tensor", "_rebuild_from_type_v2")
    execute = call(rebuild, name("builtins", "exec"), name("torch", "Tensor"), text(payload.code) + b"\x85", NONE)
    yield Case("rebuild_from_type_exec", torch_zip(pickled(mapping(w=execute))), r"builtins\.exec", 0)
    wrapper = call(
        name("torch._utils", "_rebuild_wrapper_subclass"),
        name("os", "system"),
        name("torch", "float32"),
        numbers(4),
        numbers(1),
        number(0),
    )
    yield Case("wrapper_subclass", torch_zip(pickled(mapping(w=wrapper))), r"os\.system", 0)
    members = torch_members(GOOD)
    big = [members[0], Member(name=b"archive/byteorder", content=b"big"), members[2]]
    yield Case("big_endian", zipped(big), "byte order", 0)
    alien = call(name("torch._utils", "_rebuild_tensor_v3"), storage(), number(0), numbers(4), numbers(1), b"\x89")
    yield Case("typed_tensor_cut_short", torch_zip(pickled(mapping(w=alien))), "does not take", 0)
