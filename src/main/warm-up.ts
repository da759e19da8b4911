import { setImmediate as nextTurn } from 'node:timers/promises'
import { writeSecurityEvent } from '../audit/security-event.js'
import { authorize, type Lookups, type PolicyInForce } from '../authorize.js'
import { type Check, type CheckParts, createCheck } from '../ext-authz/check.js'
import { encodeHypotheticalCheck } from '../lifecycle/encode-check.js'
import { supposeCaller } from '../lifecycle/suppose-caller.js'
import type { ListenerRules } from '../request/listener.js'
import { NOWHERE } from '../risk/locate.js'
import { NOTHING_KNOWN } from '../state/recall.js'

export type WarmUpParts = { readonly policy: PolicyInForce } & Pick<
  CheckParts,
  'serviceTokenHeader' | 'reply' | 'report' | 'nowMs' | 'clockUs'
>

/** Of a large policy; so many have come by everything. */
const MAX_SERVICES = 12
const ROUNDS = 3

const LISTENER: ListenerRules = {
  name: 'warm-up',
  role: 'Sidecar',
  peerIdentity: 'Certificate',
  principalTrustDomains: [],
  trustedProxies: new Map(),
  trustedHops: 0,
  mtls: 'Strict',
  target: ['extension'],
}
const CALL = { deadlineMs: undefined, asker: { spiffeId: undefined }, traceparent: undefined, waitedMs: 0 }

/**
 * Decides on calls that nobody made, from each service of the policy to each, so that what the first real call needs is
 * compiled by then. Nothing comes of it: no event, no figure, and nothing is learned, looked up or used up. Returns how
 * many were decided.
 */
export async function warmUp(parts: WarmUpParts): Promise<number> {
  const names = [...parts.policy.matrix.services.keys()].slice(0, MAX_SERVICES)
  const messages = names.map((target) =>
    encodeHypotheticalCheck({
      http: { method: 'GET', path: '/', host: target.split('/')[1] ?? '', headers: [['x-request-id', '0']] },
      target,
      sourceIp: '127.0.0.1',
      destinationPort: 8443,
    }),
  )
  let decided = 0
  for (let round = 0; round < ROUNDS; round++) {
    for (const caller of names) {
      const check = checkFrom(caller, parts)
      for (const message of check ? messages : []) {
        await check?.(message, CALL)
        decided++
      }
      // Probes are answered meanwhile.
      await nextTurn()
    }
  }
  return decided
}

/** Decides as on calls of this service. */
function checkFrom(
  caller: string,
  { policy, serviceTokenHeader, reply, report, nowMs, clockUs }: WarmUpParts,
): Check | undefined {
  const who = { caller, via: undefined, workloadScopes: undefined, user: undefined }
  const supposed = supposeCaller(who, policy.matrix, { claims: new Map(), roles: [] })
  if (!supposed.ok) return undefined
  const lookups: Lookups = {
    identify: () => ({ ok: true, identity: supposed.value }),
    recall: (keys) => ({ ...NOTHING_KNOWN, keys }),
    locate: () => NOWHERE,
    consume: () => 'unavailable',
    signals: false,
  }
  return createCheck({
    serviceTokenHeader,
    reply,
    report,
    nowMs,
    clockUs,
    listener: LISTENER,
    authorize: (request, asker, atMs) =>
      authorize({ request, listener: LISTENER, asker, nowMs: atMs }, policy, lookups),
    record: (event) => (writeSecurityEvent(event) === '' ? 'refused' : 'accepted'),
    learn: () => undefined,
    observe: () => undefined,
    usualTime: { note: () => undefined },
    shed: () => undefined,
    newDecisionId: () => '00000000-0000-7000-8000-000000000000',
    revision: () => policy.revision,
    mintAssertion: undefined,
    defaultDeadlineMs: 1000,
  })
}
