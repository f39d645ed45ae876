# SPDX-License-Identifier: MIT
"""The least of an NVMe driver that can use a disk, in raw bytes over vfio-user."""

import os
import select
import struct
import time

import dma
import wire
from wire import BAR0, PAGE

CC, CSTS, AQA, ASQ, ACQ, DOORBELLS = 0x14, 0x1c, 0x24, 0x28, 0x30, 0x1000
FLUSH, WRITE, READ, WRITE_ZEROES = 0, 1, 2, 8
CREATE_SQ, CREATE_CQ = 1, 5

BASE, ENTRIES, DATA_PAGES = 0x100000, 16, 16
COMMAND = struct.Struct('<BBHI16xQQIII12x')
COMPLETION = struct.Struct('<I4xHHHH')


class Lender(wire.Client):
    """A client that answers when the device asks for its memory, between everything else."""
    fd = None

    def receive(self):
        while True:
            got = super().receive()
            if got.flags & wire.REPLY:
                return got
            self._lend(got)

    def _lend(self, got):
        iova, count = wire.DMA.unpack_from(got.payload)
        if got.command == wire.Cmd.DMA_READ:
            dma.answer_read(self, got.id, iova, os.pread(self.fd, count, iova - BASE))
        else:
            assert got.command == wire.Cmd.DMA_WRITE
            os.pwrite(self.fd, got.payload[wire.DMA.size:], iova - BASE)
            dma.answer_write(self, got.id, iova, count)

    def idle(self, seconds):
        """Answer what is asked, for so long at most."""
        if select.select([self.sock], [], [], seconds)[0]:
            self._lend(super().receive())


class Disk:
    """A controller with one I/O queue, and memory for data. How that is lent: the device may use a
    sealed file in place, has to copy where it is not sealed, and to ask where there is none."""

    def __init__(self, path, lend='sealed'):
        self.client = Lender(path)
        self.client.hello()
        self.client.bus_master()
        self.client.put(wire.CONFIG, 4, self.client.get(wire.CONFIG, 4, 2) | 2, 2)
        self.fd = self.client.fd = wire.memory((4 + DATA_PAGES + 1) * PAGE, lend == 'sealed')
        self.client.map(BASE, (4 + DATA_PAGES + 1) * PAGE, None if lend == 'asked' else self.fd)
        self.tails, self.heads, self.phases = [0, 0], [0, 0], [1, 1]
        self._enable()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()
        os.close(self.fd)

    def _enable(self):
        self.client.put(BAR0, CC, 0)
        self.client.put(BAR0, AQA, (ENTRIES - 1) << 16 | (ENTRIES - 1))
        self.client.put(BAR0, ASQ, BASE, 8)
        self.client.put(BAR0, ACQ, BASE + PAGE, 8)
        self.client.put(BAR0, CC, 0x460001)
        assert self.client.get(BAR0, CSTS) == 1
        size = (ENTRIES - 1) << 16 | 1
        assert self.run(0, CREATE_CQ, data=BASE + 3 * PAGE, cdw10=size, cdw11=1) == 0
        assert self.run(0, CREATE_SQ, data=BASE + 2 * PAGE, cdw10=size, cdw11=1 << 16 | 1) == 0

    def submit(self, queue, opcode, nsid=0, data=0, second=0, cdw10=0, cdw11=0, cdw12=0):
        """Write a command to the queue and ring."""
        tail = self.tails[queue]
        command = COMMAND.pack(opcode, 0, tail, nsid, data, second, cdw10, cdw11, cdw12)
        os.pwrite(self.fd, command, 2 * queue * PAGE + 64 * tail)
        self.tails[queue] = (tail + 1) % ENTRIES
        self.client.put(BAR0, DOORBELLS + 8 * queue, self.tails[queue])

    def answer(self, queue, seconds=10.0):
        """The status of the next command that is answered."""
        end = time.monotonic() + seconds
        while True:
            raw = os.pread(self.fd, 16, (2 * queue + 1) * PAGE + 16 * self.heads[queue])
            status = COMPLETION.unpack(raw)[4]
            if status & 1 == self.phases[queue]:
                break
            assert time.monotonic() < end, 'the disk does not answer'
            self.client.idle(0.0005)
        self.heads[queue] = (self.heads[queue] + 1) % ENTRIES
        self.phases[queue] ^= self.heads[queue] == 0
        self.client.put(BAR0, DOORBELLS + 8 * queue + 4, self.heads[queue])
        return status >> 1

    def run(self, queue, *args, **kwargs):
        self.submit(queue, *args, **kwargs)
        return self.answer(queue)

    # ---- a disk ----------------------------------------------------------------------------

    def _pages(self, count):
        """Both PRPs of so many bytes of data; a list lies behind the pages."""
        first, pages = BASE + 4 * PAGE, -(-count // PAGE)
        if pages <= 2:
            return {'data': first, 'second': first + PAGE if pages == 2 else 0}
        entries = [first + i * PAGE for i in range(1, pages)]
        os.pwrite(self.fd, struct.pack(f'<{len(entries)}Q', *entries), (4 + DATA_PAGES) * PAGE)
        return {'data': first, 'second': first + DATA_PAGES * PAGE}

    def io(self, opcode, lba, blocks, flags=0, nsid=1):
        """A command about blocks of 512 bytes, its data in the data pages; returns its status."""
        return self.run(1, opcode, nsid, cdw10=lba & 0xffffffff, cdw11=lba >> 32,
                        cdw12=flags | (blocks - 1), **self._pages(512 * blocks))

    def write(self, lba, data, flags=0, nsid=1):
        os.pwrite(self.fd, data, 4 * PAGE)
        return self.io(WRITE, lba, len(data) // 512, flags, nsid)

    def read(self, lba, blocks, nsid=1):
        """The bytes, or the status of a read that failed."""
        os.pwrite(self.fd, b'\xa5' * 512 * blocks, 4 * PAGE)
        status = self.io(READ, lba, blocks, nsid=nsid)
        return os.pread(self.fd, 512 * blocks, 4 * PAGE) if status == 0 else status

    def flush(self, nsid=1):
        return self.run(1, FLUSH, nsid)
