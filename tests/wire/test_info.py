# SPDX-License-Identifier: MIT
"""GET_INFO, GET_REGION_INFO, GET_REGION_IO_FDS, GET_IRQ_INFO (sections 3.4 to 3.7)."""

import mmap
import os
import struct

import pytest

from wire import (BAR0, BAR1, BAR2, BAR3, BAR4, BAR5, CONFIG, Cmd, ERR, INTX, MIB, MSI, MSIX, PAGE,
                  REGION_INFO, REQ, ROM, VGA, info, irq_query, memory, region_query)

EDU_SIZES = {BAR0: MIB, CONFIG: 256}
PROBE_SIZES = {BAR0: 0x10000, BAR2: 0x2000, BAR4: 32, BAR5: 2 * MIB, CONFIG: 256}
BAR0_AREAS = [(0x1000, 0x2000), (0x8000, 0x1000)]
BAR0_NEED = 32 + 8 + 8 + 16 * 2


# ---- GET_INFO ------------------------------------------------------------------------------


@pytest.mark.parametrize('argsz', [16, 17, 32, 4064, 0xffffffff])
def test_info(edu, argsz):
    """Flags reset and PCI, nine regions, five interrupt indexes; argsz is what the answer needs."""
    assert struct.unpack('=IIII', edu.connect().ok(Cmd.GET_INFO, info(argsz))) == (16, 3, 9, 5)


def test_info_ignores_what_is_for_the_reply(edu):
    body = struct.pack('=IIII', 16, 0xffffffff, 0xffffffff, 0xffffffff)
    assert struct.unpack('=IIII', edu.connect().ok(Cmd.GET_INFO, body)) == (16, 3, 9, 5)


@pytest.mark.parametrize('argsz', [0, 1, 15])
@pytest.mark.parametrize('command, body', [
    (Cmd.GET_INFO, bytes(12)), (Cmd.GET_IRQ_INFO, bytes(12)), (Cmd.GET_REGION_IO_FDS, bytes(12)),
    (Cmd.GET_REGION_INFO, bytes(28))], ids=['info', 'irq', 'io fds', 'region'])
def test_argsz_below_the_struct(edu, command, body, argsz):
    assert edu.connect().refused(command, struct.pack('=I', argsz) + body) == 'EINVAL'


def test_region_argsz_one_below_the_struct(edu):
    assert edu.connect().refused(Cmd.GET_REGION_INFO, region_query(0, 31)) == 'EINVAL'


@pytest.mark.parametrize('command, body', [
    (Cmd.GET_INFO, info()), (Cmd.GET_IRQ_INFO, irq_query(0)), (Cmd.RESET, b''),
    (Cmd.GET_REGION_INFO, region_query(0)), (Cmd.GET_REGION_IO_FDS, irq_query(0))],
    ids=lambda value: getattr(value, 'name', ''))
@pytest.mark.parametrize('count', [1, 2, 16])
def test_descriptors_where_none_belong(edu, command, body, count):
    client = edu.connect()
    files = [memory(PAGE) for _ in range(count)]
    assert client.refused(command, body, files) == 'EINVAL'
    for file in files:
        os.close(file)
    client.ping()


# ---- GET_REGION_INFO -----------------------------------------------------------------------


@pytest.mark.parametrize('argsz', [32, 4064])
@pytest.mark.parametrize('index', range(9))
def test_regions_of_edu(edu, index, argsz):
    got = edu.connect().region(index, argsz)
    size = EDU_SIZES.get(index, 0)
    assert (got.argsz, got.index, got.cap_offset, got.size) == (32, index, 0, size)
    assert got.flags == (3 if size else 0)
    assert not got.fds


@pytest.mark.parametrize('index', [BAR1, BAR2, BAR3, BAR4, ROM, CONFIG, VGA])
def test_unmappable_regions_of_probe(probe, index):
    """The upper half of a 64-bit BAR, absent ones, the MSI-X table, ports: no capability, no fd."""
    got = probe.connect().region(index, 4064)
    size = PROBE_SIZES.get(index, 0)
    assert (got.argsz, got.index, got.cap_offset, got.size) == (32, index, 0, size)
    assert got.flags == (3 if size else 0)
    assert not got.fds


@pytest.mark.parametrize('argsz', [32, BAR0_NEED - 1])
def test_no_room_for_the_capability(probe, argsz):
    """argsz tells the need; neither capability nor descriptor comes."""
    got = probe.connect().region(BAR0, argsz)
    assert (got.argsz, got.flags, got.cap_offset, got.size) == (BAR0_NEED, 7, 0, 0x10000)
    assert not got.fds


@pytest.mark.parametrize('argsz', [BAR0_NEED, BAR0_NEED + 1, 4064, 0xffffffff])
def test_room_for_the_capability(probe, argsz):
    client = probe.connect()
    got = client.region(BAR0, argsz)
    assert (got.argsz, got.flags, got.cap_offset, got.size) == (BAR0_NEED, 15, 32, 0x10000)
    assert got.areas() == BAR0_AREAS
    assert len(got.caps) == 1 and len(got.fds) == 1


def test_the_reply_ends_with_the_capability(probe):
    """Cloud Hypervisor wants argsz - 32 bytes of capabilities exactly; no reply is padded."""
    client = probe.connect()
    assert len(client.ok(Cmd.GET_REGION_INFO, region_query(BAR0, 4064))) == BAR0_NEED
    assert len(client.ok(Cmd.GET_REGION_INFO, region_query(BAR0, 32))) == 32
    assert len(client.ok(Cmd.GET_REGION_INFO, region_query(CONFIG, 4064))) == 32


def test_a_region_that_is_all_memory_names_its_area_too(probe):
    got = probe.connect().region(BAR5, 4064)
    assert (got.argsz, got.flags, got.size) == (64, 15, 2 * MIB)
    assert got.areas() == [(0, 2 * MIB)]
    assert len(got.fds) == 1


def test_each_such_reply_brings_a_descriptor(probe):
    client = probe.connect()
    files = [client.region(BAR0, 4064).fds[0] for _ in range(5)]
    assert len({(os.fstat(file).st_dev, os.fstat(file).st_ino) for file in files}) == 1


def test_only_the_index_and_argsz_are_read(probe):
    client = probe.connect()
    body = REGION_INFO.pack(32, 0xffffffff, CONFIG, 0xffffffff, (1 << 64) - 1, (1 << 64) - 1)
    assert REGION_INFO.unpack(client.ok(Cmd.GET_REGION_INFO, body))[:5] == (32, 3, CONFIG, 0, 256)


@pytest.mark.parametrize('index', [9, 10, 255, 0x7fffffff, 0xffffffff])
def test_no_such_index(edu, index):
    client = edu.connect()
    assert client.refused(Cmd.GET_REGION_INFO, region_query(index)) == 'EINVAL'
    assert client.refused(Cmd.GET_REGION_IO_FDS, irq_query(index)) == 'EINVAL'
    assert client.refused(Cmd.GET_IRQ_INFO, irq_query(index)) == 'EINVAL'


# ---- what the descriptor is ----------------------------------------------------------------


@pytest.mark.parametrize('bar', [BAR0, BAR5])
def test_areas_map_the_devices_memory(probe, bar):
    """A store through the map is seen by REGION_READ, and REGION_WRITE by a load."""
    client = probe.connect()
    region = client.region(bar, 4064)
    for number, (offset, size) in enumerate(region.areas()):
        with mmap.mmap(region.fds[0], size, offset=region.offset + offset) as area:
            mark = bytes([0x40 + number]) * 8
            for at in (0, 8, size - 8):
                area[at:at + 8] = mark
                assert client.read(bar, offset + at, 8) == mark
            client.write(bar, offset + 100, b'by message')
            assert area[100:110] == b'by message'


def test_the_descriptor_holds_no_trapped_register(probe):
    """A client can map all of the file: what is outside the areas must be of no use."""
    client = probe.connect()
    secret = os.urandom(64)
    assert client.write(BAR0, 0x100, secret) == 64
    assert client.write(BAR0, 0x4000, secret) == 64
    region = client.region(BAR0, 4064)
    size = os.fstat(region.fds[0]).st_size
    assert secret not in os.pread(region.fds[0], size, 0)


def test_writing_the_file_outside_the_areas_reaches_no_register(probe):
    client = probe.connect()
    region = client.region(BAR0, 4064)
    before = client.read(BAR0, 0, 0x20)
    try:
        os.pwrite(region.fds[0], b'\xff' * PAGE, region.offset)
    except OSError:
        pass        # sealed, or not there at all: as good
    assert client.read(BAR0, 0, 0x20) == before


def test_the_file_is_as_large_as_what_is_mapped_from_it(probe):
    client = probe.connect()
    for bar in (BAR0, BAR5):
        region = client.region(bar, 4064)
        end = max(offset + size for offset, size in region.areas())
        assert os.fstat(region.fds[0]).st_size >= region.offset + end


# ---- GET_REGION_IO_FDS ---------------------------------------------------------------------


@pytest.mark.parametrize('index', range(1, 9))
@pytest.mark.parametrize('argsz', [16, 4064])
def test_other_regions_have_no_io_descriptors(probe, index, argsz):
    got = probe.connect().call(Cmd.GET_REGION_IO_FDS, irq_query(index, argsz))
    assert struct.unpack('=IIII', got.payload) == (16, 0, index, 0)
    assert not got.fds


BELLS = [(0x1000, 8), (0x8000, 16)]    # the probe's doorbells
RUNG, ASKED = 0x2c, 0x30
WHOLE = 16 + 40 * len(BELLS)


def bells(client):
    """Ask for the eventfd of BAR 0."""
    got = client.call(Cmd.GET_REGION_IO_FDS, irq_query(BAR0, WHOLE))
    assert len(got.fds) == 1
    return got.fds[0]


@pytest.mark.parametrize('argsz', [WHOLE, WHOLE + 1, 4064, 0xffffffff])
def test_doorbells_are_io_descriptors(probe, argsz):
    got = probe.connect().call(Cmd.GET_REGION_IO_FDS, irq_query(BAR0, argsz))
    assert struct.unpack_from('=IIII', got.payload) == (WHOLE, 0, BAR0, len(BELLS))
    assert list(struct.iter_unpack('=QQIIIIQ', got.payload[16:])) == [
        (offset, size, 0, 0, 0, 0, 0) for offset, size in BELLS]
    assert len(got.fds) == 1
    assert os.readlink(f'/proc/self/fd/{got.fds[0]}') == 'anon_inode:[eventfd]'


@pytest.mark.parametrize('argsz', [16, 16 + 40, WHOLE - 1])
def test_too_little_room_for_doorbells(probe, argsz):
    """All or none; and who has none has promised nothing."""
    client = probe.connect()
    got = client.call(Cmd.GET_REGION_IO_FDS, irq_query(BAR0, argsz))
    assert struct.unpack('=IIII', got.payload) == (WHOLE, 0, BAR0, len(BELLS))
    assert not got.fds
    assert client.get(BAR0, ASKED) == 0
    assert bells(client) >= 0
    assert client.get(BAR0, ASKED) == 1


def test_a_doorbell_is_rung_by_message_and_by_signal(probe):
    client = probe.connect()
    assert client.get(BAR0, RUNG) == 0
    client.put(BAR0, 0x1004, 1)
    client.put(BAR0, 0x1008, 1)
    client.put(BAR0, 0x8000, 1, 8)
    assert client.get(BAR0, RUNG) == 2
    os.eventfd_write(bells(client), 1)
    while client.get(BAR0, RUNG) < 4:   # the one signal is for both
        pass


@pytest.mark.parametrize('leave', ['a full one', 'an empty one', 'a blocking one'])
def test_whoever_spoils_the_eventfd_is_served_all_the_same(probe, leave):
    client = probe.connect()
    fd = bells(client)
    os.set_blocking(fd, leave != 'a blocking one')
    os.eventfd_write(fd, (1 << 64) - 2)
    if leave == 'an empty one':
        os.eventfd_read(fd)
    before = [client.get(BAR0, RUNG) for _ in range(100)][-1]
    assert before in (0, 2)
    client.put(BAR0, 0x1000, 1)
    assert client.get(BAR0, RUNG) in (before + 1, 3)


def test_the_next_client_has_another_eventfd(probe):
    client = probe.connect()
    old = os.dup(bells(client))
    client.close()
    client = probe.connect()
    assert client.get(BAR0, ASKED) == 0
    for _ in range(100):
        os.eventfd_write(old, 1)
        assert client.get(BAR0, RUNG) == 0
    os.eventfd_write(bells(client), 1)
    while client.get(BAR0, RUNG) < 2:
        pass
    os.close(old)


@pytest.mark.parametrize('body', [
    struct.pack('=IIII', 16, 1, 0, 0), struct.pack('=IIII', 4064, 0, 0, 1),
    struct.pack('=IIII', 15, 0, 0, 0), struct.pack('=IIII', 0, 0, 0, 0),
    struct.pack('=IIII', 4064, 0, 9, 0), struct.pack('=III', 4064, 0, 0)])
def test_malformed_questions_for_io_descriptors(probe, body):
    client = probe.connect()
    assert client.refused(Cmd.GET_REGION_IO_FDS, body) == 'EINVAL'
    assert client.get(BAR0, ASKED) == 0


# ---- GET_IRQ_INFO --------------------------------------------------------------------------


@pytest.mark.parametrize('index, flags, count', [
    (INTX, {7}, 1), (MSI, {9}, 1), (MSIX, {1, 9}, 0), (ERR, {9}, 0), (REQ, {9}, 1)])
def test_irqs_of_edu(edu, index, flags, count):
    got = struct.unpack('=IIII', edu.connect().ok(Cmd.GET_IRQ_INFO, irq_query(index, 4064)))
    assert got[0] == 16 and got[1] in flags and got[2:] == (index, count)


@pytest.mark.parametrize('index, flags, count', [
    (INTX, {7}, 1), (MSI, {9}, 8), (MSIX, {1, 9}, 64), (ERR, {9}, 0), (REQ, {9}, 1)])
def test_irqs_of_probe(probe, index, flags, count):
    """MSI-X is 1 where vectors can be added while it is on, else 9 (noresize)."""
    got = struct.unpack('=IIII', probe.connect().ok(Cmd.GET_IRQ_INFO, irq_query(index)))
    assert got[0] == 16 and got[1] in flags and got[2:] == (index, count)
