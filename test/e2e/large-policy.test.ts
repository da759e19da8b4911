import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import * as grpc from '@grpc/grpc-js'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { stringify } from 'yaml'
import { REPOSITORY } from '../../demo/lay.js'
import { asEnvoySends, createAuthority } from '../support/certificate-authority.js'
import { AUTHORIZATION, encodeCheck } from '../support/envoy-wire.js'
import { eventually } from '../support/eventually.js'
import { readAnswer } from '../support/portcullis.js'

/** Of some 900 KB, so that another thread reads it. */
const SERVICES = 2500

/** Service n may be called by its neighbour, service n + 1. */
function mesh(open: boolean): string {
  const of = (index: number): string => `---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: service-${index}, namespace: shop }
spec:
  calls: [{ service: service-${(index + SERVICES - 1) % SERVICES} }]
  endpoints:
    - { name: Read, paths: [/api/items, "/api/items/{id}"], methods: [GET] }
    - { name: Write, paths: [/api/items], methods: [POST] }
  rules:
    - name: neighbour
      from: [{ services: [service-${(index + 1) % SERVICES}] }]
      to: [{ endpoints: [Read${open ? ', Write' : ''}] }]
`
  return Array.from({ length: SERVICES }, (_, index) => of(index)).join('')
}

let directory: string
let child: ChildProcess | undefined
let client: grpc.Client | undefined
const log: string[] = []

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'portcullis-large-'))
  mkdirSync(join(directory, 'policy'))
})
afterEach(() => {
  client?.close()
  child?.kill('SIGKILL')
  rmSync(directory, { recursive: true, force: true })
})

const authority = createAuthority({ name: 'mesh' })
const CALLER = 'spiffe://cluster.local/ns/shop/sa/service-8'
const caller = asEnvoySends(authority.issueSvid({ spiffeId: CALLER }).certificatePem)

function write(name: string, text: string): void {
  writeFileSync(join(directory, `${name}.new`), text)
  renameSync(join(directory, `${name}.new`), join(directory, name))
}

/** Resolves with the address of the listener, or with what it said before it ended. */
async function serve(): Promise<string> {
  const args = ['serve', '--config', join(directory, 'portcullis.yaml')]
  child = spawn(process.execPath, [join(REPOSITORY, 'dist/cli/portcullis.js'), ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '' },
  })
  log.length = 0
  return new Promise((resolve) => {
    if (!child?.stderr) throw new Error('no standard error')
    const lines = createInterface({ input: child.stderr })
    lines.on('line', (line) => {
      log.push(line)
      const address = /"listeners":\["mesh ([^"]+)"\]/.exec(line)?.[1]
      if (address !== undefined) resolve(address)
    })
    lines.on('close', () => resolve(log.join('\n')))
  })
}

async function reasonOf(method: string, target = 7): Promise<string> {
  const id = `shop/service-${target}`
  const message = encodeCheck({
    certificate: caller,
    principal: CALLER,
    service: id,
    method,
    path: '/api/items',
  })
  return new Promise((resolve, reject) => {
    client?.makeUnaryRequest(
      AUTHORIZATION.path,
      (request: Buffer) => request,
      (reply: Buffer) => reply,
      message,
      { deadline: Date.now() + 5000 },
      (error, reply) => (reply ? resolve(readAnswer(reply).reason) : reject(error ?? new Error('nothing'))),
    )
  })
}

const CONFIGURATION = stringify({
  apiVersion: 'portcullis.dev/v1beta1',
  kind: 'Configuration',
  listeners: [{ name: 'mesh', address: '127.0.0.1:0' }],
  trustDomains: { 'cluster.local': { bundle: { file: './bundle.pem' } } },
  policy: { directory: './policy' },
  store: { directory: './store' },
  health: { listen: '' },
})

function laid(): void {
  write('portcullis.yaml', CONFIGURATION)
  write('bundle.pem', authority.certificatePem)
  write('policy/mesh.yaml', mesh(false))
}

test('a large policy that is wrong is refused at start, each fault with its place', async () => {
  laid()
  write('policy/mesh.yaml', `${mesh(false)}---\nkind: ServicePolicy\n`)
  write('policy/other.yaml', 'apiVersion: portcullis.dev/v1beta1\nkind: ServicePolice\n')
  const said = await serve()
  expect(said).toMatch(/mesh\.yaml:\d+:1: error: `apiVersion: portcullis\.dev\/v1beta1` is missing/)
  expect(said).toMatch(/other\.yaml:2:7: error: no kind `ServicePolice`; did you mean `ServicePolicy`\?/)
}, 60_000)

test('a large policy is reloaded while calls are answered, and a wrong one is refused whole', async () => {
  laid()
  const address = await serve()
  client = new grpc.Client(address, grpc.credentials.createInsecure())
  expect(await reasonOf('POST')).toBe('rule-not-matched')
  expect(await reasonOf('GET', 6)).toBe('call-not-allowed')
  expect(await reasonOf('GET')).toBe('allowed')

  write('policy/mesh.yaml', `${mesh(true)}---\nkind: ServicePolicy\n`)
  await eventually(() => expect(log.join('\n')).toContain('policy refused'), 20_000)
  expect(log.join('\n')).toMatch(/mesh\.yaml:\d+:1: error: `apiVersion/)
  expect(await reasonOf('POST')).toBe('rule-not-matched')
  expect(await reasonOf('GET')).toBe('allowed')

  write('policy/mesh.yaml', mesh(true))
  let asked = 0
  await eventually(async () => {
    const reason = await reasonOf('POST')
    asked++
    expect(reason).toBe('allowed')
  }, 20_000)
  expect(asked).toBeGreaterThan(1)
  expect(log.filter((line) => line.includes('policy reloaded'))).toHaveLength(1)
}, 60_000)
