import type { Ask } from '../asks.js'
import type { Examined } from '../examined.js'
import type { Fix } from '../finding.js'
import { JWT_AUTHN, ROUTER, TCP_PROXY } from '../message-types.js'
import { entries, flagOf, items, member, textOf } from '../part.js'
import type { Filter } from '../setup.js'

const HTTP = 'envoy.extensions.filters.http.'

/** What these do with a call that nobody was asked about yet. */
const BEFORE: ReadonlyMap<string, string> = new Map([
  [`${HTTP}cache.v3.CacheConfig`, 'answers from its cache, whoever asks'],
  [`${HTTP}composite.v3.Composite`, 'may be any filter'],
  [`${HTTP}dynamic_modules.v3.DynamicModuleFilter`, 'runs code that can answer calls and change them'],
  [`${HTTP}ext_proc.v3.ExternalProcessor`, 'lets another server answer calls and change them'],
  [`${HTTP}golang.v3alpha.Config`, 'runs code that can answer calls and change them'],
  [`${HTTP}health_check.v3.HealthCheck`, 'answers health checks that Portcullis never hears of'],
  [`${HTTP}lua.v3.Lua`, 'runs code that can answer calls and change them'],
  [`${HTTP}wasm.v3.Wasm`, 'runs code that can answer calls and change them'],
  [`${HTTP}aws_lambda.v3.Config`, 'calls a function in place of the upstream'],
])
const CACHES = new Set([`${HTTP}cache.v3.CacheConfig`, `${HTTP}aws_lambda.v3.Config`])

/** Where the filter stands among the others of its chain. */
export function order({ asks, tell }: Examined): void {
  for (const ask of asks) {
    const { http, filter, chain } = ask
    const filters = http?.filters ?? chain.filters
    const at = filters.indexOf(filter)
    const ends = http ? ROUTER : TCP_PROXY
    const router = filters.findIndex(({ type }) => type === ends)
    if (router >= 0 && router < at) {
      tell({
        severity: 'error',
        code: 'after-router',
        message: `ext_authz stands after ${filters[router]?.name}`,
        why: 'That filter sends the call on and ends the chain, so Portcullis is never asked.',
        where: filter.where,
        at: filter.entry,
        fix: moved(ask, filters, router),
      })
    }
    filters.slice(0, router >= 0 ? Math.min(at, router) : at).forEach((before, index) => {
      const does = http ? doesBefore(before) : undefined
      if (does === undefined) return
      tell({
        severity: CACHES.has(before.type) ? 'error' : 'warning',
        code: 'filter-before',
        message: `${before.name} stands before ext_authz`,
        why: `It ${does}, before Portcullis has decided.`,
        where: before.where,
        at: before.entry,
        fix: moved(ask, filters, index),
      })
    })
  }
}

/** Filters that come with Envoy or with a mesh's build of it, and that only tell more about a call or refuse it. */
const KNOWN_BUILD = /^(?:envoy|istio|io\.istio)\./

function doesBefore({ type }: Filter): string | undefined {
  if (type === '') return 'is not known here, so it may answer calls and change them'
  return BEFORE.get(type) ?? (KNOWN_BUILD.test(type) ? undefined : `is of a type of its own (${type})`)
}

function moved({ http, chain, filter }: Ask, filters: readonly Filter[], to: number): Fix {
  const rest = filters.filter((each) => each !== filter)
  const names = [...rest.slice(0, to), filter, ...rest.slice(to)].map(({ name }) => ({ name }))
  return http
    ? { into: http.part, called: 'HTTP connection manager', set: { http_filters: names } }
    : { into: chain.part, called: 'filter chain', set: { filters: names } }
}

/** Where Envoy keeps what it found in a token, whatever the filter is called. */
const JWT_METADATA = 'envoy.filters.http.jwt_authn'

/** Envoy's own check of tokens must come first, and either leave the token or say what it found. */
export function jwtOrder({ asks, tell }: Examined): void {
  for (const ask of asks) {
    const { http, filter } = ask
    const jwt = http?.filters.find(({ type }) => type === JWT_AUTHN)
    if (!http || !jwt) continue
    const spaces = items(member(filter.message, 'metadata_context_namespaces')).map(textOf)
    const passes = spaces.includes(JWT_METADATA)
    const after = http.filters.indexOf(jwt) > http.filters.indexOf(filter)
    if (after && passes) {
      tell({
        severity: 'error',
        code: 'jwt-order',
        message: `${jwt.name} stands after ext_authz, which is to pass on what it found`,
        why: 'Portcullis is asked before Envoy has verified the token, so users whose tokens Envoy verifies are unknown.',
        where: jwt.where,
        at: jwt.entry,
        fix: moved(ask, http.filters, http.filters.indexOf(jwt)),
      })
    }
    const takes = entries(member(jwt.message, 'providers')).find(
      ([, provider]) => flagOf(member(provider, 'forward')) !== true,
    )
    if (after || passes || !takes) continue
    tell({
      severity: 'error',
      code: 'jwt-order',
      message: `${jwt.name} takes the token of ${takes[0]} away, and its metadata is not passed on`,
      why: 'Portcullis sees neither the token nor what Envoy found in it, so the user is unknown.',
      where: filter.where,
      at: member(filter.message, 'metadata_context_namespaces'),
      fix: {
        into: filter.message,
        called: 'ExtAuthz',
        set: { metadata_context_namespaces: [...spaces, JWT_METADATA] },
      },
    })
  }
}
