# SPDX-License-Identifier: MIT
"""Devices of uio_pci_generic: QEMU's edu and NVMe in a guest, as root; and what others are told."""

import random
import re
import sys

import pytest

sys.dont_write_bytecode = True
import guest  # noqa: E402

EDU = '0000:00:05.0'
NVME = '0000:00:06.0'
UNBOUND = '0000:00:07.0'
DISK = 4 << 20
PROGRAMS = (*guest.PROGRAMS, 'tests/guest/test-line')
FILE = random.Random(5).randbytes((256 << 10) + 123)

# root NAME COMMAND: a step of root's. A device whose addresses the IOMMU translates cannot be told
# physical ones: identity.
SCRIPT = f'''
root() {{
	echo "@begin $1"
	(cd /tmp; sh -c "$2") 2>&1
	code=$?
	echo
	echo "@end $1 $code"
}} > /dev/ttyS1 < /dev/null
for i in {EDU} {NVME}; do
	[ -e /sys/bus/pci/devices/$i/driver ] && echo $i > /sys/bus/pci/devices/$i/driver/unbind
	echo identity > /sys/bus/pci/devices/$i/iommu_group/type
	bind $i uio_pci_generic
done
ls -l /dev/uio*
echo 16 > /proc/sys/vm/nr_hugepages
step denied "edu-copy -d uio:{EDU} /small /tmp/out"
step unbound "lsvfio uio:{UNBOUND}"
root absent "lsvfio uio:0000:1f:00.0"
root name "lsvfio uio:edu"
root line "VFIO_DEVICE=uio:{EDU} test-line"
root lsvfio "lsvfio uio:{NVME}"
root edu "edu-copy -d uio:{EDU} /small /tmp/out && cmp /small /tmp/out"
root identify "vfio-nvme -d uio:{NVME} identify"
root rows "conformance open uio:{NVME}"
root copy-in "vfio-nvme -d uio:{NVME} copy-in --verify --offset 1M /file"
root copy-out "vfio-nvme -d uio:{NVME} copy-out -o 1M -s {len(FILE)} /tmp/back && cmp /file /tmp/back"
root refused ". /holding; refuse_others"
root killed ". /holding; kill_it; vfio-nvme -d uio:{NVME} identify"
mkdir -p /run/vfiod
vfiod --config /vfiod.conf > /tmp/log 2>&1 &
for i in $(seq 200); do [ -S /tmp/edu.sock -a -S /tmp/nvme.sock ] && break; sleep 0.1; done
root served-edu "edu-copy -d unix:edu.sock /small o && cmp /small o && edu-copy -d unix:edu.sock /small o"
root served-nvme "vfio-nvme -d unix:nvme.sock copy-in --verify --offset 2M /file"
kill $!; wait $!
root log "cat /tmp/log"
root taint "cat /run/libvfio/taint"
'''

VFIOD = f'''
[edu0]
device = uio:{EDU}
unsafe = yes
socket = /tmp/edu.sock
[nvme0]
device = uio:{NVME}
unsafe = yes
socket = /tmp/nvme.sock
'''

# A program that drives the disk is killed when it has bus mastering on; and what becomes of that. Others
# want a device that a program has: that one does not notice.
HOLDING = f'''
masters() {{
	command=$(od -An -tx1 -j4 -N1 /sys/bus/pci/devices/$1/config | tr -d ' ')
	[ $(( 0x$command & 4 )) = 4 ]
}}
become_master() {{
	for i in $(seq 200); do masters $1 && break; sleep 0.05; done
	masters $1 && echo it was master
}}
kill_it() {{
	vfio-nvme -d uio:{NVME} bench -t 60 > /dev/null &
	become_master {NVME}
	kill -KILL $!
	wait
	for i in $(seq 100); do masters {NVME} || break; sleep 0.05; done
	masters {NVME} || echo it is master no more
}}
refuse_others() {{
	head -c 20000 /file > more
	edu-copy -d uio:{EDU} more out &
	become_master {EDU}
	lsvfio uio:{EDU}
	masters {EDU} && echo it is master still
	wait $! && cmp more out && echo all was copied
}}
'''

DEVICES = (
    '-device', 'edu,bus=pcie.0,addr=5,dma_mask=0xffffffff',
    '-device', 'nvme,serial=guest,drive=disk,bus=pcie.0,addr=6',
    '-device', 'pci-testdev,bus=pcie.0,addr=7',
)


class Guest(guest.Boot):
    """One boot: the results of its steps."""

    def __init__(self, folder):
        disk = folder / 'disk'
        disk.write_bytes(bytes(DISK))
        self.steps, self.console = guest.boot(
            folder, ('-drive', f'file={disk},if=none,id=disk,format=raw', *DEVICES),
            {'file': FILE, 'small': FILE[:5000], 'holding': HOLDING.encode(),
             'vfiod.conf': VFIOD.encode()}, SCRIPT, PROGRAMS)


@pytest.fixture(scope='module')
def machine(tmp_path_factory):
    absent = guest.missing()
    if absent:
        pytest.skip(absent)
    return Guest(tmp_path_factory.mktemp('uio'))


def test_registers_and_interrupts(machine):
    text = machine.right('line')
    assert '[  PASSED  ]' in text and '[  FAILED  ]' not in text


def test_lsvfio(machine):
    assert NVME in machine.right('lsvfio')


def test_edu_copies(machine):
    text = machine.right('edu')
    assert '(uio)' in text and '(INTx)' in text


def test_nvme_copies(machine):
    assert 'NVMe' in machine.right('identify')
    assert 'compared: the same' in machine.right('copy-in')
    machine.right('copy-out')


def test_refused_program_does_no_harm(machine):
    text = machine.step('refused').text
    assert 'VFIO-105' in text and '(edu-copy)' in text, text
    assert 'it is master still' in text and 'all was copied' in text, text


def test_killed_program_leaves_no_bus_master(machine):
    text = machine.right('killed')
    assert 'it was master' in text and 'it is master no more' in text


def test_vfiod_serves_them(machine):
    """From inside its sandbox: registers, memory of the client's, interrupts to its eventfd."""
    log = machine.right('log')
    assert '(INTx)' in machine.right('served-edu'), log
    assert 'compared: the same' in machine.right('served-nvme'), log
    assert 'killed' not in log and 'ended' not in log, log


def test_who_may_not(machine):
    machine.says('denied', 'VFIO-117', 'CAP_SYS_RAWIO')


def test_not_bound(machine):
    machine.says('unbound', 'VFIO-111', f'driverctl set-override {UNBOUND} uio_pci_generic')


def test_names(machine):
    machine.says('absent', 'VFIO-103', '1f:00.0')
    machine.says('name', 'VFIO-101', 'uio:edu')


def test_record(machine):
    assert f'device={EDU} backend=uio' in machine.right('taint')


def test_conformance(machine):
    """What a virtual function of a model is held to, that of a real device does, too."""
    text = machine.right('rows')
    assert int(re.search(r'PASSED  \] (\d+) test', text).group(1)) >= 50, text
