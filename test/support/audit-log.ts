import { createHash, type KeyObject, verify } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

type Members = Readonly<Record<string, unknown>>

export type ReadStream = {
  /** Lines of the log itself, parsed. */
  readonly own: readonly Members[]
  /** Event lines, parsed. */
  readonly events: readonly Members[]
  readonly files: readonly string[]
  readonly lastSeq: number
  /** What does not follow from what stands before it. */
  readonly problems: readonly string[]
}

/**
 * Reads a log as its format says, with nothing of the product: chain, sequence, torn bytes and, with a key, signatures.
 * `stem.STREAM` has the files of a stream other than the default one.
 */
export async function readAuditLog(
  folder: string,
  stemOfStream: string,
  publicKey?: KeyObject,
): Promise<ReadStream> {
  const names = await readdir(folder)
  const closed = names
    .filter(
      (name) =>
        name.startsWith(`${stemOfStream}.`) && /^\.\d{12,}\.jsonl$/.test(name.slice(stemOfStream.length)),
    )
    .sort()
  const files = [...closed, ...names.filter((name) => name === `${stemOfStream}.jsonl`)]
  const own: Members[] = []
  const events: Members[] = []
  const problems: string[] = []
  let seq = 0
  let hash = 'A'.repeat(43)
  for (const [index, name] of files.entries()) {
    const bytes = await readFile(join(folder, name))
    let torn: Buffer | undefined
    let at = 0
    while (at < bytes.length) {
      const lineFeed = bytes.indexOf(10, at)
      const line = bytes.subarray(at, lineFeed === -1 ? bytes.length : lineFeed)
      at += line.length + 1
      const found = /,"chain":\{"seq":(\d+),"hash":"([^"]{43})"\}\}$/.exec(line.toString('latin1'))
      const body = found ? line.subarray(0, found.index) : line
      const isFirst = seq === 0 && found?.[1] !== '1' && index === 0
      if (isFirst && found) {
        const opened = members(line)
        seq = Number(opened['previousSeq'])
        hash = String(opened['previousHash'])
      }
      const expected = createHash('sha256')
        .update(hash)
        .update(body)
        .update(`,"seq":${seq + 1}`)
        .digest('base64url')
      if (lineFeed === -1 || !found || found[1] !== String(seq + 1) || found[2] !== expected) {
        torn = torn ? Buffer.concat([torn, Buffer.from('\n'), line]) : line
        if (lineFeed === -1) problems.push(`${name}: ends in ${line.length} bytes without a line feed`)
        continue
      }
      const parsed = members(line)
      if (torn) {
        const digest = createHash('sha256').update(torn).digest('base64url')
        if (parsed['tornBytes'] !== torn.length || parsed['tornHash'] !== digest) {
          problems.push(`${name}: ${torn.length} bytes before line ${seq + 1} are not accounted for`)
        }
        torn = undefined
      } else if (parsed['tornBytes'] !== undefined) problems.push(`${name}: no torn bytes before ${seq + 1}`)
      const isOwn = typeof parsed['eventType'] === 'string' && parsed['eventType'].startsWith('audit-')
      if (isOwn && publicKey)
        problems.push(...signatureProblems(body, hash, publicKey, `${name}: line ${seq + 1}`))
      ;(isOwn ? own : events).push(parsed)
      seq++
      hash = expected
    }
    if (torn) problems.push(`${name}: ${torn.length} bytes at its end are not accounted for`)
    const last = own.at(-1)
    if (index < files.length - 1 && (last?.['reason'] !== 'rotation' || last['covered'] !== seq - 1)) {
      problems.push(`${name} does not end in a checkpoint`)
    }
  }
  return { own, events, files, lastSeq: seq, problems }
}

function signatureProblems(body: Buffer, previous: string, key: KeyObject, where: string): string[] {
  const at = body.lastIndexOf(',"signature":"')
  if (at === -1) return [`${where}: not signed`]
  const signature = Buffer.from(body.subarray(at + 14, -1).toString(), 'base64url')
  const text = Buffer.concat([Buffer.from(`portcullis-audit-v1\n${previous}\n`), body.subarray(0, at)])
  return verify(null, text, key, signature) ? [] : [`${where}: wrong signature`]
}

export function members(line: Buffer | string): Members {
  const parsed: unknown = JSON.parse(line.toString())
  if (typeof parsed !== 'object' || parsed === null) throw new Error('no object')
  return Object.fromEntries(Object.entries(parsed))
}
