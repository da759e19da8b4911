import { isatty } from 'node:tty'

/**
 * What a command may touch of the process it runs in, so that tests run it in-process.
 * `exitCode`: 0 fine, 1 found something, 2 wrong usage or configuration. Commands set it and return;
 * they never end the process.
 */
export type CliIo = {
  readonly stdout: (text: string) => void
  readonly stderr: (text: string) => void
  readonly env: Readonly<Record<string, string | undefined>>
  /** Standard output is a terminal. */
  readonly isTerminal: boolean
  exitCode: number
}

/** The real process. Its exit code is read back once the command is done. */
export function processIo(): CliIo {
  return {
    stdout: (text) => void process.stdout.write(text),
    stderr: (text) => void process.stderr.write(text),
    env: process.env,
    isTerminal: isatty(1),
    exitCode: 0,
  }
}
