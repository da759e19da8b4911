import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { appendLine, CHAIN_START, type ChainEnd } from '../../../src/audit/chain/chain-line.js'
import { checkpointBody, encryptedBody, openedBody } from '../../../src/audit/chain/log-lines.js'
import { writeWithdrawal } from '../../../src/audit/withdrawal-event.js'
import { runCli } from '../../support/cli.js'

let folder = ''
const at = (...names: string[]): string => join(folder, ...names)

const event = (decisionId: string, requestPath: string): string =>
  JSON.stringify({
    eventType: 'authorization',
    timestamp: '2026-11-03T10:00:00Z',
    decisionId,
    workloadId: 'spiffe://cluster.local/ns/shop/sa/cart',
    targetService: 'shop/pay',
    protocol: 'HTTP/2',
    requestMethod: 'GET',
    requestPath,
    decision: 'allow',
    decisionReason: 'allowed',
    mode: 'Observe',
    wouldBeDecision: 'deny',
    wouldBeReason: 'target-unknown',
  })

function logOf(bodies: readonly ((end: ChainEnd) => string)[]): string {
  let end = CHAIN_START
  const lines = bodies.map((body) => {
    const next = appendLine(end, body(end))
    end = next
    return `${next.line}\n`
  })
  return lines.join('')
}

const opened = (end: ChainEnd): string =>
  openedBody({ atMs: 0, stream: 'default', reason: 'new', previous: end })
const closing = ({ seq }: ChainEnd): string =>
  checkpointBody({ atMs: 0, stream: 'default', covered: seq, reason: 'close', streams: new Map() })
const body = (line: string) => (): string => line.slice(0, -1)

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'audit-read-'))
  mkdirSync(at('policy'))
  writeFileSync(
    at('policy', 'baseline.yaml'),
    'apiVersion: portcullis.dev/v1beta1\nkind: BaselinePolicy\nmetadata: { name: default }\nspec: { defaults: { mode: Observe } }\n',
  )
  const given = [opened, body(event('d-1', '/orders')), body(event('d-2', '/withdrawn'))]
  writeFileSync(at('events.jsonl'), logOf([...given, body(writeWithdrawal('d-2', 0)), closing]))
  const encrypted = (): string => encryptedBody('restricted', 'a..b.c.d')
  writeFileSync(at('encrypted.jsonl'), logOf([opened, encrypted, encrypted, closing]))
})
afterAll(() => rmSync(folder, { recursive: true }))

describe('an encrypted audit log', () => {
  const told = /encrypted\.jsonl:2: (?:skipped, )?encrypted: open it with `portcullis audit decrypt` first/
  test.each([
    { args: ['learn'] },
    { args: ['lint', 'policy', '--traffic'] },
    { args: ['diff', 'policy', 'policy', '--traffic'] },
  ])('$args tells that it is encrypted', async ({ args }) => {
    const ran = await runCli([
      ...args.map((arg) => (arg === 'policy' ? at(arg) : arg)),
      at('encrypted.jsonl'),
    ])
    expect(ran.exitCode).toBe(2)
    expect(ran.stderr).toMatch(told)
  })

  test.each([[[]], [['d-1']]])('explain --event %j tells that it is encrypted', async (id) => {
    const ran = await runCli(['explain', '--event', at('encrypted.jsonl'), '--policy', at('policy'), ...id])
    expect(ran.exitCode).toBe(2)
    expect(ran.stderr).toMatch(told)
  })
})

describe('an audit log in plain text', () => {
  test('learn reads it without a warning, and not what was withdrawn', async () => {
    const { stdout, stderr, exitCode } = await runCli(['learn', at('events.jsonl')])
    expect(exitCode).toBe(0)
    expect(stderr).not.toContain('skipped')
    expect(stdout).toContain('/orders')
    expect(stdout).not.toContain('withdrawn')
  })

  test.each([
    { args: ['lint', 'policy', '--traffic', 'events.jsonl'] },
    { args: ['diff', 'policy', 'policy', '--traffic', 'events.jsonl'] },
    { args: ['explain', '--policy', 'policy', '--event', 'events.jsonl', 'd-1'] },
  ])('$args reads it without a warning', async ({ args }) => {
    const ran = await runCli(args.map((arg) => (/^(?:policy|events\.jsonl)$/.test(arg) ? at(arg) : arg)))
    expect(ran.stderr).not.toMatch(/warning|error|skipped/)
    expect(ran.exitCode).toBeLessThan(2)
  })
})
