# SPDX-License-Identifier: MIT
"""Configuration space made up: capabilities in their places, and anything in their registers."""

import random
import struct

# ID, bytes, and what of the registers is fixed: offset -> (bytes, value). The rest is anything.
STANDARD = [
    (0x01, 0x08, {}),
    (0x05, 0x18, {0x03: (1, 1), 0x02: (1, 0x8a)}),
    (0x11, 0x0c, {}),
    (0x13, 0x08, {0x02: (1, 6)}),
    (0x10, 0x3c, {}),
    (0x02, 0x0c, {0x02: (1, 0x30)}),
]
EXTENDED = [
    (0x01, 0x48, {}),
    (0x03, 0x0c, {}),
    (0x02, 0x1c, {0x04: (4, 0), 0x08: (4, 0)}),
    (0x0d, 0x08, {0x04: (1, 0x5f)}),
    (0x0e, 0x08, {}),
    (0x0f, 0x08, {}),
    (0x10, 0x40, {}),
    (0x12, 0x30, {}),
    (0x13, 0x10, {}),
    (0x15, 0x1c, {0x08: (1, 0x60)}),
    (0x17, 0x0c, {0x05: (1, 0)}),
    (0x18, 0x08, {}),
    (0x1b, 0x08, {}),
    (0x1d, 0x0c, {0x04: (1, 0x05)}),
    (0x1e, 0x10, {}),
    (0x1f, 0x0c, {}),
    (0x23, 0x10, {0x04: (4, 0x01021234)}),
    (0x0b, 0x0c, {0x04: (4, 0x00c31234)}),
]


def fill(config, at, size, fixed, anything):
    config[at:at + size] = anything.randbytes(size)
    for offset, (width, value) in fixed.items():
        config[at + offset:at + offset + width] = value.to_bytes(width, 'little')


def made_config(seed, port, slot=False):
    """4096 bytes of a function whose PCI Express capability is of this type."""
    anything = random.Random(seed)
    config = bytearray(4096)
    fill(config, 0, 0x40, {0x06: (1, 0x10 | anything.getrandbits(8) & 0xef),
                           0x08: (4, 0xff000000), 0x0e: (1, int(4 <= port <= 6)),
                           0x34: (1, 0x40), 0x3d: (1, 2)}, anything)
    at = 0x40
    for n, (ident, size, fixed) in enumerate(STANDARD):
        if ident == 0x10:
            fixed = {0x02: (2, 0x0002 | port << 4 | slot << 8), 0x0c: (1, 0x41)}
        fill(config, at, size, fixed, anything)
        config[at] = ident
        config[at + 1] = at + size if n + 1 < len(STANDARD) else 0
        at += size
    at = 0x100
    for n, (ident, size, fixed) in enumerate(EXTENDED):
        fill(config, at, size, fixed, anything)
        link = at + size if n + 1 < len(EXTENDED) else 0
        struct.pack_into('<I', config, at, ident | 1 << 16 | link << 20)
        at += size
    return bytes(config)


def dump(config, name='00:00.0 made'):
    """As lspci prints it."""
    lines = [name]
    for at in range(0, len(config), 16):
        lines.append(f'{at:02x}: ' + config[at:at + 16].hex(' '))
    return '\n'.join(lines) + '\n'
