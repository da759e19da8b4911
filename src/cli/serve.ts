import type { Command } from 'commander'
import type { Config } from '../config/config.js'
import type { LoadedConfig } from '../config/load.js'
import { lineOf } from '../main/log-line.js'
import { StartFailure } from '../main/log.js'
import { leftSpools } from '../main/workers/left-spools.js'
import type { Supervised } from '../main/workers/supervisor.js'
import { addConfigOptions, type ConfigOptions, readConfig } from './config-file.js'
import type { CliIo } from './io.js'
import { placeOfNamedFile } from './named-files.js'
import { parseWorkers } from './workers-option.js'

type ServeOptions = ConfigOptions & { readonly workers: number }

/** `portcullis serve`. */
export function register(program: Command, io: CliIo): void {
  addConfigOptions(program.command('serve').description('answer Envoy until told to stop'))
    .option('--workers <n>', 'processes that answer, or auto for one a core', parseWorkers, 1)
    .addHelpText(
      'after',
      '\nSecurity events go to standard output, everything else to standard error. SIGTERM and SIGINT drain first; a second one ends at once. SIGUSR2 writes every detail into the log, or no longer.\n\nWith --workers 2 or more this process decides nothing: it hands connections to workers, writes their events in whole lines, serves health and starts again what dies.\n\nExample:\n  portcullis serve --config portcullis.yaml --listen [::]:9191 --workers auto',
    )
    .action(async (options: ServeOptions) => {
      const loaded = await readConfig(options, io)
      if (!loaded) return
      const placeOf = (problem: string): string | undefined =>
        placeOfNamedFile(problem, options.config, loaded)
      await serve(loaded, options.workers, placeOf, io)
    })
}

/** Runs until a signal; exit code 2 with every problem when it could not start, and then nothing listens. */
async function serve(
  { config }: LoadedConfig,
  workers: number,
  placeOf: (problem: string) => string | undefined,
  io: CliIo,
): Promise<void> {
  const stop = awaitStopSignal()
  let running: Supervised | undefined
  const toggle = (): void => running?.toggleDebug()
  process.on('SIGUSR2', toggle)
  try {
    running = await started(config, workers, io)
    await stop.asked
    await running.stop()
    // Events that nobody read in time would keep the process alive for ever.
    if (process.stdout.writableLength > 0) process.exit()
  } catch (error) {
    if (!(error instanceof StartFailure)) throw error
    for (const problem of error.problems) io.stderr(`${worded(problem, placeOf(problem))}\n`)
    io.exitCode = 2
  } finally {
    stop.close()
    process.removeListener('SIGUSR2', toggle)
  }
}

/** One process answers by itself; several are kept by this one, which needs little of what they need. */
async function started(config: Config, workers: number, io: CliIo): Promise<Supervised> {
  const own = { events: process.stdout, log: io.stderr }
  for (const directory of await leftSpools(config.audit, workers)) {
    const message = 'events of a worker that is no more wait in its spool: with more workers they are sent'
    io.stderr(lineOf({ atMs: Date.now(), level: 'warn', component: 'audit', message, fields: { directory } }))
  }
  if (workers === 1) return (await import('../main.js')).start(config, own)
  return (await import('../main/workers/supervisor.js')).startWorkers(config, { ...own, workers })
}

/** As compilers write it; a policy's problem has its own place already. */
function worded(problem: string, place: string | undefined): string {
  if (/^(?:error: |\S+:\d+:\d+: )/.test(problem)) return problem
  return `${place === undefined ? '' : `${place}: `}error: ${problem}`
}

/** `asked` resolves with the first signal; the second one ends the process as if nobody had listened. */
function awaitStopSignal(): { readonly asked: Promise<void>; readonly close: () => void } {
  let onSignal = (_signal: NodeJS.Signals): void => undefined
  const close = (): void => {
    process.removeListener('SIGTERM', onSignal)
    process.removeListener('SIGINT', onSignal)
  }
  const asked = new Promise<void>((resolve) => {
    let isAsked = false
    onSignal = (signal) => {
      if (!isAsked) {
        isAsked = true
        resolve()
      } else {
        close()
        process.kill(process.pid, signal)
      }
    }
  })
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  return { asked, close }
}
