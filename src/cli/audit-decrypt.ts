import type { KeyObject } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { type FileHandle, mkdir, open, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Command } from 'commander'
import { readFileBounded } from '../adapters/files.js'
import { openLine } from '../audit/chain/open-line.js'
import { jweOpener, type OpenJwe, parseRecipientKey } from '../audit/chain/open-jwe.js'
import { printable } from './admin/printable.js'
import { readByteLines } from './audit-lines.js'
import { findLogs, openRegular, streamFilesOf, streamNamesOf, systemProblem } from './audit-log-files.js'
import type { CliIo } from './io.js'

type Options = { readonly key: readonly string[]; readonly out: string }

const MAX_KEY_BYTES = 64 * 1024
const OUTPUT_BYTES = 256 * 1024
/** Lines that can't be opened are told one by one up to so many of a file. */
const MAX_TOLD = 5

const HELP = `
A folder stands for all files of the audit logs in it, a file for itself. Out come the events, one a line, as they would
stand there without encryption; what was never encrypted too. Lines of the log about itself are left out.
Lines for which there is no key are told with the key that they need.
Exit codes: 0 every line was opened, 1 some were not, 2 wrong usage or unreadable files.

Example:
  portcullis audit decrypt --key keys/restricted.key ./audit/events.restricted.jsonl
  portcullis audit decrypt --key keys/restricted.key --key keys/default.key ./audit --out ./opened`

/** `portcullis audit decrypt`. */
export function register(audit: Command, io: CliIo): void {
  audit
    .command('decrypt')
    .description('write the events of encrypted audit logs in plain text')
    .argument('<paths...>', 'folders or files of audit logs')
    .requiredOption('--key <file>', 'PEM of a private key on P-384; may be repeated', collectKey)
    .option('--out <folder>', 'where files of the same names are written; - is standard output', '-')
    .addHelpText('after', HELP)
    .action((paths: string[], options: Options) => run(paths, options, io))
}

async function run(paths: readonly string[], options: Options, io: CliIo): Promise<void> {
  const keys = await readKeys(options.key, io)
  if (typeof keys === 'string') return refuse(keys, io)
  const files = await filesOf(paths)
  if (typeof files === 'string') return refuse(files, io)
  const opener = jweOpener(keys)
  const sum: Counts = { events: 0, encrypted: 0, failed: 0 }
  try {
    if (options.out !== '-') await mkdir(options.out, { recursive: true, mode: 0o700 })
    for (const file of files) await decryptFile(file, opener, options.out, sum, io)
  } catch (error) {
    const problem = systemProblem(error)
    if (problem === undefined) throw error
    return refuse(problem.message, io)
  }
  const failed = sum.failed > 0 ? `, ${sum.failed.toLocaleString('en')} lines could not be opened` : ''
  io.stderr(
    `${sum.events.toLocaleString('en')} events, ${sum.encrypted.toLocaleString('en')} of them decrypted${failed}\n`,
  )
  io.exitCode = sum.failed > 0 ? 1 : 0
}

type Counts = { events: number; encrypted: number; failed: number }

async function decryptFile(
  path: string,
  opener: OpenJwe,
  out: string,
  sum: Counts,
  io: CliIo,
): Promise<void> {
  const input = await openRegular(path)
  let output: FileHandle | undefined
  try {
    if (out !== '-') output = await open(join(out, basename(path)), 'wx', 0o600)
    let [number, told] = [0, 0]
    let waiting: string[] = []
    let held = 0
    const write = (): void => {
      const text = waiting.join('')
      waiting = []
      held = 0
      if (text === '') return
      if (output) writeFileSync(output.fd, text)
      else io.stdout(text)
    }
    const { size } = await input.stat()
    await readByteLines(input, { size, waitMs: 0 }, (line) => {
      number++
      const opened = openLine(line, opener)
      if (opened.kind === 'left-out') return
      if (opened.kind === 'bad') {
        sum.failed++
        if (told++ < MAX_TOLD) io.stderr(printable(`${path}:${number}: not opened: ${opened.problem}`) + '\n')
        return
      }
      sum.events++
      if (opened.kind === 'decrypted') sum.encrypted++
      waiting.push(`${opened.text}\n`)
      held += opened.text.length
      if (held >= OUTPUT_BYTES) write()
    })
    write()
    if (told > MAX_TOLD) io.stderr(printable(`${path}: ${told} lines could not be opened in all`) + '\n')
  } finally {
    await input.close()
    await output?.close()
  }
}

/** A text is what keeps them from being read. */
async function filesOf(paths: readonly string[]): Promise<readonly string[] | string> {
  const files: string[] = []
  for (const path of paths) {
    const found = await stat(path).catch(() => undefined)
    if (!found) return `${path} can't be read: no such file`
    if (!found.isDirectory()) {
      files.push(path)
      continue
    }
    const logs = await findLogs([path])
    if (!logs.ok) return logs.problem
    for (const log of logs.logs) {
      for (const stream of await streamNamesOf(log)) {
        for (const { name, handle } of await streamFilesOf(log, stream)) {
          files.push(join(log.folder, name))
          await handle?.close()
        }
      }
    }
  }
  return files
}

/** A text is what keeps one from being used. */
async function readKeys(
  files: readonly string[],
  io: CliIo,
): Promise<ReadonlyMap<string, KeyObject> | string> {
  const keys = new Map<string, KeyObject>()
  for (const file of files) {
    const read = await readFileBounded(file, MAX_KEY_BYTES)
    if (!read.ok) return read.problem
    const parsed = parseRecipientKey(read.bytes.toString())
    if (!parsed.ok) return `${file}: ${parsed.problem}`
    keys.set(parsed.keyId, parsed.key)
    const { mode } = await stat(file)
    if ((mode & 0o077) !== 0)
      io.stderr(
        `warning: ${file} can be read by others than its owner (mode ${(mode & 0o777).toString(8)})\n`,
      )
  }
  return keys
}

function collectKey(file: string, before: readonly string[] = []): readonly string[] {
  return [...before, file]
}

function refuse(problem: string, io: CliIo): void {
  io.stderr(`error: ${problem}\n`)
  io.exitCode = 2
}
