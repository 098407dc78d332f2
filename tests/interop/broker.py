"""A real Apache Kafka beside the tests: its jars, one KRaft node, its tools.

The jars come from Maven Central and are kept in a cache outside the repository
(`$BROKERLESS_INTEROP_CACHE`, by default `~/.cache/brokerless-interop`). They need a
Java 17 and Maven on the machine.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from typing_extensions import Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

KAFKA = "4.3.1"
"""The newest release whose dependencies are all on Maven Central."""

OLD_KAFKA = "1.1.1"
"""A release that can still write message formats 0 and 1."""

CLUSTER = "brokerlessInteropTest_A"
"""A cluster id is a UUID in 22 characters; ours says where it comes from."""

POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>interop</groupId><artifactId>kafka</artifactId><version>1</version>
  <dependencies>{dependencies}</dependencies>
</project>
"""

DEPENDENCY = (
    "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>"
)

LOGGING = ("org.slf4j", "slf4j-reload4j", "1.7.36")

NEEDED = {
    KAFKA: (
        ("org.apache.kafka", "kafka_2.13", KAFKA),
        ("org.apache.kafka", "kafka-tools", KAFKA),
        LOGGING,
    ),
    OLD_KAFKA: (("org.apache.kafka", "kafka_2.12", OLD_KAFKA), LOGGING),
}

JVM = ("-Xms64m", "-Xmx320m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")

LOG4J = """log4j.rootLogger=WARN, stdout
log4j.appender.stdout=org.apache.log4j.ConsoleAppender
log4j.appender.stdout.layout=org.apache.log4j.PatternLayout
log4j.appender.stdout.layout.ConversionPattern=[%d] %p %m (%c)%n
log4j.logger.kafka=INFO
log4j.logger.org.apache.kafka.storage=INFO
"""


ONE_NODE = {
    "offsets.topic.num.partitions": "2",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "num.network.threads": "1",
    "num.io.threads": "2",
    "log.cleaner.dedupe.buffer.size": "2097152",
}


class KafkaProgramError(Exception):
    """One of Kafka's programs ended with an error; the message is what it said."""


def cache() -> Path:
    """The folder of everything fetched, made if need be."""
    named = os.environ.get("BROKERLESS_INTEROP_CACHE")
    folder = Path(named) if named else Path.home() / ".cache" / "brokerless-interop"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def jars(version: str = KAFKA) -> Path:
    """The folder of Kafka's jars, fetched by the first caller."""
    folder = cache() / f"jars-{version}"
    if folder.is_dir():
        return folder
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            raise KafkaProgramError(
                f"{program} is not installed: the interop checks run Apache Kafka"
            )
    build = cache() / f"pom-{version}"
    build.mkdir(exist_ok=True)
    dependencies = "".join(DEPENDENCY.format(*one) for one in NEEDED[version])
    (build / "pom.xml").write_text(POM.format(dependencies=dependencies))
    partial = cache() / f"jars-{version}.partial"
    command = ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime"]
    _checked([*command, f"-DoutputDirectory={partial}"], cwd=build, timeout=600)
    partial.rename(folder)
    return folder


def java(main: str, *arguments: str, timeout: float = 120) -> str:
    """What one of Kafka's programs prints; raises `KafkaProgramError` if it fails."""
    return _checked([*java_command(main), *arguments], timeout=timeout)


def java_command(main: str, version: str = KAFKA) -> list[str]:
    """The command line that runs a class of Kafka's jars."""
    log4j = cache() / "log4j.properties"
    if not log4j.exists():
        log4j.write_text(LOG4J)
    return ["java", *JVM, f"-Dlog4j.configuration=file:{log4j}", "-cp", f"{jars(version)}/*", main]


def _checked(command: list[str], timeout: float, cwd: Path | None = None) -> str:
    done = subprocess.run(
        command, cwd=cwd, timeout=timeout, text=True, capture_output=True, check=False
    )
    said = done.stdout + done.stderr
    if done.returncode != 0:
        raise KafkaProgramError(
            f"{command[-3][:200]} ended with {done.returncode}:\n{said[-2000:]}"
        )
    return said


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


class Server:
    """A program that listens on the loopback until it is stopped."""

    def __init__(self, command: list[str], port: int, output: Path) -> None:
        self.address = f"127.0.0.1:{port}"
        self.output = output
        self._command = command
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, timeout: float = 60) -> None:
        """Returns when a client can connect."""
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(self._command, stdout=output, stderr=output)
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise KafkaProgramError(f"the server ended at once:\n{self.said()}")
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
            except OSError:
                time.sleep(0.1)
            else:
                return
        self.kill()
        raise KafkaProgramError(f"the server did not listen after {timeout} s:\n{self.said()}")

    def said(self) -> str:
        """The end of what the broker printed."""
        return self.output.read_text(errors="replace")[-4000:] if self.output.exists() else ""

    def refuses(self, timeout: float = 60) -> str:
        """What it says when it refuses to start; raises if it starts."""
        try:
            self.start(timeout)
        except KafkaProgramError as refused:
            return str(refused)
        self.stop()
        raise KafkaProgramError("the broker started, but must have refused")

    def stop(self) -> None:
        """A clean shutdown."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """`kill -9`: nothing is flushed, trimmed or marked."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class Broker(Server):
    """One KRaft node, broker and controller at once.

    `directory` is its log directory. The metadata log lies in it, as it does by default.
    """

    def __init__(self, directory: Path, settings: Mapping[str, str] | None = None) -> None:
        self.directory = directory
        state = directory.with_name(f"{directory.name}-broker")
        state.mkdir(parents=True, exist_ok=True)
        port, controller = free_ports(2)
        self.config = state / "server.properties"
        lines = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "log.dirs": str(directory),
            **ONE_NODE,
            **(settings or {}),
        }
        self.config.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
        command = [*java_command("kafka.Kafka"), str(self.config)]
        super().__init__(command, port, state / "output.txt")

    def format(self, *flags: str) -> None:
        """`kafka-storage format`: gives a directory its `meta.properties` and metadata log."""
        java("kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", str(self.config), *flags)


class ZooKeeper(Server):
    """What an old broker needs to run."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (port,) = free_ports(1)
        main = "org.apache.zookeeper.server.ZooKeeperServerMain"
        java, *rest = java_command(main, OLD_KAFKA)
        command = [java, "-Dzookeeper.jmx.log4j.disable=true", *rest, str(port), str(folder)]
        super().__init__(command, port, folder / "output.txt")


class OldBroker(Server):
    """A broker that can write message formats 0 and 1."""

    def __init__(self, directory: Path, keeper: ZooKeeper, settings: Mapping[str, str]) -> None:
        self.directory = directory
        config = directory.with_name("old-server.properties")
        (port,) = free_ports(1)
        lines = {
            "broker.id": "0",
            "listeners": f"PLAINTEXT://127.0.0.1:{port}",
            "zookeeper.connect": keeper.address,
            "log.dirs": str(directory),
            **ONE_NODE,
            **settings,
        }
        config.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
        command = [*java_command("kafka.Kafka", OLD_KAFKA), str(config)]
        super().__init__(command, port, directory.with_name("old-output.txt"))
