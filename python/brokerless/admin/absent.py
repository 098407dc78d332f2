"""What a directory does not have, as a broker without it says so."""

from __future__ import annotations

from brokerless.errors.broker import IncompatibleBrokerVersion
from brokerless.errors.cluster import SecurityDisabledError

__all__ = ["absent", "unguarded"]


def absent(method: str, why: str) -> IncompatibleBrokerVersion:
    """Give what kafka-python raises where a broker does not know the request."""
    return IncompatibleBrokerVersion(f"{method}: {why}.")


def unguarded() -> SecurityDisabledError:
    """Give what a broker without an authorizer answers."""
    return SecurityDisabledError(
        "No Authorizer is configured: the rights of its files say who may use a directory."
    )
