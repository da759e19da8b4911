import type { Pointer, Position } from '../../schema/problem.js'
import type { SourcedDocument } from '../../schema/strict-yaml.js'

/** `info` is worth a look and never fails a check. */
export type Severity = 'error' | 'warning' | 'info'

/** Something wrong or doubtful in a policy. `code` is stable kebab-case, for SARIF and suppressions. */
export type Finding = {
  readonly severity: Severity
  readonly code: string
  readonly message: string
  readonly position: Position | undefined
  /** What would mend it. */
  readonly hint?: string | undefined
}

/** Takes one finding, with its place in a document. */
export type Tell = (
  source: SourcedDocument,
  pointer: Pointer,
  finding: Pick<Finding, 'severity' | 'code' | 'message' | 'hint'>,
) => void

/** `file:line:column: severity: message (code)`, and the hint on a line of its own. */
export function formatFinding({ severity, code, message, position, hint }: Finding): string {
  const where = position ? `${position.file}:${position.line}:${position.column}: ` : ''
  return `${where}${severity}: ${message} (${code})${hint === undefined ? '' : `\n    hint: ${hint}`}`
}

/** By file, line and column; what has no place comes first, what stands at one place stays in the order given. */
export function sortFindings(findings: readonly Finding[]): Finding[] {
  return findings.toSorted(({ position: left }, { position: right }) => {
    if (!left || !right) return Number(left !== undefined) - Number(right !== undefined)
    if (left.file !== right.file) return left.file < right.file ? -1 : 1
    return left.line - right.line || left.column - right.column
  })
}
