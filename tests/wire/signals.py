# SPDX-License-Identifier: MIT
"""Eventfds, and the words in which the interrupt tests speak."""

import os
import select

from wire import EVENTFD, NONE, TRIGGER

ASSIGN = EVENTFD | TRIGGER
FIRE = NONE | TRIGGER

LEVEL, VECTOR = 0x04, 0x08          # the probe's registers
RAISE, ACKNOWLEDGE = 0x60, 0x64     # edu's


class Signal:
    """An eventfd that counts."""

    def __init__(self, start=0, flags=os.EFD_NONBLOCK | os.EFD_CLOEXEC):
        self.fd = os.eventfd(start, flags)

    def __del__(self):
        os.close(self.fd)

    def fileno(self):
        return self.fd

    def take(self):
        """How often it was signalled since the last time."""
        try:
            return os.eventfd_read(self.fd)
        except BlockingIOError:
            return 0

    def wait(self, seconds=3):
        """As take(), but wait for the first one."""
        select.select([self], [], [], seconds)
        return self.take()


def signals(count):
    return [Signal() for _ in range(count)]


def assign(client, index, start, many):
    client.irqs(ASSIGN, index, start, len(many), many)


def fired(client, many):
    """Who was signalled by what the client asked for until now."""
    client.ping()
    return [number for number, signal in enumerate(many) if signal.take()]
