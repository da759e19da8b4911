import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { Command } from 'commander'
import { writeRecordedCheck } from '../../../src/audit/recorded-check.js'
import { register as registerDiff } from '../../../src/cli/diff.js'
import { register as registerLearn } from '../../../src/cli/learn.js'
import { register as registerReplay } from '../../../src/cli/replay.js'
import { parseSpiffeId } from '../../../src/identity/spiffe-id.js'
import { NOWHERE } from '../../../src/risk/locate.js'
import { NOTHING_KNOWN } from '../../../src/state/recall.js'
import { aCall, NOW_MS } from '../../support/facts.js'

const HEAD = 'apiVersion: portcullis.dev/v1beta1\nkind: ServicePolicy\n'
const BASELINE =
  'apiVersion: portcullis.dev/v1beta1\nkind: BaselinePolicy\nmetadata: { name: default }\nspec: { defaults: { mode: Observe } }\n'
let folder = ''
const at = (...names: string[]) => join(folder, ...names)

const event = (requestPath: string) =>
  JSON.stringify({
    eventType: 'authorization',
    timestamp: '2026-11-03T10:00:00Z',
    decisionId: 'd',
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

function record(path: string): string {
  const id = parseSpiffeId('spiffe://cluster.local/ns/shop/sa/cart')
  if (!id.ok) throw new Error('no SPIFFE ID')
  return writeRecordedCheck(
    {
      request: {
        requestId: '',
        source: { ip: '10.0.0.1', port: 1, principal: '', certificate: '' },
        destination: { ip: '10.0.0.2', port: 2, principal: '' },
        http: aCall({ method: 'GET', path }),
        contextExtensions: new Map([['portcullis.service', 'shop/pay']]),
        sni: '',
      },
      listener: {
        name: 'mesh',
        role: 'Sidecar',
        peerIdentity: 'Certificate',
        principalTrustDomains: [],
        trustedProxies: new Map(),
        trustedHops: 0,
        mtls: 'Strict',
        target: ['extension'],
      },
      asker: { spiffeId: undefined },
      nowMs: NOW_MS,
      identified: {
        ok: true,
        identity: {
          workload: { spiffeId: id.id, verifiedBy: 'certificate' },
          serviceToken: undefined,
          user: undefined,
        },
      },
      known: NOTHING_KNOWN,
      located: NOWHERE,
      decision: {
        outcome: 'allow',
        reason: 'allowed',
        message: '',
        mode: 'Observe',
        obligations: [],
        revision: 'r',
      },
      decisionId: 'd-1',
    },
    'x-service-token',
  )
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'learn-'))
  for (const name of ['observe', 'empty', 'broken', 'old']) mkdirSync(at(name))
  writeFileSync(at('observe', 'baseline.yaml'), BASELINE)
  writeFileSync(at('broken', 'bad.yaml'), `${HEAD}metadata: { name: a }\nspec: { mode: Enforcing }\n`)
  writeFileSync(at('old', 'a.yaml'), `${HEAD}metadata: { name: cart, namespace: shop }\nspec: {}\n`)
  writeFileSync(
    at('events.jsonl'),
    `${event('/orders/1')}\n\n${event('/orders/2')}\n${event('/list')}\n{"eventTy`,
  )
  writeFileSync(
    at('checks.jsonl'),
    `${record('/orders/1')}\n${record('/list')}\n${record('/other')}\n${record('/list').slice(0, 80)}`,
  )
  writeFileSync(at('nothing.jsonl'), '{"eventType":"signal"}\n')
  writeFileSync(at('text.txt'), 'hello\n'.repeat(8))
})
afterAll(() => rmSync(folder, { recursive: true }))

async function run(...args: string[]) {
  const out: string[] = []
  const err: string[] = []
  const io = {
    stdout: (text: string) => void out.push(text),
    stderr: (text: string) => void err.push(text),
    env: {},
    isTerminal: false,
    exitCode: 0,
  }
  const program = new Command().exitOverride()
  for (const register of [registerLearn, registerDiff, registerReplay]) register(program, io)
  await program.parseAsync(args, { from: 'user' })
  return { out: out.join(''), err: err.join(''), exitCode: io.exitCode }
}

describe('bad input ends with 2', () => {
  test.each([
    { args: ['learn', 'none.jsonl'], err: /none\.jsonl can't be read: no such file/ },
    { args: ['learn', '.'], err: /learn-\w+ is a folder/ },
    { args: ['learn', 'nothing.jsonl'], err: /no security event of a decision in/ },
    {
      args: ['learn', 'text.txt'],
      err: /text\.txt:5: skipped.*\n.*8 lines skipped in all\nerror: no security event/s,
    },
    { args: ['learn', 'checks.jsonl'], err: /`eventType` is missing/ },
    { args: ['learn', 'events.jsonl', '--policy', 'none'], err: /none can't be read/ },
    { args: ['learn', 'events.jsonl', '--policy', 'broken'], err: /bad\.yaml:4:15: error/ },
    { args: ['learn', 'events.jsonl', '-c', 'none.yaml'], err: /none\.yaml can't be read/ },
    { args: ['replay', 'checks.jsonl'], err: /name the candidate with --policy/ },
    {
      args: ['replay', 'events.jsonl', '--policy', 'old'],
      err: /`recordVersion` is missing.*no recorded Check in/s,
    },
    { args: ['replay', 'none.jsonl', '--policy', 'old'], err: /no such file/ },
    { args: ['replay', 'checks.jsonl', '--policy', 'broken'], err: /bad\.yaml:4:15: error/ },
    { args: ['diff', 'old', 'broken'], err: /bad\.yaml:4:15: error/ },
    { args: ['diff', 'none', 'old'], err: /none can't be read/ },
    { args: ['diff', 'old', 'old', '--traffic', 'nothing.jsonl'], err: /no security event/ },
  ])('$args', async ({ args, err }) => {
    const here = args.map((arg) => (/^(?:learn|diff|replay|-.+)$/.test(arg) ? arg : at(arg)))
    const ran = await run(...here)
    expect(ran.exitCode).toBe(2)
    expect(ran.out).toBe('')
    expect(ran.err).toMatch(err)
  })
})

test('observe, learn, diff, replay', async () => {
  const events = at('events.jsonl')
  const shown = await run('learn', events)
  expect(shown.exitCode).toBe(0)
  expect(shown.out).toMatch(/^# shop\/cart\.yaml\napiVersion/)
  expect(shown.err).toMatch(
    /events\.jsonl:5: skipped, .*\(the last line is cut off\)\n3 events: 0 pass already, 3 learned, in shop\/cart\.yaml \(new\), shop\/pay\.yaml \(new\)\n$/,
  )

  const learned = await run('learn', events, '--policy', at('observe'), '-o', at('observe'))
  expect(learned).toMatchObject({ out: '', exitCode: 0 })
  expect(readFileSync(at('observe', 'shop', 'pay.yaml'), 'utf8')).toContain('# seen 2 times, 2026-11-03')
  expect(readFileSync(at('observe', 'baseline.yaml'), 'utf8')).toBe(BASELINE)
  expect((await run('learn', events, '--policy', at('observe'))).err).toMatch(
    /3 pass already, 0 learned, nothing is missing/,
  )

  const again = await run('learn', events, '-o', at('observe'))
  expect(again).toMatchObject({
    exitCode: 2,
    err: expect.stringMatching(/cart\.yaml is there already: nothing was written/),
  })

  writeFileSync(at('base.yaml'), BASELINE)
  mkdirSync(at('base'))
  writeFileSync(at('base', 'baseline.yaml'), BASELINE)
  const diff = await run('diff', at('base'), at('observe'), '--traffic', events)
  expect(diff.exitCode).toBe(1)
  expect(diff.out).toContain('  shop/cart → shop/pay get-orders-id: always\n')
  expect(diff.out).toMatch(/Of 3 recorded calls, 0 are refused now and 3 permitted now/)
  expect((await run('diff', at('base'), at('observe'), '--exit-zero')).exitCode).toBe(0)
  expect(JSON.parse((await run('diff', at('base'), at('observe'), '-o', 'json')).out)).toMatchObject({
    lost: [],
    servicesGained: ['shop/cart', 'shop/pay'],
  })
  expect((await run('diff', at('base'), at('observe'), '-o', 'markdown')).out).toMatch(
    /^### Pairs gained: 2\n\n- shop\/cart → shop\/pay/,
  )
  expect(await run('diff', at('observe'), at('observe'))).toEqual({
    out: 'nothing differs\n',
    err: '',
    exitCode: 0,
  })

  const observed = await run('replay', at('checks.jsonl'), '--policy', at('observe'))
  expect(observed.exitCode).toBe(0)
  expect(observed.out).toMatch(/3 Checks: 2 the same, 0 refused, 0 opened, 1 otherwise changed\n$/)
  expect((await run('replay', at('checks.jsonl'), '--policy', at('observe'), '--any')).exitCode).toBe(1)
  writeFileSync(at('observe', 'baseline.yaml'), BASELINE.replace('Observe', 'Enforce'))
  const enforced = await run('replay', at('checks.jsonl'), '--policy', at('observe'))
  expect(enforced.exitCode).toBe(1)
  expect(enforced.out).toContain(
    '  1 × shop/cart → shop/pay  GET\n      allow  ⇒  deny endpoint-not-exposed\n',
  )
  expect(enforced.err).toMatch(/checks\.jsonl:4: skipped, no JSON, or cut off \(the last line is cut off\)/)
  const { out } = await run('replay', at('checks.jsonl'), '--policy', at('observe'), '-o', 'json')
  expect(JSON.parse(out)).toMatchObject({
    checks: 3,
    same: 2,
    broken: 1,
    skipped: 1,
    groups: [{ kind: 'broken', example: { decisionId: 'd-1' } }],
  })
  expect(existsSync(at('shop'))).toBe(false)
})

test('a proposal in another folder is a whole policy, and nothing stands in its way', async () => {
  for (const name of ['before', 'taken']) mkdirSync(at(name))
  writeFileSync(at('before', 'baseline.yaml'), BASELINE)
  writeFileSync(at('taken', 'baseline.yaml'), 'mine')
  const taken = await run('learn', at('events.jsonl'), '--policy', at('before'), '-o', at('taken'))
  expect(taken.exitCode).toBe(2)
  expect(readdirSync(at('taken'))).toEqual(['baseline.yaml'])
  const after = await run('learn', at('events.jsonl'), '--policy', at('before'), '-o', at('after'))
  expect(after.exitCode).toBe(0)
  expect(readdirSync(at('after'), { recursive: true }).map(String).toSorted()).toEqual([
    'baseline.yaml',
    'shop',
    'shop/cart.yaml',
    'shop/pay.yaml',
  ])
  expect(readFileSync(at('after', 'baseline.yaml'), 'utf8')).toBe(BASELINE)
})
