#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What users see: headers that compile alone, the exported names, and a manual for each of them."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(os.environ['VFIO_SOURCE'])
BUILD = pathlib.Path(os.environ['VFIO_BUILD'])
HEADERS = sorted(p.relative_to(SOURCE / 'include').as_posix()
                 for p in (SOURCE / 'include').rglob('*.h'))
DRIVER = SOURCE / 'drivers/nvme/vfio-nvme.h'
STRICT = ['-Wall', '-Wextra', '-Wpedantic', '-Werror', '-fsyntax-only',
          '-I', str(SOURCE / 'include'), '-I', str(DRIVER.parent)]
COMPILERS = {
    'C11': [os.environ.get('CC', 'cc'), '-std=c11', '-x', 'c', '-Wstrict-prototypes', *STRICT],
    'C++17': [os.environ.get('CXX', 'c++'), '-std=c++17', '-x', 'c++', *STRICT],
}


def text_of(header):
    """A header without its comments."""
    text = (SOURCE / 'include' / header).read_text()
    return re.sub(r'/\*.*?\*/', ' ', text, flags=re.S)


def functions_of(header):
    """The functions that a header declares."""
    # Macros take no part: a declaration is on a line that is not the preprocessor's.
    lines = [l for l in text_of(header).splitlines() if not l.lstrip().startswith('#')]
    return set(re.findall(r'\b(vfio_[a-z0-9_]+)\s*\(', '\n'.join(lines)))


def declared():
    """Every function that the public headers declare."""
    return set().union(*map(functions_of, HEADERS))


def mapped():
    """Every name that the version script lists."""
    text = re.sub(r'/\*.*?\*/', ' ', (SOURCE / 'src/libvfio.map').read_text(), flags=re.S)
    return set(re.findall(r'\b(vfio_[a-z0-9_]+);', text))


def exported():
    """Every name that the library exports."""
    out = subprocess.run(['nm', '-D', '--defined-only', str(BUILD / 'src/libvfio.so')],
                         check=True, capture_output=True, text=True).stdout
    symbols = [line.split() for line in out.splitlines()]
    return {s[-1].split('@')[0] for s in symbols if s[-2] != 'A'}


def error_codes():
    """Number and name of every error code."""
    found = re.findall(r'X\((VFIO_E_[A-Z_]+),\s*(\d+),', text_of('vfio/error.h'))
    return [(int(number), name) for name, number in found]


# ---- headers ----------------------------------------------------------------------------------

def compile_text(language, text):
    """What the compiler has against a text; '' for nothing."""
    with tempfile.NamedTemporaryFile('w', suffix='.txt') as f:
        f.write(text)
        f.flush()
        done = subprocess.run([*COMPILERS[language], f.name], capture_output=True, text=True)
    return done.stderr if done.returncode else ''


def check_headers():
    problems = []
    for header in [*HEADERS, DRIVER.name]:
        ours, kernel = f'#include <{header}>\n', '#include <linux/vfio.h>\n'
        for language in COMPILERS:
            for how, text in (('alone', ours), ('twice', ours + ours),
                              ('after linux/vfio.h', kernel + ours),
                              ('before linux/vfio.h', ours + kernel)):
                said = compile_text(language, text + 'extern int used;\n')
                if said:
                    problems.append(f'{header} does not compile {how} as {language}:\n{said}')
    if not compile_text('C11', '#include <vfio/driver.h>\nint x = vfio_nothing_of_the_sort;\n'):
        problems.append('self-check: the compiler takes anything')
    return problems


# ---- names ------------------------------------------------------------------------------------

def compare(title, one, two):
    return [f'{title}: {name}' for name in sorted(one - two)]


def check_names():
    in_headers, in_map, in_library = declared(), mapped(), exported()
    problems = compare('declared, but not in libvfio.map', in_headers, in_map)
    problems += compare('declared, but not exported', in_headers, in_library)
    problems += compare('in libvfio.map, but declared nowhere', in_map, in_headers)
    problems += compare('exported, but declared nowhere', in_library, in_headers)
    if len(in_headers) < 50 or 'vfio_open' not in in_library:
        problems.append(f'self-check: only {len(in_headers)} declarations found')
    return problems


def driver_names():
    """What the NVMe driver's library has for users, and what its parts have for each other."""
    out = subprocess.run(['nm', '--defined-only', '--extern-only', '--format=posix',
                          str(BUILD / 'drivers/nvme/libvfio-nvme.a')],
                         check=True, capture_output=True, text=True).stdout
    names = {line.split()[0] for line in out.splitlines() if len(line.split()) > 2}
    public = {name for name in names if name.startswith('vfio_')}
    return public, names - public


def check_driver():
    in_header = functions_of(DRIVER)
    in_library, inside = driver_names()
    problems = compare('vfio-nvme.h declares, but the library lacks', in_header, in_library)
    problems += compare('in the NVMe driver, but declared nowhere', in_library, in_header)
    problems += [f'in the NVMe driver, without its prefix: {name}' for name in sorted(inside)
                 if not name.startswith(('nvme_', '__', '_Z', '.'))]
    page = (SOURCE / 'man' / 'vfio_nvme.3.rst').read_text()
    problems += [f'not in man/vfio_nvme.3.rst: {name}' for name in sorted(in_header)
                 if f'**{name}**' not in page]
    if len(in_header) < 20 or not inside:
        problems.append(f'self-check: only {len(in_header)} calls of the NVMe driver found')
    return problems


# ---- the manual -------------------------------------------------------------------------------

def check_manual():
    pages = {p.name: p.read_text() for p in (SOURCE / 'man').glob('*.rst')}
    words = set(re.findall(r'\bvfio_[a-z0-9_]+', '\n'.join(pages.values())))
    problems = compare('in no page of man/', exported(), words)
    errors = pages.get('vfio-errors.7.rst', '')
    if not errors:
        problems.append('there is no man/vfio-errors.7.rst')
    for number, name in error_codes():
        if number and not re.search(rf'\bVFIO-{number:03d}\b', errors):
            problems.append(f'man/vfio-errors.7.rst has no paragraph for VFIO-{number:03d}, {name}')
    for number in re.findall(r'\bVFIO-(\d{3})\b', errors):
        if int(number) not in dict(error_codes()):
            problems.append(f'man/vfio-errors.7.rst explains VFIO-{number}, which is no code')
    return problems


def check_codes():
    """Codes are permanent: no two names share a number."""
    numbers = [number for number, _ in error_codes()]
    problems = [f'VFIO-{n:03d} has two names' for n in sorted(set(numbers)) if numbers.count(n) > 1]
    if len(numbers) < 30:
        problems.append(f'self-check: only {len(numbers)} error codes found')
    return problems


def main():
    problems = check_headers() + check_names() + check_driver() + check_manual() + check_codes()
    print('\n'.join(problems) or f'{len(HEADERS)} headers, {len(declared())} functions, '
          f'{len(error_codes())} error codes: all as declared')
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
