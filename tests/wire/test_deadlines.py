# SPDX-License-Identifier: MIT
"""Clients that are silent, half-send or do not read: they stall nobody but themselves.

The server under test gives its client half a second (vfiod --timeout 500).
"""

import contextlib
import os
import threading
import time

import pytest

from daemon import wait_for
from wire import (BAR0, CONFIG, Cmd, ERROR, Ended, MIB, PAGE, REPLY, access, dma_map, info, memory,
                  message, version)

TIMEOUT = 0.5


@contextlib.contextmanager
def dropped_in_time(server):
    """What is done here ends when the server's patience does; the log tells why."""
    logged = len(server.log())
    began = time.monotonic()
    yield
    took = time.monotonic() - began
    assert 0.8 * TIMEOUT <= took < TIMEOUT + 2, f'after {took:.2f} s'
    assert server.tells(logged), 'the log does not say why'


@pytest.mark.parametrize('start', [b'', message(Cmd.VERSION, version())[:1],
                                   message(Cmd.VERSION, version())[:15],
                                   message(Cmd.VERSION, version())[:16],
                                   message(Cmd.VERSION, version())[:-1]],
                         ids=['nothing', 'a byte', 'half a header', 'a header', 'all but a byte'])
def test_no_hello(hasty, start):
    client = hasty.plain()
    client.send(start or b'')
    with dropped_in_time(hasty):
        assert client.ended()


@pytest.mark.parametrize('cut', [1, 15, 16, 17, 31])
def test_half_a_message(hasty, cut):
    client = hasty.connect()
    client.send(message(Cmd.REGION_READ, access(CONFIG, 0, 4))[:cut])
    with dropped_in_time(hasty):
        assert client.ended()


def test_a_message_of_a_byte_at_a_time_too_slowly(hasty):
    """The deadline is the message's: bytes that trickle do not extend it."""
    client = hasty.connect()
    data = message(Cmd.REGION_READ, access(CONFIG, 0, 4))
    with dropped_in_time(hasty):
        with pytest.raises(Ended):
            for at in range(len(data)):
                client.send(data[at:at + 1])
                time.sleep(TIMEOUT / 5)


def test_a_mebibyte_that_trickles(hasty):
    client = hasty.connect()
    data = message(Cmd.REGION_WRITE, access(BAR0, 0, MIB, bytes(MIB)))
    with dropped_in_time(hasty):
        with pytest.raises(Ended):
            for at in range(0, len(data), 4096):
                client.send(data[at:at + 4096])
                time.sleep(TIMEOUT / 10)


def test_silence_between_messages_is_no_fault(hasty):
    client = hasty.connect()
    for _ in range(2):
        time.sleep(2 * TIMEOUT)
        client.ping()


def flood(client):
    """Ask for more than sockets hold, and read nothing; returns when the server has enough."""
    with contextlib.suppress(Ended):
        while True:
            client.send(message(Cmd.REGION_READ, access(BAR0, 0, MIB // 4)) * 10)


def test_replies_that_are_not_read(hasty):
    client = hasty.connect()
    with dropped_in_time(hasty):
        flood(client)


def test_one_reply_that_is_not_read(hasty):
    """The client asks for one thing, larger than a socket holds, and does not take it."""
    client = hasty.connect()
    logged = len(hasty.log())
    client.post(Cmd.REGION_READ, access(BAR0, 0, MIB))
    assert wait_for(hasty.is_free, TIMEOUT + 2)
    assert hasty.tells(logged)
    with pytest.raises((Ended, AssertionError)):
        client.receive()


def test_a_slow_reader_is_no_fault(hasty):
    """Each read makes progress, if little: replies of 4 MiB in a second or more.

    The server goes on when three quarters of what the socket holds were read, three replies: a
    machine that is busy must not make this client late for that.
    """
    client = hasty.connect()
    client.send(message(Cmd.REGION_READ, access(BAR0, 0, MIB // 16)) * 64)
    for _ in range(64):
        time.sleep(TIMEOUT / 32)
        assert len(client.receive().payload) == 16 + MIB // 16


STALLS = {
    'no hello': b'',
    'half a hello': message(Cmd.VERSION, version())[:20],
    'half a message': message(Cmd.VERSION, version()) + message(Cmd.GET_INFO, info())[:20],
}


@pytest.mark.parametrize('stall', list(STALLS))
def test_control_and_other_clients_meanwhile(edu, stall):
    """With its five seconds running for one client, the server answers everybody else at once."""
    client = edu.plain()
    client.send(STALLS[stall])
    time.sleep(0.05)
    began = time.monotonic()
    other = edu.plain(deadline=2)
    got = other.call(Cmd.VERSION, version())
    assert got.flags == REPLY or (got.flags, got.error) == (REPLY | ERROR, 16)
    other.close()
    edu.device()
    assert time.monotonic() - began < 1


def test_control_and_other_clients_while_replies_are_not_read(edu):
    client = edu.connect()
    client.sock.settimeout(0.5)
    with contextlib.suppress(TimeoutError):
        flood(client)
    began = time.monotonic()
    other = edu.plain(deadline=2)
    assert other.refused(Cmd.VERSION, version()) == 'EBUSY'
    assert other.ended()
    edu.device()
    assert time.monotonic() - began < 1


# ---- a second client ------------------------------------------------------------------------


def test_a_second_client_is_refused_at_once(edu):
    client = edu.connect()
    for _ in range(20):
        began = time.monotonic()
        other = edu.plain()
        assert other.refused(Cmd.VERSION, version(), id=0x7777) == 'EBUSY'
        assert other.ended()
        assert time.monotonic() - began < 0.5
        other.close()
    client.ping()


def test_a_second_client_that_brings_descriptors(edu):
    """They are closed with it, whatever they were for."""
    edu.connect()
    open_before = edu.fds()
    for request in (message(Cmd.VERSION, version()), message(Cmd.DMA_MAP, dma_map(0, PAGE)),
                    message(Cmd.VERSION, version())[:5]):
        other, file = edu.plain(), memory(PAGE)
        other.send(request, [file] * 5)
        os.close(file)
        if len(request) > 16:
            assert other.receive().error == 16
            assert other.ended()
        other.close()
    assert wait_for(lambda: edu.fds() == open_before)


def test_a_second_client_that_says_nothing(hasty):
    """It is dropped in time too, and does not disturb the first."""
    client = hasty.connect()
    other = hasty.plain()
    began = time.monotonic()
    while time.monotonic() - began < TIMEOUT / 2:
        client.ping()
    assert other.ended()
    assert time.monotonic() - began < TIMEOUT + 2
    client.ping()


def test_a_second_client_that_says_something_else(edu):
    client = edu.connect()
    other = edu.plain()
    other.send(b'GET / HTTP/1.1\r\nHost: device\r\n\r\n')
    with contextlib.suppress(Ended):
        other.receive()
    client.ping()


def test_the_second_is_served_when_the_first_has_gone(edu):
    first = edu.connect()
    first.put(CONFIG, 0x3c, 7, 1)
    first.close()
    assert edu.connect().get(CONFIG, 0x3c, 1) == 0


def test_many_at_once(edu):
    """Of clients that come together one is served, the others are refused; none waits."""
    served, refused = [], []

    def come():
        with edu.vfiod.plain() as client:
            got = client.call(Cmd.VERSION, version())
            (refused if got.flags & ERROR else served).append(got.error)
            if not got.flags & ERROR:
                time.sleep(0.2)

    threads = [threading.Thread(target=come) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(served) + len(refused) == 16
    assert served and set(refused) <= {16}
