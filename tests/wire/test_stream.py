# SPDX-License-Identifier: MIT
"""Framing: the socket is a stream of bytes, and messages come in any pieces (sections 1 and 2)."""

import contextlib
import os
import socket
import threading

import pytest

import wire
from wire import (BAR0, BAR5, CONFIG, Cmd, EVENTFD, HEADER, INTX, LIMIT, MIB, PAGE, TRIGGER, access,
                  dma_map, dma_unmap, info, irq_query, irq_set, memory, message, region_query,
                  version)

SCRATCH = 0x100

# Every command that succeeds without a descriptor, and what it is sent with.
REQUESTS = {
    Cmd.DMA_MAP: dma_map(0x100000, PAGE),
    Cmd.DMA_UNMAP: dma_unmap(0, 0, wire.UNMAP_ALL),
    Cmd.GET_INFO: info(),
    Cmd.GET_REGION_INFO: region_query(CONFIG),
    Cmd.GET_REGION_IO_FDS: irq_query(0),
    Cmd.GET_IRQ_INFO: irq_query(INTX),
    Cmd.SET_IRQS: irq_set(EVENTFD | TRIGGER, INTX, 0, 1),
    Cmd.REGION_READ: access(CONFIG, 0, 64),
    Cmd.REGION_WRITE: access(BAR0, SCRATCH, 12, b'twelve bytes'),
    Cmd.RESET: b'',
}

every_request = pytest.mark.parametrize('command', list(REQUESTS), ids=lambda c: c.name)


@every_request
def test_one_byte_at_a_time(probe, command):
    client = probe.connect()
    data = message(command, REQUESTS[command], id=0x1234)
    client.send_pieces(*[data[i:i + 1] for i in range(len(data))], pause=0.0005)
    assert not client.reply(0x1234, command).flags & wire.ERROR


@every_request
def test_split_in_two_anywhere(probe, command):
    client = probe.connect()
    data = message(command, REQUESTS[command], id=9)
    for cut in range(1, len(data)):
        client.send_pieces(data[:cut], data[cut:])
        assert not client.reply(9, command).flags & wire.ERROR, f'cut at {cut}'
        client.unmap(0, 0, wire.UNMAP_ALL)


def test_version_one_byte_at_a_time(edu):
    client = edu.plain()
    data = message(Cmd.VERSION, version(), id=3)
    client.send_pieces(*[data[i:i + 1] for i in range(len(data))], pause=0.0005)
    client.reply(3, Cmd.VERSION)
    client.ping()


def test_every_request_glued(probe):
    client = probe.connect()
    client.send(b''.join(message(command, body, id=command) for command, body in REQUESTS.items()))
    for command in REQUESTS:
        assert not client.reply(command, command).flags & wire.ERROR
    client.ping()


def test_ids_are_the_clients_own(edu):
    client = edu.connect()
    for number in (0, 0, 0xffff, 1, 0xffff, 0):
        assert client.call(Cmd.GET_INFO, info(), id=number).id == number


# ---- many at once --------------------------------------------------------------------------


def test_500_in_one_piece(edu):
    client = edu.connect()
    client.send(b''.join(message(Cmd.REGION_READ, access(CONFIG, number % 64 * 4, 4), id=number)
                         for number in range(500)))
    config = b''.join(client.reply(number, Cmd.REGION_READ).payload[16:] for number in range(64))
    for number in range(64, 500):
        at = number % 64 * 4
        assert client.reply(number, Cmd.REGION_READ).payload[16:] == config[at:at + 4]


def test_5000_while_reading(probe):
    """Posted writes and reads in turn; what is read is what was written before."""
    client = probe.connect()

    def write():
        for number in range(2500):
            value = number.to_bytes(4, 'little')
            client.send(message(Cmd.REGION_WRITE, access(BAR0, SCRATCH, 4, value), flags=0x10) +
                        message(Cmd.REGION_READ, access(BAR0, SCRATCH, 4), id=number))

    writer = threading.Thread(target=write)
    writer.start()
    got = [client.reply(number, Cmd.REGION_READ).payload[16:] for number in range(2500)]
    writer.join()
    assert got == [number.to_bytes(4, 'little') for number in range(2500)]


@pytest.mark.parametrize('step', [1, 7, 15, 16, 17, 31, 33, 100])
def test_piled_up_pieces(edu, step):
    """Pieces that respect no border lie in the socket together when the server reads."""
    client = edu.connect()
    data = b''.join(message(Cmd.REGION_READ, access(CONFIG, 0, 4), id=number)
                    for number in range(40))
    pieces = [data[at:at + step] for at in range(0, len(data), step)]
    with edu.stopped():
        for piece in pieces[:60]:
            client.send(piece)
    client.send(b''.join(pieces[60:]))
    for number in range(40):
        client.reply(number, Cmd.REGION_READ)


def test_what_came_before_the_end_is_answered(edu):
    client = edu.connect()
    with edu.stopped():
        for number in range(10):
            client.post(Cmd.GET_INFO, info(), id=number)
        client.sock.shutdown(socket.SHUT_WR)
    for number in range(10):
        client.reply(number, Cmd.GET_INFO)
    assert client.ended()


# ---- sizes ---------------------------------------------------------------------------------


@pytest.mark.parametrize('size', [0, 1, 8, 15, LIMIT + 1, 2 * MIB, 0x7fffffff, 0x80000000,
                                  0xfffffff0, 0xffffffff])
def test_a_size_that_cannot_be_ends_the_connection_at_once(edu, size):
    client = edu.connect()
    client.send(message(Cmd.GET_INFO, info(), size=size))
    assert client.ended()


@pytest.mark.parametrize('size', [0, 15, LIMIT + 1, 0xffffffff])
def test_such_a_size_in_version_ends_the_connection(edu, size):
    client = edu.plain()
    client.send(message(Cmd.VERSION, version(), size=size))
    assert client.ended()


def test_the_largest_message(edu):
    client = edu.connect()
    filler = bytes(LIMIT - HEADER.size - len(info()))
    assert len(client.ok(Cmd.GET_INFO, info() + filler)) == 16
    client.ping()


def test_a_header_alone_where_a_body_is_due(edu):
    client = edu.connect()
    for command in REQUESTS:
        if command != Cmd.RESET:
            assert client.refused(command) == 'EINVAL'


@every_request
def test_every_shorter_body_is_refused(probe, command):
    client = probe.connect()
    body = REQUESTS[command]
    for length in range(len(body)):
        assert client.refused(command, body[:length]) == 'EINVAL', f'{length} bytes'


@pytest.mark.parametrize('command', [c for c in REQUESTS if c != Cmd.REGION_WRITE],
                         ids=lambda c: c.name)
def test_a_longer_body_is_legal(probe, command):
    client = probe.connect()
    short = client.ok(command, REQUESTS[command])
    if command == Cmd.DMA_MAP:
        client.unmap(0x100000, PAGE)
    assert len(client.ok(command, REQUESTS[command] + b'\xff' * 100)) == len(short)


def test_writes_of_a_full_mebibyte(probe):
    client = probe.connect()
    data = os.urandom(MIB)
    for offset in (0, 1, MIB):
        assert client.write(BAR5, offset, data) == MIB
        assert client.read(BAR5, offset, MIB) == data
    assert client.read(BAR5, 1, MIB - 1) == data[:-1]


def test_a_write_of_a_full_mebibyte_to_registers(edu):
    """Trapped all of it; zeros start nothing in an edu device."""
    client = edu.connect()
    assert client.write(BAR0, 0, bytes(MIB)) == MIB
    client.ping()


def test_a_mebibyte_in_small_pieces(probe):
    client = probe.connect()
    data = os.urandom(MIB)
    whole = message(Cmd.REGION_WRITE, access(BAR5, 0, MIB, data), id=1)
    cuts = [0, 1, 16, 17, 32, 33, 4096, 70000, MIB, len(whole)]
    client.send_pieces(*[whole[a:b] for a, b in zip(cuts, cuts[1:])])
    assert not client.reply(1, Cmd.REGION_WRITE).flags & wire.ERROR
    assert client.read(BAR5, 0, MIB) == data


# ---- descriptors ---------------------------------------------------------------------------


@pytest.mark.parametrize('fds_with', [0, 1], ids=['first piece', 'second piece'])
def test_descriptor_of_a_message_in_two_pieces(probe, fds_with):
    """It belongs to the message with whose bytes it came, header or body."""
    client = probe.connect()
    data = message(Cmd.DMA_MAP, dma_map(0x1000, PAGE), id=5)
    for cut in range(1, len(data)):
        with opened(memory(PAGE)) as file:
            client.send_pieces(data[:cut], data[cut:], fds=[file], fds_with=fds_with)
            assert not client.reply(5, Cmd.DMA_MAP).flags & wire.ERROR, f'cut at {cut}'
            assert device_reads(client, 0x1000, file), f'cut at {cut}'
        client.unmap(0x1000, PAGE)


@contextlib.contextmanager
def opened(file):
    yield file
    os.close(file)


def device_reads(client, iova, file):
    """Does the probe device find at iova what is at the start of the file?"""
    secret = os.urandom(16)
    os.pwrite(file, secret, 0)
    client.bus_master()
    client.put(BAR0, 0x10, iova, 8)
    client.put(BAR0, 0x18, 16)
    client.put(BAR0, 0x1c, 1)
    return client.get(BAR0, 0x0c) == 0 and client.read(BAR0, 0x4000, 16) == secret


def test_a_descriptor_each_piled_up(probe):
    """QEMU's way: maps sent one after the other, the replies read later."""
    client = probe.connect()
    files = [memory(PAGE) for _ in range(20)]
    with probe.stopped():
        for number, file in enumerate(files):
            client.post(Cmd.DMA_MAP, dma_map(number * PAGE, PAGE), [file], id=number)
    for number in range(20):
        assert not client.reply(number, Cmd.DMA_MAP).flags & wire.ERROR
    for number, file in enumerate(files):
        assert device_reads(client, number * PAGE, file)
        os.close(file)


@pytest.mark.parametrize('owner', range(5))
def test_piled_up_messages_of_which_one_has_a_descriptor(probe, owner):
    """Five maps, one of them with a file: the others must not get it."""
    client = probe.connect()
    file = memory(PAGE)
    with probe.stopped():
        for number in range(5):
            fds = [file] if number == owner else ()
            client.post(Cmd.DMA_MAP, dma_map(number * PAGE, PAGE), fds, id=number)
    for number in range(5):
        assert not client.reply(number, Cmd.DMA_MAP).flags & wire.ERROR
    assert device_reads(client, owner * PAGE, file)
    os.close(file)


@pytest.mark.parametrize('before', [1, 3, 100])
def test_descriptor_of_the_last_of_many(probe, before):
    """Messages that take no descriptor, then one that has one, all in the socket together."""
    client = probe.connect()
    file = memory(PAGE)
    with probe.stopped():
        client.send(b''.join(message(Cmd.GET_INFO, info(), id=n) for n in range(before)))
        client.post(Cmd.DMA_MAP, dma_map(0, PAGE), [file], id=1000)
    for number in range(before):
        client.reply(number, Cmd.GET_INFO)
    assert not client.reply(1000, Cmd.DMA_MAP).flags & wire.ERROR
    assert device_reads(client, 0, file)
    os.close(file)


def test_descriptor_of_the_first_of_many_in_one_piece(probe):
    client = probe.connect()
    file = memory(PAGE)
    client.send(message(Cmd.DMA_MAP, dma_map(0, PAGE), id=1) +
                message(Cmd.GET_INFO, info(), id=2) + message(Cmd.RESET, id=3), [file])
    for number, command in enumerate((Cmd.DMA_MAP, Cmd.GET_INFO, Cmd.RESET), 1):
        assert not client.reply(number, command).flags & wire.ERROR
    assert device_reads(client, 0, file)
    os.close(file)


def test_two_messages_with_descriptors_in_pieces(probe):
    """Four pieces that lie in the socket together."""
    client = probe.connect()
    files = [memory(PAGE), memory(PAGE)]
    first = message(Cmd.DMA_MAP, dma_map(0, PAGE), id=0)
    second = message(Cmd.DMA_MAP, dma_map(PAGE, PAGE), id=1)
    with probe.stopped():
        client.send(first[:20], files[:1])
        client.send(first[20:])
        client.send(second[:3], files[1:])
        client.send(second[3:])
    for number in range(2):
        assert not client.reply(number, Cmd.DMA_MAP).flags & wire.ERROR
    for number, file in enumerate(files):
        assert device_reads(client, number * PAGE, file)
        os.close(file)
