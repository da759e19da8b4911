import { type EventFields, numberOf, textOf } from './event-fields.js'

/** A part of a record; members that are undefined are not written. */
export type Part = Record<string, unknown>

/** Fields of an event that `actorOf`, the endpoints and `requestOf` tell. */
export const PARTY_FIELDS = [
  'userId',
  'userIssuer',
  'sessionId',
  'workloadId',
  'callerService',
  'targetService',
  'targetId',
  'actor',
  'transmitter',
  'remoteIp',
  'sourceIp',
  'clientIp',
  'destinationIp',
  'destinationPort',
  'requestMethod',
  'requestPath',
  'requestHost',
  'requestId',
] as const

/** Who acted: user, session, workload, administrator or transmitter; `unknown` where nobody could be told. */
export function actorOf(event: EventFields): Part {
  const user = textOf(event, 'userId')
  const administrator = textOf(event, 'actor')
  const issuer = textOf(event, 'userIssuer')
  const session = textOf(event, 'sessionId')
  const workload = textOf(event, 'workloadId')
  const app = textOf(event, 'callerService') ?? textOf(event, 'transmitter')
  const isNamed = (user ?? administrator ?? session ?? workload ?? app) !== undefined
  return {
    user: (user ?? administrator) === undefined ? undefined : { uid: user, name: administrator },
    idp: issuer === undefined ? undefined : { uid: issuer },
    session: session === undefined ? undefined : { uid: session, issuer },
    app_uid: workload,
    app_name: isNamed ? app : nobody(event),
  }
}

/** The first untrusted hop where it is known, with the peer as the one between; else the peer. */
export function sourceOf(event: EventFields): Part {
  const peer = textOf(event, 'sourceIp') ?? textOf(event, 'remoteIp')
  const client = textOf(event, 'clientIp') ?? peer
  const port = numberOf(event, 'sourcePort')
  const service = textOf(event, 'callerService') ?? textOf(event, 'transmitter')
  return {
    name: (client ?? service) === undefined ? nobody(event) : undefined,
    ip: client,
    port: client === peer ? port : undefined,
    svc_name: service,
    intermediate_ips: client === peer || peer === undefined ? undefined : [peer],
  }
}

/** Undefined: nothing is known of where the call was to go. */
export function destinationOf(event: EventFields): Part | undefined {
  const ip = textOf(event, 'destinationIp')
  const port = numberOf(event, 'destinationPort')
  const service = textOf(event, 'targetService')
  const id = textOf(event, 'targetId')
  if ((ip ?? service ?? id) === undefined) return undefined
  return { ip, port, svc_name: service, uid: id }
}

/** Undefined: no HTTP request, or nothing of it could be read. */
export function requestOf(event: EventFields): Part | undefined {
  const method = textOf(event, 'requestMethod')
  const path = textOf(event, 'requestPath')
  const hostname = textOf(event, 'requestHost')
  const protocol = textOf(event, 'protocol')
  const version = protocol?.startsWith('HTTP/') ? protocol.slice('HTTP/'.length) : undefined
  const id = textOf(event, 'requestId')
  if ((method ?? path ?? hostname) === undefined) return undefined
  const url = (path ?? hostname) === undefined ? undefined : { path, hostname }
  return { http_method: method, url, version, uid: id }
}

/** A call whose caller could not be told, or an anomaly of one; other events are about what Portcullis itself did. */
function nobody(event: EventFields): string {
  return event.eventType === 'authorization' || event.eventType === 'anomaly' ? 'unknown' : 'portcullis'
}
