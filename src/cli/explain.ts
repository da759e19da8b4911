import { Command, Option } from 'commander'
import type { Static } from '@sinclair/typebox'
import { EventExplanationSchema } from '../admin/schemas/decisions.js'
import { adviceOn, isRefusalReason } from '../lifecycle/explain/advice.js'
import { supposeEvent } from '../lifecycle/explain/suppose-event.js'
import { readTrafficLine, type TrafficEvent } from '../lifecycle/traffic.js'
import { deviceInOrder } from '../lifecycle/suppose-device.js'
import { refused, withApi } from './admin/command.js'
import { addConnectionOptions, type ConnectionOptions } from './admin/connection.js'
import { pathOf } from './admin/exchange.js'
import { lenient } from './admin/lenient.js'
import { printable } from './admin/printable.js'
import { check } from './check.js'
import { addCheckOptions, type CheckOptions } from './check-options.js'
import { reportValue, writeReportText, writeSteps } from './decision-report.js'
import { unfitEvent, unreadableLog } from './explain-refusals.js'
import type { CliIo } from './io.js'
import { findEvent } from './recorded-event.js'
import { styleOf } from './style.js'
import { decideCall, describeCall, loadSurroundings, refuseUsage } from './supposed-call.js'

type Options = CheckOptions & ConnectionOptions & { readonly event?: string }

const Explained = lenient(EventExplanationSchema)

const HELP = `
Three ways: a decision by its id, asked of a running server; a recorded event, with the policy that it is explained by;
or a call that nobody made, by the options of check.
With --policy (or --config) it searches the smallest change that would allow the call; nothing is written.
Exit 0 when the call is allowed, 1 when it is denied or challenged, 2 for wrong usage or no connection.

Example:
  portcullis explain 0192f0c4-7a51 --server https://portcullis:9192 --token-file ~/.portcullis --policy ./policy
  portcullis explain --event events.jsonl --policy ./policy 0192f0c4-7a51
  portcullis explain --policy ./policy --caller shop/order --target shop/payment --method POST --path /api/payments`

/** `portcullis explain`. */
export function register(program: Command, io: CliIo): void {
  const holder = new Command('holder')
  const command = holder
    .command('explain')
    .copyInheritedSettings(program)
    .description('why a call was decided as it was, and what would allow it')
    .argument('[id]', 'decisionId of a decision that was made')
  addCheckOptions(command)
    .addOption(
      new Option(
        '--event <file>',
        'a log of security events that holds the decision; - for standard input',
      ).helpGroup('Recorded:'),
    )
    .addHelpText('after', HELP)
    .action((id: string | undefined, options: Options) => explain(id, options, io))
  addConnectionOptions(holder)
  program.addCommand(command)
}

async function explain(id: string | undefined, options: Options, io: CliIo): Promise<void> {
  if (options.event !== undefined) {
    if (options.target !== undefined) return refuseUsage('--event and --target exclude each other', io)
    const unreadable = await unreadableLog(options.event)
    if (unreadable !== undefined) return refuseUsage(printable(unreadable), io)
    const found = await findEvent(options.event, id)
    if (!found.ok) return refuseUsage(printable(found.problem), io)
    return explainEvent(found.event, options, io)
  }
  if (id === undefined) {
    await check({ ...options, why: true }, io)
    return
  }
  if (options.target !== undefined) return refuseUsage('a decision by its id has its --target already', io)
  await withApi(options, io, async (api) => {
    const answer = await api.ask({ method: 'GET', path: pathOf('v1', 'decisions', id, 'explain') }, Explained)
    if (!answer.ok) return refused(answer, io)
    const read = readTrafficLine(JSON.stringify(answer.value.event))
    if (read.kind !== 'event')
      return refuseUsage('the server tells the event in a way this command does not know', io)
    if (options.policy !== undefined || options.config !== undefined)
      return explainEvent(read.event, options, io)
    writeServerAnswer(read.event, answer.value, options, io)
  })
}

/** Decides the recorded call again on a policy of files. */
async function explainEvent(event: TrafficEvent, options: Options, io: CliIo): Promise<void> {
  const { supposed, atMs, missing } = supposeEvent(event)
  const recorded = recordedOf(event)
  if (supposed.target === undefined && supposed.listenerRole === 'Sidecar') {
    const value = { recorded, missing }
    io.stdout(options.output === 'json' ? jsonText(value) : `${recordedText(event, missing).join('\n')}\n`)
    io.exitCode = event.decision === 'allow' ? 0 : 1
    return
  }
  const unfit = unfitEvent(event)
  if (unfit !== undefined) return refuseUsage(unfit, io)
  const surroundings = await loadSurroundings({ ...options, issuer: supposed.issuer }, io)
  if (!surroundings) return
  const decided = await decideCall(supposed, { device: deviceInOrder(atMs), nowMs: atMs }, surroundings, io)
  if (!decided) return
  const { decision, steps } = decided
  const why = await decided.why()
  // A log may hold anything.
  const told = steps.map(({ step, outcome, detail }) => ({ step, outcome, detail: printable(detail) }))
  const shown = { ...decision, message: printable(decision.message) }
  const report = { decision: shown, steps: told, asked: printable(describeCall(supposed, decision)), why }
  if (options.output === 'json') io.stdout(jsonText({ recorded, missing, ...reportValue(report) }))
  else
    io.stdout(
      `${recordedText(event, missing).join('\n')}\n\nOn this policy:\n${writeReportText(report, styleOf(io))}`,
    )
  io.exitCode = event.decision === 'allow' ? 0 : 1
}

function writeServerAnswer(
  event: TrafficEvent,
  { now, missing }: Static<typeof EventExplanationSchema>,
  { output }: Options,
  io: CliIo,
): void {
  io.exitCode = event.decision === 'allow' ? 0 : 1
  if (output === 'json') return io.stdout(jsonText({ recorded: recordedOf(event), missing, now }))
  const lines = recordedText(event, missing)
  if (now) {
    const told = now.message === '' ? '' : `: ${printable(now.message)}`
    const steps = now.steps.map(({ step, outcome, detail }) => ({ step, outcome, detail: printable(detail) }))
    lines.push(
      '',
      `Asked again now: ${now.decision} ${printable(now.reason)}${told}`,
      ...writeSteps(steps, styleOf(io)),
    )
  }
  lines.push(
    '',
    'With --policy DIRECTORY it shows the nearest rule and the smallest change that would allow the call.',
  )
  io.stdout(`${lines.join('\n')}\n`)
}

function recordedOf(event: TrafficEvent) {
  const { decisionId, decision, decisionReason, message, mode, wouldBeDecision, wouldBeReason } = event
  const { rule, ruleSource, policyRevision, fields } = event
  const reason = wouldBeReason ?? decisionReason
  const told = isRefusalReason(reason) ? adviceOn(reason) : undefined
  return {
    decisionId,
    timestamp: fields['timestamp'],
    decision,
    reason: decisionReason,
    message,
    mode,
    wouldBeDecision,
    wouldBeReason,
    rule,
    ruleSource,
    policyRevision,
    refusedBy: told?.by,
    advice: told?.advice,
  }
}

function recordedText(event: TrafficEvent, missing: readonly string[]): string[] {
  const { wouldBeDecision, wouldBeReason, advice, refusedBy, ...recorded } = recordedOf(event)
  const { decisionId, decision, reason, message, mode, rule, ruleSource } = recorded
  const lines = [`Recorded ${decisionId} at ${new Date(event.atMs).toISOString()}: ${decision} ${reason}`]
  if (message !== undefined) lines.push(`  ${message}`)
  if (rule !== undefined) lines.push(`  rule ${rule}${ruleSource === undefined ? '' : ` (${ruleSource})`}`)
  if (wouldBeDecision !== undefined)
    lines.push(
      `  it passed since the mode is ${mode}; Enforce would have decided ${wouldBeDecision} ${wouldBeReason}`,
    )
  if (advice !== undefined && refusedBy !== 'policy') lines.push(`  refused by ${refusedBy}: ${advice}`)
  if (missing.length > 0) lines.push(`  not in the event: ${missing.join('; ')}`)
  return lines.map(printable)
}

function jsonText(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`
}
