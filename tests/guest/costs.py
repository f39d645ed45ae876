#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What libvfio costs over a device of the kernel's, measured in a guest on QEMU's NVMe disk: prints what
bench/kernel-costs and bench/kernel-nvme say, on each road that the kernel has. It judges nothing.

The machine is emulated: what the kernel does is slower than on a real one by some factor, and so is the
library; ratios are what carries over, and counts of instructions."""

import pathlib
import sys
import tempfile

sys.dont_write_bytecode = True
import guest  # noqa: E402

PROGRAMS = ('kernel-costs', 'kernel-nvme')
NVME = '0000:00:05.0'
SCRIPT = f'''
[ $ROAD = group ] && rm -f /dev/iommu
bind {NVME} vfio-pci
give
memlock=unlimited
step kernel-costs "kernel-costs {NVME}"
step kernel-nvme "kernel-nvme {NVME}"
'''
MEMORY = ('-m', '3072')      # for a map of 1 GiB


def measure(road):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        disk = folder / 'disk'
        disk.write_bytes(bytes(64 << 20))
        devices = ('-drive', f'file={disk},if=none,id=disk,format=raw',
                   '-device', 'nvme,serial=guest,drive=disk,bus=pcie.0,addr=5', *MEMORY)
        steps, console = guest.boot(folder, devices, {}, f'ROAD={road}\n' + SCRIPT,
                                    [f'bench/{program}' for program in PROGRAMS])
    for step in PROGRAMS:
        if step not in steps or steps[step].code:
            sys.exit(f'{step}: {steps.get(step, console)}')
        print(steps[step].text.strip())
        sys.stdout.flush()


def main():
    if guest.missing():
        sys.exit(guest.missing())
    for road in ('group', 'cdev') if guest.Kernel().has_nodes() else ('group',):
        measure(road)


if __name__ == '__main__':
    main()
