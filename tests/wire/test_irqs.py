# SPDX-License-Identifier: MIT
"""SET_IRQS (section 3.8): the kernel's rules, with the wire's way of passing descriptors."""

import os
import socket
import struct

import pytest

from signals import ASSIGN, FIRE, VECTOR, Signal, assign, fired, signals
from wire import (BAR0, BOOL, Cmd, ERR, EVENTFD, INTX, IRQ_SET, MASK, MSI, MSIX, NONE, PAGE, REQ,
                  TRIGGER, UNMASK, irq_query, irq_set, memory)


# ---- what is asked for must make sense ------------------------------------------------------


@pytest.mark.parametrize('flags, error', [
    (0, 'EINVAL'), (TRIGGER, 'EINVAL'), (NONE | BOOL | TRIGGER, 'EINVAL'),
    (NONE | EVENTFD | TRIGGER, 'EINVAL'), (7 | TRIGGER, 'EINVAL'), (64 | FIRE, 'EINVAL'),
    (0x80000000 | FIRE, 'EINVAL'), (0xffffffff, 'EINVAL'), (NONE, 'ENOTTY'),
    (NONE | MASK | TRIGGER, 'ENOTTY'), (NONE | MASK | UNMASK, 'ENOTTY'), (NONE | 56, 'ENOTTY')])
@pytest.mark.parametrize('index', [INTX, MSI, MSIX])
def test_flags(probe, index, flags, error):
    assert probe.connect().irqs_refused(flags, index, 0, 1) == error


@pytest.mark.parametrize('index', [MSI, MSIX, REQ])
@pytest.mark.parametrize('action', [MASK, UNMASK])
def test_only_intx_is_masked(probe, index, action):
    assert probe.connect().irqs_refused(NONE | action, index, 0, 1) == 'ENOTTY'


@pytest.mark.parametrize('index', [5, 6, 255, 0x7fffffff, 0xffffffff])
def test_no_such_index(probe, index):
    client = probe.connect()
    assert client.irqs_refused(FIRE, index, 0, 0) == 'EINVAL'
    assert client.irqs_refused(ASSIGN, index, 0, 1, signals(1)) == 'EINVAL'


@pytest.mark.parametrize('start, count', [
    (0, 9), (8, 0), (8, 1), (7, 2), (1, 8), (0, 0xffffffff), (1, 0xffffffff), (0xffffffff, 1),
    (0xffffffff, 0xffffffff), (0x80000000, 0x80000000), (0xfffffff8, 8)])
def test_vectors_that_are_not_there(probe, start, count):
    client = probe.connect()
    assert client.irqs_refused(FIRE, MSI, start, count) == 'EINVAL'
    assert client.irqs_refused(ASSIGN, MSI, start, count) == 'EINVAL'


@pytest.mark.parametrize('index', [MSIX, ERR])
def test_an_index_without_vectors(edu, index):
    client = edu.connect()
    assert client.irqs_refused(FIRE, index, 0, 0) == 'EINVAL'
    assert client.irqs_refused(ASSIGN, index, 0, 1, signals(1)) == 'EINVAL'


@pytest.mark.parametrize('argsz', [0, 1, 19])
def test_argsz_below_the_struct(probe, argsz):
    client = probe.connect()
    assert client.refused(Cmd.SET_IRQS, irq_set(ASSIGN, INTX, 0, 1, argsz=argsz)) == 'EINVAL'


@pytest.mark.parametrize('present', [0, 1, 7])
def test_fewer_bools_than_vectors(probe, present):
    client = probe.connect()
    assign(client, MSI, 0, signals(8))
    assert client.irqs_refused(BOOL | TRIGGER, MSI, 0, 8, bools=bytes(present)) == 'EINVAL'


def test_bools_that_argsz_denies(probe):
    client = probe.connect()
    assign(client, MSI, 0, signals(8))
    body = irq_set(BOOL | TRIGGER, MSI, 0, 8, bytes(8), argsz=IRQ_SET.size)
    assert client.refused(Cmd.SET_IRQS, body) == 'EINVAL'


# ---- descriptors ----------------------------------------------------------------------------


@pytest.mark.parametrize('sent, count', [(1, 2), (2, 1), (1, 0), (8, 7), (7, 8), (64, 1), (64, 63)])
def test_another_number_of_descriptors(probe, sent, count):
    client = probe.connect()
    assert client.irqs_refused(ASSIGN, MSIX, 0, count, signals(sent)) == 'EINVAL'
    assert client.irqs_refused(FIRE, MSIX, 0, 1) == 'EINVAL'       # it is not on


@pytest.mark.parametrize('flags', [FIRE, BOOL | TRIGGER, NONE | MASK, NONE | UNMASK])
def test_descriptors_where_none_belong(probe, flags):
    client = probe.connect()
    bools = b'\1' if flags & BOOL else b''
    assign(client, INTX, 0, signals(1))
    assert client.irqs_refused(flags, INTX, 0, 1, signals(1), bools) == 'EINVAL'


def wrong_kinds():
    """(name, descriptors to send, descriptors to close)"""
    one, two = socket.socketpair()
    reader, writer = os.pipe()
    yield 'memory', memory(PAGE)
    yield 'pipe', reader
    yield 'pipe to write', writer
    yield 'socket', one.detach()
    yield 'other socket', two.detach()
    yield 'directory', os.open('/', os.O_RDONLY | os.O_DIRECTORY)
    yield 'device', os.open('/dev/null', os.O_RDWR)
    yield 'path', os.open('/', os.O_PATH)
    yield 'file', os.open(__file__, os.O_RDONLY)


@pytest.mark.parametrize('index', [INTX, MSI, MSIX, REQ])
def test_descriptors_of_the_wrong_kind(probe, index):
    client = probe.connect()
    for name, fd in wrong_kinds():
        assert client.irqs_refused(ASSIGN, index, 0, 1, [fd]) == 'EINVAL', name
        os.close(fd)
    assert client.irqs_refused(FIRE, index, 0, 1) == 'EINVAL'      # still off


def test_one_wrong_descriptor_among_good_ones(probe):
    client = probe.connect()
    wrong = memory(PAGE)
    assert client.irqs_refused(ASSIGN, MSIX, 0, 3, [*signals(2), wrong]) == 'EINVAL'
    os.close(wrong)
    client.ping()


def test_64_descriptors_in_one_message(probe):
    """max_msg_fds is 16, but clients are known to send all they have."""
    client = probe.connect()
    client.bus_master()
    many = signals(64)
    assign(client, MSIX, 0, many)
    for vector in (0, 1, 31, 63):
        client.put(BAR0, VECTOR, vector)
        assert fired(client, many) == [vector]


def test_more_descriptors_than_there_can_be_vectors(probe):
    client = probe.connect()
    one = Signal()
    assert client.irqs_refused(ASSIGN, MSIX, 0, 64, [one.fd] * 253) == 'EINVAL'
    client.ping()


def test_the_clients_copy_may_be_closed(probe):
    client = probe.connect()
    signal = Signal()
    copy = os.dup(signal.fd)
    client.irqs(ASSIGN, REQ, 0, 1, [copy])
    os.close(copy)
    client.irqs(FIRE, REQ, 0, 1)
    assert fired(client, [signal]) == [0]


# ---- message-signalled ----------------------------------------------------------------------

SIZES = {MSI: 8, MSIX: 64}
either = pytest.mark.parametrize('index', [MSI, MSIX], ids=['msi', 'msix'])


@either
def test_each_vector_signals_its_own(probe, index):
    client = probe.connect()
    client.bus_master()
    many = signals(SIZES[index])
    for start in range(0, len(many), 16):
        assign(client, index, start, many[start:start + 16])
    for vector in range(len(many)):
        client.put(BAR0, VECTOR, vector)
        assert fired(client, many) == [vector]
    client.put(BAR0, VECTOR, len(many))
    assert fired(client, many) == []


@either
def test_each_message_counts(probe, index):
    client = probe.connect()
    client.bus_master()
    many = signals(2)
    assign(client, index, 0, many)
    for _ in range(10):
        client.put(BAR0, VECTOR, 1)
    assert (many[0].take(), many[1].take()) == (0, 10)


@either
def test_no_message_without_bus_master(probe, index):
    """A message is a memory write."""
    client = probe.connect()
    many = signals(1)
    assign(client, index, 0, many)
    client.put(BAR0, VECTOR, 0)
    assert fired(client, many) == []
    client.bus_master()
    client.put(BAR0, VECTOR, 0)
    assert fired(client, many) == [0]


@either
def test_replacing_and_taking_away(probe, index):
    client = probe.connect()
    client.bus_master()
    old, new = signals(4), signals(2)
    assign(client, index, 0, old)
    assign(client, index, 1, new)
    client.irqs(ASSIGN, index, 3, 1)                # no descriptor: taken away
    for vector in range(4):
        client.put(BAR0, VECTOR, vector)
    assert fired(client, old) == [0]
    assert fired(client, new) == [0, 1]


@either
def test_disable_and_enable_again(probe, index):
    client = probe.connect()
    client.bus_master()
    many = signals(2)
    for _ in range(3):
        assign(client, index, 0, many)
        client.put(BAR0, VECTOR, 1)
        assert fired(client, many) == [1]
        client.irqs(FIRE, index, 0, 0)
        client.put(BAR0, VECTOR, 1)
        assert fired(client, many) == []


@either
def test_disabling_what_is_not_on(probe, index):
    assert probe.connect().irqs_refused(FIRE, index, 0, 0) == 'EINVAL'


@either
def test_firing_by_hand(probe, index):
    """Every vector of the range that has an eventfd, or those whose byte is not 0."""
    client = probe.connect()
    many = signals(4)
    assign(client, index, 0, many)
    client.irqs(ASSIGN, index, 2, 1)
    client.irqs(FIRE, index, 0, 4)
    assert fired(client, many) == [0, 1, 3]
    client.irqs(BOOL | TRIGGER, index, 0, 4, bools=b'\0\1\1\xff')
    assert fired(client, many) == [1, 3]
    client.irqs(FIRE, index, 1, 1)
    assert fired(client, many) == [1]


@either
def test_firing_what_is_not_on(probe, index):
    client = probe.connect()
    assert client.irqs_refused(FIRE, index, 0, 1) == 'EINVAL'
    assert client.irqs_refused(BOOL | TRIGGER, index, 0, 1, bools=b'\1') == 'EINVAL'


@either
def test_enabling_with_no_descriptor(probe, index):
    """QEMU enables MSI-X so, then gives each vector its eventfd."""
    client = probe.connect()
    client.bus_master()
    client.irqs(ASSIGN, index, 0, 1)
    many = signals(1)
    assign(client, index, 0, many)
    client.put(BAR0, VECTOR, 0)
    assert fired(client, many) == [0]


@either
def test_enabling_no_vector(probe, index):
    assert probe.connect().irqs_refused(ASSIGN, index, 0, 0) == 'ERANGE'


def test_msi_takes_no_more_vectors_while_it_is_on(probe):
    client = probe.connect()
    assign(client, MSI, 0, signals(2))
    assert client.irqs_refused(ASSIGN, MSI, 4, 1, signals(1)) == 'EINVAL'


def test_msix_takes_more_vectors_exactly_if_it_says_so(probe):
    client = probe.connect()
    client.bus_master()
    few, more = signals(2), signals(1)
    assign(client, MSIX, 0, few)
    assign(client, MSIX, 40, more)
    client.put(BAR0, VECTOR, 40)
    assert fired(client, more) == [0] and fired(client, few) == []
    flags = struct.unpack('=IIII', client.ok(Cmd.GET_IRQ_INFO, irq_query(MSIX)))[1]
    assert not flags & 8, 'MSI-X says noresize, and takes more vectors'


@pytest.mark.parametrize('active', [INTX, MSI, MSIX])
def test_one_type_at_a_time(probe, active):
    client = probe.connect()
    many = signals(1)
    assign(client, active, 0, many)
    for other in {INTX, MSI, MSIX} - {active}:
        for flags, count, sent in ((ASSIGN, 1, 1), (ASSIGN, 1, 0), (FIRE, 1, 0), (FIRE, 0, 0)):
            assert client.irqs_refused(flags, other, 0, count, signals(sent)) == 'EINVAL'
    client.irqs(FIRE, active, 0, 1)
    assert fired(client, many) == [0]
    client.irqs(FIRE, active, 0, 0)
    for other in (INTX, MSI, MSIX):
        assign(client, other, 0, many)
        client.irqs(FIRE, other, 0, 0)


# ---- REQ ------------------------------------------------------------------------------------


def test_req(probe):
    client = probe.connect()
    many = signals(1)
    assert client.irqs_refused(FIRE, REQ, 0, 0) == 'EINVAL'
    assign(client, REQ, 0, many)
    client.irqs(FIRE, REQ, 0, 1)
    client.irqs(BOOL | TRIGGER, REQ, 0, 1, bools=b'\0')
    assert many[0].take() == 1
    client.irqs(FIRE, REQ, 0, 0)
    assert client.irqs_refused(FIRE, REQ, 0, 1) == 'EINVAL'
    client.irqs(BOOL | TRIGGER, REQ, 0, 1, bools=b'\1')     # none set: no error
    client.irqs(ASSIGN, REQ, 0, 1)                          # taking away none: neither
    assert fired(client, many) == []


def test_req_is_apart_from_the_others(probe):
    client = probe.connect()
    many = signals(2)
    assign(client, MSI, 0, many[:1])
    assign(client, REQ, 0, many[1:])
    client.irqs(FIRE, MSI, 0, 0)
    client.irqs(FIRE, REQ, 0, 1)
    assert fired(client, many) == [1]
