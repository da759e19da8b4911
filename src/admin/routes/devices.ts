import type { EventDetails } from '../../audit/admin-event.js'
import { checkReportTime, type DeviceReport, lastSeenMs } from '../../device/device-report.js'
import { Fields } from '../../schema/fields.js'
import { changes, empty, issuerOf, issuerOfAnyTime, json, pageOf, refuse } from '../asked.js'
import type { DeviceName, PortProblem } from '../ports.js'
import { change, NONE, question, type Route } from '../route.js'
import {
  BulkAnswerSchema,
  BulkDevicesSchema,
  DeviceAnswerSchema,
  DevicePageSchema,
  DeviceQuerySchema,
  DevicesQuerySchema,
  PutDeviceSchema,
  RemoveDeviceQuerySchema,
} from '../schemas/devices.js'
import { DeviceIdSchema } from '../schemas/terms.js'

const OneDevice = Fields({ id: DeviceIdSchema })
const BULK_BYTES = 4 * 1024 * 1024
const MAX_PROBLEMS = 200
const REPORT = {
  managed: true,
  osPatched: true,
  diskEncrypted: true,
  firewall: true,
  antivirus: true,
  jailbroken: false,
}

export const DEVICE_ROUTES: readonly Route[] = [
  question(
    {
      method: 'GET',
      path: '/v1/devices',
      summary: 'The inventory of devices.',
      params: NONE,
      query: DevicesQuerySchema,
      body: NONE,
      answer: { status: 200, schema: DevicePageSchema },
    },
    ({ query, ports }) => json(ports.devices.list(pageOf(query))),
  ),
  change(
    {
      method: 'POST',
      path: '/v1/devices',
      action: 'device.report-many',
      summary: 'Reports many devices: nothing is taken of a list with something wrong in it.',
      params: NONE,
      query: NONE,
      body: BulkDevicesSchema,
      list: 'devices',
      bodyBytes: BULK_BYTES,
      answer: { status: 200, schema: BulkAnswerSchema },
      example: { reason: 'nightly import', devices: [{ id: 'laptop-7', ...REPORT }] },
    },
    ({ body: { reason, devices }, actor, ports, nowMs }) => {
      const problems: PortProblem[] = []
      const seen = new Set<string>()
      const reports: (DeviceName & { readonly report: DeviceReport })[] = []
      for (const [index, { id, issuer: given, ...report }] of devices.entries()) {
        if (problems.length >= MAX_PROBLEMS) break
        const at = ['devices', index] as const
        problems.push(...problemsOfTime(report, nowMs, at))
        const issuer = issuerOf(given, ports, [...at, 'issuer'])
        if (!issuer.ok) {
          problems.push(...issuer.problems)
          continue
        }
        const name = JSON.stringify([issuer.value, id])
        if (seen.has(name)) {
          const message = 'the same device stands further up'
          problems.push({ pointer: [...at, 'id'], code: 'device-twice', message })
        }
        seen.add(name)
        reports.push({ id, issuer: issuer.value, report })
      }
      if (problems.length > 0) return refuse(...problems)
      const resourceId = reports.length === 1 ? deviceText(reports[0]) : `${reports.length} devices`
      const [first] = reports
      const details = {
        count: reports.length,
        ...(reports.length === 1 && first ? factsOf(first.report) : { ids: reports.map(({ id }) => id) }),
      }
      return changes(resourceId, reason, details, () => json(ports.devices.putAll(reports, actor)))
    },
  ),
  question(
    {
      method: 'GET',
      path: '/v1/devices/:id',
      summary: 'One device with its posture.',
      params: OneDevice,
      query: DeviceQuerySchema,
      body: NONE,
      answer: { status: 200, schema: DeviceAnswerSchema },
    },
    async ({ params: { id }, query, ports }) => {
      const issuer = issuerOf(query.issuer, ports)
      return issuer.ok ? json(ports.devices.get({ id, issuer: issuer.value })) : issuer
    },
  ),
  change(
    {
      method: 'PUT',
      path: '/v1/devices/:id',
      action: 'device.report',
      summary: 'Reports a device, which is made known by it.',
      params: OneDevice,
      query: DeviceQuerySchema,
      body: PutDeviceSchema,
      answer: { status: 200, schema: DeviceAnswerSchema },
      example: { ...REPORT, ownership: 'Corporate', reason: 'enrolled' },
    },
    ({ params: { id }, query, body: { reason, ...report }, actor, ports, nowMs }) => {
      const problems = problemsOfTime(report, nowMs, [])
      if (problems.length > 0) return refuse(...problems)
      const issuer = issuerOf(query.issuer, ports)
      if (!issuer.ok) return issuer
      const device = { id, issuer: issuer.value }
      return changes(deviceText(device), reason, factsOf(report), () =>
        json(ports.devices.put(device, report, actor)),
      )
    },
  ),
  change(
    {
      method: 'DELETE',
      path: '/v1/devices/:id',
      action: 'device.remove',
      summary: 'Takes a device out of the inventory: it is unknown from then on.',
      params: OneDevice,
      query: RemoveDeviceQuerySchema,
      body: NONE,
      answer: { status: 204 },
    },
    ({ params: { id }, query: { issuer: given, reason }, actor, ports }) => {
      const issuer = issuerOfAnyTime(given, ports)
      if (!issuer.ok) return issuer
      const device = { id, issuer: issuer.value }
      return changes(deviceText(device), reason, {}, () => empty(ports.devices.remove(device, actor)))
    },
  ),
]

function problemsOfTime(report: DeviceReport, nowMs: number, at: PortProblem['pointer']): PortProblem[] {
  const problem = checkReportTime(lastSeenMs(report, nowMs), nowMs)
  if (problem === undefined) return []
  return [{ pointer: [...at, 'lastSeen'], code: 'wrong-time', message: `\`lastSeen\` ${problem}` }]
}

/** What of a report decides; the rest is for people. */
function factsOf(report: DeviceReport): EventDetails {
  const { platform: _platform, model: _model, owner: _owner, ...facts } = report
  return facts
}

function deviceText(device: DeviceName | undefined): string {
  return device ? `${device.id} (${device.issuer})` : ''
}
