/** Problems that are told; beyond that their number. */
const MAX_PROBLEMS = 20
/** Lines read between two chances for others. */
const A_TURN = 512
const MAX_LINE = 1024

/** Either what every line says, or what is wrong with them, as `file:line: what`. */
export type ReadLines<Value> =
  | { readonly ok: true; readonly values: readonly Value[] }
  | { readonly ok: false; readonly problems: readonly string[] }

/**
 * Reads a list of a line each. Blank lines and what follows `#` or `;` don't count. `read` gets the trimmed text and its
 * line (from 1), and gives undefined for a line that says nothing. Bytes that are no UTF-8 are no address either, so they
 * end as a problem of their line. A generator: see `compileCidrTable`.
 */
export function* readLines<Value>(
  file: string,
  bytes: Buffer,
  read: (text: string, line: number) => { readonly value: Value } | { readonly problem: string } | undefined,
): Generator<void, ReadLines<Value>> {
  const values: Value[] = []
  const problems: string[] = []
  let wrong = 0
  let line = 0
  for (let from = bytes.subarray(0, 3).toString('hex') === 'efbbbf' ? 3 : 0; from < bytes.length;) {
    if (line % A_TURN === 0) yield
    line += 1
    const found = bytes.indexOf(0x0a, from)
    const end = found < 0 ? bytes.length : found
    const raw = bytes.toString('utf8', from, Math.min(end, from + MAX_LINE + 1))
    from = end + 1
    const text = raw.replace(/[#;].*$/s, '').trim()
    const tooLong = text.length > MAX_LINE
    const said = tooLong
      ? { problem: 'is longer than 1024 bytes' }
      : text === ''
        ? undefined
        : read(text, line)
    if (said === undefined) continue
    if ('value' in said) values.push(said.value)
    else {
      wrong += 1
      if (problems.length < MAX_PROBLEMS) problems.push(`${file}:${line}: ${printable(said.problem)}`)
    }
  }
  if (wrong === 0) return { ok: true, values }
  if (wrong > problems.length) problems.push(`${file}: ${wrong - problems.length} more wrong lines`)
  return { ok: false, problems }
}

/** What a log line may show of a file that may hold anything. */
function printable(text: string): string {
  const clean = text.replace(/[^\x20-\x7e\u00a1-\ud7ff]/g, '?')
  return clean.length > 200 ? `${clean.slice(0, 200)}…` : clean
}
