import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import * as audit from './audit.js'
import * as check from './check.js'
import * as configPrint from './config-print.js'
import * as devices from './devices.js'
import * as diff from './diff.js'
import * as doctor from './doctor.js'
import * as explain from './explain.js'
import * as exportPolicy from './export.js'
import * as grants from './grants.js'
import * as graph from './graph.js'
import type { CliIo } from './io.js'
import * as keys from './keys.js'
import * as learn from './learn.js'
import * as lint from './lint.js'
import * as quarantine from './quarantine.js'
import * as replay from './replay.js'
import * as risk from './risk.js'
import * as schema from './schema.js'
import * as serve from './serve.js'
import * as sessions from './sessions.js'
import * as logLevel from './log-level.js'
import * as policyTest from './test.js'
import * as token from './token.js'

const COMMANDS = [
  serve,
  lint,
  policyTest,
  check,
  explain,
  learn,
  diff,
  replay,
  exportPolicy,
  graph,
  doctor,
  token,
  keys,
  grants,
  sessions,
  devices,
  risk,
  quarantine,
  audit,
  logLevel,
  configPrint,
  schema,
]

/**
 * Runs one command line (without `node` and the program's name). Never throws and never ends the process:
 * `io.exitCode` tells how it went, 2 for every wrong usage.
 */
export async function run(args: readonly string[], io: CliIo): Promise<void> {
  const program = createProgram(io)
  try {
    refuseUnknown(program, args)
    await program.parseAsync(args, { from: 'user' })
  } catch (error) {
    if (error instanceof CommanderError) {
      io.exitCode = error.exitCode === 0 ? 0 : 2
      return
    }
    io.stderr(`error: ${describe(error)}\n`)
    io.exitCode = 2
  }
}

/** With `--help` an unknown command would be helped with the program's own help. */
function refuseUnknown(program: Command, args: readonly string[]): void {
  if (!args.includes('--help') && !args.includes('-h')) return
  let command = program
  for (const word of args) {
    if (word.startsWith('-') || command.commands.length === 0) return
    const next = command.commands.find((each) => each.name() === word || each.aliases().includes(word))
    if (next) command = next
    else if (word === 'help') return
    else command.error(`error: unknown command '${word}'`, { code: 'commander.unknownCommand' })
  }
}

function createProgram(io: CliIo): Command {
  const program = new Command('portcullis')
    .description('decides for Envoy who may call what: identity, microsegmentation, risk')
    .version(packageVersion(), '-V, --version', 'print the version')
    .addHelpText(
      'after',
      '\nExit codes: 0 fine, 1 found something (an error in a policy, a denied check), 2 wrong usage or configuration.\n\nExample:\n  portcullis serve --config portcullis.yaml',
    )
    .showHelpAfterError('(--help tells more)')
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({
      writeOut: io.stdout,
      writeErr: io.stderr,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
  for (const command of COMMANDS) command.register(program, io)
  return program
}

/** What the outside could not do is told in a line; anything else is a bug and comes with its stack. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return 'code' in error ? error.message : (error.stack ?? error.message)
}

function packageVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  const version =
    typeof manifest === 'object' && manifest !== null && 'version' in manifest ? manifest.version : ''
  return String(version)
}
