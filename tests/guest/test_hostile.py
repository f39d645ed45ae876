# SPDX-License-Identifier: MIT
"""Hostile clients (hostile.c) of a vfiod that serves real devices: QEMU's edu, NVMe and e1000e, by each
road that the kernel has. The next client finds a device that works, and nothing is left behind."""

import os
import re
import sys

import pytest

sys.dont_write_bytecode = True
import guest  # noqa: E402
import record  # noqa: E402

EDU, NVME, NET = '0000:00:05.0', '0000:00:06.0', '0000:00:07.0'
DEVICES = {'edu0': EDU, 'nvme0': NVME, 'net0': NET}
SEED = os.environ.get('VFIO_HOSTILE_SEED', '1')
# Physical addresses are root's own, and so is what comes of garbage there.
ATTACKS = ('wanted features dirty interrupts maps {} many regions configuration garbage storm resets '
           'asleep')
PROGRAMS = (*guest.PROGRAMS, 'tests/guest/hostile')

# held: what the device processes have of descriptors and of locked memory. stay: a client that has all
# the memory that it may lock does not stand in the way of another device's, and is killed.
SCRIPT = '''
[ $ROAD = unsafe ] && step() {
	echo "@begin $1"
	(cd /tmp; sh -c "$2") 2>&1
	code=$?
	echo
	echo "@end $1 $code"
} > /dev/ttyS1 < /dev/null
echo Y > /sys/module/vfio/parameters/enable_unsafe_noiommu_mode
for i in $DEVICES; do
	[ $ROAD = unsafe -a $i != $NVME ] && bind $i uio_pci_generic || bind $i vfio-pci
done
[ $ROAD = group ] && rm -f /dev/iommu
echo 8 > /proc/sys/vm/nr_hugepages
mkdir -p /run/vfiod
(ulimit -l 65536; exec vfiod --config /vfiod.conf --user nobody) > /tmp/log 2>&1 &
vfiod=$!
for i in $(seq 300); do [ $(grep -c ready /tmp/log) -ge 3 ] && break; sleep 0.1; done
held() {
	for pid in $(lsvfio --no-pci --raw --noheadings -o PID); do
		echo $pid $(ls /proc/$pid/fd | wc -l) $(grep -E '^Vm(Lck|Pin)' /proc/$pid/status)
	done > /tmp/held
	step $1 "cat /tmp/held"
}
honest() {
	step $1 "edu-copy -d unix:edu0.sock /small o && cmp /small o && \
vfio-nvme -d unix:nvme0.sock copy-in --verify /small && hostile net0.sock 0 check && \
hostile edu0.sock 0 check && hostile nvme0.sock 0 check"
}
honest before
sleep 0.5
held held-before
for i in edu0 nvme0 net0; do step $i "hostile $i.sock $SEED $ATTACKS"; done
step stay "hostile edu0.sock 1 stay > stays & for i in \\$(seq 50); do grep -q stays stays && break; \
sleep 0.1; done; vfio-nvme -d unix:nvme0.sock copy-in --verify /small; code=\\$?; \
kill -KILL \\$!; exit \\$code"
honest after
sleep 0.5
held held-after
kill $vfiod; wait $vfiod
step log "cat /tmp/log"
dmesg > /tmp/dmesg; chmod 644 /tmp/dmesg
step dmesg "cat /tmp/dmesg"
'''

QEMU = (
    '-device', 'edu,bus=pcie.0,addr=5',
    '-device', 'nvme,serial=guest,drive=disk,bus=pcie.0,addr=6',
    '-netdev', 'user,id=net', '-device', 'e1000e,netdev=net,bus=pcie.0,addr=7',
)


def section(road, name, bdf):
    prefix = ('unsafe-noiommu:' if bdf == NVME else 'uio:') if road == 'unsafe' else ''
    more = 'unsafe = yes' if road == 'unsafe' else 'owner = user'
    return f'[{name}]\ndevice = {prefix}{bdf}\nsocket = /tmp/{name}.sock\n{more}\n'


class Guest(guest.Boot):
    """One boot: the results of its steps."""

    def __init__(self, road, folder):
        disk = folder / 'disk'
        disk.write_bytes(bytes(4 << 20))
        attacks = ATTACKS.format('physical' if road == 'unsafe' else 'registers')
        without = {'machine': record.QEMU[:record.QEMU.index('-device')], 'more': 'intel_iommu=off'}
        self.steps, self.console = guest.boot(
            folder, ('-drive', f'file={disk},if=none,id=disk,format=raw', *QEMU),
            {'small': bytes(range(256)) * 19,
             'vfiod.conf': ''.join(section(road, *d) for d in DEVICES.items()).encode()},
            f'ROAD={road}\nDEVICES="{EDU} {NVME} {NET}"\nNVME={NVME}\nSEED={SEED}\n'
            f'ATTACKS="{attacks}"\n' + SCRIPT, PROGRAMS, **(without if road == 'unsafe' else {}))


@pytest.fixture(scope='module', params=['group', 'cdev', 'unsafe'])
def machine(request, tmp_path_factory):
    if guest.missing():
        pytest.exit(guest.missing(), 77)     # meson's number for a test that was skipped
    if request.param != 'group' and not guest.Kernel().has_nodes():
        pytest.skip('this kernel has neither device nodes of VFIO nor a mode without an IOMMU: see '
                    'VFIO_GUEST_KERNEL')
    if request.param == 'unsafe' and not (guest.BUILD / 'tests/guest/test-line').exists():
        pytest.skip('built without devices that nothing isolates')
    return Guest(request.param, tmp_path_factory.mktemp(request.param))


@pytest.mark.parametrize('name', DEVICES)
def test_attacks(machine, name):
    """Each is answered, to its end, and never by the end of the connection."""
    text = machine.right(name)
    assert len(re.findall(r'^\w+: \d+ messages, \d+ done, 0$', text, re.M)) == 13, text


@pytest.mark.parametrize('name', ['before', 'after'])
def test_honest_clients(machine, name):
    text = machine.right(name)
    assert 'MATCH' in text and 'compared: the same' in text, text


def test_others_are_not_disturbed(machine):
    assert 'compared: the same' in machine.right('stay')


def test_nothing_is_left(machine):
    """The same processes, with as many descriptors and as much locked memory as before."""
    before = machine.right('held-before')
    assert before.count('VmPin: 0 kB') == 3, before
    assert machine.right('held-after') == before


def test_nobody_complains(machine):
    log, kernel = machine.right('log'), machine.right('dmesg')
    for word in ('killed', 'device process', 'could not', 'wants the device'):
        assert word not in log, log
    for word in ('WARNING:', 'BUG:', 'Call Trace', 'Oops', 'hung task'):
        assert word not in kernel, kernel[-5000:]
