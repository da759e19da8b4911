import type { Access, Clause, HeaderTest, Obstacle, PathShape, Principal, RequestShape } from './access.js'
import { AMBIGUOUS_TARGETS } from './ambiguous-targets.js'
import { escaped, inParts, isOversized, onlyPath, pathPatterns } from './request-shape.js'

type Json = { readonly [key: string]: unknown }

/** The filters of one service's inbound listener, in their order, as Envoy's configuration has them. */
export type EnvoyRbac = {
  readonly httpFilters: readonly Json[]
  /** For the listener of its TCP endpoints. */
  readonly networkFilters: readonly Json[] | undefined
}

const HTTP_TYPE = 'type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC'
const NETWORK_TYPE = 'type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC'

/**
 * Envoy's RBAC filters for what is said of a service: first what is barred, then what alone is let in. Principals
 * are the URI SAN that mTLS verified. Source: envoy.config.rbac.v3.
 */
export function envoyRbac({ http, tcp }: Access): EnvoyRbac {
  const filter = (type: string, name: string, action: string, policies: Json, more: Json = {}): Json => ({
    name: `portcullis.rbac.${name}`,
    typed_config: { '@type': type, ...more, rules: { action, policies } },
  })
  return {
    httpFilters: [
      filter(HTTP_TYPE, 'deny', 'DENY', { ...ambiguous(), ...policiesOf(http.bars, false) }),
      filter(HTTP_TYPE, 'allow', 'ALLOW', policiesOf(http.permits, true)),
    ],
    networkFilters: tcp && [
      ...(tcp.bars.length > 0
        ? [
            filter(NETWORK_TYPE, 'deny', 'DENY', policiesOf(tcp.bars, false), {
              stat_prefix: 'portcullis_deny',
            }),
          ]
        : []),
      filter(NETWORK_TYPE, 'allow', 'ALLOW', policiesOf(tcp.permits, true), {
        stat_prefix: 'portcullis_allow',
      }),
    ],
  }
}

/** Paths that no regular expression of the size that Envoy takes could tell. */
export function oversized({ http }: Access): Obstacle[] {
  return [...http.permits, ...http.bars].flatMap(({ name, source, requests }) => {
    const shapes = (requests ?? []).flatMap(({ paths, except }) => paths.concat(except))
    const large = shapes.some((shape) => onlyPath(shape) === undefined && isOversized(shape))
    return large ? [{ message: `${name} has a path too long for a regular expression in Envoy`, source }] : []
  })
}

/** Request targets that could mean one thing here and another at the service are nobody's. */
function ambiguous(): Json {
  return Object.fromEntries(
    AMBIGUOUS_TARGETS.map(({ name, pattern, allowed }): [string, Json] => {
      const header = { header: { name: ':path', string_match: { safe_regex: { regex: pattern } } } }
      return [
        `ambiguous ${name}`,
        { permissions: [allowed ? { not_rule: header } : header], principals: [{ any: true }] },
      ]
    }),
  )
}

function policiesOf(clauses: readonly Clause[], permits: boolean): Json {
  const policies = new Map<string, Json>()
  for (const { name, principals, requests, headers } of clauses) {
    const conditions = headers.map((test) => headerRule(test, permits))
    const permissions = (requests ?? [undefined]).map((request) =>
      both((request ? requestRules(request) : []).concat(conditions)),
    )
    let key = name
    for (let count = 2; policies.has(key); count++) key = `${name} ${count}`
    policies.set(key, { permissions, principals: principals ? principals.map(principalId) : [{ any: true }] })
  }
  return Object.fromEntries(policies)
}

function requestRules({ paths, except, methods, ports, upgrade }: RequestShape): Json[] {
  const rules: Json[] = []
  if (paths.length > 0) rules.push(either(paths.map(pathRule)))
  if (except.length > 0) rules.push({ not_rule: either(except.map(pathRule)) })
  if (methods.length > 0) rules.push(either(methods.map((method) => headerIs(':method', method))))
  if (ports.length > 0) rules.push(either(ports.map((port) => ({ destination_port: port }))))
  if (upgrade === true) rules.push(UPGRADE)
  if (upgrade === false) {
    rules.push({ not_rule: methods.length > 0 ? UPGRADE : either([UPGRADE, headerIs(':method', 'CONNECT')]) })
  }
  return rules
}

const UPGRADE: Json = { header: { name: 'upgrade', present_match: true } }

function pathRule(shape: PathShape): Json {
  const exact = onlyPath(shape)
  const urlPath = (path: Json): Json => ({ url_path: { path } })
  if (exact !== undefined) return urlPath({ exact })
  return both(pathPatterns(shape).map((regex) => urlPath({ safe_regex: { regex } })))
}

function headerIs(name: string, exact: string): Json {
  return { header: { name, string_match: { exact } } }
}

/** Envoy joins a repeated header with commas, and a value with a comma is none that could be evaluated. */
function headerRule({ name, values, notValues, present }: HeaderTest, permits: boolean): Json {
  const there = { header: { name, present_match: true } }
  const single = { not_rule: { header: { name, string_match: { contains: ',' } } } }
  const rules: Json[] = []
  if (values) rules.push(either(values.map((value) => headerIs(name, value))))
  if (notValues) rules.push({ not_rule: either(notValues.map((value) => headerIs(name, value))) })
  const known = present === undefined ? undefined : present ? there : { not_rule: there }
  if (rules.length === 0) return known ?? { any: true }
  const evaluated = both([there, single])
  const held = permits ? both([evaluated, ...rules]) : either([{ not_rule: evaluated }, both(rules)])
  return known ? both([known, held]) : held
}

function principalId(principal: Principal): Json {
  if (principal.kind === 'identity') return authenticated({ exact: principal.text })
  if (principal.kind === 'pattern') return identityPattern(principal.text)
  if (principal.kind === 'domain') return authenticated({ prefix: `spiffe://${principal.trustDomain}/` })
  return authenticated({ safe_regex: { regex: 'spiffe://[^/]+/.+' } })
}

/** `*` is one whole segment of the path. */
function identityPattern(text: string): Json {
  const [, , trustDomain = '', ...segments] = text.split('/')
  const parts = segments.map((segment) =>
    segment === '*' ? undefined : { text: escaped(segment), size: segment.length },
  )
  const ids = inParts(parts).map((looked) => {
    const regex = `spiffe://[^/]+${looked.map((part) => `/${part ?? '[^/]+'}`).join('')}`
    return authenticated({ safe_regex: { regex } })
  })
  return { and_ids: { ids: [authenticated({ prefix: `spiffe://${trustDomain}/` }), ...ids] } }
}

function authenticated(match: Json): Json {
  return { authenticated: { principal_name: match } }
}

function both(rules: readonly Json[]): Json {
  const [only] = rules
  return rules.length > 1 || !only ? (only ? { and_rules: { rules } } : { any: true }) : only
}

function either(rules: readonly Json[]): Json {
  const [only] = rules
  return only && rules.length === 1 ? only : { or_rules: { rules } }
}
