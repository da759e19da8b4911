import { type Command, Option } from 'commander'
import { addCheckOptions, type CheckOptions, wrongUsage } from './check-options.js'
import { writeReportJson, writeReportText } from './decision-report.js'
import type { CliIo } from './io.js'
import { styleOf } from './style.js'
import { bodyOf, decideCall, describeCall, deviceOf, loadSurroundings, refuseUsage } from './supposed-call.js'

type Options = CheckOptions & { readonly why?: true }

/** `portcullis check`. */
export function register(program: Command, io: CliIo): void {
  const command = program
    .command('check')
    .description('the decision for one call that nobody made, step by step')
  addCheckOptions(command)
    .addOption(
      new Option(
        '--why',
        'also the rule that came nearest and the smallest change of the policy that would allow the call',
      ).helpGroup('Output:'),
    )
    .addHelpText(
      'after',
      '\nExit 0 when the call is allowed, 1 when it is denied or challenged.\n\nExample:\n  portcullis check --policy examples/mesh/policy --caller shop/checkout-service --target shop/payment-service \\\n    --method POST --path /api/payments --user alice --role payment-processor',
    )
    .action((options: Options) => check(options, io))
}

/** Decides the call that the options describe and prints it. */
export async function check(options: Options, io: CliIo): Promise<void> {
  const wrong = wrongUsage(options)
  if (wrong !== undefined) return refuseUsage(wrong, io)
  const body = await bodyOf(options, io)
  if (body === false) return
  const surroundings = await loadSurroundings(options, io)
  if (!surroundings) return
  const nowMs = options.at ?? Date.now()
  const device = await deviceOf(options, nowMs, io)
  if (!device) return
  const decided = await decideCall({ ...options, body }, { device, nowMs }, surroundings, io)
  if (!decided) return
  const { decision, steps } = decided
  const why = options.why ? await decided.why() : undefined
  const report = { decision, steps, asked: describeCall(options, decision), why }
  io.stdout(options.output === 'json' ? writeReportJson(report) : writeReportText(report, styleOf(io)))
  io.exitCode = decision.outcome === 'allow' ? 0 : 1
}
