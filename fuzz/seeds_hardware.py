# SPDX-License-Identifier: MIT
"""Seeds for fuzz/hardware.c and fuzz/machine.c: devices that are there, and machines that lie."""
import struct


def found(*patches, how=0):
    """A device with bytes replaced: registers (plane 0), what writes store (2), ones clear (3)."""
    return bytes([how, len(patches)]) + b''.join(
        struct.pack('<HB', at | plane << 14, value) for plane, at, value in patches)


def store(at, value, width=2):
    return struct.pack('<BHB', 0, at, width) + value.to_bytes(width, 'little')


def load(at, length):
    return struct.pack('<BHH', 2, at, length)


def irqs(flags, index, start, count):
    return bytes([3, flags, index, start, count, 1])


LIES, RESET_IT, RECYCLE, BACKDOOR = b'\x09\x30', b'\x05', b'\x06', b'\x07\x02\0\0'
MUTE, GONE = b'\x07\0\0\0', b'\x07\1\0\0'
SIZING = b''.join(store(at, 0xffffffff, 4) for at in range(0x10, 0x34, 4))
WHOLE = load(0, 4096)
HARDWARE = {
    'command': found() + store(4, 0x0406) + WHOLE + RESET_IT + store(4, 0xffff) + RECYCLE,
    'sizing': found() + SIZING + WHOLE + store(0x10, 0xfea00000, 4) + store(4, 2) + BACKDOOR +
    WHOLE,
    'sleep': found() + store(4, 0x0406) + store(0x44, 3) + WHOLE + store(0x44, 0) + WHOLE,
    'sleep-and-lie': found() + store(0x44, 3) + LIES + store(0x44, 0) + bytes(range(192)) + WHOLE,
    'messages': found() + store(0x52, 0x0021) + store(0x54, 0xfee00000, 4) + store(0x72, 0xc000) +
    store(0x52, 0xffff) + WHOLE + RECYCLE,
    'vectors': found() + irqs(0x24, 1, 0, 2) + WHOLE + store(0x52, 0xffff) + irqs(0x21, 1, 0, 0) +
    irqs(0x24, 2, 0, 8) + store(0x72, 0xffff) + irqs(0x22, 2, 0, 3) + RECYCLE +
    b'\x08\5' + irqs(0x24, 2, 0, 3),
    'model': found() + b'\x07\4' + struct.pack('<HI', 0x10, 0xffff0005) + WHOLE +
    b'\x07\4' + struct.pack('<HI', 0x30, 0xffff0011) + WHOLE,
    'vital': found() + store(0xc2, 4) + load(0xc0, 8) + store(0xc4, 0x12345678, 4) +
    store(0xc2, 0x8008) + MUTE + store(0xc2, 0) + RECYCLE,
    'vital-nonsense': found(how=4) + bytes([0x82, 0, 0] * 21 + [0]) + store(0xc2, 0) + WHOLE,
    'filtered': found() + b'\x08\0' + SIZING + store(4, 0xffff) + store(0x52, 0xffff) + WHOLE,
    'gone': found() + store(4, 6) + GONE + WHOLE + RESET_IT + RECYCLE + GONE + RECYCLE,
    'kept': found() + b'\x08\2' + store(4, 6) + store(0x44, 3) + RECYCLE + WHOLE + b'\x08\3',
    'noise': found((0, 0x34, 0x44), (0, 0x44, 5), (0, 0x45, 0x46), (2, 4, 0), (3, 0x10, 0xff),
                   how=1) + WHOLE + SIZING + LIES + store(4, 6) + bytes(192),
}

# By their number in the table of fuzz/machine.c.
CONFIG, RESOURCES, BAR_0, METHODS, POWER, DRIVER, IN_GROUP, NODES = 2, 3, 4, 9, 10, 11, 12, 13
PHYSFN, NAME, INTERRUPTS, COMM, TAINT = 17, 27, 45, 49, 51


def instead(entry, text, link=False):
    return bytes([entry, 7 if link else 6, len(text) & 0xff, len(text) >> 8]) + text


def machine(*changes, uses=None):
    return (bytes([len(changes)]) + b''.join(changes) +
            (b'\1' if uses is None else b'\0' + b''.join(uses)))


def use(op, region=0, offset=0, data=b'', flags=0, index=0):
    return struct.pack('<4BHB', flags, index, op, region, offset, len(data)) + data.ljust(64, b'\0')


NO_BAR = b'0x0000000000000000 0x0000000000000000 0x0000000000000000\n'
MACHINE = {
    'well': machine(),
    'used': machine(uses=(use(5, 7, 4, b'\7\5'), use(5, 0, 0x10, bytes(8)), use(3, 2, 0, bytes(4)),
                          use(2, flags=0x22), use(0), use(5, 7, 0x44, b'\3\0'), use(1))),
    'neighbour': machine(instead(NAME, b'vfio-noiommu\n'), instead(DRIVER, b'nvme', True)),
    'uio': machine(instead(DRIVER, b'uio_pci_generic', True), bytes([IN_GROUP, 0])),
    'off': machine(instead(POWER, b'D3cold\n'),
                   instead(METHODS, b'pm af_flr acpi device_specific\n')),
    'no-node': machine(bytes([NODES, 1])),
    'lies': machine(instead(DRIVER, b'\x1b[2J', True), instead(IN_GROUP, b'99999999999', True)),
    'talks': machine(instead(COMM, b'\x1b]0;mine\7'), instead(TAINT, b'a\x1b[31m\nb\n'),
                     instead(INTERRUPTS, b' 1: PCI-MSI\n')),
    'one-bar': machine(
        instead(RESOURCES, b'0x00000000febf0000 0x00000000febf3fff 0x40200\n' + 6 * NO_BAR),
        uses=(use(5, 0, 0x2000, bytes(9)), use(4, 1, 0, bytes(4)))),
    'huge': machine(
        bytes([BAR_0, 3 | 30 << 3]),
        instead(RESOURCES, b'0x0000000000000000 0x000000003fffffff 0x40200\n' + 6 * NO_BAR),
        uses=()),
    'endless': machine(bytes([INTERRUPTS, 3 | 31 << 3])),
    'waits': machine(bytes([CONFIG, 2]), bytes([RESOURCES, 2]), bytes([DRIVER, 2])),
    'patched': machine(
        bytes([CONFIG, 4, 3]) + struct.pack('<HBHBHB', 0, 0xff, 0x34, 0x50, 0x51, 0x50),
        uses=(use(3, 7, 0, bytes(63)),)),
    'virtual-function': machine(instead(PHYSFN, b'0000:03:00.1', True), uses=(use(1), use(0))),
}
