import type { AdminPorts, DeviceName, Outcome, PortProblem } from '../../admin/ports.js'
import type { DeviceAnswer } from '../../admin/schemas/devices.js'
import type { DevicePolicy } from '../../device/device-policy.js'
import {
  checkReportTime,
  type DeviceReport,
  DEVICE_KEPT_MS,
  forgetOps,
  isReported,
  lastSeenMs,
  reportOps,
} from '../../device/device-report.js'
import { deviceFacts } from '../../device/device-facts.js'
import { deviceState } from '../../device/device-state.js'
import { type Static, Type } from '@sinclair/typebox'
import { Fields } from '../../schema/fields.js'
import { matchesShape } from '../../schema/shape.js'
import { EMPTY_RECORD, type StateRecord } from '../../state/record.js'
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

/** How often a report is made anew that somebody else's removal at the same time voided. */
const ATTEMPTS = 3

/**
 * The inventory over the store: records say what counts, documents list them. Every replica knows a report before the
 * answer to it. What is reported and removed at once leaves both or neither: whoever is last looks, and mends.
 */
export function devicesPort({ store, policy, nowMs }: DeviceParts): AdminPorts['devices'] {
  const { documents } = store
  const answer = async (name: DeviceName, text: string | undefined): Promise<Outcome<DeviceAnswer>> => {
    const atMs = nowMs()
    const record = await store.read(deviceKey(name.issuer, name.id), atMs)
    if (record === 'unavailable') return AWAY
    const state = deviceState(record, policy(), atMs)
    const { seenMs, ...facts } = deviceFacts(record)
    // Signals may have told of a device that nobody reported.
    if (!state.known && facts.compliant === undefined && facts.externalLevel === undefined) return NO_DEVICE
    const { platform, model, owner } = (text === undefined ? undefined : parse(text)) ?? {}
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
  const recordsOf = async (
    devices: readonly DeviceName[],
    atMs: number,
  ): Promise<readonly StateRecord[] | 'unavailable'> => {
    const records: StateRecord[] = []
    for (const record of await Promise.all(devices.map(async (device) => store.read(nameOf(device), atMs)))) {
      if (record === 'unavailable') return record
      records.push(record)
    }
    return records
  }
  const writeDown = async (devices: readonly Reported[]): Promise<boolean> => {
    const written = await Promise.all(
      devices.map((device) => documents.put('devices', nameOf(device), documentOf(device))),
    )
    return !written.includes('unavailable')
  }
  /** Those of a batch that a removal at the same time voided; undefined: the store is away. */
  const keepBatch = async (
    batch: readonly Reported[],
    atMs: number,
  ): Promise<readonly Reported[] | undefined> => {
    const before = await recordsOf(batch, atMs)
    // Written down first: a device that counts is listed.
    if (before === 'unavailable' || !(await writeDown(batch))) return undefined
    const deltas = batch.map(({ report, ...device }, index) => ({
      key: nameOf(device),
      ops: reportOps(report, atMs, before[index]),
      expiresAtMs: atMs + DEVICE_KEPT_MS,
    }))
    if ((await store.commit(deltas)) === 'unavailable') return undefined
    const after = await recordsOf(batch, atMs)
    if (after === 'unavailable') return undefined
    const listed = await Promise.all(batch.map((device) => documents.get('devices', nameOf(device))))
    if (listed.includes('unavailable')) return undefined
    if (!(await writeDown(batch.filter((_, index) => listed[index] === undefined)))) return undefined
    return batch.filter((_, index) => !isReported(after[index] ?? EMPTY_RECORD))
  }
  /** How many of the list, from its beginning, were taken; fewer than all where the store went away. */
  const keep = async (devices: readonly Reported[]): Promise<number> => {
    for (let at = 0; at < devices.length; at += BATCH) {
      let batch = devices.slice(at, at + BATCH)
      for (let attempt = 0; batch.length > 0 && attempt < ATTEMPTS; attempt++) {
        const left = await keepBatch(batch, nowMs())
        if (!left) return at
        batch = [...left]
      }
    }
    return devices.length
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
      if ((await keep([{ ...name, report }])) === 0) return AWAY
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
      const taken = await keep(devices)
      if (taken === devices.length) return found({ accepted: taken })
      const message = `the store of state is away: of ${devices.length} devices the first ${taken} were taken; send all of them again`
      return refused(503, problem([], 'state-unavailable', message))
    },
    remove: async (name) => {
      const atMs = nowMs()
      const there = await documents.get('devices', nameOf(name))
      const record = await store.read(nameOf(name), atMs)
      if (there === 'unavailable' || record === 'unavailable') return AWAY
      // What lost its document counts still.
      if (there === undefined && !isReported(record)) return NO_DEVICE
      const deltas = [{ key: nameOf(name), ops: forgetOps(atMs, record), expiresAtMs: atMs + DEVICE_KEPT_MS }]
      if ((await store.commit(deltas)) === 'unavailable') return AWAY
      if ((await documents.remove('devices', nameOf(name))) === 'unavailable') return AWAY
      const after = await store.read(nameOf(name), nowMs())
      if (after === 'unavailable') return AWAY
      if (!isReported(after)) return found(undefined)
      // Reported anew meanwhile.
      const text = there?.text ?? documentOf(name)
      return (await documents.put('devices', nameOf(name), text)) === 'unavailable' ? AWAY : found(undefined)
    },
  }
}

type Reported = DeviceName & { readonly report: DeviceReport }

function documentOf({ issuer, id, report }: DeviceName & { readonly report?: DeviceReport }): string {
  const { platform, model, owner } = report ?? {}
  return JSON.stringify({ issuer, id, platform, model, owner })
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
