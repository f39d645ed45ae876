# SPDX-License-Identifier: MIT
"""Two outputs of differ, compared line by line; what may differ is in known_differences.py."""

import collections
import re

import known_differences

ENABLE = 0x24       # eventfds, as triggers


class Device:
    """What the first bytes of its configuration space tell, and what was done to it."""

    def __init__(self, text):
        found = re.search(r'^kernel (\d+)\.(\d+)', text, re.MULTILINE)
        self.kernel = tuple(int(number) for number in found.groups())
        self.enabled = False    # was any interrupt, ever?
        self.asleep = False     # in D3hot
        self.lost = set()       # bytes that were written then
        block = text.partition('raw before\n')[2].partition('raw after\n')[0]
        self.raw = bytes.fromhex(re.sub(r'^[0-9a-f]{4}:', '', block, flags=re.MULTILINE))
        self.caps = {}
        at = self.raw[0x34] & ~3 if self.raw[6] & 0x10 else 0
        while at >= 0x40 and at not in self.caps.values():
            self.caps.setdefault(self.raw[at], at)
            at = self.raw[at + 1] & ~3
        self.extended = []      # offsets and IDs
        at = 0x100 if len(self.raw) > 0x100 and self.dword(0x100) else 0
        while at >= 0x100 and len(self.extended) < 100:
            self.extended.append((at, self.dword(at) & 0xffff))
            at = self.dword(at) >> 20 & ~3

    def dword(self, at):
        return int.from_bytes(self.raw[at:at + 4], 'little')

    def follow(self, answer):
        """What an answer changes."""
        self.enabled |= answer.enables()
        if answer.kind == 'X' and answer.value == '0':
            self.asleep = False
        if answer.kind not in ('R', 'W', 'hw') or answer.failed():
            return
        start, width = int(answer.words[0], 16), int(answer.words[1])
        value = int(answer.words[2] if answer.kind == 'W' else answer.value, 16)
        if answer.kind == 'W':
            touched = set(range(start, start + width))
            self.lost = self.lost | touched if self.asleep else self.lost - touched
        power = self.caps.get(known_differences.PM, 0x1000) + 4
        if start <= power < start + width:
            state = value >> 8 * (power - start) & 3
            self.asleep = state == 3 or (answer.kind == 'W' and state and self.asleep)

    def is_vector(self, region, offset, width):
        """Does an access lie in the table of MSI-X, where no device answers?"""
        at = self.caps.get(known_differences.MSIX)
        if at is None:
            return False
        count = (self.dword(at) >> 16) % 0x800 + 1
        place = self.dword(at + 4)
        table = place & ~7
        return region == place & 7 and table <= offset and offset + width <= table + 16 * count


class Answer:
    """One line of differ, and the step that it is of."""

    def __init__(self, step, line):
        self.step = step
        self.key, _, self.value = line.partition(' = ')
        self.kind, *self.words = self.key.removeprefix('# ').split()
        self.is_register = self.kind in ('R', 'hw')

    def failed(self):
        return self.value.startswith('-')

    def enables(self):
        """A request for INTx, MSI or MSI-X, that succeeded."""
        return self.kind == 'S' and self.value == '0' and int(self.words[0]) < 3 and \
            int(self.words[1], 16) == ENABLE

    def form(self, device):
        """Of what a device has behind a BAR, how many bytes there were, or which error."""
        if self.kind != 'B' or self.failed():
            return self.value
        region, offset, width = int(self.words[0]), int(self.words[1], 16), int(self.words[2])
        if device.is_vector(region, offset, width):
            return self.value
        return re.sub('^[0-9a-f]+', lambda match: 'x' * len(match.group()), self.value)

    def __str__(self):
        return f'[{self.step}] {self.key} = {self.value}'


def answers_of(text):
    """Each answer with the step that it is of. Of eventfds there are those that counted."""
    step, before = '', False
    for line in text.split('\n'):
        if line.startswith('raw '):
            before = line == 'raw before'
        elif before and re.match('[0-9a-f]{4}:', line):
            yield Answer('before', 'raw ' + line.replace(': ', ' = '))
        elif line.startswith(('# section', '# step')):
            step = line[2:]
        elif ' = ' in line:
            yield Answer(step, line)


class Found:
    """What came of a comparison."""

    def __init__(self, device):
        self.device = device
        self.compared = 0
        self.known = collections.Counter()
        self.unknown = []

    def applies(self, known):
        return known.until is None or self.device.kernel < known.until

    def is_explained(self, theirs, ours):
        """Is it, or each bit of it, a difference that is listed?"""
        if theirs.is_register and not theirs.failed() and not ours.failed():
            return self.are_bits_explained(theirs, ours)
        for known in known_differences.ANSWERS:
            if known.kind == theirs.kind and self.applies(known) and \
                    known.matches(self.device, theirs, ours):
                self.known[known.name] += 1
                return True
        return False

    def are_bits_explained(self, theirs, ours):
        start, width = int(theirs.words[0], 16), int(theirs.words[1])
        bits = int(theirs.value, 16) ^ int(ours.value, 16)
        for known in known_differences.BITS:
            if theirs.kind not in known.kinds or not self.applies(known):
                continue
            mask = sum(byte << 8 * (at - start)
                       for at, byte in known.where(self.device).items()
                       if start <= at < start + width)
            if bits & mask:
                self.known[known.name] += 1
                bits &= ~mask
        return bits == 0


def compare(kernel, virtual):
    found = Found(Device(kernel))
    for theirs, ours in zip(answers_of(kernel), answers_of(virtual)):
        if (theirs.step, theirs.key) != (ours.step, ours.key):
            found.unknown.append(f'the kernel: {theirs}; we: {ours}; the rest is not compared')
            break
        found.compared += 1
        found.device.follow(theirs)
        if theirs.form(found.device) != ours.form(found.device) and \
                not found.is_explained(theirs, ours):
            found.unknown.append(f'the kernel: {theirs}; we: {ours.value}')
    return found


def unused(founds):
    """Differences that are listed, and that no comparison has found."""
    seen = collections.Counter()
    for found in founds:
        seen += found.known
    return {known.name for known in known_differences.BITS + known_differences.ANSWERS
            if founds[0].applies(known)} - set(seen)
