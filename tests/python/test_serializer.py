from typing import Any

import pytest

from brokerless import DefaultSerializer, Deserializer, JsonSerializer, Serializer
from brokerless.serializer import DeserializeWrapper, SerializeWrapper


def test_strings_become_bytes_and_bytes_stay() -> None:
    strings = DefaultSerializer()

    assert strings.serialize("t", [], "Grüße") == "Grüße".encode()
    assert strings.serialize("t", [], b"\xff") == b"\xff"
    assert strings.serialize("t", [], None) is None
    assert strings.deserialize("t", [], "Grüße".encode()) == "Grüße"
    assert DefaultSerializer("latin-1").serialize("t", [], "ü") == b"\xfc"


@pytest.mark.parametrize("value", [{"a": [1, 2.5, None]}, "text", 0, [], False])
def test_json_comes_back_as_it_was(value: object) -> None:
    json = JsonSerializer()

    assert json.deserialize("t", [], json.serialize("t", [], value)) == value


def test_none_is_no_json_but_a_tombstone() -> None:
    assert JsonSerializer().serialize("t", [], None) is None
    assert JsonSerializer().deserialize("t", [], None) is None


def test_functions_can_be_wrapped() -> None:
    assert SerializeWrapper(str.encode).serialize("t", [], "x") == b"x"
    assert DeserializeWrapper(bytes.decode).deserialize("t", [], b"x") == "x"
    assert SerializeWrapper(None).serialize("t", [], b"x") == b"x"
    assert DeserializeWrapper(None).deserialize("t", [], b"x") == b"x"


def test_a_serializer_without_its_method_cannot_be_made() -> None:
    with pytest.raises(TypeError):
        Serializer()  # type: ignore[abstract]
    with pytest.raises(TypeError):
        Deserializer()  # type: ignore[abstract]


def test_a_serializer_of_the_old_dialect_takes_settings() -> None:
    class Old(Serializer):
        def serialize(self, topic, value):  # type: ignore[no-untyped-def, override]
            return value.encode()

    old: Any = Old(encoding="x")

    assert old.serialize("t", "v") == b"v"
