import type { KeyObject } from 'node:crypto'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { readFileBounded } from '../adapters/files.js'
import type { ChainEnd } from '../audit/chain/chain-line.js'
import { DEFAULT_STREAM } from '../audit/chain/file-names.js'
import { CHAIN_ONLY, parseSigningPublicKey, signatureCheckOf } from '../audit/chain/signature-check.js'
import { findLogs, isSigned, type Log, systemProblem } from './audit-log-files.js'
import { isIntact, reportJson, reportText } from './audit-verify-report.js'
import { type LogReport, verifyLog, type VerifyOptions } from './audit-verify-log.js'
import type { CliIo } from './io.js'
import { styleOf } from './style.js'

type NotedHead = ChainEnd & { readonly stream: string }

type Options = {
  readonly key?: readonly string[]
  readonly head?: readonly NotedHead[]
  readonly chainOnly?: true
  readonly output: 'text' | 'json'
}

const MAX_KEY_BYTES = 64 * 1024
const PROGRESS_MS = 500
/** How long the end of a line that is being written is waited for. */
const WAIT_MS = 500
/** A log that is being written may lose files to its retention while they are read. */
const ATTEMPTS = 3

const HELP = `
A folder stands for every log in it, a file for the log that it belongs to: all its streams and files.
A log that is being written verifies too. The report says how far it is signed: lines behind that could still be changed.
Files alone can't tell that an older state of all of them was put back. For that, keep what --head wants elsewhere.
Exit codes: 0 intact, 1 something was found, 2 wrong usage or unreadable files.

Example:
  portcullis audit verify --key keys/audit.pem ./audit
  portcullis audit verify --key keys/audit.pem --head 1204300:Zm9vYmFy... ./audit/events.jsonl`

/** `portcullis audit verify`. */
export function register(audit: Command, io: CliIo): void {
  audit
    .command('verify')
    .description('find lines of audit logs that were changed, removed, added, moved or cut off')
    .argument('<paths...>', 'folders or files of audit logs')
    .option(
      '--key <file>',
      'PEM of a public key that checkpoints are signed with; may be repeated',
      collectKey,
    )
    .option(
      '--head <[stream=]seq:hash>',
      'a line that was noted elsewhere and must be there; may be repeated',
      collectHead,
    )
    .option('--chain-only', 'follow the chain of a signed log and leave its signatures unchecked')
    .addOption(
      new Option('-o, --output <format>', 'form of the report').choices(['text', 'json']).default('text'),
    )
    .addHelpText('after', HELP)
    .action((paths: string[], options: Options) => run(paths, options, io))
}

async function run(paths: readonly string[], options: Options, io: CliIo): Promise<void> {
  if (options.key && options.chainOnly) return refuse('--key and --chain-only exclude each other', io)
  const keys = await readKeys(options.key ?? [])
  if (typeof keys === 'string') return refuse(keys, io)
  const found = await findLogs(paths)
  if (!found.ok) return refuse(found.problem, io)
  if (options.head && found.logs.length > 1) {
    const names = found.logs.map(({ stem }) => `${stem}.jsonl`).join(', ')
    return refuse(`--head is of one log, and there are ${found.logs.length}: ${names}`, io)
  }
  const needsKey = keys.size === 0 && !options.chainOnly
  const reports: LogReport[] = []
  for (const log of found.logs) {
    if (needsKey && (await isSigned(log))) return refuse(needKey(log), io)
    const report = await verified(log, keys, options, io)
    if (typeof report === 'string') return refuse(report, io)
    if (needsKey && report.streams.some(({ signedLines }) => signedLines > 0)) return refuse(needKey(log), io)
    reports.push(report)
  }
  const told = { reports, others: found.others, isChainOnly: options.chainOnly ?? false }
  io.stdout(options.output === 'json' ? `${reportJson(told)}\n` : `${reportText(told, styleOf(io))}\n`)
  io.exitCode = reports.every(isIntact) ? 0 : 1
}

/** A text is the reason why it could not be read. */
async function verified(
  log: Log,
  keys: ReadonlyMap<string, KeyObject>,
  { head = [] }: Options,
  io: CliIo,
): Promise<LogReport | string> {
  const heads = new Map<string, ChainEnd[]>()
  for (const { stream, seq, hash } of head) heads.set(stream, [...(heads.get(stream) ?? []), { seq, hash }])
  const progress = progressOf(io)
  const options: VerifyOptions = {
    checkSignature: keys.size > 0 ? signatureCheckOf(keys) : CHAIN_ONLY,
    expectsSignatures: keys.size > 0,
    heads,
    waitMs: WAIT_MS,
    onProgress: progress.at,
  }
  for (let attempt = 1; ; attempt++) {
    try {
      return await verifyLog(log, options)
    } catch (error) {
      const problem = systemProblem(error)
      if (!problem) throw error
      if (problem.code !== 'ENOENT' || attempt === ATTEMPTS)
        return `the log can't be read: ${problem.message}`
    } finally {
      progress.end()
    }
  }
}

function needKey({ folder, stem }: Log): string {
  return `${folder}/${stem}.jsonl is signed: name the public key with --key, or --chain-only to leave signatures unchecked`
}

/** A text is what keeps one from being used. */
async function readKeys(files: readonly string[]): Promise<ReadonlyMap<string, KeyObject> | string> {
  const keys = new Map<string, KeyObject>()
  for (const file of files) {
    const read = await readFileBounded(file, MAX_KEY_BYTES)
    if (!read.ok) return read.problem
    const parsed = parseSigningPublicKey(read.bytes.toString())
    if (!parsed.ok) return `${file}: ${parsed.problem}`
    keys.set(parsed.keyId, parsed.key)
  }
  return keys
}

function collectKey(file: string, before: readonly string[] = []): readonly string[] {
  return [...before, file]
}

const HEAD = /^(?:([^=]{1,128})=)?([1-9][0-9]{0,15}):([A-Za-z0-9_-]{43})$/

function collectHead(text: string, before: readonly NotedHead[] = []): readonly NotedHead[] {
  const [, stream = DEFAULT_STREAM, seq, hash] = HEAD.exec(text) ?? []
  if (seq === undefined || hash === undefined)
    throw new InvalidArgumentError(
      'give number and hash of a line, for example default=17:qL8R4QIcQ_ZsRqOAbeRf...',
    )
  return [...before, { stream, seq: Number(seq), hash }]
}

/** One line that is written over, on a terminal alone. */
function progressOf(io: CliIo): {
  readonly at: (file: string, lines: number) => void
  readonly end: () => void
} {
  let nextMs = Date.now() + 2 * PROGRESS_MS
  let isShown = false
  return {
    at: (file, lines) => {
      if (!io.isTerminal || Date.now() < nextMs) return
      nextMs = Date.now() + PROGRESS_MS
      isShown = true
      io.stderr(`\r\u001b[K${file}: ${lines.toLocaleString('en')} lines`)
    },
    end: () => {
      if (isShown) io.stderr('\r\u001b[K')
      isShown = false
    },
  }
}

function refuse(problem: string, io: CliIo): void {
  io.stderr(`error: ${problem}\n`)
  io.exitCode = 2
}
