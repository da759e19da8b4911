import type { AccessReview, GrantLine, RuleLine } from './review.js'

type Column<Line> = { readonly title: string; readonly text: (line: Line) => string }

const list = (words: readonly string[]): string => words.join(' ')
const orNone = (text: string | number | undefined): string => (text === undefined ? '' : String(text))
const usesOf = ({ uses, maxUses }: GrantLine): string =>
  `${uses ?? '?'}${maxUses === undefined ? '' : ` of ${maxUses}`}`

const GRANT_COLUMNS: readonly Column<GrantLine>[] = [
  { title: 'GRANT', text: ({ id }) => id },
  { title: 'SUBJECT', text: ({ subject }) => subject },
  { title: 'SERVICE', text: ({ service }) => service },
  { title: 'OPERATIONS', text: ({ operations }) => list(operations) },
  { title: 'ROLES', text: ({ roles }) => list(roles) },
  { title: 'APPROVER', text: ({ approver, breakGlass }) => (breakGlass ? 'break-glass' : orNone(approver)) },
  { title: 'TICKET', text: ({ ticket }) => orNone(ticket) },
  { title: 'ENDS', text: ({ expiresAt, revokedAt }) => revokedAt ?? expiresAt },
  { title: 'USES', text: usesOf },
]

const RULE_COLUMNS: readonly Column<RuleLine>[] = [
  { title: 'RULE', text: ({ name }) => name },
  { title: 'SERVICE', text: ({ service }) => service ?? 'every service' },
  { title: 'WRITTEN AT', text: ({ source }) => source },
  { title: 'LAST USED', text: ({ lastUsedAt }) => lastUsedAt ?? 'never' },
]

/** The report for people: a section each, columns aligned, no control characters. Ends with a line feed. */
export function writeReviewTable(report: AccessReview): string {
  const { rules } = report
  const since = rules.observedSince === undefined ? 'not at all' : `since ${rules.observedSince}`
  const sections = [
    `Access review of ${report.at}\n`,
    section(`Live grants: ${report.live.length}`, GRANT_COLUMNS, report.live),
    section(`Expired or used up: ${report.expired.length}`, GRANT_COLUMNS, report.expired),
    section(`Revoked: ${report.revoked.length}`, GRANT_COLUMNS, report.revoked),
    section(`Grants never used: ${report.unused.length}`, GRANT_COLUMNS, report.unused),
    section(
      `Rules not used in ${rules.unusedForDays} days: ${rules.unused.length}` +
        (rules.observedLongEnough ? '' : ` (uses are observed ${since}, which is too short to be sure)`),
      RULE_COLUMNS,
      rules.unused,
    ),
  ]
  return sections.join('\n')
}

function section<Line>(heading: string, columns: readonly Column<Line>[], lines: readonly Line[]): string {
  if (lines.length === 0) return `${heading}\n`
  const rows = [
    columns.map(({ title }) => title),
    ...lines.map((line) => columns.map(({ text }) => harmless(text(line)) || '-')),
  ]
  const widths = columns.map((_, column) => Math.max(...rows.map((row) => lengthOf(row[column]))))
  const aligned = rows.map((row) =>
    row
      .map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - lengthOf(cell)))
      .join('  ')
      .trimEnd(),
  )
  return `${heading}\n${aligned.map((row) => `  ${row}\n`).join('')}`
}

function lengthOf(cell = ''): number {
  return Array.from(cell).length
}

function harmless(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, '?')
}

const CSV_COLUMNS: readonly (readonly [string, (line: GrantLine) => string])[] = [
  ['id', ({ id }) => id],
  ['state', ({ state }) => state],
  ['issuer', ({ issuer }) => issuer],
  ['subject', ({ subject }) => subject],
  ['service', ({ service }) => service],
  ['name', () => ''],
  ['source', () => ''],
  ['endpoints', ({ endpoints }) => list(endpoints)],
  ['operations', ({ operations }) => list(operations)],
  ['roles', ({ roles }) => list(roles)],
  ['requester', ({ requester }) => requester],
  ['approver', ({ approver }) => orNone(approver)],
  ['breakGlass', ({ breakGlass }) => String(breakGlass)],
  ['ticket', ({ ticket }) => orNone(ticket)],
  ['reason', ({ reason }) => reason],
  ['createdAt', ({ createdAt }) => createdAt],
  ['expiresAt', ({ expiresAt }) => expiresAt],
  ['revokedAt', ({ revokedAt }) => orNone(revokedAt)],
  ['revokedBy', ({ revokedBy }) => orNone(revokedBy)],
  ['uses', ({ uses }) => orNone(uses)],
  ['maxUses', ({ maxUses }) => orNone(maxUses)],
  ['lastUsedAt', ({ lastUsedAt }) => orNone(lastUsedAt)],
]

/**
 * The report for spreadsheets: every grant once, with its state and uses, then the rules that are not used. Columns
 * that a line has nothing for are empty. Source: RFC 4180.
 */
export function writeReviewCsv({ live, expired, revoked, rules }: AccessReview): string {
  const header = ['record', ...CSV_COLUMNS.map(([name]) => name)]
  const grants = [...live, ...expired, ...revoked].map((line) =>
    ['grant'].concat(CSV_COLUMNS.map(([, text]) => text(line))),
  )
  const unused = rules.unused.map((rule) => {
    const cells: ReadonlyMap<string, string> = new Map([
      ['id', rule.id],
      ['state', rules.observedLongEnough ? 'unused' : 'perhaps-unused'],
      ['service', rule.service ?? ''],
      ['name', rule.name],
      ['source', rule.source],
      ['lastUsedAt', rule.lastUsedAt ?? ''],
    ])
    return ['rule'].concat(CSV_COLUMNS.map(([name]) => cells.get(name) ?? ''))
  })
  return [header, ...grants, ...unused].map((row) => `${row.map(csvCell).join(',')}\r\n`).join('')
}

/** Spreadsheets run a cell that begins like a formula; an apostrophe makes it a text. */
function csvCell(text: string): string {
  const safe = /^[=+\-@\t\r\n＝＋－＠]/u.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}
