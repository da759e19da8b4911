import type { Command } from 'commander'
import { listPolicyFiles, readFileBounded } from '../adapters/files.js'
import type { NotLearned } from '../lifecycle/learn/evidence.js'
import { Lesson, nothingWritten, type PolicyText, takeLine, whatIsWritten } from '../lifecycle/learn/learn.js'
import { type Opened, opensAlso } from '../lifecycle/learn/opens-also.js'
import type { WrittenFile } from '../lifecycle/learn/write-documents.js'
import type { TrafficEvent } from '../lifecycle/traffic.js'
import { loadPolicy, type LoadOptions } from '../policy/load-policy.js'
import { formatProblem } from '../schema/problem.js'
import { printable } from './admin/printable.js'
import { candidateConfig } from './candidate-policy.js'
import { refuse } from './config-file.js'
import type { CliIo } from './io.js'
import { writeFolder } from './learn-write.js'
import { readLines } from './record-lines.js'
import { styleOf } from './style.js'

type Options = {
  readonly policy?: string
  readonly config?: string
  readonly trustDomain?: string
  readonly output: string
  readonly includeDenied?: boolean
  readonly includeAnonymous?: boolean
}

const MAX_FILE_BYTES = 16 * 1024 * 1024
/** Groups of calls that are told; the rest is counted. */
const MAX_TOLD = 20
const MAX_NAMED = 10
/** Decisions that were not given, of which is known; their events are not learned from. */
const MAX_WITHDRAWN = 100_000

/** `portcullis learn`. */
export function register(program: Command, io: CliIo): void {
  program
    .command('learn')
    .description('propose the least policy that lets pass what security events show')
    .argument('<events...>', 'files of security events, JSON lines; read three times')
    .option('--policy <directory>', 'what is written already: kept, and only what is missing is added')
    .option('-o, --output <directory>', 'where the documents go; - is standard output', '-')
    .option('-c, --config <file>', 'portcullis.yaml, for its trust domains')
    .option('--trust-domain <domain>', 'the local trust domain; default: of --config, else cluster.local')
    .option('--include-denied', 'learn from calls that were refused too')
    .option('--include-anonymous', 'learn endpoints that nobody is identified at (require: None)')
    .addHelpText(
      'after',
      '\nExit codes: 0 documents are proposed or nothing is missing, 1 the proposal does not hold, 2 nothing could be read.\n\nExample:\n  portcullis learn events.jsonl --policy ./policy -o ./policy-next',
    )
    .action((events: string[], options: Options) => run(events, options, io))
}

async function run(events: readonly string[], options: Options, io: CliIo): Promise<void> {
  const config = await candidateConfig(options, io)
  if (config === false) return
  const load: LoadOptions = {
    localTrustDomain: options.trustDomain ?? config?.trustDomain ?? 'cluster.local',
    trustDomains: [...(config?.trustDomains.keys() ?? [])],
    hasPlaces: config ? config.geo !== undefined : undefined,
    hasDevices: config?.deviceInventory.enabled,
  }
  const known = options.policy === undefined ? nothingWritten(load) : await written(options.policy, load, io)
  if (!known) return
  const lesson = new Lesson(known, {
    includeDenied: options.includeDenied ?? false,
    includeAnonymous: options.includeAnonymous ?? false,
  })
  let count = 0
  const withdrawn = new Set<string>()
  const first = await readLines(
    events,
    (line) =>
      takeLine(
        line,
        (event) => {
          count++
          lesson.suspicion.note(event)
        },
        (decisionId) => {
          if (withdrawn.size < MAX_WITHDRAWN) withdrawn.add(decisionId)
        },
      ),
    { what: 'security event', io },
  )
  if (!first.ok) return
  if (count === 0) return fail(`no security event of a decision in ${events.join(', ')}`, io)
  const again = { what: 'security event', io, quiet: true } as const
  const given = (note: (event: TrafficEvent) => void) => (line: string) =>
    takeLine(line, (event) => {
      if (!withdrawn.has(event.decisionId)) note(event)
    })
  await readLines(
    events,
    given((event) => lesson.evidence.note(event)),
    again,
  )
  const additions = lesson.additions()
  const files = lesson.files(additions)
  let opened: readonly Opened[] = []
  if (files.length > 0) {
    const result = lesson.result(files, load)
    if (!result.ok) {
      const below = options.output === '-'
      io.stderr(
        `error: the proposal does not load; ${below ? 'what it would say stands below' : 'nothing was written'}\n`,
      )
      for (const problem of result.problems) io.stderr(`${formatProblem(problem)}\n`)
      io.exitCode = 1
      if (!below) return
    } else {
      const proof = lesson.proof(result.policy.matrix)
      await readLines(
        events,
        given((event) => proof.note(event)),
        again,
      )
      if (proof.learned > 0) {
        io.stderr(`warning: ${proof.learned} calls are still not let pass: learn again with --policy\n`)
        io.exitCode = 1
      }
      opened = opensAlso(additions, result.policy.matrix)
    }
  }
  if (!(await write(files, lesson, options, io))) return
  summarize(lesson, files, { count, opened }, io)
}

/** The policy that is there; undefined after telling what is wrong. */
async function written(
  directory: string,
  load: LoadOptions,
  io: CliIo,
): Promise<ReturnType<typeof whatIsWritten> | undefined> {
  const listed = await listPolicyFiles(directory)
  if (!listed.ok) {
    fail(listed.problem, io)
    return undefined
  }
  const files: PolicyText[] = []
  for (const path of listed.files) {
    const read = await readFileBounded(path, MAX_FILE_BYTES)
    if (!read.ok) {
      fail(read.problem, io)
      return undefined
    }
    files.push({ file: nameIn(directory, path), text: Buffer.from(read.bytes).toString() })
  }
  if (files.length === 0) return nothingWritten(load)
  const loaded = loadPolicy(files, load)
  if (loaded.ok) return whatIsWritten(loaded, files)
  refuse(loaded.problems, io)
  return undefined
}

function nameIn(directory: string, path: string): string {
  const prefix = directory.endsWith('/') ? directory : `${directory}/`
  return path.startsWith(prefix) ? path.slice(prefix.length) : path
}

/** False after telling why nothing was written. */
async function write(
  files: readonly WrittenFile[],
  lesson: Lesson,
  options: Options,
  io: CliIo,
): Promise<boolean> {
  if (options.output === '-') {
    io.stdout(files.map(({ file, text }) => `# ${file}\n${text}`).join('---\n'))
    return true
  }
  const problem = await writeFolder(files, lesson.knownFiles, options)
  if (problem !== undefined) fail(problem, io)
  return problem === undefined
}

function summarize(
  lesson: Lesson,
  files: readonly WrittenFile[],
  { count, opened }: { readonly count: number; readonly opened: readonly Opened[] },
  io: CliIo,
): void {
  const { good, bad, faint } = styleOf(io)
  const { evidence, suspects } = lesson
  const { groups, more } = evidence.notLearned()
  const number = (value: number) => value.toLocaleString('en')
  const lines = [
    ...[...suspects.values()].map(({ actor, why, calls }) =>
      bad(printable(`looks like an attack, left out: ${actor} (${number(calls)} calls), ${why}`)),
    ),
    ...groups
      .filter(({ why }) => !why.startsWith('looks like an attack'))
      .slice(0, MAX_TOLD)
      .map((group) => faint(printable(`not learned: ${leftOutText(group)}`))),
  ]
  const untold = groups.slice(MAX_TOLD).reduce((sum, group) => sum + group.count, more)
  if (untold > 0) lines.push(faint(`not learned: ${number(untold)} more`))
  lines.push(
    ...opened
      .slice(0, MAX_TOLD)
      .map(({ caller, target, endpoint, rule }) =>
        bad(printable(`opens also: ${caller} → ${target} ${endpoint} (rule ${rule} has no \`to\`)`)),
      ),
  )
  if (opened.length > MAX_TOLD) lines.push(bad(`opens also: ${number(opened.length - MAX_TOLD)} more`))
  const named = files.slice(0, MAX_NAMED).map(({ file, isNew }) => `${file}${isNew ? ' (new)' : ''}`)
  if (files.length > MAX_NAMED) named.push(`${number(files.length - MAX_NAMED)} more files`)
  lines.push(
    good(
      `${number(count)} events: ${number(evidence.covered)} pass already, ${number(evidence.learned)} learned${files.length > 0 ? `, in ${printable(named.join(', '))}` : ', nothing is missing'}`,
    ),
  )
  io.stderr(`${lines.join('\n')}\n`)
}

function leftOutText({ caller, target, why, count, example }: NotLearned): string {
  return `${caller} → ${target}  ${count.toLocaleString('en')} × ${example}: ${why}`
}

function fail(problem: string, io: CliIo): void {
  io.stderr(`error: ${problem}\n`)
  io.exitCode = 2
}
