"""Apache Kafka's log, in your process: kafka-python's API without a broker."""

from brokerless._brokerless import __version__

__all__ = ["__version__"]
