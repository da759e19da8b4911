import type { DeviceAnswer } from '../../admin/schemas/devices.js'
import type { CliIo } from '../io.js'
import { styleOf } from '../style.js'
import { issuerColumn, sheet, table } from './table.js'
import { fullTime, relativeTime } from './times.js'

export function deviceTable(devices: readonly DeviceAnswer[], nowMs: number, io: CliIo): string {
  const { bad } = styleOf(io)
  return table<DeviceAnswer>(devices, [
    { title: 'ID', of: ({ id }) => id },
    ...issuerColumn(devices),
    { title: 'TIER', of: ({ tier }) => tier ?? '' },
    { title: 'POSTURE', of: ({ posture }) => (posture === undefined ? '' : String(posture)) },
    {
      title: 'FINDINGS',
      of: ({ findings = [] }) => findings.map(({ name }) => name).join(', '),
      mayBeCut: true,
      paint: (_, cell) => bad(cell),
    },
    { title: 'SEEN', of: ({ lastSeen }) => (lastSeen === undefined ? '' : relativeTime(lastSeen, nowMs)) },
    { title: 'OWNER', of: ({ owner }) => owner ?? '', mayBeCut: true },
  ])
}

export function deviceSheet(device: DeviceAnswer, nowMs: number): string {
  const { lastSeen, posture, findings } = device
  return sheet([
    ['id', device.id],
    ['issuer', device.issuer],
    ['managed', told(device.managed)],
    ['os patched', told(device.osPatched)],
    ['disk encrypted', told(device.diskEncrypted)],
    ['firewall', told(device.firewall)],
    ['antivirus', told(device.antivirus)],
    ['jailbroken', told(device.jailbroken)],
    ['compliant', told(device.compliant)],
    ['ownership', device.ownership],
    ['platform', device.platform],
    ['model', device.model],
    ['owner', device.owner],
    ['last seen', lastSeen === undefined ? undefined : fullTime(lastSeen, nowMs)],
    ['level from outside', device.externalLevel],
    ['posture', posture === undefined ? undefined : `${posture} of 100`],
    ['findings', findings && (findings.map(({ name, points }) => `${name} ${points}`).join(', ') || 'none')],
    ['tier', device.tier],
  ])
}

/** What nobody reported is not there. */
function told(fact: boolean | undefined): string | undefined {
  return fact === undefined ? undefined : fact ? 'yes' : 'no'
}
