import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Option, type Command } from 'commander'
import { generateKeyPair, type SigningAlgorithm } from '../identity/token.js'
import type { CliIo } from './io.js'

type Options = {
  readonly algorithm: SigningAlgorithm
  readonly out: string
  readonly output: 'text' | 'json'
}

/** `portcullis keys generate`. */
export function register(program: Command, io: CliIo): void {
  const keys = program.command('keys').description('keys for service tokens')
  keys.addHelpText('after', '\nExample:\n  portcullis keys generate --out keys/order-service')
  keys
    .command('generate')
    .description('make a key pair: the private key for the calling service, the public one for Portcullis')
    .addOption(
      new Option('--algorithm <name>', 'signature algorithm')
        .choices(['ES256', 'RS256', 'EdDSA'])
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
  const pair = await generateKeyPair(algorithm)
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
      : `${privateKey}  private, ${algorithm}: keep it with the service\n${publicKey}  public: serviceTokens.issuers.<iss>.keyFile\n${jwks}  public, as a key set with kid ${report.keyId}\n`,
  )
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
