import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type CliRun, runCli } from './cli.js'
import { type RecordedApi, startRecordedApi } from './recorded-api.js'

export type AdminCli = {
  readonly api: RecordedApi
  /** Runs a command with server and token. */
  readonly run: (...args: string[]) => Promise<CliRun>
  /** The same on a terminal. */
  readonly runOnTerminal: (...args: string[]) => Promise<CliRun>
  /** Writes a file and gives its path. */
  readonly file: (name: string, text: string | Buffer) => Promise<string>
  readonly close: () => Promise<void>
}

/** The command line before a recorded admin API. */
export async function startAdminCli(): Promise<AdminCli> {
  const api = await startRecordedApi()
  const directory = await mkdtemp(join(tmpdir(), 'admin-cli-'))
  const file = async (name: string, text: string | Buffer): Promise<string> => {
    const path = join(directory, name)
    await writeFile(path, text)
    return path
  }
  const token = await file('alice.token', 'a-token-of-alice-that-is-long-enough-0001\n')
  const connection = ['--server', api.url, '--token-file', token]
  return {
    api,
    run: (...args) => runCli([...args, ...connection]),
    runOnTerminal: (...args) => runCli([...args, ...connection], { isTerminal: true }),
    file,
    close: async () => {
      await api.close()
      await rm(directory, { recursive: true })
    },
  }
}

/** RFC 3339, so many minutes from now. */
export function minutesFromNow(minutes: number): string {
  return new Date(Date.now() + minutes * 60_000).toISOString()
}
