# SPDX-License-Identifier: MIT
"""Messages made up by hypothesis: every one gets exactly its reply, and the server stays whole.

The examples are the same in each run (derandomize), so a failure is one that everybody sees.
"""

import contextlib
import os
import struct

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import feature
from signals import Signal
from wire import (Cmd, DMA, ERROR, Ended, LIMIT, NO_REPLY, PAGE, REPLY, info, memory, message,
                  version)

bounded = settings(max_examples=300, deadline=None, derandomize=True, database=None,
                   suppress_health_check=list(HealthCheck))

EDGES = [0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 20, 24, 31, 32, 33, 64, 255, 256, 4095, PAGE, 0x1000000,
         0x7fffffff, 0x80000000, 0xfffff000, 0xffffffff]
WIDE = EDGES + [1 << 32, 1 << 40, 1 << 63, (1 << 64) - PAGE, (1 << 64) - 1]

word = st.sampled_from(EDGES) | st.integers(0, 0xffffffff)
quad = st.sampled_from(WIDE) | st.integers(0, (1 << 64) - 1)
small = st.integers(0, 8)
flag = st.sampled_from([0, 1, 2, 3, 0x21, 0x24, 0x22, 0x09, 0x11, 0x14]) | word


def fields(layout, *parts):
    """Bytes of a struct whose fields are drawn."""
    return st.tuples(*parts).map(lambda values: struct.pack('=' + layout, *values))


def with_data(body):
    return st.tuples(body, st.binary(max_size=64)).map(b''.join)


# What comes close to being right, for each command; and any bytes for any command.
BODIES = {
    Cmd.VERSION: with_data(fields('HH', st.integers(0, 1), st.integers(0, 3))),
    Cmd.DMA_MAP: fields('IIQQQ', st.just(32) | word, flag, quad, quad, quad),
    Cmd.DMA_UNMAP: fields('IIQQ', st.just(24) | word, flag, quad, quad),
    Cmd.GET_INFO: fields('IIII', word, word, word, word),
    Cmd.GET_REGION_INFO: fields('IIIIQQ', st.just(4064) | word, word, small | word, word, quad,
                                quad),
    Cmd.GET_REGION_IO_FDS: fields('IIII', st.sampled_from([16, 4064]) | word, st.just(0) | word, small | word,
                                  word),
    Cmd.GET_IRQ_INFO: fields('IIII', st.just(16) | word, word, small | word, word),
    Cmd.SET_IRQS: with_data(fields('IIIII', st.just(20) | word, flag, small | word, small | word,
                                   small | word)),
    Cmd.REGION_READ: fields('QII', quad, small | word, st.integers(0, 300) | word),
    Cmd.REGION_WRITE: st.tuples(quad, small | word, st.binary(max_size=64)).map(
        lambda drawn: struct.pack('=QII', *drawn[:2], len(drawn[2])) + drawn[2]),
    Cmd.RESET: st.binary(max_size=8),
    Cmd.FEATURE: st.tuples(
        fields('II', st.sampled_from([8 + size for size in feature.SIZES.values()]) | word,
               st.builds(int.__or__, st.sampled_from(list(feature.SIZES)),
                         st.sampled_from([feature.GET, feature.SET, feature.PROBE])) | word),
        st.binary(max_size=64) | fields('QQQ', quad, quad, quad)).map(b''.join),
}

likely = st.sampled_from(list(BODIES)).flatmap(
    lambda command: st.tuples(st.just(int(command)), BODIES[command]))
unlikely = st.tuples(st.integers(0, 0xffff), st.binary(max_size=80))
descriptors = st.lists(st.sampled_from(['memory', 'event', 'null']), max_size=3)
commands = st.tuples(likely | unlikely, st.sampled_from([0, 0, 0, NO_REPLY, 0x20, 0x8000]),
                     descriptors)


@contextlib.contextmanager
def kinds_of_descriptors():
    file = memory(64 * PAGE)
    with open('/dev/null', 'rb+', buffering=0) as null:
        yield {'memory': file, 'event': Signal(), 'null': null}
    os.close(file)


def deny(client, question):
    """The server asks for memory: there is none."""
    client.send(message(question.command, id=question.id, flags=REPLY | ERROR, error=5))


def replies(client, last):
    """All replies up to the one with this id."""
    got = []
    while not got or got[-1].id != last:
        received = client.receive()
        if received.flags & REPLY:
            assert not received.flags & ~(REPLY | ERROR)
            assert not received.flags & ERROR or (received.size == 16 and received.error)
            got.append(received)
        else:
            assert received.command in (Cmd.DMA_READ, Cmd.DMA_WRITE)
            assert len(received.payload) >= DMA.size
            deny(client, received)
    return [(reply.id, reply.command) for reply in got]


def check_each_gets_its_reply(server, sent):
    client = server.connect()
    expected = []
    with kinds_of_descriptors() as kinds:
        for number, ((command, body), flags, fds) in enumerate(sent):
            client.send(message(command, body, id=number, flags=flags), [kinds[fd] for fd in fds])
            if not flags & NO_REPLY:
                expected.append((number, command))
        client.post(Cmd.GET_INFO, info(), id=0xffff)
        assert replies(client, 0xffff) == expected + [(0xffff, Cmd.GET_INFO)]
    client.close()


@bounded
@given(st.lists(commands, min_size=1, max_size=12))
def test_each_command_gets_its_reply_probe(probe, sent):
    check_each_gets_its_reply(probe, sent)


@bounded
@given(st.lists(commands, min_size=1, max_size=12))
def test_each_command_gets_its_reply_edu(edu, sent):
    check_each_gets_its_reply(edu, sent)


def read_what_comes(client):
    client.sock.settimeout(0.002)
    with contextlib.suppress(Ended, TimeoutError, BlockingIOError):
        while True:
            client.receive()


headers = st.tuples(st.integers(0, 0xffff), st.integers(0, 20), st.integers(0, 200) | word, flag,
                    word).map(lambda values: struct.pack('=HHIII', *values))


@bounded
@given(st.booleans(), st.lists(st.tuples(headers | st.binary(max_size=50), descriptors),
                               min_size=1, max_size=12))
def test_any_bytes_with_any_descriptors(probe, hello, pieces):
    client = probe.connect() if hello else probe.plain()
    with kinds_of_descriptors() as kinds, contextlib.suppress(Ended):
        for piece, fds in pieces:
            if piece:
                client.send(piece, [kinds[fd] for fd in fds])
    read_what_comes(client)
    client.close()
    with probe.vfiod.connect() as heir:
        heir.ping()


@bounded
@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode),
       st.integers(0, 0xffff), st.integers(0, 0xffff))
def test_any_offer(edu, text, major, minor):
    """VERSION with any text: taken, or refused and ended; never anything else."""
    client = edu.plain()
    got = client.call(Cmd.VERSION, version(major, minor, text))
    if got.flags & ERROR:
        assert client.ended()
    else:
        assert major == 0
        client.ping()
    client.close()


@bounded
@given(st.sampled_from([15, 16, 17, 31, 32, LIMIT - 1, LIMIT]) | st.integers(0, 3 * LIMIT),
       st.integers(0, 20))
def test_any_size(edu, size, command):
    """A size that cannot be ends the connection; another one is waited for."""
    client = edu.connect()
    client.send(message(command, size=size))
    if not 16 <= size <= LIMIT:
        assert client.ended()
    client.close()
