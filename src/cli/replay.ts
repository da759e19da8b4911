import { type Command, Option } from 'commander'
import { extremesOf } from '../lifecycle/replay/extremes.js'
import { type ChangeGroup, Replay, type ReplayReport } from '../lifecycle/replay/report.js'
import { printable } from './admin/printable.js'
import { candidateConfig, candidatePolicy, surroundingsOf } from './candidate-policy.js'
import { policyFolder } from './config-file.js'
import type { CliIo } from './io.js'
import { readLines } from './record-lines.js'
import { styleOf } from './style.js'

type Options = {
  readonly policy?: string
  readonly config?: string
  readonly trustDomain?: string
  readonly any?: boolean
  readonly output: 'text' | 'json'
}

/** `portcullis replay`. */
export function register(program: Command, io: CliIo): void {
  program
    .command('replay')
    .description('what a candidate policy would have decided on recorded Checks')
    .argument('<records...>', 'files of recorded Checks (audit.record), JSON lines')
    .option('--policy <directory>', 'the candidate; default: the policy folder of --config')
    .option('-c, --config <file>', 'portcullis.yaml, for its trust domains and what feeds conditions')
    .option('--trust-domain <domain>', 'the local trust domain; default: of --config, else cluster.local')
    .option('--any', 'exit 1 for any change, not only where an allow becomes a deny or a challenge')
    .addOption(
      new Option('-o, --output <format>', 'form of the report').choices(['text', 'json']).default('text'),
    )
    .addHelpText(
      'after',
      '\nExit codes: 0 nothing that was allowed is refused, 1 something is, 2 nothing could be replayed.\n\nExample:\n  portcullis replay checks.jsonl checks.jsonl.1 --policy ./policy-next -c portcullis.yaml',
    )
    .action((records: string[], options: Options) => run(records, options, io))
}

async function run(records: readonly string[], options: Options, io: CliIo): Promise<void> {
  const config = await candidateConfig(options, io)
  if (config === false) return
  if (options.policy === undefined && !config) {
    io.stderr('error: name the candidate with --policy, or a configuration with --config\n')
    io.exitCode = 2
    return
  }
  const directory = policyFolder(options.policy, config, io)
  if (directory === undefined) return
  const loaded = await candidatePolicy(directory, options, config, io)
  if (!loaded) return
  const { policy, sources } = loaded
  const replay = new Replay(policy, extremesOf(policy, sources, surroundingsOf(options, config)))
  const read = await readLines(records, (line) => replay.take(line), { what: 'recorded Check', io })
  if (!read.ok) return
  const report = replay.report()
  if (report.checks === 0) {
    io.stderr(`error: no recorded Check in ${records.join(', ')}\n`)
    io.exitCode = 2
    return
  }
  io.stdout(
    options.output === 'json'
      ? `${JSON.stringify({ ...report, skipped: read.skipped })}\n`
      : asText(report, read.skipped, io),
  )
  const changed = report.broken + (options.any ? report.opened + report.other : 0)
  io.exitCode = changed > 0 ? 1 : 0
}

const TITLES = {
  broken: 'Allowed then, refused by the candidate',
  opened: 'Refused then, allowed by the candidate',
  other: 'Other changes',
  untold: "Can't be told, since a body or a withheld value decides, which is not recorded",
} as const

function asText(report: ReplayReport, skipped: number, io: CliIo): string {
  const { good, bad, faint } = styleOf(io)
  const blocks = (['broken', 'opened', 'other', 'untold'] as const).flatMap((kind) => {
    const groups = report.groups.filter((group) => group.kind === kind)
    if (groups.length === 0) return []
    const title = `${TITLES[kind]}: ${report[kind].toLocaleString('en')}`
    return [
      `${kind === 'broken' ? bad(title) : title}\n${groups.map((group) => groupText(group, faint)).join('')}`,
    ]
  })
  const notes = [
    report.ungrouped > 0 && `${report.ungrouped} more in further groups`,
    report.undecidable > 0 &&
      `${report.undecidable} can't be decided: their target was unknown then, so nobody was asked who calls`,
    report.untold > 0 &&
      `${report.untold} can't be told: a condition on a body or a withheld value decides, which is not recorded`,
    skipped > 0 && `${skipped} lines skipped`,
  ].filter((note) => note !== false)
  const sum = `${report.checks.toLocaleString('en')} Checks: ${report.same.toLocaleString('en')} the same, ${report.broken} refused, ${report.opened} opened, ${report.other} otherwise changed`
  return `${[...blocks, [...notes, report.broken > 0 ? bad(sum) : good(sum)].join('\n')].join('\n')}\n`
}

function groupText(group: ChangeGroup, faint: (text: string) => string): string {
  const { caller, target, endpoint, was, is, rule, ruleSource, message, example, count } = group
  const by = ruleSource === undefined ? '' : `  (${rule ?? 'rule'}, ${ruleSource})`
  return [
    `  ${count.toLocaleString('en')} × ${caller} → ${target}  ${endpoint}`,
    `      ${was}  ⇒  ${is}${by}`,
    ...(message === '' ? [] : [`      ${message}`]),
    `      for example ${example.call}  ${example.timestamp}  ${example.decisionId}`,
  ]
    .map((line, at) => `${at < 2 ? printable(line) : faint(printable(line))}\n`)
    .join('')
}
