"""Names that pickles ask for: one spelling for each, and which of them would be an attack elsewhere."""

_MOVED_MODULES = {
    "__builtin__": "builtins",  # Python 2
    "copy_reg": "copyreg",  # Python 2
    "torch.tensor": "torch._tensor",  # torch < 1.8
}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# A program that unpickles a file with one of these names runs what the file's author wrote. The list only
# words the report: nothing is ever called here, whatever the name.
_DANGEROUS_MODULES = _words(
    """
    os posix nt subprocess sys shutil socket ctypes cffi importlib imp runpy code codeop pty pdb bdb timeit trace
    profile cProfile pip ensurepip venv webbrowser urllib http ftplib smtplib requests aiohttp httpx asyncio
    multiprocessing signal pkgutil pydoc marshal inspect linecache tempfile glob fileinput pickle _pickle
    cloudpickle dill shelve operator _operator gc idlelib lib2to3 distutils setuptools test doctest unittest
    numpy.testing numpy.f2py torch.hub torch.jit torch.ops torch.classes torch.package torch.fx torch.utils
    torch._inductor torch._dynamo torch.multiprocessing torch.distributed.rpc
    """
)
_DANGEROUS_NAMES = _words(
    """
    functools.reduce io.open io.FileIO _io.open _io.FileIO types.CodeType types.FunctionType numpy.load
    numpy.fromfile numpy.memmap numpy.save torch.load torch.save torch.serialization.load torch.serialization.save
    builtins.eval builtins.exec builtins.execfile builtins.compile builtins.open builtins.input
    builtins.__import__ builtins.setattr builtins.delattr builtins.globals builtins.locals builtins.vars
    builtins.dir builtins.map builtins.filter builtins.apply builtins.breakpoint builtins.exit builtins.quit
    builtins.memoryview builtins.type builtins.super
    """
)
_DANGEROUS_PARTS = _words("os sys subprocess system popen eval exec")
_HARMLESS_DUNDERS = ("__main__", "__torch__", "__newobj__", "__builtin__")


def canonical(module: str, name: str) -> str:
    """Return the dotted name with the module's present spelling.

    >>> canonical("__builtin__", "set"), canonical("numpy._core.multiarray", "scalar")
    ('builtins.set', 'numpy.core.multiarray.scalar')
    """
    module = _MOVED_MODULES.get(module, module)
    if module.startswith("numpy._core"):
        module = "numpy.core" + module[len("numpy._core") :]
    return f"{module}.{name}"


def is_dangerous(text: str) -> bool:
    """Whether a program that unpickles an object of this name hands over control.

    >>> is_dangerous("posix.system"), is_dangerous("torch._utils._rebuild_tensor_v2")
    (True, False)
    """
    parts = text.split(".")
    prefixes = {".".join(parts[:count]) for count in range(1, min(len(parts), 3) + 1)}
    if prefixes & _DANGEROUS_MODULES or prefixes & _DANGEROUS_NAMES:
        return True
    return any(
        part in _DANGEROUS_PARTS or (part.startswith("__") and part.endswith("__") and part not in _HARMLESS_DUNDERS)
        for part in parts
    )
