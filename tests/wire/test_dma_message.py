# SPDX-License-Identifier: MIT
"""DMA_READ and DMA_WRITE: memory without a descriptor, which the server asks for (section 3.11)."""

import contextlib
import os
import struct
import time

import pytest

from dma import (BUFFER, BUFFER_SIZE, FROM_BUFFER, HOLD, TO_BUFFER, answer, answer_read,
                 answer_write, asked, deposit, fetch, finish, run, start)
from wire import (BAR0, BAR5, CONFIG, Cmd, DMA, ERROR, Ended, MIB, NO_REPLY, PAGE, READ, REPLY,
                  UNMAP_ALL, WRITE, access, dma_map, dma_unmap, info, memory, message, version)

BASE = 0x100000
SIZE = 16 * PAGE


def mapped(server, flags=READ | WRITE, **offer):
    """A client with a window at BASE for which the server must ask."""
    client = server.connect(0, 1, {'capabilities': offer} if offer else None)
    client.bus_master()
    client.map(BASE, SIZE, flags=flags)
    return client


# ---- asking and answering -------------------------------------------------------------------


@pytest.mark.parametrize('length', [1, 4, 100, PAGE, BUFFER_SIZE])
def test_read(probe, length):
    client = mapped(probe)
    pending = start(client, TO_BUFFER, BASE + 12, length)
    number, iova, count, _ = asked(client, Cmd.DMA_READ)
    assert (iova, count) == (BASE + 12, length)
    data = os.urandom(length)
    answer_read(client, number, iova, data)
    assert finish(client, pending) == 'ok'
    assert client.read(BAR0, BUFFER, length) == data


@pytest.mark.parametrize('length', [1, 4, 100, PAGE, BUFFER_SIZE])
def test_write(probe, length):
    client = mapped(probe)
    data = os.urandom(length)
    client.write(BAR0, BUFFER, data)
    pending = start(client, FROM_BUFFER, BASE, length)
    number, iova, count, sent = asked(client, Cmd.DMA_WRITE)
    assert (iova, count, sent) == (BASE, length, data)
    answer_write(client, number, iova, count)
    assert finish(client, pending) == 'ok'


@pytest.mark.parametrize('body', [b'', struct.pack('=QI', BASE, 64)],
                         ids=['header only', 'count of 4 bytes'])
def test_write_answered_as_qemu_does(probe, body):
    client = mapped(probe)
    pending = start(client, FROM_BUFFER, BASE, 64)
    number, *_ = asked(client, Cmd.DMA_WRITE)
    answer(client, Cmd.DMA_WRITE, number, body)
    assert finish(client, pending) == 'ok'


@pytest.mark.parametrize('command', [Cmd.DMA_READ, Cmd.DMA_WRITE], ids=['read', 'write'])
@pytest.mark.parametrize('most', [1000, PAGE, 64])
def test_the_clients_limit_is_kept(probe, command, most):
    """Longer transfers are split, in ascending order and without a gap."""
    client = mapped(probe, max_data_xfer_size=most)
    length = 10 * most + 1
    data = os.urandom(min(length, BUFFER_SIZE))
    client.write(BAR0, BUFFER, bytes(len(data)) if command == Cmd.DMA_READ else data)
    direction = TO_BUFFER if command == Cmd.DMA_READ else FROM_BUFFER
    pending = start(client, direction, BASE, len(data))
    at = 0
    while at < len(data):
        number, iova, count, sent = asked(client, command)
        assert iova == BASE + at and 0 < count <= min(most, len(data) - at)
        if command == Cmd.DMA_READ:
            answer_read(client, number, iova, data[at:at + count])
        else:
            assert sent == data[at:at + count]
            answer_write(client, number, iova, count)
        at += count
    assert finish(client, pending) == 'ok'
    assert client.read(BAR0, BUFFER, len(data)) == data


def test_the_answer_may_come_in_pieces(probe):
    client = mapped(probe)
    pending = start(client, TO_BUFFER, BASE, 16)
    number, iova, *_ = asked(client, Cmd.DMA_READ)
    body = DMA.pack(iova, 16) + b'sixteen bytes ok'
    whole = message(Cmd.DMA_READ, body, id=number, flags=REPLY)
    client.send_pieces(*[whole[i:i + 1] for i in range(len(whole))])
    assert finish(client, pending) == 'ok'
    assert client.read(BAR0, BUFFER, 16) == b'sixteen bytes ok'


def test_memory_of_both_kinds_in_one_transfer(probe):
    client = mapped(probe)
    file = memory(PAGE)
    os.pwrite(file, b'in the file', PAGE - 11)
    client.map(BASE - PAGE, PAGE, file)
    pending = start(client, TO_BUFFER, BASE - 11, 11 + 9)
    number, iova, count, _ = asked(client, Cmd.DMA_READ)
    assert (iova, count) == (BASE, 9)
    answer_read(client, number, iova, b'by message'[:9])
    assert finish(client, pending) == 'ok'
    assert client.read(BAR0, BUFFER, 20) == b'in the fileby messag'
    os.close(file)


# ---- only where the client allowed it -------------------------------------------------------


def test_nothing_is_asked_for_outside_the_window(probe):
    client = mapped(probe)
    end = BASE + SIZE
    for iova, length in ((BASE - 1, 1), (BASE - 1, 2), (end, 1), (end - 1, 2), (0, 8)):
        assert fetch(client, iova, length) == 'EFAULT'
        assert deposit(client, iova, bytes(length)) == 'EFAULT'


@pytest.mark.parametrize('flags', [READ, WRITE])
def test_nothing_is_asked_for_in_the_other_direction(probe, flags):
    client = mapped(probe, flags)
    if flags == READ:
        assert deposit(client, BASE, b'x') == 'EFAULT'
    else:
        assert fetch(client, BASE, 1) == 'EFAULT'


def test_nothing_is_asked_for_after_unmap_or_without_bus_master(probe):
    client = mapped(probe)
    client.bus_master(False)
    assert fetch(client, BASE, 1) == 'EPERM'
    client.bus_master()
    client.unmap(0, 0, UNMAP_ALL)
    assert fetch(client, BASE, 1) == 'EFAULT'


def test_such_memory_is_not_to_be_had_in_place(probe):
    assert run(mapped(probe), HOLD, BASE, 16) == 'ENOTSUP'


# ---- commands that cross --------------------------------------------------------------------


def test_commands_that_come_while_the_server_waits(probe):
    """They are served afterwards, in their order."""
    client = mapped(probe)
    pending = start(client, TO_BUFFER, BASE, 8)
    number, iova, *_ = asked(client, Cmd.DMA_READ)
    infos = [client.post(Cmd.GET_INFO, info()) for _ in range(5)]
    reading = client.post(Cmd.REGION_READ, access(BAR0, BUFFER, 8))
    answer_read(client, number, iova, b'crossing')
    assert not client.reply(pending, Cmd.REGION_WRITE).flags & ERROR
    for crossed in infos:
        client.reply(crossed, Cmd.GET_INFO)
    assert client.reply(reading, Cmd.REGION_READ).payload[16:] == b'crossing'


def test_a_crossing_command_with_a_descriptor(probe):
    client = mapped(probe)
    file = memory(PAGE)
    os.pwrite(file, b'file', 0)
    pending = start(client, TO_BUFFER, BASE, 8)
    number, iova, *_ = asked(client, Cmd.DMA_READ)
    mapping = client.post(Cmd.DMA_MAP, dma_map(0, PAGE), [file])
    answer_read(client, number, iova, bytes(8))
    assert not client.reply(pending, Cmd.REGION_WRITE).flags & ERROR
    assert not client.reply(mapping, Cmd.DMA_MAP).flags & ERROR
    assert fetch(client, 0, 4) == b'file'
    os.close(file)


def test_a_crossing_unmap_of_the_window(probe):
    """The transfer in flight ends first; then the window goes."""
    client = mapped(probe)
    pending = start(client, TO_BUFFER, BASE, 8)
    number, iova, *_ = asked(client, Cmd.DMA_READ)
    unmapping = client.post(Cmd.DMA_UNMAP, dma_unmap(BASE, SIZE))
    answer_read(client, number, iova, bytes(8))
    assert not client.reply(pending, Cmd.REGION_WRITE).flags & ERROR
    assert not client.reply(unmapping, Cmd.DMA_UNMAP).flags & ERROR
    assert fetch(client, BASE, 8) == 'EFAULT'


def test_many_crossing_commands(probe):
    client = mapped(probe)
    pending = start(client, TO_BUFFER, BASE, 8)
    number, iova, *_ = asked(client, Cmd.DMA_READ)
    for crossed in range(300):
        client.post(Cmd.REGION_WRITE, access(BAR0, 0x100, 4, crossed.to_bytes(4, 'little')),
                    flags=NO_REPLY)
    answer_read(client, number, iova, bytes(8))
    assert finish(client, pending) == 'ok'
    assert client.get(BAR0, 0x100) == 299


def test_commands_that_cross_may_ask_for_memory_themselves(probe):
    client = mapped(probe)
    sent = [start(client, TO_BUFFER, BASE, 8)]
    question = asked(client, Cmd.DMA_READ)
    for _ in range(5):
        sent.append(client.post(Cmd.REGION_WRITE, access(BAR0, 0x1c, 4, b'\1\0\0\0')))
    for left in reversed(range(6)):
        answer_read(client, question[0], BASE, bytes([left]) * 8)
        assert not client.reply(sent.pop(0), Cmd.REGION_WRITE).flags & ERROR
        if left:
            question = asked(client, Cmd.DMA_READ)
    assert client.read(BAR0, BUFFER, 8) == bytes(8)


def test_a_question_behind_a_long_reply(probe):
    """The reply is still on its way when the server asks: both arrive whole."""
    client = mapped(probe)
    client.write(BAR0, 0x10, DMA.pack(BASE, 8))
    reading = client.post(Cmd.REGION_READ, access(BAR5, 0, MIB))
    pending = client.post(Cmd.REGION_WRITE, access(BAR0, 0x1c, 4, b'\1\0\0\0'))
    assert len(client.reply(reading, Cmd.REGION_READ).payload) == 16 + MIB
    number, iova, *_ = asked(client, Cmd.DMA_READ)
    answer_read(client, number, iova, bytes(8))
    assert finish(client, pending) == 'ok'


def test_looking_at_the_device_while_the_server_waits(probe):
    client = mapped(probe)
    pending = start(client, TO_BUFFER, BASE, 8)
    number, iova, *_ = asked(client, Cmd.DMA_READ)
    assert probe.control('describe', device='probe')['description']['backend'] == 'inprocess'
    answer_read(client, number, iova, bytes(8))
    assert finish(client, pending) == 'ok'


def test_a_posted_write_that_starts_dma(probe):
    """Its reply is not wanted, the server's questions come all the same."""
    client = mapped(probe)
    client.write(BAR0, 0x10, DMA.pack(BASE, 4))
    client.post(Cmd.REGION_WRITE, access(BAR0, 0x1c, 4, b'\1\0\0\0'), flags=NO_REPLY)
    number, iova, *_ = asked(client, Cmd.DMA_READ)
    answer_read(client, number, iova, b'post')
    assert client.read(BAR0, BUFFER, 4) == b'post'


# ---- answers that are errors, and answers that are wrong ------------------------------------


@pytest.mark.parametrize('command', [TO_BUFFER, FROM_BUFFER], ids=['read', 'write'])
@pytest.mark.parametrize('error', [5, 14, 0, 4096, 0xffffffff])
def test_an_error_reaches_the_device(probe, command, error):
    client = mapped(probe)
    pending = start(client, command, BASE, 8)
    asked_for = Cmd.DMA_READ if command == TO_BUFFER else Cmd.DMA_WRITE
    number, *_ = asked(client, asked_for)
    answer(client, asked_for, number, flags=REPLY | ERROR, error=error)
    assert finish(client, pending) == 'EIO'
    client.ping()


WRONG_READS = {
    'id': lambda n, i: (Cmd.DMA_READ, n ^ 1, DMA.pack(i, 8) + bytes(8)),
    'iova': lambda n, i: (Cmd.DMA_READ, n, DMA.pack(i + 8, 8) + bytes(8)),
    'count': lambda n, i: (Cmd.DMA_READ, n, DMA.pack(i, 9) + bytes(8)),
    'huge count': lambda n, i: (Cmd.DMA_READ, n, DMA.pack(i, 1 << 63) + bytes(8)),
    'no count': lambda n, i: (Cmd.DMA_READ, n, DMA.pack(i, 0)),
    'short data': lambda n, i: (Cmd.DMA_READ, n, DMA.pack(i, 8) + bytes(7)),
    'no data': lambda n, i: (Cmd.DMA_READ, n, DMA.pack(i, 8)),
    'long data': lambda n, i: (Cmd.DMA_READ, n, DMA.pack(i, 8) + bytes(PAGE)),
    'a mebibyte': lambda n, i: (Cmd.DMA_READ, n, DMA.pack(i, 8) + bytes(MIB)),
    'nothing': lambda n, i: (Cmd.DMA_READ, n, b''),
    'command': lambda n, i: (Cmd.DMA_WRITE, n, DMA.pack(i, 8)),
    'other command': lambda n, i: (Cmd.REGION_READ, n, DMA.pack(i, 8) + bytes(8)),
}

WRONG_WRITES = {
    'id': lambda n, i: (Cmd.DMA_WRITE, n ^ 1, DMA.pack(i, 8)),
    'iova': lambda n, i: (Cmd.DMA_WRITE, n, DMA.pack(i ^ 1, 8)),
    'count': lambda n, i: (Cmd.DMA_WRITE, n, DMA.pack(i, 7)),
    'iova alone': lambda n, i: (Cmd.DMA_WRITE, n, i.to_bytes(8, 'little')),
    'small, iova': lambda n, i: (Cmd.DMA_WRITE, n, struct.pack('=QI', i + 8, 8)),
    'small, count': lambda n, i: (Cmd.DMA_WRITE, n, struct.pack('=QI', i, 9)),
    'long': lambda n, i: (Cmd.DMA_WRITE, n, DMA.pack(i, 8) + bytes(8)),
    'command': lambda n, i: (Cmd.DMA_READ, n, DMA.pack(i, 8) + bytes(8)),
}


@pytest.mark.parametrize('direction, wrong', [
    *((TO_BUFFER, wrong) for wrong in WRONG_READS),
    *((FROM_BUFFER, wrong) for wrong in WRONG_WRITES)])
def test_a_wrong_answer_ends_the_connection(probe, direction, wrong):
    client = mapped(probe)
    client.sock.settimeout(2)
    start(client, direction, BASE, 8)
    reads = direction == TO_BUFFER
    number, iova, *_ = asked(client, Cmd.DMA_READ if reads else Cmd.DMA_WRITE)
    command, number, body = (WRONG_READS if reads else WRONG_WRITES)[wrong](number, iova)
    answer(client, command, number, body)
    assert ended_soon(client)


def ended_soon(client):
    """The reply to the access that the device was busy with may still come, then the end."""
    with contextlib.suppress(Ended):
        client.receive()
        return client.ended()
    return True


def test_an_answer_with_a_descriptor(probe):
    """Answers take none; whatever becomes of the connection, it is closed."""
    client = mapped(probe)
    open_before = probe.fds()
    pending = start(client, TO_BUFFER, BASE, 8)
    number, iova, *_ = asked(client, Cmd.DMA_READ)
    file = memory(PAGE)
    body = DMA.pack(iova, 8) + bytes(8)
    client.send(message(Cmd.DMA_READ, body, id=number, flags=REPLY), [file])
    os.close(file)
    with contextlib.suppress(Ended):
        finish(client, pending)
        assert probe.fds() == open_before


def test_a_second_answer_ends_the_connection(probe):
    client = mapped(probe)
    pending = start(client, TO_BUFFER, BASE, 8)
    number, iova, *_ = asked(client, Cmd.DMA_READ)
    answer_read(client, number, iova, bytes(8))
    assert finish(client, pending) == 'ok'
    answer_read(client, number, iova, bytes(8))
    assert client.ended()


# ---- a client that does not answer ----------------------------------------------------------


def test_no_answer(hasty_probe):
    """The client is dropped when its time is over, and the log says why."""
    client = mapped(hasty_probe)
    logged = len(hasty_probe.log())
    began = time.monotonic()
    start(client, TO_BUFFER, BASE, 8)
    asked(client, Cmd.DMA_READ)
    assert ended_soon(client)
    assert 0.4 <= time.monotonic() - began < 3
    assert hasty_probe.tells(logged)


def test_the_client_goes_instead_of_answering(probe):
    for direction, command in ((TO_BUFFER, Cmd.DMA_READ), (FROM_BUFFER, Cmd.DMA_WRITE)):
        client = mapped(probe)
        start(client, direction, BASE, 8)
        asked(client, command)
        client.close()


def test_what_was_kept_for_later_goes_with_its_client(probe):
    """Commands that were not served yet are nothing that the next client should hear of."""
    client = mapped(probe)
    start(client, TO_BUFFER, BASE, 8)
    asked(client, Cmd.DMA_READ)
    file = memory(PAGE)
    for page in range(20):
        client.post(Cmd.DMA_MAP, dma_map(page * PAGE, PAGE), [file])
        client.post(Cmd.REGION_WRITE, access(BAR0, 0x100, 8, b'leftover'))
    os.close(file)
    client.send(message(Cmd.REGION_WRITE, access(BAR0, 0x100, 8, b'leftover'))[:-1])
    client.close()
    heir = probe.connect()
    heir.ping()
    assert heir.read(BAR0, 0x100, 8) == bytes(8)
    assert heir.unmap(0, 0, UNMAP_ALL) == 0


def test_the_client_goes_in_the_middle_of_its_answer(probe):
    for cut in range(1, 40):
        client = mapped(probe)
        start(client, TO_BUFFER, BASE, 8)
        number, iova, *_ = asked(client, Cmd.DMA_READ)
        body = DMA.pack(iova, 8) + bytes(8)
        client.send(message(Cmd.DMA_READ, body, id=number, flags=REPLY)[:cut])
        client.close()


def test_others_are_refused_at_once_meanwhile(probe):
    """While the server waits for its client, another one hears that it is busy."""
    client = mapped(probe)
    pending = start(client, TO_BUFFER, BASE, 8)
    number, iova, *_ = asked(client, Cmd.DMA_READ)
    other = probe.plain(deadline=2)
    assert other.refused(Cmd.VERSION, version()) == 'EBUSY'
    assert other.ended()
    assert probe.device()['state'] == 'ready'
    answer_read(client, number, iova, bytes(8))
    assert finish(client, pending) == 'ok'
    assert client.get(CONFIG, 0, 2) == 0x1234
