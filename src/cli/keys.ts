import { generateKeyPairSync } from 'node:crypto'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Option, type Command } from 'commander'
import { keyIdOf } from '../audit/chain/audit-keys.js'
import { generateKeyPair, type GeneratedKeyPair, type SigningAlgorithm } from '../identity/token.js'
import type { CliIo } from './io.js'

/** `ECDH-ES`: nothing is signed; who has the public key can encrypt. */
type Algorithm = Extract<SigningAlgorithm, 'ES256' | 'RS256' | 'EdDSA'> | 'ECDH-ES'

type Options = {
  readonly algorithm: Algorithm
  readonly out: string
  readonly output: 'text' | 'json'
}

/** `portcullis keys generate`. */
export function register(program: Command, io: CliIo): void {
  const keys = program
    .command('keys')
    .description('keys for service tokens, signed audit logs and encrypted events')
  keys.addHelpText('after', '\nExample:\n  portcullis keys generate --out keys/order-service')
  keys
    .command('generate')
    .description('make a key pair: the private key for who signs or decrypts, the public one for all others')
    .addOption(
      new Option('--algorithm <name>', 'signature algorithm; ECDH-ES encrypts events, on P-384')
        .choices(['ES256', 'RS256', 'EdDSA', 'ECDH-ES'])
        .default('ES256'),
    )
    .requiredOption('--out <path>', 'files <path>.key (private), <path>.pem and <path>.jwks.json (public)')
    .addOption(
      new Option('-o, --output <format>', 'form of the report').choices(['text', 'json']).default('text'),
    )
    .addHelpText(
      'after',
      '\nExisting files are never overwritten.\n\nExample:\n  portcullis keys generate --algorithm EdDSA --out keys/order-service',
    )
    .action((options: Options) => generate(options, io))
}

async function generate({ algorithm, out, output }: Options, io: CliIo): Promise<void> {
  const pair = algorithm === 'ECDH-ES' ? generateEncryptionPair() : await generateKeyPair(algorithm)
  const files: readonly NewFile[] = [
    { path: `${out}.key`, text: pair.privateKeyPem, mode: 0o600 },
    { path: `${out}.pem`, text: pair.publicKeyPem, mode: 0o644 },
    {
      path: `${out}.jwks.json`,
      text: `${JSON.stringify({ keys: [pair.publicJwk] }, undefined, 2)}\n`,
      mode: 0o644,
    },
  ]
  const [privateKey, publicKey, jwks] = files.map(({ path }) => path)
  try {
    await mkdir(dirname(out), { recursive: true })
    await createAll(files)
  } catch (error) {
    io.stderr(`error: ${wording(error)}\n`)
    io.exitCode = 2
    return
  }
  const report = { algorithm, keyId: pair.publicJwk.kid, privateKey, publicKey, jwks }
  io.stdout(
    output === 'json'
      ? `${JSON.stringify(report)}\n`
      : `${privateKey}  private, ${algorithm}: ${KEPT_BY[algorithm]}\n${publicKey}  public: ${PUBLIC_FOR[algorithm]}\n${jwks}  public, as a key set with kid ${report.keyId}\n`,
  )
}

const SERVICE = 'keep it with the service'
const SERVICE_KEY = 'serviceTokens.issuers.<iss>.keyFile'
const KEPT_BY: Readonly<Record<Algorithm, string>> = {
  ES256: SERVICE,
  RS256: SERVICE,
  EdDSA: `${SERVICE}, or audit.sinks[].signingKeyFile`,
  'ECDH-ES': 'for portcullis audit decrypt; keep it away from Portcullis',
}
const PUBLIC_FOR: Readonly<Record<Algorithm, string>> = {
  ES256: SERVICE_KEY,
  RS256: SERVICE_KEY,
  EdDSA: `${SERVICE_KEY}, or portcullis audit verify --key`,
  'ECDH-ES': 'audit.sinks[].recipients.<classification>',
}

/** A pair that events are encrypted with: EC on P-384. */
function generateEncryptionPair(): Omit<GeneratedKeyPair, 'algorithm'> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' })
  return {
    privateKeyPem: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    publicKeyPem: publicKey.export({ format: 'pem', type: 'spki' }).toString(),
    publicJwk: {
      ...publicKey.export({ format: 'jwk' }),
      kid: keyIdOf(publicKey),
      alg: 'ECDH-ES',
      use: 'enc',
    },
  }
}

type NewFile = { readonly path: string; readonly text: string; readonly mode: number }

/** Creates every file or none; one that exists is never touched. */
async function createAll(files: readonly NewFile[]): Promise<void> {
  const created: string[] = []
  try {
    for (const { path, text, mode } of files) {
      await writeFile(path, text, { flag: 'wx', mode })
      created.push(path)
    }
  } catch (error) {
    await Promise.all(created.map((path) => rm(path, { force: true })))
    throw error
  }
}

/** Files are never overwritten, so the usual failure is one that is there already. */
function wording(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return 'code' in error && error.code === 'EEXIST' && 'path' in error
    ? `${String(error.path)} is there already; choose another --out`
    : error.message
}
