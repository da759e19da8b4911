import { readFile } from 'node:fs/promises'
import { InvalidArgumentError, Option, type Command } from 'commander'
import { ALGORITHMS } from '../identity/jwt.js'
import { DEFAULT_LIFETIME_SECONDS, mintServiceToken, type SigningAlgorithm } from '../identity/token.js'
import { parseDurationMs } from '../schema/units.js'
import type { CliIo } from './io.js'
import { inspectToken, type TokenFinding, type TokenReport } from './inspect-token.js'

type MintOptions = {
  readonly issuer: string
  readonly audience: string
  readonly scope: readonly string[]
  readonly subject?: string
  readonly key: string
  readonly keyId?: string
  readonly algorithm?: SigningAlgorithm
  readonly lifetime: number
  readonly output: 'text' | 'json'
}
type InspectOptions = {
  readonly as: 'service' | 'user'
  readonly key?: string
  readonly maxLifetime: number
  readonly output: 'text' | 'json'
}

/** `portcullis token mint` and `portcullis token inspect`. */
export function register(program: Command, io: CliIo): void {
  const token = program.command('token').description('service tokens: make one, look into one')
  token.addHelpText('after', `\nExample:\n  ${MINT_EXAMPLE}`)
  token
    .command('mint')
    .description('make a token for x-service-token: for one target, usable once')
    .requiredOption('--issuer <name>', 'iss: the entry under serviceTokens.issuers')
    .requiredOption('--audience <service>', 'aud: the target as namespace/name or SPIFFE ID')
    .requiredOption('--key <file>', 'private key (PEM or JWK)')
    .option('--scope <scope...>', 'scopes to ask for', [])
    .option('--subject <spiffe-id>', 'sub: an identity of the calling service')
    .option('--key-id <kid>', 'kid, where the issuer has several keys')
    .addOption(new Option('--algorithm <name>', 'default: by the key').choices(ALGORITHMS))
    .option('--lifetime <duration>', 'from iat to exp', wholeSeconds, DEFAULT_LIFETIME_SECONDS)
    .addOption(outputOption())
    .addHelpText('after', `\nExample:\n  ${MINT_EXAMPLE}`)
    .action((options: MintOptions) => orWrongUsage(io, () => mint(options, io)))
  token
    .command('inspect')
    .description('decode a token and say what would be refused; its signature is never printed')
    .argument('[file]', 'file that holds the token; standard input when absent', '/dev/stdin')
    .addOption(
      new Option('--as <kind>', 'what it is used as').choices(['service', 'user']).default('service'),
    )
    .option('--key <file>', 'public key of the issuer (PEM, JWK or JWKS): checks the signature too')
    .option('--max-lifetime <duration>', 'serviceTokens.maxLifetime', wholeSeconds, DEFAULT_LIFETIME_SECONDS)
    .addOption(outputOption())
    .addHelpText(
      'after',
      '\nExit 1 when something would be refused. The token comes from a file or a pipe, so that it stays out of the process list.\n\nExample:\n  portcullis token inspect --key keys/order-service.pem token.jwt',
    )
    .action((file: string, options: InspectOptions) => orWrongUsage(io, () => inspect(file, options, io)))
}

const MINT_EXAMPLE =
  'portcullis token mint --issuer order-service --audience shop/payment-service --scope payments:process --key keys/order-service.key'

async function mint(options: MintOptions, io: CliIo): Promise<void> {
  const text = await readFile(options.key, 'utf8')
  const token = await mintServiceToken({
    issuer: options.issuer,
    audience: options.audience,
    scopes: options.scope,
    key: text.trimStart().startsWith('{') ? JSON.parse(text) : text,
    lifetimeSeconds: options.lifetime,
    ...(options.subject === undefined ? {} : { subject: options.subject }),
    ...(options.keyId === undefined ? {} : { keyId: options.keyId }),
    ...(options.algorithm === undefined ? {} : { algorithm: options.algorithm }),
  })
  if (options.lifetime > DEFAULT_LIFETIME_SECONDS) {
    io.stderr(
      `note: more than ${DEFAULT_LIFETIME_SECONDS}s is refused unless serviceTokens.maxLifetime allows it\n`,
    )
  }
  io.stdout(options.output === 'json' ? `${JSON.stringify({ token })}\n` : `${token}\n`)
}

async function inspect(file: string, options: InspectOptions, io: CliIo): Promise<void> {
  const text = (await readFile(file, 'utf8')).trim()
  const keys = options.key === undefined ? undefined : await readFile(options.key, 'utf8')
  const report = await inspectToken(text, {
    as: options.as,
    keys,
    maxLifetimeMs: options.maxLifetime * 1000,
    nowMs: Date.now(),
  })
  io.stdout(options.output === 'json' ? `${JSON.stringify(report)}\n` : describe(report))
  if (report.findings.length > 0) io.exitCode = 1
}

function describe({ header, claims, signature, findings }: TokenReport): string {
  const lines: string[] = []
  if (header) lines.push(`header     ${JSON.stringify(header)}`)
  for (const [name, value] of Object.entries(claims ?? {})) {
    const date = DATES.has(name) && typeof value === 'number' ? `  (${dateText(value)})` : ''
    lines.push(`${name.padEnd(10)} ${JSON.stringify(value)}${date}`)
  }
  lines.push(`signature  ${signature}`)
  lines.push(...findings.map((finding: TokenFinding) => `refused    ${finding.reason}: ${finding.message}`))
  if (findings.length === 0)
    lines.push('fine       nothing in it would be refused; caller, target and use are checked on the call')
  return lines.map((line) => `${printable(line)}\n`).join('')
}

const DATES = new Set(['iat', 'exp', 'nbf', 'auth_time'])

function dateText(seconds: number): string {
  const date = new Date(seconds * 1000)
  return Number.isNaN(date.getTime()) ? 'no date' : date.toISOString()
}

/** Claims are a stranger's text: no control characters reach the terminal. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, '?')
}

function wholeSeconds(text: string): number {
  const milliseconds = parseDurationMs(text)
  if (milliseconds === undefined || milliseconds === 0 || milliseconds % 1000 !== 0) {
    throw new InvalidArgumentError('give whole seconds, for example 30s.')
  }
  return milliseconds / 1000
}

function outputOption(): Option {
  return new Option('-o, --output <format>', 'form of the answer').choices(['text', 'json']).default('text')
}

/** Files that can't be read and keys that can't sign are the user's to mend: exit 2 with the cause. */
async function orWrongUsage(io: CliIo, run: () => Promise<void>): Promise<void> {
  try {
    await run()
  } catch (error) {
    io.stderr(`error: ${error instanceof Error ? error.message : String(error)}\n`)
    io.exitCode = 2
  }
}
