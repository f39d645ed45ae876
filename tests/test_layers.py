#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Includes point one way. Reads every #include line and fails on an arrow that is not allowed.

    test_layers.py [TREE]

Also: no folder or file is a drawer (util, common, …), and each source file names its licence.
"""

import os
import pathlib
import re
import sys
import tempfile

# Layer of src/ -> the layers that it may include, itself aside.
ALLOWED = {
    'base': set(),
    'pci': {'base'},
    'iommu': {'base'},
    'wire': {'base'},
    'contract': {'base', 'iommu/map.h'},
    'function': {'base', 'pci', 'iommu', 'contract'},
    'backends': {'base', 'pci', 'iommu', 'wire', 'function', 'contract'},
    'frontends': {'base', 'pci', 'iommu', 'wire', 'contract'},
    'open': {'base', 'backends'},
}
# What knows nothing of PCI sees only this of the public headers.
PUBLIC_FOR_BASE = {'vfio/error.h'}
# What a user's compiler has anyway: the public headers need nothing else.
PUBLIC_MAY = {'linux/vfio.h', 'stdbool.h', 'stddef.h', 'stdint.h', 'stdio.h', 'sys/types.h'}

PROGRAMS = ('vfiod', 'lsvfio', 'vfio-nvme', 'devices', 'drivers', 'examples')
# Programs over a driver of ours see the one header that it shows to the world, in <>.
USES = {program: {'drivers/nvme/vfio-nvme.h'} for program in ('vfio-nvme', 'examples')}
FOLDERS = ('src', 'include', 'fuzz', 'bench') + PROGRAMS
DRAWERS = {'util', 'utils', 'common', 'core', 'misc', 'helper', 'helpers'}
NEEDS_LICENCE = {'.c', '.h', '.py', '.sh', '.map'}

INCLUDE = re.compile(r'^\s*#\s*include(?:_next)?\s*(.*)$')
TARGET = re.compile(r'^(?:"([^"]+)"|<([^>]+)>)')


def layer_of(path):
    """The layer of a path below src/: a folder, or the stem of a file that stands beside them."""
    parts = pathlib.PurePosixPath(path).parts
    return parts[0] if len(parts) > 1 else pathlib.PurePosixPath(path).stem


def check_src(tree, path, target, quoted):
    """What is wrong with an include of target by src/path, or None."""
    me = layer_of(path)
    if me not in ALLOWED:
        return f'{me} is no layer that the design has'
    if target.startswith('vfio/'):
        if me == 'base' and target not in PUBLIC_FOR_BASE:
            return f'base -> public {target}'
        return None
    if not quoted:
        ours = (tree / 'src' / target).exists()
        return f'{me} -> <{target}>: of ours, in <>' if ours else None
    if '..' in target or not (tree / 'src' / target).exists():
        return f'{me} -> {target}: not a path from src/'
    it = layer_of(target)
    if it == me or it in ALLOWED[me] or target in ALLOWED[me]:
        return None
    return f'{me} -> {it}'


def check_public(tree, path, target, quoted):
    if quoted:
        return f'public -> "{target}": write <vfio/…>'
    if target.startswith('vfio/'):
        return None if (tree / 'include' / target).exists() else f'public -> {target}: not public'
    return None if target in PUBLIC_MAY else f'public -> {target}'


def check_program(tree, path, target, quoted):
    own = (tree / path).parent
    if quoted:
        if '/' not in target and (own / target).exists():
            return None
        return f'{path.parts[0]} -> "{target}": not of its own folder'
    if target.startswith('vfio/'):
        return None if (tree / 'include' / target).exists() else f'{path.parts[0]} -> {target}'
    if (tree / 'src' / target).exists():
        return f'{path.parts[0]} -> src/{target}'
    allowed = USES.get(path.parts[0], set())
    for folder in ('devices', 'drivers'):
        for header in (tree / folder).glob(f'*/{target}'):
            name = str(header.relative_to(tree))
            if name not in allowed:
                return f'{path.parts[0]} -> {name}'
    return None


def check_inside(tree, path, target, quoted):
    """Fuzz targets feed the parts inside, and benchmarks measure them: only those look into src/.

    A benchmark may look into one driver, too, whose own folder says what a part of it is.
    """
    places = [tree / 'src', (tree / path).parent]
    if path.parts[0] == 'bench':
        places += sorted((tree / 'drivers').glob('*'))
    if quoted and not any((place / target).exists() for place in places):
        return f'{path.parts[0]} -> "{target}"'
    return None


def check_include(tree, path, line):
    found = TARGET.match(line)
    if not found:
        return f'cannot read the include of {line!r}'
    quoted, target = found.group(1) is not None, found.group(1) or found.group(2)
    if path.parts[0] == 'src':
        return check_src(tree, pathlib.PurePosixPath(*path.parts[1:]), target, quoted)
    if path.parts[0] == 'include':
        return check_public(tree, path, target, quoted)
    if path.parts[0] in ('fuzz', 'bench'):
        return check_inside(tree, path, target, quoted)
    return check_program(tree, path, target, quoted)


def sources(tree, suffixes):
    for folder in FOLDERS + ('tests',):
        for path in sorted((tree / folder).rglob('*')):
            if path.is_file() and path.suffix in suffixes and '__pycache__' not in path.parts:
                yield path.relative_to(tree)


def check_arrows(tree):
    """All forbidden arrows, and how many includes were looked at."""
    problems, count = [], 0
    for path in sources(tree, {'.c', '.h'}):
        if path.parts[0] == 'tests':
            continue
        for number, line in enumerate((tree / path).read_text().splitlines(), 1):
            found = INCLUDE.match(line)
            if not found:
                continue
            count += 1
            what = check_include(tree, path, found.group(1))
            if what:
                problems.append(f'{path}:{number}: {what}')
    return problems, count


def check_names(tree):
    problems = []
    for root, folders, files in os.walk(tree):
        folders[:] = [f for f in folders if not f.startswith(('.', 'build', '__'))]
        for name in folders + files:
            if name.split('.')[0].lower() in DRAWERS:
                problems.append(f'{os.path.join(root, name)}: a name that says nothing')
    return problems


def check_licences(tree):
    problems = []
    paths = list(sources(tree, NEEDS_LICENCE))
    paths += [p.relative_to(tree) for p in tree.rglob('meson.build')
              if not any(part.startswith('build') for part in p.relative_to(tree).parts[:-1])]
    for path in paths:
        head = (tree / path).read_text().splitlines()[:2]
        if not any('SPDX-License-Identifier: ' in line for line in head):
            problems.append(f'{path}:1: no SPDX line')
    return problems, len(paths)


# ---- the checker is checked -------------------------------------------------------------------

GOOD = {
    'include/vfio/driver.h': '#include <stdint.h>\n#include <linux/vfio.h>\n'
                             '#include <vfio/error.h>\n',
    'include/vfio/error.h': '#include <stdio.h>\n',
    'src/base/fd.h': '#include <vfio/error.h>\n',
    'src/iommu/map.h': '#include <stddef.h>\n',
    'src/iommu/space.h': '#include "iommu/map.h"\n#include "base/fd.h"\n',
    'src/wire/wire.h': '#include "base/fd.h"\n',
    'src/contract.h': '#include <vfio/driver.h>\n#include "iommu/map.h"\n',
    'src/function/function.h': '#include "contract.h"\n#include "iommu/space.h"\n',
    'src/backends/socket.c': '#include "function/function.h"\n#include "wire/wire.h"\n',
    'src/backends/backends.h': '#include "contract.h"\n',
    'src/frontends/server.c': '#include "contract.h"\n#include "wire/wire.h"\n',
    'src/open.c': '#include "backends/backends.h"\n',
    'vfiod/main.c': '#include <vfio/driver.h>\n#include <json-c/json.h>\n#include "log.h"\n',
    'vfiod/log.h': '',
    'bench/speed.c': '#include "contract.h"\n#include "private.h"\n',
    'fuzz/wire.c': '#include "wire/wire.h"\n',
    'drivers/nvme/vfio-nvme.h': '#include <vfio/driver.h>\n',
    'drivers/nvme/private.h': '#include "vfio-nvme.h"\n',
    'vfio-nvme/program.h': '#include <vfio-nvme.h>\n',
}
# file, line to add, what the report must say
BAD = (
    ('src/base/fd.h', '#include "wire/wire.h"', 'base -> wire'),
    ('src/base/fd.h', '#include <vfio/driver.h>', 'base -> public vfio/driver.h'),
    ('src/wire/wire.h', '  #  include "iommu/map.h"', 'wire -> iommu'),
    ('src/iommu/space.h', '#include "contract.h"', 'iommu -> contract'),
    ('src/contract.h', '#include "iommu/space.h"', 'contract -> iommu'),
    ('src/function/function.h', '#include "wire/wire.h"', 'function -> wire'),
    ('src/function/function.h', '#include "backends/backends.h"', 'function -> backends'),
    ('src/frontends/server.c', '#include "function/function.h"', 'frontends -> function'),
    ('src/frontends/server.c', '#include "backends/backends.h"', 'frontends -> backends'),
    ('src/frontends/server.c', '#include <backends/backends.h>', 'in <>'),
    ('src/backends/socket.c', '#include "frontends/server.c"', 'backends -> frontends'),
    ('src/open.c', '#include "function/function.h"', 'open -> function'),
    ('src/base/fd.h', '#include "../wire/wire.h"', 'not a path from src/'),
    ('src/open.c', '#include MACRO', 'cannot read'),
    ('include/vfio/error.h', '#include <sys/socket.h>', 'public -> sys/socket.h'),
    ('include/vfio/error.h', '#include "driver.h"', 'public -> "driver.h"'),
    ('vfiod/main.c', '#include "../src/contract.h"', 'vfiod -> "../src/contract.h"'),
    ('vfiod/main.c', '#include <contract.h>', 'vfiod -> src/contract.h'),
    ('vfiod/main.c', '#include <vfio/private.h>', 'vfiod -> vfio/private.h'),
    ('bench/speed.c', '#include "log.h"', 'bench -> "log.h"'),
    ('fuzz/wire.c', '#include "private.h"', 'fuzz -> "private.h"'),
    ('drivers/nvme/private.h', '#include "contract.h"', 'drivers -> "contract.h"'),
    ('vfiod/main.c', '#include <vfio-nvme.h>', 'vfiod -> drivers/nvme/vfio-nvme.h'),
    ('vfio-nvme/program.h', '#include <private.h>', 'vfio-nvme -> drivers/nvme/private.h'),
    ('vfio-nvme/program.h', '#include "vfio-nvme.h"', 'not of its own folder'),
)


def write_tree(tree, files):
    for name, text in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def report_of(files):
    with tempfile.TemporaryDirectory() as where:
        tree = pathlib.Path(where)
        write_tree(tree, files)
        return check_arrows(tree)[0]


def check_checker():
    """A small tree passes; with one forbidden arrow, exactly that arrow is reported."""
    problems = [f'self-check: sound tree: {p}' for p in report_of(GOOD)]
    for name, line, says in BAD:
        got = report_of({**GOOD, name: GOOD[name] + line + '\n'})
        at = f'{name}:{GOOD[name].count(chr(10)) + 1}: '
        if len(got) != 1 or not got[0].startswith(at) or says not in got[0]:
            problems.append(f'self-check: {name} with {line}: {got}')
    with tempfile.TemporaryDirectory() as where:
        tree = pathlib.Path(where)
        write_tree(tree, {'src/util/x.c': '/* no licence */\n', 'src/misc.c': ''})
        if len(check_names(tree)) != 2:
            problems.append('self-check: drawers are not found')
        if len(check_licences(tree)[0]) != 2:
            problems.append('self-check: a missing licence is not found')
    return problems


def main():
    tree = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else os.environ['VFIO_SOURCE'])
    problems = check_checker()
    arrows, includes = check_arrows(tree)
    licences, files = check_licences(tree)
    problems += arrows + check_names(tree) + licences
    if includes < 200 or files < 50:
        problems.append(f'only {includes} includes and {files} files found below {tree}')
    print('\n'.join(problems) or f'{includes} includes, {files} files: all as designed')
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
