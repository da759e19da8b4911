import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { once } from 'node:events'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { asEnvoySends, createAuthority } from '../support/certificate-authority.js'
import { eventually } from '../support/eventually.js'
import { runCli } from '../support/cli.js'
import { startPortcullis, type TestPortcullis } from '../support/portcullis.js'

const NAMES = ['pay', 'stock', 'mail', 'users', 'admin', 'reports']

const POLICY = [...NAMES, 'web']
  .map(
    (name) => `apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: ${name}, namespace: shop }
spec:
  endpoints: [{ name: Read, paths: [/read], methods: [GET] }]
${name === 'web' ? '  calls: [{ service: pay }]' : '  rules: [{ name: web, from: [{ services: [web] }] }]'}
`,
  )
  .join('---\n')

const WEB = 'spiffe://cluster.local/ns/shop/sa/web'

async function webhook(): Promise<{ url: string; alerts: Record<string, unknown>[]; close: () => void }> {
  const alerts: Record<string, unknown>[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (piece: Buffer) => (body += piece.toString()))
    request.on('end', () => {
      alerts.push(JSON.parse(body) as Record<string, unknown>)
      response.end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    url: `http://127.0.0.1:${address.port}/alerts`,
    alerts,
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

const authority = createAuthority({ name: 'root' })
const certificate = asEnvoySends(authority.issueSvid({ spiffeId: WEB }).certificatePem)

const serve = (configuration: Readonly<Record<string, unknown>>) =>
  startPortcullis(
    { 'policy/shop.yaml': POLICY, 'ca.pem': authority.certificatePem },
    { trustDomains: { 'cluster.local': { bundle: { file: './ca.pem' } } }, ...configuration },
  )

const call = (server: TestPortcullis, target: string) =>
  server.check({
    principal: WEB,
    certificate,
    destinationPrincipal: `spiffe://cluster.local/ns/shop/sa/${target}`,
    method: 'GET',
    path: '/read',
  })

const anomalies = (server: TestPortcullis) =>
  server.events().filter(({ eventType }) => eventType === 'anomaly')

test('a workload that tries many targets is told to the webhook, the event log, the log and the metrics', async () => {
  const hook = await webhook()
  const server = await serve({
    alerts: { sinks: [{ type: 'Webhook', url: hook.url }] },
    health: { listen: '127.0.0.1:0' },
  })
  try {
    for (let again = 0; again < 20; again++) expect((await call(server, 'stock')).outcome).toBe('deny')
    for (const name of NAMES) await call(server, name)
    await eventually(() => expect(hook.alerts).toHaveLength(1))
    const denied = server.events().filter(({ decisionReason }) => decisionReason === 'call-not-allowed')
    expect(denied).toHaveLength(25)
    expect(hook.alerts[0]).toMatchObject({
      eventType: 'anomaly',
      rule: 'lateral-movement',
      severity: 'MEDIUM',
      callerService: 'shop/web',
      observed: 5,
      decisionIds: denied.slice(0, 20).map(({ decisionId }) => decisionId),
      eventCount: 25,
    })
    await eventually(() => expect(anomalies(server)).toEqual(hook.alerts))
    expect(server.output().log).toMatch(/"message":"anomaly".*lateral-movement/)
    const metrics = await (await fetch(`http://${server.running.health}/metrics`)).text()
    expect(metrics).toContain('portcullis_anomalies_total{rule="lateral-movement",severity="Medium"} 1\n')
    expect(metrics).toContain('portcullis_anomalies_total{rule="fan-out",severity="High"} 0\n')
    // A file analysed later finds the same.
    const file = join(server.directory, 'events.jsonl')
    writeFileSync(file, server.output().events)
    const { stdout } = await runCli(['audit', 'analyze', '-o', 'json', file])
    expect(JSON.parse(stdout)).toMatchObject({ findings: hook.alerts })
  } finally {
    await server.stop()
    hook.close()
  }
}, 15_000)

test('switched off it finds nothing', async () => {
  const server = await serve({ audit: { detector: { enabled: false } } })
  try {
    for (const name of NAMES) await call(server, name)
  } finally {
    await server.stop()
  }
  expect(anomalies(server)).toEqual([])
})

describe('what is learned is kept in a file', () => {
  test('that is written at the end and read at the start', async () => {
    const server = await serve({ audit: { detector: { baseline: './learned.jsonl' } } })
    const file = join(server.directory, 'learned.jsonl')
    expect(readFileSync(file, 'utf8').split('\n')).toHaveLength(2)
    await call(server, 'pay')
    let kept = ''
    const stopped = server.running.stop().then(() => (kept = readFileSync(file, 'utf8')))
    await stopped
    expect(kept).toContain('"workload":"shop/web"')
    expect(kept).toContain('"edges":{"shop/pay":["Read"]}')
    await server.stop()
  })

  test.each([
    ['./none/learned.jsonl', 'ENOENT: no such file or directory'],
    ['./ca.pem', 'ca.pem:1: '],
  ])('%s keeps it from starting', async (baseline, says) => {
    await expect(serve({ audit: { detector: { baseline } } })).rejects.toThrow(says)
  })
})
