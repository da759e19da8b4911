import { adviceOn, isRefusalReason } from './advice.js'
import type { Supposition } from '../supposition.js'
import type { TrafficEvent } from '../traffic.js'

/** A recorded call, as far as its event tells it. */
export type SupposedEvent = {
  readonly supposed: Supposition
  /** When it was decided, milliseconds since the epoch. */
  readonly atMs: number
  /** What events don't hold and conditions may look at. */
  readonly missing: readonly string[]
}

/**
 * Rebuilds the call of a security event, to decide it again. Who called is what was verified then; an event has no header,
 * query, body, claim or scope. Without a workload it is taken for the outside's call at a gateway.
 */
export function supposeEvent(event: TrafficEvent): SupposedEvent {
  const { fields, atMs, workloadId, userId, protocol, grpcMethod } = event
  const text = (name: string): string | undefined => {
    const value = fields[name]
    return typeof value === 'string' ? value : undefined
  }
  const unverified =
    isRefusalReason(event.decisionReason) && adviceOn(event.decisionReason).by === 'credentials'
  const outside = workloadId === undefined && !unverified
  const authenticated = Date.parse(text('userAuthTime') ?? '')
  const trust = text('deviceTrust')
  const missing = [
    ...(workloadId === undefined ? ['which listener asked'] : ['scopes of a service token']),
    ...(protocol === 'TCP' ? [] : ['headers', 'query', 'body']),
    ...(userId === undefined ? [] : ["the user's scopes and further claims"]),
    ...(unverified ? ['credentials that did not prove anybody'] : []),
    ...(event.targetService === undefined ? ['the target'] : []),
  ]
  return {
    supposed: {
      caller: workloadId ?? event.callerService,
      via: text('viaWorkloadId'),
      target: event.targetService,
      method: event.requestMethod ?? 'GET',
      path: event.requestPath ?? '/',
      host: event.requestHost,
      grpc: grpcMethod,
      tcp: protocol === 'TCP',
      port: event.destinationPort ?? 0,
      sourceIp: text('sourceIp') ?? '127.0.0.1',
      listenerRole: outside ? 'Gateway' : 'Sidecar',
      mtls: 'Strict',
      user: userId,
      issuer: event.userIssuer ?? 'https://idp.example',
      role: userId === undefined ? undefined : event.userRoles,
      mfa: fields['userMfa'] === true ? true : undefined,
      authAge: userId !== undefined && !Number.isNaN(authenticated) ? atMs - authenticated : undefined,
      deviceTrust: trust === 'high' || trust === 'medium' || trust === 'low' ? trust : undefined,
      deviceId: userId === undefined ? undefined : text('deviceId'),
      sessionId: userId === undefined ? undefined : text('sessionId'),
    },
    atMs,
    missing,
  }
}
