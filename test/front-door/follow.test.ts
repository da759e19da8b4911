import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import * as grpc from '@grpc/grpc-js'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { adminClient, anAdminToken } from '../support/admin.js'
import { asEnvoySends, createAuthority } from '../support/certificate-authority.js'
import { runCli } from '../support/cli.js'
import { AUTHORIZATION, type CheckFields, encodeCheck } from '../support/envoy-wire.js'
import { eventually } from '../support/eventually.js'
import { type Collector, type ReadSpan, readMetrics, startCollector } from '../support/otlp.js'
import { type Answer, readAnswer, startPortcullis, type TestPortcullis } from '../support/portcullis.js'
import { POLICY } from './door.js'

const WEB = 'spiffe://cluster.local/ns/shop/sa/web'
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const PARENT = '00f067aa0ba902b7'
const SAMPLED = `00-${TRACE}-${PARENT}-01`
const UNSAMPLED = `00-${TRACE}-${PARENT}-00`
const ID_HEADER = 'x-portcullis-decision-id'

let portcullis: TestPortcullis
let collector: Collector
let peer: CheckFields
let client: grpc.Client
const adminToken = anAdminToken()

beforeAll(async () => {
  collector = await startCollector()
  const authority = createAuthority({ name: 'root' })
  peer = {
    principal: WEB,
    certificate: asEnvoySends(authority.issueSvid({ spiffeId: WEB }).certificatePem),
    service: 'shop/pay',
    path: '/api/payments/1',
  }
  portcullis = await startPortcullis(
    {
      'policy/shop.yaml': POLICY,
      'ca.pem': authority.certificatePem,
      'admin.token': adminToken,
      'otel.headers': '# of the collector\nx-scope: mesh\n',
    },
    {
      trustDomains: { 'cluster.local': { bundle: { file: './ca.pem' } } },
      health: { listen: '127.0.0.1:0' },
      admin: { listen: '127.0.0.1:0', tokens: [{ name: 'ann', file: './admin.token', role: 'Admin' }] },
      telemetry: {
        traces: { endpoint: `${collector.url}/v1/traces`, interval: '10ms', headersFile: './otel.headers' },
        metrics: { endpoint: `${collector.url}/v1/metrics`, interval: '1h' },
      },
      log: { level: 'Debug' },
    },
  )
  client = new grpc.Client(portcullis.running.listeners[0]?.address ?? '', grpc.credentials.createInsecure())
})
afterAll(async () => {
  client.close()
  await portcullis.stop()
  await collector.close()
})

/** One Check with what Envoy sends beside it. */
function ask(fields: CheckFields, metadata: Readonly<Record<string, string>> = {}): Promise<Answer> {
  const sent = new grpc.Metadata()
  for (const [name, value] of Object.entries(metadata)) sent.set(name, value)
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      AUTHORIZATION.path,
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => bytes,
      encodeCheck({ ...peer, ...fields }),
      sent,
      { deadline: Date.now() + 5000 },
      (error, reply) =>
        error || !reply ? reject(error ?? new Error('no reply')) : resolve(readAnswer(reply)),
    )
  })
}

async function spanOf(decisionId: string): Promise<ReadSpan> {
  let found: ReadSpan | undefined
  await eventually(() => {
    found = collector.spans().find(({ attributes }) => attributes['portcullis.decision_id'] === decisionId)
    expect(found).toBeDefined()
  })
  if (!found) throw new Error('no span')
  return found
}

const logLineOf = (decisionId: string): Record<string, unknown> | undefined =>
  portcullis
    .output()
    .log.split('\n')
    .filter((line) => line.includes(decisionId))
    .map((line) => JSON.parse(line) as Record<string, unknown>)[0]

const eventOf = (decisionId: string) =>
  portcullis.events().find((event) => event['decisionId'] === decisionId)

describe('from the header in the hand of the caller', () => {
  test.each([
    { name: 'a refusal', fields: { path: '/nowhere' }, decision: 'deny', reason: 'endpoint-not-exposed' },
    { name: 'an allow', fields: {}, decision: 'allow', reason: 'allowed' },
  ])('$name: one id in header, metadata, event, log, span and explanation', async (row) => {
    const answer = await ask(row.fields, { traceparent: SAMPLED })
    const id = answer.headers.get(ID_HEADER) ?? ''
    expect([answer.outcome, id]).toEqual([row.decision, expect.stringMatching(/^[\w-]{20,}$/)])
    expect(answer.reply.dynamic_metadata?.fields).toMatchObject({ decision_id: { stringValue: id } })

    await eventually(() =>
      expect(eventOf(id)).toMatchObject({ decisionReason: row.reason, traceId: TRACE, spanId: PARENT }),
    )
    expect(logLineOf(id)).toMatchObject({
      level: 'debug',
      component: 'decision',
      decision: row.decision,
      reason: row.reason,
      traceId: TRACE,
    })

    const span = await spanOf(id)
    expect(span).toMatchObject({
      traceId: TRACE,
      parentSpanId: PARENT,
      name: 'envoy.service.auth.v3.Authorization/Check',
      kind: 2,
      attributes: {
        'portcullis.decision': row.decision,
        'portcullis.reason': row.reason,
        'portcullis.mode': 'Enforce',
        'portcullis.caller': 'shop/web',
        'portcullis.target': 'shop/pay',
        'portcullis.policy_revision': expect.stringMatching(/^[\da-f]{64}$/),
      },
    })
    expect(span.endNanos - span.startNanos).toBeGreaterThan(0n)

    const explained = await runCli([
      'explain',
      id,
      '--server',
      `http://${portcullis.running.admin}`,
      '--token-file',
      join(portcullis.directory, 'admin.token'),
      '--policy',
      join(portcullis.directory, 'policy'),
    ])
    expect(explained.stderr).toBe('')
    expect(explained.stdout).toContain(row.reason)
  })

  test('the collector gets the headers of the file', async () => {
    const answer = await ask({}, { traceparent: SAMPLED })
    await spanOf(answer.headers.get(ID_HEADER) ?? '')
    expect(collector.requests[0]?.headers['x-scope']).toBe('mesh')
  })
})

describe('whose trace it is', () => {
  test.each([
    { name: 'nobody’s', metadata: {}, header: undefined },
    { name: 'one that is not kept', metadata: { traceparent: UNSAMPLED }, header: undefined },
    {
      name: 'one that is not kept, whatever the request says',
      metadata: { traceparent: UNSAMPLED },
      header: SAMPLED,
    },
    { name: 'no trace', metadata: { traceparent: '00-zz' }, header: 'x'.repeat(65_536) },
    { name: 'all zeros', metadata: { traceparent: `00-${'0'.repeat(32)}-${PARENT}-01` }, header: undefined },
    { name: 'an upper-case one', metadata: { traceparent: SAMPLED.toUpperCase() }, header: undefined },
  ])('$name: no span', async ({ metadata, header }) => {
    const { headers } = await ask(header === undefined ? {} : { headers: { traceparent: header } }, metadata)
    const after = await ask({}, { traceparent: SAMPLED })
    await spanOf(after.headers.get(ID_HEADER) ?? '')
    const ids = collector.spans().map(({ attributes }) => attributes['portcullis.decision_id'])
    expect(ids).not.toContain(headers.get(ID_HEADER))
  })

  test("the request's own, where Envoy has no span of its own", async () => {
    const other = randomBytes(16).toString('hex')
    const { headers } = await ask({ headers: { traceparent: `00-${other}-${PARENT}-01` } })
    const span = await spanOf(headers.get(ID_HEADER) ?? '')
    expect([span.traceId, span.parentSpanId]).toEqual([other, PARENT])
  })
})

test('a span holds nothing of what came with the request', async () => {
  const secret = 'hunter2-hunter2'
  const { headers } = await ask(
    {
      path: `/api/payments/1?token=${secret}`,
      headers: { authorization: `Bearer ${secret}`, tracestate: `v=${secret}`, 'x-anything': secret },
    },
    { traceparent: SAMPLED, tracestate: `v=${secret}` },
  )
  const id = headers.get(ID_HEADER) ?? ''
  await spanOf(id)
  const bodies = collector.requests.map(({ body }) => body.toString('latin1')).join('')
  expect(bodies).toContain(id)
  expect(bodies).not.toContain('hunter2')
  expect(bodies).not.toContain('/api/payments')
  expect(portcullis.output().log).not.toContain('hunter2')
})

test('the level of the log changes while it runs, by somebody with a reason', async () => {
  const api = adminClient(portcullis.running.admin ?? '', adminToken)
  const put = await api('PUT', '/v1/log-level', { level: 'Warn', duration: '1h', reason: 'too much' })
  expect(put.body).toEqual({ level: 'Warn', configured: 'Debug', until: expect.any(String) })
  const quiet = await ask({})
  expect(logLineOf(quiet.headers.get(ID_HEADER) ?? '')).toBeUndefined()
  await api('PUT', '/v1/log-level', { level: 'Debug', reason: 'again' })
  const loud = await ask({})
  expect(logLineOf(loud.headers.get(ID_HEADER) ?? '')).toBeDefined()
  await eventually(() => {
    const changes = portcullis.events().filter((event) => event['action'] === 'log-level.set')
    expect(changes).toMatchObject([
      { actor: 'ann', reason: 'too much', success: true },
      { actor: 'ann', reason: 'again', success: true },
    ])
  })
})

describe('/metrics', () => {
  const scrape = async (accept?: string): Promise<{ type: string | null; text: string }> => {
    const response = await fetch(`http://${portcullis.running.health}/metrics`, {
      headers: accept === undefined ? {} : { accept },
    })
    return { type: response.headers.get('content-type'), text: await response.text() }
  }

  test('is Prometheus text, or OpenMetrics for those who ask for it', async () => {
    await ask({}, { traceparent: SAMPLED })
    const text = await scrape()
    expect(text.type).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(text.text).toContain(
      'portcullis_service_decisions_total{source="shop/web",target="shop/pay",decision="allow"}',
    )
    expect(text.text).toMatch(/^portcullis_trust_bundle_expiry_seconds\{trust_domain="cluster.local"\} \d+$/m)
    expect(text.text).toMatch(/^portcullis_connections\{listener="mesh"\} [1-9]$/m)
    expect(text.text).toContain('portcullis_checks_waiting 0\n')
    const open = await scrape('application/openmetrics-text;version=1.0.0')
    expect(open.type).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8')
    expect(open.text).toContain(`# {trace_id="${TRACE}"}`)
    expect(open.text.endsWith('# EOF\n')).toBe(true)
  })

  test('has as many series after calls of a thousand paths, callers, hosts and traces as before', async () => {
    const noisy = (at: number): Promise<Answer> => {
      const name = `${at}-${randomBytes(4).toString('hex')}`
      const whose = `spiffe://cluster.local/ns/${name}/sa/x`
      return ask(
        {
          path: at % 2 ? `/${name}` : '/api/payments/1',
          host: `${name}.example`,
          method: at % 3 ? 'GET' : name,
          service: at % 4 ? 'shop/pay' : `shop/${name}`,
          principal: at % 5 ? WEB : whose,
          destinationPrincipal: at % 7 ? '' : whose,
          headers: { 'x-request-id': name, 'user-agent': name, authorization: `Bearer ${name}` },
        },
        { traceparent: `00-${randomBytes(16).toString('hex')}-${PARENT}-0${at % 2}` },
      )
    }
    const series = ({ text }: { text: string }): string[] =>
      text
        .split('\n')
        .filter((line) => /^[a-z]/.test(line))
        .map((line) => line.slice(0, line.lastIndexOf(' ')))
    const all = async (from: number, to: number): Promise<void> => {
      for (let at = from; at < to; at += 20) {
        await Promise.all(Array.from({ length: 20 }, (_, further) => noisy(at + further)))
      }
    }
    await all(0, 420)
    const before = series(await scrape())
    await all(420, 1420)
    expect(series(await scrape())).toEqual(before)
  }, 60_000)
})

test('metrics are pushed, at the end too', async () => {
  await portcullis.running.stop()
  const pushed = collector.requests.filter(({ path }) => path === '/v1/metrics')
  expect(pushed).toHaveLength(1)
  const metrics = readMetrics(pushed[0]?.body ?? Buffer.alloc(0))
  expect(metrics.get('portcullis_decisions').sum).toMatchObject({
    aggregation_temporality: 2,
    is_monotonic: true,
  })
  const [duration] = metrics.get('portcullis_decision_duration_seconds').histogram.data_points
  expect(Number(duration.count)).toBeGreaterThan(1400)
})
