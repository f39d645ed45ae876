# SPDX-License-Identifier: MIT
"""Eventfds that a client shares with the server and treats badly.

The client holds the same open file: it can make it blocking, fill it and empty it at any moment.
The server must never wait for it. Each test has a server of its own, since one that waits is lost.
"""

import multiprocessing
import os
import time

import pytest

from canary import lend, serve
from signals import ASSIGN, FIRE, VECTOR, Signal, assign, signals
from wire import BAR0, Cmd, EVENTFD, INTX, MSIX, NO_REPLY, REQ, UNMASK, irq_set, message

FULL = (1 << 64) - 2    # an eventfd's counter


@pytest.fixture
def probe(tmp_path_factory):
    for server in serve(tmp_path_factory, 'probe'):
        yield from lend(server)


def test_a_full_counter_does_not_stop_the_server(probe):
    client = probe.connect()
    client.bus_master()
    full = Signal(0, os.EFD_CLOEXEC)                # blocking, and filled to the brim
    os.eventfd_write(full.fd, FULL)
    other = Signal()
    assign(client, MSIX, 0, [full, other])
    client.put(BAR0, VECTOR, 0)
    client.irqs(FIRE, MSIX, 0, 2)
    assert other.take() == 1
    assert full.take() >= FULL


def test_a_semaphore_is_an_eventfd_too(probe):
    client = probe.connect()
    signal = Signal(0, os.EFD_SEMAPHORE | os.EFD_NONBLOCK)
    assign(client, REQ, 0, [signal])
    client.irqs(FIRE, REQ, 0, 1)
    assert signal.take() == 1


# ---- at the wrong moment ---------------------------------------------------------------------


def for_ever(call, *args):
    """A process that makes a call over and over."""
    def loop():
        while True:
            call(*args)

    process = multiprocessing.get_context('fork').Process(target=loop, daemon=True)
    process.start()
    return process


def fill_while_it_fires(client, signal):
    """One process fills the counter, another empties it and then dies, and the vectors fire."""
    filler = for_ever(os.eventfd_write, signal.fd, FULL)
    taker = for_ever(os.eventfd_read, signal.fd)
    fire = message(Cmd.SET_IRQS, irq_set(FIRE, MSIX, 0, 64), flags=NO_REPLY)
    for _ in range(50):
        client.send(fire * 20)
    taker.kill()
    taker.join()
    client.ping()
    filler.kill()
    filler.join()


def test_a_counter_that_is_filled_at_the_wrong_moment(probe):
    """Between a look and a write the counter may fill: the server must not wait in that write."""
    client = probe.connect()
    client.sock.settimeout(3)
    for _ in range(20):
        signal = Signal(0, os.EFD_CLOEXEC)
        client.irqs(ASSIGN, MSIX, 0, 64, [signal] * 64)
        fill_while_it_fires(client, signal)


def test_an_unmask_eventfd_that_is_emptied_at_the_wrong_moment(probe):
    """The same the other way round: readable when the server looks, empty when it reads."""
    client = probe.connect()
    client.sock.settimeout(3)
    client.irqs(ASSIGN, INTX, 0, 1, signals(1))
    for _ in range(100):
        signal = Signal(0, os.EFD_CLOEXEC)
        client.irqs(EVENTFD | UNMASK, INTX, 0, 1, [signal])
        filler = for_ever(os.eventfd_write, signal.fd, 1)
        taker = for_ever(os.eventfd_read, signal.fd)
        time.sleep(0.008)
        filler.kill()
        filler.join()
        client.irqs(EVENTFD | UNMASK, INTX, 0, 1)
        client.ping()
        taker.kill()
        taker.join()


@pytest.mark.parametrize('leave', ['unmask taken away', 'INTx off', 'client gone'])
def test_an_unmask_eventfd_that_is_not_watched_any_more(probe, leave):
    """The client holds it too, and signals it all the time: to the server it is nothing."""
    client = probe.connect()
    signal = Signal()
    client.irqs(ASSIGN, INTX, 0, 1, signals(1))
    client.irqs(EVENTFD | UNMASK, INTX, 0, 1, [signal])
    if leave == 'unmask taken away':
        client.irqs(EVENTFD | UNMASK, INTX, 0, 1)
    elif leave == 'INTx off':
        client.irqs(FIRE, INTX, 0, 0)
    else:
        client.close()
        client = probe.connect()
    os.eventfd_write(signal.fd, 5)
    client.ping()
    assert probe.is_idle()
    assert signal.take() == 5
    for _ in range(3):
        client.irqs(ASSIGN, INTX, 0, 1, signals(1))
        client.irqs(FIRE, INTX, 0, 0)


def test_an_unmask_eventfd_that_is_never_empty(probe):
    """A semaphore gives one at a time; who sends so much of it gets served all the same."""
    client = probe.connect()
    signal = Signal(0, os.EFD_SEMAPHORE | os.EFD_NONBLOCK)
    os.eventfd_write(signal.fd, FULL)
    client.irqs(ASSIGN, INTX, 0, 1, signals(1))
    client.irqs(EVENTFD | UNMASK, INTX, 0, 1, [signal])
    began = time.monotonic()
    for _ in range(50):
        client.ping()
    assert probe.device()['state'] == 'ready'
    assert time.monotonic() - began < 1
    client.close()
    probe.connect().ping()
    assert probe.is_idle()
