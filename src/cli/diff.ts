import { type Command, Option } from 'commander'
import { compare, type PolicyDiff } from '../lifecycle/diff/compare.js'
import { TrafficDiff } from '../lifecycle/diff/traffic-changes.js'
import { viewOf } from '../lifecycle/diff/view.js'
import { MARKDOWN, writeDiff } from '../lifecycle/diff/write-diff.js'
import { takeLine } from '../lifecycle/learn/learn.js'
import { printable, printableJson } from './admin/printable.js'
import { candidateConfig, candidatePolicy } from './candidate-policy.js'
import type { CliIo } from './io.js'
import { readLines } from './record-lines.js'
import { styleOf } from './style.js'

type Options = {
  readonly config?: string
  readonly trustDomain?: string
  readonly traffic?: readonly string[]
  readonly exitZero?: boolean
  readonly output: 'text' | 'json' | 'markdown'
}

/** `portcullis diff`. */
export function register(program: Command, io: CliIo): void {
  program
    .command('diff')
    .description('what two policies differ in: pairs and endpoints gained and lost, conditions, fields')
    .argument('<old>', 'folder of policy documents')
    .argument('<new>', 'folder of policy documents')
    .option(
      '--traffic <events...>',
      'files of security events: which recorded calls would be answered differently',
    )
    .option('-c, --config <file>', 'portcullis.yaml, for its trust domains and what feeds conditions')
    .option('--trust-domain <domain>', 'the local trust domain; default: of --config, else cluster.local')
    .option('--exit-zero', 'exit 0 whatever differs')
    .addOption(
      new Option('-o, --output <format>', 'form of the report')
        .choices(['text', 'json', 'markdown'])
        .default('text'),
    )
    .addHelpText(
      'after',
      '\nExit codes: 0 nothing differs, 1 something does, 2 a policy does not load.\n\nExample:\n  portcullis diff ./policy ./policy-next --traffic events.jsonl -o markdown',
    )
    .action((before: string, after: string, options: Options) => run(before, after, options, io))
}

async function run(before: string, after: string, options: Options, io: CliIo): Promise<void> {
  const config = await candidateConfig(options, io)
  if (config === false) return
  const old = await candidatePolicy(before, options, config, io)
  const now = await candidatePolicy(after, options, config, io)
  if (!old || !now) return
  const diff = compare(viewOf(old), viewOf(now))
  const traffic = options.traffic && new TrafficDiff(old.policy.matrix, now.policy.matrix)
  if (options.traffic && traffic) {
    let events = 0
    const read = await readLines(
      options.traffic,
      (line) =>
        takeLine(line, (event) => {
          events++
          traffic.note(event)
        }),
      { what: 'security event', io },
    )
    if (!read.ok) return
    if (events === 0) {
      io.stderr(`error: no security event of a decision in ${options.traffic.join(', ')}\n`)
      io.exitCode = 2
      return
    }
  }
  io.stdout(written(diff, traffic, options.output, io))
  const differs = Object.values(diff).some((list) => list.length > 0)
  const answered = traffic !== undefined && traffic.gained + traffic.lost > 0
  io.exitCode = (differs || answered) && !options.exitZero ? 1 : 0
}

function written(
  diff: PolicyDiff,
  traffic: TrafficDiff | undefined,
  output: Options['output'],
  io: CliIo,
): string {
  if (output === 'json') {
    const { calls, lost, gained, ungrouped } = traffic ?? {}
    const told = traffic && { calls, lost, gained, ungrouped, groups: traffic.groups() }
    return `${printableJson({ ...diff, ...(told && { traffic: told }) })}\n`
  }
  const { good, bad, faint } = styleOf(io)
  const text =
    output === 'markdown'
      ? writeDiff(diff, traffic, { ...MARKDOWN, line: (line) => MARKDOWN.line(printable(line)) }).trimStart()
      : writeDiff(diff, traffic, {
          title: (title) => `${title}\n`,
          line: (line) => `  ${printable(line)}\n`,
          good,
          bad,
        })
  return text === '' ? `${faint('nothing differs')}\n` : text
}
