# SPDX-License-Identifier: MIT
"""Seeds of both ends of NVMe: programs for fuzz/nvme_device.c and fuzz/nvme_driver.c."""
import struct

# ---- NVMe: the device's driver -------------------------------------------------------------

FLUSH, WRITE, READ, COMPARE, ZEROES, DSM = range(6)
DELETE_SQ, CREATE_SQ, GET_LOG, DELETE_CQ, CREATE_CQ, IDENTIFY, ABORT, SET_FEATURE, GET_FEATURE, \
    ASYNC, DOORBELLS, FORMAT = range(12)
CC, AQA, ASQ, ACQ, INTMS, INTMC = range(6)
RING, POLLS, DIRECT = 1, 2, 4
ALONE, KEPT, WAIT = 0x80, 0x40, 0x20
IN_PLACE, BY_PEER, READ_ONLY, WRITE_ONLY, CUT_OFF, BEHIND, LAST = 0, 8, 12, 14, 16, 22, 0x60
DATA = 0x40


def address(page, at=0):
    """at: a multiple of 32 below 4096, or one of the last 128 bytes."""
    return bytes([page, at // 32 if at % 32 == 0 and at < 4096 else at - 4096 + 0x100])


def nvme(step, data=b'', turns=None):
    return bytes([step]) + data if turns is None else bytes([step | 0x80, turns]) + data


def up(entries=16, queue=True, shadow=False):
    return nvme(10, bytes([min(entries, 64) - 2 | 0x80 * queue | 0x40 * shadow]))


def queue(number, entries):
    return nvme(12, bytes([number - 1 | (entries - 2) // 4 << 3]))


def body(opcode, nsid=0, prp1=(DATA, 0), prp2=(DATA + 1, 0), dwords=(), sgl=None, cid=1, flags=0):
    flags |= 0x40 if sgl else 0
    mask = sum(1 << n for n, _ in enumerate(dwords))
    out = bytes([opcode, flags, cid]) + (b'\xff' if nsid == -1 else bytes([nsid])) + bytes([mask])
    out += address(*prp1)
    out += struct.pack('<HB', *sgl) if sgl else address(*prp2)
    return out + b''.join(struct.pack('<I', d) for d in dwords)


def send(q, *args, how=0, turns=None, **more):
    return nvme(14, bytes([q | how]) + body(*args, **more), turns)


def io(opcode, nsid, lba, blocks, offset=0, how=5, more=0):
    return nvme(15, bytes([opcode | (nsid - 1) << 2 | more, lba, blocks - 1, offset // 4, how]))


def prps(where, *entries):
    return nvme(7, address(*where) + bytes([len(entries) - 1]) +
                b''.join(address(*e) for e in entries))


def sgls(where, *entries):
    return nvme(7, address(*where) + bytes([len(entries) - 1 | 0x80]) +
                b''.join(address(*at) + struct.pack('<HB', n, kind) for at, n, kind in entries))


def put_at(where, q, *args, **more):
    return nvme(8, address(*where) + bytes([0x80 if q else 0x81]) + body(*args, **more))


def ranges(where, *entries):
    return nvme(7, address(*where) + bytes([len(entries) - 1 | 0x40]) + b''.join(
        bytes([n, lba]) for lba, n in entries))


def unmap(place):
    return nvme(6, bytes([place]))


def remap(place):
    return nvme(6, bytes([place | 0x80]))


def settle(meanwhile=b''):
    """meanwhile: steps while the device asks for memory, as many as meanwhile() said."""
    return b'\x82\xc0' + meanwhile + b'\x1c\0\4'


def meanwhile(n):
    return nvme(9, bytes([3 | n << 2]))


def bell(index, value, how=0):
    return nvme(13, bytes([index | how]) + struct.pack('<H', value))


def bad_up(asq, acq, entries=16):
    return MASTER_1 + nvme(11, address(*asq) + address(*acq) + bytes([entries - 1] * 2))


def rw(nsid, blocks=1, lba=0, where=(DATA, 0), **more):
    return send(1, WRITE, nsid, where, dwords=(lba, 0, blocks - 1), **more) + \
        send(1, READ, nsid, where, dwords=(lba, 0, blocks - 1), **more)


def make_cq(qid, where, entries=16, flags=1):
    return CREATE_CQ, 0, where, (0, 0), (entries - 1 << 16 | qid, flags)


def make_sq(qid, where, entries=16, cq=None):
    return CREATE_SQ, 0, where, (0, 0), (entries - 1 << 16 | qid, (cq or qid) << 16 | 1)


SETTLE = settle()
RESET = b'\4'
MASTER_0, MASTER_1 = nvme(3, b'\0'), nvme(3, b'\1')
ROUND = b''.join(io(op, ns, lba, n, offset, how)
                 for ns, lba, n in ((1, 3, 9), (2, 1, 5), (3, 8, 20), (4, 24, 8))
                 for op, offset, how in ((0, 256, 7), (1, 512, 7), (2, 256, 0x85), (3, 0, 1)))
FEATURES = b''.join(
    send(0, SET_FEATURE, 0, dwords=(n, v)) + send(0, GET_FEATURE, 1, dwords=(n | s,))
    for n, v, s in ((1, 3, 0), (2, 0x20, 256), (4, 0x100, 512), (5, 7, 0),
                                    (6, 0, 0), (7, 0x50005, 768), (8, 1, 0), (9, 0x10001, 0),
                                    (10, 1, 0), (11, 0x13f, 0), (14, 0, 0)))
LOGS = b''.join(send(0, GET_LOG, -1, dwords=(0x7f0000 | n,)) for n in range(1, 7))
# So many that wait for each other are not done in one turn.
CHAIN = 30 * (send(1, ZEROES, 3, dwords=(0, 0, 31)) +
              send(1, READ, 3, (IN_PLACE + 2, 0), dwords=(0,))) + nvme(2, b'\0\0\0', 1)
ASKED = ((SET_FEATURE, 0, (14,)), (GET_LOG, 0, (0x7f0001,)), (IDENTIFY, 0, (1,)))
DEVICE = {
    'honest-sync': bytes([0]) + up() + ROUND, 'honest-ring': bytes([RING]) + up() + ROUND,
    'honest-beyond': b'\0' + up() + b''.join(
        io(op, ns, lba, n) for ns, lba, n in ((1, 120, 9), (1, 120, 8), (2, 15, 2), (3, 129, 1))
        for op in (0, 1, 3)),
    'honest-direct': bytes([RING | DIRECT]) + up() + io(0, 3, 0, 8, 4) + io(1, 3, 0, 8, 4) +
    io(2, 3, 1, 2, 512), 'honest-shadow': bytes([RING]) + up(8, True, True) + ROUND,
    'polls': bytes([RING | POLLS]) + up() + rw(3, 8) + rw(1, 16) + SETTLE,
    'features': b'\0' + up(32) + FEATURES + SETTLE + send(0, SET_FEATURE, 1, dwords=(0x80000001,)) +
    send(0, SET_FEATURE, 1, dwords=(5, 9)) + send(0, SET_FEATURE, 1, dwords=(1, 9)) +
    send(0, GET_FEATURE, dwords=(7,)) + send(0, GET_FEATURE, dwords=(99,)) + SETTLE + up(9, False) +
    send(0, SET_FEATURE, dwords=(7, 0x30003)) + send(0, SET_FEATURE, dwords=(7, 0xffff)) +
    send(0, SET_FEATURE, -1, dwords=(5, 0x10000)) + SETTLE,
    'logs': b'\0' + up(32) + LOGS + send(0, GET_LOG, 0, dwords=(0x8001, 0, 64)) + SETTLE,
    'identify': b'\0' + up() + b''.join(send(0, IDENTIFY, ns, dwords=(cns,), turns=0x80)
                                        for cns in range(5) for ns in (0, 2, -1)),
    'events': b'\0' + up(16) + send(0, SET_FEATURE, dwords=(11, 0x13f)) +
    3 * send(0, ASYNC) + send(0, ASYNC, cid=3, turns=0x80) +
    send(0, SET_FEATURE, dwords=(4, 0x10), turns=0x80) + send(0, GET_LOG, dwords=(0x7f0002,)) +
    send(0, FORMAT, 1, dwords=(1,)) + send(0, ABORT, dwords=(0x02030000,)) + SETTLE +
    12 * send(0, ASYNC) + SETTLE + bell(0, 99) + SETTLE + bell(2, 77) + bell(3, 9) + SETTLE,
    'format': bytes([RING]) + up() + io(0, 1, 0, 9) + b''.join(
        send(0, FORMAT, ns, dwords=(what,), how=ALONE)
        for ns, what in ((1, 0x201), (2, 0), (3, 0x200), (4, 0), (3, 0x41), (-1, 1))) + ROUND,
    'trim': b''.join(bytes([how]) + up() + nvme(8, address(DATA) + b'\1') + ranges(
        (IN_PLACE, 0), (3, 9), (40, 0), (8, 7)) + b''.join(
            send(1, DSM, ns, (where, 0), dwords=(n, 4), how=ALONE)
            for ns in (1, 3, 4) for where, n in ((IN_PLACE, 1), (31, 0), (DATA, 255)))
        for how in (0,)) + rw(3, 16, turns=0x80),
    'prp-lists': b'\0' + up() + prps((IN_PLACE, 0), (DATA + 1, 0), (DATA + 2, 0), (BY_PEER, 0)) +
    send(1, WRITE, 2, (DATA, 0), (IN_PLACE, 0), (0, 0, 3), how=ALONE) +
    send(1, READ, 2, (DATA, 64), (IN_PLACE, 0), (0, 0, 3), how=ALONE) +
    prps((IN_PLACE, 4088), (IN_PLACE + 1, 0)) + prps((IN_PLACE + 1, 0), (1, 32), (2, 0)) +
    send(1, WRITE, 2, (DATA, 0), (IN_PLACE, 4088), (0, 0, 3), how=ALONE) +
    send(1, WRITE, 2, (DATA, 0), (IN_PLACE, 4089), (0, 0, 3), how=ALONE),
    'sgls': b'\0' + up() + sgls((BY_PEER, 0), ((DATA, 0), 4096, 0), ((BY_PEER, 0), 512, 0),
                                ((IN_PLACE, 0), 32, 0x30)) +
    sgls((IN_PLACE, 0), ((READ_ONLY, 0), 4096, 0), ((BEHIND, 0), 9000, 0)) +
    b''.join(send(1, op, ns, (BY_PEER, 0), sgl=(48, 0x20), dwords=(0, 0, n), how=ALONE)
             for op in (WRITE, READ) for ns, n in ((1, 8), (2, 2), (3, 20))) +
    send(1, WRITE, 1, (DATA, 0), sgl=(512, 0x10), dwords=(0,), how=ALONE) +
    send(1, WRITE, 1, (DATA, 0), sgl=(99, 0), dwords=(0,), how=ALONE) +
    send(1, WRITE, 1, (DATA, 0), sgl=(48, 0x30), dwords=(0,), how=ALONE),
    'everywhere': bytes([RING]) + up(64) + b''.join(
        send(1, op, ns, (page, at), (page + 1, 0), (0, 0, n), how=ALONE)
        for op in (WRITE, READ) for ns, n in ((1, 9), (3, 9))
        for page, at in ((7, 0), (11, 512), (15, 4092), (19, 32), (LAST, 0))),
    'by-peer': bytes([RING]) + up() + rw(1, 8, where=(BY_PEER, 0)) + rw(3, 8, where=(BY_PEER, 0)) +
    send(1, COMPARE, 3, (BY_PEER, 0), dwords=(0, 0, 7)) + SETTLE + nvme(9, b'\x83') +
    rw(3, 8, where=(BY_PEER, 0)) + SETTLE,
    'reset-while-asked': bytes([RING]) + up() + nvme(9, b'\x07') +
    send(1, READ, 3, (BY_PEER, 0), dwords=(0, 0, 7)) + SETTLE + b'\4' + up() + nvme(9, b'\7') +
    send(1, WRITE, 1, (BY_PEER, 0), dwords=(0, 0, 7)) + SETTLE + b'\4',
    'queues-by-peer': bytes([RING]) + bad_up((BY_PEER, 0), (BY_PEER + 1, 0)) +
    put_at((BY_PEER, 0), 0, IDENTIFY, dwords=(1,)) +
    put_at((BY_PEER, 64), 0, *make_cq(1, (BY_PEER + 2, 0))) +
    put_at((BY_PEER, 128), 0, *make_sq(1, (BY_PEER + 3, 0))) + bell(0, 3) + SETTLE +
    put_at((BY_PEER + 3, 0), 1, READ, 3, dwords=(0, 0, 7)) +
    put_at((BY_PEER + 3, 64), 1, WRITE, 1, dwords=(0, 0, 7)) + bell(2, 2) + SETTLE,
    'queues-in-place': bytes([POLLS]) + bad_up((IN_PLACE, 0), (IN_PLACE + 1, 0), 64) +
    put_at((IN_PLACE, 0), 0, *make_cq(2, (IN_PLACE + 2, 0), 9, 3)) +
    put_at((IN_PLACE, 64), 0, *make_sq(2, (IN_PLACE + 3, 0))) +
    put_at((IN_PLACE, 128), 0, *make_sq(3, (IN_PLACE + 2, 0), 3, 2)) +
    put_at((IN_PLACE, 192), 0, DOORBELLS, 0, (IN_PLACE + 4, 0), (IN_PLACE + 5, 0)) +
    put_at((IN_PLACE, 256), 0, DELETE_CQ, dwords=(2,)) + put_at((IN_PLACE, 320), 0, DELETE_SQ,
                                                               dwords=(3,)) +
    put_at((IN_PLACE, 384), 0, DELETE_SQ, dwords=(2,)) +
    put_at((IN_PLACE, 448), 0, DELETE_CQ, dwords=(2,)) + bell(0, 4, 0x20) +
    nvme(2, b'\0\0\4', WAIT) +
    nvme(8, address(IN_PLACE + 4) + b'\1') + bell(4, 1, 0x40) + SETTLE + bell(0, 8) + SETTLE,
    'queues-that-go': b'\0' + bad_up((BEHIND, 0), (BEHIND + 1, 0)) + unmap(6) +
    bell(0, 1) + SETTLE +
    bad_up((IN_PLACE, 0), (READ_ONLY, 0)) + bell(0, 1) + SETTLE + bad_up((31, 0), (0, 0)) +
    bell(0, 1) + SETTLE + bad_up((CUT_OFF, 0), (CUT_OFF + 1, 0)) + bell(0, 2) + SETTLE,
    'shadow-that-goes': b'\0' + up() +
    send(0, DOORBELLS, 0, (BEHIND, 0), (BEHIND + 1, 0)) + SETTLE +
    rw(1) + bell(2, 1) + SETTLE + unmap(6) + bell(2, 2) + SETTLE + up() +
    send(0, DOORBELLS, 0, (BY_PEER, 0), (IN_PLACE, 0)) + SETTLE,
    'unmapped-in-the-middle': bytes([RING]) + up() + nvme(12, b'\x3d') + b''.join(
        rw(3, 8, 8 * n, where=(page, 0)) for n, page in enumerate((0, 2, 4, 22, 6, 8))) +
    unmap(0) + unmap(6) + SETTLE,
    'overlapping': bytes([RING]) + up(64) + 4 * (rw(3, 20) + rw(3, 9, 5) + send(
        1, ZEROES, 3, dwords=(3, 0, 9)) + send(1, FLUSH, 3) + send(
            1, DSM, 3, (IN_PLACE, 0), dwords=(3, 4)) + send(
                1, ZEROES, 3, dwords=(3, 0, 0x02000009))) + SETTLE,
    'small-queues': bytes([RING]) + up(2) + queue(2, 2) + rw(3, 8) + rw(1) + send(0, ASYNC) +
    2 * send(2, FLUSH, 3) + SETTLE,
    'interrupts': bytes([RING]) + nvme(5, b'\x72') + up() + rw(1) + SETTLE + nvme(5, b'\x08') +
    nvme(5, b'\x00') + rw(1) + SETTLE + nvme(1, bytes([INTMS]) + b'\1\0\0\0') + rw(1) + SETTLE +
    nvme(1, bytes([INTMC]) + b'\1\0\0\0') + nvme(5, b'\x0c') + rw(1) + SETTLE + nvme(5, b'\x71'),
    'shutdown': bytes([RING]) + up() + rw(3, 8) +
    nvme(1, bytes([CC]) + b'\x01\x40\x46\0') + SETTLE +
    nvme(1, bytes([CC]) + b'\x00\x00\x46\0') + up() + rw(3, 8) + b'\4' + nvme(3, b'\5') + up(),
    'bad-registers': b'\0' + b''.join(nvme(1, bytes([n]) + v) for n, v in (
        (AQA, b'\0\0\0\0'), (CC, b'\1\0\0\0'), (CC, b'\0\0\0\0'), (AQA, b'\xff' * 4),
        (CC, b'\x11\0\0\0'), (CC, b'\0\0\0\0'), (CC, b'\x01\x40\x46\0'), (6, b'\2\0\0\0'))) +
    nvme(0, struct.pack('<BHQ', 3, 0, 1 << 63)) + nvme(0, struct.pack('<BHQ', 3, 0x28, 1)) +
    nvme(0, struct.pack('<BHQ', 0, 0x14, 1)),
    'no-master': bytes([RING]) + up() + MASTER_0 + rw(1) + SETTLE + MASTER_1 + SETTLE + rw(3, 8) +
    MASTER_0 + unmap(0) + MASTER_1 + SETTLE + nvme(3, b'\7') + nvme(3, b'\6') + up() + rw(1),
    'files-fail': bytes([RING]) + up() + nvme(9, b'\x11') + rw(3, 64) + SETTLE + nvme(9, b'\6') +
    rw(3, 64) + send(1, ZEROES, 3, dwords=(0, 0, 9)) + send(1, DSM, 3, dwords=(0, 4)) +
    send(0, FORMAT, 3, dwords=(0x200,)) + SETTLE + nvme(9, b'\x91') + rw(4, 64) + SETTLE,
    'no-power': bytes([RING]) + up(16, False) + send(0, IDENTIFY, dwords=(1,), how=KEPT) +
    nvme(2, b'\0\0\0', KEPT) + nvme(3, b'\7') + SETTLE,
    'in-flight': b'\1' + b''.join(up(64) + CHAIN + end for end in (
        b'\4', unmap(0), nvme(1, bytes([CC]) + b'\0\0\x46\0'), b'\x10', nvme(3, b'\5'),
        send(0, FORMAT, 3, dwords=(0x200,)) + SETTLE,
        send(0, DELETE_SQ, dwords=(1,)) + send(0, DELETE_CQ, dwords=(1,)) + SETTLE,
        send(0, SET_FEATURE, dwords=(6, 0)) + SETTLE)),
    'narrow': bytes([RING]) + up(16) + queue(6, 32) + send(6, FLUSH, 1, how=24) +
    send(6, READ, 3, dwords=(0, 0, 7), how=24) + SETTLE +
    send(6, WRITE, 1, dwords=(0, 0, 0), how=24) + SETTLE,
    'no-master-in-flight': bytes([RING]) + up(64) + CHAIN + MASTER_0 + SETTLE,
    'master-again-in-flight': bytes([RING]) + up(64) + CHAIN + MASTER_0 +
    3 * nvme(2, b'\0\0\0', WAIT) + MASTER_1 + SETTLE,
    'reset-while-asked-by-admin': b'\1' + b''.join(
        up() + meanwhile(1) + send(0, what, ns, (BY_PEER, 0), dwords=dwords) + settle(RESET)
        for what, ns, dwords in ASKED) + up() + prps((BY_PEER, 0), (IN_PLACE, 0), (IN_PLACE, 0)) +
    meanwhile(1) + send(1, READ, 2, (DATA, 0), (BY_PEER, 0), (0, 0, 2)) + settle(RESET) + b''.join(
        up(64) + send(1, ZEROES, 3, dwords=(0, 0, 31), how=32) + send(
            1, READ, 3, (BY_PEER, 0), dwords=(0,)) + nvme(2, b'\0\0\0', 1) + meanwhile(1) +
        what + settle(RESET) for what in (
            send(0, DELETE_SQ, dwords=(1,)), send(0, FORMAT, 3, dwords=(0x200,)),
            send(0, SET_FEATURE, dwords=(6, 0)))),
    'reset-while-answering': b'\1' + 2 * (bad_up((IN_PLACE, 0), (BY_PEER + 1, 0)) + put_at(
        (IN_PLACE, 0), 0, SET_FEATURE, dwords=(1, 1)) + meanwhile(1) + bell(0, 1) + settle(RESET)),
    'shadow-that-returns': b'\0' + up() +
    send(0, DOORBELLS, 0, (BEHIND, 0), (BEHIND + 1, 0)) + SETTLE + unmap(6) + remap(6) +
    bell(2, 1) + SETTLE + put_at((BEHIND, 0), 1, FLUSH) + bell(0, 0, 0x40) + SETTLE,
    'too-many': b'\1' + up(64) + b''.join(queue(n, 62) for n in (2, 3, 4, 5)) + b''.join(
        send(n, ZEROES, 3, dwords=(0, 0, 31), how=48) for n in (1, 2, 3, 4, 5)) + send(
            1, DSM, 3, (IN_PLACE, 0), dwords=(0, 4)) + SETTLE,
    'changed': b'\0' + up() + send(0, SET_FEATURE, dwords=(11, 0x100)) + send(0, ASYNC) +
    send(0, FORMAT, 1, dwords=(1,)) + send(0, GET_LOG, dwords=(0x7f0004,)) + send(
        1, FLUSH, 9, flags=1) + SETTLE + send(1, READ, 1, dwords=(0, 0, 0xffff)) + SETTLE,
    'recycled': bytes([RING]) + up() + rw(3, 64) + b'\x10' + up() + rw(3, 64) + b'\x10',
}

# ---- NVMe: the driver's controller ---------------------------------------------------------

MAPS, SLEEPS, MSIX, MSI, PIN, OTHER = 1, 2, 4, 8, 16, 32
IO, SUBMIT, MANY, BELL, POLL, AWAIT, PAIR, ADMIN, LOOK, AGAIN, EVENT, LIES, AROUND = range(13)


def driver(*steps, how=3, controller=MSIX, more=0):
    """Where doorbells are not mapped, the controller works, and lies, as soon as they are rung."""
    return bytes([how, controller, more]) + b''.join(bytes(s) for s in steps)


def read_many(n, user=0):
    return [MANY, user, 0, n, BELL, user, AWAIT, user, 79, POLL, user, 79]


def lie_next(n, *lies):
    return [LIES, 0, len(lies), MANY, 0, 0, n, BELL, 0] + [b for lie in lies for b in lie] + \
        [POLL, 0, 79, POLL, 0, 79]


def lie_early(answer, *lies, then=()):
    """Of the answers from the one of that number on, while it is brought up."""
    return driver([b for lie in lies for b in lie], then, more=answer - 1 << 4 | len(lies) << 2)


HONEST, NONE, LATER, TWICE, NOT_THERE = [0], [1], [2], [5], [6]
FAIL, OTHER_STATUS, WRONG_CID, NO_CID = [3, 4, 0], [3, 0xff, 0xff], [4, 3, 0], [4, 99, 0]
RESULT_0 = [7, 0, 0, 0, 0]
NEW, OTHERS = [PAIR, 0, 33], [PAIR, 1, 2, PAIR, 2, 79, PAIR, 3, 0]
USUAL = [IO, 0, 0, 0, 5, 8, 0, IO, 0, 0, 1, 5, 15, 9, IO, 0, 0, 2, 0, 0, 0, IO, 0, 0, 7, 9, 0, 15,
         BELL, 0, AWAIT, 0, 15]
PIECES_3 = [SUBMIT, 0, 2, 0, 3, 0x81, 0, 0x81, 1, 8, 3, BELL, 0, AWAIT, 0, 15]
LOST = [AROUND, 0xff]
NAP, SPACE_0, SPACE_1 = [AROUND, 1], [AROUND, 0], [AROUND, 0x18]
DRIVER = {
    f'bring-up-{how:02x}-{what:02x}': driver(
        NEW, OTHERS, USUAL, PIECES_3, read_many(40), [AROUND, 2], how=how, controller=what)
    for how, what in ((3, MAPS | MSIX), (3, MAPS | SLEEPS | MSI), (0x87, MAPS | PIN),
                      (0x43, MSIX), (0xe3, 0), (3, MSI | 0x80), (3, OTHER))
}
DRIVER.update({
    'capabilities': driver(controller=MAPS | 0x40) + struct.pack('<Q', 0x20010003ff) +
    bytes(NEW + USUAL),
    'small': driver(controller=0x40) + struct.pack('<Q', 0x2000010003) +
    bytes(NEW + [PAIR, 1, 4] + USUAL),
    'no-queue': driver(controller=0x40) + struct.pack('<Q', 0x2000010000),
    **{f'registers-lie-{n}': driver([kind, *range(9, 17)], more=n << 4 | 3)
       for n, kind in ((0, 1), (0, 2), (1, 3), (2, 4), (5, 1), (3, 0x43), (4, 5))},
    'identify-longer': lie_early(1, [1, 0x4d, 0, 9, 0], then=NEW + USUAL),
    'identify-shorter': lie_early(1, [2, 0x4d, 0, 1, 0x18, 2, 0, 0], then=NEW + USUAL + PIECES_3),
    'identify-entries': lie_early(1, [1, 0, 2, 0x77, 0]),
    'identify-fails': lie_early(1, [0, *FAIL]), 'identify-never': lie_early(1, [0, *NONE]),
    'list-refused': lie_early(2, [0, *FAIL], then=NEW + USUAL),
    'list-descends': lie_early(2, [1, 4, 0, 1, 0]),
    'namespace-refused': lie_early(3, [0, *FAIL], [1, 0x82, 0, 3, 0], [1, 7, 0, 0xff, 0],
                                   then=NEW + USUAL),
    'namespaces-odd': lie_early(3, [1, 0x82, 0, 16, 0], [3, 0, 0, 0, 1, 0, 0, 2, 0, 9, 0],
                                [2, 0, 0, 0, 1, 0, 0, 0], then=NEW + USUAL),
    'queues-refused': lie_early(6, FAIL),
    'one-queue': lie_early(6, RESULT_0, then=NEW + OTHERS + USUAL),
    'buffers-refused': lie_early(7, FAIL, then=NEW + USUAL),
    'events-refused': lie_early(8, FAIL, then=NEW + USUAL),
    'wrong-cid': driver(NEW, lie_next(4, WRONG_CID, HONEST, NO_CID), [LOOK], [AGAIN], USUAL),
    'twice': driver(NEW, lie_next(4, HONEST, TWICE), [POLL, 0, 9, LOOK], [AGAIN], USUAL),
    'status': driver(NEW, lie_next(6, FAIL, OTHER_STATUS, NOT_THERE), [LOOK]),
    'late': driver(NEW, lie_next(6, LATER, LATER, NONE), [LIES, 2, 0], [POLL, 0, 79]),
    'time-out': driver(NEW, lie_next(3, NONE, NONE), [LOOK], NAP, [LOOK], NAP, [LOOK], NAP,
                       [LOOK], [AGAIN], USUAL),
    'admin-time-out': driver(NEW, [LIES, 0, 1, ADMIN, 6, 0, 0, 1, *NONE], USUAL, [AGAIN], USUAL),
    'admin': driver([ADMIN, 2, 0, 2, 0x84], [ADMIN, 2, 0, 0x12, 0x88], [ADMIN, 9, 1, 0, 0x40],
                    [ADMIN, 9, 1, 0, 0x50], [LIES, 0, 1, ADMIN, 7, 1, 0, 16, *FAIL],
                    [LIES, 0, 1, ADMIN, 7, 1, 0, 0, *NO_CID], [AGAIN]),
    'events': driver([EVENT, 0x82], [EVENT, 0x81], [EVENT, 0], [EVENT, 0xc3], [EVENT, 1]),
    'fatal': driver(NEW, [MANY, 0, 0, 9, BELL, 0], [LIES, 4, 0, LOOK], USUAL, [AGAIN], USUAL,
                    [LIES, 7, 0, LOOK], [ADMIN, 9, 0, 0, 0, EVENT, 0]),
    'gone': driver(NEW, [MANY, 0, 0, 9], [LIES, 5, 1, LOOK], [AGAIN], [LIES, 5, 0, AGAIN], USUAL),
    **{f'lost-{n}': driver(NEW, [MANY, 0, 0, 9], [BELL, 0], LOST, what, USUAL, [POLL, 0, 79])
       for n, what in enumerate(([LOOK, AGAIN], [AWAIT, 0, 0xcf], [PAIR, 0, 0], NEW, [EVENT, 0],
                                 [ADMIN, 9, 1, 0, 0], OTHERS))},
    'no-memory-space': driver(NEW, USUAL, SPACE_0, [LOOK], [AGAIN], SPACE_1, [AGAIN], USUAL),
    'no-bus': driver(NEW, [AROUND, 8], USUAL, [LOOK], SPACE_1, USUAL),
    'freed': driver(NEW, OTHERS, [MANY, 0, 0, 20, PAIR, 0, 0], [PAIR, 0, 9], read_many(9),
                    [LIES, 0, 1, PAIR, 1, 0, *NONE], [AGAIN], USUAL, read_many(8, 2)),
    'full': driver([PAIR, 0, 4], read_many(9), read_many(127), [PAIR, 1, 79], read_many(120, 1)),
    'refused': driver([LIES, 0, 1, PAIR, 0, 33, *FAIL], [LIES, 8, 2, PAIR, 1, 9, *FAIL, *HONEST],
                      [AGAIN], NEW, USUAL, [LIES, 0x28, 1, AGAIN, *RESULT_0, PAIR, 0, 0, AGAIN]),
    'odd-arguments': driver(NEW, [IO, 0, 0, 0x80, *(255,) * 8, 0, 1],
                            [IO, 0, 0, 0x41, 0, 0, 255, 0, 0, 0], [IO, 0, 0, 0, 5, 0, 9],
                            [SUBMIT, 0, 1, 0, 2, 3, 9, 4, 9], [SUBMIT, 0, 1, 0, 1, 0xff, 0]),
    'unasked': driver(NEW, [LIES, 3, 1, 4, 0], [POLL, 0, 9], [LOOK], [LIES, 3, 0, 9, 0],
                      [EVENT, 0], [AGAIN]),
    'threaded': driver([PAIR, 0, 0x90], USUAL, controller=MAPS | MSIX),
})
