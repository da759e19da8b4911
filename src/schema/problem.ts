/** A place in a file the user wrote; line and column count from 1. */
export type Position = {
  readonly file: string
  readonly line: number
  readonly column: number
  /** Of what has no lines, such as `spec.rules[0]` of a custom resource: it takes their place. */
  readonly field?: string
}

/** Something wrong or doubtful in what a user wrote. `code` is stable kebab-case, for SARIF and suppressions. */
export type Problem = {
  readonly severity: 'error' | 'warning'
  readonly code: string
  readonly message: string
  readonly position: Position | undefined
}

/** A way into a parsed document: keys and indexes from its root. */
export type Pointer = readonly (string | number)[]

/** `file:line:column`, or `file field`. */
export function formatPosition({ file, line, column, field }: Position): string {
  if (field === undefined) return `${file}:${line}:${column}`
  return field === '' ? file : `${file} ${field}`
}

/** `file:line:column: error: message (code)`, as compilers write it. */
export function formatProblem(problem: Problem): string {
  const at = problem.position
  const where = at ? `${formatPosition(at)}: ` : ''
  return `${where}${problem.severity}: ${problem.message} (${problem.code})`
}

/** By file, then line, then column; problems without a place come first. */
export function sortProblems(problems: readonly Problem[]): Problem[] {
  return [...problems].sort((a, b) => {
    const left = a.position
    const right = b.position
    if (!left || !right) return Number(Boolean(left)) - Number(Boolean(right))
    if (left.file !== right.file) return left.file < right.file ? -1 : 1
    return left.line - right.line || left.column - right.column
  })
}
