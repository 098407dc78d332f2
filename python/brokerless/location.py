"""Which directory `bootstrap_servers` means.

A path or a `file://` URL is that directory. Any host is the default directory:
`$BROKERLESS_DIR`, or the user's data directory. So the `localhost:9092` that every
Kafka script has simply works.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from brokerless._log import log, log_info
from brokerless.errors.base import SettingError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["default_directory", "directory_named", "directory_of"]

# What was logged already: (servers, directory).
_logged: set[tuple[str, str]] = set()


def default_directory() -> str:
    """`$BROKERLESS_DIR`, or the place of the platform for a user's data."""
    chosen = os.environ.get("BROKERLESS_DIR")
    if chosen:
        return directory_named(chosen, "BROKERLESS_DIR")
    return _checked(os.path.join(_user_data(), "brokerless"), "the user's data")


def directory_named(given: str, what: str) -> str:
    """The directory of a path or a `file://` URL, absolute; a bare name is a folder, and no host.

    `what` was given that: for the error.
    """
    if "://" not in given:
        return _checked(_absolute(given), what)
    if not _is_path(given):
        raise SettingError(f"{what}={given!r}: a directory is a path or a file:// URL")
    return _checked(_absolute(_from_url(given)), what)


def _checked(directory: str, what: str) -> str:
    """Refuse a path that is no text."""
    try:
        directory.encode()
    except UnicodeEncodeError:
        shown = os.fsencode(directory).decode(errors="backslashreplace")
        raise SettingError(f"{what}: the path of a directory must be UTF-8: '{shown}'") from None
    return directory


def directory_of(bootstrap_servers: object) -> str:
    """The directory that `bootstrap_servers` means, absolute; it need not exist."""
    servers = list(_servers(bootstrap_servers))
    if not servers:
        raise SettingError("bootstrap_servers is empty: name a directory or a host:port")
    directories = {_path(server) for server in servers}
    if len(directories) > 1:
        raise SettingError(
            f"bootstrap_servers={bootstrap_servers!r} names more than one place: name one directory"
        )
    directory = directories.pop() or default_directory()
    _warn_of_folders(servers, directory)
    _log_once(",".join(servers), directory)
    return directory


def _servers(given: object) -> Iterator[str]:
    if isinstance(given, bytes):
        given = os.fsdecode(given)
    if isinstance(given, os.PathLike):
        # A relative path, too, is told from a host by its separator.
        yield os.path.join(os.curdir, os.fsdecode(given))
    elif isinstance(given, str):
        yield from [given] if _is_path(given) else filter(None, map(str.strip, given.split(",")))
    elif isinstance(given, (list, tuple, set, frozenset)):
        for one in given:
            yield from _servers(one)
    else:
        raise SettingError(
            f"bootstrap_servers must be a directory, a host:port or a list of them, not {given!r}"
        )


def _is_path(server: str) -> bool:
    scheme, separator, _ = server.partition("://")
    if separator:
        return scheme.lower() == "file"
    if server in (os.curdir, os.pardir) or server.startswith("~") or _has_drive(server):
        return True
    return os.sep in server or bool(os.altsep and os.altsep in server)


def _has_drive(path: str) -> bool:
    return path[:1].isalpha() and path[1:3] in (":\\", ":/")


def _path(server: str) -> str | None:
    """None for a host."""
    _, _, rest = server.partition("://")
    is_host = not _is_path(server) and "/" not in rest.rstrip("/")
    return None if is_host else directory_named(server, "bootstrap_servers")


def _absolute(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path))


def _from_url(url: str) -> str:
    """The path of a `file://` URL, of which the host may be left out or be this one."""
    from urllib.parse import unquote

    rest = unquote(url.partition("://")[2])
    host, slash, path = rest.partition("/")
    if host in ("localhost", "127.0.0.1"):
        rest = slash + path
    return rest[1:] if _has_drive(rest[1:]) else rest


def _user_data() -> str:
    home = os.path.expanduser("~")
    if sys.platform == "win32":
        return os.environ.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local")
    if sys.platform == "darwin":
        return os.path.join(home, "Library", "Application Support")
    return os.environ.get("XDG_DATA_HOME") or os.path.join(home, ".local", "share")


def _warn_of_folders(servers: list[str], directory: str) -> None:
    """A bare name is a host, also where a folder of that name was meant."""
    for server in servers:
        if not _is_path(server) and os.path.isdir(server) and (server, "") not in _logged:
            _logged.add((server, ""))
            log().warning(
                "%s means the default directory, %s; for the folder of that name, write .%s%s",
                server,
                directory,
                os.sep,
                server,
            )


def _log_once(servers: str, directory: str) -> None:
    if (servers, directory) not in _logged:
        _logged.add((servers, directory))
        log_info("%s is the directory %s", servers, directory)
