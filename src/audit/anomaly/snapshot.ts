import { isJsonObject, type JsonObject, parseStrictJson } from '../../identity/strict-json.js'
import { Baseline } from './baseline.js'
import { newVolume } from './data-volume.js'
import type { Detector } from './detector.js'
import { newFanOut } from './fan-out.js'
import { type EdgeState, newEdges } from './first-seen-edge.js'
import { newLateral } from './lateral-movement.js'
import { isPlainNumber } from './numbers.js'
import { type HoursState, newHours } from './off-hours.js'
import { newUser, newWorkload, type UserState, type WorkloadState } from './subject-state.js'

const VERSION = 1
const KIND = 'portcullis-anomaly-baseline'

/**
 * What a detector has learned, as lines of JSON without line feeds: a head, then one a subject. The windows that are
 * being counted are not in it. Users and workloads are named in it.
 */
export function* snapshotLines(detector: Detector): Generator<string, undefined> {
  yield JSON.stringify({ kind: KIND, version: VERSION, startMs: detector.startMs ?? 0 })
  for (const state of detector.subjects()) yield JSON.stringify(lineOf(state))
}

function lineOf(state: UserState | WorkloadState): object {
  const learned = {
    usedMs: state.usedMs,
    calls: state.volume.calls.baseline.toJson(),
    accesses: state.volume.accesses.baseline.toJson(),
    breadth: state.fanOut.baseline.toJson(),
    refused: state.lateral?.baseline.toJson(),
  }
  if (state.kind === 'workload') {
    const { firstMs, known } = state.edges
    const edges = Object.fromEntries(Array.from(known, ([target, endpoints]) => [target, [...endpoints]]))
    return { workload: state.id, firstMs, ...learned, edges }
  }
  const { firstMs, seen, days, lastDay, oddDay } = state.hours
  const hours = Buffer.from(seen.buffer, seen.byteOffset, seen.byteLength).toString('base64')
  return {
    user: state.name.id,
    issuer: state.name.issuer,
    firstMs,
    ...learned,
    hours: { seen: hours, days, lastDay, oddDay },
  }
}

/** Takes one line of a snapshot; undefined, or why it can't be one. The head comes first. */
export function restoreLine(detector: Detector, line: string, isFirst: boolean): string | undefined {
  const parsed = parseStrictJson(line)
  if (!parsed.ok) return parsed.problem
  if (!isJsonObject(parsed.value)) return 'no JSON object'
  const json = parsed.value
  if (isFirst) {
    if (json['kind'] !== KIND) return 'no baseline: the first line has no `kind` of one'
    if (json['version'] !== VERSION) return `a baseline of another version than ${VERSION}`
    if (!isPlainNumber(json['startMs'])) return '`startMs` is missing'
    if (json['startMs'] > 0) detector.restoreStart(json['startMs'])
    return undefined
  }
  const state = stateOf(json)
  if (!state) return 'no subject of a baseline'
  detector.restore(state)
  return undefined
}

function stateOf(json: JsonObject): UserState | WorkloadState | undefined {
  const { user, issuer, workload, firstMs, usedMs, refused } = json
  const calls = Baseline.fromJson(json['calls'])
  const accesses = Baseline.fromJson(json['accesses'])
  const breadth = Baseline.fromJson(json['breadth'])
  const refusals = Baseline.fromJson(refused)
  if (!isPlainNumber(firstMs) || !isPlainNumber(usedMs) || !calls || !accesses || !breadth || !refusals) {
    return undefined
  }
  const learned = {
    volume: newVolume(calls, accesses),
    fanOut: newFanOut(breadth),
    ...(refused !== undefined && { lateral: newLateral(refusals) }),
  }
  if (typeof workload === 'string') {
    const edges = edgesOf(json['edges'], firstMs)
    return edges && newWorkload(workload, usedMs, { ...learned, edges })
  }
  if (typeof user !== 'string' || (issuer !== undefined && typeof issuer !== 'string')) return undefined
  const hours = hoursOf(json['hours'], firstMs)
  return hours && newUser(user, issuer, usedMs, { ...learned, hours })
}

function edgesOf(json: unknown, firstMs: number): EdgeState | undefined {
  if (!isJsonObject(json)) return undefined
  const edges = newEdges(firstMs)
  for (const [target, endpoints] of Object.entries(json)) {
    if (!Array.isArray(endpoints) || !endpoints.every((each) => typeof each === 'string')) return undefined
    edges.known.set(target, new Set(endpoints))
  }
  return edges
}

function hoursOf(json: unknown, firstMs: number): HoursState | undefined {
  if (!isJsonObject(json)) return undefined
  const { seen, days, lastDay, oddDay } = json
  const hours = newHours(firstMs)
  const bytes = typeof seen === 'string' ? Buffer.from(seen, 'base64') : Buffer.alloc(0)
  if (bytes.length !== hours.seen.byteLength) return undefined
  if (!isPlainNumber(days) || !isPlainNumber(lastDay) || !isPlainNumber(oddDay)) return undefined
  new Uint8Array(hours.seen.buffer).set(bytes)
  return { ...hours, days, lastDay, oddDay }
}
