"""Users with passwords (SCRAM): their types. Nobody logs in to a directory."""

from __future__ import annotations

import hashlib
import os
from enum import IntEnum
from typing import TYPE_CHECKING, NoReturn

from brokerless.admin.absent import absent
from brokerless.errors.base import IllegalArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "ScramMechanism",
    "UserAdmin",
    "UserScramCredentialDeletion",
    "UserScramCredentialUpsertion",
]


class ScramMechanism(IntEnum):
    """How a password is hashed."""

    UNKNOWN = 0
    SCRAM_SHA_256 = 1
    SCRAM_SHA_512 = 2

    @property
    def hash_name(self) -> str:
        """The name of the hash in `hashlib`."""
        return {
            ScramMechanism.SCRAM_SHA_256: "sha256",
            ScramMechanism.SCRAM_SHA_512: "sha512",
        }[self]


def _mechanism(given: ScramMechanism | int | str) -> ScramMechanism:
    if isinstance(given, str):
        return ScramMechanism[given.upper().replace("-", "_")]
    return ScramMechanism(given)


class UserScramCredentialDeletion:
    """That a user shall have no password any more."""

    def __init__(self, user: str, mechanism: ScramMechanism | int | str) -> None:
        self.user = user
        self.mechanism = _mechanism(mechanism)

    def __repr__(self) -> str:
        return f"UserScramCredentialDeletion({self.user}, {self.mechanism.name})"


class UserScramCredentialUpsertion:
    """That a user shall have this password."""

    DEFAULT_ITERATIONS = 4096

    def __init__(
        self,
        user: str,
        mechanism: ScramMechanism | int | str,
        password: bytes | str,
        iterations: int | None = None,
        salt: bytes | None = None,
    ) -> None:
        self.user = user
        self.mechanism = _mechanism(mechanism)
        if self.mechanism is ScramMechanism.UNKNOWN:
            raise IllegalArgumentError("SCRAM mechanism must not be UNKNOWN")
        self.iterations = self.DEFAULT_ITERATIONS if iterations is None else iterations
        self.salt = os.urandom(24) if salt is None else salt
        secret = password.encode() if isinstance(password, str) else password
        name = self.mechanism.hash_name
        self.salted_password = hashlib.pbkdf2_hmac(name, secret, self.salt, self.iterations)

    def __repr__(self) -> str:
        name = f"{type(self).__name__}({self.user}, {self.mechanism.name}"
        return f"{name}, iterations={self.iterations})"


class UserAdmin:
    """What the admin client says of users."""

    def alter_user_scram_credentials(
        self,
        alterations: Iterable[UserScramCredentialDeletion | UserScramCredentialUpsertion],
    ) -> NoReturn:
        """Raise `IncompatibleBrokerVersion`, as with a broker that knows no SCRAM users."""
        for one in alterations:
            if not isinstance(one, (UserScramCredentialDeletion, UserScramCredentialUpsertion)):
                raise IllegalArgumentError(
                    "alterations must be UserScramCredentialDeletion or "
                    f"UserScramCredentialUpsertion, got {type(one).__name__}"
                )
        raise absent("alter_user_scram_credentials", "nobody logs in to a directory")

    def describe_user_scram_credentials(self, users: Iterable[str] | None = None) -> NoReturn:
        """Raise `IncompatibleBrokerVersion`, as with a broker that knows no SCRAM users."""
        raise absent("describe_user_scram_credentials", "nobody logs in to a directory")
