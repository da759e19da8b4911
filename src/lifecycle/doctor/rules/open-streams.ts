import type { Examined } from '../examined.js'
import { TCP_PROXY } from '../message-types.js'
import { durationMsOf, flagOf, isThere, member, type Part } from '../part.js'
import type { HttpConnections } from '../setup.js'

/** As shipped: how long one answer stands. */
const LONGEST = '900s'
const WHY =
  'Portcullis decides when a stream begins and cannot take it back: whoever is thrown out goes on for as long as the stream lasts.'

/** Zero is no limit. */
const isUnbounded = (limit: Part): boolean => (durationMsOf(limit) ?? 0) === 0

/** How long what was allowed stays open. Source: docs/long-lived-calls.md. */
export function openStreams({ asks, tell }: Examined): void {
  const seen = new Set<unknown>()
  for (const { http, chain, mutual } of asks) {
    const subject = http ?? chain
    if (seen.has(subject)) continue
    seen.add(subject)
    if (http) {
      httpStreams(http, mutual, tell)
      for (const { routes } of http.routes?.hosts ?? []) {
        for (const { part, where } of routes) {
          const at = member(part, 'route', 'max_stream_duration', 'max_stream_duration')
          if (!isThere(at) || !isUnbounded(at)) continue
          const set = { route: { max_stream_duration: { max_stream_duration: LONGEST } } }
          const message = 'max_stream_duration of this route is no limit'
          tell({
            severity: 'warning',
            code: 'open-streams',
            message,
            why: WHY,
            where,
            at,
            fix: { into: part, called: 'route', set },
          })
        }
      }
    }
    for (const { type, message, where } of chain.filters) {
      const at = member(message, 'max_downstream_connection_duration')
      if (type !== TCP_PROXY || !isUnbounded(at)) continue
      tell({
        severity: 'warning',
        code: 'open-streams',
        message: 'connections may stay open without end',
        why: WHY.replaceAll('stream', 'connection'),
        where,
        at,
        fix: { into: message, called: 'TcpProxy', set: { max_downstream_connection_duration: LONGEST } },
      })
    }
  }
}

/** Whether every route has a limit of its own, so that the listener needs none. */
function isBoundedByRoute({ routes }: HttpConnections): boolean {
  const limits = (routes?.hosts ?? [])
    .flatMap((host) => host.routes)
    .map(({ part }) => member(part, 'route'))
    .filter(isThere)
    .map((route) => member(route, 'max_stream_duration', 'max_stream_duration'))
  return limits.length > 0 && !limits.some(isUnbounded)
}

function httpStreams(http: HttpConnections, mutual: boolean, tell: Examined['tell']): void {
  const { part: manager, where } = http
  const options = member(manager, 'common_http_protocol_options')
  const into = { into: manager, called: 'HTTP connection manager' }
  const stream = member(options, 'max_stream_duration')
  if (isUnbounded(stream) && !isBoundedByRoute(http)) {
    tell({
      severity: 'warning',
      code: 'open-streams',
      message: 'streams may stay open without end',
      why: WHY,
      where,
      at: stream,
      fix: { ...into, set: { common_http_protocol_options: { max_stream_duration: LONGEST } } },
    })
  }
  const idle = member(manager, 'stream_idle_timeout')
  if (isThere(idle) && isUnbounded(idle)) {
    tell({
      severity: 'warning',
      code: 'open-streams',
      message: 'streams on which nothing moves are never ended',
      why: 'They hold memory and a place in the count of streams without end, and anybody can open them.',
      where,
      at: idle,
      fix: { ...into, set: { stream_idle_timeout: '300s' } },
    })
  }
  const connection = member(options, 'max_connection_duration')
  const safe = member(manager, 'http1_safe_max_connection_duration')
  if (mutual && isUnbounded(connection)) {
    tell({
      severity: 'warning',
      code: 'open-streams',
      message: 'connections are never renewed',
      why: 'A connection shows the certificate that it began with: one that is always busy shows it until it has expired, and its calls are refused.',
      where,
      at: connection,
      fix: {
        ...into,
        set: {
          common_http_protocol_options: { max_connection_duration: LONGEST },
          http1_safe_max_connection_duration: true,
        },
      },
    })
  } else if (!isUnbounded(connection) && flagOf(safe) !== true) {
    tell({
      severity: 'warning',
      code: 'open-streams',
      message: 'http1_safe_max_connection_duration is not true',
      why: 'HTTP/1.1 connections are closed at the end of their time while a call may be on its way, which then fails.',
      where,
      at: safe,
      fix: { ...into, set: { http1_safe_max_connection_duration: true } },
    })
  }
}
