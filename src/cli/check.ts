import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import type { PolicyInForce } from '../authorize.js'
import type { Config } from '../config/config.js'
import type { Decision, Step } from '../decision/decision.js'
import type { ClaimMapping } from '../identity/user-claims.js'
import { decideSupposed } from '../lifecycle/decide-supposed.js'
import { deviceInOrder, supposeDevice } from '../lifecycle/suppose-device.js'
import { supposeCaller } from '../lifecycle/suppose-caller.js'
import { callOf, userOf } from '../lifecycle/supposition.js'
import { NOWHERE } from '../risk/locate.js'
import { NOTHING_KNOWN } from '../state/recall.js'
import { EMPTY_RECORD, type StateRecord } from '../state/record.js'
import type { SubjectKeys } from '../state/subjects.js'
import { nearestName } from '../schema/nearest-name.js'
import { addCheckOptions, type CheckOptions, wrongUsage } from './check-options.js'
import { readConfig, refuse } from './config-file.js'
import { writeReportJson, writeReportText } from './decision-report.js'
import type { CliIo } from './io.js'
import { readPolicyDirectory } from './policy-directory.js'
import { styleOf } from './style.js'

/** `portcullis check`. */
export function register(program: Command, io: CliIo): void {
  const command = program
    .command('check')
    .description('the decision for one call that nobody made, step by step')
  addCheckOptions(command)
    .addHelpText(
      'after',
      '\nExit 0 when the call is allowed, 1 when it is denied or challenged.\n\nExample:\n  portcullis check --policy examples/mesh/policy --caller shop/checkout-service --target shop/payment-service \\\n    --method POST --path /api/payments --user alice --role payment-processor',
    )
    .action((options: CheckOptions) => check(options, io))
}

async function check(options: CheckOptions, io: CliIo): Promise<void> {
  const wrong = wrongUsage(options)
  if (wrong !== undefined) return refuseUsage(wrong, io)
  const surroundings = await loadSurroundings(options, io)
  if (!surroundings) return
  const { matrix } = surroundings.policy
  const nowMs = options.at ?? Date.now()
  const { caller, via, workloadScope: workloadScopes } = options
  const user = userOf(options, nowMs)
  const supposed = supposeCaller({ caller, via, workloadScopes, user }, matrix, surroundings.mapping)
  if (!supposed.ok) return refuseUsage(supposed.problem, io)
  hintAtName('--target', options.target, matrix.services, io)
  hintAtName('--caller', caller, matrix.services, io)
  hintAtName('--via', via, matrix.services, io)

  const device = await deviceOf(options, nowMs, io)
  if (!device) return
  const steps: Step[] = []
  const lookups = {
    recall: (keys: SubjectKeys) => ({ ...NOTHING_KNOWN, keys, device }),
    locate: () => NOWHERE,
    signals: false,
  }
  const { policy, serviceTokenHeader } = surroundings
  const who = supposed.value
  const decision = await decideSupposed(options, who, policy, lookups, serviceTokenHeader, nowMs, steps)
  const report = { decision, steps, asked: describeCall(options, decision) }
  io.stdout(options.output === 'json' ? writeReportJson(report) : writeReportText(report, styleOf(io)))
  io.exitCode = decision.outcome === 'allow' ? 0 : 1
}

/** What a configuration would give, or what holds without one. */
type Surroundings = {
  readonly policy: PolicyInForce
  readonly mapping: ClaimMapping
  readonly serviceTokenHeader: string
}

async function loadSurroundings(options: CheckOptions, io: CliIo): Promise<Surroundings | undefined> {
  let config: Config | undefined
  if (options.config !== undefined) {
    const loaded = await readConfig({ config: options.config }, io)
    if (!loaded) return undefined
    config = loaded.config
  }
  const policy = await readPolicyDirectory(options.policy ?? config?.policy.directory ?? 'policy', {
    localTrustDomain: options.trustDomain ?? config?.trustDomain ?? 'cluster.local',
    trustDomains: [...(config?.trustDomains.keys() ?? [])],
    hasPlaces: config ? config.geo !== undefined : undefined,
    hasDevices: config?.deviceInventory.enabled,
  })
  if (!policy.ok) {
    refuse(policy.problems, io)
    return undefined
  }
  return {
    policy: policy.policy,
    mapping: config?.userTokens.issuers.find((each) => each.issuer === options.issuer) ?? NO_MAPPING,
    serviceTokenHeader: config?.serviceTokens.header ?? 'x-service-token',
  }
}

const NO_MAPPING: ClaimMapping = { claims: new Map(), roles: [] }

/** The record of the user's device: in order unless the options say otherwise; undefined after telling what is wrong. */
async function deviceOf(
  { device }: CheckOptions,
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

function describeCall(options: CheckOptions, decision: Decision): string {
  const caller = decision.caller ?? options.caller ?? options.user ?? 'nobody'
  const target = decision.target ?? options.target ?? options.host ?? 'unknown target'
  const { http } = callOf(options)
  return `${caller} → ${target}  ${http ? `${http.method} ${http.path}` : `TCP ${options.port}`}`
}

function refuseUsage(problem: string, io: CliIo): void {
  io.stderr(`error: ${problem}\n`)
  io.exitCode = 2
}

function hintAtName(
  flag: string,
  name: string | undefined,
  services: ReadonlyMap<string, unknown>,
  io: CliIo,
): void {
  if (name === undefined || services.has(name) || name.startsWith('spiffe:')) return
  const near = nearestName(name, services.keys())
  io.stderr(`note: no document names ${flag} ${name}${near === undefined ? '' : `; did you mean ${near}?`}\n`)
}
