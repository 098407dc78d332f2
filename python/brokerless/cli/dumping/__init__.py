"""What `brokerless dump` knows: the facts in each kind of file, and how Kafka prints them."""

from __future__ import annotations

from brokerless.cli.dumping.facts import How, facts_of, kind_of, unreadable
from brokerless.cli.dumping.text import text_of_fact

__all__ = ["How", "facts_of", "kind_of", "text_of_fact", "unreadable"]
