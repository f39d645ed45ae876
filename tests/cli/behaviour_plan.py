# SPDX-License-Identifier: MIT
"""The devices whose behaviour is recorded, and the words in which something is asked of them."""

import dataclasses
import random

NONE, BOOL, EVENTFD = 1, 2, 4
MASK, UNMASK, TRIGGER = 8, 0x10, 0x20
INTX, MSI, MSIX, ERR, REQ = range(5)
HEAD = 20                   # bytes of struct vfio_irq_set
REARM = 15                  # the eventfd that re-arms INTx, and is nothing else
COMMAND, DECODE, MASTER, INTX_DISABLE = 0x04, 0x0003, 0x0004, 0x0400


@dataclasses.dataclass
class Plan:
    """What a script must know of a device: its BARs, how it raises, where its capabilities are."""
    bars: dict              # BAR: offsets that are worth an access
    vectors: tuple          # of INTx, MSI, MSI-X
    up: tuple               # the pin goes up …
    down: tuple             # … and down
    message: tuple          # a message is sent; {} is the vector, in hexadecimal
    dma: tuple              # requests that make it read and write memory at 0x10000
    capabilities: dict      # ID: offset
    left_out: range         # of BAR 0: what the device counts for as long as it lives

    def can(self, index):
        return self.vectors[index] > 0


EDU = Plan(
    bars={0: [0, 4, 8, 0x20, 0x24, 0x60, 0x64, 0x80, 0x88, 0x90, 0x98, 0x40000, 0xffffc]},
    vectors=(1, 1, 0),
    up=('P 0 60 4 1',), down=('P 0 64 4 1',), message=('P 0 60 4 2', 'P 0 64 4 2'),
    dma=('P 0 80 8 10000', 'P 0 88 8 40000', 'P 0 90 8 100', 'P 0 98 8 1', 'B 0 98 8',
         'P 0 80 8 40010', 'P 0 88 8 10800', 'P 0 90 8 40', 'P 0 98 8 7', 'B 0 98 8', 'B 0 24 4',
         'P 0 64 4 100'),
    capabilities={5: 0x40}, left_out=range(0))

PROBE = Plan(
    bars={0: [0, 4, 8, 0xc, 0x10, 0x18, 0x1c, 0x28, 0x40, 0x100, 0x1f8, 0x200, 0x1000, 0x2ff8,
              0x3000, 0x4000, 0x7ff8, 0x8000, 0xfffc],
          2: [0, 0x10, 0x3f8, 0x400, 0x1000, 0x1004, 0x1008, 0x1ffc],
          4: [0, 4, 0x1c], 5: [0, 0x1000, 0x1ffff8]},
    vectors=(1, 8, 64),
    up=('P 0 4 4 1',), down=('P 0 4 4 0',), message=('P 0 8 4 {:x}',),
    dma=('P 0 10 8 10000', 'P 0 18 4 40', 'P 0 1c 4 1', 'B 0 c 4', 'B 0 4000 8', 'B 0 4038 8',
         'P 0 10 8 10800', 'P 0 1c 4 2', 'B 0 c 4', 'P 0 10 8 90000', 'P 0 1c 4 2', 'B 0 c 4'),
    capabilities={1: 0x40, 5: 0x48, 0x11: 0x58}, left_out=range(0x1c, 0x28))

PLANS = {'edu': EDU, 'probe': PROBE}


def irqs(index, flags, start, count, data=None):
    """An S line. Without data it is what such a request needs, as far as its count makes sense."""
    if data is None and flags & EVENTFD:
        data = [f'e{(start + i) % REARM}' for i in range(min(count, 64))]
        data = [f'e{REARM}' for _ in data] if flags & UNMASK else data
    if data is None and flags & BOOL:
        data = [(start + i) % 3 % 2 ^ 1 for i in range(min(count, 64))]
    data = data or []
    size = HEAD + len(data) * (4 if flags & EVENTFD else 1)
    return ' '.join(map(str, ['S', index, f'{flags:x}', start, count, size, *data]))


def enable(index, count):
    return irqs(index, EVENTFD | TRIGGER, 0, count)


def disable(index):
    return irqs(index, NONE | TRIGGER, 0, 0)


def fire(index, start, count):
    """The loopback trigger, and what it did."""
    return [irqs(index, NONE | TRIGGER, start, count), 'E all']


def command(value):
    return f'W {COMMAND:x} 2 {value:x}'


class Recorded:
    """One of the devices; what all parts of its script need."""

    def __init__(self, name):
        self.plan = PLANS[name]
        self.random = random.Random()
        self.indexes = [i for i in (INTX, MSI, MSIX) if self.plan.can(i)]

    def dump(self):
        return [f'R {at:x} 4' for at in range(0, 256, 4)]

    def raised(self, vector=0):
        """The device sends a message; which eventfds hear of it."""
        return [line.format(vector) for line in self.plan.message] + ['E all']

    def state(self, active):
        """This index active, and no other, with a few vectors."""
        lines = [disable(i) for i in self.indexes]
        if active is not None:
            lines.append(enable(active, min(self.plan.vectors[active], 3)))
        return lines + ['E all']

    def registers_of(self, bar):
        return [at for at in self.plan.bars[bar] if bar or at not in self.plan.left_out]
