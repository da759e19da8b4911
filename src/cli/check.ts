import type { Command } from 'commander'
import { authorize, type PolicyInForce, type Lookups } from '../authorize.js'
import type { Config } from '../config/config.js'
import type { Decision, Step } from '../decision/decision.js'
import { readAccessRequest } from '../ext-authz/read-access-request.js'
import type { Identified } from '../identity/identify.js'
import type { Identity } from '../identity/principal.js'
import type { ClaimMapping } from '../identity/user-claims.js'
import { NOWHERE } from '../risk/locate.js'
import { NOTHING_KNOWN } from '../state/recall.js'
import type { ListenerRules } from '../request/listener.js'
import { nearestName } from '../schema/nearest-name.js'
import { addCheckOptions, callOf, type CheckOptions, userOf, wrongUsage } from './check-options.js'
import { readConfig, refuse } from './config-file.js'
import { writeReportJson, writeReportText } from './decision-report.js'
import { supposeCaller } from './hypothetical-caller.js'
import { encodeHypotheticalCheck } from './hypothetical-check.js'
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

  const steps: Step[] = []
  const decision = await decideCall(options, surroundings, supposed.value, nowMs, steps)
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

/** The same way as a real Check, from bytes to decision; only the credentials are taken as verified. */
async function decideCall(
  options: CheckOptions,
  { policy, serviceTokenHeader }: Surroundings,
  who: Identity,
  nowMs: number,
  steps: Step[],
): Promise<Decision> {
  const read = readAccessRequest(encodeHypotheticalCheck(callOf(options)), serviceTokenHeader)
  if (!read.ok) {
    steps.push({ step: 'request', outcome: 'fail', detail: read.message })
    const { message } = read
    const { revision } = policy
    return {
      outcome: 'deny',
      reason: 'ambiguous-request',
      message,
      mode: 'Enforce',
      obligations: [],
      revision,
    }
  }
  const gateway = options.listenerRole === 'Gateway'
  const listener: ListenerRules = {
    name: 'check',
    role: options.listenerRole,
    peerIdentity: gateway ? 'None' : 'Certificate',
    principalTrustDomains: [],
    trustedProxies: new Map(),
    trustedHops: 0,
    mtls: options.mtls,
    target: gateway ? ['extension', 'route'] : ['extension'],
  }
  const question = { request: read.request, listener, asker: { spiffeId: undefined }, nowMs }
  const lookups: Lookups = {
    identify: () => identifyAs(who, listener, steps),
    recall: (keys) => ({ ...NOTHING_KNOWN, keys }),
    locate: () => NOWHERE,
  }
  return authorize(question, policy, lookups, steps)
}

function identifyAs(identity: Identity, listener: ListenerRules, steps: Step[]): Identified {
  const { workload, serviceToken, user } = identity
  if (!workload && listener.role === 'Sidecar' && listener.mtls === 'Strict') {
    const message = 'a Strict listener takes no call without a workload identity from mTLS'
    return { ok: false, refusal: { reason: 'certificate-required', message } }
  }
  const found = [
    workload && `workload ${workload.spiffeId.text}`,
    workload?.via && `forwarded by the proxy ${workload.via.spiffeId.text}`,
    serviceToken && `service token with ${serviceToken.scopes.join(' ')}`,
    user &&
      `user ${user.subject} of ${user.issuer}${user.roles.length > 0 ? ` (${user.roles.join(', ')})` : ''}`,
  ].filter((part) => part !== undefined)
  const detail = `${found.length > 0 ? found.join('; ') : 'nobody'}, taken as verified`
  steps.push({ step: 'identity', outcome: found.length > 0 ? 'pass' : 'info', detail })
  return { ok: true, identity }
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
