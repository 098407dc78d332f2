"""Run a program in which `import kafka` gives brokerless.

The program sees what plain `python` would show it: `__main__`, `sys.argv`,
`sys.path[0]`, exit codes, tracebacks and Ctrl-C.
"""

from __future__ import annotations

import builtins
import importlib.util
import io
import pkgutil
import sys
from importlib.machinery import BuiltinImporter, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

from brokerless.standin import FOLDER

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import CodeType, TracebackType

__all__ = ["run_code", "run_module", "run_script", "run_stdin"]


def run_script(path: str, args: Sequence[str] = ()) -> None:
    """As `python path args`: a script, or a folder or zip file with a `__main__.py`."""
    sys.argv = [path, *args]
    file = str(Path(path).absolute())
    holder = pkgutil.get_importer(file)
    if holder is not None:
        _look_first_in(file)
        _run_spec(holder.find_spec("__main__", None), f"can't find '__main__' module in {file!r}")
    else:
        _look_first_in(str(Path(path).resolve().parent))
        loader = SourceFileLoader("__main__", file)
        _run(_read(path), file, __file__=file, __cached__=None, __loader__=loader)


def run_module(name: str, args: Sequence[str] = ()) -> None:
    """As `python -m name args`: a module, or a package with a `__main__`."""
    sys.argv = ["-m", *args]
    _look_first_in(str(Path.cwd()))
    _run_spec(_find(name), f"No module named {name}")


def run_code(code: str, args: Sequence[str] = ()) -> None:
    """As `python -c code args`."""
    sys.argv = ["-c", *args]
    _look_first_in("")
    _run(code.encode() + b"\n", "<string>")


def run_stdin(args: Sequence[str] = ()) -> None:
    """As `python - args`: the program comes from the standard input."""
    sys.argv = ["-", *args]
    _look_first_in("")
    # Of one that is closed python reads an empty program.
    source = b"" if sys.stdin is None else sys.stdin.buffer.read()
    _run(source, "<stdin>", __file__="<stdin>")


def _look_first_in(folder: str) -> None:
    """Let `folder` replace what `brokerless` itself was found through."""
    if getattr(sys.flags, "safe_path", False):  # `python -P`, since Python 3.11
        sys.path.insert(0, FOLDER)
    else:
        sys.path[:1] = [folder, FOLDER]


def _read(path: str) -> bytes:
    try:
        with io.open_code(str(Path(path).absolute())) as file:
            return file.read()
    except OSError as error:
        _fail(f"can't open file {path!r}: [Errno {error.errno}] {error.strerror}", 2)


def _find(name: str) -> ModuleSpec | None:
    """Find what `-m name` means; of a package its `__main__`."""
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            return importlib.util.find_spec(f"{name}.__main__")
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        _fail(f"Error while finding module specification for {name!r} ({error})", 1)
    return spec


def _run(source: bytes, file: str, **names: Any) -> None:
    main = _main({"__spec__": None, "__package__": None, "__loader__": BuiltinImporter, **names})
    try:
        code = compile(source, file, "exec", dont_inherit=True)
    except BaseException:
        _hide_own_frames(main)
        raise
    _execute(code, main)


def _run_spec(spec: ModuleSpec | None, missing: str) -> None:
    loader: Any = spec and spec.loader
    if spec is None or not hasattr(loader, "get_code"):
        _fail(missing, 1)
    if sys.argv[0] == "-m":
        sys.argv[0] = str(spec.origin)
    main = _main(
        {
            "__spec__": spec,
            "__package__": spec.parent,
            "__loader__": loader,
            "__file__": spec.origin,
            "__cached__": spec.cached,
        }
    )
    try:
        code = loader.get_code(spec.name)
    except BaseException:
        _hide_own_frames(main)
        raise
    _execute(code, main)


def _main(names: dict[str, Any]) -> ModuleType:
    """Make the module that the program runs in."""
    main = ModuleType("__main__")
    main.__dict__.update(names, __annotations__={}, __builtins__=builtins)
    return main


# The module of the command itself: its functions are on the stack while the program runs.
_kept: list[ModuleType] = []


def _execute(code: CodeType, main: ModuleType) -> None:
    _kept.append(sys.modules["__main__"])
    sys.modules["__main__"] = main
    try:
        exec(code, main.__dict__)  # noqa: S102
    except BaseException:
        _hide_own_frames(main)
        raise


def _hide_own_frames(main: ModuleType) -> None:
    """Let a traceback begin where the program begins."""
    hook = sys.excepthook

    def show(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        while traceback and traceback.tb_frame.f_globals is not main.__dict__:
            traceback = traceback.tb_next
        hook(kind, error.with_traceback(traceback), traceback)

    sys.excepthook = show


def _fail(message: str, status: int) -> NoReturn:
    if sys.stderr is not None:  # print would take the standard output
        print(f"brokerless: {message}", file=sys.stderr)
    sys.exit(status)
