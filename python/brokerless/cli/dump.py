"""`brokerless dump`: what files of a log hold, as Kafka's `kafka-dump-log` tells it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from brokerless.cli.dumping import How, facts_of, kind_of, text_of_fact, unreadable
from brokerless.cli.ending import FAILED, FailedError
from brokerless.cli.options import directory_option, json_option
from brokerless.cli.output import Output
from brokerless.cli.values import text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    Fact = dict[str, Any]

__all__ = ["dump"]


@click.command(epilog="It goes on behind what is damaged, or does not fit; then it exits with 1.")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, readable=False))
@click.option("--batches", is_flag=True, help="Show batches, not their records.")
@click.option("--no-data", is_flag=True, help="Show records without keys and values.")
@click.option("--offsets-decoder", is_flag=True, help="Decode records of __consumer_offsets.")
@click.option("--skip-record-metadata", is_flag=True, help="Show of records keys and values only.")
@click.option("--max-bytes", type=click.IntRange(0), help="Read so many bytes of a log at most.")
@click.option("--verify-index-only", is_flag=True, help="Show what is wrong with an index, only.")
@json_option("Print one JSON object a line.")
@directory_option
def dump(files: Sequence[str], as_json: bool, **given: Any) -> int:
    r"""Show what FILES hold: files of a log directory, ours or a Kafka broker's.

    Logs (.log) with their batches and records; indexes (.index, .timeindex, .txnindex);
    snapshots of producers (.snapshot); checkpoints; partition.metadata. Of a folder, every such
    file in it. Nothing is locked and nothing changed, and others may write meanwhile.

    \b
    Examples:
      brokerless dump data/orders-0/00000000000000000000.log
      brokerless dump data/__consumer_offsets-* --offsets-decoder
      brokerless dump data/orders-0 --json | jq 'select(.kind == "batch").size'
    """
    how = How(
        records=not given["batches"],
        data=not given["no_data"],
        metadata=not given["skip_record_metadata"],
        decode=given["offsets_decoder"],
        max_bytes=given["max_bytes"],
        verify_only=given["verify_index_only"],
    )
    output = Output(as_json=as_json)
    said: list[str] = []
    failed = False
    for file, facts in _files(files, how):
        if not as_json:
            output.write(f"Dumping {file}\n".encode(errors="surrogateescape"))
        gaps = []
        for fact in facts:
            if "problem" in fact:
                failed = True
                said.append(f"{file}: {fact['problem']}")
            elif fact["kind"] == "gap":
                gaps.append(f"  {fact['offset']} is followed by {fact['next_offset']}")
            output.write(
                _line({"file": file, **fact}) if as_json else text_of_fact(fact, file, how)
            )
        said += [f"Non-consecutive offsets in {file}", *gaps] if gaps and not as_json else []
    for line in said:
        click.echo(line, err=True)
    return FAILED if failed else 0


def _files(given: Sequence[str], how: How) -> Iterator[tuple[str, Iterable[Fact]]]:
    """Each file with its facts, and each folder that has none with what is wrong with it."""
    for path in given:
        if not Path(path).is_dir():
            yield path, facts_of(path, how)
            continue
        try:
            files = _files_of(path)
        except (FailedError, OSError) as error:
            yield path, [unreadable(error, path)]
            continue
        for file in files:
            yield file, facts_of(file, how)


def _files_of(folder: str) -> list[str]:
    found = sorted(Path(folder).iterdir())
    files = [str(file) for file in found if file.is_file() and kind_of(file.name)]
    if not files:
        raise FailedError("it holds no file of a log")
    return files


def _line(fact: Mapping[str, Any]) -> bytes:
    text = json.dumps(fact, separators=(",", ":"), ensure_ascii=False, default=text_of)
    return text.encode(errors="backslashreplace") + b"\n"
