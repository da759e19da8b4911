import type { AccessRequest, Peer } from '../request/access-request.js'
import { canonicalRequest, isGrpcContentType, requestId } from './canonical-request.js'
import { readCheckRequest, type WireRequest } from './check-request-reader.js'

/** What could be read of a request that is refused unread; raw text, so nothing of it is canonical. */
export type UnreadableRequest = {
  readonly ok: false
  /** `malformed`: the bytes are no CheckRequest. `ambiguous`: it could mean one thing here and another upstream. */
  readonly kind: 'malformed' | 'ambiguous'
  readonly message: string
  readonly requestId: string
  readonly source: Peer
  readonly destination: Peer
  readonly method: string
  readonly path: string
  readonly host: string
  readonly grpc: boolean
}

export type ReadAccessRequest = { readonly ok: true; readonly request: AccessRequest } | UnreadableRequest

const NOBODY: Peer = { ip: '', port: 0, principal: '' }

/** A CheckRequest's bytes to the request that the core decides on. `serviceTokenHeader` is lower-case. */
export function readAccessRequest(message: Buffer, serviceTokenHeader: string): ReadAccessRequest {
  const read = readCheckRequest(message)
  if (!read.ok) {
    const nothing = { requestId: '', method: '', path: '', host: '', grpc: false }
    const problem = `not a CheckRequest: ${read.problem}`
    return { ok: false, kind: 'malformed', message: problem, source: NOBODY, destination: NOBODY, ...nothing }
  }
  const canonical = canonicalRequest(read.request, serviceTokenHeader)
  return canonical.ok ? canonical : unreadable(read.request, canonical.problem)
}

function unreadable(wire: WireRequest, message: string): UnreadableRequest {
  const { source, destination, http } = wire
  return {
    ok: false,
    kind: 'ambiguous',
    message,
    requestId: http === undefined ? '' : requestId(http),
    source,
    destination,
    method: http?.method ?? '',
    path: http?.path ?? '',
    host: http?.host ?? '',
    grpc: isGrpcContentType(http?.headers.get('content-type')),
  }
}
