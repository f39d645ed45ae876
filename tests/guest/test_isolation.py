# SPDX-License-Identifier: MIT
"""vfiod serving a device that nothing isolates, in a guest without an IOMMU: to root, and to nobody
else, and it leaves a mark."""

import json
import re
import sys

import pytest

sys.dont_write_bytecode = True
import guest  # noqa: E402
import record  # noqa: E402

NVME = '0000:00:06.0'
DEVICE = f'unsafe-noiommu:{NVME}'
DISK = 16 << 20

# The machine of the other tests, but for its IOMMU, which is the last of it.
MACHINE = record.QEMU[:record.QEMU.index('-device')]

SCRIPT = f'''
# asroot NAME COMMAND: as step(), but for who it is
asroot() {{
	echo "@begin $1"
	(cd /tmp; sh -c "$2") 2>&1
	code=$?
	echo
	echo "@end $1 $code"
}} > /dev/ttyS1 < /dev/null
echo 16 > /proc/sys/vm/nr_hugepages	# contiguous memory, which a client has to have
echo Y > /sys/module/vfio/parameters/enable_unsafe_noiommu_mode
asroot mode "cat /sys/module/vfio/parameters/enable_unsafe_noiommu_mode"
bind {NVME} vfio-pci
asroot clean "lsvfio --json {NVME}"
asroot too-little "VFIO_ISOLATION=software vfio-nvme -d {DEVICE} identify"
step no-privilege "vfio-nvme -d {DEVICE} identify"
rm -f /run/libvfio/taint
mkdir -p /run/vfiod
vfiod --config /vfiod.conf > /tmp/log 2>&1 &
for i in $(seq 200); do [ -S /tmp/nvme.sock ] && grep -q ready /tmp/log && break; sleep 0.1; done
step listed "lsvfio --json --no-pci -o DEVICE,TAINTED,ISOLATION"
step stranger "vfio-nvme -d unix:nvme.sock identify"
asroot minimum "VFIO_ISOLATION=software vfio-nvme -d unix:nvme.sock identify"
asroot before "lsvfio --json nvme0"
asroot copy "vfio-nvme -d unix:nvme.sock copy-in --verify /small"
asroot after "lsvfio --json nvme0"
kill -KILL $(lsvfio --no-pci --raw --noheadings -o PID); sleep 1
asroot again "vfio-nvme -d unix:nvme.sock identify"
step user "lsvfio --json nvme0"
step told "lsvfio --no-pci"
kill $!; wait $!
asroot log "cat /tmp/log"
step record "cat /run/libvfio/taint"
'''

VFIOD = f'''
[nvme0]
device = {DEVICE}
unsafe = yes
socket = /tmp/nvme.sock
mode = 0666
'''


@pytest.fixture(name='machine', scope='module')
def boot_once(tmp_path_factory):
    if guest.missing():
        pytest.exit(guest.missing(), 77)     # meson's number for a test that was skipped
    if not guest.Kernel().has_nodes():
        pytest.exit('this kernel has no mode without an IOMMU: see VFIO_GUEST_KERNEL', 77)
    folder = tmp_path_factory.mktemp('isolation')
    (folder / 'disk').write_bytes(bytes(DISK))
    steps, console = guest.boot(
        folder, ('-drive', f'file={folder}/disk,if=none,id=disk,format=raw', '-device',
                 'nvme,serial=guest,drive=disk,bus=pcie.0,addr=6'),
        {'small': b'small' * 1000, 'vfiod.conf': VFIOD.encode()}, SCRIPT,
        machine=MACHINE, more='intel_iommu=off')
    assert steps, console[-3000:]
    return steps


def right(machine, name):
    assert machine[name].code == 0, machine[name]
    return machine[name].text


def shown(machine, name):
    device, = json.loads(right(machine, name))['devices']
    return device


def test_the_mode_is_there(machine):
    assert right(machine, 'mode').strip() == 'Y'
    clean = shown(machine, 'clean')
    assert (clean['tainted'], clean['driver']) == (None, 'vfio-pci')
    assert clean['isolation'] == {'dma': 'none', 'interrupts': 'none'}, 'its group is invented'


def test_without_a_server(machine):
    """Less than was asked for, or without the privilege: it is not opened."""
    assert machine['too-little'].code == 1 and 'VFIO-118' in machine['too-little'].text
    assert machine['no-privilege'].code == 1 and 'VFIO-117' in machine['no-privilege'].text


def test_it_is_told_what_it_is(machine):
    device, = json.loads(right(machine, 'listed'))['devices']
    assert (device['device'], device['isolation']) == ('nvme0', 'none')
    assert device['tainted'], 'vfiod itself has opened it, by the record'
    assert machine['minimum'].code == 1
    assert "'software' at least, and is 'none'" in machine['minimum'].text
    before = shown(machine, 'before')
    assert (before['backend'], before['vfiod']['unsafe']) == ('noiommu', True)
    assert before['isolation'] == {'dma': 'none', 'interrupts': 'none'}


def test_root_alone_uses_it(machine):
    assert machine['stranger'].code == 1 and 'VFIO-104' in machine['stranger'].text
    assert 'compared: the same' in right(machine, 'copy')
    log = right(machine, 'log')
    assert re.search(r'nvme0: .*uid 1000 is refused: nothing isolates the device', log), log
    assert 'sandbox' not in log


def test_a_mark_is_left(machine):
    """Once in the log; it outlives client and device process, and everybody sees it."""
    log = right(machine, 'log')
    assert log.count('tainted: user 0, process') == 1
    assert log.count('unsafe: nothing keeps the device') == 2, 'the process was started again'
    right(machine, 'again')
    first, last = shown(machine, 'after')['tainted'], shown(machine, 'user')['tainted']
    assert first == last and first['uid'] == 0
    assert 'tainted since' in right(machine, 'told')
    lines = right(machine, 'record').strip().splitlines()
    assert len(lines) == 2 and all(f'device={NVME} backend=unsafe-noiommu' in l for l in lines)
