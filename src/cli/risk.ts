import { Option, type Command } from 'commander'
import { RISK_LEVELS, RiskAnswerSchema, type RiskAnswer } from '../admin/schemas/subjects.js'
import {
  adminCommand,
  adminGroup,
  outputOption,
  print,
  reasonOption,
  withApi,
  wrongUsage,
  type AdminOptions,
} from './admin/command.js'
import { addConnectionOptions } from './admin/connection.js'
import { lenient } from './admin/lenient.js'
import { sheet, table } from './admin/table.js'
import { fullTime } from './admin/times.js'
import type { CliIo } from './io.js'
import { styleOf } from './style.js'

type SubjectOptions = AdminOptions & {
  readonly issuer?: string
  readonly subject?: string
  readonly workload?: string
}
type SetOptions = SubjectOptions & { readonly level: string; readonly reason: string }

const Risk = lenient(RiskAnswerSchema)

const SHOW_EXAMPLE = 'portcullis risk show --subject ada'

/** `portcullis risk`: show, set. */
export function register(program: Command, io: CliIo): void {
  const group = adminGroup(program, 'risk', 'what is held against a user or a workload', SHOW_EXAMPLE)
  addSubject(
    adminCommand(
      group,
      'show',
      'score, the factors it comes from, and the level set from outside',
      SHOW_EXAMPLE,
    ),
  )
    .addOption(outputOption())
    .action((options: SubjectOptions) => show(options, io))
  addSubject(
    adminCommand(
      group,
      'set',
      'set the level from outside, which counts beside the factors',
      "portcullis risk set --subject ada --level HIGH --reason 'reported phishing'",
    ),
  )
    .addOption(
      new Option('--level <level>', 'LOW takes an earlier level back')
        .choices(RISK_LEVELS)
        .makeOptionMandatory(),
    )
    .addOption(reasonOption())
    .addOption(outputOption())
    .action((options: SetOptions) => set(options, io))
  addConnectionOptions(group)
}

function addSubject(command: Command): Command {
  return command
    .option('--subject <sub>', 'sub of the user')
    .option('--issuer <iss>', 'issuer of the user; may be left out where only one is configured')
    .option('--workload <spiffe-id>', 'or a workload')
}

/** What is wrong with the options that say whom it is about. */
function misnamed({ issuer, subject, workload }: SubjectOptions): string | undefined {
  if ((subject === undefined) === (workload === undefined)) return 'say whose: either --subject or --workload'
  return issuer !== undefined && workload !== undefined
    ? '--issuer goes with --subject, not with --workload'
    : undefined
}

function show(options: SubjectOptions, io: CliIo): Promise<void> | void {
  const problem = misnamed(options)
  if (problem !== undefined) return wrongUsage(problem, io)
  const { issuer, subject, workload } = options
  return withApi(options, io, async (api) => {
    const shown = await api.ask(
      { method: 'GET', path: '/v1/risk', query: { issuer, subject, workload } },
      Risk,
    )
    print(shown, options, io, (risk) => riskText(risk, io))
  })
}

function set(options: SetOptions, io: CliIo): Promise<void> | void {
  const problem = misnamed(options)
  if (problem !== undefined) return wrongUsage(problem, io)
  const { issuer, subject, workload, level, reason } = options
  return withApi(options, io, async (api) => {
    const body = { issuer, subject, workload, level, reason }
    const done = await api.ask({ method: 'POST', path: '/v1/risk', body }, Risk)
    print(done, options, io, (risk) => riskText(risk, io))
  })
}

function riskText(risk: RiskAnswer, io: CliIo): string {
  const { good, bad } = styleOf(io)
  const { subject, issuer, workload, score, level, signals, externalLevel, factors } = risk
  const known = sheet([
    [
      'subject',
      subject === undefined ? undefined : `${subject}${issuer === undefined ? '' : ` (${issuer})`}`,
    ],
    ['workload', workload],
    ['score', `${score} of 100`],
    ['signals', `${signals} (${level})`],
    [
      'level from outside',
      externalLevel && `${externalLevel.level}, ${fullTime(externalLevel.at, Date.now())}`,
    ],
  ])
  if (factors.length === 0) return `${known}${good('No factor counts against it now.')}\n`
  const listed = table(factors, [
    { title: 'FACTOR', of: ({ factor }) => factor, mayBeCut: true },
    {
      title: 'POINTS',
      of: ({ points }) => points.toFixed(1).replace(/\.0$/, ''),
      paint: (_, cell) => bad(cell),
    },
  ])
  return `${known}\n${listed}`
}
