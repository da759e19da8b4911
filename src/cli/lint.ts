import { stat } from 'node:fs/promises'
import { relative, resolve, sep } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { listPolicyFiles, readFileBounded } from '../adapters/files.js'
import { plannedSinks } from '../config/audit.js'
import { type Finding, formatFinding } from '../lifecycle/lint/finding.js'
import { lintPolicy } from '../lifecycle/lint/lint-policy.js'
import type { Issuers, Loaded } from '../lifecycle/lint/linted-mesh.js'
import { type RuleCost, ruleCosts } from '../lifecycle/lint/rule-costs.js'
import { sarifLog } from '../lifecycle/lint/sarif.js'
import { TrafficUse } from '../lifecycle/lint/traffic-use.js'
import { readTrafficLine } from '../lifecycle/traffic.js'
import { loadPolicy, type LoadOptions } from '../policy/load-policy.js'
import type { PolicyFile } from '../policy/read-documents.js'
import { policyFolder, readConfig } from './config-file.js'
import type { CliIo } from './io.js'
import { readLines } from './record-lines.js'
import { styleOf } from './style.js'

const FORMATS = ['text', 'json', 'sarif'] as const

type Options = {
  readonly config?: string
  readonly traffic?: readonly string[]
  readonly maxWarnings?: number
  readonly strict?: true
  readonly output: (typeof FORMATS)[number]
}

const MAX_FILE_BYTES = 16 * 1024 * 1024
const LOCAL_TRUST_DOMAIN = 'cluster.local'
/** What takes about a second. */
const LONG_WORK_BYTES = 4 * 1024 * 1024

const HELP = `
Without --config the local trust domain is ${LOCAL_TRUST_DOMAIN}, and what tokens may claim is not known.
With --traffic it tells rules that could have decided no recorded call and edges that none went over.
Exit codes: 0 no error, 1 errors found (or too many warnings), 2 nothing could be read.

Example:
  portcullis lint ./policy
  portcullis lint --config portcullis.yaml -o json
  portcullis lint ./policy --strict -o sarif > portcullis.sarif
  portcullis lint ./policy --traffic events.jsonl older-events.jsonl`

/** `portcullis lint`. */
export function register(program: Command, io: CliIo): void {
  program
    .command('lint')
    .description('check policy documents: every error and every doubt, with its place')
    .argument('[paths...]', 'folders or files of policy documents that belong together')
    .option(
      '-c, --config <file>',
      'portcullis.yaml, for its trust domains and issuers and, without paths, its policy folder',
    )
    .option('--traffic <files...>', 'security events (JSON lines), for what is never used; after the paths')
    .option('--max-warnings <number>', 'end with 1 when there are more warnings', parseCount)
    .option('--strict', 'end with 1 when there is any warning')
    .addOption(new Option('-o, --output <format>', 'form of the report').choices(FORMATS).default('text'))
    .addHelpText('after', HELP)
    .action((paths: string[], options: Options) => lint(paths, options, program.version() ?? '', io))
}

function parseCount(text: string): number {
  if (!/^[0-9]{1,9}$/.test(text)) throw new InvalidArgumentError('give a number of warnings, 0 or more.')
  return Number(text)
}

async function lint(paths: readonly string[], options: Options, version: string, io: CliIo): Promise<void> {
  const setting = await settingOf(paths, options, io)
  if (!setting) return
  const files = new Map<string, PolicyFile>()
  for (const path of setting.paths) {
    const problem = await collect(path, files)
    if (problem === undefined) continue
    io.stderr(`error: ${problem}\n`)
    io.exitCode = 2
  }
  if (io.exitCode === 2) return
  const done = tellWork([...files.values()], io)
  const loaded = loadPolicy([...files.values()], setting.load)
  const traffic = loaded.ok && options.traffic ? await readTraffic(loaded, options.traffic, io) : undefined
  if (traffic === false) return
  const findings = loaded.ok
    ? lintPolicy(loaded, { issuers: setting.issuers, traffic, nowMs: Date.now() })
    : loaded.problems
  done()
  const counts = countsOf(findings)
  const costs = loaded.ok ? ruleCosts(loaded.sources) : []
  io.stdout(
    options.output === 'sarif'
      ? `${JSON.stringify(sarifLog(findings, version, uriOf))}\n`
      : options.output === 'json'
        ? asJson(findings, counts, costs)
        : asText(findings, counts, files.size, io),
  )
  const allowed = options.strict ? 0 : (options.maxWarnings ?? Infinity)
  if (counts.warning > allowed) {
    io.stderr(`error: ${count(counts.warning, 'warning')}, and at most ${allowed} may be\n`)
  }
  io.exitCode = counts.error > 0 || counts.warning > allowed ? 1 : 0
}

/** Says on a terminal what takes more than a moment; what it gives takes the line away again. */
function tellWork(files: readonly PolicyFile[], io: CliIo): () => void {
  const bytes = files.reduce((sum, { text }) => sum + text.length, 0)
  if (!io.isTerminal || bytes < LONG_WORK_BYTES) return () => undefined
  io.stderr(`checking ${count(files.length, 'file')} (${Math.round(bytes / 1024 / 1024)} MiB)…`)
  return () => io.stderr('\r\u001b[K')
}

/** False after telling why nothing could be read. */
async function readTraffic(loaded: Loaded, files: readonly string[], io: CliIo): Promise<TrafficUse | false> {
  const use = new TrafficUse(loaded)
  const { ok } = await readLines(
    files,
    (line) => {
      const read = readTrafficLine(line)
      if (read.kind === 'event') use.add(read.event)
      return read.kind === 'bad' ? read.problem : undefined
    },
    { what: 'security event', io },
  )
  if (!ok) return false
  if (use.events > 0) return use
  io.stderr('error: there is no security event of a decision in the files of --traffic\n')
  io.exitCode = 2
  return false
}

type Setting = {
  readonly paths: readonly string[]
  readonly load: LoadOptions
  readonly issuers?: Issuers
}

async function settingOf(
  paths: readonly string[],
  { config }: Options,
  io: CliIo,
): Promise<Setting | undefined> {
  if (config === undefined) {
    if (paths.length > 0) return { paths, load: { localTrustDomain: LOCAL_TRUST_DOMAIN, trustDomains: [] } }
    io.stderr('error: name a folder or files of policy documents, or --config\n')
    io.exitCode = 2
    return undefined
  }
  const loaded = await readConfig({ config, set: {} }, io)
  if (!loaded) return undefined
  const { trustDomain, trustDomains, geo, deviceInventory, serviceTokens, userTokens, audit } = loaded.config
  const folder = paths.length > 0 ? undefined : policyFolder(undefined, loaded.config, io)
  if (paths.length === 0 && folder === undefined) return undefined
  return {
    paths: folder === undefined ? paths : [folder],
    load: {
      localTrustDomain: trustDomain,
      trustDomains: [...trustDomains.keys()],
      hasPlaces: geo !== undefined,
      hasDevices: deviceInventory.enabled,
      auditSinks: plannedSinks(audit),
    },
    issuers: { services: [...serviceTokens.issuers.values()], users: userTokens.issuers },
  }
}

/** Adds the files at `path`; gives what keeps them from being read. */
async function collect(path: string, files: Map<string, PolicyFile>): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined)
  const listed = found?.isDirectory() ? await listPolicyFiles(path) : { ok: true as const, files: [path] }
  if (!listed.ok) return listed.problem
  for (const file of listed.files) {
    if (files.has(file)) continue
    const read = await readFileBounded(file, MAX_FILE_BYTES)
    if (!read.ok) return read.problem
    files.set(file, { file, text: read.bytes })
  }
  return undefined
}

type Counts = Readonly<Record<Finding['severity'], number>>

function countsOf(findings: readonly Finding[]): Counts {
  const counts = { error: 0, warning: 0, info: 0 }
  for (const { severity } of findings) counts[severity]++
  return counts
}

function asJson(findings: readonly Finding[], counts: Counts, costs: readonly RuleCost[]): string {
  const problems = findings.map(({ severity, code, message, hint, position }) => ({
    severity,
    code,
    message,
    hint,
    ...position,
  }))
  const { error, warning, info } = counts
  const flat = costs.map(({ rule, cost, position }) => ({ rule, cost, ...position }))
  return `${JSON.stringify({ errors: error, warnings: warning, notes: info, problems, costs: flat })}\n`
}

function asText(findings: readonly Finding[], counts: Counts, files: number, io: CliIo): string {
  const { good, bad, faint } = styleOf(io)
  const lines = findings.map((finding) => {
    const line = formatFinding(finding)
    if (finding.severity === 'error') return bad(line)
    return finding.severity === 'info' ? faint(line) : line
  })
  const notes = counts.info > 0 ? `, ${count(counts.info, 'note')}` : ''
  const sum = `${count(counts.error, 'error')}, ${count(counts.warning, 'warning')}${notes}`
  lines.push(`${counts.error > 0 ? bad(sum) : good(sum)} ${faint(`in ${count(files, 'file')}`)}`)
  return `${lines.join('\n')}\n`
}

const count = (number: number, word: string): string => `${number} ${word}${number === 1 ? '' : 's'}`

/** From the folder that it runs in, as code scanning wants it. */
function uriOf(file: string): string {
  return relative(process.cwd(), resolve(file)).split(sep).map(encodeURIComponent).join('/')
}
