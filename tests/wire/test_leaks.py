# SPDX-License-Identifier: MIT
"""Thousands of clients leave neither descriptors nor memory behind."""

import contextlib
import os

import pytest

from daemon import Vfiod, wait_for
from signals import ASSIGN, assign, signals
from wire import BAR5, Cmd, Ended, INTX, MSIX, PAGE, dma_map, memory, message, version


@pytest.fixture
def frugal(tmp_path):
    """A probe that, under AddressSanitizer, keeps nothing of what was freed."""
    options = [os.environ.get('ASAN_OPTIONS', ''), 'quarantine_size_mb=0',
               'thread_local_quarantine_size_kb=0', 'malloc_context_size=0']
    vfiod = Vfiod('probe', tmp_path, ASAN_OPTIONS=':'.join(filter(None, options)))
    yield vfiod
    vfiod.check_alive()
    vfiod.stop()


def use_everything(vfiod):
    """A client that leaves maps, interrupts and a half-sent message behind."""
    file = memory(16 * PAGE)
    with vfiod.connect() as client:
        for page in range(8):
            client.map(2 * page * PAGE, PAGE, file, offset=page * PAGE)
        client.map(1 << 40, PAGE)
        assign(client, MSIX, 0, signals(4))
        client.region(BAR5, 4064)
        client.send(message(Cmd.DMA_MAP, dma_map(1 << 41, PAGE))[:30], [file])
    os.close(file)


def be_refused(vfiod):
    """Clients that break the rules at different places."""
    file = memory(PAGE)
    for data in (message(Cmd.VERSION, version(7)), message(Cmd.VERSION, version(0, 0, b'{' * 999)),
                 message(Cmd.GET_INFO), b'\xff' * 100):
        with vfiod.plain() as client, contextlib.suppress(Ended):
            client.send(data, [file])
            client.receive()
            client.receive()
    with vfiod.connect() as client:
        client.refused(Cmd.DMA_MAP, dma_map(1, 1), [file])
        client.irqs_refused(ASSIGN, INTX, 0, 1, [file])
    os.close(file)


@pytest.mark.parametrize('visit, times', [(use_everything, 600), (be_refused, 300)],
                         ids=['use everything', 'be refused'])
def test_no_growth(frugal, visit, times):
    for _ in range(times // 4):
        visit(frugal)
    assert wait_for(frugal.is_free)
    fds, resident = frugal.fds(), frugal.resident()
    for _ in range(times):
        visit(frugal)
    assert wait_for(frugal.is_free)
    assert wait_for(lambda: frugal.fds() == fds), f'{frugal.fds() - fds} descriptors more'
    assert frugal.resident() - resident < 512 * 1024


def test_no_growth_while_connected(frugal):
    """One client that maps and unmaps, assigns and replaces, for long."""
    file, many = memory(PAGE), signals(4)
    with frugal.connect() as client:
        def churn(times):
            for _ in range(times):
                client.map(0, PAGE, file)
                client.unmap(0, PAGE)
                assign(client, MSIX, 0, many)
                client.region(BAR5, 4064)
                os.close(client.received.pop())
        churn(500)
        fds, resident = frugal.fds(), frugal.resident()
        churn(2000)
        assert frugal.fds() == fds
        assert frugal.resident() - resident < 512 * 1024
    os.close(file)
