# SPDX-License-Identifier: MIT
"""Devices that are taken away while a program drives them: by the button of their slot, by unbinding, by
sysfs, under a server; and one that reports an error. The programs are told, and leave in order."""

import json
import random
import re
import sys

import pytest

sys.dont_write_bytecode = True
import guest  # noqa: E402

PORT = '0000:00:05.0'
NVME = '0000:01:00.0'
EDU = '0000:02:00.0'
DISK = 16 << 20
FILE = random.Random(6).randbytes(1 << 20)      # a minute's work for QEMU's edu

SCRIPT = f'''
[ $ROAD = group ] && rm -f /dev/iommu
. /holding
mkdir -p /run/vfiod
for i in {NVME} {EDU}; do bind $i vfio-pci; done
give
step button ". /holding; hold vfio-nvme -d {NVME} bench -t 100; ask unplug-nvme; left"
root gone "until_gone {NVME}"
ask plug-nvme > /dev/ttyS1
root back "until_there {NVME}; bind {NVME} vfio-pci; give"
step after "vfio-nvme -d {NVME} copy-in --verify /file"
(sleep 3; echo {EDU} > /sys/bus/pci/drivers/vfio-pci/unbind; echo unbound > /tmp/unbound) &
step unbound ". /holding; hold edu-copy --intx -d {EDU} /file o; left"
wait
root bound "cat /tmp/unbound; bind {EDU} vfio-pci; give"
(sleep 3; echo 1 > /sys/bus/pci/devices/{NVME}/remove; echo removed > /tmp/removed) &
step removed ". /holding; hold vfio-nvme -d {NVME} bench -t 100 -Q 2; left"
wait
root rescanned "cat /tmp/removed; echo 1 > /sys/bus/pci/rescan; bind {NVME} vfio-pci; give"
[ -e /sys/bus/pci/devices/{PORT}/aer_rootport_total_err_nonfatal ] && \\
step error ". /holding; hold vfio-nvme -d {NVME} bench -t 100; ask error; left"
step recovered "vfio-nvme -d {NVME} identify"
serve
step served ". /holding; hold vfio-nvme -d unix:nvme.sock bench -t 100; ask unplug-nvme; left"
root served-gone "until_gone {NVME}"
until_given_up
ask plug-nvme > /dev/ttyS1
step listed "lsvfio --json"
kill $daemon; wait $daemon
root served-log "cat /tmp/log"
root served-back "until_there {NVME}; bind {NVME} vfio-pci"
serve
root idle "echo 1 > /sys/bus/pci/devices/{NVME}/remove"
until_given_up
kill $daemon; wait $daemon
root idle-log "cat /tmp/log"
give
step edu-button ". /holding; hold edu-copy -d {EDU} /file o; ask unplug-edu; left"
root edu-gone "until_gone {EDU}"
root log "dmesg"
'''

VFIOD = f'''
[nvme0]
device = {NVME}
socket = /tmp/nvme.sock
owner = user
[edu0]
device = {EDU}
socket = /tmp/edu.sock
owner = user
'''

# The user's part and root's. A program that has the device; its end: its exit code, and what it said.
HOLDING = '''
hold() {
	"$@" > out 2> err &
	pid=$!
	for i in $(seq 100); do
		ls -l /proc/$pid/fd 2> /dev/null | grep -Eq '/dev/vfio|socket' && break
		sleep 0.1
	done
	sleep 1
}
left() {
	wait $pid
	code=$?
	cat out
	echo "@error"
	cat err
	exit $code
}
ask() {
	echo
	echo "@host $1"
}
root() {
	echo "@begin $1"
	(eval "$2") 2>&1
	code=$?
	echo
	echo "@end $1 $code"
} > /dev/ttyS1 < /dev/null
until_gone() {
	for i in $(seq 300); do
		[ -e /sys/bus/pci/devices/$1 ] || return 0
		sleep 0.1
	done
	return 1
}
serve() {
	rm -f /tmp/nvme.sock
	(ulimit -l 65536; exec vfiod --config /vfiod.conf --user nobody) > /tmp/log 2>&1 &
	daemon=$!
	for i in $(seq 200); do
		[ $(grep -c 'ready on' /tmp/log) = 2 ] && break
		sleep 0.1
	done
}
until_given_up() {
	for i in $(seq 200); do
		grep -q 'given up' /tmp/log && break
		sleep 0.1
	done
}
until_there() {
	for i in $(seq 300); do
		[ -e /sys/bus/pci/devices/$1 ] && return 0
		sleep 0.1
	done
	return 1
}
'''

# Slots by PCI Express's own hot-plug, as in a machine: not by ACPI's.
DEVICES = (
    '-global', 'ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off',
    '-device', 'pcie-root-port,id=first,bus=pcie.0,addr=5,chassis=1,slot=1',
    '-device', 'nvme,id=nvme,serial=guest,drive=disk,bus=first',
    '-device', 'pcie-root-port,id=second,bus=pcie.0,addr=6,chassis=1,slot=2',
    '-device', 'edu,id=edu,bus=second',
)
ACTIONS = {
    'unplug-nvme': [('device_del', {'id': 'nvme'})],
    'plug-nvme': [('device_add', {'driver': 'nvme', 'id': 'nvme', 'serial': 'guest',
                                  'drive': 'disk', 'bus': 'first'})],
    'error': [('human-monitor-command',
               {'command-line': 'pcie_aer_inject_error first COMP_TIME'})],
    'unplug-edu': [('device_del', {'id': 'edu'})],
}


class Guest(guest.Boot):
    """One boot: the results of its steps."""

    def __init__(self, road, folder):
        disk = folder / 'disk'
        disk.write_bytes(bytes(DISK))
        drive = ('-drive', f'file={disk},if=none,id=disk,format=raw')
        self.steps, self.console = guest.boot(
            folder, drive + DEVICES,
            {'file': FILE, 'holding': HOLDING.encode(), 'vfiod.conf': VFIOD.encode()},
            f'ROAD={road}\n' + SCRIPT, actions=ACTIONS)

    def left(self, name, code, doing):
        """The program ended because of that event, and did something before that."""
        result = self.step(name)
        out, err = result.text.split('@error\n')
        assert result.code == 3, result
        assert re.match(rf'(vfio-nvme|edu-copy): {code}: ', err), result
        assert re.search(doing, out + err), result


@pytest.fixture(scope='module', params=['group', 'cdev'])
def machine(request, tmp_path_factory):
    if guest.missing():
        pytest.exit(guest.missing(), 77)     # meson's number for a test that was skipped
    if request.param == 'cdev' and not guest.Kernel().has_nodes():
        pytest.skip('this kernel has no device nodes of VFIO: see VFIO_GUEST_KERNEL')
    return Guest(request.param, tmp_path_factory.mktemp(request.param))


WANTED = 'VFIO-408'
MEASURED = r'ended by +the device is wanted back\n  reads +[1-9]'


def test_the_button_of_a_slot(machine):
    """The disk goes while it works, comes back, and works."""
    machine.left('button', WANTED, MEASURED)
    machine.right('gone')
    assert 'vfio-pci' in machine.step('back').text
    assert 'compared: the same' in machine.right('after')
    machine.left('edu-button', WANTED, r"after [1-9]\d* bytes, and 'o' was not written")
    machine.right('edu-gone')


def test_another_driver(machine):
    """Whoever unbinds a device waits until the program has left it."""
    machine.left('unbound', WANTED, r"after [1-9]\d* bytes, and 'o' was not written")
    assert 'unbound\n' in machine.step('bound').text


def test_removed_in_sysfs(machine):
    machine.left('removed', WANTED, MEASURED)
    assert 'removed\n' in machine.step('rescanned').text


def test_an_error(machine):
    """Of the port above the disk, which the kernel's recovery tells whoever uses what is below."""
    if 'error' not in machine.steps and guest.Kernel().has_nodes():
        pytest.skip('this kernel does not do AER')
    machine.left('error', 'VFIO-409', r'ended by +the device has reported an error\n  reads +[1-9]')
    assert 'QEMU NVMe Ctrl' in machine.right('recovered')


def test_under_a_server(machine):
    """The client is told; vfiod lets go of the device, with a client and without, and says so."""
    machine.left('served', WANTED, MEASURED)
    machine.right('served-gone')
    devices = json.loads(machine.right('listed'))['devices']
    assert {d['device']: d['state'] for d in devices if d['kind'] == 'vfiod'} == \
        {'nvme0': 'failed', 'edu0': 'ready'}
    machine.right('idle')
    for name in 'served-log', 'idle-log':
        log = machine.step(name).text
        assert 'the kernel wants the device back' in log
        assert 'given up' in log and 'killed' not in log


def test_the_kernel_did_not_have_to_wait(machine):
    """It asks each once: not again after ten seconds, and nobody was without a way to be told."""
    log = machine.right('log')
    asked = re.findall(r'Relaying device request to user \(#(\d+)\)', log)
    assert len(asked) >= 6 and set(asked) == {'0'}
    for complaint in 'blocked', 'No device request channel', 'Call Trace':
        assert complaint not in log
