# SPDX-License-Identifier: MIT
"""The least of an NVMe driver, over whatever a client has: registers by get() and put(), memory that
the device sees at an address, and the page of doorbells."""

import struct

from daemon import wait_for

PAGE = 4096
COMMAND = struct.Struct('<BBHIQQQQ6I')      # opcode, flags, id, nsid, -, -, prp1, prp2, cdw10 to 15
ANSWER = struct.Struct('<IIHHHH')           # result, -, sqhd, sqid, id, status and phase

CAP, CC, CSTS, AQA, ASQ, ACQ = 0x00, 0x14, 0x1c, 0x24, 0x28, 0x30
ENABLED = 0x00460001
CREATE_SQ, CREATE_CQ, IDENTIFY, SET_FEATURES, ASYNC_EVENT = 1, 5, 6, 9, 12
WRITE, READ = 1, 2
ENTRIES = 32


class Queue:
    """A pair of queues; each of them fits a page."""

    def __init__(self, number, submissions, completions):
        self.number, self.sq, self.cq = number, submissions, completions
        self.tail = self.head = self.commands = 0
        self.phase = 1


class NvmeHost:
    """A controller, and queues in ram, which the device sees at iova."""

    def __init__(self, get, put, ram, iova, bells, first=0):
        self.get, self.put, self.ram, self.iova, self.bells = get, put, ram, iova, bells
        self.free = first
        self.queues = {}
        self.data = self.page()

    def page(self):
        """A page of ram that nobody uses: its offset."""
        self.free += PAGE
        self.ram[self.free:self.free + PAGE] = bytes(PAGE)
        return self.free

    def new_queue(self, number):
        self.queues[number] = Queue(number, self.page(), self.page())
        return self.queues[number]

    # ---- life ------------------------------------------------------------------------------

    def enable(self):
        """7.6.1"""
        cap = self.get(CAP, 8)
        assert cap & 0xffff >= ENTRIES - 1 and (cap >> 37) & 1 and not (cap >> 32) & 0xf
        admin = self.new_queue(0)
        self.put(AQA, (ENTRIES - 1) << 16 | (ENTRIES - 1))
        self.put(ASQ, self.iova + admin.sq, 8)
        self.put(ACQ, self.iova + admin.cq, 8)
        self.put(CC, ENABLED)
        assert wait_for(lambda: self.get(CSTS) & 1)
        assert self.get(CSTS) == 1

    def look(self):
        """Who is there, and how large: 16 MiB in blocks of 512 bytes."""
        self.run(0, IDENTIFY, cdw10=1)
        assert self.ram[self.data + 24:self.data + 36] == b'libvfio NVMe'
        self.run(0, SET_FEATURES, cdw10=7, cdw11=0x00030003)
        self.run(0, IDENTIFY, cdw10=2)
        assert struct.unpack_from('<II', self.ram, self.data) == (1, 0)
        self.run(0, IDENTIFY, nsid=1)
        assert struct.unpack_from('<Q', self.ram, self.data)[0] == 32768
        self.submit(0, ASYNC_EVENT)         # there is no answer to that

    def make_queue(self, number, vector):
        """A vector, or None: no interrupts."""
        queue = self.new_queue(number)
        interrupts = 0 if vector is None else vector << 16 | 2
        size = (ENTRIES - 1) << 16 | number
        self.run(0, CREATE_CQ, prp1=self.iova + queue.cq, cdw10=size, cdw11=interrupts | 1)
        self.run(0, CREATE_SQ, prp1=self.iova + queue.sq, cdw10=size, cdw11=number << 16 | 1)

    def write_and_read(self, number):
        """Blocks there and back, more often than the queue has entries."""
        for turn in range(2 * ENTRIES + 1):
            content = bytes([turn, number]) * (PAGE // 2)
            self.ram[self.data:self.data + PAGE] = content
            self.run(number, WRITE, nsid=1, cdw10=8 * turn, cdw12=7)
            self.ram[self.data:self.data + PAGE] = bytes(PAGE)
            self.run(number, READ, nsid=1, cdw10=8 * turn, cdw12=7)
            assert self.ram[self.data:self.data + PAGE] == content

    def shut_down(self):
        """7.6.2"""
        self.put(CC, ENABLED | 1 << 14)
        assert wait_for(lambda: self.get(CSTS) & 0xc == 8)

    # ---- commands --------------------------------------------------------------------------

    def ring(self, number, completions, value):
        struct.pack_into('<I', self.bells, 4 * (2 * number + completions), value)

    def submit(self, number, opcode, nsid=0, prp1=None, cdw10=0, cdw11=0, cdw12=0):
        queue = self.queues[number]
        queue.commands += 1
        address = self.iova + self.data if prp1 is None else prp1
        COMMAND.pack_into(self.ram, queue.sq + COMMAND.size * queue.tail, opcode, 0,
                          queue.commands, nsid, 0, 0, address, 0, cdw10, cdw11, cdw12, 0, 0, 0)
        queue.tail = (queue.tail + 1) % ENTRIES
        self.ring(number, 0, queue.tail)
        return queue.commands

    def run(self, number, opcode, **fields):
        """A command that succeeds; returns dword 0 of its answer."""
        sent = self.submit(number, opcode, **fields)
        queue = self.queues[number]
        at = queue.cq + ANSWER.size * queue.head
        assert wait_for(lambda: self.ram[at + 14] & 1 == queue.phase), \
            f'no answer to opcode {opcode}: CSTS {self.get(CSTS):#x}'
        result, _, _, sqid, number_of_command, status = ANSWER.unpack_from(self.ram, at)
        assert (sqid, number_of_command, status >> 1) == (number, sent, 0)
        queue.head = (queue.head + 1) % ENTRIES
        queue.phase ^= queue.head == 0
        self.ring(number, 1, queue.head)
        return result
