# SPDX-License-Identifier: MIT
"""REGION_READ and REGION_WRITE (section 3.9), and what lies behind them."""

import os
import struct

import pytest

from wire import (ACCESS, BAR0, BAR1, BAR2, BAR3, BAR4, BAR5, CONFIG, Cmd, MIB, NO_REPLY, ROM, VGA,
                  access)

SCRATCH, NOTED, NOTES = 0x100, 0x28, 0x40
COMMAND, BAR_REGISTERS, LINE = 4, 0x10, 0x3c
MEMORY_ON, IO_ON = 2, 1
TOP = (1 << 64) - 1


# ---- ranges --------------------------------------------------------------------------------


@pytest.mark.parametrize('region', [9, 10, 0x7fffffff, 0xffffffff])
def test_no_such_region(edu, region):
    client = edu.connect()
    assert client.refused(Cmd.REGION_READ, access(region, 0, 4)) == 'EINVAL'
    assert client.refused(Cmd.REGION_WRITE, access(region, 0, 4, bytes(4))) == 'EINVAL'


@pytest.mark.parametrize('region', [BAR1, BAR3, ROM, VGA])
@pytest.mark.parametrize('offset', [0, 0xa0000, TOP])
def test_absent_region(probe, region, offset):
    client = probe.connect()
    assert client.refused(Cmd.REGION_READ, access(region, offset, 4)) == 'EINVAL'
    assert client.refused(Cmd.REGION_WRITE, access(region, offset, 4, bytes(4))) == 'EINVAL'


@pytest.mark.parametrize('region, size', [(BAR0, 0x10000), (BAR2, 0x2000), (BAR4, 32),
                                          (BAR5, 2 * MIB)])
def test_at_and_past_the_end_of_a_bar(probe, region, size):
    client = probe.connect()
    for offset in (size, size + 1, size + 4096, 1 << 32, 1 << 40, 1 << 63, TOP - 3, TOP):
        assert client.refused(Cmd.REGION_READ, access(region, offset, 4)) == 'EINVAL'
        assert client.refused(Cmd.REGION_WRITE, access(region, offset, 4, bytes(4))) == 'EINVAL'


@pytest.mark.parametrize('region, size', [(BAR0, 0x10000), (BAR2, 0x2000), (BAR4, 32),
                                          (BAR5, 2 * MIB)])
def test_across_the_end_of_a_bar(probe, region, size):
    """The count comes back short, and no more bytes come than it says."""
    client = probe.connect()
    for there, asked in ((1, 2), (4, 8), (3, 4096), (31, 32), (16, MIB)):
        assert len(client.read(region, size - there, asked)) == there
        assert client.write(region, size - there, bytes(asked)) == there


@pytest.mark.parametrize('offset, count', [
    (256, 1), (255, 2), (0, 257), (0, MIB), (4096, 4), (1 << 40, 4), (1 << 63, 4), (TOP, 1),
    (TOP, 2), (TOP - 3, 4)])
def test_past_the_end_of_config_space(edu, offset, count):
    """Nothing is transferred, not even the part that is there."""
    client = edu.connect()
    client.put(CONFIG, LINE, 0x11, 1)
    assert client.refused(Cmd.REGION_READ, access(CONFIG, offset, count)) == 'EFAULT'
    body = access(CONFIG, offset, count, b'\x22' * count)
    assert client.refused(Cmd.REGION_WRITE, body) == 'EFAULT'
    assert client.get(CONFIG, LINE, 1) == 0x11


@pytest.mark.parametrize('region', [BAR0, BAR4, BAR5, CONFIG])
def test_count_zero(probe, region):
    """The struct comes back, with count 0."""
    client = probe.connect()
    assert ACCESS.unpack(client.ok(Cmd.REGION_READ, access(region, 8, 0))) == (8, region, 0)
    assert ACCESS.unpack(client.ok(Cmd.REGION_WRITE, access(region, 8, 0))) == (8, region, 0)


@pytest.mark.parametrize('count', [MIB + 1, 2 * MIB, 0x7fffffff, 0x80000000, 0xffffffff])
def test_count_above_the_limit(probe, count):
    client = probe.connect()
    for region in (BAR0, BAR5, CONFIG):
        assert client.refused(Cmd.REGION_READ, access(region, 0, count)) == 'EINVAL'
        assert client.refused(Cmd.REGION_WRITE, access(region, 0, count, bytes(64))) == 'EINVAL'


@pytest.mark.parametrize('count, data', [(4, 0), (4, 3), (4, 5), (0, 1), (1, 0), (8, 4096),
                                         (4096, 8), (MIB, 16)])
def test_data_of_another_length_than_count(probe, count, data):
    client = probe.connect()
    client.write(BAR0, SCRATCH, b'as it was')
    body = access(BAR0, SCRATCH, count, b'\xee' * data)
    assert client.refused(Cmd.REGION_WRITE, body) == 'EINVAL'
    assert client.read(BAR0, SCRATCH, 9) == b'as it was'


# ---- posted writes -------------------------------------------------------------------------


def test_posted_write_is_done_in_order_and_not_answered(probe):
    client = probe.connect()
    for number in range(50):
        data = bytes([number]) * 4
        client.post(Cmd.REGION_WRITE, access(BAR0, SCRATCH, 4, data), flags=NO_REPLY)
        assert client.read(BAR0, SCRATCH, 4) == data


@pytest.mark.parametrize('body', [access(9, 0, 4, bytes(4)), access(BAR0, 1 << 40, 4, bytes(4)),
                                  access(BAR0, 0, 8, bytes(4)), access(CONFIG, 256, 1, b'\0'),
                                  access(BAR0, 0, 0xffffffff), b'', bytes(7)],
                         ids=['region', 'offset', 'length', 'config', 'count', 'empty', 'short'])
def test_posted_write_that_fails_is_not_answered_either(probe, body):
    client = probe.connect()
    client.post(Cmd.REGION_WRITE, body, flags=NO_REPLY)
    client.ping()


# ---- how accesses reach the device ---------------------------------------------------------


def accesses(client):
    """What the probe noted of its scratch bytes: (offset, width, is it a write)."""
    count = min(client.get(BAR0, NOTED), 16)
    words = struct.unpack(f'<{count}I', client.read(BAR0, NOTES, 4 * count)) if count else ()
    client.put(BAR0, NOTED, 0)
    return [(word >> 8, word & 0x7f, bool(word & 0x80)) for word in words]


@pytest.mark.parametrize('offset, count, widths', [
    (0, 1, [1]), (1, 1, [1]), (2, 2, [2]), (4, 4, [4]), (8, 8, [8]), (0, 16, [8, 8]),
    (4, 8, [4, 4]), (1, 3, [1, 2]), (1, 7, [1, 2, 4]), (3, 2, [1, 1]), (2, 4, [2, 2]),
    (7, 10, [1, 8, 1]), (5, 3, [1, 2]), (0, 15, [8, 4, 2, 1]), (0, 3, [2, 1])])
def test_an_access_is_cut_into_aligned_ones(probe, offset, count, widths):
    """Widest first, ascending; an aligned access of 1, 2, 4 or 8 bytes is one access."""
    client = probe.connect()
    starts = [SCRATCH + offset + sum(widths[:i]) for i in range(len(widths))]
    data = os.urandom(count)
    client.write(BAR0, SCRATCH + offset, data)
    assert accesses(client) == [(at, width, True) for at, width in zip(starts, widths)]
    assert client.read(BAR0, SCRATCH + offset, count) == data
    assert accesses(client) == [(at, width, False) for at, width in zip(starts, widths)]


def test_bytes_are_in_the_bars_order(probe):
    """Byte i of the message is byte i of the BAR; registers are little endian."""
    client = probe.connect()
    client.write(BAR0, 0x10, bytes(range(1, 9)))
    assert client.get(BAR0, 0x10, 8) == 0x0807060504030201
    assert [client.get(BAR0, 0x10 + i, 1) for i in range(8)] == list(range(1, 9))


def test_memory_areas_by_message(probe):
    client = probe.connect()
    data = os.urandom(0x2000)
    assert client.write(BAR0, 0x1000, data) == 0x2000
    assert client.read(BAR0, 0x1000, 0x2000) == data
    assert client.read(BAR0, 0x1fff, 3) == data[0xfff:0x1002]


def test_across_the_border_of_trapped_and_memory(probe):
    """One message over page 0 (nothing there: all ones), an area, and nothing again."""
    client = probe.connect()
    assert client.write(BAR0, 0xff0, b'\x77' * 0x2020) == 0x2020
    assert client.read(BAR0, 0xff0, 0x2020) == b'\xff' * 16 + b'\x77' * 0x2000 + b'\xff' * 16
    assert client.read(BAR0, 0xffc, 8) == b'\xff' * 4 + b'\x77' * 4


def test_ports(probe):
    client = probe.connect()
    data = os.urandom(32)
    assert client.write(BAR4, 0, data) == 32
    assert client.read(BAR4, 0, 32) == data
    assert client.read(BAR4, 5, 7) == data[5:12]


def test_where_nothing_is(edu):
    """Unused offsets of a BAR read all ones, and swallow writes."""
    client = edu.connect()
    assert client.read(BAR0, 0x1000, 16) == b'\xff' * 16
    assert client.write(BAR0, 0x1000, bytes(16)) == 16


# ---- configuration space -------------------------------------------------------------------


def test_identity_of_edu(edu):
    config = edu.connect().read(CONFIG, 0, 256)
    assert struct.unpack_from('<HH', config) == (0x1234, 0x11e8)
    assert config[8] == 0x10
    assert config[0x0e] == 0
    assert config[0x3d] == 1


def test_all_of_it_in_one_read_or_in_many(probe):
    client = probe.connect()
    whole = client.read(CONFIG, 0, 256)
    for width in (1, 2, 4, 8, 3, 64):
        parts = [client.read(CONFIG, at, min(width, 256 - at)) for at in range(0, 256, width)]
        assert b''.join(parts) == whole


def test_command_after_open(edu, probe):
    """Decoding is on for the kinds of BAR that are there; the device may not touch memory."""
    assert edu.connect().get(CONFIG, COMMAND, 2) == MEMORY_ON
    assert probe.connect().get(CONFIG, COMMAND, 2) == MEMORY_ON | IO_ON


def test_read_only_bytes_take_writes_silently(probe):
    client = probe.connect()
    before = client.read(CONFIG, 0, 4) + client.read(CONFIG, 8, 4)
    assert client.write(CONFIG, 0, b'\xff' * 4) == 4
    assert client.write(CONFIG, 8, b'\xff' * 4) == 4
    assert client.read(CONFIG, 0, 4) + client.read(CONFIG, 8, 4) == before


@pytest.mark.parametrize('bar, mask', [(0, 0xffff0004), (1, 0xffffffff), (2, 0xffffe000), (3, 0),
                                       (4, 0xffffffe1), (5, 0xffe00000)])
def test_sizing_a_bar(probe, bar, mask):
    client = probe.connect()
    register = BAR_REGISTERS + 4 * bar
    client.put(CONFIG, register, 0xffffffff)
    assert client.get(CONFIG, register) == mask
    client.put(CONFIG, register, 0)
    assert client.get(CONFIG, register) == (0 if bar == 1 else mask & 0xf)


def test_where_a_bar_lies_does_not_matter(probe):
    """Regions are addressed by index: the value of the register moves nothing."""
    client = probe.connect()
    for bar in range(6):
        client.put(CONFIG, BAR_REGISTERS + 4 * bar, 0xfe000000)
    assert client.get(BAR0, 0) == 0x50524f42


def capabilities(config):
    """IDs and offsets in the order of the list."""
    at, found = config[0x34], []
    while at:
        assert 0x40 <= at <= 0xfc and at % 4 == 0 and at not in [place for _, place in found]
        found.append((config[at], at))
        at = config[at + 1]
    return found


def test_capabilities(edu, probe):
    for server, ids in ((edu, {5}), (probe, {1, 5, 0x11})):
        config = server.connect().read(CONFIG, 0, 256)
        assert config[6] & 0x10
        assert {number for number, _ in capabilities(config)} >= ids


def test_msix_capability_says_where_the_table_is(probe):
    config = probe.connect().read(CONFIG, 0, 256)
    at = dict(capabilities(config))[0x11]
    control, table, pending = struct.unpack_from('<HII', config, at + 2)
    assert (control & 0x7ff, table, pending) == (63, 0 | 2, 0x1000 | 2)


# ---- gates ---------------------------------------------------------------------------------


def test_memory_decode_off(probe):
    client = probe.connect()
    client.put(CONFIG, COMMAND, IO_ON, 2)
    for region, offset in ((BAR0, 0), (BAR0, 0x1000), (BAR2, 0), (BAR5, 0)):
        if region == BAR2:      # the vectors of MSI-X, which are nobody's memory
            assert client.get(region, offset) == 0xffffffff
            continue
        assert client.refused(Cmd.REGION_READ, access(region, offset, 4)) == 'EIO'
        assert client.refused(Cmd.REGION_WRITE, access(region, offset, 4, bytes(4))) == 'EIO'
    assert client.write(BAR4, 0, b'ports') == 5
    client.put(CONFIG, COMMAND, IO_ON | MEMORY_ON, 2)
    assert client.get(BAR0, 0) == 0x50524f42


def test_d3(probe):
    """In D3hot memory does not answer; back in D0 it does."""
    client = probe.connect()
    at = dict(capabilities(client.read(CONFIG, 0, 256)))[1]
    client.put(CONFIG, at + 4, 3, 2)
    assert client.get(CONFIG, at + 4, 2) & 3 == 3
    assert client.refused(Cmd.REGION_READ, access(BAR0, 0, 4)) == 'EIO'
    client.put(CONFIG, at + 4, 0, 2)
    assert client.get(CONFIG, at + 4, 2) & 3 == 0
    assert client.get(BAR0, 0) == 0x50524f42


def test_every_config_byte_takes_every_write(probe):
    """Any write of configuration space succeeds, and the space can still be read."""
    client = probe.connect()
    for value in (0xff, 0x00, 0x55, 0xaa):
        for at in range(256):
            assert client.write(CONFIG, at, bytes([value])) == 1
    assert len(client.read(CONFIG, 0, 256)) == 256
    assert struct.unpack_from('<HH', client.read(CONFIG, 0, 4)) == (0x1234, 0x7072)


def test_read_takes_no_descriptor(edu, tmp_path):
    client = edu.connect()
    fd = os.open(tmp_path, os.O_RDONLY)
    assert client.refused(Cmd.REGION_READ, access(CONFIG, 0, 4), [fd]) == 'EINVAL'
    assert client.refused(Cmd.REGION_WRITE, access(CONFIG, LINE, 1, b'\1'), [fd]) == 'EINVAL'
    assert client.get(CONFIG, LINE, 1) == 0
    os.close(fd)
