"""Messages of the live WebSocket."""

import json

import pytest

from mgdemo.serving.protocol import (
    Ack,
    BadMessage,
    End,
    Hello,
    Input,
    KeyFrame,
    Pause,
    Rewind,
    Step,
    Stop,
    frame_packet,
    parse,
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"type":"hello","version":2,"codecs":["av1","jpeg","h264"]}', Hello(("jpeg", "h264"))),
        ('{"type":"input","held":["KeyW","KeyD"]}', Input(("KeyW", "KeyD"), (0.0, 0.0))),
        ('{"type":"input","held":[],"camera":[0.05,-7]}', Input((), (0.05, -1.0))),
        ('{"type":"input","held":[],"camera":null}', Input((), (0.0, 0.0))),
        ('{"type":"ack","block":3,"buffer_ms":12.5}', Ack(3, 12.5)),
        ('{"type":"ack","block":3,"buffer_ms":-1}', Ack(3, 0.0)),
        ('{"type":"input","held":["KeyW"],"seq":7}', Input(("KeyW",), (0.0, 0.0), 7)),
        ('{"type":"keyframe"}', KeyFrame()),
        ('{"type":"pause","on":true}', Pause(True)),
        ('{"type":"step"}', Step()),
        ('{"type":"rewind","node":12}', Rewind(12)),
        ('{"type":"stop","more":1}', Stop()),
    ],
)
def test_messages_are_read(text, message):
    assert parse(text) == message


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "hello",
        "[]",
        "null",
        "3",
        "{}",
        '{"type":"jump"}',
        '{"type":["hello"]}',
        '{"type":"hello","version":1,"codecs":[]}',
        '{"type":"hello","version":1,"codecs":["av1",{}]}',
        '{"type":"hello","version":1,"codecs":"h264"}',
        '{"type":"hello","codecs":["h264"]}',
        '{"type":"input"}',
        '{"type":"input","held":[1]}',
        '{"type":"input","held":"KeyW"}',
        '{"type":"input","held":[],"camera":[0]}',
        '{"type":"input","held":[],"camera":[0,"1"]}',
        '{"type":"input","held":[],"camera":[0,NaN]}',
        '{"type":"input","held":[],"camera":[true,0]}',
        '{"type":"input","held":[],"camera":{"yaw":1}}',
        '{"type":"ack","block":NaN,"buffer_ms":0}',
        '{"type":"ack","block":null,"buffer_ms":0}',
        '{"type":"ack","block":1}',
        '{"type":"input","held":[],"seq":"1"}',
        '{"type":"pause"}',
        '{"type":"pause","on":1}',
        '{"type":"rewind"}',
        '{"type":"rewind","node":"start"}',
        '{"type":"rewind","node":true}',
        json.dumps({"type": "input", "held": ["KeyW"] * 33}),
        json.dumps({"type": "input", "held": ["x" * 5000]}),
        "[" * 4000,
    ],
)
def test_other_text_is_refused(text):
    with pytest.raises(BadMessage):
        parse(text)


def test_another_version_is_told_to_reload():
    with pytest.raises(BadMessage, match="reload the page"):
        parse('{"type":"hello","version":1,"codecs":["h264"]}')


def test_huge_numbers_stay_harmless():
    assert parse('{"type":"ack","block":1e308,"buffer_ms":1e308}').buffer_ms == 60_000
    parse('{"type":"ack","block":' + "9" * 4000 + ',"buffer_ms":1}')


def test_server_messages():
    assert json.loads(End("error", "Größe").json()) == {"type": "end", "state": "error", "text": "Größe"}
    packet = frame_packet("jpeg", True, 70_000, 5834, 5901, b"picture")
    assert packet == b"\x02\x01\x00\x00" + bytes.fromhex("70110100ca1600000d170000") + b"picture"
