#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""lsvfio explains captured configuration space: as it did before, and as lspci does.

tests/data/pci has dumps, as lspci -xxxx prints them, of QEMU's devices in a guest whose kernel had
set them up, of a virtual machine's own, and of this project's; beside each, what lsvfio makes of
it. This program prints that of the dumps that it is given.
"""

import shutil
import sys

import pytest

import lspci
from lsvfio import SOURCE, check_decoded, devices
from made_config import dump, made_config

needs_lspci = pytest.mark.skipif(not shutil.which('lspci'), reason='there is no lspci')
DUMPS = sorted((SOURCE / 'tests' / 'data' / 'pci').glob('*.txt'))


def golden(path):
    """A line a register: what is not zero of it."""
    (device,) = devices('--config', path)
    lines = []
    for register in device['decoded']:
        version = f' v{register["version"]}' if register['extended'] else ''
        place = f'{register["structure"]}{version} {register["offset"]:#04x}'
        fields = [f'{field["name"]}={field["value"]:#x}'.lstrip('=')
                  for field in register['fields'] if field['value']]
        lines.append(' '.join([place, str(register['register']), *(fields or ['0'])]))
    lines += [f'problem: {problem}' for problem in device['problems']]
    return '\n'.join(lines) + '\n'


def decoded(device):
    """The values by the base of their structure; its name, version and fields."""
    found = {}
    for register in device['decoded']:
        name, version, values = found.setdefault(
            register['base'], (register['structure'], register['version'], {}))
        for field in register['fields']:
            values[register['register'], field['name']] = field['value']
    return found


def compare(path):
    """With lspci: the same capabilities in the same places, and in them the same values."""
    (device,) = devices('--config', path)
    ours, theirs = decoded(device), lspci.structures(path)
    assert [(base, ours[base][1]) for base in ours] == [(s.base, s.version) for s in theirs]
    flags = numbers = 0
    for structure in theirs:
        name, _, values = ours[structure.base]
        flags += lspci.check_flags(structure, name, values)
        numbers += lspci.check_numbers(structure, name, values)
    return flags, numbers


def test_there_are_captures():
    assert len(DUMPS) > 30


@pytest.mark.parametrize('path', DUMPS, ids=lambda path: path.stem)
def test_golden(path):
    assert golden(path) == path.with_suffix('.golden').read_text(encoding='ascii')


@needs_lspci
@pytest.mark.parametrize('path', DUMPS, ids=lambda path: path.stem)
def test_as_lspci_has_it(path):
    flags, _ = compare(path)
    assert flags > 20


# Endpoint, root port, upstream and downstream port, bridge, integrated endpoint, event collector.
@needs_lspci
@pytest.mark.parametrize('port, slot', [(0, 0), (1, 0), (4, 0), (4, 1), (5, 0), (6, 1), (7, 0),
                                        (9, 0), (10, 0)])
@pytest.mark.parametrize('seed', range(3))
def test_anything_as_lspci_has_it(port, slot, seed, tmp_path):
    """Capabilities that no device at hand has, and bits that none sets."""
    config = made_config(f'{port} {slot} {seed}', port, slot)
    (tmp_path / 'made').write_text(dump(config), encoding='ascii')
    flags, numbers = compare(tmp_path / 'made')
    assert flags > 200 and numbers > 70
    (device,) = devices('--config', tmp_path / 'made')
    assert device['problems'] == [] and bytes.fromhex(device['config']) == config
    check_decoded(device['decoded'], config)


if __name__ == '__main__':
    for argument in sys.argv[1:]:
        print(golden(argument), end='')
