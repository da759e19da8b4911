import { dirname, isAbsolute, join, relative, resolve } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { PolicyInForce } from '../authorize.js'
import type { Config } from '../config/config.js'
import type { ClaimMapping } from '../identity/user-claims.js'
import { writeJUnit } from '../lifecycle/testing/junit.js'
import { type ReadCase, readCases } from '../lifecycle/testing/read-cases.js'
import { runCases } from '../lifecycle/testing/run-cases.js'
import type { CaseSetting } from '../lifecycle/testing/suppose-case.js'
import { formatProblem, type Problem } from '../schema/problem.js'
import { policyFolder, readConfig, refuse } from './config-file.js'
import type { CliIo } from './io.js'
import { readPolicyDirectory } from './policy-directory.js'
import { styleOf } from './style.js'
import { readCaseFiles } from './test-files.js'
import { isBelow, isFailure, type TestReport, writeTestJson, writeTestText } from './test-report.js'
import { runOnChange } from './test-watch.js'

type Options = {
  readonly policy?: string
  readonly config?: string
  readonly filter?: string
  readonly watch?: boolean
  readonly coverage?: boolean
  readonly minCoverage?: number
  readonly output: 'text' | 'json' | 'junit'
}

/** `portcullis test`. */
export function register(program: Command, io: CliIo): void {
  program
    .command('test')
    .description('run cases: calls, what is known of them, and what must be decided')
    .argument(
      '[paths...]',
      'files or folders of PolicyTest documents (default: tests, beside the policy folder)',
    )
    .option('--policy <directory>', 'folder of policy documents (default: ./policy, or what --config says)')
    .option('-c, --config <file>', 'a configuration: its policy, trust domains, issuers and claim mappings')
    .option('--filter <text>', 'only cases with this in the name of the case or of its PolicyTest')
    .option('--coverage', 'tell which rules never decided and which endpoints were never chosen')
    .option('--min-coverage <percent>', 'fail where rules or endpoints are covered less than this', percent)
    .option('--watch', 'run again whenever the policy or a case changes, until it is interrupted')
    .addOption(
      new Option('-o, --output <format>', 'form of the report')
        .choices(['text', 'json', 'junit'])
        .default('text'),
    )
    .addHelpText(
      'after',
      '\nExit 0 when every case passed, 1 when one failed or too little is covered, 2 when a file is wrong.\n\nExample:\n  portcullis test --policy examples/mesh/policy --coverage\n  portcullis test tests/payments.yaml --policy ./policy --filter refund --watch',
    )
    .action((paths: string[], options: Options) => test(paths, options, io))
}

async function test(paths: readonly string[], options: Options, io: CliIo): Promise<void> {
  let config: Config | undefined
  if (options.config !== undefined) {
    const loaded = await readConfig({ config: options.config }, io)
    if (!loaded) return
    config = loaded.config
  }
  const policy = policyFolder(options.policy, config, io)
  if (policy === undefined) return
  const asked = paths.length > 0 ? paths : [besides(policy)]
  const run = (): Promise<void> => runOnce(policy, asked, config, options, io)
  if (!options.watch) return run()
  const stop = new AbortController()
  const onSignal = (): void => stop.abort()
  process.once('SIGINT', onSignal)
  process.once('SIGTERM', onSignal)
  const again = async (): Promise<void> => {
    io.exitCode = 0
    await run()
    io.stderr('watching the policy and the cases; an interrupt ends it\n')
  }
  try {
    await runOnChange([policy, ...asked], again, stop.signal)
  } finally {
    process.removeListener('SIGINT', onSignal)
    process.removeListener('SIGTERM', onSignal)
  }
}

/** Named as the policy folder is named. */
function besides(policyDirectory: string): string {
  const tests = join(dirname(resolve(policyDirectory)), 'tests')
  return isAbsolute(policyDirectory) ? tests : relative('', tests)
}

async function runOnce(
  policyDirectory: string,
  paths: readonly string[],
  config: Config | undefined,
  options: Options,
  io: CliIo,
): Promise<void> {
  const loaded = await readPolicyDirectory(policyDirectory, {
    localTrustDomain: config?.trustDomain ?? 'cluster.local',
    trustDomains: [...(config?.trustDomains.keys() ?? [])],
    hasPlaces: config ? config.geo !== undefined : undefined,
    hasDevices: config?.deviceInventory.enabled,
  })
  if (!loaded.ok) return refuse(loaded.problems, io)
  const files = await readCaseFiles(paths)
  if (!files.ok) return refuse(files.problems.map(unreadable), io)
  const read = readCases(files.files)
  if (read.problems.length > 0) return refuse(read.problems, io)
  const cases = chosen(read.cases, options.filter)
  if (cases.length === 0) return refuse([nothingChosen(options.filter)], io)

  const setting = settingOf(loaded.policy, config)
  const ran = await runCases(cases, setting, loaded.sources, progress(cases.length, io))
  if (!ran.ok) return refuse(ran.problems, io)
  for (const warning of ran.warnings) io.stderr(`${formatProblem(warning)}\n`)
  const { minCoverage, output } = options
  const isAsked = options.coverage === true || minCoverage !== undefined
  const report: TestReport = {
    results: ran.results,
    coverage: isAsked ? ran.coverage : undefined,
    minCoverage,
  }
  io.stdout(written(report, output, io))
  if (output === 'junit' && isBelow(report)) io.stderr(`error: covered less than ${minCoverage} %\n`)
  io.exitCode = ran.results.some(isFailure) || isBelow(report) ? 1 : 0
}

function written(report: TestReport, output: Options['output'], io: CliIo): string {
  if (output === 'json') return writeTestJson(report)
  return output === 'junit' ? writeJUnit(report.results) : writeTestText(report, styleOf(io))
}

function settingOf(policy: PolicyInForce, config: Config | undefined): CaseSetting {
  const issuers = config?.userTokens.issuers ?? []
  return {
    policy,
    serviceTokenHeader: config?.serviceTokens.header ?? 'x-service-token',
    issuer: issuers[0]?.issuer ?? 'https://idp.example',
    mappingOf: (issuer) => issuers.find((each) => each.issuer === issuer) ?? NO_MAPPING,
  }
}

const NO_MAPPING: ClaimMapping = { claims: new Map(), roles: [] }

function chosen(cases: readonly ReadCase[], filter: string | undefined): readonly ReadCase[] {
  if (filter === undefined) return cases
  const wanted = filter.toLowerCase()
  return cases.filter(({ suite, name }) => `${suite} › ${name}`.toLowerCase().includes(wanted))
}

function unreadable(message: string): Problem {
  return { severity: 'error', code: 'unreadable', message, position: undefined }
}

function nothingChosen(filter: string | undefined): Problem {
  const message = filter === undefined ? 'there is no case' : `no case has \`${filter}\` in its name`
  return { severity: 'error', code: 'no-case', message, position: undefined }
}

/** On a terminal, how many cases are done, from a second after the start on. */
function progress(total: number, io: CliIo): (done: number) => void {
  if (!io.isTerminal) return () => undefined
  let nextMs = performance.now() + 1000
  let isTold = false
  return (done) => {
    const nowMs = performance.now()
    if (done < total && nowMs < nextMs) return
    if (done < total || isTold) io.stderr(`\r${done} of ${total} cases${done === total ? '\n' : ''}`)
    isTold = true
    nextMs = nowMs + 250
  }
}

function percent(text: string): number {
  const value = Number(text)
  if (/^[0-9]+(?:\.[0-9]+)?$/.test(text) && value <= 100) return value
  throw new InvalidArgumentError('give a percentage from 0 to 100.')
}
