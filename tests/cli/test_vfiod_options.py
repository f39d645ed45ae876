# SPDX-License-Identifier: MIT
"""vfiod: options and configuration."""

import json
import os
import pwd
import re

import pytest

from conftest import BUILD, IS_ROOT
from vfiod_client import run


# ---- options ---------------------------------------------------------------------------------

OPTIONS = ['device', 'socket-path', 'fd', 'config', 'check-config', 'control', 'user', 'timeout',
           'policy', 'unsafe', 'print-policy', 'print-capabilities', 'quiet', 'verbose', 'help', 'version']


@pytest.mark.parametrize('option', ['-h', '--help'])
def test_help(option):
    done = run(option)
    assert (done.returncode, done.stderr) == (0, '')
    told = re.findall(r'--([a-z-]+)', done.stdout.split('vfio-user.\n', 1)[1])
    assert told[:len(OPTIONS)] == OPTIONS
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize('option', ['-V', '--version'])
def test_version(option):
    done = run(option)
    assert done.returncode == 0
    assert re.fullmatch(r'vfiod \d+\.\d+\.\d+\n', done.stdout)


def test_print_capabilities():
    done = run('--print-capabilities')
    assert done.returncode == 0
    capabilities = json.loads(done.stdout)
    assert capabilities['type'] == 'vfio-user'
    assert 'vfiod ' + capabilities['version'] + '\n' == run('-V').stdout


@pytest.mark.parametrize('arguments, problem', [
    (['--nonsense'], 'nonsense'),
    (['--device'], 'argument'),
    (['extra'], 'extra'),
    (['--device', 'edu'], '--socket-path'),
    (['--socket-path', '/tmp/x.sock'], '--device'),
    (['--fd', '0'], '--device'),
    (['--device', 'edu', '--socket-path', '/tmp/x.sock', '--fd', '0'], 'exclude'),
    (['--device', 'edu', '--socket-path', '/tmp/x.sock', '--config', 'f'], 'exclude'),
    (['--device', 'edu', '--socket-path', '/tmp/x.sock', '--check-config'], 'exclude'),
    (['--device', 'edu', '--socket-path', '/tmp/x.sock', '--print-policy'], 'exclude'),
    (['--device', 'edu', '--socket-path', ''], 'empty'),
    (['--device', '', '--socket-path', '/tmp/x.sock'], 'device string'),
    (['--device', ',a=b', '--socket-path', '/tmp/x.sock'], 'device string'),
    (['--device', 'edu', '--fd', 'three'], 'three'),
    (['--device', 'edu', '--fd', '-1'], '-1'),
    (['--device', 'edu', '--fd', '99999999999'], '99999999999'),
    (['--device', 'edu', '--fd', '777'], 'no such descriptor'),
    (['--unsafe'], '--device'),
    (['--unsafe', '--config', 'f'], '--device'),
    (['--device', 'edu', '--socket-path', '/tmp/x.sock', '--unsafe'], "not for: edu"),
    (['--device', 'uio:0000:03:00.0', '--socket-path', '/tmp/x.sock'], 'it takes --unsafe'),
    (['--device', 'unsafe-noiommu:03:00.0', '--socket-path', '/tmp/x.sock'], 'it takes --unsafe'),
    (['--timeout', '0'], 'milliseconds'),
    (['--timeout', '600001'], 'milliseconds'),
    (['--timeout', '5s'], 'milliseconds'),
])
def test_usage_errors(arguments, problem):
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, '')
    assert problem in done.stderr
    assert '--help' in done.stderr


# ---- configuration ---------------------------------------------------------------------------

# A user that device processes may run as, whoever runs this.
USER = 'daemon' if IS_ROOT else pwd.getpwuid(os.getuid()).pw_name
GOOD = '[edu0]\ndevice = edu\nsocket = /tmp/never-made.sock\n'


@pytest.fixture
def check(directory):
    """Runs --check-config on a text; returns the exit status and what was said, by line number."""
    def checker(text):
        path = directory / 'vfiod.conf'
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        done = run('--config', path, '--check-config')
        assert done.stdout == ''
        said = re.findall(r'vfiod\.conf:(?:(\d+):)? (.*)', done.stderr)
        return done.returncode, [(int(line or 0), what) for line, what in said]
    return checker


@pytest.mark.parametrize('text', [
    GOOD,
    '\n; comment\n# comment\n' + GOOD + 'mode = 0666 ; remark\nowner=0\ngroup = daemon\n',
    f'[vfiod]\nuser = {USER}\ncontrol = /tmp/x.control\ntimeout = 100\n' + GOOD,
    GOOD + '[' + 'a' * 64 + '] # remark\n  device = edu,dma_mask=0xffff\n\tsocket: /tmp/2.sock\r\n',
    GOOD + 'unsafe = no\n',
    GOOD + 'audit = refuse\n',
    '[vfiod]\naudit = warn\n' + GOOD,
    GOOD.replace('= edu', '= uio:0000:03:00.0') + 'unsafe = yes\n',
    GOOD.replace('= edu', '= unsafe-noiommu:0000:03:00.0') + 'unsafe = yes\n',
    GOOD + '[Vfiod.-_9]\ndevice = edu\nsocket = /' + 's' * 106,
    '; gr\u00fc\u00dfe\n' + GOOD.replace('/tmp/', '/tmp/ger\u00e4t/'),
])
def test_good_configuration(check, text):
    status, said = check(text)
    assert status == 0, said


BAD = [
    ('', 0, 'nothing to serve'),
    ('[vfiod]\n', 0, 'nothing to serve'),
    (GOOD + 'colour = red\n', 4, "'colour' is unknown: allowed are device, socket"),
    (GOOD + '[vfiod]\ndevice = edu\n', 5, "'device' is unknown: allowed are user, control"),
    (GOOD + '[edu0]\n', 4, 'in line 1'),
    ('[vfiod]\n[vfiod]\n' + GOOD, 2, 'in line 1'),
    (GOOD + 'device = edu\n', 4, "'device' is there already"),
    (GOOD + '[edu1]\ndevice = edu\nsocket = /tmp/never-made.sock\n', 4, "is [edu0]'s already"),
    ('[vfiod]\ncontrol = /tmp/never-made.sock\n' + GOOD, 3, 'control socket'),
    ('[edu0]\nsocket = /tmp/x.sock\n', 1, "no key 'device'"),
    ('[edu0]\ndevice = edu\n', 1, "no key 'socket'"),
    ('[edu0]\ndevice =\nsocket = /tmp/x.sock\n', 2, 'something must follow'),
    ('[edu0]\ndevice = edu\nsocket = x.sock\n', 3, 'absolute path'),
    ('[edu0]\ndevice = edu\nsocket = /' + 's' * 107 + '\n', 3, '107 bytes'),
    (GOOD + 'owner = no-such-user\n', 4, 'name or number of a user'),
    (GOOD + 'owner = -1\n', 4, 'name or number of a user'),
    (GOOD + 'owner = 4294967295\n', 4, 'name or number of a user'),
    (GOOD + 'group = no-such-group\n', 4, 'name or number of a group'),
    (GOOD + 'mode = 0888\n', 4, 'octal number'),
    (GOOD + 'mode = 01000\n', 4, 'octal number'),
    (GOOD + 'mode = rw\n', 4, 'octal number'),
    (GOOD + 'unsafe = maybe\n', 4, 'yes or no'),
    (GOOD + 'audit = yes\n', 4, 'off, warn or refuse'),
    ('[vfiod]\naudit =\n' + GOOD, 2, 'off, warn or refuse'),
    (GOOD + 'unsafe = yes\n', 1, "and not for 'edu'"),
    (GOOD.replace('= edu', '= uio:0000:03:00.0'), 1, "it takes 'unsafe = yes' in the section"),
    (GOOD.replace('= edu', '= unsafe-noiommu:03:00.0') + 'unsafe = no\n', 1,
     "it takes 'unsafe = yes' in the section"),
    ('[vfiod]\nunsafe = yes\n' + GOOD, 2, "'unsafe' is unknown: allowed are user"),
    ('[vfiod]\ntimeout = soon\n' + GOOD, 2, 'milliseconds'),
    ('device = edu\n' + GOOD, 1, 'before the first [section]'),
    (GOOD + 'nonsense\n', 4, 'neither [SECTION] nor KEY = VALUE'),
    (GOOD + '= value\n', 4, "'' is unknown"),
    (GOOD + '[edu1\n', 4, "']'"),
    (GOOD + '[edu1] device = edu\n', 4, 'no meaning'),
    (GOOD + '[]\n', 4, "section name ''"),
    (GOOD + '[a b]\n', 4, "section name 'a b'"),
    (GOOD + '[' + 'a' * 65 + ']\n', 4, '1 to 64'),
    (GOOD + '; ' + 'x' * 5000 + '\n', 4, 'longer than'),
    ((GOOD + 'mode = 0\0' + '600\n'), 4, 'control character'),
    (GOOD.encode() + b'owner = \xff\n', 4, 'UTF-8'),
]


@pytest.mark.parametrize('text, line, problem', BAD, ids=lambda value: repr(value)[-40:])
def test_bad_configuration(check, text, line, problem):
    status, said = check(text)
    assert status == 1
    assert any(at == line and problem in what for at, what in said), said
    assert said[-1] == (0, f'{len(said) - 1} error{"s" * (len(said) != 2)}, nothing is started')


def test_all_errors_are_reported_and_nothing_is_started(directory):
    config = directory / 'vfiod.conf'
    config.write_text(f'[good]\ndevice = edu\nsocket = {directory}/good.sock\n'
                      '[bad name]\n[bad]\nmode = 9\nnonsense\ncolour = red\n', encoding='utf-8')
    done = run('--config', config, VFIOD_RUNTIME_DIR=str(directory / 'run'))
    assert done.returncode == 1
    assert sorted(map(int, re.findall(r'vfiod\.conf:(\d+):', done.stderr))) == [4, 5, 5, 6, 7, 8]
    assert [path.name for path in directory.iterdir()] == ['vfiod.conf']


def test_too_many_devices(check):
    text = ''.join(f'[d{i}]\ndevice = edu\nsocket = /tmp/{i}.sock\n' for i in range(257))
    status, said = check(text)
    assert (status, said[0]) == (1, (769, 'more than 256 devices'))


def test_configuration_that_cannot_be_read(directory):
    for path, why in ((directory / 'missing', 'No such file'), (directory, 'directory')):
        done = run('--config', path)
        assert done.returncode == 1
        assert str(path) in done.stderr and why in done.stderr


def test_default_configuration_file():
    if os.path.exists('/etc/vfiod/vfiod.conf'):
        pytest.skip('this machine has a configuration of its own')
    assert '/etc/vfiod/vfiod.conf: cannot be opened' in run().stderr


@pytest.mark.parametrize('user, why', [('no-such-user', "no user 'no-such-user'"),
                                       ('root', 'may not run as root' if IS_ROOT else 'root')])
def test_bad_user(directory, user, why):
    done = run('--device', 'edu', '--socket-path', directory / 's', '--user', user)
    assert (done.returncode, list(directory.iterdir())) == (1, [])
    assert why in done.stderr


# ---- the name of the one device --------------------------------------------------------------

@pytest.mark.parametrize('path, name', [
    ('./nic.so', 'nic'), ('./nic.so,', 'nic'), ('./n ic.v2.so', 'n_ic.v2'),
    ('./n\u00efc.so', 'n__c'), ('./.so', '.so'), ('./' + 'n' * 80 + '.so', 'n' * 64),
])
def test_name_of_a_module_file(start, directory, path, name):
    """What a section could be called, wherever the file lies."""
    file = directory / path.rstrip(',')
    file.symlink_to(BUILD / 'devices' / 'edu' / 'edu.so')
    vfiod = start('--device', path, '--socket-path', 's', popen={'cwd': directory}).wait_ready()
    assert list(vfiod.devices()) == [name]
    assert f'vfiod: {name}: ready on ' in vfiod.log()
    with vfiod.control() as control:
        assert 'description' in control.call('describe', device=name)['parameters']
