"""Facts in the words of Kafka's `kafka-dump-log`, which print what it prints, byte for byte."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from brokerless.cli.dumping.facts import How

    Fact = dict[str, Any]

__all__ = ["text_of_fact"]


def text_of_fact(fact: Fact, file: str, how: How) -> bytes:
    """The lines of one fact, with their ends; none for what is only a problem."""
    if fact["kind"] == "batch":
        return _batch(fact, how)
    if fact["kind"] == "damage":
        return _damage(fact, file)
    text = _TEXTS.get(fact["kind"])
    return b"" if text is None else f"{text(fact, file)}\n".encode()


def _batch(batch: Fact, how: How) -> bytes:
    lines = [_head(batch).encode()]
    lines += [_record(record, batch, how) for record in batch.get("records", ())]
    return b"\n".join(lines) + b"\n"


def _head(batch: Fact) -> str:
    if batch["magic"] < 2:
        begin = f"offset: {batch['last_offset']}"
    else:
        begin = " ".join(
            f"{name}: {value}"
            for name, value in {
                "baseOffset": batch["base_offset"],
                "lastOffset": batch["last_offset"],
                "count": batch["count"],
                "baseSequence": batch["base_sequence"],
                "lastSequence": batch["last_sequence"],
                "producerId": batch["producer_id"],
                "producerEpoch": batch["producer_epoch"],
                "partitionLeaderEpoch": batch["partition_leader_epoch"],
                "isTransactional": _bool(batch["is_transactional"]),
                "isControl": _bool(batch["is_control"]),
                "deleteHorizonMs": _optional(batch["delete_horizon_ms"]),
            }.items()
        )
    return (
        f"{begin} position: {batch['position']} "
        f"{batch['timestamp_type']}: {batch['max_timestamp']} size: {batch['size']} "
        f"magic: {batch['magic']} compresscodec: {batch['compress_codec']} crc: {batch['crc']} "
        f"isvalid: {_bool(batch['is_valid'])}"
    )


def _bool(value: object) -> str:
    return "true" if value else "false"


def _optional(value: int | None) -> str:
    """A number as Java shows one that may be missing."""
    return "OptionalLong.empty" if value is None else f"OptionalLong[{value}]"


def _record(record: Fact, batch: Fact, how: How) -> bytes:
    parts = []
    if how.metadata:
        parts.append(_metadata(record, batch).encode())
    if record.get("key") is not None:
        parts.append(b"key: " + _bytes(record["key"]))
    if record.get("value") is not None:
        parts.append(b"payload: " + _bytes(record["value"]))
    return b"| " + b" ".join(parts) if parts else b""


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _metadata(record: Fact, batch: Fact) -> str:
    text = (
        f"offset: {record['offset']} {batch['timestamp_type']}: {record['timestamp']} "
        f"keySize: {record['key_size']} valueSize: {record['value_size']}"
    )
    if batch["magic"] >= 2:
        text += f" sequence: {record['sequence']} headerKeys: [{','.join(record['header_keys'])}]"
    if "coordinator_epoch" in record:
        epoch = record["coordinator_epoch"]
        text += f" endTxnMarker: {record['control_type']} coordinatorEpoch: {epoch}"
    elif "control_type" in record:
        text += f" controlType: {record['control_type']}({record['control_type_id']})"
    return text


def _damage(fact: Fact, file: str) -> bytes:
    name = file.rsplit("/", 1)[-1]
    where = f"the end of {name}" if fact["at_end"] else f"position {fact['position']} of {name}"
    return f"Found {fact['bytes']} invalid bytes at {where}\n".encode()


def _producer(fact: Fact, _: str) -> str:
    text = (
        f"producerId: {fact['producer_id']} producerEpoch: {fact['producer_epoch']} "
        f"coordinatorEpoch: {fact['coordinator_epoch']} "
        f"currentTxnFirstOffset: {_optional(fact['current_txn_first_offset'])} "
        f"lastTimestamp: {fact['last_timestamp']} "
    )
    if "first_sequence" in fact:
        text += (
            f"firstSequence: {fact['first_sequence']} lastSequence: {fact['last_sequence']} "
            f"lastOffset: {fact['last_offset']} offsetDelta: {fact['offset_delta']} "
            f"timestamp: {fact['last_timestamp']}"
        )
    return text


def _aborted(fact: Fact, _: str) -> str:
    return (
        f"version: {fact['version']} producerId: {fact['producer_id']} "
        f"firstOffset: {fact['first_offset']} lastOffset: {fact['last_offset']} "
        f"lastStableOffset: {fact['last_stable_offset']}"
    )


_TEXTS: dict[str, Callable[[Fact, str], str]] = {
    "log": lambda fact, _: f"Log starting offset: {fact['log_starting_offset']}",
    "empty": lambda _, file: f"{file} is empty.",
    "index_entry": lambda fact, _: f"offset: {fact['offset']} position: {fact['position']}",
    "time_index_entry": lambda fact, _: f"timestamp: {fact['timestamp']} offset: {fact['offset']}",
    "producer": _producer,
    "aborted_transaction": _aborted,
    # Kafka's tool does not read these.
    "checkpoint_entry": lambda fact, _: (
        f"topic: {fact['topic']} partition: {fact['partition']} offset: {fact['offset']}"
    ),
    "leader_epoch": lambda fact, _: f"epoch: {fact['epoch']} startOffset: {fact['start_offset']}",
    "property": lambda fact, _: f"{fact['name']}: {fact['value']}",
}
