"""Legacy and tar files of torch, and numpy files, made to run code or to read out of bounds."""

import io
import struct
import tarfile
from collections.abc import Iterator

from fuzz.hostile.assembled import (
    NONE,
    Member,
    call,
    mapping,
    name,
    number,
    numbers,
    pickled,
    storage,
    tensor,
    text,
    zipped,
)
from fuzz.hostile.case import Case, Payload

MAGIC = pickled(b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19")
HEAD = MAGIC + pickled(number(1001)) + pickled(mapping(protocol_version=number(1001)))
KEYS = pickled(b"](" + text("0") + b"e")
DATA = struct.pack("<q", 4) + bytes(16)


def legacy_cases(payload: Payload) -> Iterator[Case]:
    evil = call(name("os", "system"), text(payload.command))
    weights = mapping(w=_tensor())
    yield Case("legacy_system", HEAD + pickled(weights + evil + b"0") + KEYS + DATA, r"os\.system", 1)
    magic = call(name("builtins", "eval"), text(payload.code))
    yield Case("legacy_magic_eval", pickled(magic) + pickled(number(1001)) + pickled(mapping()), r"builtins\.eval")
    information = MAGIC + pickled(number(1001)) + pickled(evil) + pickled(weights) + KEYS + DATA
    yield Case("legacy_system_in_information", information, r"os\.system", 1)
    yield Case("legacy_system_in_keys", HEAD + pickled(weights) + pickled(evil) + DATA, r"os\.system", 0)
    module = b"(" + text("module") + name("my.models", "../../evil") + text("/etc/passwd") + text("print()") + b"tQ"
    yield Case("legacy_module_source", HEAD + pickled(module) + KEYS + DATA, "brings source code")
    for label, count in (("forged", 1 << 60), ("negative", -1)):
        forged = HEAD + pickled(weights) + KEYS + struct.pack("<q", count) + bytes(16)
        yield Case(f"legacy_count_{label}", forged, "its data says", 0)
    huge = mapping(w=_tensor(700_000_000))
    yield Case(
        "legacy_3_gb_storage",
        HEAD + pickled(mapping(w=_tensor(700_000_000), v=huge)) + KEYS + struct.pack("<q", 700_000_000) + bytes(16),
        "not there in full.*cut off",
        2,  # four elements of the storage are there, and no more are looked at
    )
    yield Case("legacy_cut_in_data", HEAD + pickled(weights) + KEYS + DATA[:14], "cut off", 0)
    yield Case("legacy_cut_in_pickle", (HEAD + pickled(mapping(w=_tensor(), v=_tensor())))[:-60], "ends in the middle")
    view = b"(" + text("v0") + number(2) + number(1000) + b"t"
    yield Case("legacy_view_out_of_bounds", HEAD + pickled(mapping(w=_tensor(view=view))) + KEYS + DATA, "storage view")
    repeated = pickled(b"](" + text("0") * 1000 + b"e")
    yield Case("legacy_same_key_1000_times", HEAD + pickled(weights) + repeated + DATA, "one twice", 1)


def _tensor(elements: int = 4, view: bytes = NONE) -> bytes:
    return tensor(storage(elements=elements, view=view))


def tar_cases(payload: Payload) -> Iterator[Case]:
    evil = call(name("os", "system"), text(payload.command))
    stored = pickled(number(1)) + pickled(_entry("0", "cpu", "FloatStorage")) + DATA
    shape = struct.pack("<iiqqq", 1, 0, 4, 1, 0)
    listed = pickled(number(1)) + pickled(_entry("0", "0", "FloatTensor")) + shape
    saved = pickled(mapping(w=text("0") + b"Q"))
    good = {"sys_info": pickled(mapping()), "pickle": saved, "tensors": listed, "storages": stored}
    yield Case(
        "tar_system",
        _tar({**good, "pickle": pickled(mapping(w=text("0") + b"Q") + evil + b"0")}),
        r"os\.system",
        1,
    )
    yield Case("tar_system_in_storages", _tar({**good, "storages": pickled(evil)}), r"number of tensors|os\.system")
    yield Case("tar_million_storages", _tar({**good, "storages": pickled(number(1 << 40))}), "that cannot be")
    forged = pickled(number(1)) + pickled(_entry("0", "cpu", "FloatStorage")) + struct.pack("<q", 1 << 50)
    yield Case("tar_storage_2_to_50", _tar({**good, "storages": forged}), "does not fit")
    wide = pickled(number(1)) + pickled(_entry("0", "0", "FloatTensor")) + struct.pack("<ii", 5000, 0)
    yield Case("tar_5000_dimensions", _tar({**good, "tensors": wide}), "5000 dimensions")
    beyond = pickled(number(1)) + pickled(_entry("0", "0", "FloatTensor")) + struct.pack("<iiqqq", 1, 0, 400, 1, 0)
    yield Case("tar_view_out_of_bounds", _tar({**good, "tensors": beyond}), "view needs", 0)
    yield Case("tar_cut", _tar(good)[:3600], "ends at byte")
    yield Case("tar_without_pickle", _tar({"x": b"y"}), "not a legacy torch file")
    for label, kind in (("symlink", tarfile.SYMTYPE), ("fifo", tarfile.FIFOTYPE), ("device", tarfile.CHRTYPE)):
        yield Case(f"tar_{label}", _tar({**good, "storages": b""}, kind), "link or a device|not a legacy torch file")
    damaged = bytearray(_tar(good))
    damaged[124:136] = b"-0000000012\0"
    yield Case("tar_negative_size", bytes(damaged), "bytes|not a legacy torch file|size")


def _entry(first: str, second: str, kind: str) -> bytes:
    return b"(" + text(first) + text(second) + name("torch", kind) + b"t"


def _tar(members: dict[str, bytes], storages_as: bytes = tarfile.REGTYPE) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:", format=tarfile.USTAR_FORMAT) as archive:
        for member, content in members.items():
            information = tarfile.TarInfo(member)
            information.size = len(content)
            if member == "storages" and storages_as != tarfile.REGTYPE:
                information.type, information.linkname = storages_as, "/etc/passwd"
            archive.addfile(information, io.BytesIO(content))
    return made.getvalue()


def numpy_cases(payload: Payload) -> Iterator[Case]:
    evil = pickled(call(name("os", "system"), text(payload.command)))
    for label, array, said in (
        ("object", npy(evil, "'|O'", "(1,)"), "Python objects"),
        ("record_with_object", npy(evil, "[('a', '|O')]", "(1,)"), "dtype record"),
        ("expression", npy(b"", "__import__('os').system('true')", "(1,)"), "numpy does not write"),
        ("huge_shape", npy(bytes(4), "'<f4'", "(4611686018427387904,)"), "impossible shape"),
        ("overflow", npy(bytes(4), "'<f4'", "(4294967296, 4294967296, 4)"), "needs"),
        ("negative", npy(bytes(4), "'<f4'", "(-1,)"), "numpy does not write"),
        ("dimensions", npy(bytes(4), "'<f4'", "(" + "1, " * 200 + ")"), "impossible shape"),
        ("big_endian", npy(bytes(4), "'>f4'", "(1,)"), "dtype >f4"),
        ("short", npy(bytes(4), "'<f4'", "(100,)"), "needs 400 bytes"),
        ("version_9", b"\x93NUMPY\x09\x00" + bytes(60), "no numpy header"),
        ("header_of_4_gb", b"\x93NUMPY\x02\x00" + b"\xff" * 60, "a header of"),
        ("header_cut", b"\x93NUMPY\x01\x00\xff\x00{'descr'", "ends at byte"),
        ("nothing", b"hello world!", "no numpy file"),
    ):
        yield Case(f"npy_{label}", array, said, ending="npy")
    members = [Member(name=b"x.npy", content=npy(evil, "'|O'", "(1,)"))]
    yield Case("npz_object", zipped(members), "Python objects", ending="npz")
    bomb = Member(name=b"x.npy", packed=b"\0", method=8, size=1 << 31)
    yield Case("npz_bomb", zipped([bomb]), "compressed", ending="npz")
    yield Case("npz_cut", zipped(members)[:-10], "no zip directory", ending="npz")


def npy(content: bytes, dtype: str, shape: str) -> bytes:
    header = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (63 - (len(header) + 10) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content


def joblib_case(payload: Payload) -> Case:
    """Return a joblib file: a pickle with raw array bytes in between, and a call behind them."""
    wrapper = name("joblib.numpy_pickle", "NumpyArrayWrapper") + b")\x81" + mapping(shape=numbers(2)) + b"b"
    evil = call(name("os", "system"), text(payload.command))
    return Case("joblib", pickled(wrapper + evil + b"0"), r"os\.system")
