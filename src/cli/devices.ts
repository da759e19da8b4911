import type { Command } from 'commander'
import { BulkAnswerSchema, DeviceAnswerSchema, DevicePageSchema } from '../admin/schemas/devices.js'
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
  type Api,
} from './admin/command.js'
import { addConnectionOptions } from './admin/connection.js'
import { batches, namedByPlace, readFleet, type FiledDevice } from './admin/device-file.js'
import { addReportOptions, reportOf, type ReportOptions } from './admin/device-options.js'
import { deviceSheet, deviceTable } from './admin/device-text.js'
import { pathOf } from './admin/exchange.js'
import { lenient } from './admin/lenient.js'
import { allPages, limitOption, moreNote } from './admin/pages.js'
import { printable } from './admin/printable.js'
import type { CliIo } from './io.js'

type ListOptions = AdminOptions & { readonly limit: number }
type OneOptions = AdminOptions & { readonly issuer?: string }
type WriteOptions = AdminOptions & { readonly reason: string }
type SetOptions = OneOptions & WriteOptions & ReportOptions

const Device = lenient(DeviceAnswerSchema)
const DevicePage = lenient(DevicePageSchema)
const BulkAnswer = lenient(BulkAnswerSchema)

const IMPORT_EXAMPLE = "portcullis devices import fleet.jsonl --reason 'nightly inventory'"

/** `portcullis devices`: list, show, set, import, remove. */
export function register(program: Command, io: CliIo): void {
  const group = adminGroup(program, 'devices', 'the inventory of devices and their posture', IMPORT_EXAMPLE)
  adminCommand(group, 'list', 'devices with their tier and posture', 'portcullis devices list --limit 50')
    .addOption(limitOption())
    .addOption(outputOption())
    .action((options: ListOptions) => list(options, io))
  addIssuer(adminCommand(group, 'show', 'what is known of one device', 'portcullis devices show lap-7'))
    .argument('<id>', 'device_id, as tokens name it')
    .addOption(outputOption())
    .action((id: string, options: OneOptions) => show(id, options, io))
  const set = adminCommand(
    group,
    'set',
    'report on one device; replaces the report before',
    "portcullis devices set lap-7 --managed --os-patched --disk-encrypted --firewall --antivirus --no-jailbroken --reason 'inspected'",
  )
  addReportOptions(addIssuer(set).argument('<id>', 'device_id, as tokens name it'))
    .addOption(reasonOption())
    .addOption(outputOption())
    .action((id: string, options: SetOptions) => report(id, options, io))
  adminCommand(group, 'import', 'report on many devices', IMPORT_EXAMPLE)
    .argument('<file>', 'a JSON array or JSON lines; each the report of a device with its id (and issuer)')
    .addOption(reasonOption())
    .addOption(outputOption())
    .action((file: string, options: WriteOptions) => importFleet(file, options, io))
  addIssuer(
    adminCommand(
      group,
      'remove',
      'take a device out of the inventory: it counts as unknown',
      "portcullis devices remove lap-7 --reason 'sold'",
    ),
  )
    .argument('<id>', 'device_id, as tokens name it')
    .addOption(reasonOption())
    .addOption(outputOption())
    .action((id: string, options: OneOptions & WriteOptions) => remove(id, options, io))
  addConnectionOptions(group)
}

function addIssuer(command: Command): Command {
  return command.option('--issuer <iss>', 'issuer of its users; may be left out where only one is configured')
}

function list(options: ListOptions, io: CliIo): Promise<void> {
  return withApi(options, io, async (api) => {
    const listed = await allPages(
      api,
      { method: 'GET', path: '/v1/devices' },
      DevicePage,
      ({ devices, next }) => ({ rows: devices, next }),
      options.limit,
    )
    if (!listed.ok) return refused(listed, io)
    const { rows, more } = listed.value
    print({ ok: true, value: { devices: rows, more } }, options, io, () =>
      rows.length === 0
        ? 'No device is in the inventory.\n'
        : deviceTable(rows, Date.now(), io) + moreNote(listed.value),
    )
  })
}

function show(id: string, options: OneOptions, io: CliIo): Promise<void> {
  return withApi(options, io, async (api) => {
    const query = { issuer: options.issuer }
    const shown = await api.ask({ method: 'GET', path: pathOf('v1', 'devices', id), query }, Device)
    print(shown, options, io, (device) => deviceSheet(device, Date.now()))
  })
}

async function report(id: string, options: SetOptions, io: CliIo): Promise<void> {
  const made = await reportOf(options)
  if (!made.ok) return wrongUsage(made.problems, io)
  const body = { ...made.value, reason: options.reason }
  await withApi(options, io, async (api) => {
    const query = { issuer: options.issuer }
    const put = await api.ask({ method: 'PUT', path: pathOf('v1', 'devices', id), query, body }, Device)
    print(put, options, io, (device) => deviceSheet(device, Date.now()))
  })
}

async function importFleet(file: string, options: WriteOptions, io: CliIo): Promise<void> {
  const fleet = await readFleet(file)
  if (!fleet.ok) return wrongUsage(fleet.problems, io)
  await withApi(options, io, (api) => sendFleet(api, fleet.value, options, io))
}

const COUNT = new Intl.NumberFormat('en-US')
/** Whoever waits longer wants to see that something happens. */
const PATIENCE_MS = 1000

/** Batch by batch, in order; the first that is refused ends it. One that the store did not take whole tells how far it came. */
async function sendFleet(
  api: Api,
  fleet: readonly FiledDevice[],
  options: WriteOptions,
  io: CliIo,
): Promise<void> {
  const startedMs = performance.now()
  const goal = `${COUNT.format(fleet.length)} devices`
  let accepted = 0
  let shown = false
  const clear = (): void => {
    if (shown) io.stderr('\r\u001b[K')
  }
  for (const batch of batches(fleet)) {
    const body = { reason: options.reason, devices: batch.map(({ value }) => value) }
    const sent = await api.ask({ method: 'POST', path: '/v1/devices', body }, BulkAnswer, namedByPlace(batch))
    if (!sent.ok) {
      clear()
      refused(sent, io)
      const before = accepted === 0 ? 'none' : COUNT.format(accepted)
      io.stderr(`note: ${before} of ${goal} were taken before; the same file may be imported again\n`)
      return
    }
    accepted += sent.value.accepted
    if (io.isTerminal && performance.now() - startedMs > PATIENCE_MS) {
      io.stderr(`\r${COUNT.format(accepted)} of ${goal}`)
      shown = true
    }
  }
  clear()
  print(
    { ok: true, value: { accepted } },
    options,
    io,
    () => `${COUNT.format(accepted)} devices were taken.\n`,
  )
}

function remove(id: string, options: OneOptions & WriteOptions, io: CliIo): Promise<void> {
  return withApi(options, io, async (api) => {
    const query = { issuer: options.issuer, reason: options.reason }
    const removed = await api.askText({ method: 'DELETE', path: pathOf('v1', 'devices', id), query })
    const told = removed.ok ? { ok: true as const, value: { removed: id } } : removed
    print(told, options, io, () => `${printable(id)} is in the inventory no longer.\n`)
  })
}
