# SPDX-License-Identifier: MIT
"""What is asked of a device to record where versions differ.

Each section shows one difference. libvfio(7), BEHAVIOUR VERSIONS, tells them.
"""

from behaviour_plan import (DECODE, EVENTFD, INTX, MASTER, MSI, MSIX, TRIGGER, UNMASK, Recorded,
                            command, disable, enable, fire, irqs)


class Points(Recorded):
    """Sections; each is a generator of requests."""

    def pending_vector(self):
        """A message for a vector that has no eventfd."""
        index = self.indexes[-1]
        yield from (command(DECODE | MASTER), irqs(index, EVENTFD | TRIGGER, 0, 1, ['-1']))
        yield from (*self.raised(), enable(index, 1), 'E all', disable(index), command(DECODE))

    def pending_master(self):
        """A message while the device may not master the bus."""
        yield from (command(DECODE), enable(MSI, 1), *self.raised())
        yield from (command(DECODE | MASTER), 'E all', disable(MSI), command(DECODE))

    def pending_enable(self):
        """A message while MSI is switched off in its capability."""
        at = self.plan.capabilities[5] + 2
        yield from (command(DECODE | MASTER), enable(MSI, 1), f'W {at:x} 1 0', *self.raised())
        yield from (f'W {at:x} 1 1', 'E all', disable(MSI), command(DECODE))

    def pending_bits(self):
        """The pending bits of MSI-X."""
        if self.plan.can(MSIX):
            yield from (command(DECODE | MASTER), enable(MSIX, 2))
            yield irqs(MSIX, EVENTFD | TRIGGER, 1, 1, ['-1'])
            yield from (*self.raised(1), *self.raised(40), 'B 2 1000 8', 'B 2 1005 1')
            yield irqs(MSIX, EVENTFD | TRIGGER, 1, 1, ['e4'])
            yield from ('E all', 'B 2 1000 8', disable(MSIX), 'B 2 1000 8', command(DECODE))

    def enable_in_d3(self):
        """MSI and MSI-X are enabled while the device is in D3hot."""
        at = self.plan.capabilities.get(1)
        if at:
            yield f'W {at + 4:x} 1 3'
            for index in (MSI, MSIX):
                yield from (enable(index, 1), *self.dump()[16:24], *fire(index, 0, 1))
                yield disable(index)
            yield f'W {at + 4:x} 1 0'

    def no_eventfd_behind(self):
        """No eventfd (-1) for a vector of MSI behind those that are enabled."""
        n = self.plan.vectors[MSI]
        if n > 1:
            yield enable(MSI, 2)
            yield irqs(MSI, EVENTFD | TRIGGER, 1, 3, ['e4', '-1', '-1'])
            yield from fire(MSI, 0, 2)
            for fd in ('-1', '-2'):
                yield irqs(MSI, EVENTFD | TRIGGER, 2, 1, [fd])
            yield from (*fire(MSI, 0, 2), disable(MSI))

    def none_behind(self):
        """No vector at all, behind those of MSI that are enabled."""
        if self.plan.vectors[MSI] > 1:
            yield enable(MSI, 2)
            yield irqs(MSI, EVENTFD | TRIGGER, 4, 0)
            yield from (*fire(MSI, 0, 2), disable(MSI))

    def bad_behind(self):
        """A descriptor that is none, in a request for more vectors of MSI than are enabled."""
        if self.plan.vectors[MSI] > 1:
            yield enable(MSI, 2)
            yield irqs(MSI, EVENTFD | TRIGGER, 1, 3, ['bad', 'e4', 'e5'])
            yield from (*fire(MSI, 0, 2), disable(MSI))

    def bad_unmask(self):
        """A descriptor that is no eventfd, to re-arm INTx, when one is set."""
        yield from (enable(INTX, 1), irqs(INTX, EVENTFD | UNMASK, 0, 1, ['e7']))
        yield irqs(INTX, EVENTFD | UNMASK, 0, 1, ['bad'])
        yield irqs(INTX, EVENTFD | UNMASK, 0, 1, ['file'])
        yield disable(INTX)

    def vectors_without_memory(self):
        """The vectors of MSI-X, while memory decoding is off."""
        if self.plan.can(MSIX):
            yield command(0)
            yield from ('B 2 0 4', 'P 2 0 4 0', 'B 2 3f8 8', 'B 2 3f8 16', command(DECODE))
