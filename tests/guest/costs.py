#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What libvfio costs over hardware, measured in guests on QEMU's NVMe disk: prints what
bench/kernel-costs and bench/kernel-nvme say, on each road that the kernel has, and then what
bench/nvme-road says of every way to that disk. It judges nothing.

The machine is emulated: what the kernel does is slower than on a real one by some factor, and so is the
library; ratios are what carries over, and counts of instructions."""

import pathlib
import sys
import tempfile

sys.dont_write_bytecode = True
import guest  # noqa: E402
import record  # noqa: E402

PROGRAMS = ('kernel-costs', 'kernel-nvme')
NVME = '0000:00:05.0'
MODE = '/sys/module/vfio/parameters/enable_unsafe_noiommu_mode'
MEMORY = ('-m', '3072')      # for a map of 1 GiB

# As root: road NAME DEVICE.
ROADS = """
road() {
	echo "@begin $1"
	nvme-road "$2" 2>&1
	code=$?
	echo "@end $1 $code"
} > /dev/ttyS1 < /dev/null
"""

# With an IOMMU: the kernel's own disk, and the same one behind a server.
GUARDED = ROADS + f"""
[ $ROAD = group ] && rm -f /dev/iommu
bind {NVME} vfio-pci
give
memlock=unlimited
step kernel-costs "kernel-costs {NVME}"
step kernel-nvme "kernel-nvme {NVME}"
road kernel {NVME}
mkdir -p /run/vfiod
vfiod --config /vfiod.conf > /tmp/log 2>&1 &
for i in $(seq 100); do [ -S /tmp/nvme.sock ] && break; sleep 0.1; done
road vfiod unix:/tmp/nvme.sock
"""
VFIOD = f'[nvme0]\ndevice = {NVME}\nsocket = /tmp/nvme.sock\n'

# Without one.
UNGUARDED = ROADS + f"""
echo 64 > /proc/sys/vm/nr_hugepages
[ -e {MODE} ] && echo Y > {MODE}
bind {NVME} vfio-pci
road unsafe-noiommu unsafe-noiommu:{NVME}
bind {NVME} uio_pci_generic
road uio uio:{NVME}
"""


def boot(script, machine=record.QEMU, more=''):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        disk = folder / 'disk'
        disk.write_bytes(bytes(64 << 20))
        devices = ('-drive', f'file={disk},if=none,id=disk,format=raw',
                   '-device', 'nvme,serial=guest,drive=disk,bus=pcie.0,addr=5', *MEMORY)
        programs = [f'bench/{program}' for program in (*PROGRAMS, 'nvme-road')]
        return guest.boot(folder, devices, {'vfiod.conf': VFIOD.encode()}, script,
                          [*programs, 'vfiod/vfiod'], machine=machine, more=more)


def row(what, result):
    """A line of the table; of a road that is not there, why."""
    figures = result.text.split() if result and not result.code else None
    if figures:
        return f'{what:24} {figures[0]:>8} ms {figures[1]:>9} {figures[2]:>10}'
    why = ' '.join(result.text.split()) if result else 'the guest did not come so far'
    return f'{what:24} skipped: ' + why.replace('nvme-road: ', '')


def measure(road):
    """What the library adds on one road; and the rows of that."""
    steps, console = boot(f'ROAD={road}\n' + GUARDED)
    for step in PROGRAMS:
        if step not in steps or steps[step].code:
            sys.exit(f'{step}: {steps.get(step, console)}')
        print(steps[step].text.strip())
        sys.stdout.flush()
    return [row(f'kernel ({road})', steps.get('kernel')),
            row(f'vfiod over that ({road})', steps.get('vfiod'))]


def main():
    if guest.missing():
        sys.exit(guest.missing())
    rows = []
    for road in ('group', 'cdev') if guest.Kernel().has_nodes() else ('group',):
        rows += measure(road)
    steps, _ = boot(UNGUARDED, record.QEMU[:record.QEMU.index('-device')], 'intel_iommu=off')
    rows += [row(road, steps.get(road)) for road in ('unsafe-noiommu', 'uio')]
    print(f'{"random reads of 4 KiB":24} {"to first":>11} {"1 at once":>9} {"32 at once":>10} IOPS')
    print('\n'.join(rows))


if __name__ == '__main__':
    main()
