# SPDX-License-Identifier: MIT
"""A guest in which programs of the tree run: Linux under an emulated QEMU, with devices of QEMU's.

The kernel is VFIO_GUEST_KERNEL, or the newest of /boot; what that has as modules is taken from
VFIO_GUEST_MODULES (the folder lib/modules/VERSION of an unpacked package), or from where it is
installed. Needs qemu-system-x86_64, busybox-static and cpio.
"""

import os
import pathlib
import re
import shutil
import subprocess

import monitor
import record

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get('VFIO_BUILD', HERE.parents[1] / 'build'))
TIMEOUT = 200
MODULES = ('irqbypass', 'iommufd', 'vfio', 'vfio_virqfd', 'vfio_iommu_type1', 'vfio-pci-core',
           'vfio-pci', 'uio', 'uio_pci_generic')
PROGRAMS = ('drivers/edu/edu-copy', 'vfio-nvme/vfio-nvme', 'lsvfio/lsvfio', 'vfiod/vfiod',
            'tests/guest/test-api', 'tests/guest/test-group', 'tests/conformance/conformance')


class Kernel:
    """A Linux image, and the folder of its modules, if they are needed."""

    def __init__(self):
        self.image = os.environ.get('VFIO_GUEST_KERNEL', '')
        modules = os.environ.get('VFIO_GUEST_MODULES', '')
        if not self.image:
            images = sorted(pathlib.Path('/boot').glob('vmlinuz-*'))
            self.image = str(images[-1]) if images else ''
            modules = modules or '/lib/modules/' + self.image.partition('vmlinuz-')[2]
        self.modules = pathlib.Path(modules) if modules else None

    def has_nodes(self):
        """Debian's have none; a kernel that needs no modules is one that was made for this."""
        return not self.modules

    def files(self):
        """The modules that are to be loaded, in order: those of the list that it has."""
        found = []
        for name in MODULES if self.modules else ():
            for wanted in (name, name.replace('_', '-'), name.replace('-', '_')):
                paths = sorted(self.modules.rglob(wanted + '.ko*'))
                if paths and paths[0] not in found:
                    found.append(paths[0])
        return found


def missing():
    """What there is none of, in words, or an empty string."""
    absent = [p for p in ('cpio', 'busybox', record.QEMU[0], 'ldd') if not shutil.which(p)]
    if absent:
        return 'not installed: ' + ', '.join(absent)
    if b'INTERP' in subprocess.run(['readelf', '-l', shutil.which('busybox')], check=False,
                                   capture_output=True).stdout:
        return 'busybox is not the static one'
    image = Kernel().image
    if not image:
        return 'VFIO_GUEST_KERNEL is not set, and there is no kernel in /boot'
    return '' if os.access(image, os.R_OK) else f'{image} cannot be read'


def libraries(program):
    """The shared objects that a program of the tree needs."""
    said = subprocess.run(['ldd', str(program)], capture_output=True, text=True, check=True).stdout
    return re.findall(r'(?:=> )?(/\S+) \(0x', said)


def copy_module(path, to):
    """Debian compresses modules from some version on."""
    unpack = {'.xz': 'xz', '.zst': 'zstd', '.gz': 'gzip'}.get(path.suffix)
    name = to / path.name.partition('.ko')[0]
    if not unpack:
        shutil.copy(path, name)
        return name.name
    with name.open('wb') as out:
        subprocess.run([unpack, '-dc', str(path)], stdout=out, check=True)
    return name.name


def make_root(root, kernel, programs, files, script):
    """The guest's files: busybox, /init, programs with their libraries, and what it shall do."""
    for name in ('bin', 'dev', 'proc', 'sys', 'lib', 'lib64', 'etc', 'run', 'tmp', 'modules'):
        (root / name).mkdir(parents=True)
    (root / 'tmp').chmod(0o1777)
    shutil.copy(shutil.which('busybox'), root / 'bin' / 'busybox')
    for program in programs:
        shutil.copy(BUILD / program, root / 'bin')
        for path in libraries(BUILD / program):
            to = 'lib64' if 'ld-linux' in path else 'lib'
            shutil.copy(path, root / to)
    names = [copy_module(path, root / 'modules') for path in kernel.files()]
    (root / 'modules' / 'order').write_text(''.join(f'{name}\n' for name in names))
    (root / 'etc' / 'passwd').write_text(
        'root:x:0:0::/:/bin/sh\nuser:x:1000:1000::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n')
    (root / 'etc' / 'group').write_text('root:x:0:\nuser:x:1000:\nnogroup:x:65534:\n')
    for name, contents in files.items():
        (root / name).write_bytes(contents)
        (root / name).chmod(0o644)
    shutil.copy(HERE / 'run', root / 'init')
    (root / 'init').chmod(0o755)
    (root / 'script').write_text(script)


def pack(root, image):
    names = '\n'.join(str(path.relative_to(root)) for path in sorted(root.rglob('*')))
    with image.open('wb') as out:
        subprocess.run(['cpio', '-o', '-H', 'newc', '--quiet', '-R', '0:0'], cwd=root,
                       input=names.encode(), stdout=out, check=True)


class Result:
    """What one step printed, and its exit code."""

    def __init__(self, text, code):
        self.text, self.code = text, code

    def __repr__(self):
        return f'exit code {self.code}:\n{self.text}'


class Boot:
    """What the steps of a boot have said: subclasses boot, and so set steps and console."""

    def step(self, name):
        assert name in self.steps, self.console[-3000:]
        return self.steps[name]

    def right(self, name):
        result = self.step(name)
        assert result.code == 0, result
        return result.text

    def says(self, name, *words):
        """It fails, and says all of that."""
        result = self.step(name)
        assert result.code == 1, result
        for word in words:
            assert word in result.text, result


def parse(said):
    """Each step of the script by its name."""
    steps = {}
    for name, text, code in re.findall(r'^@begin (\S+)\n(.*?)^@end \1 (\d+)$', said,
                                       re.MULTILINE | re.DOTALL):
        steps[name] = Result(text, int(code))
    return steps


def run(command, said, actions, fds, timeout):
    """QEMU, to its end; its complaints."""
    # meson sets it; some of QEMU's devices rely on fresh memory being zero, and then do not start.
    command = ['env', '-u', 'MALLOC_PERTURB_', *command]
    if actions:
        return monitor.run(command, said, actions, timeout)
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=timeout, check=False, pass_fds=fds)
        return done.stdout + done.stderr
    except subprocess.TimeoutExpired:
        return f'QEMU was ended after {timeout} seconds\n'


def boot(folder, devices, files, script, programs=PROGRAMS, fds=(), actions=None,
         machine=record.QEMU, more='', timeout=TIMEOUT):
    """Runs the guest to its end. The results of its steps, and what its console and QEMU said.

    actions: commands for QEMU's monitor, (name, arguments) by the names that the guest asks for them.
    more: for the kernel's command line.
    """
    kernel = Kernel()
    make_root(folder / 'root', kernel, programs, files, script)
    pack(folder / 'root', folder / 'initramfs')
    console, said = folder / 'console', folder / 'said'
    for path in (console, said):
        path.touch()
    command = [*machine, *devices, '-kernel', kernel.image,
               '-initrd', str(folder / 'initramfs'), '-append',
               f'{record.COMMAND_LINE} {more}',
               '-serial', f'file:{console}', '-serial', f'file:{said}']
    complaints = ''
    for _ in range(record.ATTEMPTS):
        complaints = run(command, said, actions, fds, timeout)
        if said.stat().st_size:
            break
    return (parse(said.read_text(errors='replace').replace('\r', '')),
            console.read_text(errors='replace').replace('\r', '') + complaints)
