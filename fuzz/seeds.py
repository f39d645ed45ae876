#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write the seeds of the corpora: exchanges that real drivers and servers have, as fuzz scripts.

usage: fuzz/seeds.py FOLDER    (makes FOLDER/config, FOLDER/server, ...)

The script formats are those of the targets (step() in each). In fuzz/corpus, found-* are not from
here: the fuzzer found them.
"""
import os
import struct
import sys

import seeds_hardware
import seeds_nvme

VERSION, DMA_MAP, DMA_UNMAP, INFO, REGION, IO_FDS, IRQ, SET_IRQS, READ, WRITE = range(1, 11)
DMA_READ, DMA_WRITE, RESET = 11, 12, 13
EVENTFD, SEALED, LOOSE, PIPE, FULL = range(5)
TOGETHER = 128


# ---- the server's client -------------------------------------------------------------------

def command(number, payload=b'', flags=0, more=0):
    return bytes([0 | more, number, flags, len(payload)]) + payload


def attach(*kinds):
    return bytes([3, len(kinds)]) + bytes(kinds[:1]) + bytes(kinds[1:]) + b'\0'


def dma_map(page, pages, prot=3, offset=0, more=0):
    return bytes([7 | more, page | pages << 4, prot | offset << 2])


def dma_unmap(page, pages):
    return bytes([8, page | pages << 4])


def irqs(index, start, count, flags=0x24, more=0):
    return bytes([9 | more, flags, index | start << 3 | count << 5, 1, 1, 1])


def config(offset, value, width, more=0):
    return bytes([10 | more, offset, width - 1]) + value.to_bytes(width, 'little')


def register(reg, value, more=0):
    return bytes([11 | more, reg]) + struct.pack('<H', value)


def answer(how, fill=0x5a):
    return bytes([6 | TOGETHER, how, fill])


def read(region, offset, count, shift=0):
    return bytes([14, region | shift << 5]) + struct.pack('<HH', offset, count)


DRAIN, POKE, UNMAP_ALL, MASTER = b'\xf4\xff', b'\x0c', b'\x08\xff', config(4, 0x0406, 2)
GO_READ, GO_WRITE, GO_SPANS, GO_TOUCH, GO_TWICE = (register(0x0c, n) for n in range(1, 6))
LATER_READ = register(0x0c, 1, TOGETHER)


def program(page, length):
    return register(0, page * 256) + register(8, length)


def request(number, payload, ident=0, flags=0):
    return struct.pack('<HHIII', ident, number, 16 + len(payload), flags, 0) + payload


def questions():
    out = command(INFO, struct.pack('<4I', 16, 0, 0, 0))
    for i in range(10):
        out += command(REGION, struct.pack('<4I2Q', 200, 0, i, 0, 0, 0))
    for i in range(6):
        out += command(IRQ, struct.pack('<4I', 16, 0, i, 0))
    for argsz in 16, 56:
        out += command(IO_FDS, struct.pack('<4I', argsz, 0, 0, 0))
    return out + DRAIN


def raw(data, more=0):
    return bytes([1 | more, len(data)]) + data


def flood(chunk, total, more=0):
    return bytes([2 | more]) + struct.pack('<HB', total // 48, len(chunk) - 1) + chunk


# Requests without reply, so that the server goes through as many as arrive.
SILENT = request(INFO, struct.pack('<4I', 16, 0, 0, 0) + bytes(16), 7, 0x10)
SPLIT = request(DMA_MAP, struct.pack('<2I3Q', 32, 3, 0, 0x8000, 0x1000))

SERVER = {
    'questions': b'\0' + questions(),
    'shared-memory': b'\0' + MASTER + attach(SEALED) + dma_map(1, 4) + program(1, 8192) +
    GO_READ + GO_WRITE + GO_SPANS + GO_TOUCH + dma_unmap(1, 4) + GO_READ + DRAIN,
    'loose-memory': b'\0' + MASTER + attach(LOOSE) + dma_map(1, 4) + program(1, 4096) +
    GO_READ + b'\x0f\x02' + GO_WRITE + b'\x0f\x00' + GO_READ + UNMAP_ALL + DRAIN,
    'message-memory-in-pieces': b'\1' + MASTER + dma_map(2, 2) + program(2, 2500) + LATER_READ +
    answer(0x00) + answer(0x20) + DRAIN + read(0, 0, 8) + DRAIN,
    'poke-and-command': b'\0' + MASTER + dma_map(2, 2) + program(2, 64) + b'\x8c' +
    command(INFO, struct.pack('<4I', 16, 0, 0, 0), more=TOGETHER) + answer(0) + bytes([6, 33, 1]),
    'msi': b'\0' + MASTER + attach(EVENTFD, EVENTFD) + irqs(1, 0, 2) + register(0x14, 1) +
    irqs(1, 0, 0, 0x21) + attach(FULL) + irqs(1, 0, 1) + register(0x14, 0) + DRAIN,
    'msix': b'\0' + MASTER + attach(EVENTFD, EVENTFD) + irqs(2, 1, 2) + register(0x14, 2) +
    attach(FULL) + irqs(2, 3, 1) + register(0x14, 3) + irqs(2, 0, 3, 0x22) + DRAIN,
    'intx': b'\0' + attach(EVENTFD) + irqs(0, 0, 1) + register(0x10, 1) + irqs(0, 0, 1, 0x11) +
    config(4, 0x0402, 2) + config(4, 2, 2) + register(0x10, 0) + irqs(0, 0, 0, 0x21) + DRAIN,
    'intx-unmask': b'\0' + attach(EVENTFD) + irqs(0, 0, 1) + attach(EVENTFD) + irqs(0, 0, 1, 0x14) +
    register(0x10, 1) + irqs(0, 0, 1, 0x14) + attach(FULL) + irqs(0, 0, 1, 0x14) + DRAIN,
    'request-irq': b'\0' + attach(EVENTFD) + irqs(4, 0, 1) + irqs(4, 0, 1, 0x21) + DRAIN,
    'power': b'\0' + config(0x44, 3, 2) + register(0x20, 7) + config(0x44, 0, 2) +
    register(0x20, 7) + command(RESET) + DRAIN,
    'bars': b'\0' + config(0x10, 0xffffffff, 4) + config(0x18, 0xffffffff, 4) +
    read(7, 0, 256) + read(0, 4096, 4096) + read(2, 0, 4096, 4) + read(5, 0, 64) + DRAIN,
    'reconnect': b'\0' + MASTER + attach(SEALED) + dma_map(1, 1) + register(0x20, 1) +
    b'\5\0' + read(0, 0x20, 4) + b'\5\4' + command(INFO, bytes(16)) + b'\5\1' + DRAIN,
    'guests': b'\0' + b'\x0d\xf0' + b'\x0d\x41' + b'\x0d\x02' + b'\5\2' + DRAIN,
    'closes-in-the-middle': b'\0' + b'\1\x08' + struct.pack('<HHI', 1, INFO, 32) + b'\x1f' + DRAIN,
    'never-answers': b'\x08' + MASTER + dma_map(2, 2) + program(2, 64) + GO_READ + DRAIN,
    'last-words': b'\0' + MASTER + attach(SEALED) + dma_map(1, 1) + attach(SEALED) +
    dma_map(2, 1) + program(1, 64) + register(0x18, 1) + UNMAP_ALL + DRAIN,
    'unmap-all-of-nothing': b'\0' + UNMAP_ALL + DRAIN,
    'many-fds': b'\0' + b'\x03\xff\x00' + irqs(2, 0, 3) + b'\x03\xff\x07' + irqs(1, 0, 1) + DRAIN,
    'flood-behind-answer': b'\0' + MASTER + dma_map(2, 2) + program(2, 64) + attach(EVENTFD) +
    raw(request(SET_IRQS, struct.pack('<5I', 20, 0x24, 2, 0, 1)) +
        request(WRITE, struct.pack('<Q3I', 0x0c, 0, 4, 1)), TOGETHER) +
    raw(request(DMA_READ, struct.pack('<2Q', 0x2000, 64) + bytes(64), 0, 1), TOGETHER) +
    flood(SILENT, 3000000, TOGETHER) + flood(SILENT, 3000000) + DRAIN,
    'flood-between-answers': b'\0' + MASTER + dma_map(2, 2) + program(2, 64) + attach(EVENTFD) +
    raw(request(SET_IRQS, struct.pack('<5I', 20, 0x24, 2, 0, 1)) +
        request(WRITE, struct.pack('<Q3I', 0x0c, 0, 4, 1)), TOGETHER) +
    raw(request(DMA_READ, struct.pack('<2Q', 0x2000, 64) + bytes(64), 0, 1), TOGETHER) +
    flood(SILENT, 65535 * 48, TOGETHER) +
    raw(request(WRITE, struct.pack('<Q3I', 0x08, 0, 4, 200), 0, 0x10) +
        request(WRITE, struct.pack('<Q3I', 0x0c, 0, 4, 1), 0, 0x10), TOGETHER) +
    raw(request(DMA_READ, struct.pack('<2Q', 0x2000, 200) + bytes(200), 1, 1)) + DRAIN,
    'poke-with-partial': b'\0' + MASTER + dma_map(2, 2) + program(2, 64) + attach(SEALED) +
    raw(SPLIT[:24]) + b'\x8c' + raw(SPLIT[24:], TOGETHER) + answer(0) + bytes([6, 33, 1]) +
    program(8, 64) + GO_SPANS + GO_TOUCH + DRAIN,
}

# ---- the client's server -------------------------------------------------------------------


def reply(number, payload=b'', step=0):
    return bytes([0, number, step, len(payload)]) + payload


def ask(write, iova, count, fill=0):
    return bytes([2, write, fill]) + struct.pack('<HB', iova, count)


def region_info(size, flags=3, cap=0, areas=()):
    body = struct.pack('<4I2Q', 32 + len(areas) * 16, flags, 0, cap, size, 0)
    if areas:
        body += struct.pack('<HHIII', 1, 1, 0, len(areas), 0)
        body += b''.join(struct.pack('<2Q', *a) for a in areas)
    return reply(REGION, body)


SHARED_BAR = attach(SEALED) + region_info(0x8000, 15, 32, [(0x1000, 0x2000)])
MAPPED = reply(DMA_MAP)
UNMAPPED = reply(DMA_UNMAP, struct.pack('<2I2Q', 24, 0, 0, 4096))
CONFIG = region_info(256)
VERSION_REPLY = request(VERSION, struct.pack('<2H', 0, 1) + b'{"capabilities":{"max_msg_fds":8}}\0',
                        0, 1)
INFO_REPLY = request(INFO, struct.pack('<4I', 16, 3, 9, 5), 1, 1)

LINK = {
    'greeting-fails': b'\0' + struct.pack('<HHIII', 0, VERSION, 16, 0x21, 16),
    'greeting-with-request': b'\0' + VERSION_REPLY +
    request(DMA_READ, struct.pack('<2Q', 0, 16)) + INFO_REPLY,
    'region': b'\1' + SHARED_BAR + b'\5\x30' + region_info(64) + b'\5\2',
    'doorbells': b'\1' + SHARED_BAR + attach(EVENTFD, FULL) + reply(IO_FDS, struct.pack(
        '<4I2Q4IQ2Q4IQ', 96, 0, 0, 2, 64, 8, 0, 0, 0, 0, 0, 0, 8, 1, 0, 0, 0, 0), 1) +
    b'\5\x20\5\x60',
    'config': b'\1' + CONFIG + reply(READ, struct.pack('<Q2I', 0, 7, 2) + b'\6\0') + b'\6\x71',
    'dma': b'\1' + MAPPED + b'\7\0' + MAPPED + b'\7\1' + MAPPED + b'\7\2' + ask(0, 0, 64) +
    ask(1, 4096, 64, 1) + ask(1, 8192, 64, 2) + ask(0, 100, 1) + b'\x0a\1' + UNMAPPED + b'\x08\0',
    'unmap-while-asked': b'\1' + MAPPED + b'\7\0' + MAPPED + b'\7\1' + UNMAPPED + ask(0, 0, 64) +
    reply(DMA_UNMAP, struct.pack('<2I2Q', 24, 0, 4096, 4096), 1) + b'\x08\x04',
    'irqs': b'\1' + reply(IRQ, struct.pack('<4I', 16, 9, 1, 4)) + reply(SET_IRQS, b'', 1) +
    b'\x09\x09' + reply(SET_IRQS) + b'\x09\x81',
    'refusals': b'\1' + bytes([0, RESET, 4, 22, 0]) + b'\x0a\0' +
    bytes([0, DMA_MAP, 4, 17, 0]) + b'\7\0',
    'fd-with-reset': b'\1' + attach(PIPE) + reply(RESET) + b'\x0a\0',
    'request-behind-reply': b'\1' + MAPPED + b'\7\0' + reply(RESET) + ask(0, 0, 64) + b'\x0a\0' +
    b'\x0a\1',
    'pieces': b'\3' + CONFIG + reply(READ, struct.pack('<Q2I', 0, 7, 4) + b'\1\2\3\4') +
    reply(READ, struct.pack('<Q2I', 4, 7, 4) + b'\1\2\3\4', 1) + b'\6\x73',
}

# ---- the others ----------------------------------------------------------------------------

STANDARD = bytes.fromhex('34127856060010000100 00ff00000000'.replace(' ', ''))


def space(*capabilities):
    data = bytearray(256)
    data[:len(STANDARD)] = STANDARD
    data[0x34] = 0x40
    at = 0x40
    for n, (ident, body) in enumerate(capabilities):
        size = (2 + len(body) + 3) // 4 * 4
        last = n == len(capabilities) - 1
        data[at:at + 2 + len(body)] = bytes([ident, 0 if last else at + size]) + body
        at += size
    return bytes(data)


def express(flags, *capabilities):
    """A function with extended capabilities."""
    data = bytearray(space((16, struct.pack('<H', flags) + bytes(56))))
    for n, (ident, body) in enumerate(capabilities):
        at = len(data)
        last = n == len(capabilities) - 1
        link = 0 if last else at + 4 + len(body)
        data += struct.pack('<I', ident | 1 << 16 | link << 20) + body
    return bytes(data) + bytes(64)


EXTENDED_LOOP = bytearray(express(0x02, (3, bytes(8))))
EXTENDED_LOOP[0x103] = 0x10
LOOP = bytearray(space((9, b'\4\0')))
LOOP[0x41] = 0x40

DECODE = {
    'usual': space((1, b'\3\0\0\0\0\0'), (5, b'\x84\0' + bytes(10)), (17, b'\7\0' + bytes(8))),
    'unknown': space((9, b'\4\0'), (0x77, b'\0\0'), (0, b'\0\0'), (16, b'\2\0' + bytes(56))),
    'loop': bytes(LOOP),
    'at-the-end': STANDARD + bytes(36) + b'\xfc' + bytes(0xfc - 0x35) + b'\5\0\0\0',
    'bridge': STANDARD[:14] + b'\1' + bytes(50),
    'extended': express(0x02, (1, bytes(0x28)), (0xb, b'\x42\0\x03\x01'), (3, bytes(8))),
    'root-port': express(0x142, (1, bytes(0x34)), (0xd, b'\x5f\0\0\0'), (0x1d, bytes(8))),
    'null-first': express(0x02, (0, b''), (0x10, bytes(0x3c)), (0x77, b'')),
    'extended-loop': bytes(EXTENDED_LOOP),
}

VERSIONS = {
    'usual': b'{"capabilities":{"max_msg_fds":8,"max_data_xfer_size":1048576,'
             b'"max_dma_maps":65535,"pgsizes":4096}}\0',
    'unknown': b'{"capabilities":{"migration":{"pgsize":4096},"twin_socket":{"supported":true}},'
               b'"more":[1]}\0',
    'zero': b'{"capabilities":{"max_msg_fds":0,"max_data_xfer_size":0}}\0',
    'strings': b'{"capabilities":{"max_msg_fds":"8"}}\0',
    'large': b'{"capabilities":{"max_data_xfer_size":99999999999999999999}}\0',
}


def config_write(offset, data):
    return bytes([0, offset, len(data)]) + data


CONFIG_SCRIPTS = {
    'bars': bytes([5, 2, 5, 0, 5, 1]) + config_write(0x10, b'\0\0\0\xfe'),
    'power': b''.join(config_write(0x44, state + b'\0') for state in (b'\3', b'\1', b'\0')),
    'msi': bytes([2, 0x24, 1, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0]) + config_write(0x4a, b'\x31\0') +
    config_write(0x4a, b'\0\0') + bytes([4, 2]) + bytes([2, 0x21, 1, 0, 0]),
    'msix': bytes([2, 0x24, 2, 1, 3, 0, 0, 0, 0, 0, 0, 0, 0]) + config_write(0x58, b'\0\0\0\xc0') +
    bytes([4, 4]) + bytes([2, 0x22, 2, 0, 4, 1, 0, 1, 0, 0, 0, 0, 0, 6]),
    'intx': bytes([2, 0x24, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 4, 3, 4, 1, 4, 3, 6, 7]),
    'all-ones': b''.join(config_write(at, b'\xff' * 16) for at in range(0, 256, 16)),
}


# Steps of tests/reference/roads.c: what, then what it takes.
MESSAGE, PIN, PORT_ERROR, PORT_REQUEST = 5, 2, 0, 1


def device(what, value=0):
    return bytes([15, what | value << 3])


def set_index(index, entries, data=2, action=2, span=0x00):
    """index is a place in choose_index()'s list; data and action are shifts."""
    how = next(n for n in range(64) if n % 4 == data and n // 4 % 3 == action)
    return bytes([26, how, span, index]) + entries


def good(*events):
    return bytes(e << 4 | 15 for e in events) + bytes([31] * (10 - len(events)))


def put(register, value):
    return bytes([11, register, value])


MASTER_ON, MASTER_OFF, INTX_OFF = b'\x08\x01', b'\x08\x00', b'\x08\x61'
FUNCTION = {
    'intx': set_index(0, good(1)) + device(PIN, 1) + set_index(0, b'\1' * 10, 1, 1) + INTX_OFF +
    device(PIN, 0) + MASTER_ON + device(PIN, 1) + set_index(0, b'\1' * 10, 0, 2, 3),
    'intx-rearm': set_index(0, good(1)) + set_index(0, good(0), 2, 1) + device(PIN, 1) +
    b'\x17\0' + b'\x17\0' + device(PIN, 0) + b'\x17\0',
    'msi': MASTER_ON + set_index(3, good(0, 1, 2, 3), span=12) + device(MESSAGE, 1) +
    put(4 | 64, 2) + device(MESSAGE, 1) + put(4, 0) + put(3, 0) + device(MESSAGE, 2) + put(3, 0x51),
    'msix': MASTER_ON + set_index(5, good(0, 1), span=10) + device(MESSAGE, 1) + MASTER_OFF +
    device(MESSAGE, 0) + MASTER_ON + set_index(5, good(5), span=0x40) + device(MESSAGE, 3),
    'policy': MASTER_ON + b'\x18\2' + set_index(3, good(0, 1, 2, 3), span=12) + b'\x18\0' +
    b'\x58' + set_index(3, good(0, 1, 2, 3), span=12),
    'errors': set_index(9, good(4)) + set_index(10, good(5)) + device(PORT_ERROR) +
    device(PORT_REQUEST) + set_index(9, b'\1' * 10, 1),
    'power': put(0, 0x13) + device(PIN, 1) + put(0, 0x10) + put(6, 1) + put(7, 0x80),
    'vpd': put(2, 4) + put(2, 0x88) + put(2, 0x81) + put(2, 0x40),
    'users': MASTER_ON + put(3, 0) + b'\x16' + b'\x96' + b'\xd6\2',
}


HERE, PEER, SEALED, LOOSE, PROCESS = range(5)


def space_map(first, pages, backing, page=0, prot=3, odd=False):
    return bytes([0, first, pages, backing | prot << 3 | (0xc0 if odd else 0), page])


def space_unmap(first, pages):
    return bytes([3, first, pages])


def access(op, how, page, offset, length):
    at = page * 4096 + offset
    return bytes([op, how]) + struct.pack('<HBH', at // 16, at % 16, length)


def copy(write, page, offset, length, reader=0):
    return access(4 | write << 4 | reader << 5, 7, page, offset, length)


def spans(most, page, offset, length, prot=3, reader=0):
    return access(6 | reader << 5, most | (prot - 1) << 3, page, offset, length)


def rare(what, *more):
    return bytes([7 | what << 4, *more])


V2, V1, IOMMUFD = range(3)
BOTTOM, MIDDLE, TOP, BORDER = range(4)


def how(rules=V2, base=BOTTOM, more=0):
    return bytes([base | rules << 2 | more])


CLEAR, FORGET, LIMIT, ALLOW, CLOSE, OPEN, CUT = range(7)
TRACK, TAKE, DIRTY, RETIRE, RENEW = 8, 10, 12, 13, 14
FIVE = b''.join(space_map(2 * i, 2, i, i) for i in range(5))
CUTS = space_unmap(1, 2) + space_unmap(0, 4) + space_unmap(0, 1) + space_unmap(5, 1) + \
    rare(CLEAR) + space_unmap(3, 4)
PIECES = copy(0, 0, 100, 12000) + copy(1, 1, 1, 9000) + copy(0, 5, 9, 5000) + copy(1, 7, 9, 9000)

SPACE = {
    'five-kinds': how() + FIVE + PIECES + copy(0, 4, 0, 12000, 1) + copy(1, 4, 7, 12000, 1),
    'five-kinds-careful': how(V2, BORDER, 16) + FIVE + PIECES + spans(3, 0, 0, 4096),
    'no-process': how(V2, MIDDLE, 32) + FIVE + copy(0, 8, 0, 100),
    'top': how(V2, TOP) + space_map(30, 2, 2) + copy(1, 30, 0, 8192) + copy(0, 31, 5, 8000) +
    space_map(28, 5, 0) + space_unmap(30, 2) + space_unmap(30, 5) + space_map(31, 1, 3, 2, 3, True),
    'cuts-v2': how(V2, MIDDLE) + FIVE + CUTS,
    'cuts-v1': how(V1, TOP) + FIVE + CUTS,
    'cuts-iommufd': how(IOMMUFD) + FIVE + CUTS,
    'again': how(V2, BORDER) + 2 * space_map(0, 2, SEALED) + space_map(0, 2, LOOSE) +
    space_map(1, 1, HERE) + 2 * space_map(4, 2, PROCESS) + space_map(4, 2, PROCESS, 0, 1),
    'many-offsets': how() + b''.join(space_map(i, 1, 2 + i % 2, 7 - i % 8) for i in range(32)) +
    copy(1, 3, 0, 12000) + spans(6, 8, 0, 4096) + copy(0, 3, 0, 12000),
    'spans': how() + FIVE + spans(3, 0, 0, 8192) + spans(6, 4, 100, 8000, 1) + spans(0, 4, 3, 100) +
    spans(1, 0, 3, 12000) + spans(2, 4, 0, 8192, 2, 1) + rare(CLEAR),
    'cut-off': how() + space_map(0, 4, LOOSE, 2) + space_map(4, 2, HERE) + rare(CUT, 4) +
    copy(1, 0, 9, 12000) + copy(0, 1, 0, 8192, 1) + space_map(8, 3, LOOSE, 2) +
    copy(1, 3, 0, 5000) + rare(CUT, 8) + space_map(8, 3, LOOSE, 4) + copy(0, 0, 0, 12000) +
    copy(1, 8, 0, 12000),
    'limits': how() + rare(LIMIT, 2, 7) + FIVE + space_unmap(0, 2) + space_map(9, 1, 0) +
    rare(LIMIT, 32, 0) + space_map(11, 1, 0),
    'allowed': how(IOMMUFD, TOP) + rare(ALLOW, 2, 0, 3, 8, 31) + FIVE + space_map(29, 3, 0) +
    rare(ALLOW, 1, 8, 9) + rare(ALLOW, 2, 8, 9, 9, 10) + rare(ALLOW, 0) + space_map(5, 2, 0),
    'gate': how() + FIVE + rare(CLOSE) + copy(0, 0, 0, 9) + spans(1, 0, 0, 9) +
    copy(1, 2, 0, 9, 1) + rare(OPEN) + copy(0, 0, 0, 9) + rare(FORGET),
    'dirty': how(V2, TOP) + FIVE + rare(TRACK, 0) + copy(1, 1, 4000, 200) + spans(1, 4, 100, 5000) +
    rare(TAKE, 5, 31, 0) + rare(TRACK, 1) + copy(1, 0, 0, 9000, 1) + rare(TAKE, 0, 9, 0) +
    rare(TRACK, 4) + rare(DIRTY) + struct.pack('<HBH', 768, 5, 9000) + rare(TAKE, 0, 1, 0) +
    rare(TAKE, 0, 1, 0) + space_unmap(0, 2) + rare(TAKE, 0, 39, 0) + rare(TRACK, 9) +
    rare(TRACK, 16),
    'renewed': how(V2, MIDDLE) + FIVE + rare(RETIRE, 0) + copy(1, 0, 0, 8192) + spans(1, 0, 0, 9) +
    rare(RENEW, *space_map(0, 2, SEALED, 3, 1)[1:]) + spans(1, 0, 0, 9) + copy(1, 0, 5, 8000) +
    rare(RETIRE, 1) + rare(RETIRE, 4) + rare(RENEW, *space_map(4, 2, LOOSE, 7)[1:]) +
    rare(RENEW, *space_map(4, 1, LOOSE)[1:]) + copy(0, 4, 0, 8192),
}

def opened(maps=12, pages=40, first=None, last=47, bits=None):
    """A device: its limits, the pages that it allows, the bits that it drives."""
    kind = (first is not None) | (0 if bits is None else 2 | (bits - 15) << 2)
    said = b'' if first is None else bytes([first, last - first])
    return bytes([kind, maps - 1, pages - 1]) + said


ANYWHERE, WITH_FD = 8, 4


def all_map(who, first, pages, page=0, prot=3, more=0):
    return bytes([0, who, first, pages, page, prot | more])


def all_unmap(who, first, pages):
    return bytes([6, who, first, pages])


def attach_to(space, device):
    return bytes([10 | device << 4 | space << 6])


def detach(device):
    return bytes([13 | device << 4])


ATTACHED = b''.join(attach_to(0, n) for n in range(4))
ALIKE = 4 * opened()
SPACES = {
    'one-set': b'\0' + ALIKE + all_map(0, 1, 3) + ATTACHED + all_map(0, 8, 2, 4, 1) +
    all_map(3, 20, 1, 9, 3, WITH_FD) + all_map(4, 0, 5, 7, 3, ANYWHERE) + all_unmap(2, 1, 3) +
    detach(1) + all_map(3, 0, 2, 0, 2, ANYWHERE) + attach_to(0, 1) + all_unmap(0, 0, 49),
    'third-refuses': b'\1' + opened() + opened() + opened(3, 4) + opened() + ATTACHED +
    all_map(0, 0, 2) + all_map(0, 4, 2) + all_map(0, 8, 1) + all_unmap(0, 4, 2) + all_map(0, 8, 1) +
    all_map(1, 9, 1) + all_map(1, 10, 1) + bytes([14 | 2 << 4, 11, 39]) + all_map(1, 10, 1),
    'attach-refused': b'\0' + opened(2) + opened(12, 3) + opened(12, 40, 2, 9) +
    opened(12, 40, None, 0, 16) + all_map(0, 1, 1) + all_map(0, 5, 2) + all_map(0, 20, 2) +
    ATTACHED + all_unmap(0, 20, 2) + ATTACHED + all_unmap(0, 1, 1) + ATTACHED,
    'chosen-for-all': b'\1' + opened(12, 40, 18, 40) + opened(12, 40, 0, 30) +
    opened(12, 40, None, 0, 17) + opened() + ATTACHED +
    6 * all_map(0, 0, 3, 0, 3, ANYWHERE) + all_unmap(0, 18, 3) + all_map(5, 0, 2, 8, 1, ANYWHERE),
    'by-handle': b'\0' + ALIKE + ATTACHED + all_map(0, 3, 4, 2) + bytes([8, 0, 4, 1, 8, 0, 3, 0]) +
    bytes([8, 3, 3, 1]) + all_map(0, 3, 4, 2) + all_map(0, 30, 2, 5) +
    bytes([9, 1, 5, 1, 9, 1, 2, 0]),
    'spaces-go': b'\1' + ALIKE + attach_to(0, 0) + attach_to(0, 1) + attach_to(1, 2) +
    attach_to(1, 0) + all_map(0, 1, 2, 0, 3, WITH_FD) + all_map(1, 1, 3) + all_map(5, 1, 1) +
    attach_to(0, 3) + b'\x8f' + all_map(2, 4, 1) + attach_to(0, 0) + b'\x2f' + opened(1) +
    attach_to(1, 2) + b'\xcf',
}


def number(op, at):
    return struct.pack('<BH', op, at)


def many(coming, at, stride, n, size=1):
    return number(2 if coming else 3, 0) + struct.pack('<HHBB', at, stride - 1, n // 4, size - 1)


def gap(low, high, size, align=0, lowest=0):
    return number(5, 0) + struct.pack('<HHBB', low, high - low, size - 1, align | lowest << 3)


def walk(first, last, every=0):
    return number(6 | every << 3, last) + struct.pack('<H', first)


LOOKS = b''.join(number(4, at) for at in (0, 1, 63, 64, 700, 2047, 4094, 4095))
RANGE_MAP = {
    'up-and-down': b'\0' + many(1, 0, 4, 1000) + LOOKS + gap(0, 4095, 4) + many(0, 0, 4, 1000) +
    LOOKS,
    'down-and-up': b'\1' + many(1, 4095, 511, 1000, 4) + LOOKS + walk(0, 4095) + gap(7, 4000, 1) +
    many(0, 4095, 512, 1000) + gap(0, 4095, 30, 5),
    'shuffled': b'\2' + 4 * many(1, 17, 389, 1000, 2) + walk(5, 4000, 3) + LOOKS + gap(0, 4095, 3) +
    gap(0, 4095, 3, 2, 1) + many(0, 17, 211, 1000) + LOOKS + number(15, 0) + walk(0, 4095, 1),
    'full-line': b'\1' + many(1, 0, 1, 1020) * 4 + gap(0, 4095, 1) + number(1, 4095) +
    gap(0, 4095, 1, 0, 1) + LOOKS + number(7, 9) + number(0xff, 0) + LOOKS,
}

# ---- dumps -----------------------------------------------------------------------------------

def header(bars):
    """64 bytes of a card with these BARs."""
    bars = b''.join(bars.get(n, 0).to_bytes(4, 'little') for n in range(6))
    return b'\x86\x80\xd3\x10' + bytes(12) + bars + bytes(24)


def hexadecimal(data, end='\n'):
    return ''.join(f'{at:02x}: {data[at:at + 16].hex(" ")}{end}' for at in range(0, len(data), 16))


CARD = header({0: 0xfddc0000, 2: 0xe141, 4: 0xfeb0000c, 5: 1})
DUMPS = {
    'raw': CARD,
    'raw-short': CARD[:63],
    'numbered': ('0000:00:02.0 Ethernet controller: Intel\n\tSubsystem: Intel\n'
                 '\tRegion 0: Memory at fddc0000 (32-bit, non-prefetchable) [size=128K]\n'
                 '\tRegion 2: I/O ports at e140 [disabled] [size=32]\n'
                 '\tRegion 4: Memory at 1feb00000 (64-bit, prefetchable) [size=16K]\n'
                 '\tExpansion ROM at fdd00000 [disabled] [size=256K]\n'
                 '\tCapabilities: [50] SR-IOV\n\t\tRegion 0: Memory at 0 (64-bit)\n' +
                 hexadecimal(CARD) + '\n').encode(),
    'placed': ('00:02.0 Ethernet controller: Intel\n\tFlags: fast devsel\n'
               '\tMemory at fddc0000 (32-bit, non-prefetchable) [size=128K]\n'
               '\tI/O ports at e140 [size=32]\n'
               '\t[virtual] Memory at 1feb00000 (64-bit, prefetchable) [size=16K]\n'
               '\tMemory at <unassigned> (32-bit, non-prefetchable) [disabled]\n' +
               hexadecimal(CARD)).encode(),
    'several': ('00:02.0 a\r\n' + hexadecimal(CARD[:16], '\r\n') + '10000:e1:1f.7 b\n' +
                hexadecimal(CARD[:32]) + '\n').encode(),
    'nonsense': b'00:02.0 a\n00: 00 0g\n',
    'unfinished': b'00:02.0 a\n\tRegion 0: Memory at fddc0000 (64-bit [size=99999999999T]\n'
                  b'\tRegion 9: \n\tRegion \n00: 0',
    'offset': b'00:02.0 a\n10: 00\n',
}

CORPORA = {
    'config': CONFIG_SCRIPTS, 'decode': DECODE, 'dump': DUMPS, 'function': FUNCTION,
    'hardware': seeds_hardware.HARDWARE, 'link': LINK, 'machine': seeds_hardware.MACHINE,
    'nvme_device': seeds_nvme.DEVICE, 'nvme_driver': seeds_nvme.DRIVER, 'range_map': RANGE_MAP,
    'server': SERVER, 'space': SPACE, 'spaces': SPACES, 'version': VERSIONS,
}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for target, seeds in CORPORA.items():
        folder = os.path.join(sys.argv[1], target)
        os.makedirs(folder, exist_ok=True)
        for name, data in seeds.items():
            with open(os.path.join(folder, name), 'wb') as f:
                f.write(data)


if __name__ == '__main__':
    main()
