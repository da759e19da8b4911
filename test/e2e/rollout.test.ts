import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { callHttp, callTcp } from '../../demo/calls.js'
import { envoyBinary } from '../../demo/envoy-binary.js'
import { type Mesh, startMesh } from '../../demo/mesh.js'
import { inboundPort, PORTS, SERVICES } from '../../demo/services.js'
import { runCli } from '../support/cli.js'
import { startLoad } from './support/load.js'

/** The story of docs/rollout.md, told by the commands of that page on a real mesh. */

const NAMES = new Set([
  'checkout-service',
  'order-service',
  'inventory-service',
  'payment-service',
  'email-service',
  'database-service',
])
const SERVICES_HERE = SERVICES.filter(({ name }) => NAMES.has(name))

const baseline = (mode: 'Observe'): string => `apiVersion: portcullis.dev/v1beta1
kind: BaselinePolicy
metadata: { name: default }
spec:
  defaults: { mode: ${mode}, require: Workload }
`

let folder: string
let served: string
let mesh: Mesh
let events: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'portcullis-rollout-'))
  served = join(folder, 'policy')
  events = join(folder, 'events.jsonl')
  mkdirSync(served)
  writeFileSync(join(served, 'baseline.yaml'), baseline('Observe'))
  mesh = await startMesh({
    envoy: envoyBinary(),
    policyDirectory: served,
    services: SERVICES_HERE,
    askTimeoutSeconds: 3,
  })
}, 120_000)

afterAll(async () => {
  await mesh.stop()
  mesh.forget()
  rmSync(folder, { recursive: true, force: true })
}, 30_000)

type Call = readonly [caller: string, target: string, method: string, path: string]

/** What the applications of this mesh do all day. */
const DAILY: readonly Call[] = [
  ['checkout-service', 'inventory-service', 'GET', '/api/stock/4711'],
  ['checkout-service', 'inventory-service', 'GET', '/api/stock/815'],
  ['checkout-service', 'order-service', 'POST', '/internal/orders'],
  ['order-service', 'inventory-service', 'POST', '/api/stock/4711/reservations'],
  ['order-service', 'payment-service', 'POST', '/api/settlements'],
]
/** What comes round once a month. */
const MONTHLY: Call = ['payment-service', 'email-service', 'POST', '/api/emails']

async function make([caller, target, method, path]: Call): Promise<{
  status: string
  id: string | undefined
}> {
  const request = { method, path, host: target }
  const { status, decisionId } = await callHttp(mesh.throughSidecar(caller), request)
  return { status, id: decisionId }
}

async function day(): Promise<readonly string[]> {
  const broken: string[] = []
  for (const call of DAILY) {
    const { status } = await make(call)
    if (status !== '200') broken.push(`${call.join(' ')}: ${status}`)
  }
  const database = SERVICES_HERE.find(({ name }) => name === 'database-service')
  if (!database) throw new Error('there is no database')
  expect(inboundPort(database)).toBe(PORTS.database)
  const connection = await callTcp(mesh.throughSidecar('order-service', PORTS.database))
  if (connection.status !== 'open') broken.push(`TCP: ${connection.status}`)
  return broken
}

/** The events that Portcullis wrote, as a log collector would have them. */
function collect(): void {
  writeFileSync(events, readFileSync(join(mesh.directory, 'logs/portcullis-1.log')))
}

/** The one word of the baseline that a step of the page changes by hand. */
function changeMode(policy: string, from: string, to: string): void {
  const file = join(policy, 'baseline.yaml')
  writeFileSync(file, readFileSync(file, 'utf8').replace(`mode: ${from}`, `mode: ${to}`))
}

/** Lays a policy as a deployment does, and waits until it is in force. */
async function deploy(from: string): Promise<void> {
  const before = await revision()
  // All of it within the moment that Portcullis waits for more.
  cpSync(from, served, { recursive: true })
  const end = Date.now() + 10_000
  while ((await revision()) === before) {
    if (Date.now() > end) throw new Error('the policy was not taken')
    await sleep(50)
  }
  await sleep(300)
}

async function revision(): Promise<string> {
  const answer = await mesh.administer('rita', 'GET', '/v1/policy')
  const status: unknown = JSON.parse(answer.body)
  return JSON.stringify(Reflect.get(Object(status), 'revision'))
}

test('from nothing to Enforce, and no call broken', async () => {
  const request = { method: 'GET', path: '/api/stock/1', host: 'inventory-service' }
  const load = startLoad(mesh.throughSidecar('checkout-service'), request, 1, 110_000)

  // Observe: everything passes, and is written down.
  expect(await day()).toEqual([])
  collect()

  // Learn, and look at what it says.
  const learned = join(folder, 'learned')
  const learn = await runCli(['learn', events, '--policy', served, '-o', learned])
  expect(learn).toMatchObject({ exitCode: 0 })
  expect(await runCli(['lint', learned])).toMatchObject({ exitCode: 0 })
  const diff = await runCli(['diff', served, learned])
  expect(diff.stdout).toContain('checkout-service')
  expect(diff.stdout).toContain('get-api-stock-id')
  expect(diff.stdout).not.toMatch(/BaselinePolicy|baseline/)

  // Shadow: everything passes still; what would be refused is told.
  changeMode(learned, 'Observe', 'Shadow')
  await deploy(learned)
  expect(await day()).toEqual([])
  const forgotten = await make(MONTHLY)
  expect(forgotten.status).toBe('200')
  const event = await mesh.trail.withId(forgotten.id ?? '')
  expect(event).toMatchObject({ decision: 'allow', mode: 'Shadow' })
  collect()

  // Why, and what would allow it: proven, and nothing else opened.
  const why = await runCli([
    'explain',
    '--event',
    events,
    '--policy',
    learned,
    forgotten.id ?? '',
    '-o',
    'json',
  ])
  const explained: unknown = JSON.parse(why.stdout)
  expect(JSON.stringify(explained)).toContain('email-service')

  // Learning again adds what was missing and keeps the rest.
  const fixed = join(folder, 'fixed')
  expect(await runCli(['learn', events, '--policy', learned, '-o', fixed])).toMatchObject({ exitCode: 0 })
  await deploy(fixed)
  const again = await make(MONTHLY)
  expect(await mesh.trail.withId(again.id ?? '')).not.toHaveProperty('wouldBeDecision')

  // Enforce: what was seen passes, anything else does not.
  changeMode(fixed, 'Shadow', 'Enforce')
  await deploy(fixed)
  expect(await day()).toEqual([])
  expect((await make(MONTHLY)).status).toBe('200')
  expect((await make(['email-service', 'payment-service', 'POST', '/api/settlements'])).status).toBe('403')
  expect((await make(['checkout-service', 'payment-service', 'POST', '/api/settlements'])).status).toBe('403')
  expect((await runCli(['lint', fixed, '--strict'])).exitCode).toBe(0)

  // And all the while, reloads included, nobody was refused.
  const statuses = await load.stop()
  expect([...statuses.keys()]).toEqual(['200'])
  expect(statuses.get('200')).toBeGreaterThan(100)
}, 120_000)

test('the page shows the commands that ran', () => {
  const page = readFileSync(new URL('../../docs/rollout.md', import.meta.url), 'utf8')
  for (const command of [
    'portcullis learn events.jsonl --policy policy -o learned',
    'portcullis lint learned',
    'portcullis diff policy learned',
    'portcullis explain --event events.jsonl --policy learned ID',
    'portcullis learn events.jsonl --policy learned -o fixed',
  ]) {
    expect(page).toContain(command)
  }
})
