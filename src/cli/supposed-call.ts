import { readFile } from 'node:fs/promises'
import { readFileBounded } from '../adapters/files.js'
import type { Config } from '../config/config.js'
import type { Decision, Step } from '../decision/decision.js'
import type { Identity } from '../identity/principal.js'
import type { ClaimMapping } from '../identity/user-claims.js'
import { decideSupposed } from '../lifecycle/decide-supposed.js'
import type { Loaded } from '../lifecycle/explain/search.js'
import { explainWhy, type Why } from '../lifecycle/explain/why.js'
import { supposeCaller } from '../lifecycle/suppose-caller.js'
import { deviceInOrder, supposeDevice } from '../lifecycle/suppose-device.js'
import { callOf, type Supposition, userOf } from '../lifecycle/supposition.js'
import type { Policy } from '../policy/load-policy.js'
import type { PolicyFile } from '../policy/read-documents.js'
import { NOWHERE } from '../risk/locate.js'
import { nearestName } from '../schema/nearest-name.js'
import { NOTHING_KNOWN } from '../state/recall.js'
import { EMPTY_RECORD, type StateRecord } from '../state/record.js'
import type { SubjectKeys } from '../state/subjects.js'
import type { CheckOptions } from './check-options.js'
import { policyFolder, readConfig, refuse } from './config-file.js'
import type { CliIo } from './io.js'
import { readPolicyDirectory } from './policy-directory.js'

/** What a configuration would give, or what holds without one. */
export type Surroundings = {
  readonly loaded: Loaded
  readonly mapping: ClaimMapping
  readonly serviceTokenHeader: string
}

export type SurroundingsOptions = Pick<CheckOptions, 'config' | 'policy' | 'trustDomain'> & {
  readonly issuer: string
}

const NO_MAPPING: ClaimMapping = { claims: new Map(), roles: [] }
const MAX_FILE_BYTES = 16 * 1024 * 1024

/** The policy with the files it was read from; undefined after telling what is wrong. */
export async function loadSurroundings(
  options: SurroundingsOptions,
  io: CliIo,
): Promise<Surroundings | undefined> {
  let config: Config | undefined
  if (options.config !== undefined) {
    const read = await readConfig({ config: options.config }, io)
    if (!read) return undefined
    config = read.config
  }
  const directory = policyFolder(options.policy, config, io)
  if (directory === undefined) return undefined
  const loadOptions = {
    localTrustDomain: options.trustDomain ?? config?.trustDomain ?? 'cluster.local',
    trustDomains: [...(config?.trustDomains.keys() ?? [])],
    hasPlaces: config ? config.geo !== undefined : undefined,
    hasDevices: config?.deviceInventory.enabled,
  }
  const loaded = await readPolicyDirectory(directory, loadOptions)
  if (!loaded.ok) {
    refuse(loaded.problems, io)
    return undefined
  }
  const files: PolicyFile[] = []
  for (const file of new Set(loaded.sources.map(({ source }) => source.file))) {
    const read = await readFileBounded(file, MAX_FILE_BYTES)
    if (read.ok) files.push({ file, text: read.bytes })
  }
  const { policy, sources } = loaded
  return {
    loaded: { policy, sources, files, options: loadOptions },
    mapping: config?.userTokens.issuers.find((each) => each.issuer === options.issuer) ?? NO_MAPPING,
    serviceTokenHeader: config?.serviceTokens.header ?? 'x-service-token',
  }
}

export type Decided = {
  readonly decision: Decision
  readonly steps: readonly Step[]
  /** Searched for only when asked: it takes longer than the decision. */
  readonly why: () => Promise<Why>
}

/** Decides a call that nobody made; undefined after telling what is wrong with it. */
export async function decideCall(
  supposed: Supposition,
  { device, nowMs }: { readonly device: StateRecord; readonly nowMs: number },
  { loaded, mapping, serviceTokenHeader }: Surroundings,
  io: CliIo,
): Promise<Decided | undefined> {
  const { caller, via, workloadScope: workloadScopes } = supposed
  const { matrix } = loaded.policy
  const found = supposeCaller({ caller, via, workloadScopes, user: userOf(supposed, nowMs) }, matrix, mapping)
  if (!found.ok) {
    refuseUsage(found.problem, io)
    return undefined
  }
  for (const [flag, name] of [
    ['--target', supposed.target],
    ['--caller', caller],
    ['--via', via],
  ] as const)
    hintAtName(flag, name, matrix.services, io)
  const who: Identity = found.value
  const decideOn = async (policy: Policy, steps: Step[]): Promise<Decision> =>
    decideSupposed(supposed, who, policy, lookupsOf(device), serviceTokenHeader, nowMs, steps)
  const steps: Step[] = []
  const decision = await decideOn(loaded.policy, steps)
  const explained = { supposed, who, decision, serviceTokenHeader, nowMs }
  return { decision, steps, why: () => explainWhy(explained, loaded, (policy) => decideOn(policy, [])) }
}

function lookupsOf(device: StateRecord) {
  return {
    recall: (keys: SubjectKeys) => ({ ...NOTHING_KNOWN, keys, device }),
    locate: () => NOWHERE,
    signals: false,
  }
}

/** The record of the user's device: in order unless the options say otherwise; undefined after telling what is wrong. */
export async function deviceOf(
  { device }: Pick<CheckOptions, 'device'>,
  nowMs: number,
  io: CliIo,
): Promise<StateRecord | undefined> {
  if (device === undefined) return deviceInOrder(nowMs)
  if (device === 'unknown') return EMPTY_RECORD
  try {
    const supposed = supposeDevice(await readFile(device, 'utf8'), nowMs)
    if (supposed.ok) return supposed.record
    refuseUsage(`--device ${device}: ${supposed.problem}`, io)
  } catch (error) {
    refuseUsage(`--device: ${error instanceof Error ? error.message : String(error)}`, io)
  }
  return undefined
}

/** The body that the options give; `false` after telling why it can't be read. */
export async function bodyOf(
  { body, bodyFile }: Pick<CheckOptions, 'body' | 'bodyFile'>,
  io: CliIo,
): Promise<string | Uint8Array | undefined | false> {
  if (bodyFile === undefined) return body
  const read = await readFileBounded(bodyFile, MAX_FILE_BYTES)
  if (read.ok) return read.bytes
  refuseUsage(`--body-file: ${read.problem}`, io)
  return false
}

export function describeCall(supposed: Supposition, decision: Pick<Decision, 'caller' | 'target'>): string {
  const caller = decision.caller ?? supposed.caller ?? supposed.user ?? 'nobody'
  const target = decision.target ?? supposed.target ?? supposed.host ?? 'unknown target'
  const { http } = callOf(supposed)
  return `${caller} → ${target}  ${http ? `${http.method} ${http.path}` : `TCP ${supposed.port}`}`
}

export function refuseUsage(problem: string, io: CliIo): void {
  io.stderr(`error: ${problem}\n`)
  io.exitCode = 2
}

function hintAtName(
  flag: string,
  name: string | undefined,
  services: { has(name: string): boolean; keys(): Iterable<string> },
  io: CliIo,
): void {
  if (name === undefined || services.has(name) || name.startsWith('spiffe:')) return
  const near = nearestName(name, services.keys())
  io.stderr(`note: no document names ${flag} ${name}${near === undefined ? '' : `; did you mean ${near}?`}\n`)
}
