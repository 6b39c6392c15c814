"""Messages between browser, server and engines, and the codec that carries them between hosts."""

import contextlib
import io
import json
import struct

import numpy as np
import pytest
from PIL import Image

from mgdemo import messages as m
from mgdemo.actions import ActionTrack
from mgdemo.settings import Settings


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"type":"hello","version":5,"codecs":["av1","jpeg","h264"]}',
            m.Hello(version=m.VERSION, codecs=("jpeg", "h264")),
        ),
        ('{"type":"input","held":["KeyW","KeyD"]}', m.Input(held=("KeyW", "KeyD"))),
        ('{"type":"input","held":[],"camera":[0.05,-7]}', m.Input(held=(), camera=(0.05, -1.0))),
        ('{"type":"input","held":["KeyW"],"input_seq":7}', m.Input(held=("KeyW",), input_seq=7)),
        ('{"type":"ack","block":3,"buffer_ms":12.5}', m.Ack(block=3, buffer_ms=12.5)),
        ('{"type":"ack","block":3,"buffer_ms":-1}', m.Ack(block=3, buffer_ms=0.0)),
        ('{"type":"ack","block":3,"buffer_ms":1e308}', m.Ack(block=3, buffer_ms=60_000.0)),
        ('{"type":"keyframe"}', m.KeyFrame()),
        ('{"type":"pause","on":true}', m.Pause(on=True)),
        ('{"type":"step"}', m.Step()),
        ('{"type":"rewind","node":12}', m.Rewind(node=12)),
        ('{"type":"stop","more":1}', m.Stop()),
    ],
)
def test_messages_are_read(text, message):
    assert m.parse(text) == message


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
        '{"type":"hello","version":3,"codecs":[]}',
        '{"type":"hello","version":5,"codecs":["av1",{}]}',
        '{"type":"hello","version":3,"codecs":"h264"}',
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
        '{"type":"input","held":[],"input_seq":"1"}',
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
    with pytest.raises(m.BadMessage):
        m.parse(text)


@pytest.mark.parametrize("rest", ['"codecs":["h264"]', '"codes":7', '"codecs":[]'])
def test_another_version_is_told_to_reload(rest):
    with pytest.raises(m.BadMessage, match=r"^this page speaks version 2, the server 5: reload the page$"):
        m.parse(f'{{"type":"hello","version":2,{rest}}}')


def test_huge_numbers_stay_harmless():
    huge = "9" * 4000
    for text in ('{"type":"ack","block":1e308,"buffer_ms":1}', f'{{"type":"rewind","node":{huge}}}'):
        with contextlib.suppress(m.BadMessage):
            m.parse(text)


def test_messages_to_the_browser():
    end = m.End(phase="error", text="Größe")
    assert json.loads(end.model_dump_json()) == {
        "type": "end", "phase": "error", "text": "Größe", "recording": False,
    }  # fmt: skip
    packet = m.video_packet("jpeg", True, 70_000, 5834, 5901, b"picture")
    assert packet == b"\x02\x01\x00\x00" + bytes.fromhex("70110100ca1600000d170000") + b"picture"


TRACK = ActionTrack.hold("universal", ["forward", "look_left"], None, 9)
BLOCK = m.BlockMessage(node=1, parent=0, block=0, first_frame=0, frames=9, timings={"dit": 3.5})
COMMANDS = [
    m.Configure(settings=Settings(sessions=3, optimization="fp8"), device="cuda:1"),
    m.Warm(checkpoint="universal"),
    m.Attach(session="a", jpeg=True, input=m.Input(held=("KeyW",), input_seq=8)),
    m.ToSession(session="a", message=m.Input(held=("KeyW",), camera=(0.5, 0), input_seq=8)),
    m.ToSession(session="a", message=m.Rewind(node=3)),
    m.Close(session="ü"),
]
EVENTS = [
    m.Heartbeat(stuck_seconds=2.5, memory_bytes=10**9, checkpoints=("universal",)),
    m.Loading(checkpoint="universal", progress=0.5, text="Reading"),
    m.Block(session="a", message=BLOCK, actions=TRACK, late_ms=3.0),
    m.Frames(session="a", node=1, block=0, first=8, h264=(b"\0\1\2",), jpeg=(b"",)),
    m.Frames(session="a", node=1, block=0, first=8, h264=(bytes(70_000), b"\3")),
    m.RewindDone(session="a", message=m.Rewound(node=0, block=-1, frames=0), picture=b"\xff\xd8"),
    m.Standing(session="a"),
    m.Failed(session="a", text="No."),
]


@pytest.mark.parametrize(
    ("message", "kind"), [(c, m.Command) for c in COMMANDS] + [(e, m.Event) for e in EVENTS]
)
def test_commands_and_events_arrive_as_they_were_sent(message, kind):
    assert m.decode(m.encode(message), kind) == message
    stream = io.BytesIO(m.encode(message) * 2)
    assert [m.read(stream, kind) for _ in range(3)] == [message, message, None]


def test_pictures_and_tracks_arrive_as_they_were_sent():
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (30, 50, 3), np.uint8))
    for track in (None, TRACK, ActionTrack.hold("templerun", ["jump"], None, 21)):
        sent = m.Open(session="a", checkpoint="b", image=picture, seed=2**40, track=track)
        got = m.decode(m.encode(sent), m.Command)
        assert (got.session, got.seed, got.track) == ("a", 2**40, track)
        assert np.array_equal(np.asarray(got.image), np.asarray(picture))


def test_commands_are_no_events():
    with pytest.raises(m.BadMessage):
        m.decode(m.encode(COMMANDS[0]), m.Event)


WHOLE = m.encode(EVENTS[3])


@pytest.mark.parametrize("size", [1, 4, 11, 12, 13, len(WHOLE) - 4, len(WHOLE) - 1])
def test_what_is_cut_off_is_told(size):
    with pytest.raises(m.BadMessage):
        m.read(io.BytesIO(WHOLE[:size]), m.Event)
    with pytest.raises(m.BadMessage):
        m.decode(WHOLE[:size], m.Event)


TOO_MANY = {"type": "input", "held": ["x"] * 99}


def framed(fields, parts=(), sizes=None):
    header = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    data = b"".join(parts)
    return struct.pack("<4sII", b"mgd3", len(header), len(data) if sizes is None else sizes) + header + data


def image(size, data):
    return {
        "message": {"type": "open", "session": "a", "checkpoint": "b", "image": {"size": size, "data": data}}
    }


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x05\x95" + bytes(40),  # a pickle
        struct.pack("<4sII", b"mgd3", 2**31, 0) + bytes(40),
        struct.pack("<4sII", b"mgd3", 2, 2**32 - 1) + b"{}",
        framed({}),
        framed([]),
        framed(b"\xff\xfe"),
        framed(b"[" * 100_000),
        framed({"message": {"type": "warm", "checkpoint": "b"}, "parts": None}),
        framed({"message": {"type": "warm", "checkpoint": "b"}, "parts": [3]}),
        framed({"message": {"type": "warm", "checkpoint": "b"}, "parts": [-1, 1]}),
        framed({"message": {"type": "warm", "checkpoint": "b"}, "parts": [True]}, [b"1"]),
        framed({"message": {"type": "warm", "checkpoint": {"part": 0}}, "parts": [1]}, [b"\xff"]),
        framed({"message": {"type": "warm", "checkpoint": {"part": 1}}, "parts": []}),
        framed({"message": {"type": "warm", "checkpoint": {"part": -1}}, "parts": [1]}, [b"1"]),
        framed({"message": {"type": "warm", "checkpoint": ["b"]}, "parts": []}),
        framed({"message": {"type": "system", "command": "true"}, "parts": []}),
        framed(image([1, 1], {"part": 0}) | {"parts": [4]}, [b"1234"]),
        framed(image([0, 5], {"part": 0}) | {"parts": [0]}, [b""]),
        framed(image([10**9, 10**9], {"part": 0}) | {"parts": [3]}, [b"123"]),
        framed(image([1, 1], "123") | {"parts": []}),
        framed({"message": {"type": "to_session", "session": "a", "message": {"type": "stop"}}, "parts": []}),
        framed({"message": {"type": "to_session", "session": "a", "message": TOO_MANY}, "parts": []}),
    ],
)  # fmt: skip
def test_hostile_bytes_are_refused(data):
    with pytest.raises(m.BadMessage):
        m.read(io.BytesIO(data), m.Command)


@pytest.mark.parametrize(
    "actions",
    [
        {
            "mode": "flying",
            "keyboard": {"dtype": "float32", "shape": [1, 4], "data": {"part": 0}},
            "mouse": None,
        },
        {
            "mode": "templerun",
            "keyboard": {"dtype": "object", "shape": [1], "data": {"part": 0}},
            "mouse": None,
        },
        {
            "mode": "templerun",
            "keyboard": {"dtype": "float32", "shape": [-1], "data": {"part": 0}},
            "mouse": None,
        },
        {
            "mode": "templerun",
            "keyboard": {"dtype": "float32", "shape": [9, 7], "data": {"part": 0}},
            "mouse": None,
        },
        {"mode": "templerun", "keyboard": None, "mouse": None},
        None,
    ],
)
def test_hostile_actions_are_refused(actions):
    event = {"type": "block", "session": "a", "message": BLOCK.model_dump(), "actions": actions}
    with pytest.raises(m.BadMessage):
        m.decode(framed({"message": event, "parts": [16]}, [bytes(16)]), m.Event)


@pytest.mark.parametrize("sizes", [(2**31, 0), (2, 2**32 - 1)])
def test_sizes_are_looked_at_before_anything_is_read(sizes):
    with pytest.raises(m.BadMessage, match="too large"):
        m.read(io.BytesIO(struct.pack("<4sII", b"mgd3", *sizes)), m.Command)


def test_messages_that_no_reader_would_take_are_not_sent():
    with pytest.raises(ValueError, match="too large"):
        m.encode(m.Failed(session="a", text="x" * 2**21))


def test_random_damage_never_gets_further_than_a_bad_message():
    generator = np.random.default_rng(0)
    whole = bytearray(
        m.encode(m.Open(session="a", checkpoint="b", image=Image.new("RGB", (4, 4)), track=TRACK))
    )
    for _ in range(2000):
        damaged = whole.copy()
        for at in generator.integers(0, len(whole), 3):
            damaged[at] = generator.integers(0, 256)
        with contextlib.suppress(m.BadMessage):
            m.read(io.BytesIO(bytes(damaged)), m.Command)
