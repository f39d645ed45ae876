# SPDX-License-Identifier: MIT
"""A machine of files: sys, dev, proc and run in a folder, as lsvfio --sysfs=FOLDER/sys sees it."""

import pathlib

DEVICES = "bus/pci/devices"
NOTHING = "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"


class Machine:
    """One device, 0000:03:00.0, which vfio-pci has and anybody may open; all is well with it."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.sys = self.folder / "sys"
        for name in ("sys/bus/pci/drivers/vfio-pci", "sys/kernel/mm/hugepages/hugepages-2048kB",
                     "dev/vfio/devices", "proc/self"):
            (self.folder / name).mkdir(parents=True)
        for name in ("dev/vfio/vfio", "dev/iommu"):
            self.write(name, "")
        self.write("proc/interrupts", "  0:  9  IR-IO-APIC   2-edge  timer\n")
        pages = "sys/kernel/mm/hugepages/hugepages-2048kB/"
        for name, value in (("nr_hugepages", 8), ("free_hugepages", 6), ("resv_hugepages", 0)):
            self.write(pages + name, f"{value}\n")
        self.add("0000:03:00.0", 7, "vfio-pci", node="vfio3")

    def write(self, name, contents):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents if isinstance(contents, bytes) else contents.encode())
        return path

    def device(self, address):
        return self.sys / DEVICES / address

    def link(self, path, target):
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)

    def set_driver(self, address, driver):
        """None: it has none."""
        link = self.device(address) / "driver"
        link.unlink(missing_ok=True)
        if driver:
            folder = self.sys / "bus/pci/drivers" / driver
            folder.mkdir(parents=True, exist_ok=True)
            self.link(link, f"../../drivers/{driver}")

    def add(self, address, group, driver, node=None, class_code=0x010802, header=0):
        """An ordinary PCI Express function that can be reset, with one BAR of 64 KiB."""
        device = self.device(address)
        device.mkdir(parents=True)
        config = bytearray(256)
        config[0:4] = b"\x34\x12\xe8\x11"
        config[0x06] = 0x10                     # there are capabilities
        config[0x09:0x0c] = class_code.to_bytes(3, "little")
        config[0x0e] = header
        config[0x34] = 0x40
        config[0x40:0x44] = b"\x10\x00\x02\x00"
        files = {"config": bytes(config), "vendor": "0x1234\n", "device": "0x11e8\n",
                 "class": f"0x{class_code:06x}\n", "reset_method": "flr\n", "reset": "",
                 "resource": "0xfe000000 0xfe00ffff 0x40200\n" + 6 * NOTHING}
        for name, contents in files.items():
            self.write(device / name, contents)
        self.set_driver(address, driver)
        if group is not None:
            self.link(device / "iommu_group", f"../../../../kernel/iommu_groups/{group}")
            members = self.sys / f"kernel/iommu_groups/{group}/devices"
            self.link(members / address, f"../../../../bus/pci/devices/{address}")
            self.write(f"dev/vfio/{group}", "")
        if node:
            (device / "vfio-dev" / node).mkdir(parents=True)
            self.write(f"dev/vfio/devices/{node}", "")
        return device
