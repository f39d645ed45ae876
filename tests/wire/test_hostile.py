# SPDX-License-Identifier: MIT
"""What no honest client sends. It may cost the sender its connection, and nobody anything else.

That the server lives, serves the next client, and has kept nothing is checked after each test by
the fixtures (conftest.py).
"""

import contextlib
import fcntl
import mmap
import os
import random
import socket

import pytest

from feature import DMA_LIMITS, FAULT_EVENT, GET, SET, feature
from signals import signals
from wire import (BAR0, BAR5, CONFIG, Cmd, ERROR, EVENTFD, Ended, F_ADD_SEALS, F_SEAL_FUTURE_WRITE,
                  F_SEAL_GROW, F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_WRITE, INTX, MIB, MSIX, NO_REPLY,
                  PAGE, REPLY, TRIGGER, access, dma_map, dma_unmap, info, irq_query, irq_set,
                  memory, message, region_query, version)

# One message of each kind, with the number of descriptors that it takes.
KINDS = {
    'version': (Cmd.VERSION, version(), 0),
    'map': (Cmd.DMA_MAP, dma_map(0, PAGE), 1),
    'map without file': (Cmd.DMA_MAP, dma_map(0, PAGE), 0),
    'unmap': (Cmd.DMA_UNMAP, dma_unmap(0, PAGE), 0),
    'info': (Cmd.GET_INFO, info(), 0),
    'region info': (Cmd.GET_REGION_INFO, region_query(BAR0, 4064), 0),
    'io fds': (Cmd.GET_REGION_IO_FDS, irq_query(0), 0),
    'irq info': (Cmd.GET_IRQ_INFO, irq_query(INTX), 0),
    'irqs': (Cmd.SET_IRQS, irq_set(EVENTFD | TRIGGER, MSIX, 0, 2), 2),
    'read': (Cmd.REGION_READ, access(CONFIG, 0, 256), 0),
    'write': (Cmd.REGION_WRITE, access(BAR5, 0, 32, bytes(32)), 0),
    'reset': (Cmd.RESET, b'', 0),
    'feature': (Cmd.FEATURE, feature(GET | DMA_LIMITS, bytes(48)), 0),
    'fault event': (Cmd.FEATURE, feature(SET | FAULT_EVENT, bytes(8)), 1),
}

every_kind = pytest.mark.parametrize('kind', list(KINDS))


@contextlib.contextmanager
def descriptors(kind):
    """As many good descriptors as a message of this kind takes."""
    if kind in ('irqs', 'fault event'):
        yield signals(KINDS[kind][2])
    else:
        files = [memory(PAGE) for _ in range(KINDS[kind][2])]
        yield files
        for file in files:
            os.close(file)


# ---- commands and flags that are not there --------------------------------------------------


@pytest.mark.parametrize('command', [0, 11, 12, 14, 15, 17, 18, 19, 20, 100, 0x7fff, 0x8000,
                                     0xffff])
@pytest.mark.parametrize('body', [b'', bytes(16), bytes(64)], ids=len)
def test_unknown_and_unsupported_commands(edu, command, body):
    client = edu.connect()
    assert client.refused(command, body) == 'EINVAL'
    client.ping()


@pytest.mark.parametrize('flags', [0x20, 0x40, 0x80, 0x100, 0x8000, 0x80000000, 0xfffffff0 & ~0x10])
@every_kind
def test_unknown_flag_bits(probe, kind, flags):
    """The error bit counts as one: it is for replies."""
    client = probe.connect()
    command, body, _ = KINDS[kind]
    assert client.refused(command, body, flags=flags) == 'EINVAL'
    client.ping()


@pytest.mark.parametrize('kind_of_message', [1, 2, 3, 7, 8, 15])
@every_kind
def test_what_is_no_command_ends_the_connection(probe, kind, kind_of_message):
    """A reply that nobody asked for, or something of neither kind."""
    client = probe.connect()
    command, body, _ = KINDS[kind]
    client.send(message(command, body, flags=kind_of_message))
    assert client.ended()


@pytest.mark.parametrize('flags', [REPLY, REPLY | ERROR, REPLY | NO_REPLY])
@pytest.mark.parametrize('command', [Cmd.DMA_READ, Cmd.DMA_WRITE])
def test_an_answer_to_no_question_ends_the_connection(probe, command, flags):
    client = probe.connect()
    client.send(message(command, bytes(16), flags=flags))
    assert client.ended()


@every_kind
def test_the_error_field_of_a_command_is_ignored(probe, kind):
    client = probe.connect()
    command, body, _ = KINDS[kind]
    if kind not in ('version', 'unmap'):
        client.ok(command, body, error=5)


@every_kind
def test_no_reply_means_none_not_even_an_error(probe, kind):
    client = probe.connect()
    command, body, _ = KINDS[kind]
    for sent in (body, body[:4], b''):
        client.post(command, sent, flags=NO_REPLY)
    client.post(0x7777, flags=NO_REPLY)
    client.ping()


# ---- descriptors ----------------------------------------------------------------------------


@every_kind
@pytest.mark.parametrize('count', [1, 3, 17, 64, 253])
def test_any_number_of_descriptors(probe, kind, count):
    """Too many, or of a useless kind: there is an error reply, and nothing is left open.

    An unmap does not look at what comes with it.
    """
    client = probe.connect()
    command, body, _ = KINDS[kind]
    with open('/dev/null', 'rb+', buffering=0) as null:
        refused = client.call(command, body, [null] * count).flags & ERROR
    assert bool(refused) == (kind != 'unmap')
    client.ping()


def test_a_descriptor_with_each_of_many_messages(probe):
    """Messages that take none: 2000 descriptors must not stay."""
    client = probe.connect()
    file = memory(PAGE)
    for at in range(0, 2000, 50):
        for number in range(50):
            client.post(Cmd.GET_INFO, info(), [file], id=at + number)
        for number in range(50):
            assert client.reply(at + number, Cmd.GET_INFO).error == 22
    os.close(file)


def test_descriptors_with_a_message_that_never_ends(probe):
    for count in (1, 16, 253):
        client = probe.connect()
        file = memory(PAGE)
        client.send(message(Cmd.DMA_MAP, dma_map(0, PAGE))[:20], [file] * count)
        os.close(file)
        client.close()


def test_descriptors_piece_by_piece(probe):
    """A message of one byte a piece, each with descriptors: more than any message may have."""
    client = probe.connect()
    data = message(Cmd.DMA_MAP, dma_map(0, PAGE))
    file = memory(PAGE)
    with contextlib.suppress(Ended):
        for at in range(len(data)):
            client.send(data[at:at + 1], [file] * 20)
        assert client.receive().flags & ERROR
    os.close(file)


def test_the_servers_own_socket_as_descriptor(probe):
    """A connection sent through itself must not keep itself alive."""
    client = probe.connect()
    assert client.map_refused(0, PAGE, client.sock.fileno()) == 'EINVAL'
    assert client.irqs_refused(EVENTFD | TRIGGER, MSIX, 0, 1, [client.sock]) == 'EINVAL'


# ---- going at any moment --------------------------------------------------------------------


@every_kind
def test_disconnect_at_every_byte(probe, kind):
    command, body, _ = KINDS[kind]
    data = message(command, body)
    with descriptors(kind) as fds:
        for cut in range(1, len(data) + 1):
            client = probe.connect() if kind != 'version' else probe.plain()
            client.send(data[:cut], fds)
            client.close()


@every_kind
def test_end_of_sending_at_every_byte(probe, kind):
    """The client will read what comes, but says no more: it is let go, not waited for."""
    command, body, _ = KINDS[kind]
    data = message(command, body)
    for cut in range(0, len(data)):
        client = probe.connect() if kind != 'version' else probe.plain(deadline=2)
        client.send(data[:cut])
        client.sock.shutdown(socket.SHUT_WR)
        assert client.ended(), f'cut at {cut}'
        client.close()


def test_connect_and_go(edu):
    for _ in range(300):
        edu.plain().close()


def test_going_with_much_unread(probe):
    """Replies of megabytes that nobody took."""
    for _ in range(5):
        client = probe.connect()
        with contextlib.suppress(Ended):
            client.send(message(Cmd.REGION_READ, access(BAR5, 0, MIB)) * 20)
        client.close()


# ---- shared memory as a weapon --------------------------------------------------------------


def test_cutting_off_the_memory_of_a_bar(probe):
    """The client has the file of the BAR: it may be able to ask for that, the device must live."""
    client = probe.connect()
    region = client.region(BAR5, 4064)
    for size in (0, PAGE, 1 << 40):
        with contextlib.suppress(OSError):
            os.truncate(region.fds[0], size)
        client.write(BAR5, MIB, b'alive')
        assert client.read(BAR5, MIB, 5) == b'alive'


def test_punching_holes_into_the_memory_of_a_bar(probe):
    client = probe.connect()
    region = client.region(BAR5, 4064)
    with mmap.mmap(region.fds[0], 2 * MIB, offset=region.offset) as area:
        with contextlib.suppress(OSError):
            area.madvise(mmap.MADV_REMOVE)
    assert len(client.read(BAR5, 0, PAGE)) == PAGE
    client.write(BAR5, 0, b'alive')
    assert client.read(BAR5, 0, 5) == b'alive'


@pytest.mark.parametrize('seal', [F_SEAL_SEAL, F_SEAL_SHRINK | F_SEAL_GROW, F_SEAL_WRITE,
                                  F_SEAL_FUTURE_WRITE])
def test_sealing_the_memory_of_a_bar(probe, seal):
    """The device must still be able to use it, and the next client to map it for writing."""
    client = probe.connect()
    with contextlib.suppress(OSError):
        fcntl.fcntl(client.region(BAR5, 4064).fds[0], F_ADD_SEALS, seal)
    client.ok(Cmd.RESET)
    client.write(BAR5, 0, b'alive')
    assert client.read(BAR5, 0, 5) == b'alive'
    client.close()
    heir = probe.connect()
    region = heir.region(BAR5, 4064)
    with mmap.mmap(region.fds[0], PAGE, offset=region.offset) as area:
        area[0:4] = b'mine'
    assert heir.read(BAR5, 0, 4) == b'mine'


# ---- noise ----------------------------------------------------------------------------------


@pytest.mark.parametrize('seed', range(8))
def test_noise(probe, seed):
    """Random bytes, before and after hello."""
    chance = random.Random(seed)
    for hello in (False, True):
        for length in (1, 16, 17, 100, 5000, 100000):
            client = probe.connect() if hello else probe.plain()
            with contextlib.suppress(Ended):
                client.send(chance.randbytes(length))
            client.close()


@pytest.mark.parametrize('seed', range(8))
def test_flipped_bits(probe, seed):
    """Good messages with a few bits turned; the size is mended so that the stream goes on."""
    chance = random.Random(seed)
    client = probe.connect()
    for _ in range(300):
        command, body, takes = KINDS[chance.choice(list(KINDS))]
        damaged = bytearray(body)
        for _ in range(chance.randrange(4)):
            if damaged:
                damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        with open('/dev/null', 'rb+', buffering=0) as null:
            client.call(command, bytes(damaged), [null] * (takes if chance.random() < .5 else 0))
    client.ping()


def test_a_hundred_connections_that_say_nothing(edu):
    """They come while a client is served, which goes on being served."""
    client = edu.connect()
    others = []
    for _ in range(100):
        others.append(edu.plain())
    client.ping()
    for other in others:
        other.close()
    client.ping()
