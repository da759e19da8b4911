import type { Command } from 'commander'
import {
  QuarantineEntrySchema,
  QuarantineListSchema,
  type QuarantineEntry,
} from '../admin/schemas/subjects.js'
import {
  adminCommand,
  adminGroup,
  outputOption,
  print,
  reasonOption,
  withApi,
  type AdminOptions,
} from './admin/command.js'
import { addConnectionOptions } from './admin/connection.js'
import { durationText } from './admin/duration.js'
import { lenient } from './admin/lenient.js'
import { printable } from './admin/printable.js'
import { table } from './admin/table.js'
import { fullTime, relativeTime } from './admin/times.js'
import type { CliIo } from './io.js'

type AddOptions = AdminOptions & { readonly for: string; readonly reason: string }
type LiftOptions = AdminOptions & { readonly reason: string }

const Entry = lenient(QuarantineEntrySchema)
const List = lenient(QuarantineListSchema)

const ADD_EXAMPLE =
  "portcullis quarantine add spiffe://cluster.local/ns/shop/sa/worker --for 1h --reason 'sends odd requests'"

/** `portcullis quarantine`: list, add, lift. */
export function register(program: Command, io: CliIo): void {
  const group = adminGroup(
    program,
    'quarantine',
    'workloads whose every call is refused for a while',
    ADD_EXAMPLE,
  )
  adminCommand(group, 'list', 'who is quarantined, until when and why', 'portcullis quarantine list')
    .addOption(outputOption())
    .action((options: AdminOptions) => list(options, io))
  adminCommand(group, 'add', 'refuse every call of a workload, in every mode', ADD_EXAMPLE)
    .argument('<workload>', 'SPIFFE ID')
    .requiredOption('--for <duration>', 'how long, for example 1h', durationText)
    .addOption(reasonOption())
    .addOption(outputOption())
    .action((workload: string, options: AddOptions) => add(workload, options, io))
  adminCommand(
    group,
    'lift',
    'end a quarantine before its time',
    "portcullis quarantine lift spiffe://cluster.local/ns/shop/sa/worker --reason 'image replaced'",
  )
    .argument('<workload>', 'SPIFFE ID')
    .addOption(reasonOption())
    .addOption(outputOption())
    .action((workload: string, options: LiftOptions) => lift(workload, options, io))
  addConnectionOptions(group)
}

function list(options: AdminOptions, io: CliIo): Promise<void> {
  return withApi(options, io, async (api) => {
    const listed = await api.ask({ method: 'GET', path: '/v1/quarantine' }, List)
    print(listed, options, io, ({ quarantined }) =>
      quarantined.length === 0 ? 'No workload is quarantined.\n' : entryTable(quarantined),
    )
  })
}

function entryTable(entries: readonly QuarantineEntry[]): string {
  const nowMs = Date.now()
  return table<QuarantineEntry>(entries, [
    { title: 'WORKLOAD', of: ({ workload }) => workload },
    { title: 'ENDS', of: ({ until }) => relativeTime(until, nowMs) },
    { title: 'SINCE', of: ({ since }) => (since === undefined ? '' : relativeTime(since, nowMs)) },
    { title: 'BY', of: ({ by }) => by ?? '', mayBeCut: true },
    { title: 'REASON', of: ({ reason }) => reason ?? '', mayBeCut: true },
  ])
}

function add(workload: string, options: AddOptions, io: CliIo): Promise<void> {
  return withApi(options, io, async (api) => {
    const body = { workload, duration: options.for, reason: options.reason }
    const added = await api.ask({ method: 'POST', path: '/v1/quarantine', body }, Entry)
    print(added, options, io, (entry) =>
      printable(`${entry.workload} is quarantined until ${fullTime(entry.until, Date.now())}.`).concat('\n'),
    )
  })
}

function lift(workload: string, options: LiftOptions, io: CliIo): Promise<void> {
  return withApi(options, io, async (api) => {
    const query = { workload, reason: options.reason }
    const lifted = await api.askText({ method: 'DELETE', path: '/v1/quarantine', query })
    const told = lifted.ok ? { ok: true as const, value: { lifted: workload } } : lifted
    print(told, options, io, () => `${printable(workload)} is quarantined no longer.\n`)
  })
}
