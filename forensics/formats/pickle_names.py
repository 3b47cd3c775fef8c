"""Names that pickles ask for: one spelling for each, and which hand control to its author when a program unpickles it.

The standard library is known in full, so there the rule is a list of what ordinary pickles ask for, and all else is
told: new gadgets are found in it every month (picklescan 1.0, `scanner.py`, grew from 5 names in 2022 to 70). Other
packages are open: there only what is known to run, load or write is told, and a function of the standard library that
is reached through another module. A class of the user's own is silent.

Held against all pickles of the fixtures and against objects of torch, numpy, transformers, accelerate, Lightning and
Megatron (`tests/formats/test_pickle_names.py`): no false alarm. Nothing is ever called here, whatever the name.
"""

import builtins
import sys

from forensics.deferred.patterns import expression

_MOVED_MODULES = {
    "__builtin__": "builtins",  # Python 2
    "copy_reg": "copyreg",  # Python 2
    "torch.tensor": "torch._tensor",  # torch < 1.8
}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Of Pythons before and after this one: pickles are opened by others. Modules that run nothing are left out; a user's
# own file may have their name (`parser`, `commands`, `test`).
_OTHER_PYTHONS = _words(
    """
    asynchat asyncore cgi cgitb commands.getoutput commands.getstatusoutput distutils ensurepip httplib imp lib2to3
    nntplib os2 pipes pip pkg_resources popen2 posixfile setuptools smtpd telnetlib test.support test.libregrtest
    urllib2 xmlrpclib _aix_support aix_support _bootsubprocess _osx_support _pyrepl
    """
)
_STANDARD = frozenset(sys.stdlib_module_names)

_ERRORS = frozenset(
    name for name, held in vars(builtins).items() if isinstance(held, type) and issubclass(held, BaseException)
)
_WHOLE = _words("datetime decimal fractions ipaddress numbers typing math cmath __future__ abc collections.abc enum")
"""Modules of which no member runs, loads, reads or writes anything that it is not given."""
_ORDINARY = (
    _words(
        """
        builtins.object builtins.range builtins.slice builtins.complex builtins.bool builtins.int builtins.long
        builtins.float builtins.str builtins.unicode builtins.bytes builtins.bytearray builtins.list builtins.tuple
        builtins.dict builtins.set builtins.frozenset builtins.Ellipsis builtins.NotImplemented builtins.len
        builtins.abs builtins.min builtins.max builtins.sum builtins.round builtins.sorted builtins.reversed
        builtins.enumerate builtins.zip builtins.property builtins.classmethod builtins.staticmethod
        builtins.getattr builtins.type builtins.reduce builtins.xrange builtins.memoryview collections.OrderedDict
        collections.defaultdict collections.Counter collections.deque collections.ChainMap collections.UserDict
        collections.UserList collections.UserString copyreg._reconstructor copyreg.__newobj__ copyreg.__newobj_ex__
        _codecs.encode codecs.encode functools.partial functools.partialmethod functools.cached_property
        functools.reduce _functools.partial _functools.reduce operator.itemgetter operator.getitem operator.or_
        operator.add operator.sub operator.mul operator.truediv _operator.itemgetter _operator.getitem _operator.or_
        argparse.Namespace optparse.Values configparser.ConfigParser types.SimpleNamespace types.MappingProxyType
        types.GenericAlias types.UnionType types.NoneType types.EllipsisType types.NotImplementedType uuid.UUID
        uuid.SafeUUID random.Random time.struct_time os.stat_result os.terminal_size string.Template
        zoneinfo.ZoneInfo zoneinfo.ZoneInfo._unpickle http.HTTPStatus http.HTTPMethod signal.Signals re._compile
        re.compile re.RegexFlag re.Pattern _sre.compile array.array array._array_reconstructor io.BytesIO
        io.StringIO _io.BytesIO _io.StringIO itertools.count itertools.cycle itertools.repeat itertools.chain
        itertools.islice itertools.product itertools.permutations itertools.combinations itertools.accumulate
        itertools.zip_longest logging.Logger logging.RootLogger logging.getLogger logging.LogRecord
        dataclasses.Field dataclasses._MISSING_TYPE dataclasses.MISSING dataclasses._HAS_DEFAULT_FACTORY_CLASS
        dataclasses.InitVar dataclasses.KW_ONLY dataclasses._FIELD_BASE inspect._ParameterKind inspect.Parameter
        inspect.Signature inspect._empty contextlib.nullcontext weakref.WeakValueDictionary
        weakref.WeakKeyDictionary weakref.WeakSet
        """
    )
    | frozenset(f"builtins.{name}" for name in _ERRORS)
    | frozenset(f"exceptions.{name}" for name in _ERRORS)
)
_PATHS = _words("Path PosixPath WindowsPath PurePath PurePosixPath PureWindowsPath")

_OF_PACKAGES = _words(
    """
    cffi requests aiohttp httpx cloudpickle dill joblib.numpy_pickle.load joblib.load joblib.memory pandas.io
    pandas.eval pandas.read_pickle pandas.read_csv pandas.core.computation IPython ipykernel paramiko fabric sh
    pexpect ptyprocess psutil.Popen gunicorn wandb.sdk.launch boto3 fsspec.open s3fs gcsfs yaml.load
    yaml.unsafe_load yaml.full_load hydra.utils tensorflow.io tensorflow.python.ops.io_ops tensorflow.python.lib.io
    keras.utils.get_file keras.layers.core.lambda_layer keras.src.layers.core.lambda_layer
    tensorflow.keras.utils.get_file jax.experimental.host_callback numba.core.serialize numexpr scipy.weave
    django.core.management nltk.downloader huggingface_hub.snapshot_download transformers.dynamic_module_utils
    datasets.load_dataset
    """
)
"""Other packages' modules and functions that run, load, fetch or write what their arguments say."""
_OF_TORCH = _words(
    """
    torch.load torch.save torch.compile torch.import_ir_module torch.hub torch.jit torch.ops torch.classes
    torch.package torch.fx torch.testing torch.onnx torch.export torch._export torch._inductor torch._dynamo
    torch._library torch._ops torch._functorch torch._lazy torch._appdirs torch._numpy.testing torch.multiprocessing
    torch.profiler torch.autograd.profiler torch.cuda._sanitizer torch.distributed.rpc torch.distributed.run
    torch.distributed.launch torch.distributed.launcher torch.distributed.elastic torch.utils.cpp_extension
    torch.utils.collect_env torch.utils.bottleneck torch.utils.model_zoo torch.utils._config_module
    torch.utils.show_pickle torch.utils.dlpack torch.utils.data.datapipes.utils.decoder torch.utils.benchmark
    torch.utils.model_dump torch.utils.tensorboard torch.utils.mobile_optimizer torch.utils.hipify torch.utils.viz
    torch.utils.jit torch.serialization.load torch.serialization.save torch.serialization._load
    torch.serialization._legacy_load torch.serialization._open_file torch.serialization._open_file_like
    torch.storage.TypedStorage.from_file torch.from_file torch.UntypedStorage.from_file
    torch.storage.UntypedStorage.from_file torch._C._jit torch._C.import_ir_module
    torch._C._import_ir_module_from_package torch._C.PyTorchFileReader torch._C.PyTorchFileWriter
    torch.accelerator._utils torch._utils_internal
    """
)
_SAVED = _words("torch.jit._pickle torch.jit._script.RecursiveScriptModule torch.fx.immutable_collections")
"""Parts of the former that saved objects ask for, and that build lists and records only."""
_OF_NUMPY = _words(
    """
    numpy.f2py numpy.testing numpy.distutils numpy.lib numpy.ctypeslib numpy.compat numpy.rec.fromfile
    numpy.core.records.fromfile numpy.core._ufunc_reconstruct numpy.core._methods numpy._pytesttester numpy.test
    numpy.load numpy.save numpy.savez numpy.savez_compressed numpy.savetxt numpy.loadtxt numpy.genfromtxt
    numpy.fromfile numpy.fromregex numpy.memmap numpy.core.memmap numpy.DataSource numpy.frompyfunc
    numpy.fromfunction numpy.vectorize numpy.apply_along_axis numpy.apply_over_axes numpy.piecewise numpy.source
    numpy.core.multiarray.fromfile numpy.core.umath.frompyfunc numpy.core.multiarray.frompyfunc numpy.ma.extras
    numpy.random._examples
    """
)
_RUNNING = _OTHER_PYTHONS | _OF_PACKAGES | _OF_TORCH | _OF_NUMPY
_CLASS = expression(r"_*[A-Z]\w*(?:\._*[A-Z]\w*)*")
_REACHED = _words("os sys system popen eval exec subprocess shutil builtins importlib pickle globals getattr")
_RESTORING = expression(
    r"__(?:newobj(?:_ex)?|bit_generator_ctor|generator_ctor|RandomState_ctor|randomstate_ctor|pyx_unpickle_\w+)(?:__)?"
)
_DUNDER = expression(r"__\w+__")


def canonical(module: str) -> str:
    """Return the module's present spelling.

    >>> canonical("__builtin__"), canonical("numpy._core.multiarray")
    ('builtins', 'numpy.core.multiarray')
    """
    module = _MOVED_MODULES.get(module, module)
    if module.startswith("numpy._core"):
        module = "numpy.core" + module[len("numpy._core") :]
    return module


def is_unsafe(module: str, name: str) -> bool:
    """Whether a program that unpickles an object of this name may hand control, a file or a socket to its author.

    `module` in its present spelling (`canonical`); `name` may be dotted, since protocol 4.

    >>> is_unsafe("posix", "system"), is_unsafe("uuid", "_get_command_stdout"), is_unsafe("collections", "_sys.exit")
    (True, True, True)
    >>> is_unsafe("uuid", "UUID"), is_unsafe("torch._utils", "_rebuild_tensor_v2"), is_unsafe("__main__", "Config")
    (False, False, False)
    """
    text = f"{module}.{name}"
    package = text.partition(".")[0]
    if package in {"copyreg extension", ""}:
        return False  # a number, told elsewhere
    if package in _STANDARD:
        return not _is_ordinary(module, name, text)
    if _within(text, _RUNNING):
        return not _within(text, _SAVED)
    # A module that is reached through another package's own imports: `transformers.utils` with `os.system`.
    reached = name.split(".")
    if not _REACHED.isdisjoint(reached) or any(
        _DUNDER.fullmatch(part) and not _RESTORING.fullmatch(part) for part in reached
    ):
        return True
    return len(reached) > 1 and reached[0] in _STANDARD and reached[0].islower()


def _is_ordinary(module: str, name: str, text: str) -> bool:
    if text in _ORDINARY:
        return True
    if module == "pathlib" or module.startswith("pathlib."):
        return name in _PATHS
    # One name and no way through it: `datetime.sys.modules` is not of `datetime`.
    return module in _WHOLE and ("." not in name or _CLASS.fullmatch(name) is not None)


def _within(text: str, names: frozenset[str]) -> bool:
    """Whether the name, or a module around it, is one of `names`."""
    parts = text.split(".")
    return any(".".join(parts[:count]) in names for count in range(1, len(parts) + 1))
