# SPDX-License-Identifier: MIT
"""The manual agrees with the program: its tables, its calls, its examples, its references."""

import os
import pathlib
import re
import shlex
import subprocess

import pytest

SOURCE = pathlib.Path(os.environ['VFIO_SOURCE'])
BUILD = pathlib.Path(os.environ['VFIO_BUILD'])
PAGES = sorted((SOURCE / 'man').glob('*.rst'))
COMPILER = shlex.split(os.environ.get('CC', 'cc'))


def exported_calls():
    """The names in the library's version script."""
    text = (SOURCE / 'src' / 'libvfio.map').read_text(encoding='utf-8')
    return re.findall(r'^\t(vfio_\w+);$', text, re.MULTILINE)


def driver_calls():
    """The calls that the NVMe driver's header declares."""
    text = (SOURCE / 'drivers' / 'nvme' / 'vfio-nvme.h').read_text(encoding='utf-8')
    text = re.sub(r'/\*.*?\*/', ' ', text, flags=re.DOTALL)
    return sorted(set(re.findall(r'\b(vfio_nvme_\w+)\s*\(', text)))


def built(name):
    """The lines of a page that was built, without roff's escapes."""
    text = (BUILD / 'man' / name).read_text(encoding='utf-8')
    return text.replace('\\-', '-').replace('\\(aq', "'").replace('\\&', '').splitlines()


# ---- configuration space ----------------------------------------------------------------------

ACCESS, VIEWS = ('RO', 'RW', 'RW1C'), ('device', 'virtual')
EXTENDED, BRIDGE = 0x10000, 0x20000
# What a condition is called, of those that the table has.
CONDITIONS = {
    (0x05, 0x080, 1 << 0): '64Bit=0', (0x05, 0x080, 1 << 1): '64Bit=1',
    (0x05, 0x180, 1 << 2): '64Bit=0, VectorMask=1', (0x05, 0x180, 1 << 3): '64Bit=1, VectorMask=1',
    (0x08, 0xe000, 1 << 0): 'Type=0', (0x08, 0xe000, 1 << 1): 'Type=1',
    (0x08, 0xe000, 0xf): 'Type=0-3', (0x08, 0xf800, 0xffff0000): 'Type=16-31',
    (0x08, 0xf800, 1 << 0x15): 'Type=21',
    (0x10, 0x0f0, 0xf9ff): 'Type=0-8,11-15', (0x10, 0x0f0, 0x410): 'Type=4,10',
    (0x10, 0x1f0, 0x01500000): 'Type=4,6,8, Slot=1',
}


def library_rows():
    """The table, as the library gives it to programs: the columns of list_registers.c."""
    run = subprocess.run([BUILD / 'tests' / 'list-registers'], capture_output=True, text=True,
                         timeout=60, check=True)
    for line in run.stdout.splitlines():
        columns = line.split('\t')
        yield int(columns[0]), columns[1], *map(int, columns[2:10]), *columns[10:]


def heading(number, name):
    """The name of a structure's section."""
    ident, bridge = number & 0xffff, number & BRIDGE
    if ident == 0:
        return f'{name}: type {1 if bridge else 0}'
    return (f'{name}: {"extended " if number & EXTENDED else ""}capability 0x{ident:02x}'
            f'{", type 1" if bridge else ""}')


def table_rows(only=None):
    """The rows as a page should show them: structure, then the words of the line."""
    for number, structure, reg, lsb, bits, access, user, view, mask, values, register, field \
            in library_rows():
        if only and number not in only:
            continue
        high = lsb + bits - 1
        condition = CONDITIONS[number, mask, values] if mask else ''
        yield heading(number, structure), [
            f'0x{reg:02x}', register, str(lsb) if lsb == high else f'{high}:{lsb}', field or '-',
            ACCESS[access], *([] if only else [('no', 'yes')[user]]), VIEWS[view],
            *condition.split()]


def page_rows(page):
    """The lines of a page that begin with an offset."""
    structure = None
    for line in built(page):
        if line.startswith('.SS '):
            structure = line[4:].strip('"')
        elif line.startswith('0x'):
            yield structure, line.split()


def test_register_table():
    """Every row of the table is in vfio-registers(7), in the same order, and no other."""
    rows = list(table_rows())
    assert len(rows) > 700
    assert list(page_rows('vfio-registers.7')) == rows


def test_registers_of_software_devices():
    """What a software device has is in vfio-function(7)."""
    rows = list(table_rows(only=(0x00, 0x01, 0x05, 0x11)))
    assert len(rows) > 70
    assert list(page_rows('vfio-function.7')) == rows


# ---- errors -----------------------------------------------------------------------------------

def test_error_codes():
    """Every code has its section, under the meaning that the library gives, and no other has."""
    header = (SOURCE / 'include' / 'vfio' / 'error.h').read_text(encoding='utf-8')
    codes = re.findall(r'X\(VFIO_E_\w+,\s+(\d+), "([^"]+)"\)', header)
    wanted = [f'VFIO-{number}: {meaning}' for number, meaning in codes if number != '0']
    text = (SOURCE / 'man' / 'vfio-errors.7.rst').read_text(encoding='utf-8')
    assert len(wanted) > 30
    assert re.findall(r'^(VFIO-\d+: .*)\n-+$', text, re.MULTILINE) == wanted


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_codes_that_pages_name(page):
    """No page speaks of a code that does not exist."""
    header = (SOURCE / 'include' / 'vfio' / 'error.h').read_text(encoding='utf-8')
    known = {int(n) for n in re.findall(r'X\(VFIO_E_\w+,\s+(\d+),', header)}
    named = {int(n) for n in re.findall(r'VFIO-(\d{3})', page.read_text(encoding='utf-8'))}
    assert named <= known


# ---- calls ------------------------------------------------------------------------------------

@pytest.mark.parametrize('call', exported_calls() + driver_calls())
def test_every_call_has_a_page(call):
    """A page or a link to one, which has the call's name where whatis(1) looks for it."""
    lines = built(f'{call}.3')
    if lines[0].startswith('.so '):
        assert len(lines) == 1
        lines = built(pathlib.PurePath(lines[0][4:]).name)
    names = lines[lines.index('.SH NAME') + 1].split(' - ')[0]
    assert call in names.split(', ')
    assert f'{call}(' in '\n'.join(lines[lines.index('.SH SYNOPSIS'):])


def test_no_page_for_a_call_that_is_not_there():
    """Section 3 has the exported calls, those of the driver, and the symbol of a module."""
    pages = {path.stem for path in (BUILD / 'man').glob('*.3')}
    assert len(driver_calls()) > 20
    assert pages == {*exported_calls(), *driver_calls(), 'vfio_nvme', 'vfio_device_module'}


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_references(page):
    """Pages of ours that a page refers to exist."""
    text = page.read_text(encoding='utf-8')
    references = re.findall(r'\*\*((?:lib|ls)?vfio[\w.-]*|edu-copy)\*\*\\ ?\((\d)\)', text)
    missing = [f'{name}({section})' for name, section in references
               if not (BUILD / 'man' / f'{name}.{section}').is_file()]
    assert not missing


# ---- examples ---------------------------------------------------------------------------------

def literal_blocks(text):
    """The indented blocks that follow a line with two colons at its end."""
    lines = iter(text.splitlines() + ['end'])
    line = next(lines)
    while line != 'end':
        if not line.endswith('::'):
            line = next(lines)
            continue
        block = []
        line = next(lines)
        while not line or line.startswith('    '):
            block.append(line[4:])
            line = next(lines)
        yield '\n'.join(block)


def c_programs():
    """Synopses and examples: each block that includes a header of ours."""
    for page in PAGES:
        blocks = literal_blocks(page.read_text(encoding='utf-8'))
        for number, block in enumerate(b for b in blocks if re.search('#include <vfio[/-]', b)):
            yield pytest.param(block, id=f'{page.name}-{number}')


def test_there_are_programs():
    """The extraction finds what is there: a synopsis for each page, and some examples."""
    programs = [p.values[0] for p in c_programs()]
    assert len(programs) > 20
    assert sum('main(' in p for p in programs) >= 8


@pytest.mark.parametrize('program', c_programs())
def test_program_compiles(program, tmp_path):
    """It compiles without a warning, and a synopsis says what the header says."""
    path = tmp_path / 'program.c'
    path.write_text(program, encoding='utf-8')
    result = subprocess.run(
        [*COMPILER, '-std=gnu11', '-fsyntax-only', '-Wall', '-Wextra', '-Wno-unused-parameter',
         '-Werror', f'-I{SOURCE / "include"}', f'-I{SOURCE / "drivers" / "nvme"}', str(path)],
        capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
