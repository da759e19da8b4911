import type { UserPrincipal } from '../../identity/principal.js'
import { nearestName } from '../../schema/nearest-name.js'
import type { Facts } from '../facts.js'
import { parseAddress, type Address } from './address.js'
import { isBodyMember, readBodyMember } from './body-member.js'
import { hasClaim, readClaim } from './claim-path.js'
import type { Predicate } from './conjunction.js'
import type { ConditionScope, Fault } from './schema.js'
import { queryParameter } from './query.js'

/** Brings a written value to the form in which the fact stands, or says what is wrong with it. */
export type Spelling = (written: string) => { readonly value: string } | { readonly problem: string }

type Read<T> = (facts: Facts) => T | undefined
type Range = { readonly min: number; readonly max: number }

type TextKey = {
  readonly kind: 'text'
  readonly read: Read<string>
  readonly spelling?: Spelling
}

/** A key of `when`, resolved: its kind decides the operators it takes. Reading gives undefined where there is no one value. */
export type Key = {
  readonly name: string
  /** Where a value that can't be read is still there (repeated, malformed), or nobody can tell whether there is one. */
  readonly present?: Read<boolean>
} & (
  | TextKey
  | { readonly kind: 'list'; readonly read: Read<readonly string[]> }
  | { readonly kind: 'number'; readonly read: Read<number>; readonly range: Range }
  | { readonly kind: 'boolean'; readonly read: Read<boolean> }
  | { readonly kind: 'claim'; readonly read: Read<unknown> }
  | { readonly kind: 'address'; readonly read: Read<Address> }
  | { readonly kind: 'time'; readonly part: 'hour' | 'weekday' | 'date' | 'ofDay' }
)

/** An authentication later than now by more than this is not believed. */
const CLOCK_SKEW_MS = 60_000

const text = (read: Read<string>, spelling?: Spelling) =>
  ({ kind: 'text', read, ...(spelling && { spelling }) }) as const
const list = (read: Read<readonly string[]>) => ({ kind: 'list', read }) as const
const number = (read: Read<number>, min: number, max: number) =>
  ({ kind: 'number', read, range: { min, max } }) as const
const boolean = (read: Read<boolean>) => ({ kind: 'boolean', read }) as const
/** `scope` is a list written as one string. Source: RFC 8693 4.2. */
const claim = (...path: string[]) => {
  const spaced = path.length === 1 && path[0] === 'scope'
  return {
    kind: 'claim',
    read: ofUser((user) => {
      const value = readClaim(user.claims, path)
      return spaced && typeof value === 'string' ? value.split(' ') : value
    }),
    present: ({ identity }: Facts) => (identity.user ? hasClaim(identity.user.claims, path) : false),
  } as const
}
const time = (part: 'hour' | 'weekday' | 'date' | 'ofDay') => ({ kind: 'time', part }) as const

const ofUser =
  <T>(read: (user: UserPrincipal) => T | undefined): Read<T> =>
  ({ identity }) =>
    identity.user && read(identity.user)

/** A list that the token doesn't carry is not an empty list: `notValues` must not hold of what nobody said. */
const claimedList = (read: (user: UserPrincipal) => readonly string[], ...names: string[]) =>
  list(
    ofUser((user) => {
      const items = read(user)
      return items.length > 0 || names.some((name) => Array.isArray(readClaim(user.claims, [name])))
        ? items
        : undefined
    }),
  )

const filled = (value: string | undefined): string | undefined => (value === '' ? undefined : value)

const lowerCase: Spelling = (written) => ({ value: written.toLowerCase() })
const upperCase: Spelling = (written) =>
  written === written.toUpperCase()
    ? { value: written }
    : { problem: `methods are compared as sent, in capitals: did you mean \`${written.toUpperCase()}\`?` }
const oneOf =
  (...words: string[]): Spelling =>
  (written) =>
    words.includes(written)
      ? { value: written }
      : { problem: `\`${written}\` is none of ${words.join(', ')}` }

function serviceName({ namespace }: ConditionScope): Spelling {
  return (written) => {
    if (written === '*' || written.includes('/')) return { value: written }
    if (namespace === undefined) return { problem: `write the service as namespace/name, not \`${written}\`` }
    if (written.startsWith('*')) return { problem: `write \`${namespace}/*\`, \`*/name\` or whole names` }
    return { value: `${namespace}/${written}` }
  }
}

/** `package.Service` and `Method` of a path of exactly two segments, whatever the content type. */
function grpcPart({ target }: Facts, part: 1 | 2): string | undefined {
  const segments = target.path.split('/')
  return segments.length === 3 ? filled(segments[part]) : undefined
}

function authAgeSeconds(user: UserPrincipal, nowMs: number): number | undefined {
  if (user.authTimeMs === undefined) return undefined
  const ageMs = nowMs - user.authTimeMs
  return ageMs < -CLOCK_SKEW_MS ? undefined : Math.max(ageMs, 0) / 1000
}

type Named<T> = T extends unknown ? Omit<T, 'name'> : never
type Plain = Named<Key>

function inSeconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / 1000
}

const clientIp: Plain = {
  kind: 'address',
  read: ({ client }) => (client.ip === undefined ? undefined : parseAddress(client.ip)),
}

/** Keys without brackets that mean the same wherever they are written. */
const PLAIN: ReadonlyMap<string, Plain> = new Map<string, Plain>([
  ['user.id', text(ofUser((user) => user.subject))],
  ['user.issuer', text(ofUser((user) => user.issuer))],
  ['user.email', text(ofUser((user) => user.email))],
  ['user.roles', claimedList((user) => user.roles, 'roles')],
  ['user.scopes', claimedList((user) => user.scopes, 'scope', 'scp', 'scopes')],
  ['user.groups', claim('groups')],
  ['user.department', claim('department')],
  ['user.clearance', claim('clearance')],
  ['user.mfa', boolean(ofUser((user) => user.mfaVerified))],
  ['user.acr', text(ofUser((user) => user.acr))],
  ['user.amr', claimedList((user) => user.amr, 'amr')],
  [
    'user.authAge',
    number((facts) => facts.identity.user && authAgeSeconds(facts.identity.user, facts.nowMs), 0, Infinity),
  ],
  ['workload.id', text(({ identity }) => identity.workload?.spiffeId.text)],
  ['workload.trustDomain', text(({ identity }) => identity.workload?.spiffeId.trustDomain, lowerCase)],
  ['request.method', text(({ request }) => request.http?.method, upperCase)],
  ['request.path', text(({ request, target }) => request.http && filled(target.path))],
  ['request.host', text(({ request }) => filled(request.http?.host), lowerCase)],
  ['request.grpc.service', text((facts) => facts.request.http && grpcPart(facts, 1))],
  ['request.grpc.method', text((facts) => facts.request.http && grpcPart(facts, 2))],
  ['source.ip', { kind: 'address', read: ({ request }) => parseAddress(request.source.ip) }],
  ['destination.port', number(({ request }) => request.destination.port || undefined, 1, 65_535)],
  ['connection.sni', text(({ request }) => filled(request.sni.toLowerCase()), lowerCase)],
  ['device.id', text(ofUser((user) => user.deviceId))],
  [
    'device.trust',
    text(
      ofUser((user) => user.deviceTrust),
      oneOf('high', 'medium', 'low'),
    ),
  ],
  ['session.id', text(ofUser((user) => user.sessionId))],
  ['risk.score', number(({ riskScore }) => riskScore, 0, 100)],
  ['risk.level', text(({ riskLevel }) => riskLevel, oneOf('low', 'medium', 'high'))],
  ['client.ip', clientIp],
  ['remote.ip', clientIp],
  ['session.age', number(({ session }) => inSeconds(session.ageMs), 0, Infinity)],
  ['session.idle', number(({ session }) => inSeconds(session.idleMs), 0, Infinity)],
  ['time.hour', time('hour')],
  ['time.weekday', time('weekday')],
  ['time.date', time('date')],
  ['time.ofDay', time('ofDay')],
  ['target.namespace', text(({ target }) => target.service?.namespace)],
  ['target.endpoint', text(({ endpoint }) => endpoint?.name)],
  ['target.sensitivity', text(({ endpoint }) => endpoint?.sensitivity, oneOf('Low', 'Medium', 'High'))],
])

/** Keys without brackets that depend on where they are written. */
const SCOPED: ReadonlyMap<string, (scope: ConditionScope) => Plain> = new Map([
  [
    'workload.namespace',
    ({ localTrustDomain }) =>
      text(({ identity, caller }) =>
        identity.workload?.spiffeId.trustDomain === localTrustDomain ? caller?.namespace : undefined,
      ),
  ],
  ['workload.service', (scope) => text(({ caller }) => caller?.id, serviceName(scope))],
  ['target.service', (scope) => text(({ target }) => target.service?.id, serviceName(scope))],
])

/** Keys whose brackets may lead into members of members, and what they are as a whole, which `cel` alone can look at. */
const DEEP: ReadonlyMap<string, Read<unknown>> = new Map([
  ['user.claims', ofUser(({ claims }) => claims)],
  ['request.auth.claims', ofUser(({ claims }) => claims)],
  ['request.body', ({ request }) => readBodyMember(request.http?.body, [])],
])
/** Keys that take one name in brackets. */
const NAMED: readonly string[] = ['request.headers', 'request.query', 'workload.labels', 'target.labels']
const BRACKETED: readonly string[] = [...DEEP.keys(), ...NAMED]

/** Keys about devices, which an inventory must know. */
const OF_DEVICES: ReadonlyMap<string, Plain> = new Map<string, Plain>([
  ['device.managed', boolean(({ device }) => device.managed)],
  ['device.tier', text(({ device }) => device.tier)],
  ['device.risk', number(({ device }) => device.risk, 0, 100)],
])

/** ISO 3166-1 alpha-2, as sources of places give them. */
const COUNTRY: Plain = text(
  ({ client }) => client.country,
  (written) =>
    /^(?:[A-Z]{2}|[A-Z]?\*|\*[A-Z]?)$/.test(written)
      ? { value: written }
      : { problem: `\`${written}\` is no country such as DE (ISO 3166-1, two capitals)` },
)

/** First words of all keys. */
export const ROOTS: ReadonlySet<string> = new Set(
  [...PLAIN.keys(), ...SCOPED.keys(), ...BRACKETED, ...OF_DEVICES.keys()].map(
    (key) => key.split('.', 1)[0] ?? '',
  ),
)

/** How a key takes names: not at all, one, or any number of them; undefined for no key. */
export function keyShape(base: string): 'plain' | 'named' | 'deep' | undefined {
  if (DEEP.has(base)) return 'deep'
  if (NAMED.includes(base)) return 'named'
  const plain = PLAIN.has(base) || SCOPED.has(base) || OF_DEVICES.has(base) || base === 'client.country'
  return plain ? 'plain' : undefined
}

/** All that stands under a deep key, such as the whole body. */
export function wholeKey(base: string, scope: ConditionScope): Key | undefined {
  const read = DEEP.get(base)
  if (!read) return undefined
  const present =
    base === 'request.body' ? ({ request }: Facts) => isBodyMember(request.http?.body, []) : undefined
  return within({ name: base, kind: 'claim', read, ...(present && { present }) }, scope)
}

/** Whether there is a value at all, readable or not. */
export function presenceOf(key: Exclude<Key, { kind: 'time' }>): Predicate {
  return key.present ?? ((facts: Facts) => key.read(facts) !== undefined)
}

/** The key as it is where it is written: of what nothing is said there, nobody can tell whether it is present. */
function within(key: Key, { saysNothing }: ConditionScope): Key {
  if (!saysNothing || key.kind === 'time') return key
  const present = presenceOf(key)
  return { ...key, present: (facts) => (saysNothing(key.name, facts) ? undefined : present(facts)) }
}

const KEY = /^([a-zA-Z.]+)((?:\[[^[\]]+\])*)$/
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/

/** Reports and gives undefined for a key that is unknown, malformed or without a source. */
export function compileKey(written: string, scope: ConditionScope, fault: Fault): Key | undefined {
  const key = findKey(written, scope, fault)
  return key && within(key, scope)
}

function findKey(written: string, scope: ConditionScope, fault: Fault): Key | undefined {
  const [, base = '', brackets = ''] = KEY.exec(written) ?? []
  const names = brackets === '' ? [] : brackets.slice(1, -1).split('][')
  if (base === 'client.country' && names.length === 0) {
    if (scope.hasPlaces) return { ...COUNTRY, name: written }
    const message = `\`${written}\` has no source in this configuration: set \`geo\` in portcullis.yaml`
    fault('key', message, 'condition-no-source')
    return undefined
  }
  const ofDevice = names.length === 0 ? OF_DEVICES.get(base) : undefined
  if (ofDevice) {
    if (scope.hasDevices) return { ...ofDevice, name: written }
    const message = `\`${written}\` has no source in this configuration: set \`deviceInventory\` in portcullis.yaml`
    fault('key', message, 'condition-no-source')
    return undefined
  }
  const plain = names.length === 0 ? (PLAIN.get(base) ?? SCOPED.get(base)?.(scope)) : bracketKey(base, names)
  if (plain) return { ...plain, name: written }
  fault('key', unknownKey(written, base), 'condition-key')
  return undefined
}

function bracketKey(base: string, names: readonly string[]): Plain | undefined {
  const [name = '', second] = names
  if (base === 'user.claims' || base === 'request.auth.claims') return claim(...names)
  if (base === 'request.body') {
    return {
      kind: 'claim',
      read: ({ request }) => readBodyMember(request.http?.body, names),
      present: ({ request }) => isBodyMember(request.http?.body, names),
    }
  }
  if (second !== undefined) return undefined
  switch (base) {
    case 'request.headers': {
      const header = name.toLowerCase()
      return HEADER_NAME.test(header) ? headerKey(header) : undefined
    }
    case 'request.query':
      return {
        kind: 'text',
        read: ({ request }) => request.http && queryParameter(request.http.query, name)?.value,
        present: ({ request }) => {
          const count = request.http && queryParameter(request.http.query, name)?.count
          return count === undefined ? undefined : count > 0
        },
      }
    case 'workload.labels':
      return text(({ caller }) => caller?.labels.get(name))
    case 'target.labels':
      return text(({ target }) => target.service?.labels.get(name))
    default:
      return undefined
  }
}

/** A value with a comma may be several joined on the way, so it is not one value. */
function headerKey(header: string): Plain {
  return {
    kind: 'text',
    read: ({ request }) => {
      const value = request.http?.headers.get(header)
      return value?.includes(',') ? undefined : value
    },
    present: ({ request }) => request.http && request.http.headers.count(header) > 0,
  }
}

function unknownKey(written: string, base: string): string {
  if (BRACKETED.includes(base)) {
    const deep = DEEP.has(base)
    return `\`${written}\` should be \`${base}[name]${deep ? '` or `' + base + '[outer][inner]' : ''}\``
  }
  if (PLAIN.has(base) || SCOPED.has(base) || OF_DEVICES.has(base)) return `\`${base}\` takes no brackets`
  const bare = written.split('[', 1)[0] ?? ''
  const nearest = nearestName(bare, [
    ...PLAIN.keys(),
    ...SCOPED.keys(),
    ...BRACKETED,
    ...OF_DEVICES.keys(),
    'client.country',
  ])
  return `no key \`${written}\`${nearest === undefined ? '' : `; did you mean \`${nearest}\`?`}`
}
