# SPDX-License-Identifier: MIT
"""DEVICE_RESET (section 3.12), and the reset when a client goes."""

import mmap
import os
import socket
import struct

import pytest

from dma import GONE, deposit, fetch
from signals import ASSIGN, FIRE, LEVEL, VECTOR, assign, fired, signals
from wire import (BAR0, BAR4, BAR5, CONFIG, Cmd, INTX, MSI, MSIX, NONE, NO_REPLY, PAGE, REQ, UNMASK,
                  memory, version)

SCRATCH, RESETS = 0x100, 0x24
COMMAND, BAR_REGISTER, LINE = 4, 0x10, 0x3c


def test_registers_and_memory_return_to_power_on(probe):
    client = probe.connect()
    for region, offset in ((BAR0, SCRATCH), (BAR0, 0x1000), (BAR0, 0x4000), (BAR4, 0), (BAR5, 0)):
        client.write(region, offset, b'before')
    assert client.ok(Cmd.RESET) == b''
    for region, offset in ((BAR0, SCRATCH), (BAR0, 0x1000), (BAR0, 0x4000), (BAR4, 0), (BAR5, 0)):
        assert client.read(region, offset, 6) == bytes(6)


def test_it_resets_once(probe):
    client = probe.connect()
    resets = client.get(BAR0, RESETS)
    client.ok(Cmd.RESET)
    assert client.get(BAR0, RESETS) == resets + 1


def test_configuration_space_stays(probe):
    client = probe.connect()
    client.put(CONFIG, LINE, 0x2b, 1)
    client.put(CONFIG, BAR_REGISTER, 0xfe000000)
    client.put(CONFIG, COMMAND, 0x0407, 2)
    before = client.read(CONFIG, 0, 256)
    client.ok(Cmd.RESET)
    assert client.read(CONFIG, 0, 256) == before


def test_memory_maps_stay(probe):
    client = probe.connect()
    client.bus_master()
    file = memory(PAGE)
    os.pwrite(file, b'mapped', 0)
    client.map(0, PAGE, file)
    client.ok(Cmd.RESET)
    assert fetch(client, 0, 6) == b'mapped'
    assert deposit(client, 0, b'MAPPED') == 'ok'
    assert os.pread(file, 6, 0) == b'MAPPED'
    assert client.unmap(0, PAGE) == PAGE
    os.close(file)


@pytest.mark.parametrize('index', [MSI, MSIX])
def test_messages_stay(probe, index):
    client = probe.connect()
    client.bus_master()
    many = signals(2)
    assign(client, index, 0, many)
    client.ok(Cmd.RESET)
    client.put(BAR0, VECTOR, 1)
    assert fired(client, many) == [1]


def test_intx_stays_and_its_level_falls(probe):
    client = probe.connect()
    many = signals(1)
    assign(client, INTX, 0, many)
    client.put(BAR0, LEVEL, 1)
    assert many[0].take() == 1
    client.ok(Cmd.RESET)
    assert client.get(CONFIG, 6, 2) & 8 == 0
    client.irqs(NONE | UNMASK, INTX, 0, 1)          # nothing stands
    assert fired(client, many) == []
    client.put(BAR0, LEVEL, 1)
    assert fired(client, many) == [0]


def test_mapped_areas_stay_mapped(probe):
    client = probe.connect()
    region = client.region(BAR5, 4064)
    with mmap.mmap(region.fds[0], 2 * PAGE, offset=region.offset) as area:
        area[0:5] = b'dirty'
        client.ok(Cmd.RESET)
        assert area[0:5] == bytes(5)
        area[0:5] = b'again'
        assert client.read(BAR5, 0, 5) == b'again'


def test_without_reply(probe):
    client = probe.connect()
    client.write(BAR0, SCRATCH, b'before')
    client.post(Cmd.RESET, flags=NO_REPLY)
    assert client.read(BAR0, SCRATCH, 6) == bytes(6)


def test_many(edu):
    client = edu.connect()
    for _ in range(200):
        client.ok(Cmd.RESET)


def test_pipelined_with_writes(probe):
    client = probe.connect()
    for number in range(100):
        client.post(Cmd.REGION_WRITE, struct.pack('=QII', SCRATCH, BAR0, 4) + b'dirt', id=number)
        client.post(Cmd.RESET, id=1000 + number)
    for number in range(100):
        client.reply(number, Cmd.REGION_WRITE)
        client.reply(1000 + number, Cmd.RESET)
    assert client.read(BAR0, SCRATCH, 4) == bytes(4)


# ---- when a client goes ---------------------------------------------------------------------


def leave_by_closing(client):
    client.close()


def leave_by_reset(client):
    """Close with replies unread: the server's next send or receive fails."""
    for _ in range(10):
        client.post(Cmd.RESET)
    client.close()


def leave_by_breaking_the_rules(client):
    client.send(b'\xff' * 64)
    assert client.ended()


def leave_by_half(client):
    client.sock.shutdown(socket.SHUT_WR)
    assert client.ended()


WAYS = [leave_by_closing, leave_by_reset, leave_by_breaking_the_rules, leave_by_half]


@pytest.mark.parametrize('leave', WAYS, ids=lambda way: way.__name__)
def test_nothing_is_left_however_a_client_goes(probe, leave):
    """Registers, memory, configuration, interrupts, maps: all as at power-on for the next one."""
    client = probe.connect()
    client.bus_master()
    client.put(CONFIG, LINE, 0x2b, 1)
    client.write(BAR0, SCRATCH, b'secret')
    client.write(BAR5, 0, b'secret')
    file, many = memory(PAGE), signals(3)
    client.map(0, PAGE, file)
    assign(client, MSIX, 0, many[:2])
    assign(client, REQ, 0, many[2:])
    os.close(file)
    leave(client)
    heir = probe.connect()
    assert heir.get(CONFIG, COMMAND, 2) & 4 == 0
    assert heir.get(CONFIG, LINE, 1) == 0
    assert heir.read(BAR0, SCRATCH, 6) == heir.read(BAR5, 0, 6) == bytes(6)
    heir.bus_master()
    assert fetch(heir, 0, 4) == 'EFAULT'
    for index in (MSIX, REQ):
        assert heir.irqs_refused(FIRE, index, 0, 1) == 'EINVAL'
    assert fired(heir, many) == []


def test_a_reset_when_a_client_goes(probe):
    resets = []
    for _ in range(3):
        client = probe.connect()
        resets.append(client.get(BAR0, RESETS))
        client.close()
    assert resets[1] > resets[0] and resets[2] - resets[1] == resets[1] - resets[0]


def test_the_device_is_told_when_memory_goes_with_its_client(probe):
    client = probe.connect()
    told = client.get(BAR0, GONE)
    for page in range(3):
        client.map(2 * page * PAGE, PAGE)
    client.close()
    assert probe.connect().get(BAR0, GONE) == told + 3


def test_the_next_client_may_use_msi_where_the_last_used_intx(probe):
    for index in (INTX, MSI, MSIX, INTX):
        client = probe.connect()
        client.irqs(ASSIGN, index, 0, 1, signals(1))
        client.close()


def test_reconnecting_at_once(edu):
    """A client that closed is gone: the next one need not wait for the server to notice."""
    for _ in range(200):
        client = edu.plain()
        client.hello()
        client.close()


def test_one_goes_and_another_comes_before_the_server_looks(edu):
    """It finds a new connection and the old one's end together: the new one is not the second."""
    for order in range(40):
        first = edu.connect()
        with edu.stopped():
            if order & 1:
                first.post(Cmd.RESET)
            if order & 2:
                first.close()
            second = edu.plain()
            second.post(Cmd.VERSION, version(), id=9)
            first.close()
        assert second.reply(9, Cmd.VERSION).error == 0
        second.close()


def test_what_a_client_mapped_does_not_show_the_next_ones_data(probe):
    """A map of a BAR outlives its connection; it must not be a window on the next client."""
    spy = probe.connect()
    region = spy.region(BAR5, 4064)
    with mmap.mmap(region.fds[0], PAGE, offset=region.offset) as window:
        spy.close()
        victim = probe.connect()
        victim.write(BAR5, 0, b'secret')
        assert window[0:6] != b'secret'
        window[0:6] = b'attack'
        assert victim.read(BAR5, 0, 6) == b'secret'
