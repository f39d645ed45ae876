# SPDX-License-Identifier: MIT
"""What is asked of a device to record how it behaves: the same requests each time.

Lines of a trace without their results. No request depends on the result of another one, so that
traces of different versions can be compared line by line.

A section "point N: …" shows one thing that is different from version N on, and nothing else;
libvfio(7), BEHAVIOUR VERSIONS, has the same names. In all other sections all versions agree.
"""

import itertools

from behaviour_interrupts import Interrupts
from behaviour_plan import (BOOL, COMMAND, DECODE, EVENTFD, INTX_DISABLE, MASK, MASTER, MSI, MSIX,
                            NONE, REQ, TRIGGER, UNMASK, command, disable, enable, fire, irqs)
from behaviour_points import Points

WIDTHS = (1, 2, 4, 8, 3, 7, 16)


class Script(Interrupts, Points):
    """The requests for one device, in sections; those of interrupts are in the base classes."""

    # ---- configuration space

    def info(self):
        yield 'I'
        yield from (f'G {i}' for i in range(11))
        yield from (f'Q {i}' for i in range(7))

    def reads(self):
        yield from self.dump()
        yield from (f'R {at:x} 1' for at in range(0, 0x60, 1))
        yield from (f'R {at:x} 2' for at in range(0, 0x60, 2))
        for at, width in itertools.product((0, 1, 3, 0x3d, 0x47, 0xf9, 0xff, 0x100), WIDTHS):
            yield f'R {at:x} {width}'
        yield from ('R 0 256', 'R 0 257', 'R ffffffffffff 4', 'R 0 0', 'R 400 0')

    def header(self):
        """Command is left out: it has a section of its own."""
        for at in [at for at in range(0, 0x40, 4) if at != COMMAND]:
            for value in (0xffffffff, 0, 0x5a5a5a5a, 0xa5a5a5a5):
                yield f'W {at:x} 4 {value:x}'
                yield f'R {at:x} 4'
            for i in range(4):
                yield f'W {at + i:x} 1 {0x3c >> i:x}'
            yield f'R {at:x} 4'
            yield f'W {at:x} 2 ffff'
            yield f'W {at + 2:x} 2 0'
            yield f'R {at:x} 4'
        yield from ('W 0 0 0', 'W 100 1 0', 'W fe 4 0', 'W ffffffffffff 1 0')
        yield from self.dump()

    def sizing(self):
        for decode in (DECODE, 0):
            yield command(decode)
            for at in (*range(0x10, 0x28, 4), 0x30):
                yield f'R {at:x} 4'
                yield f'W {at:x} 4 ffffffff'
                yield f'R {at:x} 4'
                yield f'W {at:x} 4 e0000000'
                yield f'R {at:x} 4'
            yield f'W 10 8 {(0x1234 << 32) + 0x80000000:x}'
            yield 'R 10 8'
        yield command(DECODE)

    def command_register(self):
        for bit in range(16):
            yield command(1 << bit)
            yield 'R 4 4'
            yield command(0xffff & ~(1 << bit))
            yield 'R 4 4'
        for at, value in ((4, 0xff), (5, 0xff), (6, 0xff), (7, 0xff), (4, 0), (5, 0)):
            yield f'W {at:x} 1 {value:x}'
            yield 'R 4 4'
        yield 'W 4 4 ffffffff'
        yield 'R 4 4'
        yield command(DECODE)
        yield 'R 4 4'

    def capability_writes(self):
        yield command(DECODE)
        for width in (4, 2, 1):
            for at in range(0x40, 0x70, width):
                for value in ((1 << 8 * width) - 1, 0x5aa5c33c & (1 << 8 * width) - 1, 0):
                    yield f'W {at:x} {width} {value:x}'
                    yield f'R {at & ~3:x} 4'
        yield from self.dump()

    def gaps(self):
        """What belongs to no capability."""
        for at in range(0x70, 0x100, 8):
            yield f'W {at:x} 4 ffffffff'
            yield f'R {at:x} 8'
        yield f'W f0 16 {(1 << 128) - 1:x}'
        yield from self.dump()

    def odd_writes(self):
        """Of every width, at every offset, behind Command."""
        for _ in range(120):
            width = self.random.choice(WIDTHS)
            at = self.random.randrange(8, 0x100 - width)
            yield f'W {at:x} {width} {self.random.getrandbits(8 * width):x}'
            yield f'R {at:x} {width}'
        yield from self.dump()

    def power(self):
        at = self.plan.capabilities.get(1)
        if not at:
            return
        for state in (0, 1, 2, 0, 3, 1, 2, 3, 0):
            for high in (0, 0xff00, 0xfffc):
                yield f'W {at + 4:x} 2 {high | state:x}'
                yield f'R {at:x} 8'
                yield 'B 0 0 4'
                yield 'P 0 0 4 1'
                yield 'B 4 0 4'
                yield 'B 2 1000 8'
        yield f'W {at + 4:x} 1 3'
        yield 'X'
        yield f'R {at:x} 8'
        yield 'B 0 0 4'

    # ---- BARs

    def bars(self):
        yield command(DECODE)
        for bar in self.plan.bars:
            for at, width in itertools.product(self.registers_of(bar), (1, 2, 4, 8)):
                yield f'B {bar} {at:x} {width}'
                yield f'P {bar} {at:x} {width} {self.random.getrandbits(8 * width):x}'
                yield f'B {bar} {at:x} {width}'
        yield 'X'
        yield from self.bar_edges()

    def bar_edges(self):
        for bar in range(10):
            yield f'B {bar} ffffffffff0 4'
            yield f'P {bar} ffffffffff0 4 0'
            yield f'B {min(bar, 8)} 0 0'
        for bar, offsets in self.plan.bars.items():
            yield f'B {bar} {max(offsets):x} 16'
            yield f'P {bar} {max(offsets):x} 16 0'
            yield f'B {bar} {max(offsets) - 3:x} 7'

    def memory_off(self):
        """But for the vectors of MSI-X, which are a point."""
        yield command(0)
        for bar in self.plan.bars:
            for at in [at for at in self.registers_of(bar) if bar != 2 or at >= 0x400]:
                yield f'B {bar} {at:x} 4'
                yield f'P {bar} {at:x} 4 0'
            yield f'B {bar} ffffffffff0 4'
        yield command(DECODE)

    # ---- memory, and the life of a device

    def dma(self):
        yield 'M 10000 1000 3'
        for value in (DECODE, DECODE | MASTER):
            yield command(value)
            yield from self.plan.dma
            yield from ('D 10000 8', 'D 10800 8', 'D 10838 8')
        yield from ('M 10000 1000 3', 'M 10800 1000 3', 'M 20000 1001 3', 'M 20000 1000 0',
                    'U 10000 800', 'U 10000 1000', 'U 10000 1000')
        yield from (*self.plan.dma, 'D 10800 8')
        yield from ('M 10000 1000 1', *self.plan.dma, 'D 10800 8', 'U 10000 1000')
        yield from (command(DECODE), 'X')

    def reset(self):
        """Configuration space, interrupts and eventfds stay."""
        for index in self.indexes:
            yield from (command(DECODE | MASTER), 'W 3c 1 9', 'W c 2 4208', enable(index, 1))
            yield from (*self.plan.up, 'E all', 'X', 'E all', *self.dump()[:24])
            yield from (*self.plan.up, 'E all', *self.raised(), *self.plan.down, disable(index))
        yield command(DECODE)

    def reopen(self):
        yield from (command(0x447), 'W 10 4 12340000', 'W 3c 1 7', enable(MSI, 1), enable(REQ, 1))
        yield from self.plan.up
        yield from ('O', *self.dump(), 'I', *self.raised(), *fire(MSI, 0, 1), *fire(REQ, 0, 1))

    def mixture(self):
        """Requests of all kinds, in any order; what a point is about, left out."""
        for _ in range(500):
            yield from self.random.choice((
                self.any_config, self.any_config, self.any_bar, self.any_irqs, self.any_life))()
        yield from ('X', *self.state(None), command(DECODE), *self.dump())

    def any_config(self):
        width = self.random.choice((1, 2, 4))
        at = self.random.randrange(8, 0x100, width)
        msi, power = self.plan.capabilities[5] + 2, self.plan.capabilities.get(1, 0x100) + 4
        if at <= msi < at + width or at <= power < at + width:
            return [f'R {at:x} {width}']        # else messages are kept back
        return [f'W {at:x} {width} {self.random.getrandbits(8 * width):x}', f'R {at & ~3:x} 4']

    def any_bar(self):
        bar = self.random.choice(list(self.plan.bars))
        at = self.random.choice(self.registers_of(bar))
        width = self.random.choice((4, 8))
        value = self.random.getrandbits(8 if bar == 0 else 8 * width)
        place = f'{bar} {at:x} {width}'
        return [self.random.choice((f'B {place}', f'P {place} {value:x}')), 'E all']

    def any_irqs(self):
        index = self.random.choice((*self.indexes, REQ))
        n = self.plan.vectors[index] if index < 3 else 1
        action = self.random.choice((MASK, UNMASK, TRIGGER, TRIGGER))
        data = self.random.choice((NONE, BOOL, EVENTFD))
        count = n if data == EVENTFD and index in (MSI, MSIX) else self.random.randrange(n + 1)
        return [irqs(index, data | action, 0, count), 'E all']

    def any_life(self):
        lines = [command(DECODE | MASTER | self.random.choice((0, 0x40, 0x140, INTX_DISABLE))),
                 self.plan.up[0], self.plan.down[0], 'X', 'R 4 4']
        return [self.random.choice(lines), 'E all']

    # ---- all

    def sections(self):
        """Name and requests of each section."""
        return {
            'info': self.info,
            'reads': self.reads,
            'header': self.header,
            'sizing': self.sizing,
            'command register': self.command_register,
            'capability writes': self.capability_writes,
            'gaps': self.gaps,
            'odd writes': self.odd_writes,
            'power': self.power,
            'BARs': self.bars,
            'memory off': self.memory_off,
            'matrix': self.matrix,
            'malformed': self.malformed,
            'negative descriptors': self.negative_descriptors,
            'bad descriptors': self.bad_descriptors,
            'INTx': self.intx,
            'messages': self.messages,
            'MSI control': self.msi_control,
            'MSI-X control': self.msix_control,
            'REQ': self.requests,
            'DMA': self.dma,
            'reset': self.reset,
            'reopen': self.reopen,
            'mixture': self.mixture,
            'point 2: message without an eventfd': self.pending_vector,
            'point 2: message without bus mastering': self.pending_master,
            'point 2: message while MSI is switched off': self.pending_enable,
            'point 2: pending bits of MSI-X': self.pending_bits,
            'point 2: enabling MSI and MSI-X in D3hot': self.enable_in_d3,
            'point 2: no eventfd for more MSI vectors': self.no_eventfd_behind,
            'point 2: no vector behind those of MSI': self.none_behind,
            'point 2: bad descriptor for more MSI vectors': self.bad_behind,
            'point 2: bad descriptor to re-arm INTx': self.bad_unmask,
            'point 2: vectors of MSI-X without memory decoding': self.vectors_without_memory,
        }

    def all(self):
        """Name and lines of each section that the device has; each begins with opening it."""
        for name, section in self.sections().items():
            self.random.seed(name)
            lines = list(section())
            if lines:
                yield name, ['O', *lines]
