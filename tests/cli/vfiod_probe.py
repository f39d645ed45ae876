# SPDX-License-Identifier: MIT
"""What the tests of policies share: the device probe behind a vfiod, and a client of it."""

import os
import sys

from conftest import BUILD, wait_for
from lsvfio import SOURCE

sys.path.append(str(SOURCE / 'tests' / 'wire'))
import wire  # noqa: E402: where it lies is only known now

PROBE = BUILD / 'tests' / 'wire' / 'probe.so'
MALFORMED = BUILD / 'tests' / 'cli' / 'malformed.so'
DATA_EVENTFD = wire.EVENTFD | wire.TRIGGER


def configuration(directory, *keys, common=(), device=PROBE):
    """A configuration with one device, whose socket is DIRECTORY/s."""
    path = directory / 'vfiod.conf'
    path.write_text('\n'.join(['[vfiod]', *common, '[dev]', f'device = {device}',
                               f'socket = {directory}/s', *keys, '']), encoding='utf-8')
    return path


def describe(vfiod, device='dev'):
    with vfiod.control() as control:
        return control.call('describe', device=device)['parameters']['description']


def connect(directory):
    client = wire.Client(directory / 's')
    client.hello()
    return client


def wait_until_free(vfiod):
    assert wait_for(lambda: not vfiod.device('dev')['client'])


def enable(client, count, index=wire.MSI):
    """SET_IRQS of so many new eventfds; returns them, or the name of the errno."""
    fds = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(count)]
    got = client.call(wire.Cmd.SET_IRQS, wire.irq_set(DATA_EVENTFD, index, 0, count), fds)
    if not got.flags & wire.ERROR:
        return fds
    for fd in fds:
        os.close(fd)
    return wire.errno.errorcode[got.error]


def disable(client, index=wire.MSI):
    client.irqs(wire.NONE | wire.TRIGGER, index, 0, 0)


def fires(client, vector, fd):
    """Does the message arrive that probe sends for this vector?"""
    client.put(wire.BAR0, 8, vector)
    try:
        return os.eventfd_read(fd) == 1
    except BlockingIOError:
        return False
