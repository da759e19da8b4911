import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { CompactEncrypt } from 'jose'
import { keyIdOf } from '../../../src/audit/chain/audit-keys.js'
import { jweOpener } from '../../../src/audit/chain/open-jwe.js'
import { SampleStream } from '../../support/audit-sample.js'
import { runCli } from '../../support/cli.js'

const pair = (namedCurve = 'P-384') => generateKeyPairSync('ec', { namedCurve })
const mine = pair()
const other = pair()
const kid = keyIdOf(mine.publicKey)
const EVENT = '{"schemaVersion":"1.0","eventType":"authorization","decisionId":"d-1","message":"é"}'

/** Written by jose, which knows nothing of how it is opened here. */
function jweOf(text: string, publicKey: KeyObject = mine.publicKey, header = {}): Promise<string> {
  return new CompactEncrypt(Buffer.from(text))
    .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', kid: keyIdOf(publicKey), ...header })
    .encrypt(publicKey)
}

describe('jweOpener', () => {
  const open = jweOpener(new Map([[kid, mine.privateKey]]))

  test('refuses what it can not open', async () => {
    const jwe = await jweOf(EVENT)
    const [header = '', , iv = '', text = '', tag = ''] = jwe.split('.')
    const headed = (value: object): string =>
      [Buffer.from(JSON.stringify(value)).toString('base64url'), '', iv, text, tag].join('.')
    const parsed: unknown = JSON.parse(Buffer.from(header, 'base64url').toString())
    const fields = Object(parsed)
    const flip = (part: string): string => `${part.startsWith('A') ? 'B' : 'A'}${part.slice(1)}`
    const table: readonly { jwe: string; problem: RegExp }[] = [
      { jwe: '', problem: /no compact JWE/ },
      { jwe: 'a.b.c', problem: /no compact JWE/ },
      { jwe: [header, 'a', iv, text, tag].join('.'), problem: /no compact JWE/ },
      { jwe: [header, '', iv, flip(text), tag].join('.'), problem: /was changed/ },
      { jwe: [header, '', flip(iv), text, tag].join('.'), problem: /was changed/ },
      { jwe: [header, '', iv, text, flip(tag)].join('.'), problem: /was changed/ },
      { jwe: headed({ ...fields, alg: 'ECDH-ES+A256KW' }), problem: /no ECDH-ES/ },
      { jwe: headed({ ...fields, enc: 'A128GCM' }), problem: /no ECDH-ES/ },
      { jwe: headed({ ...fields, crit: ['b64'] }), problem: /parameters that are not known/ },
      { jwe: headed({ ...fields, zip: 'DEF' }), problem: /parameters that are not known/ },
      {
        jwe: headed({ ...fields, epk: { kty: 'EC', crv: 'P-256', x: 'a', y: 'b' } }),
        problem: /not on P-384/,
      },
      {
        jwe: headed({ ...fields, epk: { kty: 'EC', crv: 'P-384', x: 'a', y: 'b' } }),
        problem: /no point of P-384/,
      },
      { jwe: headed({ ...fields, typ: 'x' }), problem: /was changed/ },
    ]
    for (const each of table) {
      expect(open(each.jwe)).toEqual({
        ok: false,
        reason: 'bad',
        problem: expect.stringMatching(each.problem),
      })
    }
    expect(open(await jweOf(EVENT, other.publicKey))).toEqual({
      ok: false,
      reason: 'no-key',
      keyId: keyIdOf(other.publicKey),
    })
  })

  test('opens what jose wrote', async () => {
    for (const text of [EVENT, '', 'x'.repeat(100_000)]) {
      expect(open(await jweOf(text))).toEqual({ ok: true, text })
    }
  })
})

describe('portcullis audit decrypt', () => {
  let folder = ''
  const at = (...names: string[]): string => join(folder, ...names)
  const pem = (key: KeyObject): string =>
    key.export({ format: 'pem', type: key.type === 'private' ? 'pkcs8' : 'spki' }).toString()
  const decrypt = async (...args: string[]) => runCli(['audit', 'decrypt', ...args])

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'audit-decrypt-'))
    writeFileSync(at('mine.key'), pem(mine.privateKey), { mode: 0o600 })
    writeFileSync(at('other.key'), pem(other.privateKey), { mode: 0o644 })
    writeFileSync(at('public.pem'), pem(mine.publicKey))
    writeFileSync(at('p256.key'), pem(pair('P-256').privateKey), { mode: 0o600 })
    const stream = new SampleStream('restricted', undefined)
      .opened('new')
      .encrypted('restricted', await jweOf(EVENT))
    stream
      .events(1)
      .encrypted(undefined, await jweOf(EVENT))
      .checkpoint('close')
      .done()
    for (const [name, bytes] of stream.files) writeFileSync(at(name), bytes)
    const foreign = await jweOf(EVENT, other.publicKey)
    const mixed = new SampleStream('default', undefined)
      .opened('new')
      .encrypted(undefined, await jweOf(EVENT))
    for (let count = 0; count < 7; count++) mixed.encrypted('restricted', foreign)
    mixed
      .encrypted(undefined, `${await jweOf(EVENT)}A`)
      .checkpoint('close')
      .done()
    writeFileSync(at('mixed.jsonl'), mixed.files.get('events.jsonl') ?? '')
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  test('refuses wrong usage', async () => {
    const table: readonly { args: string[]; err: RegExp }[] = [
      { args: [at('mixed.jsonl')], err: /required option '--key <file>'/ },
      { args: ['--key', at('none.key'), at('mixed.jsonl')], err: /none\.key/ },
      { args: ['--key', at('public.pem'), at('mixed.jsonl')], err: /public\.pem: it holds no private key/ },
      { args: ['--key', at('p256.key'), at('mixed.jsonl')], err: /its key is not on P-384/ },
      {
        args: ['--key', at('mine.key'), at('nothing.jsonl')],
        err: /nothing\.jsonl can't be read: no such file/,
      },
    ]
    for (const { args, err } of table) {
      const ran = await decrypt(...args)
      expect(ran.exitCode).toBe(2)
      expect(ran.stdout).toBe('')
      expect(ran.stderr).toMatch(err)
    }
  })

  test('what it has no key for is told and ends with 1', async () => {
    const { exitCode, stdout, stderr } = await decrypt('--key', at('mine.key'), at('mixed.jsonl'))
    expect(exitCode).toBe(1)
    expect(stdout).toBe(`${EVENT}\n`)
    const needed = keyIdOf(other.publicKey)
    expect(stderr).toContain(
      `mixed.jsonl:3: not opened: encrypted for the key ${needed}, which was not given\n`,
    )
    expect(stderr).toMatch(
      /mixed\.jsonl: 8 lines could not be opened in all\n1 events, 1 of them decrypted, 8 lines could not be opened\n$/,
    )
  })

  test('writes events in order, plain ones without their chain, and no line of the log itself', async () => {
    const { exitCode, stdout, stderr } = await decrypt('--key', at('mine.key'), at('events.restricted.jsonl'))
    expect(exitCode).toBe(0)
    const lines = stdout.split('\n')
    expect(lines).toHaveLength(4)
    expect([lines[0], lines[2]]).toEqual([EVENT, EVENT])
    expect(lines[1]).toMatch(/^\{"schemaVersion":"1\.0",.*"decisionReason":"allowed"\}$/)
    expect(stderr).toBe('3 events, 2 of them decrypted\n')
  })

  test('warns of a key that others can read', async () => {
    const { stderr } = await decrypt('--key', at('mine.key'), '--key', at('other.key'), at('mixed.jsonl'))
    expect(stderr).toMatch(/^warning: .*other\.key can be read by others than its owner \(mode 644\)\n/)
  })

  test('--out writes files for the owner alone and overwrites none', async () => {
    const args = ['--key', at('mine.key'), '--out', at('opened'), at('events.restricted.jsonl')]
    expect(await decrypt(...args)).toMatchObject({ exitCode: 0, stdout: '' })
    const file = at('opened', 'events.restricted.jsonl')
    expect(readFileSync(file, 'utf8').split('\n')).toHaveLength(4)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    const again = await decrypt(...args)
    expect(again).toMatchObject({ exitCode: 2 })
    expect(again.stderr).toContain('EEXIST')
  })
})
