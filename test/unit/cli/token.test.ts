import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { Command, CommanderError } from 'commander'
import type { JWK } from 'jose'
import { parseRecipient } from '../../../src/audit/chain/audit-keys.js'
import type { CliIo } from '../../../src/cli/io.js'
import { register as registerKeys } from '../../../src/cli/keys.js'
import { register as registerToken } from '../../../src/cli/token.js'
import { hmacWithPublicKey, signedToken, testKey } from '../../support/tokens.js'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cli-token-'))
})
afterEach(() => rm(directory, { recursive: true }))

type Ran = { readonly exitCode: number; readonly out: string; readonly err: string }
async function run(...args: string[]): Promise<Ran> {
  let out = ''
  let err = ''
  const io: CliIo = {
    stdout: (text) => void (out += text),
    stderr: (text) => void (err += text),
    env: {},
    isTerminal: false,
    exitCode: 0,
  }
  const program = new Command('portcullis')
    .exitOverride()
    .configureOutput({ writeOut: io.stdout, writeErr: io.stderr })
  registerToken(program, io)
  registerKeys(program, io)
  const override = (command: Command): void => {
    command.exitOverride().configureOutput({ writeOut: io.stdout, writeErr: io.stderr })
    command.commands.forEach(override)
  }
  override(program)
  try {
    await program.parseAsync(args, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    return { exitCode: error.exitCode, out, err }
  }
  return { exitCode: io.exitCode, out, err }
}
const at = (name: string): string => join(directory, name)

describe('keys generate', () => {
  test('refuses to overwrite, and leaves nothing behind when one of its files exists', async () => {
    await writeFile(at('svc.pem'), 'mine')
    const ran = await run('keys', 'generate', '--out', at('svc'))
    expect(ran).toMatchObject({ exitCode: 2, out: '', err: expect.stringContaining('svc.pem') })
    expect(await readdir(directory)).toEqual(['svc.pem'])
    expect(await readFile(at('svc.pem'), 'utf8')).toBe('mine')
  })
  test('refuses an unknown algorithm', async () => {
    expect(await run('keys', 'generate', '--algorithm', 'HS256', '--out', at('svc'))).toMatchObject({
      exitCode: 1,
      err: expect.stringContaining('Allowed choices'),
    })
  })
  test('makes keys on P-384 that events are encrypted for', async () => {
    const made = await run('keys', 'generate', '--algorithm', 'ECDH-ES', '--out', at('restricted'))
    expect(made).toMatchObject({ exitCode: 0, err: '' })
    expect(made.out).toContain('restricted.pem  public: audit.sinks[].recipients.<classification>')
    const read = parseRecipient(await readFile(at('restricted.pem'), 'utf8'))
    const { keys } = JSON.parse(await readFile(at('restricted.jwks.json'), 'utf8')) as { keys: JWK[] }
    expect(keys).toEqual([expect.objectContaining({ kty: 'EC', crv: 'P-384', alg: 'ECDH-ES', use: 'enc' })])
    expect(read).toMatchObject({ ok: true, recipient: { keyId: keys[0]?.kid } })
    expect(keys[0]).not.toHaveProperty('d')
    expect((await stat(at('restricted.key'))).mode & 0o777).toBe(0o600)
  })
  test.each(['ES256', 'RS256', 'EdDSA'])('makes %s keys that mint and inspect take', async (algorithm) => {
    const made = await run('keys', 'generate', '--algorithm', algorithm, '--out', at('sub/svc'), '-o', 'json')
    expect(JSON.parse(made.out)).toMatchObject({
      algorithm,
      privateKey: at('sub/svc.key'),
      publicKey: at('sub/svc.pem'),
    })
    expect((await stat(at('sub/svc.key'))).mode & 0o777).toBe(0o600)
    expect(made.out).not.toContain('PRIVATE')
    const minted = await run(
      'token',
      'mint',
      '--issuer',
      'order-service',
      '--audience',
      'shop/payment-service',
      '--scope',
      'a',
      'b',
      '--key',
      at('sub/svc.key'),
    )
    expect(minted).toMatchObject({ exitCode: 0, err: '' })
    await writeFile(at('token'), minted.out)
    for (const key of ['sub/svc.pem', 'sub/svc.jwks.json']) {
      const seen = await run('token', 'inspect', '--key', at(key), '-o', 'json', at('token'))
      expect(seen.exitCode).toBe(0)
      expect(JSON.parse(seen.out)).toMatchObject({
        signature: 'valid',
        claims: { scopes: ['a', 'b'] },
        findings: [],
      })
    }
  })
})

describe('token mint refuses with exit 2', () => {
  test('a key that is absent, no key, or unreadable JSON', async () => {
    await writeFile(at('text'), 'x')
    await writeFile(at('json'), '{x')
    for (const key of ['absent', 'text', 'json']) {
      const ran = await run('token', 'mint', '--issuer', 'a', '--audience', 'b/c', '--key', at(key))
      expect(ran).toMatchObject({ exitCode: 2, out: '', err: expect.stringMatching(/^error: /) })
    }
  })
  test('wrong usage is told by the command line', async () => {
    expect(await run('token', 'mint', '--issuer', 'a')).toMatchObject({
      exitCode: 1,
      err: expect.stringContaining('--audience'),
    })
    expect(
      await run('token', 'mint', '--issuer', 'a', '--audience', 'b/c', '--key', 'k', '--lifetime', '30'),
    ).toMatchObject({
      exitCode: 1,
      err: expect.stringContaining('whole seconds'),
    })
  })
})

describe('token inspect finds', () => {
  const NOW = Math.floor(Date.now() / 1000)
  const GOOD = { iss: 'order-service', aud: 'shop/payment-service', iat: NOW, exp: NOW + 30, jti: 'j' }
  const USER = { iss: 'https://idp.example', sub: 'alice', aud: 'shop', exp: NOW + 300 }
  test.each<[string, object, string, readonly string[]]>([
    ['an expired one', { ...GOOD, iat: NOW - 60, exp: NOW - 30 }, 'service-token-expired', []],
    ['one of 10 minutes', { ...GOOD, exp: NOW + 600 }, 'service-token-lifetime', []],
    ['one without jti', { ...GOOD, jti: undefined }, 'service-token-malformed', []],
    ['a risk that is no number', { ...USER, risk_score: '71' }, 'user-token-malformed', ['--as', 'user']],
    ['an expired user', { ...USER, exp: NOW - 300 }, 'user-token-expired', ['--as', 'user']],
  ])('%s', async (_name, claims, reason, options) => {
    const token = signedToken(await testKey(), claims)
    await writeFile(at('token'), token)
    const ran = await run('token', 'inspect', ...options, at('token'))
    expect(ran).toMatchObject({ exitCode: 1, out: expect.stringContaining(`refused    ${reason}`) })
    expect(ran.out).not.toContain(token.split('.')[2])
  })
  test('HS256 with the public key, nonsense, and a key that did not sign', async () => {
    const [key, other] = [await testKey(), await testKey()]
    await writeFile(at('hmac'), hmacWithPublicKey(key, GOOD))
    await writeFile(at('nonsense'), 'nonsense')
    await writeFile(at('good'), signedToken(key, GOOD))
    await writeFile(at('other.pem'), other.publicKeyPem)
    expect((await run('token', 'inspect', at('hmac'))).out).toContain('service-token-signature')
    expect((await run('token', 'inspect', at('nonsense'))).out).toContain('service-token-malformed')
    expect(await run('token', 'inspect', '--key', at('other.pem'), at('good'))).toMatchObject({
      exitCode: 1,
      out: expect.stringContaining('signature  invalid'),
    })
    expect(await run('token', 'inspect', '--max-lifetime', '1m', at('good'))).toMatchObject({
      exitCode: 0,
      out: expect.stringContaining('fine'),
    })
    expect(await run('token', 'inspect', '--key', at('nonsense'), at('good'))).toMatchObject({
      exitCode: 2,
      err: expect.stringContaining('key file'),
    })
  })
  test('control characters of a claim never reach the terminal', async () => {
    await writeFile(at('token'), signedToken(await testKey(), { ...GOOD, '\u001b[2J': '\u001b[2J\u009b' }))
    expect((await run('token', 'inspect', at('token'))).out).not.toMatch(/[\u001b\u009b]/)
  })
})

test.each([['token'], ['token', 'mint'], ['token', 'inspect'], ['keys'], ['keys', 'generate']])(
  '--help of %s %s has an example',
  async (...command: string[]) => {
    expect((await run(...command.filter(Boolean), '--help')).out).toContain('Example:')
  },
)
