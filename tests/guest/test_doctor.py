# SPDX-License-Identifier: MIT
"""The doctor in a guest: lsvfio --check, --audit, --bind and --unbind, and the observer, on devices of
QEMU's and a kernel's own sysfs."""

import json
import os
import sys

import pytest

sys.dont_write_bytecode = True
import guest  # noqa: E402

EDU = '0000:00:05.0'
NVME = '0000:00:06.0'
UNBOUND = '0000:00:07.0'
PORT = '0000:00:08.0'
SHARING = '0000:01:01.0'     # in one group with the next
NEIGHBOUR = '0000:01:02.0'
NET = '0000:02:00.0'

# A program that has the disk until it is ended.
HOLDING = f'''
begin() {{
	vfio-nvme -d {NVME} bench -t 60 > /dev/null &
	for i in $(seq 200); do
		ls -l /proc/$!/fd | grep -q /dev/vfio && break
		sleep 0.1
	done
}}
end() {{
	kill -INT $! && echo still at work
	wait
}}
'''

# One of them cannot be reset, and is served all the same; another is not.
VFIOD = f'''
[edu0]
device = {EDU}
socket = /tmp/edu.sock
[nvme0]
device = {NVME}
socket = /tmp/nvme.sock
audit = refuse
[testdev0]
device = {UNBOUND}
socket = /tmp/testdev.sock
audit = refuse
'''

SCRIPT = f'''
root() {{
	echo "@begin $1"
	(sh -c "$2") 2>&1
	code=$?
	echo
	echo "@end $1 $code"
}} > /dev/ttyS1 < /dev/null
driver() {{
	echo "driver: $(basename $(readlink /sys/bus/pci/devices/$1/driver || echo none))"
}}
echo 4 > /proc/sys/vm/nr_hugepages
for i in {EDU} {NVME} {SHARING} {NET}; do bind $i vfio-pci; done
bind {NEIGHBOUR} uio_pci_generic
step denied "lsvfio --check --json {EDU}"
give
step good "lsvfio --check --json {EDU}"
step text "lsvfio --check --color=never {EDU} {UNBOUND}"
step machine "lsvfio --check --json"
step absent "lsvfio --check --json 0000:1f:00.0"
step unbound "lsvfio --check --json {UNBOUND}"
step uio "lsvfio --check --json uio:{NEIGHBOUR}"
root uio-root "lsvfio --check --json uio:{NEIGHBOUR}"
step unbound-open "edu-copy -d {UNBOUND} /small /tmp/out"
step blocked "lsvfio --check --json {SHARING}"
step blocked-open "edu-copy -d {SHARING} /small /tmp/out"
step busy ". /holding; begin; lsvfio --check --json {NVME}; code=\\$?; end; exit \\$code"
root observed ". /holding; begin; lsvfio --json sysfs:{NVME}; end"
step unprivileged "lsvfio --json sysfs:{NVME}"
for i in {EDU} {NVME} {NET} {PORT}; do root audit-$i "lsvfio --audit --json $i"; done
step audit-user "lsvfio --audit --json {NVME}"
step audit-node "lsvfio --audit --json \\$(basename /sys/bus/pci/devices/{NVME}/vfio-dev/*)"
step bind-user "lsvfio --bind {UNBOUND}"
root bind-dry "lsvfio --bind --dry-run {UNBOUND}"
root bind "lsvfio --bind {UNBOUND}"; driver {UNBOUND} > /tmp/bound
root bound "cat /tmp/bound"
root bind-undone "lsvfio --bind --driver=pcieport {UNBOUND}"; driver {UNBOUND} > /tmp/bound
root undone "cat /tmp/bound"
root unbind "lsvfio --unbind {UNBOUND}"; driver {UNBOUND} > /tmp/bound
root unbound-again "cat /tmp/bound"
root bind-bridge "lsvfio --bind --force {PORT}"
root bind-neighbour "lsvfio --bind {NEIGHBOUR}"
give
step free "lsvfio --check --json {SHARING}"
step free-open "edu-copy -d {SHARING} /small /tmp/out && cmp /small /tmp/out"
root unbind-busy ". /holding; begin; lsvfio --unbind {NVME}; code=\\$?; end; exit \\$code"
bind {UNBOUND} vfio-pci
mkdir -p /run/vfiod
vfiod --config /vfiod.conf > /tmp/log 2>&1 &
for i in $(seq 200); do
	[ $(grep -c -e 'edu0: ready' -e 'nvme0: ready' -e 'testdev0: did not' /tmp/log) = 3 ] && break
	sleep 0.1
done
root served "cat /tmp/log"
kill $!; wait $!
'''

DEVICES = (
    '-drive', 'file=null-co://,if=none,id=disk,format=raw',
    '-device', 'pcie-pci-bridge,id=bridge,bus=pcie.0,addr=4',
    '-device', 'edu,bus=bridge,addr=1', '-device', 'pci-testdev,bus=bridge,addr=2',
    '-device', 'edu,bus=pcie.0,addr=5',
    '-device', 'nvme,serial=guest,drive=disk,bus=pcie.0,addr=6',
    '-device', 'pci-testdev,bus=pcie.0,addr=7',
    '-device', 'pcie-root-port,id=upper,bus=pcie.0,addr=8,chassis=1',
    '-netdev', 'user,id=net', '-device', 'e1000e,netdev=net,bus=upper',
)


class Guest:
    """One boot: the results of its steps."""

    def __init__(self, folder):
        self.has_nodes = guest.Kernel().has_nodes()
        self.steps, self.console = guest.boot(
            folder, DEVICES, {'small': os.urandom(5000), 'holding': HOLDING.encode(),
                              'vfiod.conf': VFIOD.encode()}, SCRIPT)

    def step(self, name, code=0):
        assert name in self.steps, self.console[-3000:]
        assert self.steps[name].code == code, self.steps[name]
        return self.steps[name].text

    def device(self, name, code=0):
        """The one device of JSON that lsvfio has printed."""
        text = self.step(name, code)
        (device,) = json.loads(text[text.index('{'):text.rindex('}') + 1])['devices']
        return device

    def findings(self, name):
        """Those of --check or --audit, but for huge pages, which not every kernel has."""
        assert name in self.steps, self.console[-3000:]
        device = self.device(name, self.steps[name].code)
        assert self.steps[name].code == {'pass': 0, 'warn': 3, 'fail': 1}[device['verdict']]
        return [f for f in device['findings'] if f['topic'] != 'hugepages']

    def wrong(self, name):
        """The findings that are no PASS: verdict, topic, code; and the first of them."""
        bad = [f for f in self.findings(name) if f['verdict'] != 'pass']
        return [(f['verdict'], f['topic'], f['code']) for f in bad], bad[0] if bad else None


@pytest.fixture(scope='module', name='machine')
def machine_fixture(tmp_path_factory):
    why = guest.missing()
    if why:
        pytest.skip(why)
    return Guest(tmp_path_factory.mktemp('doctor'))


# ---- check --------------------------------------------------------------------------------------

def test_a_device_that_is_ready(machine):
    findings = machine.findings('good')
    assert {f['verdict'] for f in findings} == {'pass'}
    assert {'device', 'iommu', 'driver', 'group', 'node', 'holder', 'remapping', 'memlock',
            'taint'} == {f['topic'] for f in findings}
    node = 'vfio/devices/vfio' if machine.has_nodes else '/dev/vfio/'
    assert any(f['topic'] == 'node' and node in f['what'] for f in findings)
    assert machine.wrong('machine') == ([], None)
    assert 'PASS  iommu' in machine.step('text', 1)


def test_what_is_in_the_way(machine):
    wrong, first = machine.wrong('denied')
    assert set(wrong) == {('fail', 'node', 104)} and 'mode 06' in first['what']
    assert machine.wrong('absent')[0] == [('fail', 'device', 103)]
    wrong, first = machine.wrong('blocked')
    assert wrong == [('fail', 'group', 112)] and NEIGHBOUR in first['what']
    wrong, first = machine.wrong('busy')
    assert wrong == [('fail', 'holder', 105)] and '(vfio-nvme)' in first['what']


def test_uio(machine):
    """The IOMMU translates, so that memory cannot be had; but registers can."""
    wrong, _ = machine.wrong('uio')
    assert {w[:2] for w in wrong} == {('warn', 'iommu'), ('fail', 'privilege'), ('fail', 'node')}
    assert machine.wrong('uio-root')[0] == [('warn', 'iommu', 513)]


@pytest.mark.parametrize('name, code', [('unbound', 111), ('blocked', 112)])
def test_the_words_are_those_of_vfio_open(machine, name, code):
    _, first = machine.wrong(name)
    said = machine.step(name + '-open', 1)
    assert first['code'] == code and f'VFIO-{code}: ' + first['what'] in said
    assert first['remedy'] in said


# ---- the observer -------------------------------------------------------------------------------

def test_a_device_that_another_drives(machine):
    device = machine.device('observed')
    assert 'still at work' in machine.step('observed')
    assert device['backend'] == 'sysfs' and len(device['config']) == 2 * 4096
    sizes = {r['name']: r['size'] for r in device['regions']}
    assert sizes['BAR0'] == 16384 and sizes['config'] == 4096
    counts = {i['name']: i['count'] for i in device['irqs']}
    assert counts['MSI-X'] == 65 and counts['INTx'] == 1
    assert 'flr' in device['reset']['methods']


def test_without_privilege(machine):
    text = machine.step('unprivileged')
    assert 'the kernel shows only the first 64' in text


# ---- audit --------------------------------------------------------------------------------------

def test_audits(machine):
    assert machine.wrong(f'audit-{NVME}') == ([], None)
    assert machine.wrong(f'audit-{NET}') == ([], None)
    wrong, _ = machine.wrong(f'audit-{EDU}')
    assert ('fail', 'reset', 312) in wrong
    wrong, _ = machine.wrong(f'audit-{PORT}')
    assert wrong == [('fail', 'header', 121)]
    assert {f['verdict'] for f in machine.findings('audit-user')} == {'pass', 'warn'}


def test_the_audit_of_a_handle(machine):
    """The kernel's answers, by the device's own node."""
    if not machine.has_nodes:
        pytest.skip('the kernel has no device nodes')
    assert machine.wrong('audit-node') == ([], None)


def test_vfiod_audits(machine):
    log = machine.step('served')
    for name in ('edu0', 'testdev0'):
        assert f'{name}: audit: reset: VFIO-312: it cannot be reset' in log, log
    assert 'nvme0: audit' not in log and 'nvme0: ready' in log and 'edu0: ready' in log
    assert 'testdev0: it fails its audit' in log and 'testdev0: ready' not in log


# ---- bind ---------------------------------------------------------------------------------------

def test_bind(machine):
    assert f'as root: lsvfio --bind {UNBOUND}' in machine.step('bind-user', 1)
    assert f'echo {UNBOUND} > /sys/bus/pci/drivers_probe' in machine.step('bind-dry')
    assert f'driverctl set-override {UNBOUND} vfio-pci' in machine.step('bind')
    assert 'driver: vfio-pci' in machine.step('bound')


def test_a_driver_that_does_not_take_it(machine):
    assert 'has not taken it' in machine.step('bind-undone', 1)
    assert 'driver: vfio-pci' in machine.step('undone')


def test_unbind(machine):
    machine.step('unbind')
    assert 'driver: none' in machine.step('unbound-again')
    assert 'process' in machine.step('unbind-busy', 1)
    assert 'still at work' in machine.step('unbind-busy', 1)


def test_a_bridge_stays(machine):
    assert 'bridge' in machine.step('bind-bridge', 1)


def test_a_neighbour_that_is_given_away_too(machine):
    machine.step('bind-neighbour')
    assert machine.wrong('free') == ([], None)
    machine.step('free-open')
