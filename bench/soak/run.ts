import { parseOptions, USAGE } from './options.js'
import { soak } from './soak.js'

/** Exit code 0: passed. 1: something was wrong, and the report says what. 2: wrong options. */
async function main(): Promise<void> {
  const say = (line: string): void => void process.stderr.write(`${line}\n`)
  let options
  try {
    options = parseOptions(process.argv.slice(2))
  } catch (error) {
    say(`soak: ${error instanceof Error ? error.message : String(error)}\n${USAGE}`)
    process.exitCode = 2
    return
  }
  // What was started ends with this process.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))
  const { failures, checks, wrong, happened, report } = await soak(options, say)
  for (const failure of failures) say(`failed: ${failure}`)
  say(`${checks} Checks, ${wrong} wrong answers, ${happened.length} changes. ${report}`)
  process.exitCode = failures.length === 0 ? 0 : 1
}

await main()
process.exit()
