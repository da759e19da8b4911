import type { Refusal } from '../decision/decision.js'
import { parseSpiffeId, type SpiffeId } from '../identity/spiffe-id.js'
import type { AccessRequest } from '../request/access-request.js'
import type { Asker, ListenerRules } from '../request/listener.js'
import { compiledService, type CompiledService } from './compiled.js'
import type { Matrix, Target } from './matrix.js'
import { stripped } from './route-index.js'
import { serviceOfIdentity } from './service-identity.js'

export type ResolvedTarget =
  { readonly ok: true; readonly target: Target } | { readonly ok: false; readonly refusal: Refusal }

/** The context extension that names the target. Source: FORMATS 2 `listeners`. */
export const TARGET_EXTENSION = 'portcullis.service'

/** What one source says the target is. Without an id nothing can be made of its text. */
type Named = {
  readonly source: string
  readonly text: string
  readonly service: CompiledService | undefined
  /** `namespace/name`. */
  readonly id: string | undefined
  readonly spiffeId: SpiffeId | undefined
  readonly strip: string
}

const SERVICE_ID = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?\/[a-z0-9](?:[-.a-z0-9]*[a-z0-9])?$/

/**
 * Which service a request is for, by what Envoy's operator controls: the certificate of the asking side, a
 * context extension, and on Gateway listeners the route. Sources that are there must agree. An Envoy that
 * authenticated may ask only about its own service, unless the listener is a gateway's. Source: REQUIREMENTS S6.
 */
export function resolveTarget(
  matrix: Matrix,
  request: AccessRequest,
  listener: ListenerRules,
  asker: Asker,
): ResolvedTarget {
  let first: Named | undefined
  let strip = ''
  for (const source of listener.target) {
    const named = nameBy(source, matrix, request, listener)
    if (!named) continue
    if (first && !agree(first, named, matrix.localTrustDomain)) {
      const message = `${first.source} says ${first.text}, ${named.source} says ${named.text}`
      return refuse('target-conflict', message)
    }
    if (named.strip !== '') strip = named.strip
    first = first ? { ...first, spiffeId: first.spiffeId ?? named.spiffeId } : named
  }
  if (!first) return unnamed(`nothing names the target (looked at: ${listener.target.join(', ')})`)
  if (!first.service && !first.id && !first.spiffeId) {
    return unnamed(`${first.source} ${first.text} names no service`)
  }
  const spiffeId = first.spiffeId ?? onlyIdentity(first.service)
  if (asker.spiffeId !== undefined && listener.role !== 'Gateway') {
    if (!isOwn(matrix, asker.spiffeId, first.service, spiffeId)) {
      return refuse('asker-not-allowed', `${asker.spiffeId} may ask only about its own service`)
    }
  }
  const target: Target = {
    service: first.service,
    id: first.service?.id ?? first.id,
    spiffeId,
    mode: first.service?.mode ?? matrix.defaults.mode,
    path: request.http ? stripped(request.http.path, strip) : '',
  }
  return { ok: true, target }
}

/** Where no service is named there is none whose mode could let the call pass. */
function unnamed(message: string): ResolvedTarget {
  return { ok: false, refusal: { reason: 'target-unknown', message, mode: 'Enforce' } }
}

function nameBy(
  source: ListenerRules['target'][number],
  matrix: Matrix,
  request: AccessRequest,
  listener: ListenerRules,
): Named | undefined {
  if (source === 'principal') {
    const { principal } = request.destination
    return principal === '' ? undefined : byPrincipal(matrix, principal)
  }
  if (source === 'extension') {
    const text = request.contextExtensions.get(TARGET_EXTENSION)
    return text === undefined ? undefined : byExtension(matrix, text)
  }
  return listener.role === 'Gateway' && request.http ? byRoute(matrix, request.http) : undefined
}

function byPrincipal(matrix: Matrix, text: string): Named {
  const service = matrix.identities.get(text)
  const known = service?.identities.find((id) => id.text === text)
  if (service && known)
    return { source: 'principal', text, service, id: service.id, spiffeId: known, strip: '' }
  const parsed = parseSpiffeId(text)
  if (!parsed.ok) {
    const nothing = { service: undefined, id: undefined, spiffeId: undefined }
    return { source: 'principal', text: 'something that is no SPIFFE ID', ...nothing, strip: '' }
  }
  const claimed = compiledService(serviceOfIdentity(matrix, parsed.id))
  return { source: 'principal', text, service: claimed, id: claimed?.id, spiffeId: parsed.id, strip: '' }
}

/** A bare name is one of the namespace `default`, as everywhere else. */
function byExtension(matrix: Matrix, text: string): Named {
  const written = text.includes('/') ? text : `default/${text}`
  const id = SERVICE_ID.test(written) ? written : undefined
  const service = id === undefined ? undefined : matrix.services.get(id)
  const shown = id ?? 'something that is no namespace/name'
  return { source: 'extension', text: shown, service, id, spiffeId: undefined, strip: '' }
}

function byRoute(
  matrix: Matrix,
  { host, path }: { readonly host: string; readonly path: string },
): Named | undefined {
  const route = matrix.routes.find(host, path)
  if (!route) return undefined
  const { service, strip } = route
  return { source: 'route', text: service.id, service, id: service.id, spiffeId: undefined, strip }
}

/** Two names of one service. Of a service without a document the default service account's name is known. */
function agree(left: Named, right: Named, localTrustDomain: string): boolean {
  if (left.service || right.service) return left.service === right.service
  const name = (named: Named): string | undefined =>
    named.spiffeId?.text ?? defaultIdentity(named.id, localTrustDomain)
  return name(left) !== undefined && name(left) === name(right)
}

function defaultIdentity(id: string | undefined, localTrustDomain: string): string | undefined {
  const [namespace, name] = id?.split('/') ?? []
  return name === undefined ? undefined : `spiffe://${localTrustDomain}/ns/${namespace}/sa/${name}`
}

/** With several identities nobody can say which one the target runs as. */
function onlyIdentity(service: CompiledService | undefined): SpiffeId | undefined {
  return service?.identities.length === 1 ? service.identities[0] : undefined
}

function isOwn(
  matrix: Matrix,
  asker: string,
  service: CompiledService | undefined,
  spiffeId: SpiffeId | undefined,
): boolean {
  if (!service) return spiffeId?.text === asker
  const known = matrix.identities.get(asker)
  if (known) return known === service
  const parsed = parseSpiffeId(asker)
  return parsed.ok && serviceOfIdentity(matrix, parsed.id) === service
}

function refuse(reason: Refusal['reason'], message: string): ResolvedTarget {
  return { ok: false, refusal: { reason, message } }
}
