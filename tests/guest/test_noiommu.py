# SPDX-License-Identifier: MIT
"""The drivers of the tree, as they are, on a machine without an IOMMU: asked for by name, by root."""

import json
import random
import re
import sys

import pytest

sys.dont_write_bytecode = True
import guest  # noqa: E402
import record  # noqa: E402

EDU = '0000:00:05.0'
NVME = '0000:00:06.0'
DISK = 16 << 20
FILE = random.Random(6).randbytes((1 << 20) + 123)
SMALL = FILE[:5000]
MODE = '/sys/module/vfio/parameters/enable_unsafe_noiommu_mode'

# The machine of the other tests, but for its IOMMU, which is the last of it.
MACHINE = record.QEMU[:record.QEMU.index('-device')]

SCRIPT = f'''
# root NAME COMMAND: a step, but as root
root() {{
	echo "@begin $1"
	(cd /tmp; sh -c "$2") 2>&1
	code=$?
	echo
	echo "@end $1 $code"
}} > /dev/ttyS1 < /dev/null

edu=unsafe-noiommu:{EDU}
nvme=unsafe-noiommu:{NVME}
root off "edu-copy -d $edu /small out"
root plain-off "edu-copy -d {EDU} /small out"
echo Y > {MODE}
for i in {EDU} {NVME}; do bind $i vfio-pci; done
echo N > {MODE}
root switched-off "edu-copy -d $edu /small out"
root check-off "lsvfio --check --color=never $edu"
echo Y > {MODE}
root plain "edu-copy -d {EDU} /small out"
root check-plain "lsvfio --check --color=never {EDU}"
root check "lsvfio --check --color=never $edu"
step check-user "lsvfio --check --color=never $edu"
root check-machine "lsvfio --check --color=never"
step user "edu-copy -d $edu /small out"
root uncapable "test-noiommu drop edu-copy -d $edu /small out"
root untouched "ls /run/libvfio"
root absent "edu-copy -d unsafe-noiommu:0000:1f:00.0 /small out"
root without-pages "vfio-nvme -d $nvme identify --json"
root large "vfio-nvme -d $nvme bench --json -t 0.3 --size 512k"
root shallow "vfio-nvme -d $nvme bench --json -t 0.5 -p randrw --depth 200 --yes"
root in-pages "vfio-nvme -d $nvme copy-in --verify --offset 8M /file &&
	vfio-nvme -d $nvme copy-out -o 8M -s {len(FILE)} early && cmp /file early"
echo 24 > /proc/sys/vm/nr_hugepages
root edu "edu-copy -d $edu /small out && cmp /small out"
root intx "edu-copy --intx -d $edu /small out && cmp /small out"
root api "VFIO_DEVICE=$edu test-noiommu"
root identify "vfio-nvme -d $nvme identify --json"
root check-tainted "lsvfio --check --color=never $nvme"
root mixed "vfio-nvme -d $nvme bench --json -t 0.3 -p randrw --yes"
root rows "conformance open $nvme"
root copy-in "vfio-nvme -d $nvme copy-in --verify --offset 1M /file"
root copy-out "vfio-nvme -d $nvme copy-out --verify -o 1M -s {len(FILE)} back && cmp /file back"
root reset "vfio-nvme -d $nvme reset"
root interrupts "vfio-nvme -d $nvme bench --json -t 1 -Q 3 --no-pin"
root polled "vfio-nvme -d $nvme bench --json -t 1 --poll --no-pin"
root busy "vfio-nvme -d $nvme bench -t 60 > /dev/null & sleep 2; vfio-nvme -d $nvme identify;
	code=\\$?; kill \\$!; wait; exit \\$code"
root taint "cat /run/libvfio/taint; stat -c %a:%u /run/libvfio/taint"
mkdir -p /run/vfiod
vfiod --config /vfiod.conf --user nobody > /tmp/log 2>&1 &
for i in $(seq 200); do [ -S /tmp/edu.sock -a -S /tmp/nvme.sock ] && break; sleep 0.1; done
root served-edu "edu-copy -d unix:edu.sock /small out && cmp /small out"
root served-nvme "vfio-nvme -d unix:nvme.sock copy-in --verify --offset 4M /file"
step served-user "edu-copy -d unix:edu.sock /small o"
kill $!; wait $!
root served-log "cat /tmp/log"
'''

VFIOD = f'''
[edu0]
device = unsafe-noiommu:{EDU}
unsafe = yes
socket = /tmp/edu.sock
mode = 0666
[nvme0]
device = unsafe-noiommu:{NVME}
unsafe = yes
socket = /tmp/nvme.sock
mode = 0666
'''

DEVICES = (
    '-device', 'edu,bus=pcie.0,addr=5',
    '-device', 'nvme,serial=guest,drive=disk,bus=pcie.0,addr=6',
)


class Guest(guest.Boot):
    """One boot: the results of its steps, and the disk as it was left."""

    def __init__(self, folder):
        disk = folder / 'disk'
        disk.write_bytes(bytes(DISK))
        drive = ('-drive', f'file={disk},if=none,id=disk,format=raw')
        self.steps, self.console = guest.boot(
            folder, drive + DEVICES,
            {'file': FILE, 'small': SMALL, 'vfiod.conf': VFIOD.encode()}, SCRIPT,
            machine=MACHINE, more='intel_iommu=off',
            programs=guest.PROGRAMS + ('tests/guest/test-noiommu',))
        self.disk = disk.read_bytes()


@pytest.fixture(scope='module')
def machine(tmp_path_factory):
    if guest.missing():
        pytest.exit(guest.missing(), 77)     # meson's number for a test that was skipped
    if not guest.Kernel().has_nodes():
        pytest.exit('this kernel has no mode without an IOMMU: see VFIO_GUEST_KERNEL', 77)
    return Guest(tmp_path_factory.mktemp('noiommu'))


# ---- asking for it ------------------------------------------------------------------------------

def test_each_thing_that_is_missing_is_told(machine):
    machine.says('off', 'VFIO-111', MODE, f'driverctl set-override {EDU} vfio-pci')
    machine.says('switched-off', 'VFIO-115', MODE)
    machine.says('absent', 'VFIO-103', '0000:1f:00.0')
    machine.says('user', 'VFIO-117', 'CAP_SYS_RAWIO', 'lacks')
    machine.says('uncapable', 'VFIO-117', 'CAP_SYS_RAWIO', 'lacks')
    machine.says('untouched', 'No such file')


def test_the_plain_address_says_how(machine):
    for name in ('plain', 'plain-off'):
        machine.says(name, 'VFIO-113', f'unsafe-noiommu:{EDU}')


def test_that_it_was_used_is_recorded(machine):
    lines = machine.right('taint').strip().splitlines()
    assert lines.pop() == '644:0'
    for line in lines:
        assert re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ uid=0 pid=\d+ program=\S+ '
                            r'device=0000:00:0[56]\.0 backend=unsafe-noiommu', line)
    said = '\n'.join(lines)
    for program, device in (('edu-copy', EDU), ('vfio-nvme', NVME), ('test-noiommu', EDU)):
        assert f'program={program} device={device}' in said


def test_the_doctor(machine):
    """lsvfio --check: what is missing, in the same words; and what has been done before."""
    machine.says('check-off', 'FAIL  kernel', 'VFIO-115', MODE)
    machine.says('check-plain', 'FAIL  iommu', 'VFIO-113', f'unsafe-noiommu:{EDU}')
    machine.says('check-user', 'FAIL  privilege', 'VFIO-117', 'FAIL  node', 'noiommu-')
    machine.says('check-machine', 'FAIL  iommu', 'VFIO-113')
    ready = machine.step('check')
    assert ready.code in (0, 3) and 'FAIL' not in ready.text and 'PASS  privilege' in ready.text
    assert 'PASS  taint' in ready.text      # to look is not to use
    tainted = machine.step('check-tainted')
    assert tainted.code == 3 and 'WARN  taint' in tainted.text


# ---- using it -----------------------------------------------------------------------------------

def test_edu(machine):
    text = machine.right('edu')
    assert '(noiommu)' in text and '(MSI)' in text and 'MATCH' in text
    assert '(INTx)' in machine.right('intx')


def test_api(machine):
    text = machine.step('api').text
    assert machine.step('api').code == 0, text
    assert int(re.search(r'PASSED  \] (\d+) test', text).group(1)) >= 9


def test_identify(machine):
    controller = json.loads(machine.right('identify'))['controller']
    assert controller['model'] == 'QEMU NVMe Ctrl'


def test_without_huge_pages(machine):
    """What a page is enough for works; what it is not enough for says what would help."""
    machine.says('large', 'VFIO-514', 'nr_hugepages')
    controller = json.loads(machine.right('without-pages'))['controller']
    assert controller['model'] == 'QEMU NVMe Ctrl'
    bench = json.loads(machine.right('shallow'))['bench']
    assert 63 <= bench['depth'] <= 200 and bench['reads'] and bench['writes']
    assert 'compared: the same' in machine.right('in-pages')


def test_conformance(machine):
    """But for memory, such a device does what it does elsewhere."""
    assert int(re.search(r'PASSED  \] (\d+) test', machine.right('rows')).group(1)) >= 70


def test_copies(machine):
    assert 'compared: the same' in machine.right('copy-in')
    assert 'the same' in machine.right('copy-out')
    assert machine.disk[1 << 20:(1 << 20) + len(FILE)] == FILE
    assert 'is reset, and ready' in machine.right('reset')


@pytest.mark.parametrize('name', ['interrupts', 'polled', 'mixed'])
def test_benchmarks(machine, name):
    bench = json.loads(machine.right(name))['bench']
    assert bench['reads'] > 0
    assert (bench['writes'] > 0) == (name == 'mixed')


def test_a_disk_has_one_user(machine):
    machine.says('busy', 'VFIO-105', 'in use by process')


# ---- behind a server ----------------------------------------------------------------------------

def test_served(machine):
    """The client finds the addresses of its own memory; vfiod compares."""
    log = machine.right('served-log')
    assert 'MATCH' in machine.right('served-edu'), log
    assert 'compared: the same' in machine.right('served-nvme'), log
    assert machine.disk[4 << 20:(4 << 20) + len(FILE)] == FILE
    machine.says('served-user', 'VFIO-104')
    assert 'killed' not in log
