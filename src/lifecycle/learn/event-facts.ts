import { parseSpiffeId, type SpiffeId } from '../../identity/spiffe-id.js'
import type { UserPrincipal } from '../../identity/principal.js'
import type { HttpCall } from '../../request/access-request.js'
import { identitiesOf, serviceOfIdentity } from '../../segmentation/compile.js'
import { chooseEndpoint } from '../../segmentation/evaluate.js'
import { type Facts, NO_DEVICE, NO_SESSION } from '../../segmentation/facts.js'
import type { Matrix } from '../../segmentation/matrix.js'
import { stripped } from '../../segmentation/route-index.js'
import { SOMEBODY } from '../somebody.js'
import type { TrafficEvent } from '../traffic.js'

/**
 * What the matrix can know of a recorded call. Headers, query, claims and scopes are not in a security event, so that
 * conditions on them can't be evaluated.
 */
export function eventFacts(event: TrafficEvent, matrix: Matrix): Facts {
  const workload = workloadOf(event, matrix)
  const service = event.targetService === undefined ? undefined : matrix.services.get(event.targetService)
  const http = httpOf(event)
  const { fields } = event
  const request: Facts['request'] = {
    requestId: '',
    source: { ip: textOf(fields['sourceIp']), port: 0, principal: '', certificate: '' },
    destination: { ip: textOf(fields['destinationIp']), port: event.destinationPort ?? 0, principal: '' },
    http,
    contextExtensions: new Map(),
    sni: '',
  }
  const target: Facts['target'] = {
    service,
    id: event.targetService,
    spiffeId: undefined,
    mode: service?.mode ?? matrix.defaults.mode,
    path: http ? pathAt(http, matrix, event.targetService) : '',
  }
  return {
    request,
    identity: {
      workload: workload && { spiffeId: workload, verifiedBy: 'certificate' },
      serviceToken: undefined,
      user: userOf(event),
    },
    caller: workload && serviceOfIdentity(matrix, workload),
    target,
    endpoint: chooseEndpoint(target, request),
    // Elsewhere a call without a workload is refused before, or nobody says so.
    gateway: workload === undefined,
    riskScore: event.riskScore,
    riskSources: [],
    riskLevel: undefined,
    client: { ip: textOf(fields['clientIp']) || undefined, country: undefined, isPublic: true },
    session: NO_SESSION,
    device: NO_DEVICE,
    nowMs: event.atMs,
  }
}

function workloadOf({ workloadId, callerService }: TrafficEvent, matrix: Matrix): SpiffeId | undefined {
  if (workloadId !== undefined) {
    const parsed = parseSpiffeId(workloadId)
    return parsed.ok ? parsed.id : undefined
  }
  const service = callerService === undefined ? undefined : matrix.services.get(callerService)
  return service && identitiesOf(service)[0]
}

/** Where a gateway saw the call, the path as the target sees it. */
function pathAt({ host, path }: HttpCall, matrix: Matrix, target: string | undefined): string {
  const route = matrix.routes.find(host, path)
  return route && route.service.id === target ? stripped(path, route.strip) : path
}

const NO_HEADERS: HttpCall['headers'] = { get: () => undefined, count: () => 0, names: () => [] }

function httpOf(event: TrafficEvent): HttpCall | undefined {
  const { requestMethod: method, requestPath: path, grpcMethod } = event
  if (method === undefined || path === undefined) return undefined
  return {
    method,
    path,
    query: '',
    host: event.requestHost ?? '',
    protocol: event.protocol ?? '',
    upgrade: isUpgrade(event),
    grpc: grpcMethod !== undefined,
    headers: NO_HEADERS,
  }
}

/**
 * An event does not say so outright: a CONNECT, and a reading method that counted as a Write where no endpoint could
 * have made it one. Source: FORMATS 1, rule 2.
 */
function isUpgrade({ requestMethod, endpoint, fields }: TrafficEvent): boolean {
  if (requestMethod === 'CONNECT') return true
  return requestMethod === 'GET' && endpoint === undefined && fields['operation'] === 'Write'
}

function userOf({ userId, userIssuer, userRoles }: TrafficEvent): UserPrincipal | undefined {
  if (userId === undefined) return undefined
  return { ...SOMEBODY, issuer: userIssuer ?? '', subject: userId, roles: userRoles }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
