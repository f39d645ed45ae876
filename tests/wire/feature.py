# SPDX-License-Identifier: MIT
"""DEVICE_FEATURE (section 3.13): the server's own features of memory, the kernel's of writes."""

import errno
import struct

from wire import Cmd, ERROR

GET, SET, PROBE = 0x10000, 0x20000, 0x40000

DIRTY_START, DIRTY_STOP, DIRTY_REPORT = 6, 7, 8
DMA_MAP, DMA_LIMITS, IOVA_RANGES, FAULT, FAULT_EVENT = range(0xf005, 0xf00a)
ISOLATION, SIGNALLED = 0xf00b, 0xf018

HEAD = struct.Struct('=II')             # argsz, flags
MAP = struct.Struct('=QQQIIII')         # cursor, iova, size, directions, way, found, reserved
LIMITS = struct.Struct('=QQQQQQ')       # advertised, granted, used: of maps, of bytes
FAULT_IS = struct.Struct('=QQIiQ')      # iova, size, direction, errno, count
EVENT = struct.Struct('=iI')            # descriptor, reserved
START = struct.Struct('=QII')           # page, ranges, reserved
REPORT = struct.Struct('=QQQ')          # iova, size, page
ISOLATED = struct.Struct('=II')         # DMA, interrupts
VECTORS = struct.Struct('=II256s')      # index, reserved, a bit for each

SIZES = {DMA_MAP: MAP.size, DMA_LIMITS: LIMITS.size, IOVA_RANGES: 8 + 32 * 16,
         FAULT: FAULT_IS.size, FAULT_EVENT: EVENT.size, DIRTY_START: START.size, DIRTY_STOP: 0,
         DIRTY_REPORT: REPORT.size, ISOLATION: ISOLATED.size, SIGNALLED: VECTORS.size}
OPERATIONS = {number: SET if number in (FAULT_EVENT, DIRTY_START, DIRTY_STOP) else GET
              for number in SIZES}

NO_LIMIT = (1 << 64) - 1
IN_PLACE, BY_PROCESS, BY_MESSAGE = 1, 4, 8


def feature(flags, data=b'', argsz=None):
    """The payload of DEVICE_FEATURE."""
    return HEAD.pack(HEAD.size + len(data) if argsz is None else argsz, flags) + data


def ask(client, flags, data=b'', fds=(), argsz=None):
    """Ask for a feature; returns the answer's data, or the name of the errno."""
    got = client.call(Cmd.FEATURE, feature(flags, data, argsz), fds)
    if got.flags & ERROR:
        return errno.errorcode[got.error]
    assert HEAD.unpack_from(got.payload) == (len(got.payload), flags)
    return got.payload[HEAD.size:]


def get(client, number, data):
    """A feature that must be there."""
    got = ask(client, GET | number, data)
    assert isinstance(got, bytes) and len(got) == len(data), got
    return got


def maps(client):
    """Every map that the server has: (iova, size, directions, way)."""
    found, cursor = [], 0
    while True:
        cursor, iova, size, prot, way, more, _ = MAP.unpack(
            get(client, DMA_MAP, MAP.pack(cursor, 0, 0, 0, 0, 0, 0)))
        if more:
            found.append((iova, size, prot, way))
        if not more or not cursor:      # a map that ends at 2^64 is the last one
            return found


def limits(client):
    """((advertised, granted, used) of maps, the same of bytes)"""
    numbers = LIMITS.unpack(get(client, DMA_LIMITS, bytes(LIMITS.size)))
    return numbers[:3], numbers[3:]


def fault(client):
    """The last one: (iova, size, direction, errno, count)."""
    return FAULT_IS.unpack(get(client, FAULT, bytes(FAULT_IS.size)))


def tell_of_faults(client, event=None, number=0):
    """SET of the eventfd, beside whatever number is in the data."""
    return ask(client, SET | FAULT_EVENT, EVENT.pack(number, 0), [] if event is None else [event])


def dirty_start(client, page, ranges=()):
    data = START.pack(page, len(ranges), 0) + b''.join(struct.pack('=QQ', *one) for one in ranges)
    assert ask(client, SET | DIRTY_START, data) == data


def dirty(client, iova, size, page):
    """The numbers of the pages that were written since the last time, or the name of the errno."""
    words = (size // page + 63) // 64
    question = REPORT.pack(iova, size, page)
    got = ask(client, GET | DIRTY_REPORT, question, argsz=HEAD.size + REPORT.size + 8 * words)
    if isinstance(got, str):
        return got
    assert got[:REPORT.size] == question and len(got) == REPORT.size + 8 * words
    bits = int.from_bytes(got[REPORT.size:], 'little')
    return [page for page in range(64 * words) if bits >> page & 1]
