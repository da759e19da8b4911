import { type Command, InvalidArgumentError } from 'commander'
import {
  LOG_LEVEL_NAMES,
  type LogLevelAnswer,
  LogLevelAnswerSchema,
  type LogLevelName,
} from '../admin/schemas/log-level.js'
import {
  adminCommand,
  adminGroup,
  type AdminOptions,
  outputOption,
  print,
  reasonOption,
  withApi,
} from './admin/command.js'
import { addConnectionOptions } from './admin/connection.js'
import { durationText } from './admin/duration.js'
import { lenient } from './admin/lenient.js'
import { fullTime } from './admin/times.js'
import type { CliIo } from './io.js'

type SetOptions = AdminOptions & { readonly for?: string; readonly reason: string }

const Answer = lenient(LogLevelAnswerSchema)

const SET_EXAMPLE = "portcullis log-level set debug --for 10m --reason 'looking for refused calls'"

/** `portcullis log-level`: get, set. */
export function register(program: Command, io: CliIo): void {
  const group = adminGroup(program, 'log-level', 'how much a running server writes into its log', SET_EXAMPLE)
  adminCommand(group, 'get', 'the level of its log', 'portcullis log-level get')
    .addOption(outputOption())
    .action((options: AdminOptions) => get(options, io))
  adminCommand(group, 'set', 'change the level of its log; debug has a line for each decision', SET_EXAMPLE)
    .argument('<level>', 'debug, info, warn or error', levelName)
    .option(
      '--for <duration>',
      'how long, for example 10m; then it is as configured again. Without it, until the next change',
      durationText,
    )
    .addOption(reasonOption())
    .addOption(outputOption())
    .action((level: LogLevelName, options: SetOptions) => set(level, options, io))
  addConnectionOptions(group)
}

function get(options: AdminOptions, io: CliIo): Promise<void> {
  return withApi(options, io, async (api) => {
    print(await api.ask({ method: 'GET', path: '/v1/log-level' }, Answer), options, io, text)
  })
}

function set(level: LogLevelName, options: SetOptions, io: CliIo): Promise<void> {
  return withApi(options, io, async (api) => {
    const { for: duration, reason } = options
    const body = { level, ...(duration !== undefined && { duration }), reason }
    print(await api.ask({ method: 'PUT', path: '/v1/log-level', body }, Answer), options, io, text)
  })
}

function text({ level, configured, until }: LogLevelAnswer): string {
  const end = until === undefined ? '' : ` until ${fullTime(until, Date.now())}`
  return `The log level is ${level}${end}${level === configured ? '' : `; configured is ${configured}`}.\n`
}

/** People write it in any case. */
function levelName(written: string): LogLevelName {
  const level = LOG_LEVEL_NAMES.find((name) => name.toLowerCase() === written.toLowerCase())
  if (level) return level
  throw new InvalidArgumentError(`give one of ${LOG_LEVEL_NAMES.join(', ').toLowerCase()}.`)
}
