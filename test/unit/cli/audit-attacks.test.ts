import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { appendLine } from '../../../src/audit/chain/chain-line.js'
import { runCli } from '../../support/cli.js'
import { eventOf, newSigner, openLog } from '../../support/file-log.js'

const { signer, publicKey } = newSigner()
let folder = ''
const path = (name: string): string => join(folder, 'log', name)

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'audit-attacks-'))
  writeFileSync(join(folder, 'signing.pem'), publicKey.export({ format: 'pem', type: 'spki' }))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const verify = async () =>
  runCli(['audit', 'verify', '--key', join(folder, 'signing.pem'), '-o', 'json', join(folder, 'log')])

/** A run of a server that ends well, with checkpoints in between. */
async function run(from: number): Promise<readonly string[]> {
  const { sink, told } = await openLog(join(folder, 'log'), {
    signer: () => signer,
    checkpointIntervalMs: 15,
    flushIntervalMs: 1,
  })
  for (let n = from; n < from + 6; n++) {
    void sink.take(eventOf(n))
    void sink.take(eventOf(n, 'restricted'))
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  await sink.drain()
  return told
}

const linesOf = (name: string): string[] => readFileSync(path(name), 'utf8').trimEnd().split('\n')
const endOf = (line: string): { seq: number; hash: string } => JSON.parse(line).chain

test('nobody touched it', async () => {
  await run(1)
  await run(100)
  expect((await verify()).exitCode).toBe(0)
})

describe('somebody who can write the files, and has no key', () => {
  test('adds a line behind a clean end: found, also after the next start has signed on', async () => {
    await run(1)
    const forged = appendLine(endOf(linesOf('events.jsonl').at(-1) ?? ''), eventOf(666).line.slice(0, -1))
    appendFileSync(path('events.jsonl'), `${forged.line}\n`)
    for (const found of [await verify(), (await run(100), await verify())]) {
      expect(found.exitCode).toBe(1)
      expect(found.stdout).toContain('"inserted"')
      expect(found.stdout).toContain(`"seq":${forged.seq}`)
    }
  })

  test('cuts the default stream back to a checkpoint and makes its head of that: other streams name later lines', async () => {
    await run(1)
    const lines = linesOf('events.jsonl')
    const at = lines.findIndex((line) => line.includes('"audit-checkpoint"'))
    expect(at).toBeLessThan(lines.length - 4)
    writeFileSync(path('events.jsonl'), `${lines.slice(0, at + 1).join('\n')}\n`)
    writeFileSync(path('events.head'), `${lines[at]}\n`)
    const { exitCode, stdout } = await verify()
    expect(exitCode).toBe(1)
    expect(stdout).toContain('"truncated"')
    expect(stdout).toContain('checkpoints of other streams name line')
  })

  test('writes a head with the highest number there is: no start goes on behind it', async () => {
    await run(1)
    const last = endOf(linesOf('events.jsonl').at(-1) ?? '').seq
    const head = readFileSync(path('events.head'), 'utf8')
    writeFileSync(path('events.head'), head.replace(`"seq":${last},`, '"seq":9007199254740990,'))
    expect((await run(100)).join('\n')).toContain('is no head of an audit log')
    expect(endOf(linesOf('events.jsonl')[last] ?? '').seq).toBe(last + 1)
  })
})
