import { ASK_TIMEOUT, askService } from '../as-shipped.js'
import type { Ask } from '../asks.js'
import type { Examined } from '../examined.js'
import { durationMsOf, flagOf, isThere, member, takenAway, textOf, wordOf } from '../part.js'
import { withheldHeaders } from '../header-patterns.js'

const API_VERSIONS = ['AUTO', 'V2', 'V3']

/** Portcullis speaks ext_authz v3 over gRPC and nothing else. */
export function protocol({ asks, tell }: Examined): void {
  for (const { filter, cluster } of asks) {
    const { message } = filter
    const over = member(message, 'http_service')
    if (isThere(over)) {
      tell({
        severity: 'error',
        code: 'http-service',
        message: 'http_service asks over plain HTTP requests',
        why: 'Portcullis answers gRPC only, so every call is refused, or passes with failure_mode_allow.',
        where: filter.where,
        at: over,
        fix: {
          into: message,
          called: 'ExtAuthz',
          set: { http_service: null, transport_api_version: 'V3', grpc_service: askService(cluster) },
        },
      })
      continue
    }
    const version = member(message, 'transport_api_version')
    if (wordOf(version, API_VERSIONS) === 'V3') continue
    tell({
      severity: 'error',
      code: 'api-version',
      message: 'transport_api_version is not V3',
      why: 'Envoy then asks in a version that Portcullis does not speak, or refuses the configuration.',
      where: filter.where,
      at: version,
      fix: { into: message, called: 'ExtAuthz', set: { transport_api_version: 'V3' } },
    })
  }
}

/** What Envoy takes where nothing is written. Source: SPECS 1.4. */
const ENVOYS_OWN_MS = 200
const LONGEST_MS = 1000
/** Source: envoy.config.route.v3.RouteAction. */
const ROUTES_OWN_MS = 15_000

export function timeouts({ asks, tell }: Examined): void {
  for (const ask of asks) {
    const { filter } = ask
    const service = member(filter.message, 'grpc_service')
    if (!isThere(service)) continue
    const at = member(service, 'timeout')
    const ms = durationMsOf(at)
    const fix = { into: service, called: 'grpc_service of ExtAuthz', set: { timeout: ASK_TIMEOUT } }
    if (ms === undefined || ms === 0 || ms > LONGEST_MS) {
      tell({
        severity: 'warning',
        code: 'timeout',
        message:
          ms === undefined
            ? 'the question has no timeout'
            : ms === 0
              ? 'the question may take for ever'
              : `the question may take ${ms / 1000} s`,
        why:
          ms === undefined
            ? 'Envoy takes its own, which other versions and meshes choose otherwise: up to ten minutes.'
            : 'A Portcullis that hangs holds every call as long before it is refused, and Envoy runs out of room first.',
        where: filter.where,
        at,
        fix,
      })
    }
    routesInTime(ask, ms === 0 ? Infinity : (ms ?? ENVOYS_OWN_MS), tell)
  }
}

function routesInTime({ http, filter }: Ask, askMs: number, tell: Examined['tell']): void {
  for (const { routes } of http?.routes?.hosts ?? []) {
    for (const route of routes) {
      const action = member(route.part, 'route')
      const at = member(action, 'timeout')
      const ms = durationMsOf(at) ?? ROUTES_OWN_MS
      if (!isThere(action) || ms === 0 || ms >= askMs) continue
      tell({
        severity: 'warning',
        code: 'timeout-of-route',
        message: `the route has ${ms / 1000} s, the question of ${filter.name} ${askMs === Infinity ? 'no end' : `${askMs / 1000} s`}`,
        why: 'A call may wait longer for the decision than it may take: the caller gives up while Portcullis still decides.',
        where: route.where,
        at: isThere(at) ? at : action,
        fix: {
          into: member(filter.message, 'grpc_service'),
          called: 'grpc_service of ExtAuthz',
          set: { timeout: ms < 250 ? `${ms / 1000}s` : ASK_TIMEOUT },
        },
      })
    }
  }
}

/** Conditions under which Portcullis never began to decide. */
const UNDECIDED = new Set(['connect-failure', 'refused-stream', 'reset-before-request'])

export function retries({ asks, tell }: Examined): void {
  for (const { filter } of asks) {
    const service = member(filter.message, 'grpc_service')
    for (const holder of [member(service, 'envoy_grpc'), service]) {
      const at = member(holder, 'retry_policy', 'retry_on')
      const again = textOf(at)
        .split(',')
        .map((word) => word.trim())
        .filter((word) => word !== '' && !UNDECIDED.has(word))
      if (again.length === 0) continue
      tell({
        severity: 'warning',
        code: 'retry',
        message: `the question is asked again on ${again.join(', ')}`,
        why: 'Portcullis may have decided by then and used up a one-time token or a grant: the second answer is a refusal.',
        where: filter.where,
        at,
        fix: {
          into: holder,
          called: 'the service that ExtAuthz asks',
          set: { retry_policy: { retry_on: [...UNDECIDED].join(',') } },
        },
      })
    }
  }
}

export function peerCertificate({ asks, tell }: Examined): void {
  for (const { filter, mutual } of asks) {
    const at = member(filter.message, 'include_peer_certificate')
    if (!mutual || flagOf(at) === true) continue
    tell({
      severity: 'error',
      code: 'peer-certificate',
      message: 'include_peer_certificate is not true',
      why: 'Portcullis is not shown the certificate that the caller proved, so it knows no workload and refuses.',
      where: filter.where,
      at,
      fix: { into: filter.message, called: 'ExtAuthz', set: { include_peer_certificate: true } },
    })
  }
}

export function partialBody({ asks, tell }: Examined): void {
  for (const { filter } of asks) {
    const body = member(filter.message, 'with_request_body')
    const at = member(body, 'allow_partial_message')
    if (flagOf(at) !== true) continue
    tell({
      severity: 'warning',
      code: 'partial-body',
      message: 'allow_partial_message cuts bodies off',
      why: 'A condition on request.body cannot be met by a body that was cut: it is unknown, and a permit does not match.',
      where: filter.where,
      at,
      fix: { into: body, called: 'with_request_body of ExtAuthz', set: { allow_partial_message: false } },
    })
  }
}

export function withheld({ asks, tell }: Examined): void {
  for (const { filter } of asks) {
    const missing = withheldHeaders(filter.message)
    if (missing.length === 0) continue
    const set = takenAway(filter.message, 'allowed_headers', 'disallowed_headers')
    tell({
      severity: 'error',
      code: 'withheld-headers',
      message: `Portcullis is not shown ${missing.join(', ')}`,
      why: 'It decides on what it is shown: credentials that are missing make callers unknown, and what it would refuse it does not see.',
      where: filter.where,
      at: member(filter.message, Object.keys(set)[0] ?? ''),
      fix: { into: filter.message, called: 'ExtAuthz', set },
    })
  }
}
