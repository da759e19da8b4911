import type { CliIo } from '../../src/cli/io.js'
import { run } from '../../src/cli/program.js'

export type CliRun = { readonly exitCode: number; readonly stdout: string; readonly stderr: string }

/** Runs one command line of `portcullis` in this process and catches what it says. */
export async function runCli(
  args: readonly string[],
  over: Partial<Pick<CliIo, 'env' | 'isTerminal'>> = {},
): Promise<CliRun> {
  let stdout = ''
  let stderr = ''
  const io: CliIo = {
    stdout: (text) => void (stdout += text),
    stderr: (text) => void (stderr += text),
    env: {},
    isTerminal: false,
    exitCode: 0,
    ...over,
  }
  await run(args, io)
  return { exitCode: io.exitCode, stdout, stderr }
}
