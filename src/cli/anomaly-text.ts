import { countsOf } from '../audit/anomaly/report.js'
import type { Finding, Severity } from '../audit/anomaly/finding.js'
import { printable } from './admin/printable.js'
import type { CliIo } from './io.js'
import { styleOf } from './style.js'

/** Decisions that are named under a finding; JSON names more. */
const MAX_NAMED = 3

/** One block a finding, as `all` has them. */
export function findingsText(findings: readonly Finding[], io: CliIo): string {
  return findings.map((finding) => `${blockOf(finding, io)}\n\n`).join('')
}

function blockOf(finding: Finding, io: CliIo): string {
  const { severity, rule, subject, message, observed, baseline, unit, fromMs, atMs, events } = finding
  const { bad, faint } = styleOf(io)
  const mark = severity === 'High' || severity === 'Critical' ? bad : (text: string) => text
  const whose = subject.kind === 'user' && subject.issuer !== undefined ? ` of ${subject.issuer}` : ''
  const usual = baseline === undefined ? '' : `, ${unit === 'km/h' ? 'at most' : 'usual'} ${number(baseline)}`
  const ids = events.decisionIds.slice(0, MAX_NAMED)
  const more = events.count - ids.length
  return [
    mark(
      `${severity.toUpperCase().padEnd(8)} ${rule}  ${printable(`${subject.kind} ${subject.id}${whose}`)}`,
    ),
    `  ${printable(message)}`,
    `  ${timeText(fromMs)} to ${timeText(atMs)}, observed ${number(observed)}${unit === 'hour of the day' ? ' h' : ` ${unit}`}${usual}`,
    faint(
      `  ${number(events.count)} ${events.count === 1 ? 'event' : 'events'}: ${printable(ids.join(', '))}${more > 0 ? ` and ${number(more)} more` : ''}`,
    ),
  ].join('\n')
}

/** `3 findings (1 High, 2 Low)`. */
export function countText(findings: readonly Finding[]): string {
  const by = countsOf(findings).map(
    ([severity, count]: readonly [Severity, number]) => `${number(count)} ${severity}`,
  )
  const total = `${number(findings.length)} ${findings.length === 1 ? 'finding' : 'findings'}`
  return by.length === 0 ? 'nothing found' : `${total} (${by.join(', ')})`
}

export function timeText(epochMs: number): string {
  return new Date(epochMs)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, 'Z')
}

export function number(value: number): string {
  return value.toLocaleString('en')
}
