#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Records how a real kernel's vfio-pci answers, a trace a device, and its DMA mapping.

    record.py [--device NAME]... [--list] [--output FOLDER] [--keep-console FOLDER]

Boots the kernel that VFIO_GUEST_KERNEL names, under qemu-system-x86_64 (emulated: no KVM is
needed), with busybox and the recorder as its initramfs. Needs gcc with a static libc,
busybox-static, cpio and qemu-system-x86.
"""

import argparse
import dataclasses
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import made  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
PROGRAMS = {
    'record': ('record.c', 'session.c', 'trace.c', 'config.c', 'capabilities.c', 'interrupts.c',
               'asserts.c', 'hardware.c', 'output.c', 'parent.c'),
    'dma': ('dma.c', 'container.c', 'container_rows.c', 'container_random.c', 'ioas.c',
            'ioas_rows.c', 'ioas_random.c', 'output.c'),
}
OUTPUT = HERE.parent / 'data'
TIMEOUT = 300
ATTEMPTS = 3  # an emulated machine does not always boot while others keep the host busy
COMMAND_LINE = ('console=ttyS0 quiet mitigations=off intel_iommu=on panic=-1 rdinit=/init '
                'vfio_pci.enable_sriov=1 no_timer_check')
QEMU = ('qemu-system-x86_64', '-M', 'q35,kernel-irqchip=split', '-accel', 'tcg', '-cpu', 'max',
        '-m', '512', '-nodefaults', '-display', 'none', '-no-reboot',
        '-device', 'intel-iommu,intremap=on,caching-mode=on,device-iotlb=on')

ROOT = '0000:00:05.0'
OTHER = '0000:00:06.0'
PORT = '0000:01:00.0'
VIRTUAL = '0000:01:00.1'
BRIDGE = '0000:01:01.0'


@dataclasses.dataclass
class Device:
    """A device of QEMU, where the guest finds it, and what QEMU needs beside it."""
    name: str
    bdf: str
    device: str
    before: tuple = ()
    parent: str = ''
    part: str = 'all'
    made: str = ''
    other: str = ''
    folder: str = 'kernel'
    program: str = 'record'
    more: str = ''  # of the kernel's command line


NVME_DISK = ('-drive', 'file=null-co://,if=none,id=disk,format=raw')
NVME_SUBSYSTEM = ('-device', 'nvme-subsys,id=subsystem')
SRIOV = 'nvme,serial=1,subsys=subsystem,sriov_max_vfs=2,sriov_vq_flexible=4,sriov_vi_flexible=2'
NET = ('-netdev', 'user,id=net')
MEMORY = ('-object', 'memory-backend-ram,id=shm,size=1M')
CXL = ('-M', 'cxl=on', '-M', 'cxl-fmw.0.targets.0=cxl.1,cxl-fmw.0.size=4G',
       '-object', 'memory-backend-ram,id=cxl,size=256M',
       '-object', 'memory-backend-ram,id=label,size=256M',
       '-device', 'pxb-cxl,bus_nr=12,bus=pcie.0,id=cxl.1',
       '-device', 'cxl-rp,port=0,bus=cxl.1,id=upper,chassis=0,slot=2')
SHARED = ('-object', 'memory-backend-memfd,id=ram,size=512M,share=on', '-M', 'memory-backend=ram')



def mapping(name, more=''):
    """A recording of DMA mapping, which has one device in use, and one of another group."""
    return Device(name, ROOT, 'edu', ('-device', 'pci-testdev,bus=pcie.0,addr=6'),
                  part=name, other=OTHER, folder='kernel-dma', program='dma', more=more)


FEW_MAPS = 'vfio_iommu_type1.dma_entry_limit=16'

DEVICES = (
    mapping('type1v2'),
    mapping('type1'),
    mapping('type1v2-limits', FEW_MAPS),
    mapping('type1-limits', FEW_MAPS),
    mapping('ioas'),
    mapping('ioas-device'),
    mapping('ioas-limits'),
    Device('qemu-edu', ROOT, 'edu'),
    Device('qemu-edu-bridge', BRIDGE, 'edu'),
    Device('qemu-edu-asserts', BRIDGE, 'edu', part='asserts'),
    Device('qemu-e1000e', PORT, 'e1000e'),
    Device('qemu-nvme', PORT, 'nvme,serial=1,drive=disk', NVME_DISK),
    Device('qemu-virtio-net', PORT,
           'virtio-net-pci,netdev=net,disable-legacy=on,ats=on,aer=on,iommu_platform=on', NET),
    Device('qemu-virtio-blk-transitional', BRIDGE,
           'virtio-blk-pci,drive=disk,disable-legacy=off,disable-modern=off', NVME_DISK),
    Device('qemu-ahci', ROOT, 'ich9-ahci'),
    Device('qemu-nec-xhci', PORT, 'nec-usb-xhci'),
    Device('qemu-xhci', PORT, 'qemu-xhci'),
    Device('qemu-rtl8139', BRIDGE, 'rtl8139,netdev=net', NET),
    Device('qemu-e1000', ROOT, 'e1000,netdev=net', NET),
    Device('qemu-intel-hda', ROOT, 'intel-hda'),
    Device('qemu-testdev', ROOT, 'pci-testdev'),
    Device('qemu-ivshmem', ROOT, 'ivshmem-plain,memdev=shm', MEMORY),
    Device('qemu-megasas', ROOT, 'megasas'),
    Device('qemu-megasas-gen2', PORT, 'megasas-gen2'),
    Device('qemu-lsi53c895a', ROOT, 'lsi53c895a'),
    Device('qemu-vmxnet3', PORT, 'vmxnet3,netdev=net', NET),
    Device('qemu-rocker', ROOT, 'rocker,name=sw1'),
    Device('qemu-pvscsi', PORT, 'pvscsi'),
    Device('qemu-sdhci', ROOT, 'sdhci-pci'),
    Device('qemu-mptsas1068', BRIDGE, 'mptsas1068'),
    Device('qemu-i82559c', BRIDGE, 'i82559c,netdev=net', NET),
    Device('qemu-ich9-intel-hda', ROOT, 'ich9-intel-hda'),
    Device('qemu-vga', ROOT, 'VGA'),
    *(Device(f'made-{name}', ROOT, 'x-pci-proxy-dev,fd={fd}', SHARED, made=name)
      for name in made.FUNCTIONS),
    Device('qemu-cxl-type3', '0000:0d:00.0', 'cxl-type3,memdev=cxl,lsa=label,bus=upper', CXL),
    Device('qemu-nvme-pf', PORT, SRIOV, NVME_SUBSYSTEM),
    Device('qemu-nvme-parent', PORT, SRIOV, NVME_SUBSYSTEM, part='parent'),
    Device('qemu-nvme-vf', VIRTUAL, SRIOV, NVME_SUBSYSTEM, parent=PORT),
)


def placement(device):
    """The arguments that put a device at its address."""
    if device.bdf == ROOT:
        return ('-device', device.device + ',bus=pcie.0,addr=5')
    if device.bdf == BRIDGE:
        return ('-device', 'pcie-pci-bridge,id=bridge,bus=pcie.0,addr=4',
                '-device', device.device + ',bus=bridge,addr=1')
    if device.bdf not in (PORT, VIRTUAL):
        return ('-device', device.device)
    return ('-device', 'pcie-root-port,id=upper,bus=pcie.0,addr=4,chassis=1',
            '-device', device.device + ',bus=upper,addr=0')


def build(folder):
    """The recorders, linked statically, as every program of the guest is."""
    for program, sources in PROGRAMS.items():
        command = ['gcc', '-std=gnu11', '-O1', '-Wall', '-Wextra', '-static', '-D_GNU_SOURCE',
                   '-o', str(folder / program)]
        subprocess.run(command + [str(HERE / source) for source in sources], check=True)


def initramfs(folder, device):
    """A cpio of busybox, /init, the recorder, and what it shall record."""
    root = folder / 'root'
    shutil.rmtree(root, ignore_errors=True)
    for name in ('bin', 'dev', 'proc', 'sys'):
        (root / name).mkdir(parents=True)
    shutil.copy(shutil.which('busybox'), root / 'bin' / 'busybox')
    shutil.copy(folder / device.program, root / 'record')
    shutil.copy(HERE / 'init', root / 'init')
    (root / 'init').chmod(0o755)
    (root / 'device').write_text(
        f'BDF={device.bdf}\nNAME={device.name}\nPART={device.part}\n'
        f'PARENT={device.parent}\nOTHER={device.other}\n')
    names = '\n'.join(str(path.relative_to(root)) for path in sorted(root.rglob('*')))
    image = folder / 'initramfs'
    with image.open('wb') as out:
        subprocess.run(['cpio', '-o', '-H', 'newc', '--quiet', '-R', '0:0'], cwd=root,
                       input=names.encode(), stdout=out, check=True)
    return image


def run(command, device):
    """QEMU, with the other end of a made function where it is one; what it said."""
    end = made.start(device.made) if device.made else None
    fds = (end.fileno(),) if end else ()
    command = [part.replace('{fd}', str(*fds)) for part in command]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=TIMEOUT, check=False,
                              pass_fds=fds)
        return done.stdout.decode(errors='replace')
    except subprocess.TimeoutExpired:
        return f'QEMU was ended after {TIMEOUT} seconds\n'
    finally:
        if end:
            end.close()


def boot(kernel, folder, device):
    """Runs the guest to its end; what it recorded, and what it said on its console."""
    console, trace = folder / 'console', folder / 'trace'
    for path in (console, trace):
        path.write_bytes(b'')
    command = [*QEMU, *device.before, *placement(device),
               '-kernel', kernel, '-initrd', str(initramfs(folder, device)),
               '-append', f'{COMMAND_LINE} {device.more}',
               '-serial', f'file:{console}', '-serial', f'file:{trace}']
    said = run(command, device)
    return (trace.read_text(errors='replace'),
            said + console.read_text(errors='replace').replace('\r', ''))


def save(output, name, trace, console):
    """Keeps a trace; one that stops early is kept, too, and says so. Whether it is whole."""
    whole = trace.rstrip().endswith('# complete')
    if '# section: ' not in trace:
        print(f'{name}: nothing was recorded:\n{console[-3000:]}')
        return False
    if '# end\n' not in trace:
        trace = trace[:trace.rfind('\n') + 1] + '# incomplete: the recorder did not get further\n'
        print(f'{name}: incomplete:\n{console[-3000:]}')
    output.mkdir(parents=True, exist_ok=True)
    path = output / f'{name}.trace'
    partial = output / f'.{name}.partial'
    partial.write_text(trace)
    partial.rename(path)
    return whole


def record(kernel, folder, options, device):
    """One device from boot to trace."""
    began = time.monotonic()
    for _ in range(ATTEMPTS):
        trace, console = boot(kernel, folder, device)
        if trace:
            break
    if options.keep_console:
        options.keep_console.mkdir(parents=True, exist_ok=True)
        (options.keep_console / f'{device.name}.console').write_text(console)
    whole = save(options.output / device.folder, device.name, trace, console)
    lines = trace.count('\n')
    print(f'{device.name}: {"recorded" if whole else "FAILED"}, {lines} lines, '
          f'{time.monotonic() - began:.0f} s', flush=True)
    return whole


def parse():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--device', action='append', choices=[d.name for d in DEVICES],
                        metavar='NAME', help='this one only (may be repeated)')
    parser.add_argument('--list', action='store_true', help='the names of all devices')
    parser.add_argument('--output', type=pathlib.Path, default=OUTPUT, metavar='FOLDER',
                        help='where the folders of traces are')
    parser.add_argument('--keep-console', type=pathlib.Path, metavar='FOLDER',
                        help='keep what the guests said on their consoles')
    return parser.parse_args()


def missing(kernel):
    """What there is none of, in words, or an empty string."""
    if not kernel:
        return ('VFIO_GUEST_KERNEL is not set: it names a Linux image with VFIO, type1 and the '
                'Intel IOMMU built in')
    if not os.access(kernel, os.R_OK):
        return f'VFIO_GUEST_KERNEL: there is no {kernel}'
    absent = [p for p in ('gcc', 'cpio', 'busybox', QEMU[0]) if not shutil.which(p)]
    return 'not installed: ' + ', '.join(absent) if absent else ''


def main():
    options = parse()
    if options.list:
        print('\n'.join(d.name for d in DEVICES))
        return 0
    kernel = os.environ.get('VFIO_GUEST_KERNEL', '')
    wrong = missing(kernel)
    if wrong:
        print(f'record.py: {wrong}', file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix='vfio-guest-') as name:
        folder = pathlib.Path(name)
        build(folder)
        chosen = [d for d in DEVICES if not options.device or d.name in options.device]
        results = [record(kernel, folder, options, d) for d in chosen]
    return 0 if all(results) else 1


if __name__ == '__main__':
    sys.exit(main())
