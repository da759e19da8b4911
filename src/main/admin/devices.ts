import type { AdminPorts, DeviceName, Outcome, PortProblem } from '../../admin/ports.js'
import type { DeviceAnswer } from '../../admin/schemas/devices.js'
import type { DevicePolicy } from '../../device/device-policy.js'
import {
  checkReportTime,
  type DeviceReport,
  DEVICE_KEPT_MS,
  forgetOps,
  lastSeenMs,
  reportOps,
} from '../../device/device-report.js'
import { deviceFacts } from '../../device/device-facts.js'
import { deviceState } from '../../device/device-state.js'
import { type Static, Type } from '@sinclair/typebox'
import { Fields } from '../../schema/fields.js'
import { matchesShape } from '../../schema/shape.js'
import type { StateStore } from '../../state/store.js'
import { deviceKey } from '../../state/subjects.js'
import { AWAY, cursorIn, cursorOf, found, given, problem, refused, timeOf } from './answers.js'

export type DeviceParts = {
  readonly store: Pick<StateStore, 'read' | 'commit' | 'documents'>
  readonly policy: () => DevicePolicy
  readonly nowMs: () => number
}

/** What a document holds of a device: words for people. Facts are in its record alone. */
const DOCUMENT = Fields({
  issuer: Type.String(),
  id: Type.String(),
  platform: Type.Optional(Type.String()),
  model: Type.Optional(Type.String()),
  owner: Type.Optional(Type.String()),
})
type DeviceDocument = Static<typeof DOCUMENT>

/** Devices written by one transaction of the store at most. */
const BATCH = 500

/** The inventory over the store. Every replica knows a report before the answer to it. */
export function devicesPort({ store, policy, nowMs }: DeviceParts): AdminPorts['devices'] {
  const { documents } = store
  const answer = async (name: DeviceName, text: string | undefined): Promise<Outcome<DeviceAnswer>> => {
    const atMs = nowMs()
    const record = await store.read(deviceKey(name.issuer, name.id), atMs)
    if (record === 'unavailable') return AWAY
    const state = deviceState(record, policy(), atMs)
    if (!state.known && state.beganMs === undefined) return NO_DEVICE
    const { platform, model, owner } = (text === undefined ? undefined : parse(text)) ?? {}
    const { seenMs, ...facts } = deviceFacts(record)
    return found(
      given({
        issuer: name.issuer,
        id: name.id,
        ...facts,
        lastSeen: timeOf(seenMs),
        platform,
        model,
        owner,
        posture: state.posture,
        findings: state.findings.map(({ finding, points }) => ({ name: finding, points })),
        tier: state.tier?.name,
      }),
    )
  }
  const keep = async (
    devices: readonly (DeviceName & { readonly report: DeviceReport })[],
    atMs: number,
  ): Promise<boolean> => {
    for (let at = 0; at < devices.length; at += BATCH) {
      const batch = devices.slice(at, at + BATCH)
      // Written down first: a device that counts is listed.
      const listed = await Promise.all(
        batch.map(({ issuer, id, report: { platform, model, owner } }) =>
          documents.put(
            'devices',
            nameOf({ issuer, id }),
            JSON.stringify({ issuer, id, platform, model, owner }),
          ),
        ),
      )
      if (listed.includes('unavailable')) return false
      const deltas = batch.map(({ issuer, id, report }) => ({
        key: deviceKey(issuer, id),
        ops: reportOps(report, atMs),
        expiresAtMs: atMs + DEVICE_KEPT_MS,
      }))
      if ((await store.commit(deltas)) === 'unavailable') return false
    }
    return true
  }
  return {
    list: async ({ limit, cursor }) => {
      const page = await documents.list('devices', cursorIn(cursor), limit)
      if (page === 'unavailable') return AWAY
      const devices: DeviceAnswer[] = []
      for (const { text } of page.documents) {
        const name = parse(text)
        const shown = name && (await answer(name, text))
        if (shown?.ok) devices.push(shown.value)
        else if (shown?.status === 503) return AWAY
      }
      return found(given({ devices, next: cursorOf(page) }))
    },
    get: async (name) => {
      const stored = await documents.get('devices', nameOf(name))
      return stored === 'unavailable' ? AWAY : answer(name, stored?.text)
    },
    put: async (name, report) => {
      const atMs = nowMs()
      const wrong = problemOfTime(report, atMs, [])
      if (wrong) return refused(400, wrong)
      if (!(await keep([{ ...name, report }], atMs))) return AWAY
      const stored = await documents.get('devices', nameOf(name))
      return stored === 'unavailable' ? AWAY : answer(name, stored?.text)
    },
    putAll: async (devices) => {
      const atMs = nowMs()
      const names = new Set<string>()
      const problems = devices.flatMap((device, index): PortProblem[] => {
        const name = nameOf(device)
        const twice = names.has(name)
          ? [problem([index, 'id'], 'duplicate-device', `the device ${device.id} is in the list twice`)]
          : []
        names.add(name)
        const wrong = problemOfTime(device.report, atMs, [index])
        return wrong ? [...twice, wrong] : twice
      })
      if (problems.length > 0) return refused(400, ...problems)
      return (await keep(devices, atMs)) ? found({ accepted: devices.length }) : AWAY
    },
    remove: async (name) => {
      const atMs = nowMs()
      const there = await documents.get('devices', nameOf(name))
      if (there === 'unavailable') return AWAY
      if (there === undefined) return NO_DEVICE
      const key = deviceKey(name.issuer, name.id)
      const deltas = [{ key, ops: forgetOps(atMs), expiresAtMs: atMs + DEVICE_KEPT_MS }]
      if ((await store.commit(deltas)) === 'unavailable') return AWAY
      return (await documents.remove('devices', nameOf(name))) === 'unavailable' ? AWAY : found(undefined)
    },
  }
}

const NO_DEVICE = refused(404, problem([], 'unknown-device', 'the inventory has no such device'))

/** Two issuers may have devices of one id. Names of documents are bounded, ids of devices are too. */
function nameOf({ issuer, id }: DeviceName): string {
  return deviceKey(issuer, id)
}

function parse(text: string): DeviceDocument | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return matchesShape(DOCUMENT, value) ? value : undefined
  } catch {
    return undefined
  }
}

function problemOfTime(
  report: DeviceReport,
  nowMs: number,
  at: PortProblem['pointer'],
): PortProblem | undefined {
  const wrong = checkReportTime(lastSeenMs(report, nowMs), nowMs)
  return wrong === undefined
    ? undefined
    : problem([...at, 'lastSeen'], 'impossible-time', `\`lastSeen\` ${wrong}`)
}
