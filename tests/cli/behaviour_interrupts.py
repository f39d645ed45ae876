# SPDX-License-Identifier: MIT
"""What is asked of a device to record its interrupts. All versions agree in these sections."""

import itertools

from behaviour_plan import (BOOL, DECODE, ERR, EVENTFD, INTX, INTX_DISABLE, MASK, MASTER, MSI, MSIX,
                            NONE, REQ, TRIGGER, UNMASK, Recorded, command, disable, enable, fire,
                            irqs)


class Interrupts(Recorded):
    """Sections; each is a generator of requests."""

    def matrix(self):
        """Every kind of request while nothing, or one index, is active."""
        for active in (None, *self.indexes):
            yield from self.state(active)
            for index in (*self.indexes, ERR, REQ, 5):
                for data in (NONE, BOOL, EVENTFD):
                    for action in (MASK, UNMASK, TRIGGER):
                        yield from self.cell(active, index, data | action)

    def cell(self, active, index, flags):
        n = self.plan.vectors[index] if index < 3 else 1
        ranges = [(0, 0), (0, 1), (0, 2), (n, 0), (n - 1, 1), (0, n + 1), (0, 0xffffffff)]
        for start, count in dict.fromkeys(ranges):
            if flags == EVENTFD | TRIGGER and index == active == MSI:
                continue                # a section of its own
            yield irqs(index, flags, start, count)
            if flags & TRIGGER:
                yield 'E all'
        if flags & TRIGGER or flags == EVENTFD | UNMASK:
            yield from self.state(active)

    def malformed(self):
        for index in (*self.indexes, REQ):
            for flags in (0, NONE, TRIGGER, 3 | TRIGGER, 7 | TRIGGER, NONE | MASK | TRIGGER, 0x41,
                          NONE | TRIGGER | 0x40, 0x80000021, EVENTFD | UNMASK | TRIGGER):
                yield irqs(index, flags, 0, 1)
            for size in (0, 19, 20, 21, 23, 24, 100):
                yield f'S {index} {EVENTFD | TRIGGER:x} 0 1 {size} -1'
                yield f'S {index} {BOOL | TRIGGER:x} 0 1 {size} 0'
            for start, count in ((0xffffffff, 0), (0xfffffffe, 1), (1, 0xfffffffe), (0, 2049)):
                yield irqs(index, NONE | TRIGGER, start, count)
        yield from self.state(None)

    def negative_descriptors(self):
        yield from self.descriptors_of('-1', '-2')

    def descriptors_of(self, *odd):
        for index, fd in itertools.product((*self.indexes, REQ), odd):
            yield irqs(index, EVENTFD | TRIGGER, 0, 1, [fd])
            yield from fire(index, 0, 1)
            yield enable(index, 1)
            yield irqs(index, EVENTFD | TRIGGER, 0, 1, [fd])
            yield from fire(index, 0, 1)
            yield irqs(index, EVENTFD | TRIGGER, 0, 1, ['e3'])
            yield from fire(index, 0, 1)
            yield disable(index)

    def bad_descriptors(self):
        """And some among good ones. Not all of it can be asked for over a socket."""
        yield from self.descriptors_of('bad', 'file')
        yield from (enable(INTX, 1), irqs(INTX, EVENTFD | UNMASK, 0, 1, ['bad']))
        yield from (irqs(INTX, EVENTFD | UNMASK, 0, 1, ['file']), disable(INTX))
        for index in [i for i in self.indexes if self.plan.vectors[i] > 3]:
            for data in (['-1', 'e1', '-1', 'e3'], ['e4', 'bad', 'e5', 'e6'],
                         ['e0', '-1', 'file', '-1'], ['e7', 'e8', '-2', 'e9']):
                yield irqs(index, EVENTFD | TRIGGER, 0, 4, data)
                yield from fire(index, 0, 4)
                yield enable(index, 4)
                yield irqs(index, EVENTFD | TRIGGER, 0, 4, data)
                yield from fire(index, 0, 4)
                yield disable(index)

    def intx(self):
        """Up and down, masked by itself, by calls, by Command, re-armed by each way."""
        up, down = self.plan.up, self.plan.down
        yield from self.state(INTX)
        for unmask in (irqs(INTX, NONE | UNMASK, 0, 1), irqs(INTX, BOOL | UNMASK, 0, 1, [1])):
            yield from (*up, 'E all', 'R 4 4', *up, 'E all', unmask, 'E all', unmask, 'E all')
            yield from (*down, 'R 4 4', 'E all', *up, 'E all', *down, unmask, 'E all')
        yield from (irqs(INTX, NONE | MASK, 0, 1), *up, 'E all', irqs(INTX, BOOL | MASK, 0, 1, [0]),
                    irqs(INTX, BOOL | UNMASK, 0, 1, [0]), 'E all',
                    irqs(INTX, NONE | UNMASK, 0, 1), 'E all', *down)
        yield irqs(INTX, NONE | UNMASK, 0, 1)
        yield from (command(DECODE | INTX_DISABLE), *up, 'E all', 'R 4 4')
        yield from fire(INTX, 0, 1)
        yield irqs(INTX, NONE | UNMASK, 0, 1)
        yield from (command(DECODE), 'E all', 'R 4 4', *down, 'R 4 4')
        yield from self.intx_eventfds()
        yield from (*up, disable(INTX), enable(INTX, 1), 'E all', *down, disable(INTX))
        yield from (command(DECODE | INTX_DISABLE), enable(INTX, 1), *up, 'E all')
        yield from (command(DECODE), 'E all', *down, disable(INTX))

    def intx_eventfds(self):
        up, down = self.plan.up, self.plan.down
        by_event = EVENTFD | UNMASK
        yield irqs(INTX, NONE | UNMASK, 0, 1)
        yield irqs(INTX, by_event, 0, 1, ['e7'])
        yield from (*up, 'E all', 'T e7', 'E all', *down, 'T e7', 'E all', *up, 'E all', *down)
        yield irqs(INTX, by_event, 0, 1, ['e8'])        # there is one
        yield irqs(INTX, by_event, 0, 1, ['-1'])
        yield from (*up, 'T e7', 'E all', 'T e8', irqs(INTX, by_event, 0, 1, ['e8']), 'E all')
        yield irqs(INTX, EVENTFD | MASK, 0, 1, ['e9'])
        yield from (*down, irqs(INTX, by_event, 0, 1, ['-1']), 'E all')
        yield irqs(INTX, EVENTFD | TRIGGER, 0, 1, ['-1'])
        yield from (*up, 'E all', irqs(INTX, EVENTFD | TRIGGER, 0, 1, ['e1']), 'E all', *down)
        for eventfd in ('e9', 'e10'):                   # goes with INTx
            yield from (irqs(INTX, by_event, 0, 1, [eventfd]), disable(INTX), enable(INTX, 1))

    def messages(self):
        """Delivered at once: mastering, enabled, with an eventfd."""
        yield command(DECODE | MASTER)
        for index in self.indexes[1:]:
            n = self.plan.vectors[index]
            for count in sorted({1, 2, 3, 5, n} & set(range(n + 1))):
                yield enable(index, count)
                yield from self.dump()[16:24]
                yield from (line for v in range(count) for line in self.raised(v))
                yield from fire(index, 0, count)
                yield from fire(index, count - 1, 1)
                yield disable(index)
                yield from self.dump()[16:24]
                yield from self.raised()
        yield command(DECODE)

    def msi_control(self):
        """Enable and Multiple Message Enable, by configuration space, beside SET_IRQS."""
        at = self.plan.capabilities[5] + 2
        n = self.plan.vectors[MSI]
        yield command(DECODE | MASTER)
        for count in (0, 1, n):
            yield from [enable(MSI, count)] if count else []
            for value in (0, 1, 0x10, 0x11, 0x31, 0x71, 0xffff, 0x8e, 1):
                yield f'W {at:x} 2 {value:x}'
                yield f'R {at:x} 2'
                yield from self.raised() if count and value & 1 else []
            for byte in (at, at + 1):
                yield f'W {byte:x} 1 ff'
                yield f'R {at:x} 2'
            yield disable(MSI)
            yield f'R {at:x} 2'
        yield command(DECODE)

    def msix_control(self):
        at = self.plan.capabilities.get(0x11)
        if not at:
            return
        yield command(DECODE | MASTER)
        for count in (0, 4):
            yield from [enable(MSIX, count)] if count else []
            for value in (0x8000, 0x4000, 0xc000, 0x7ff, 0xffff, 0):
                yield f'W {at + 2:x} 2 {value:x}'
                yield f'R {at:x} 4'
                yield from self.raised(1) if count else []
        yield irqs(MSIX, EVENTFD | TRIGGER, 10, 4)      # more of them
        yield from self.raised(12)
        yield irqs(MSIX, EVENTFD | TRIGGER, 1, 2, ['-1', '-1'])
        yield from fire(MSIX, 0, 14)
        yield irqs(MSIX, BOOL | TRIGGER, 0, 14)
        yield 'E all'
        yield from ('B 2 0 8', 'B 2 1000 8', 'P 2 0 8 0', 'P 2 1000 8 ff', 'B 2 1000 8')
        yield disable(MSIX)
        yield command(DECODE)

    def requests(self):
        yield enable(REQ, 1)
        yield from fire(REQ, 0, 1)
        yield irqs(REQ, BOOL | TRIGGER, 0, 1, [0])
        yield irqs(REQ, BOOL | TRIGGER, 0, 1, [1])
        yield 'E all'
        yield disable(REQ)
        yield from fire(REQ, 0, 1)
