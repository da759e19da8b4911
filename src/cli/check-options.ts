import { type Command, InvalidArgumentError, Option } from 'commander'
import { parseDurationMs } from '../schema/units.js'
import type { Supposition } from '../lifecycle/supposition.js'

export type CheckOptions = Supposition & {
  readonly policy?: string
  readonly config?: string
  readonly bodyFile?: string
  readonly trustDomain?: string
  readonly device?: string
  readonly at?: number
  readonly output: 'text' | 'json'
}

export function addCheckOptions(command: Command): Command {
  return command
    .optionsGroup('Policy:')
    .option('--policy <directory>', 'folder of policy documents (default: ./policy, or what --config says)')
    .option('-c, --config <file>', 'a configuration: its policy, trust domains and claim mappings')
    .option('--trust-domain <name>', 'the local trust domain (default: cluster.local, or what --config says)')
    .optionsGroup('Call:')
    .option('--target <service>', 'called service, namespace/name')
    .option('--method <method>', 'HTTP method', 'GET')
    .option('--path <path>', 'path with its query', '/')
    .option('--host <name>', 'host (default: the name of the target)')
    .option('--header <name:value>', 'a request header; may be repeated', collectHeader)
    .option('--body <text>', 'the body, as its --header content-type:… says: JSON or a form')
    .option('--body-file <file>', 'a file that holds the body')
    .option('--grpc <service/method>', 'a gRPC call, for example shop.v1.Payments/Refund')
    .option('--tcp', 'a TCP connection, to --port')
    .option('--port <number>', 'port at the target', wholeNumber(0, 65_535), 0)
    .option('--source-ip <address>', "the peer's address", '127.0.0.1')
    .addOption(
      new Option('--listener-role <role>', 'who asks').choices(['Sidecar', 'Gateway']).default('Sidecar'),
    )
    .addOption(
      new Option('--mtls <mode>', 'of the listener').choices(['Strict', 'Permissive']).default('Strict'),
    )
    .option('--at <time>', 'when, RFC 3339 (default: now)', parseTime)
    .optionsGroup('Caller:')
    .option('--caller <workload>', 'calling workload, as a SPIFFE ID or namespace/name')
    .option('--via <workload>', 'trusted proxy that forwards the caller, as a SPIFFE ID or namespace/name')
    .option('--workload-scope <scope>', 'of its service token; may be repeated', collect)
    .option('--user <subject>', 'sub of the user')
    .option('--issuer <url>', "iss of the user's token", 'https://idp.example')
    .option('--role <name>', 'of the user; may be repeated', collect)
    .option('--user-scope <scope>', "of the user's token; may be repeated", collect)
    .option(
      '--claim <name=value>',
      "of the user's token, value as JSON or plain text; may be repeated",
      collectClaim,
    )
    .option('--mfa', 'the user showed several factors')
    .option('--auth-age <duration>', "time since the user's last active authentication", duration)
    .option('--risk <score>', 'risk_score of the token, 0 to 100', wholeNumber(0, 100))
    .addOption(
      new Option('--device-trust <level>', "of the user's device").choices(['high', 'medium', 'low']),
    )
    .option(
      '--device <file>',
      "report of the user's device (JSON, as the admin API takes it), or `unknown` (default: managed and in order)",
    )
    .optionsGroup('Output:')
    .addOption(
      new Option('-o, --output <format>', 'form of the answer').choices(['text', 'json']).default('text'),
    )
}

/** What contradicts itself or lacks something, in words. */
export function wrongUsage(options: CheckOptions): string | undefined {
  if (options.target === undefined && options.listenerRole === 'Sidecar') {
    return '--target is missing; only a Gateway listener finds it by host and path'
  }
  if (options.tcp && (options.grpc !== undefined || options.port === 0)) {
    return options.port === 0 ? '--tcp needs --port' : '--tcp and --grpc exclude each other'
  }
  if (options.listenerRole === 'Gateway' && options.caller !== undefined) {
    return 'nobody outside has a workload: --caller and --listener-role Gateway exclude each other'
  }
  const body = wrongBody(options)
  if (body !== undefined) return body
  const ofUser = [
    options.role,
    options.userScope,
    options.claim,
    options.mfa,
    options.authAge,
    options.risk,
    options.deviceTrust,
    options.device,
  ]
  if (options.user === undefined && ofUser.some((given) => given !== undefined)) {
    return '--role, --user-scope, --claim, --mfa, --auth-age, --risk, --device-trust and --device need --user'
  }
  return undefined
}

function wrongBody({ body, bodyFile, header, tcp, grpc }: CheckOptions): string | undefined {
  if (body === undefined && bodyFile === undefined) return undefined
  if (body !== undefined && bodyFile !== undefined) return '--body and --body-file exclude each other'
  const option = body === undefined ? '--body-file' : '--body'
  if (tcp) return `${option} and --tcp exclude each other: a connection has no body`
  if (grpc !== undefined) return `${option} and --grpc exclude each other: conditions read no gRPC messages`
  if (header?.some(([name]) => name === 'content-type')) return undefined
  return `${option} needs --header content-type:…, such as application/json: without it a server reads no body`
}

function collect(value: string, earlier: readonly string[] = []): string[] {
  return [...earlier, value]
}

function collectHeader(
  text: string,
  earlier: readonly (readonly [string, string])[] = [],
): (readonly [string, string])[] {
  const match = /^([^:\s]+):\s*(.*)$/s.exec(text)
  if (!match) throw new InvalidArgumentError('give a name and a value, for example x-env:prod.')
  return [...earlier, [(match[1] ?? '').toLowerCase(), match[2] ?? '']]
}

function collectClaim(
  text: string,
  earlier: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  const equals = text.indexOf('=')
  if (equals < 1) throw new InvalidArgumentError('give a name and a value, for example department=sales.')
  return { ...earlier, [text.slice(0, equals)]: jsonOrText(text.slice(equals + 1)) }
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^[0-9]+$/.test(text) && value >= least && value <= most) return value
    throw new InvalidArgumentError(`give a whole number from ${least} to ${most}.`)
  }
}

function duration(text: string): number {
  const milliseconds = parseDurationMs(text)
  if (milliseconds === undefined) throw new InvalidArgumentError('give a duration, for example 5m.')
  return milliseconds
}

const RFC_3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)$/

export function parseTime(text: string): number {
  const ms = RFC_3339.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(ms)) throw new InvalidArgumentError('give a time such as 2026-03-01T12:00:00Z.')
  return ms
}
