import type { Command } from 'commander'
import type { LoadedConfig } from '../config/load.js'
import type { Running } from '../main.js'
import { addConfigOptions, type ConfigOptions, readConfig } from './config-file.js'
import type { CliIo } from './io.js'
import { placeOfNamedFile } from './named-files.js'

/** `portcullis serve`. */
export function register(program: Command, io: CliIo): void {
  addConfigOptions(program.command('serve').description('answer Envoy until told to stop'))
    .addHelpText(
      'after',
      '\nSecurity events go to standard output, everything else to standard error. SIGTERM and SIGINT drain first; a second one ends at once. SIGUSR2 writes every detail into the log, or no longer.\n\nExample:\n  portcullis serve --config portcullis.yaml --listen [::]:9191',
    )
    .action(async (options: ConfigOptions) => {
      const loaded = await readConfig(options, io)
      if (loaded) await serve(loaded, (problem) => placeOfNamedFile(problem, options.config, loaded), io)
    })
}

/** Runs until a signal; exit code 2 with every problem when it could not start, and then nothing listens. */
async function serve(
  { config }: LoadedConfig,
  placeOf: (problem: string) => string | undefined,
  io: CliIo,
): Promise<void> {
  const { start, StartFailure } = await import('../main.js')
  const stop = awaitStopSignal()
  let running: Running | undefined
  const toggle = (): void => running?.toggleDebug()
  process.on('SIGUSR2', toggle)
  try {
    running = await start(config, { events: process.stdout, log: io.stderr })
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
