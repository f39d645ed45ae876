# SPDX-License-Identifier: MIT
"""SET_IRQS for INTx: a level that masks itself when it fires (section 3.8, kernel's rules)."""

import os

from signals import ACKNOWLEDGE, ASSIGN, FIRE, LEVEL, RAISE, Signal, assign, fired, signals
from wire import BAR0, BOOL, CONFIG, EVENTFD, INTX, MASK, NONE, TRIGGER, UNMASK

COMMAND, STATUS = 4, 6


def test_intx_fires_once_until_unmasked(probe):
    client = probe.connect()
    many = signals(1)
    assign(client, INTX, 0, many)
    client.put(BAR0, LEVEL, 1)
    assert many[0].take() == 1
    for level in (0, 1, 0, 1):
        client.put(BAR0, LEVEL, level)
    assert fired(client, many) == []
    client.irqs(NONE | UNMASK, INTX, 0, 1)          # still asserted: at once again
    assert many[0].take() == 1
    client.put(BAR0, LEVEL, 0)
    client.irqs(NONE | UNMASK, INTX, 0, 1)
    assert fired(client, many) == []
    client.put(BAR0, LEVEL, 1)
    assert many[0].take() == 1


def test_intx_asserted_before_it_was_assigned(probe):
    client = probe.connect()
    client.put(BAR0, LEVEL, 1)
    many = signals(1)
    assign(client, INTX, 0, many)
    assert fired(client, many) == [0]


def test_intx_mask_and_unmask(probe):
    client = probe.connect()
    many = signals(1)
    assign(client, INTX, 0, many)
    client.irqs(NONE | MASK, INTX, 0, 1)
    client.irqs(BOOL | MASK, INTX, 0, 1, bools=b'\1')
    client.put(BAR0, LEVEL, 1)
    assert fired(client, many) == []
    client.irqs(BOOL | UNMASK, INTX, 0, 1, bools=b'\0')
    assert fired(client, many) == []
    client.irqs(BOOL | UNMASK, INTX, 0, 1, bools=b'\1')
    assert fired(client, many) == [0]


def test_intx_unmask_by_eventfd(probe):
    client = probe.connect()
    many, unmask = signals(1), Signal()
    assign(client, INTX, 0, many)
    client.irqs(EVENTFD | UNMASK, INTX, 0, 1, [unmask.fd])
    assert client.irqs_refused(EVENTFD | UNMASK, INTX, 0, 1, signals(1)) == 'EBUSY'
    client.put(BAR0, LEVEL, 1)
    assert many[0].take() == 1
    os.eventfd_write(unmask.fd, 1)
    assert many[0].wait() == 1                      # the level stayed, so it fires again
    client.irqs(EVENTFD | UNMASK, INTX, 0, 1)       # no descriptor: taken away
    os.eventfd_write(unmask.fd, 1)
    assert fired(client, many) == []


def test_intx_refusals(probe):
    client = probe.connect()
    for flags in (NONE | MASK, NONE | UNMASK, FIRE):
        assert client.irqs_refused(flags, INTX, 0, 1) == 'EINVAL'
        assert client.irqs_refused(flags, INTX, 0, 0) == 'EINVAL'
    assign(client, INTX, 0, signals(1))
    assert client.irqs_refused(EVENTFD | MASK, INTX, 0, 1, signals(1)) == 'ENOTTY'
    for flags in (NONE | MASK, NONE | UNMASK, BOOL | TRIGGER, ASSIGN):
        assert client.irqs_refused(flags, INTX, 0, 0) == 'EINVAL'


def test_intx_disable_bit(probe):
    """Command bit 10 keeps the interrupt back; clearing it lets a standing one out."""
    client = probe.connect()
    many = signals(1)
    assign(client, INTX, 0, many)
    command = client.get(CONFIG, COMMAND, 2)
    client.put(CONFIG, COMMAND, command | 0x400, 2)
    client.put(BAR0, LEVEL, 1)
    assert fired(client, many) == []
    client.put(CONFIG, COMMAND, command, 2)
    assert fired(client, many) == [0]


def test_intx_disable_bit_that_was_set_before(probe):
    client = probe.connect()
    command = client.get(CONFIG, COMMAND, 2)
    client.put(CONFIG, COMMAND, command | 0x400, 2)
    client.put(BAR0, LEVEL, 1)
    many = signals(1)
    assign(client, INTX, 0, many)
    client.irqs(NONE | UNMASK, INTX, 0, 1)          # dropped: the bit holds it back
    client.irqs(FIRE, INTX, 0, 1)                   # and what is fired by hand, too
    assert fired(client, many) == []
    client.put(CONFIG, COMMAND, command, 2)
    assert fired(client, many) == [0]


def test_intx_level_shows_in_status(probe):
    client = probe.connect()
    for level in (1, 0, 1, 0):
        client.put(BAR0, LEVEL, level)
        assert client.get(CONFIG, STATUS, 2) >> 3 & 1 == level


def test_intx_of_edu(edu):
    client = edu.connect()
    many = signals(1)
    assign(client, INTX, 0, many)
    client.put(BAR0, RAISE, 0x15)
    assert many[0].take() == 1
    assert client.get(BAR0, 0x24) == 0x15
    client.put(BAR0, ACKNOWLEDGE, 0x15)
    client.irqs(NONE | UNMASK, INTX, 0, 1)
    assert fired(client, many) == []
