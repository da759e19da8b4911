import { stringify } from 'yaml'
import type { Position } from '../../schema/problem.js'
import { positionOf, type Part } from './part.js'

/** Stable words for what can be wrong; docs/doctor.md explains each. */
export const FINDING_CODES = [
  'no-ext-authz',
  'unasked-listener',
  'unasked-upgrade',
  'after-router',
  'filter-before',
  'jwt-order',
  'failure-mode-allow',
  'can-be-off',
  'http-service',
  'api-version',
  'timeout',
  'timeout-of-route',
  'retry',
  'status-on-error',
  'peer-certificate',
  'clear-route-cache',
  'partial-body',
  'withheld-headers',
  'header-mutation',
  'metadata-dropped',
  'latency-unknown',
  'route-disabled',
  'route-asks-elsewhere',
  'service-overridden',
  'service-unnamed',
  'path-normalisation',
  'forwarded-certificate',
  'client-address',
  'underscore-headers',
  'open-streams',
  'no-tls',
  'client-certificate',
  'trust-anchors',
  'tls-version',
  'session-resumption',
  'cluster-unknown',
  'plaintext',
  'server-unverified',
  'server-name',
  'own-certificate',
  'http2',
  'health-check',
  'panic-threshold',
  'access-log',
  'open-admin',
] as const

export type FindingCode = (typeof FINDING_CODES)[number]

/**
 * What mends a finding: fields for the message at `into`. Maps are merged, lists of named things are merged by name
 * and take the order given, `null` takes a field away, all else is replaced.
 */
export type Fix = { readonly into: Part; readonly called: string; readonly set: unknown }

export type Found = {
  readonly severity: 'error' | 'warning'
  readonly code: FindingCode
  /** What is so, in words that begin a sentence. */
  readonly message: string
  /** Why it matters: one or two sentences. */
  readonly why: string
  /** Names from the outside in: listener, filter chain, filter; or route configuration, virtual host, route. */
  readonly where: string
  /** The field, or where it would be. */
  readonly at: Part
  readonly fix: Fix
}

export type Tell = (found: Found) => void

export type DoctorFinding = Omit<Found, 'at' | 'fix'> & {
  readonly source: string
  /** Files alone have lines. */
  readonly position: Position | undefined
  readonly fix: Fix & { readonly yaml: string }
}

export function placed({ at, fix, ...rest }: Found): DoctorFinding {
  const yaml = stringify(fix.set, { lineWidth: 0, aliasDuplicateObjects: false })
  return { ...rest, source: at.source.name, position: positionOf(at), fix: { ...fix, yaml } }
}

/** By source, then line and column, then place and code; errors of one place before its warnings. */
export function sortDoctorFindings(findings: readonly DoctorFinding[]): DoctorFinding[] {
  return findings.toSorted((a, b) => {
    if (a.source !== b.source) return a.source < b.source ? -1 : 1
    const lines = (a.position?.line ?? 0) - (b.position?.line ?? 0)
    const columns = (a.position?.column ?? 0) - (b.position?.column ?? 0)
    if (lines !== 0 || columns !== 0) return lines || columns
    const [left, right] = [`${a.where}\0${a.severity}\0${a.code}`, `${b.where}\0${b.severity}\0${b.code}`]
    return left < right ? -1 : left > right ? 1 : 0
  })
}
