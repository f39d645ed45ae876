# SPDX-License-Identifier: MIT
"""What lspci, of the pciutils, says of a dump: capabilities, flags and numbers, by our names."""

import re
import subprocess

# A flag of lspci's under a label -> our register and field, where the field is not called the same.
HEADER = {
    'Control': ('Command', {
        'I/O': 'IO', 'Mem': 'Memory', 'SpecCycle': 'SpecialCycles', 'MemWINV': 'MemWrInvalidate',
        'ParErr': 'ParityError', 'FastB2B': 'FastBackToBack', 'DisINTx': 'INTxDisable'}),
    'Status': ('Status', {
        'Cap': 'CapabilityList', 'FastB2B': 'FastBackToBack', 'ParErr': 'MasterDataParity',
        '>TAbort': 'SignaledTargetAbort', '<TAbort': 'ReceivedTargetAbort',
        '<MAbort': 'ReceivedMasterAbort', '>SERR': 'SignaledSystemError',
        '<PERR': 'DetectedParityError'}),
    'Secondary status': ('SecondaryStatus', {
        'FastB2B': 'FastBackToBack', 'ParErr': 'MasterDataParity',
        '>TAbort': 'SignaledTargetAbort', '<TAbort': 'ReceivedTargetAbort',
        '<MAbort': 'ReceivedMasterAbort', '<SERR': 'ReceivedSystemError',
        '<PERR': 'DetectedParityError'}),
    'BridgeCtl': ('BridgeCtl', {
        'MAbort': 'MasterAbort', '>Reset': 'Reset', 'FastB2B': 'FastBackToBack',
        'PriDiscTmr': 'PrimaryDiscardTimer', 'SecDiscTmr': 'SecondaryDiscardTimer',
        'DiscTmrStat': 'DiscardTimerStatus', 'DiscTmrSERREn': 'DiscardTimerSERR'}),
}
CAPABILITIES = {
    'PM': {
        'Flags': ('PMC', {'PMEClk': 'Clock', 'DSI': 'DeviceSpecificInit'}),
        'Status': ('PMCSR', {'NoSoftRst': 'NoSoftReset', 'PME-Enable': 'PMEEnable',
                             'PME': 'PMEStatus'}),
    },
    'MSI': {'': ('Control', {'Maskable': 'VectorMask', '64bit': '64Bit'})},
    'MSI-X': {'': ('Control', {'Masked': 'FunctionMask'})},
    'AdvancedFeatures': {'AFCtrl': ('AFCtrl', {}), 'AFStatus': ('AFStatus', {})},
    'PCIExpress': {
        '': ('Cap', {}),
        'DevCtl': ('DevCtl', {'BrConfRtry': 'FLReset'}),
        'Enable': ('SltCtl', {}),
        'Control': ('SltCtl', {}),
        'Changed': ('SltSta', {'MRL': 'MRLChg', 'PresDet': 'PresDetChg'}),
        'RootCtl': ('RootCtl', {'ErrNon-Fatal': 'ErrNonFatal'}),
        'DevCap2': ('DevCap2', {'EmergencyPowerReductionInit': 'EmergPwrRedInit'}),
        'AtomicOpsCap': ('DevCap2', {
            'Routing': 'AtomicRouting', '32bit': 'AtomicComp32', '64bit': 'AtomicComp64',
            '128bitCAS': 'AtomicComp128'}),
        'AtomicOpsCtl': ('DevCtl2', {'ReqEn': 'AtomicReq'}),
        'LnkCtl2': ('LnkCtl2', {'EnterModifiedCompliance': 'EnterModCompliance'}),
        'LnkSta2': ('LnkSta2', {
            'EqualizationComplete': 'EqComplete', 'EqualizationPhase1': 'EqPhase1',
            'EqualizationPhase2': 'EqPhase2', 'EqualizationPhase3': 'EqPhase3',
            'LinkEqualizationRequest': 'LinkEqReq'}),
    },
    'SlotID': {'': ('Slot', {})},
    'DPC': {'DpcCap': ('DpcCap', {'DL_ActiveErr': 'DLActiveErr'}),
            'DpcCtl': ('DpcCtl', {'DL_ActiveErr': 'DLActiveErr'})},
    'VC': {
        'Arb': ('PortCap2', {}), 'Status': ('PortSta', {}), 'VC0 Caps': ('VC0Cap', {}),
        'VC0 Arb': ('VC0Cap', {}), 'VC0 Ctrl': ('VC0Ctl', {}),
        'VC0 Status': ('VC0Sta', {'InProgress': 'ArbTable'}),
    },
    'Multicast': {'McastCap': ('MCCap', {}), 'McastCtl': ('MCCtl', {})},
    'PTM': {'PTMCap': ('PTMCap', {}), 'PTMControl': ('PTMControl', {})},
}
# What lspci shows and the table has no field for, or has as a part of a wider one.
PASSED = {
    ('Header', 'UDF'), ('PM', 'PM'), ('PM', 'B3'), ('MSI', 'Masked'),
    ('PCIExpress', 'TPHComp'), ('PCIExpress', 'ExtTPHComp'),
}
# Contents of a vendor's structures, which the table leaves to the vendor.
PASSED_STRUCTURES = {'DVSEC', 'VSEC', 'VendorSpecific', 'HyperTransport'}

# Numbers: what to look for in the text of a structure, our register and field, base; a fourth
# element makes lspci's number of our value.
NUMBERS = {
    'Header': [
        (r'primary=(\w+)', 'PrimaryBus', '', 16), (r'secondary=(\w+)', 'SecondaryBus', '', 16),
        (r'subordinate=(\w+)', 'SubordinateBus', '', 16),
        (r'sec-latency=(\d+)', 'SecondaryLatency', '', 10),
        (r'Latency: (\d+)', 'LatencyTimer', '', 10),
        (r'Cache Line Size: (\d+)', 'CacheLineSize', '', 10, lambda v: 4 * v),
        (r'routed to IRQ (\d+)', 'InterruptLine', '', 10),
        (r'pin ([A-D])', 'InterruptPin', '', 36, lambda v: v + 9),
    ],
    'PM': [
        (r'management version (\d)', 'PMC', 'Version', 10),
        (r'Status: D(\d)', 'PMCSR', 'PowerState', 10),
        (r'DSel=(\d+)', 'PMCSR', 'DataSelect', 10), (r'DScale=(\d)', 'PMCSR', 'DataScale', 10),
    ],
    'MSI': [
        (r'Count=(\d+)/', 'Control', 'MultipleEnable', 10, lambda v: 1 << v),
        (r'Count=\d+/(\d+)', 'Control', 'MultipleCapable', 10, lambda v: 1 << v),
        (r'Address: \w*(\w{8}) ', 'Address', '', 16),
        (r'Address: (\w{8})\w{8} ', 'UpperAddress', '', 16),
        (r'Data: (\w+)', 'Data', '', 16), (r'Masking: (\w+)', 'Mask', '', 16),
        (r'Pending: (\w+)', 'Pending', '', 16),
    ],
    'MSI-X': [
        (r'Count=(\d+)', 'Control', 'TableSize-1', 10, lambda v: v + 1),
        (r'table: BAR=(\d)', 'Table', 'BAR', 10), (r'PBA: BAR=(\d)', 'Pending', 'BAR', 10),
        (r'table: BAR=\d offset=(\w+)', 'Table', 'Offset>>3', 16, lambda v: v << 3),
        (r'PBA: BAR=\d offset=(\w+)', 'Pending', 'Offset>>3', 16, lambda v: v << 3),
    ],
    'PCIExpress': [
        (r'Express \(v(\d+)\)', 'Cap', 'Version', 10), (r', MSI (\w\w)', 'Cap', 'IntMsgNum', 16),
        (r'DevCap:\s+MaxPayload (\d+)', 'DevCap', 'MaxPayload', 10, lambda v: 128 << v),
        (r'DevCap:.*PhantFunc (\d)', 'DevCap', 'PhantFunc', 10, lambda v: (1 << v) - 1),
        (r'MaxPayload (\d+) bytes, MaxReadReq', 'DevCtl', 'MaxPayload', 10, lambda v: 128 << v),
        (r'MaxReadReq (\d+)', 'DevCtl', 'MaxReadReq', 10, lambda v: 128 << v),
        (r'Port #(\d+)', 'LnkCap', 'Port', 10),
        (r'LnkCap:.*Width x(\d+)', 'LnkCap', 'Width', 10),
        (r'LnkSta:.*Width x(\d+)', 'LnkSta', 'Width', 10),
        (r'LnkCap:.*Speed ([\d.]+)GT', 'LnkCap', 'Speed', 0),
        (r'LnkSta:.*Speed ([\d.]+)GT', 'LnkSta', 'Speed', 0),
        (r'Target Link Speed: ([\d.]+)GT', 'LnkCtl2', 'TargetSpeed', 0, lambda v: v or 1),
        (r'RCB (\d+)', 'LnkCtl', 'RCB', 10, lambda v: 128 if v else 64),
        (r'Slot #(\d+)', 'SltCap', 'Slot', 10), (r'PME ReqID (\w+)', 'RootSta', 'PMEReqID', 16),
        (r'MaxEETLPPrefixes (\d)', 'DevCap2', 'MaxEETLPPrefixes', 10, lambda v: v or 4),
    ],
    'AGP': [
        (r'version (\d+)', 'Version', 'Major', 10), (r'version \d+\.(\d+)', 'Version', 'Minor', 10),
        (r'Status: RQ=(\d+)', 'Status', 'RQ-1', 10, lambda v: v + 1),
        (r'Command: RQ=(\d+)', 'Command', 'RQ-1', 10, lambda v: v + 1),
        (r'Status:.*Cal=(\d)', 'Status', 'Cal', 10), (r'Command:.*Cal=(\d)', 'Command', 'Cal', 10),
        (r'Status:.*ArqSz=(\d)', 'Status', 'ARQSZ', 10),
    ],
    'AER': [
        (r'First Error Pointer: (\w+)', 'AERCap', 'FirstErrPtr', 16),
        *[(rf'HeaderLog:(?: \w+){{{n}}} (\w+)', f'HeaderLog{n}', '', 16) for n in range(4)],
        (r'ERR_COR: (\w+)', 'ErrorSrcCor', '', 16), (r'FATAL: (\w+)', 'ErrorSrcFatal', '', 16),
        (r'IntMsg (\d+)', 'RootSta', 'IntMsgNum', 10),
    ],
    'VC': [
        (r'LPEVC=(\d)', 'PortCap1', 'LowPriVCs', 10),
        (r'PATOffset=(\w+)', 'VC0Cap', 'PATOffset>>4', 16),
        (r'PATEntryBits=(\d)', 'PortCap1', 'PATEntryBits', 10, lambda v: 1 << v),
        (r'MaxTimeSlots=(\d+)', 'VC0Cap', 'MaxTimeSlots-1', 10, lambda v: v + 1),
        (r' ID=(\d)', 'VC0Ctl', 'ID', 10), (r'TC/VC=(\w\w)', 'VC0Ctl', 'TC/VC', 16),
    ],
    'ARI': [(r'Next Function: (\d+)', 'ARICap', 'NextFunction', 10),
            (r'Function Group: (\d)', 'ARICtl', 'FunctionGroup', 10)],
    'ATS': [(r'Depth: (\w+)', 'ATSCap', 'QueueDepth', 16), (r'Unit: (\w+)', 'ATSCtl', 'STU', 16)],
    'SR-IOV': [
        (r'Message Number: (\w+)', 'IOVCap', 'IntMsgNum', 16),
        (r'Initial VFs: (\d+)', 'InitialVFs', '', 10), (r'Total VFs: (\d+)', 'TotalVFs', '', 10),
        (r'Number of VFs: (\d+)', 'NumVFs', '', 10), (r'Link: (\w+)', 'FunctionLink', '', 16),
        (r'VF offset: (\d+)', 'VFOffset', '', 10), (r'stride: (\d+)', 'VFStride', '', 10),
        (r'Device ID: (\w+)', 'VFDeviceID', '', 16),
        (r'Supported Page Size: (\w+)', 'SupportedPageSizes', '', 16),
        (r'System Page Size: (\w+)', 'SystemPageSize', '', 16),
        (r'BIR: (\d)', 'VFMigration', 'BAR', 10),
        (r'Migration: offset: (\w+)', 'VFMigration', 'Offset>>3', 16, lambda v: v << 3),
    ],
    'Multicast': [
        (r'MaxGroups (\d+)', 'MCCap', 'MaxGroup', 10, lambda v: v + 1),
        (r'NumGroups (\d+)', 'MCCtl', 'NumGroups-1', 10, lambda v: v + 1),
        (r'IndexPos (\d+)', 'Base', 'IndexPos', 10),
        (r'BaseAddr \w{8}(\w{5})000\n\s*McastRec', 'Base', 'Address>>12', 16),
        (r'IndexPos \d+, BaseAddr (\w{8})', 'BaseUpper', '', 16),
        (r'ReceiveVec: +\w{8}(\w{8})', 'Receive', '', 16),
        (r'ReceiveVec: +(\w{8})', 'ReceiveUpper', '', 16),
        (r'BlockAllVec: +\w{8}(\w{8})', 'BlockAll', '', 16),
        (r'BlockUntransVec: +\w{8}(\w{8})', 'BlockUntrans', '', 16),
    ],
    'PRI': [(r'Capacity: (\w+)', 'Capacity', '', 16), (r'Allocation: (\w+)', 'Allocation', '', 16)],
    'PASID': [(r'Width: (\w+)', 'PASIDCap', 'Width', 16)],
    'DPC': [
        (r'INT Msg #(\d+)', 'DpcCap', 'IntMsgNum', 10), (r'PIO Log (\d+)', 'DpcCap', 'RPPIOLog', 10),
        (r'Trigger:(\d)', 'DpcCtl', 'Trigger', 10), (r'Reason:(\w+)', 'DpcSta', 'Reason', 16),
        (r'TriggerExt:(\w+)', 'DpcSta', 'TriggerExt', 16), (r'Source:\s+(\w+)', 'Source', '', 16),
        (r'ErrPtr:(\w+)', 'DpcSta', 'RPPIOErrPtr', 16),
    ],
    'L1SS': [(r'RestoreTime=(\d+)us', 'L1SubCap', 'CommonModeRestore', 10),
             (r'T_CommonMode=(\d+)us', 'L1SubCtl1', 'CommonMode', 10)],
    'PTM': [(r'ClockGranularity: (\d+)ns', 'PTMCap', 'Granularity', 10),
            (r'EffectiveGranularity: (\d+)ns', 'PTMControl', 'Granularity', 10)],
    'VSEC': [(r'ID=(\w+)', 'Vendor', 'ID', 16), (r'Rev=(\w+)', 'Vendor', 'Rev', 10),
             (r'Len=(\w+)', 'Vendor', 'Length', 16)],
    'DVSEC': [(r'Vendor=(\w+)', 'Vendor', 'VendorID', 16), (r'ID=(\w+)', 'ID', '', 16),
              (r'Rev=(\d+)', 'Vendor', 'Rev', 10), (r'Len=(\d+)', 'Vendor', 'Length', 10)],
    'VendorSpecific': [(r'Len=(\w+)', 'Length', '', 16)],
    'SlotID': [(r'(\d+) slots', 'Slot', 'Slots', 10), (r'chassis (\w+)', 'Chassis', '', 16)],
}
SPEEDS = {'2.5': 1, '5': 2, '8': 3, '16': 4, '32': 5, '64': 6}

LABEL = re.compile(r'^\s*((?:[A-Z][A-Za-z0-9]*|Secondary status)):(?=\s|$)\s*')
FLAG = re.compile(r'(?<![\w?.])([<>]?[A-Za-z0-9_/.-]*[A-Za-z0-9_]):?([+-])(?=[\s,;)]|$)')


class Structure:
    """The header or a capability, as lspci shows it."""

    def __init__(self, base, version, text):
        self.base, self.version, self.lines = base, version, [text]

    def text(self):
        return '\n'.join(self.lines)

    def flags(self):
        """Each flag with the label that it stands under."""
        label = group = ''
        for number, line in enumerate(self.lines):
            line = re.sub(r'PME\([^)]*\)', '', line)
            while number and (found := LABEL.match(line)):
                label, line = found[1], line[found.end():]
                if re.fullmatch(r'VC\d', label):
                    group = label + ' '
                elif group:
                    label = group + label
            for name, sign in FLAG.findall(line):
                yield label, name, sign == '+'


def structures(path):
    """What lspci makes of a dump."""
    run = subprocess.run(['lspci', '-F', str(path), '-vvv'], capture_output=True, text=True,
                         timeout=30, check=True)
    # It forgets the end of one line, that of an endpoint's McastCap.
    text = run.stdout.replace('\t\tMcastCtl:', '\n\t\tMcastCtl:')
    found = [Structure(0, None, '')]
    for line in text.splitlines()[1:]:
        start = re.match(r'\tCapabilities: \[(\w+)(?: v(\d+))?\] (.*)', line)
        if start:
            found.append(Structure(int(start[1], 16), start[2] and int(start[2]), start[3]))
        else:
            found[-1].lines.append(line)
    return found


def check_flags(structure, name, values):
    """Every flag that lspci shows is a field with that value. Returns how many there were."""
    labels = HEADER if name == 'Header' else CAPABILITIES.get(name, {})
    count = 0
    for label, flag, is_set in structure.flags():
        if (name, flag) in PASSED or name in PASSED_STRUCTURES:
            continue
        register, fields = labels.get(label, (label, {}))
        if label == 'Status' and name == 'PCIExpress':
            register = 'SltSta'
        if (register, fields.get(flag, flag)) not in values and (label, flag) == ('Flags', 'D1'):
            register = 'PMC'
        key = register, fields.get(flag, flag)
        assert key in values, f'{name} at {structure.base:#x}: {label}: {flag} is no field'
        assert values[key] == is_set, f'{name} at {structure.base:#x}: {label}: {flag}'
        count += 1
    return count


def check_numbers(structure, name, values):
    """Every number of NUMBERS that lspci shows. Returns how many there were."""
    text, count = structure.text(), 0
    for pattern, register, field, base, *of_ours in NUMBERS.get(name, []):
        found = re.search(pattern, text)
        if not found or (register, field) not in values:
            continue
        theirs = int(found[1], base) if base else SPEEDS[found[1]]
        ours = values[register, field]
        ours = of_ours[0](ours) if of_ours else ours
        assert ours == theirs, f'{name} at {structure.base:#x}: {register}.{field}: {found[0]}'
        count += 1
    return count
