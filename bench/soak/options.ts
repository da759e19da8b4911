import { parseArgs } from 'node:util'

export type SoakOptions = {
  readonly durationMs: number
  readonly seed: number
  /** Checks a second. */
  readonly rate: number
  /** Folder of the report. */
  readonly out: string
  /** Folder of the build that is run. */
  readonly dist: string
}

export const USAGE =
  'make soak ARGS="[--minutes N | --seconds N] [--seed N] [--rate CHECKS_A_SECOND] [--out DIR] [--dist DIR]"'

/** Throws with what is wrong. */
export function parseOptions(args: readonly string[]): SoakOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: 'string' },
      seconds: { type: 'string' },
      seed: { type: 'string', default: '1' },
      rate: { type: 'string', default: '200' },
      out: { type: 'string', default: 'bench/soak-report' },
      dist: { type: 'string', default: 'dist' },
    },
  })
  if (values.minutes !== undefined && values.seconds !== undefined)
    throw new Error('--minutes and --seconds say the same thing: give one')
  const seconds =
    values.seconds === undefined
      ? numberOf('--minutes', values.minutes ?? '10', 0.1, 10_000) * 60
      : numberOf('--seconds', values.seconds, 5, 600_000)
  return {
    durationMs: seconds * 1000,
    seed: Math.floor(numberOf('--seed', values.seed, 0, 2 ** 32 - 1)),
    rate: numberOf('--rate', values.rate, 1, 5000),
    out: values.out,
    dist: values.dist,
  }
}

function numberOf(name: string, text: string, least: number, most: number): number {
  const value = Number(text)
  if (text.trim() === '' || !(value >= least && value <= most))
    throw new Error(`${name} is \`${text}\`, must be a number from ${least} to ${most}`)
  return value
}
