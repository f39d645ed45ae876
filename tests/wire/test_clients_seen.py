# SPDX-License-Identifier: MIT
"""What QEMU and SPDK were seen to say, said again (clients-seen.md)."""

import mmap
import os
import struct

from nvme_host import NvmeHost
from signals import Signal
from wire import (BAR0, CONFIG, Cmd, ERR, ERROR, INTX, LIMIT, MIB, MSIX, PAGE, READ, UNMAP,
                  UNMAP_ALL, access, dma_map, dma_unmap, info, irq_query, irq_set, memory, message,
                  region_query, version)

QEMU_JSON = (b'{"capabilities":{"pgsizes":4096,"max_msg_fds":16,"max_dma_maps":65535,'
             b'"max_data_xfer_size":1048576,'
             b'"migration":{"max_bitmap_size":268435456,"pgsize":4096},"write_multiple":true}}\0')
RAM = 64 * MIB
FLAGS_ON, FLAGS_OFF = 0x24, 0x21        # eventfd | trigger, none | trigger


class Qemu:
    """The steps of QEMU's vfio-user-pci, in its order."""

    def __init__(self, server):
        self.client = server.plain()
        self.ram = memory(RAM)
        self.request_size = None

    def call(self, command, body=b'', fds=()):
        """QEMU's buffer for a reply is as long as its request, or what the struct needs."""
        got = self.client.call(command, body, fds)
        assert not got.flags & ERROR
        room = len(body) + (access_room(body) if command == Cmd.REGION_READ else 0)
        assert len(got.payload) <= room, 'reply larger than recv buffer'
        return got

    def hello(self):
        got = self.call(Cmd.VERSION, version(0, 0, QEMU_JSON))
        assert got.payload[:4] == bytes(4)

    def map_memory(self):
        """RAM with its file, ROM without; sent one after the other, answered later."""
        client = self.client
        sent = [client.post(Cmd.DMA_MAP, dma_map(0, 0xa0000), [self.ram]),
                client.post(Cmd.DMA_MAP, dma_map(0xc0000, 0x20000, 0xc0000, READ), [self.ram]),
                client.post(Cmd.DMA_MAP, dma_map(0x100000, RAM - MIB, MIB), [self.ram]),
                client.post(Cmd.DMA_MAP, dma_map(0xfffc0000, 0x40000, 0, READ))]
        for number in sent:
            assert not client.reply(number, Cmd.DMA_MAP).flags & ERROR

    def look(self):
        """Info, the BARs and configuration space (not ROM, not VGA), the error interrupt."""
        flags, regions, irqs = struct.unpack('=IIII', self.call(Cmd.GET_INFO, info()).payload)[1:]
        assert flags == 3 and 9 <= regions <= 100 and 5 <= irqs <= 50
        found = {index: self.region(index) for index in (0, 1, 2, 3, 4, 5, CONFIG)}
        self.call(Cmd.GET_IRQ_INFO, irq_query(ERR))
        return found

    def region(self, index):
        """Asked for with 32 bytes first, and again when the answer needs more."""
        got = self.client.region(index)
        return self.client.region(index, got.argsz) if got.argsz > 32 else got

    def read_config(self):
        config = self.client.read(CONFIG, 0, 256)
        self.client.put(CONFIG, 0x30, 0xfffff800)
        assert self.client.get(CONFIG, 0x30) == 0       # no ROM
        for bar in range(6):
            self.client.get(CONFIG, 0x10 + 4 * bar)
        assert self.client.get(CONFIG, 0x3d, 1) == config[0x3d]
        return config

    def intx(self, on, event=None):
        fds = [event] if on else []
        body = irq_set(FLAGS_ON if on else FLAGS_OFF, INTX, 0, len(fds))
        assert self.call(Cmd.SET_IRQS, body, fds).payload == b''

    def reset(self, event):
        """INTx off, command read and written, reset, INTx on, BARs cleared."""
        self.intx(False)
        command = self.client.get(CONFIG, 4, 2)
        self.client.put(CONFIG, 4, command & ~7, 2)
        assert self.call(Cmd.RESET).payload == b''
        self.intx(True, event)
        for bar in range(6):
            self.client.put(CONFIG, 0x10 + 4 * bar, 0)

    def shadow(self):
        """As firmware shadows its ROM: unmap and map in a row, without waiting."""
        client, sent = self.client, []
        for _ in range(10):
            sent += [(client.post(Cmd.DMA_UNMAP, dma_unmap(0xc0000, 0x20000)), Cmd.DMA_UNMAP),
                     (client.post(Cmd.DMA_MAP, dma_map(0xc0000, 0x20000, 0xc0000), [self.ram]),
                      Cmd.DMA_MAP)]
        for number, command in sent:
            got = client.reply(number, command)
            assert not got.flags & ERROR
            if command == Cmd.DMA_UNMAP:
                assert UNMAP.unpack(got.payload) == (24, 0, 0xc0000, 0x20000)

    def close(self):
        self.client.close()
        os.close(self.ram)


def access_room(body):
    return struct.unpack('=QII', body)[2]


def realize(server):
    """Up to where the guest's firmware begins."""
    qemu, event = Qemu(server), Signal()
    qemu.hello()
    qemu.map_memory()
    qemu.look()
    assert qemu.read_config()[0x3d] == 1
    qemu.intx(True, event)
    qemu.reset(event)
    qemu.shadow()
    return qemu, event


def test_qemu_with_edu(edu):
    """Start, then the guest: enable memory, factorial by interrupt, DMA into RAM and back."""
    qemu, event = realize(edu)
    client = qemu.client
    client.put(CONFIG, 0x10, 0xfea00000)
    client.put(CONFIG, 4, 7, 2)
    assert client.get(BAR0, 0) == 0x010000ed
    client.put(BAR0, 4, 0x12345678)
    assert client.get(BAR0, 4) == 0xedcba987
    client.put(BAR0, 0x20, 0x80)
    client.put(BAR0, 8, 5)
    assert event.wait() == 1
    assert client.get(BAR0, 8) == 120 and client.get(BAR0, 0x24) == 1
    client.put(BAR0, 0x64, 1)
    client.irqs(0x11, INTX, 0, 1)
    os.pwrite(qemu.ram, b'through the device', 0x200000)
    transfer(client, event, 0x200000, 0x40000, 18, 5)
    transfer(client, event, 0x40000, 0x300000, 18, 7)
    assert os.pread(qemu.ram, 18, 0x300000) == b'through the device'
    qemu.close()


def transfer(client, event, source, target, count, command):
    """One transfer of edu's engine, its end told by interrupt."""
    for offset, value in ((0x80, source), (0x88, target), (0x90, count), (0x98, command)):
        client.put(BAR0, offset, value, 8)
    assert event.wait() == 1
    assert client.get(BAR0, 0x24) == 0x100
    client.put(BAR0, 0x64, 0x100)
    client.irqs(0x11, INTX, 0, 1)


def test_qemu_with_msix(probe):
    """MSI-X is looked at, enabled with no eventfd at all, then filled vector by vector."""
    qemu, event = realize(probe)
    client = qemu.client
    client.put(CONFIG, 4, 7, 2)
    count = struct.unpack('=IIII', qemu.call(Cmd.GET_IRQ_INFO, irq_query(MSIX)).payload)[3]
    assert count == 64
    client.irqs(0x11, INTX, 0, 1)
    qemu.intx(False)
    qemu.call(Cmd.SET_IRQS, irq_set(FLAGS_ON, MSIX, 0, 1))
    many = [Signal() for _ in range(3)]
    for vector, signal in enumerate(many):
        qemu.call(Cmd.SET_IRQS, irq_set(FLAGS_ON, MSIX, vector, 1), [signal])
    client.put(BAR0, 8, 2)
    assert [signal.take() for signal in many] == [0, 0, 1]
    qemu.call(Cmd.SET_IRQS, irq_set(FLAGS_OFF, MSIX, 0, 0))
    qemu.intx(True, event)
    qemu.close()


class GuestBar:
    """A guest's accesses as QEMU hands them on: with INTx, it is unmasked after each."""

    def __init__(self, client):
        self.client, self.pin = client, True

    def get(self, offset, width=4):
        value = self.client.get(BAR0, offset, width)
        self.unmask()
        return value

    def put(self, offset, value, width=4):
        self.client.put(BAR0, offset, value, width)
        self.unmask()

    def unmask(self):
        if self.pin:
            self.client.irqs(0x11, INTX, 0, 1)


def test_qemu_with_nvme(nvme):
    """A guest's NVMe driver: MSI-X of a vector for each queue, doorbells through the map."""
    qemu, event = realize(nvme)
    client = qemu.client
    region = qemu.region(BAR0)
    assert region.areas() == [(0x1000, 0x1000)]
    client.put(CONFIG, 0x10, 0xfea00000)
    client.put(CONFIG, 4, 6, 2)

    bar = GuestBar(client)
    with mmap.mmap(region.fds[0], PAGE, offset=region.offset + 0x1000) as bells, \
            mmap.mmap(qemu.ram, RAM) as ram:
        host = NvmeHost(bar.get, bar.put, ram, 0, bells, first=0x200000)
        host.enable()
        host.look()
        assert event.wait() >= 1
        bar.pin = False
        many = use_msix(qemu)
        host.make_queue(1, vector=1)
        assert many[0].wait() >= 1
        host.write_and_read(1)
        assert many[1].wait() >= 1
        host.shut_down()
    qemu.call(Cmd.SET_IRQS, irq_set(FLAGS_OFF, MSIX, 0, 0))
    qemu.close()


def use_msix(qemu):
    """INTx off; a dummy vector, which enables; then each with its eventfd."""
    client = qemu.client
    at = client.get(CONFIG, 0x34, 1)
    while client.get(CONFIG, at, 1) != 0x11:
        at = client.get(CONFIG, at + 1, 1)
    qemu.intx(False)
    client.put(CONFIG, at + 2, client.get(CONFIG, at + 2, 2) | 0x8000, 2)
    qemu.call(Cmd.SET_IRQS, irq_set(FLAGS_ON, MSIX, 0, 1))
    many = [Signal() for _ in range(2)]
    for vector, signal in enumerate(many):
        qemu.call(Cmd.SET_IRQS, irq_set(FLAGS_ON, MSIX, vector, 1), [signal])
    return many


def test_qemu_maps_the_mappable_part(probe):
    qemu = Qemu(probe)
    qemu.hello()
    region = qemu.look()[BAR0]
    (offset, size), *_ = region.areas()
    with mmap.mmap(region.fds[0], size, offset=region.offset + offset) as area:
        area[0:4] = b'qemu'
    assert qemu.client.read(BAR0, offset, 4) == b'qemu'
    qemu.close()


def test_qemu_with_an_iommu(edu):
    """Unmaps of what was never mapped, up to 2^48; then small maps, each with its file."""
    qemu = Qemu(edu)
    qemu.hello()
    client = qemu.client
    sent = [client.post(Cmd.DMA_UNMAP, dma_unmap(1 << bits, 1 << bits)) for bits in range(12, 48)]
    for number in sent:
        got = client.reply(number, Cmd.DMA_UNMAP)
        assert (got.error, UNMAP.unpack(got.payload)[3]) == (0, 0)
    sent = [client.post(Cmd.DMA_MAP, dma_map(0xfff00000 - page * PAGE, PAGE, page * PAGE),
                        [qemu.ram]) for page in range(1, 200)]
    for number in sent:
        assert client.reply(number, Cmd.DMA_MAP).error == 0
    assert client.unmap(0, 0, UNMAP_ALL) == 199 * PAGE
    qemu.close()


# ---- SPDK -----------------------------------------------------------------------------------

SPDK_REGION = 4064
PROCESS_ADDRESS = 0x200000633000


def spdk_call(client, command, body=b'', fds=()):
    """Each of its messages has id 0."""
    got = client.call(command, body, fds, id=0)
    assert not got.flags & ERROR
    return got


def test_spdk(probe):
    client = probe.plain()
    assert spdk_call(client, Cmd.VERSION, version(0, 1, None)).payload[:4] == bytes([0, 0, 1, 0])
    regions = [spdk_call(client, Cmd.GET_REGION_INFO,
                         region_query(index, SPDK_REGION).ljust(SPDK_REGION, b'\0'))
               for index in range(9)]
    assert len(regions[BAR0].fds) == 1 and len(regions[CONFIG].fds) == 0
    assert struct.unpack_from('=HHIII', regions[BAR0].payload, 32) == (1, 1, 0, 2, 0)
    file = memory(512 * MIB)
    os.pwrite(file, b'queue', 0)
    spdk_call(client, Cmd.DMA_MAP, dma_map(PROCESS_ADDRESS, 512 * MIB), [file])
    spdk_call(client, Cmd.REGION_WRITE, access(CONFIG, 4, 4, b'\7\4\0\0'))
    got = spdk_call(client, Cmd.REGION_READ, access(CONFIG, 4, 4))
    assert got.payload[16:18] == b'\7\4'
    where = struct.pack('=QI', PROCESS_ADDRESS, 5)
    spdk_call(client, Cmd.REGION_WRITE, access(BAR0, 0x10, 12, where))
    spdk_call(client, Cmd.REGION_WRITE, access(BAR0, 0x1c, 4, b'\1\0\0\0'))
    assert spdk_call(client, Cmd.REGION_READ, access(BAR0, 0x4000, 5)).payload[16:] == b'queue'
    unmapped = spdk_call(client, Cmd.DMA_UNMAP, dma_unmap(PROCESS_ADDRESS, 512 * MIB), [file])
    assert UNMAP.unpack(unmapped.payload) == (24, 0, PROCESS_ADDRESS, 512 * MIB)
    os.close(file)


def test_spdk_with_nvme(nvme):
    """Its NVMe driver polls: no interrupt is ever set up. It ends by a shutdown."""
    client = nvme.plain()
    spdk_call(client, Cmd.VERSION, version(0, 1, None))
    bar, *_ = [spdk_call(client, Cmd.GET_REGION_INFO,
                         region_query(index, SPDK_REGION).ljust(SPDK_REGION, b'\0'))
               for index in range(9)]
    assert struct.unpack_from('=HHIII', bar.payload, 32) == (1, 1, 0, 1, 0)
    where = struct.unpack_from('=QQ', bar.payload, 48)
    assert where == (0x1000, 0x1000)
    file = memory(512 * MIB)
    spdk_call(client, Cmd.DMA_MAP, dma_map(PROCESS_ADDRESS, 512 * MIB), [file])
    spdk_call(client, Cmd.REGION_WRITE, access(CONFIG, 4, 4, b'\6\4\0\0'))

    def get(offset, width=4):
        got = spdk_call(client, Cmd.REGION_READ, access(BAR0, offset, width))
        return int.from_bytes(got.payload[16:], 'little')

    def put(offset, value, width=4):
        data = value.to_bytes(width, 'little')
        spdk_call(client, Cmd.REGION_WRITE, access(BAR0, offset, width, data))

    with mmap.mmap(bar.fds[0], PAGE, offset=region_offset(bar) + where[0]) as bells, \
            mmap.mmap(file, 512 * MIB) as ram:
        host = NvmeHost(get, put, ram, PROCESS_ADDRESS, bells)
        host.enable()
        host.look()
        host.make_queue(1, vector=None)
        host.write_and_read(1)
        host.shut_down()
    spdk_call(client, Cmd.DMA_UNMAP, dma_unmap(PROCESS_ADDRESS, 512 * MIB), [file])
    os.close(file)


def region_offset(reply):
    return struct.unpack_from('=IIIIQQ', reply.payload)[5]


# ---- Cloud Hypervisor, libvfio-user's own client --------------------------------------------


def test_cloud_hypervisor(probe):
    """VERSION 0.1, argsz with the header counted in, descriptors of 16 vectors at once."""
    client = probe.plain()
    offer = {'capabilities': {'max_data_xfer_size': MIB, 'migration': {'pgsize': PAGE}}}
    assert b'"capabilities"' in client.hello(0, 1, offer)
    assert struct.unpack('=IIII', client.ok(Cmd.GET_INFO, info(32)))[1] & 2
    first = client.region(BAR0)
    second = client.call(Cmd.GET_REGION_INFO, region_query(BAR0, first.argsz))
    assert len(second.payload) == first.argsz and len(second.fds) == 1
    many = [Signal() for _ in range(16)]
    client.irqs(FLAGS_ON, MSIX, 0, 16, many)
    client.irqs(FLAGS_OFF, MSIX, 0, 0)
    assert client.ok(Cmd.RESET) == b''


def test_a_client_with_the_largest_messages(edu):
    """Another limit than ours: what is over it ends the connection, what is not does not."""
    client = edu.connect(0, 1, {'capabilities': {'max_data_xfer_size': 64 * MIB}})
    client.send(message(Cmd.GET_INFO, info().ljust(LIMIT - 16, b'\0'), id=1))
    client.reply(1, Cmd.GET_INFO)
    client.send(message(Cmd.GET_INFO, size=LIMIT + 1))
    assert client.ended()
