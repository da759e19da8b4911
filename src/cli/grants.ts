import { InvalidArgumentError, Option, type Command } from 'commander'
import { GrantAnswerSchema, GrantPageSchema } from '../admin/schemas/grants.js'
import { GRANT_STATES } from '../grants/grant.js'
import { printable, printableLines } from './admin/printable.js'
import {
  adminCommand,
  adminGroup,
  outputOption,
  print,
  reasonOption,
  refused,
  withApi,
  wrongUsage,
  type AdminOptions,
} from './admin/command.js'
import { addConnectionOptions, type ConnectionOptions } from './admin/connection.js'
import { durationText } from './admin/duration.js'
import { pathOf } from './admin/exchange.js'
import { grantSheet, grantTable } from './admin/grant-text.js'
import { lenient } from './admin/lenient.js'
import { allPages, limitOption, moreNote } from './admin/pages.js'
import { fullTime } from './admin/times.js'
import type { CliIo } from './io.js'

type ListOptions = AdminOptions & {
  readonly state?: string
  readonly issuer?: string
  readonly subject?: string
  readonly service?: string
  readonly limit: number
}
type CreateOptions = AdminOptions & {
  readonly subject: string
  readonly issuer?: string
  readonly service: string
  readonly operation: readonly string[]
  readonly endpoint?: readonly string[]
  readonly role?: readonly string[]
  readonly requester: string
  readonly ticket?: string
  readonly reason: string
  readonly for?: string
  readonly until?: string
  readonly maxUses?: number
  readonly breakGlass?: true
}
type RevokeOptions = AdminOptions & { readonly reason: string }
type ReviewOptions = ConnectionOptions & { readonly days: number; readonly output: 'table' | 'json' | 'csv' }

const Grant = lenient(GrantAnswerSchema)
const GrantPage = lenient(GrantPageSchema)

const CREATE_EXAMPLE =
  "portcullis grants create --subject ada --service lab/records --operation Read --requester bea --ticket LAB-42 --reason 'quarterly study' --for 1h"

/** `portcullis grants`: list, show, create, revoke, review. */
export function register(program: Command, io: CliIo): void {
  const group = adminGroup(
    program,
    'grants',
    'just-in-time access: give it, look at it, take it back',
    CREATE_EXAMPLE,
  )
  adminCommand(
    group,
    'list',
    'grants, of every state unless told otherwise',
    'portcullis grants list --state live',
  )
    .addOption(new Option('--state <state>', 'only such grants').choices(GRANT_STATES))
    .option('--subject <sub>', 'only of this user')
    .option('--issuer <iss>', 'issuer of the user; may be left out where only one is configured')
    .option('--service <service>', 'only for this target, namespace/name')
    .addOption(limitOption())
    .addOption(outputOption())
    .action((options: ListOptions) => list(options, io))
  adminCommand(group, 'show', 'one grant and what became of it', 'portcullis grants show g-7f3a')
    .argument('<id>', 'its ID')
    .addOption(outputOption())
    .action((id: string, options: AdminOptions) => show(id, options, io))
  addCreate(group, io)
  adminCommand(
    group,
    'revoke',
    'end a grant: the next call that would need it is refused',
    "portcullis grants revoke g-7f3a --reason 'study is done'",
  )
    .argument('<id>', 'its ID')
    .addOption(reasonOption())
    .addOption(outputOption())
    .action((id: string, options: RevokeOptions) => revoke(id, options, io))
  adminCommand(
    group,
    'review',
    'access review: live, ended and unused grants, and rules that nobody used',
    'portcullis grants review --days 90 -o csv > review.csv',
  )
    .option('--days <n>', 'what was not used for so many days counts as unused', wholeNumber(1, 3650), 30)
    .addOption(
      new Option('-o, --output <format>', 'form of the report')
        .choices(['table', 'json', 'csv'])
        .default('table'),
    )
    .action((options: ReviewOptions) => review(options, io))
  addConnectionOptions(group)
}

function addCreate(group: Command, io: CliIo): void {
  adminCommand(group, 'create', 'give access for a while; you are the approver', CREATE_EXAMPLE)
    .requiredOption('--subject <sub>', 'who gets it: sub of the user')
    .option('--issuer <iss>', 'issuer of the user; may be left out where only one is configured')
    .requiredOption('--service <service>', 'target, namespace/name')
    .addOption(
      new Option('--operation <operation...>', 'what may be done')
        .choices(['Read', 'Write', 'Download'])
        .makeOptionMandatory(),
    )
    .option('--endpoint <name...>', 'only these endpoints; default: every one')
    .option('--role <role...>', 'grant-only roles that it makes count')
    .requiredOption('--requester <name>', 'who asked for it; with --break-glass: you')
    .option('--ticket <ticket>', 'where it was asked for; required unless --break-glass')
    .addOption(reasonOption())
    .option('--for <duration>', 'how long, for example 1h', durationText)
    .option('--until <time>', 'or until when, for example 2026-03-01T12:00:00Z')
    .option('--max-uses <n>', 'how many calls may pass by it; default: any number', wholeNumber(1, 10_000))
    .option('--break-glass', 'an emergency: nobody approves, and it alerts at once')
    .action((options: CreateOptions) => create(options, io))
    .addOption(outputOption())
}

function list(options: ListOptions, io: CliIo): Promise<void> {
  const { state, issuer, subject, service, limit } = options
  return withApi(options, io, async (api) => {
    const request = { method: 'GET' as const, path: '/v1/grants', query: { state, issuer, subject, service } }
    const listed = await allPages(
      api,
      request,
      GrantPage,
      ({ grants, next }) => ({ rows: grants, next }),
      limit,
    )
    if (!listed.ok) return refused(listed, io)
    const { rows, more } = listed.value
    print({ ok: true, value: { grants: rows, more } }, options, io, () => {
      const none =
        state === undefined ? 'There are no such grants.\n' : `There are no such grants that are ${state}.\n`
      return rows.length === 0 ? none : grantTable(rows, Date.now(), io) + moreNote(listed.value)
    })
  })
}

function show(id: string, options: AdminOptions, io: CliIo): Promise<void> {
  return withApi(options, io, async (api) => {
    const shown = await api.ask({ method: 'GET', path: pathOf('v1', 'grants', id) }, Grant)
    print(shown, options, io, (grant) => grantSheet(grant, Date.now()))
  })
}

function create(options: CreateOptions, io: CliIo): Promise<void> | void {
  if ((options.for === undefined) === (options.until === undefined)) {
    return wrongUsage('say how long: either --for <duration> or --until <time>', io)
  }
  const {
    issuer,
    subject,
    service,
    operation,
    endpoint,
    role,
    requester,
    ticket,
    reason,
    maxUses,
    breakGlass,
  } = options
  const body = {
    subject: { issuer, subject },
    service,
    endpoints: endpoint,
    operations: operation,
    roles: role,
    requester,
    ticket,
    reason,
    duration: options.for,
    expiresAt: options.until,
    maxUses,
    breakGlass,
  }
  return withApi(options, io, async (api) => {
    const made = await api.ask({ method: 'POST', path: '/v1/grants', body }, Grant)
    print(made, options, io, (grant) => grantSheet(grant, Date.now()))
  })
}

function revoke(id: string, options: RevokeOptions, io: CliIo): Promise<void> {
  return withApi(options, io, async (api) => {
    const path = pathOf('v1', 'grants', id, 'revoke')
    const done = await api.ask({ method: 'POST', path, body: { reason: options.reason } }, Grant)
    print(done, options, io, (grant) => {
      const at = grant.revoked ? `, ${fullTime(grant.revoked.at, Date.now())}` : ''
      return (
        printable(
          `Grant ${grant.id} of ${grant.subject.subject} for ${grant.service} is ${grant.state}${at}.`,
        ) + '\n'
      )
    })
  })
}

function review(options: ReviewOptions, io: CliIo): Promise<void> {
  return withApi(options, io, async (api) => {
    const query = { days: options.days, format: options.output }
    const report = await api.askText({ method: 'GET', path: '/v1/grants/review', query })
    if (!report.ok) return refused(report, io)
    const text = printableLines(report.value)
    io.stdout(text.endsWith('\n') ? text : `${text}\n`)
  })
}

function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const number = /^[0-9]{1,6}$/.test(text) ? Number(text) : NaN
    if (number >= least && number <= most) return number
    throw new InvalidArgumentError(`give a whole number from ${least} to ${most}.`)
  }
}
