import type { ServicePolicy } from '../../src/segmentation/service-policy.js'
import type { Asked } from './naive-conditions.js'

type Spec = ServicePolicy['spec']
export type Endpoint = NonNullable<Spec['endpoints']>[number]

const regexps = new Map<string, RegExp>()

function regexp(template: string, flags = ''): RegExp {
  const key = `${flags} ${template}`
  let known = regexps.get(key)
  if (!known) {
    const body = template
      .replace(/\/\*\*$/, '\u0001')
      .replace(/\{[a-z]+\}/g, '[^/]+')
      .replace('\u0001', template === '/**' ? '/.*' : '(/.*)?')
    known = new RegExp(`^${body}$`, flags)
    regexps.set(key, known)
  }
  return known
}

const fold = (path: string) => (path.length > 1 ? path.replace(/\/$/, '') : path).toLowerCase()
export const exactly = (template: string) => (path: string) => regexp(template).test(path)
export const loosely = (template: string) => (path: string) =>
  regexp(template.length > 1 && !template.endsWith('**') ? template.replace(/\/$/, '') : template, 'i').test(
    fold(path),
  )

/** Every path of up to three segments that the templates of the test can tell apart. */
const SEGMENTS = ['a', 'b', 'c', 'A', 'B']
const ONE = SEGMENTS.map((segment) => `/${segment}`)
const TWO = ONE.flatMap((one) => ONE.map((two) => one + two))
const UNIVERSE = [...ONE, ...TWO, ...TWO.flatMap((two) => ONE.map((one) => two + one))].flatMap((path) => [
  path,
  `${path}/`,
])
UNIVERSE.push('/')
const narrower = new Map<string, boolean>()

/** Whether one set of paths lies within the other and is smaller, as far as the universe shows. */
function isNarrower(one: string, other: string, matcher: typeof exactly): boolean {
  const key = `${matcher.name} ${one} ${other}`
  let known = narrower.get(key)
  if (known === undefined) {
    const [inner, outer] = [UNIVERSE.filter(matcher(one)), UNIVERSE.filter(matcher(other))]
    known = inner.length < outer.length && inner.every((path) => outer.includes(path))
    narrower.set(key, known)
  }
  return known
}

function candidates(spec: Spec, path: string, matcher: typeof exactly): Endpoint[] {
  const grpc = matcher === loosely ? 'i' : ''
  const methods = (spec.endpoints ?? []).flatMap((endpoint) =>
    (endpoint.grpc ?? []).map((method) => ({ endpoint, method })),
  )
  const named = methods.filter(
    ({ method }) => new RegExp(`^/${method.replace('.', '\\.')}$`, grpc).test(path) && !method.endsWith('*'),
  )
  if (named.length > 0) return named.map(({ endpoint }) => endpoint)
  const wide = methods.filter(
    ({ method }) =>
      method.endsWith('*') &&
      new RegExp(`^/${method.replace('.', '\\.').replace('*', '[^/]+')}$`, grpc).test(path),
  )
  if (wide.length > 0) return wide.map(({ endpoint }) => endpoint)
  const matching = (spec.endpoints ?? []).flatMap((endpoint) =>
    (endpoint.paths ?? [])
      .filter((template) => matcher(template)(path))
      .map((template) => ({ endpoint, template })),
  )
  return matching
    .filter(({ template }) => !matching.some((other) => isNarrower(other.template, template, matcher)))
    .map(({ endpoint }) => endpoint)
}

function accepts(endpoint: Endpoint, call: Asked): boolean {
  if (endpoint.ports && !endpoint.ports.includes(call.port ?? 0)) return false
  if (call.tcp || endpoint.protocol === 'TCP') return Boolean(call.tcp) && endpoint.protocol === 'TCP'
  if ((endpoint.protocol === 'WebSocket') !== Boolean(call.upgrade)) return false
  return endpoint.grpc ? call.method === 'POST' : (endpoint.methods ?? []).includes(call.method ?? '')
}

export const endpointsOf = (spec: Spec, call: Asked, matcher: typeof exactly): Endpoint[] =>
  (call.tcp ? (spec.endpoints ?? []) : candidates(spec, call.path ?? '', matcher)).filter((endpoint) =>
    accepts(endpoint, call),
  )

/** A permit means gRPC calls, which are POST; a forbid means whatever is asked of their path. */
export function isGrpc(method: string, call: Asked, matcher: typeof exactly): boolean {
  const { path = '' } = call
  if (matcher === exactly && (call.method !== 'POST' || call.upgrade)) return false
  const asked = matcher === loosely ? fold(path) : path
  const wanted = matcher === loosely ? fold(`/${method}`) : `/${method}`
  return wanted.endsWith('*') ? /^[^/]+$/.test(rest(asked, wanted.slice(0, -1)) ?? '') : asked === wanted
}

const rest = (text: string, prefix: string) =>
  text.startsWith(prefix) ? text.slice(prefix.length) : undefined
