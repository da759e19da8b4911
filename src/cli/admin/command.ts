import type { Static, TSchema } from '@sinclair/typebox'
import { Option, type Command } from 'commander'
import type { CliIo } from '../io.js'
import { readJson, readText, type Answer, type NameField } from './answer.js'
import { openConnection, type ConnectionOptions } from './connection.js'
import { exchange, type ApiRequest } from './exchange.js'
import { printable, printableJson } from './printable.js'

export type AdminOptions = ConnectionOptions & { readonly output: 'text' | 'json' }

/** The admin API as commands see it. */
export type Api = {
  readonly ask: <Shape extends TSchema>(
    request: ApiRequest,
    shape: Shape,
    nameField?: NameField,
  ) => Promise<Answer<Static<Shape>>>
  readonly askText: (request: ApiRequest) => Promise<Answer<string>>
}

/** A group of commands that ask the admin API; `addConnectionOptions` once it has them all. */
export function adminGroup(program: Command, name: string, description: string, example: string): Command {
  return program
    .command(name)
    .description(description)
    .addHelpText(
      'after',
      `\nAsks the admin API. Exit codes: 0 done, 1 refused by the API, 2 wrong usage or no connection.\n\nExample:\n  ${example}`,
    )
}

/** A command of such a group. */
export function adminCommand(group: Command, usage: string, description: string, example: string): Command {
  return group.command(usage).description(description).addHelpText('after', `\nExample:\n  ${example}`)
}

export function outputOption(): Option {
  return new Option('-o, --output <format>', 'form of the answer').choices(['text', 'json']).default('text')
}

/** Who looks at the event later reads this. */
export function reasonOption(): Option {
  return new Option('--reason <text>', 'why; it is recorded with your name').makeOptionMandatory()
}

/** Opens the connection and runs `act`; what keeps it from being opened is told, with exit code 2. */
export async function withApi(
  options: ConnectionOptions,
  io: CliIo,
  act: (api: Api) => Promise<void>,
): Promise<void> {
  const opened = await openConnection(options, io.env)
  if (!opened.ok) return wrongUsage(opened.problem, io)
  const { connection } = opened
  await act({
    ask: async (request, shape, nameField) =>
      readJson(connection.name, await exchange(connection, request), shape, nameField),
    askText: async (request) => readText(connection.name, await exchange(connection, request)),
  })
}

/** Prints what was answered as JSON or as `text` words it; a refusal goes to standard error with its exit code. */
export function print<Value>(
  answer: Answer<Value>,
  { output }: Pick<AdminOptions, 'output'>,
  io: CliIo,
  text: (value: Value) => string,
): void {
  if (!answer.ok) return refused(answer, io)
  io.stdout(output === 'json' ? `${printableJson(answer.value)}\n` : text(answer.value))
}

export function refused(
  { problem, exitCode }: { readonly problem: string; readonly exitCode: 1 | 2 },
  io: CliIo,
): void {
  io.stderr(`error: ${problem}\n`)
  io.exitCode = exitCode
}

/** Each problem on a line of its own; they may hold names of files and values of options. */
export function wrongUsage(problems: string | readonly string[], io: CliIo): void {
  for (const problem of typeof problems === 'string' ? [problems] : problems) {
    io.stderr(`error: ${printable(problem)}\n`)
  }
  io.exitCode = 2
}
