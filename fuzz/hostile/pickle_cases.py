"""Pickles that would run code, exhaust memory or time, or confuse a reader's types."""

import struct
from collections.abc import Iterator

from fuzz.hostile.assembled import (
    NONE,
    call,
    data,
    mapping,
    name,
    number,
    numbers,
    pickled,
    short_text,
    stack_name,
    tensor,
    text,
    torch_zip,
)
from fuzz.hostile.case import Case, Payload

SYSTEM = name("os", "system")
HASH_MODULUS = (1 << 61) - 1  # CPython, 64 bits: integers that differ by it have the same hash


def pickle_cases(payload: Payload) -> Iterator[Case]:
    yield from _calls(payload)
    yield from _hidden_calls(payload)
    yield from _names(payload)
    yield from _nested(payload)
    yield from _broken(payload)
    yield from _expansion()
    yield from _keys()
    yield from _lengths()
    yield from _gadgets()
    yield from _not_a_pickle()


def _calls(payload: Payload) -> Iterator[Case]:
    run = payload.command
    quoted = b"S" + repr(run).encode() + b"\n"
    code = b"S" + repr(payload.code).encode() + b"\n"
    yield Case("exec_protocol_0", b"c__builtin__\nexec\n(" + code + b"tR.", r"__builtin__\.exec")
    yield Case("system_protocol_2", pickled(call(SYSTEM, text(run))), r"os\.system")
    yield Case("posix_system", pickled(call(name("posix", "system"), text(run))), r"posix\.system")
    yield Case("stack_global", pickled(stack_name("os", "system") + text(run) + b"\x85R", 4), r"os\.system")
    yield Case("inst", b"(" + quoted + b"ios\nsystem\n.", r"os\.system")
    yield Case("obj", b"(" + SYSTEM + quoted + b"o.", r"os\.system")
    yield Case("obj_then_pop", pickled(b"(" + SYSTEM + text(run) + b"o0N", 4), r"os\.system")
    mapped = name("builtins", "map") + b"(" + name("builtins", "exec") + b"](" + text(payload.code) + b"et\x81"
    yield Case("newobj_map", pickled(name("builtins", "bytes") + b"(" + mapped + b"t\x81"), r"builtins\.exec")
    keyword = SYSTEM + b"(" + text(run) + b"t}\x92"
    yield Case("newobj_ex", pickled(keyword, 4), r"os\.system")
    state = b"}(" + text("__setstate__") + SYSTEM + b"ub" + text(run) + b"b"
    yield Case("build_setstate", pickled(name("types", "SimpleNamespace") + b")\x81" + state), r"os\.system")
    slots = NONE + b"}(" + text("__defaults__") + text("polluted") + b"\x85u\x86b0"
    yield Case(
        "build_on_a_function",
        pickled(name("torch._utils", "_rebuild_tensor_v2") + slots + mapping()),
        r"BUILD on torch\._utils\._rebuild_tensor_v2",
    )


def _hidden_calls(payload: Payload) -> Iterator[Case]:
    run = text(payload.command)
    yield Case("popped_call", pickled(call(SYSTEM, run) + b"0" + mapping(w=number(1))), r"os\.system")
    through_memo = b"Vos\np2\n0Vsystem\np3\n0g2\ng3\n\x93(" + run + b"tR."
    yield Case("names_from_memo", through_memo, r"os\.system")
    partial = call(name("functools", "partial"), SYSTEM, run) + b")R"
    yield Case("partial", pickled(partial), r"os\.system")
    imported = name("builtins", "__import__") + text("os") + b"\x85R"
    method = call(name("_operator", "methodcaller"), text("system"), run)
    yield Case("methodcaller", pickled(method + imported + b"\x85R"), r"_operator\.methodcaller")
    attribute = call(name("builtins", "getattr"), imported, text("system")) + run + b"\x85R"
    yield Case("getattr_chain", pickled(attribute), r"builtins\.__import__")
    code = text(payload.code)
    yield Case("runpy", pickled(call(name("runpy", "_run_code"), code, b"}")), r"runpy\._run_code")
    yield Case("timeit", pickled(call(name("timeit", "timeit"), text(""), code)), r"timeit\.timeit")
    helper = name("numpy.testing._private.utils", "runstring")
    yield Case("numpy_runstring", pickled(call(helper, code, b"}")), r"numpy\.testing.*runstring")
    helper = name("torch.utils.collect_env", "run")
    yield Case("torch_collect_env", pickled(call(helper, run)), r"torch\.utils\.collect_env\.run")
    yield Case("torch_load", pickled(call(name("torch.serialization", "load"), text("other.pt"))), r"\.load")
    yield Case("unknown_callable", pickled(call(name("acme.helpers", "run_shell"), run)), "")


def _names(payload: Payload) -> Iterator[Case]:
    run = text(payload.command)
    yield Case("dotted_name", pickled(stack_name("pathlib", "os.system") + run + b"\x85R", 4), r"pathlib\.os\.system")
    yield Case("line_breaks_in_names", pickled(stack_name("os\nsystem", "x\ny") + b")R", 4))
    yield Case("surrogates_in_names", pickled(text("\ud800mod") + text("\udfff") + b"\x93)R", 4))
    yield Case(
        "name_of_100k_letters", pickled(mapping(a=number(1)) + text("m" * 100_000) + text("n") + b"\x93"), "100001"
    )
    yield Case("name_of_a_number", pickled(b"K\x2a" + short_text("os") + b"\x93", 4), "whose name is no text")
    yield Case("extension_codes", pickled(b"\x82\x01)R\x83\x02\x01\x84\x01\x02\x03\x04\x87"), "extension code 1")
    yield Case("persistent_text", b"Pos.system\n.", "persistent id")
    module = b"(" + text("module") + SYSTEM + text("/etc/passwd") + text("source") + b"tQ"
    yield Case("persistent_module", pickled(module), r"os\.system")
    growing = name("a", "b") + b"q\x010" + (b"h\x00h\x01" + text("y" * 150) + b"\x86Rq\x010") * 5000
    yield Case("getattr_that_grows", pickled(name("builtins", "getattr") + b"q\x000" + growing + mapping()))


def _nested(payload: Payload) -> Iterator[Case]:
    inner = pickled(call(SYSTEM, text(payload.command)))
    yield Case("pickle_loads", pickled(call(name("pickle", "loads"), data(inner)), 3), r"pickle\.loads")
    load = name("torch.storage", "_load_from_bytes")
    yield Case("load_from_bytes", pickled(call(load, data(inner)), 3), r"os\.system")
    level = pickled(mapping(a=number(1)))
    for _ in range(40):
        level = pickled(call(load, data(level)), 3)
    yield Case("forty_levels", level, "too deep")
    many = pickled(b"](" + b"]" * 20_000 + b"e")
    repeated = data(many) + b"q\x000" + load + b"q\x010(" + b"h\x01h\x00\x85R" * 5000 + b"t"
    yield Case("same_file_5000_times", pickled(repeated, 3), "work limit")
    yield Case("second_pickle", pickled(mapping(a=number(1))) + inner, r"os\.system")
    arguments = mapping(output_dir=text("out"), x=call(SYSTEM, text(payload.command)), learning_rate=number(5e-5))
    saved = name("transformers.training_args", "TrainingArguments") + b")\x81" + arguments + b"b"
    yield Case("training_args", torch_zip(pickled(saved), {}), r"os\.system")


def _broken(payload: Payload) -> Iterator[Case]:
    called = call(SYSTEM, text(payload.command)) + b"0"
    yield Case("call_then_bad_memo", pickled(called + b"h\x63", 4), r"os\.system")
    yield Case("call_then_end", b"\x80\x02" + called + b"}(" + text("a"), r"os\.system")
    yield Case("call_then_bad_text", b"\x80\x02" + called + b"X\x02\0\0\0\xff\xfe.", r"os\.system")
    yield Case("call_then_bad_opcode", b"\x80\x02" + called + b"\xff\xff.", "unknown pickle opcode 0xff")
    yield Case("underflow", pickled(b"R\x86tb"), "malformed pickle")
    yield Case("only_a_protocol", b"\x80\x04", "ends in the middle")
    yield Case("append_to_number", pickled(b"K\x01K\x02a"), "appends to a int")
    yield Case("odd_dict", pickled(b"(K\x01d"), "without a value")
    cyclic = b"]q\x00h\x00a0}q\x01(" + text("self") + b"h\x01" + text("list") + b"h\x00u"
    yield Case("cyclic", pickled(cyclic))
    # A frame shorter than the bytes opcode inside it: readers disagree on what is data (CPython issue 154848).
    frame = b"N(\x95" + struct.pack("<Q", 2) + b"B\x07\x01\0\0\0\0" + (called + b"(").ljust(261, b"N") + b"1."
    yield Case("frame_divergence", b"\x80\x05" + frame)
    yield Case("frame_of_2_to_64", pickled(b"\x95" + b"\xff" * 8 + mapping(), 4))
    item = tensor() + number(1 << 40) + number(1.0) + b"s"
    yield Case("item_set_on_a_tensor", torch_zip(pickled(item)), "SETITEM on a StoredTensor")


def _expansion() -> Iterator[Case]:
    bomb = b"](K\x01K\x02eq\x00"
    for level in range(60):
        bomb += b"](" + (b"h" + bytes([level])) * 8 + b"eq" + bytes([level + 1])
    yield Case("memo_bomb", pickled(bomb))
    yield Case("deep_list", pickled(b"]" * 300_000 + b"a" * 299_999))
    yield Case("deep_dict", pickled((b"}" + text("k")) * 100_000 + b"N" + b"s" * 100_000))
    yield Case("deep_tuple", pickled(b")" + b"\x85" * 300_000))
    yield Case("million_sets", pickled(b"(" + b"\x8f" * 2_000_000 + b"t", 4), "work limit")
    yield Case("million_marks", pickled(b"(" * 3_000_000), "within each other")
    members = b"](" + b"".join(map(number, range(100_000))) + b"eq\x000"
    for function, said in ((name("builtins", "frozenset"), "set"), (name("collections", "OrderedDict"), "dict")):
        content = (
            members
            if said == "set"
            else b"}(" + b"K\x01N" + b"".join(number(i) + NONE for i in range(100_000)) + b"uq\x000"
        )
        repeated = function + b"q\x010(" + b"h\x01h\x00\x85R" * 20_000 + b"t"
        yield Case(f"same_{said}_20000_times", pickled(content + repeated), "work limit")
    encode = name("_codecs", "encode")
    repeated = b"(" + (b"h\x01h\x00" + text("latin1") + b"\x86R") * 20_000 + b"t"
    start = text("x" * 1_000_000) + b"q\x000" + encode + b"q\x010"
    yield Case("same_text_20000_times", pickled(start + repeated), "work limit")


def _keys() -> Iterator[Case]:
    deep = b")" + b"\x85" * 300_000
    yield Case("deep_tuple_as_key", pickled(b"}" + deep + b"Ns"), "suspicious key")
    yield Case("deep_tuple_in_frozenset", pickled(b"(" + deep + b"\x91", 4), "suspicious key")
    yield Case("deep_tuple_in_set", pickled(b"\x8f(" + deep + b"\x90", 4), "suspicious key")
    colliding = b"".join(number(HASH_MODULUS * (i + (1 << 70))) + NONE for i in range(20_000))
    yield Case("integers_of_one_hash", pickled(b"}(" + colliding + b"u"), "suspicious key")
    yield Case("list_as_key", pickled(b"}]Ns"), "suspicious key")
    tuples = b"".join(numbers(i, -i) + NONE for i in range(20_000))
    yield Case("twenty_thousand_tuple_keys", pickled(b"}(" + tuples + b"u"), "suspicious key")


def _lengths() -> Iterator[Case]:
    cut = "ends in the middle of an opcode"
    yield Case("long_put_2_to_31", pickled(b"]r\xff\xff\xff\x7f0" + mapping()))
    yield Case("text_put_2e9", b"]p2000000000\n.")
    yield Case("bytes_of_2_to_62", pickled(b"\x8e" + struct.pack("<Q", 1 << 62) + b"abc", 4), cut)
    yield Case("text_of_2_to_40", pickled(b"\x8d" + struct.pack("<Q", 1 << 40) + b"abc", 4), cut)
    yield Case("bytearray_of_3_gb", pickled(b"\x96" + struct.pack("<Q", 3 << 30) + b"abc", 5), cut)
    yield Case("bytes_of_3_gb", pickled(b"B" + struct.pack("<I", 3 << 30) + b"abc", 3), cut)
    yield Case("long_of_negative_length", pickled(b"\x8b" + struct.pack("<i", -5) + b"abc"), "negative length")
    long = b"\x8b" + struct.pack("<i", 4 << 20) + b"\x7f" * (4 << 20)
    yield Case("long_of_4_mb", pickled(mapping(step=long)), "absurdly large integer")
    yield Case("int_of_a_million_digits", b"I" + b"9" * 1_000_000 + b"\n.", "1000000 digits")
    yield Case("float_of_a_million_digits", b"F" + b"9" * 1_000_000 + b"\n.", "1000000 digits")


def _gadgets() -> Iterator[Case]:
    """Helpers on the allow list of `torch.load(weights_only=True)` that cost memory or time there."""
    yield Case("bytearray_of_a_number", pickled(name("builtins", "bytearray") + number(3 << 30) + b"\x85R"), "odd")
    slow = text("".join(chr(0x4E00 + i * 7919 % 20_000) for i in range(60_000)))
    yield Case("punycode", pickled(call(name("_codecs", "encode"), slow, text("punycode"))), "odd construction")
    yield Case("codecs_decode", pickled(call(name("_codecs", "decode"), data(b"x" * 99), text("zlib")), 3))
    billion = call(name("builtins", "range"), number(10**9))
    yield Case("counter_of_a_range", pickled(call(name("collections", "Counter"), billion)))
    rebuild = name("torch._tensor", "_rebuild_from_type_v2")
    inner = name("torch", "Tensor")
    nested = rebuild + b"q\x000Nq\x010" + (b"(h\x00" + inner + b"h\x01Ntq\x010h\x00h\x01Rq\x010") * 2000 + b"h\x01"
    yield Case("rebuild_of_rebuild", pickled(nested))
    wrong = call(name("torch._utils", "_rebuild_tensor_v2"), number(1))
    yield Case("too_few_arguments", pickled(mapping(w=wrong, ok=number(1))), "does not take")
    yield Case("set_of_a_number", pickled(call(name("builtins", "set"), number(1))), "set of a int")


def _not_a_pickle() -> Iterator[Case]:
    yield Case("empty", b"", "empty")
    yield Case("zeros", bytes(1 << 20), "zero bytes")
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 2147483648\n"
    yield Case("git_lfs_pointer", pointer, r"Git LFS pointer: the real file \(2147483648 bytes\)")
    yield Case("html_page", b"<!DOCTYPE html><html><script>alert(1)</script>403", "HTML page")
    yield Case("json_error", b'{"error": "Repository not found"}', "JSON error")
    yield Case("elf", b"\x7fELF" + bytes(100), "not a torch or pickle file")
