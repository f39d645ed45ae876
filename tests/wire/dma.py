# SPDX-License-Identifier: MIT
"""The probe's DMA engine, and a client that answers when the device asks it for memory."""

import contextlib
import errno
import os

import wire
from wire import BAR0, DMA, PAGE, Cmd

RESULT, IOVA, LENGTH, COMMAND, GONE = 0x0c, 0x10, 0x18, 0x1c, 0x20
BUFFER, BUFFER_SIZE = 0x4000, 0x4000
TO_BUFFER, FROM_BUFFER, HOLD, FILL = 1, 2, 3, 4


SEALED = True           # against shrinking: memory that a server can use in place


@contextlib.contextmanager
def file_of(pages, content=b'', sealed=False):
    """A memory file, closed at the end."""
    fd = wire.memory(pages * PAGE, sealed)
    os.pwrite(fd, content, 0)
    yield fd
    os.close(fd)


def aim(client, iova, length):
    client.put(BAR0, IOVA, iova, 8)
    client.put(BAR0, LENGTH, length)


def result(client):
    """The name of the errno of the device's last command, or 'ok'."""
    return errno.errorcode.get(client.get(BAR0, RESULT), 'ok')


def run(client, command, iova=0, length=0):
    """Let the device do a command; returns its result."""
    aim(client, iova, length)
    client.put(BAR0, COMMAND, command)
    return result(client)


def fetch(client, iova, length):
    """What the device reads at iova, or the name of its error."""
    client.write(BAR0, BUFFER, b'\xa5' * length)
    outcome = run(client, TO_BUFFER, iova, length)
    return client.read(BAR0, BUFFER, length) if outcome == 'ok' else outcome


def deposit(client, iova, data):
    """Let the device write data to iova; returns its result."""
    client.write(BAR0, BUFFER, data)
    return run(client, FROM_BUFFER, iova, len(data))


def start(client, command, iova, length):
    """Start a command without waiting; returns the id whose reply will tell that it is over."""
    aim(client, iova, length)
    return client.post(Cmd.REGION_WRITE,
                       wire.access(BAR0, COMMAND, 4, command.to_bytes(4, 'little')))


def asked(client, command):
    """The server's next message, which must be this command: (its id, iova, count, data)."""
    got = client.receive()
    assert (got.command, got.flags, got.error) == (command, 0, 0) and not got.fds
    iova, count = DMA.unpack_from(got.payload)
    data = got.payload[DMA.size:]
    assert len(data) == (count if command == Cmd.DMA_WRITE else 0)
    return got.id, iova, count, data


def answer(client, command, number, payload=b'', **head):
    head.setdefault('flags', wire.REPLY)
    client.send(wire.message(command, payload, id=number, **head))


def answer_read(client, number, iova, data):
    answer(client, Cmd.DMA_READ, number, DMA.pack(iova, len(data)) + data)


def answer_write(client, number, iova, count):
    answer(client, Cmd.DMA_WRITE, number, DMA.pack(iova, count))


def finish(client, number):
    """The reply to what start() began; returns the device's result."""
    assert not client.reply(number, Cmd.REGION_WRITE).flags & wire.ERROR
    return result(client)
