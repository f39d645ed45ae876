# SPDX-License-Identifier: MIT
"""In what a virtual function over a device may differ from the kernel's vfio-pci, and why.

What is chosen is in libvfio(7), DIFFERENCES FROM THE KERNEL'S VFIO, by the same words.
"""

import dataclasses
import typing

PM, VPD, MSI, PCIX, MSIX = 0x01, 0x03, 0x05, 0x07, 0x11
DVSEC = 0x23                    # extended


@dataclasses.dataclass
class Bits:
    """Bits of registers, by the byte that they lie in."""
    name: str
    kinds: tuple            # R: what the user reads; hw: what the hardware has
    where: typing.Callable
    until: tuple = None     # the kernel that is no longer otherwise


@dataclasses.dataclass
class Answer:
    """Answers of other kinds, or those where one of both failed."""
    name: str
    kind: str
    matches: typing.Callable
    until: tuple = None


def after(capability, offsets):
    """Bits at offsets in a standard capability, if the device has it."""
    def where(device):
        at = device.caps.get(capability)
        return {} if at is None else {at + offset: bits for offset, bits in offsets.items()}
    return where


def msi_message(device):
    """Address and data of MSI."""
    at = device.caps.get(MSI)
    if at is None:
        return {}
    length = 10 if device.raw[at + 2] & 0x80 else 6
    return {at + 4 + i: 0xff for i in range(length)}


def msi_masks(device):
    """The mask bits of MSI."""
    at = device.caps.get(MSI)
    if at is None or not device.raw[at + 3] & 1:
        return {}
    return {at + (0x10 if device.raw[at + 2] & 0x80 else 0x0c) + i: 0xff for i in range(4)}


def abutting(device):
    """The pointer of a vendor's extended capability that begins where another ends."""
    ends = {at + (device.dword(at + 4) >> 20) for at, number in device.extended if number == DVSEC}
    return {at + 2 + i: bits for at, number in device.extended if number == DVSEC and at in ends
            for i, bits in enumerate((0xf0, 0xff))}


def first_vendor(device):
    """The header of a vendor's extended capability that is the first."""
    return {at + i: 0xff for at, number in device.extended if (at, number) == (0x100, DVSEC)
            for i in range(4)}


def pair(word, theirs, ours):
    """The kernel's answer to a call about this index, and ours."""
    return lambda device, kernel, virtual: kernel.words[0] == word and \
        (kernel.value, virtual.value) == (theirs, ours)


def can_be_mapped(device, theirs, ours):
    """Region information that differs in nothing but flags that a description has or has not."""
    if theirs.failed() or ours.failed():
        return False
    (size, flags), (our_size, our_flags) = theirs.value.split(), ours.value.split()
    return size == our_size and not (int(flags, 16) ^ int(our_flags, 16)) & ~0xc


def memory_after_sleep(device, theirs, ours):
    """Command was written in D3hot, and what it holds now is what was restored."""
    return bool(device.lost & {4, 5}) and '-5' in (theirs.value, ours.value) and \
        not (theirs.failed() and ours.failed())


def cannot_grow(device, theirs, ours):
    """MSI-X of which all vectors must be enabled at once."""
    return theirs.words == ['2'] and ours.value.endswith(' 1') and \
        theirs.value == ours.value[:-1] + '9'


BITS = (
    # Chosen.
    Bits('MSI Enable and MultipleEnable show what the interrupt request did', ('R',),
         after(MSI, {2: 0xff})),
    Bits("MSI's mask bits are the driver's alone", ('R', 'hw'), msi_masks),
    Bits('Bits that writing ones clears can be cleared', ('R', 'hw'),
         after(PCIX, {6: 0x0c, 7: 0x20})),
    Bits('Abutting capabilities of one ID are two', ('R',), abutting),
    Bits('A device that wakes keeps what is written beside the power state', ('R', 'hw'),
         after(PM, {5: 0x7e})),
    Bits('More is restored when a device wakes', ('R', 'hw'),
         lambda device: {at: 0xff for at in device.lost}),
    # What the hardware has is the host's affair: it takes the interrupts.
    Bits('hardware: MSI is enabled', ('hw',), after(MSI, {2: 0x71})),
    Bits("hardware: MSI's message is the host's", ('hw',), msi_message),
    Bits('hardware: MSI-X is enabled', ('hw',), after(MSIX, {3: 0x80})),
    Bits('hardware: INTx is disabled, once an interrupt was enabled', ('hw',),
         lambda device: {5: 0x04} if device.enabled else {}),
    Bits('hardware: a virtual function has no memory enable', ('hw',),
         lambda device: {4: 0x02} if device.dword(0) == 0xffffffff else {}),
    Bits('hardware: vital product data are moved in other steps', ('hw',),
         after(VPD, {2 + i: 0xff for i in range(6)})),
    # Of versions.
    Bits("vendors' extended capabilities are hidden", ('R',), first_vendor, until=(6, 4)),
)

ANSWERS = (
    Answer('A region or interrupt that is absent is described: VGA', 'G', pair('8', '-22', '0 0')),
    Answer('A region or interrupt that is absent is described: ERR', 'Q', pair('3', '-22', '0 9')),
    Answer('A region or interrupt that is absent is described: MSI-X', 'Q', pair('2', '0 9', '0 1')),
    Answer('A ROM that is not decoded reads EIO', 'B', pair('6', '-12', '-5')),
    Answer('Memory is decoded when Command, as it is read, says so', 'B', memory_after_sleep),
    Answer('what can be mapped', 'G', can_be_mapped),
    # Of versions.
    Answer('MSI-X gets no more vectors while it is enabled', 'Q', cannot_grow, until=(6, 5)),
)
