import logging
from pathlib import Path

import pytest

from brokerless.errors import KafkaConfigurationError
from brokerless.location import default_directory, directory_of


@pytest.mark.parametrize(
    "servers",
    [
        "localhost",
        "localhost:9092",
        "kafka",
        "broker1:9092,broker2:9092",
        " broker1:9092 , broker2:9092 ",
        ["broker1:9092", "broker2:9092"],
        ("broker1:9092",),
        {"broker1:9092"},
        "[::1]:9092",
        "PLAINTEXT://broker:9092",
        "SASL_SSL://broker.example.com:9093",
        b"localhost:9092",
    ],
)
def test_any_host_is_the_default_directory(servers: object, directory: Path) -> None:
    assert directory_of(servers) == str(directory)


@pytest.mark.parametrize(
    ("servers", "expected"),
    [
        ("/var/data", "/var/data"),
        (["/var/data"], "/var/data"),
        ("/var/a,b", "/var/a,b"),
        ("file:///var/data", "/var/data"),
        ("FILE:///var/data", "/var/data"),
        ("file://localhost/var/data", "/var/data"),
        ("file:///var/with%20space", "/var/with space"),
        ("/var/100%20", "/var/100%20"),
        (Path("/var/data"), "/var/data"),
        (["/var/data", "file:///var/data/"], "/var/data"),
        ("~", str(Path.home())),
        ("~/data", str(Path.home() / "data")),
    ],
)
def test_a_path_is_that_directory(servers: object, expected: str) -> None:
    assert directory_of(servers) == expected


@pytest.mark.parametrize("servers", ["./data", "data/", "sub/../data", Path("data"), "."])
def test_a_relative_path_is_made_absolute(
    servers: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    expected = tmp_path if servers == "." else tmp_path / "data"
    assert directory_of(servers) == str(expected)


@pytest.mark.parametrize("servers", ["", [], [""], " , ", 9092, None, [None], {"a": 1}])
def test_nothing_and_nonsense_are_refused(servers: object) -> None:
    with pytest.raises(KafkaConfigurationError, match="bootstrap_servers"):
        directory_of(servers)


@pytest.mark.parametrize("servers", ["http://x/y", "s3://bucket/data"])
def test_a_url_with_a_path_that_is_no_file_is_refused(servers: str) -> None:
    with pytest.raises(KafkaConfigurationError, match="file://"):
        directory_of(servers)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("/var/data", "/var/data"),
        ("file:///var/with%20space", "/var/with space"),
        ("~/data", str(Path.home() / "data")),
        ("data", str(Path.cwd() / "data")),
        ("localhost:9092", str(Path.cwd() / "localhost:9092")),
    ],
)
def test_the_variable_names_a_directory(
    given: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKERLESS_DIR", given)

    assert directory_of("localhost:9092") == expected


@pytest.mark.parametrize("given", ["s3://bucket/data", "kafka://host", "http://x/y"])
def test_a_variable_that_names_no_directory_is_refused(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKERLESS_DIR", given)

    with pytest.raises(KafkaConfigurationError, match=f"BROKERLESS_DIR='{given}': .*file://"):
        directory_of("localhost:9092")


@pytest.mark.parametrize("servers", [["/a", "/b"], ["/a", "localhost:9092"]])
def test_two_places_are_refused(servers: object) -> None:
    with pytest.raises(KafkaConfigurationError, match="one directory"):
        directory_of(servers)


def test_without_a_variable_it_is_the_users_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BROKERLESS_DIR")
    monkeypatch.setenv("XDG_DATA_HOME", "/xdg")
    monkeypatch.setattr("sys.platform", "linux")
    assert default_directory() == "/xdg/brokerless"

    monkeypatch.delenv("XDG_DATA_HOME")
    assert default_directory() == str(Path.home() / ".local/share/brokerless")

    monkeypatch.setattr("sys.platform", "darwin")
    assert default_directory().endswith("/Library/Application Support/brokerless")


def test_where_it_is_gets_logged_once(directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="brokerless")

    for _ in range(3):
        directory_of("once.example.com:9092")

    assert [r.getMessage() for r in caplog.records] == [
        f"once.example.com:9092 is the directory {directory}"
    ]


def test_a_bare_name_of_which_there_is_a_folder_is_warned_of_once(
    directory: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stock").mkdir()

    for _ in range(3):
        assert directory_of("stock") == str(directory)

    (warning,) = (r for r in caplog.records if r.levelno == logging.WARNING)
    assert "write ./stock" in warning.getMessage()
