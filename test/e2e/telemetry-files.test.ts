import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { REPOSITORY } from '../../demo/lay.js'
import { anAdminToken } from '../support/admin.js'
import { createAuthority } from '../support/certificate-authority.js'
import { JwksServer } from '../support/jwks-server.js'
import { startPortcullis, type TestPortcullis } from '../support/portcullis.js'
import { testKey } from '../support/tokens.js'

const RULES = join(REPOSITORY, 'telemetry/alerts.yaml')
const DASHBOARD = join(REPOSITORY, 'telemetry/grafana-dashboard.json')

const POLICY = `
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: pay, namespace: shop }
spec:
  endpoints: [{ name: Read, paths: [/read], methods: [GET] }, { name: Tried, paths: [/tried], methods: [GET], mode: Shadow }]
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: web, namespace: shop }
spec: { calls: [{ service: pay, endpoints: [Read] }] }
`

/** Of Prometheus itself. */
const ITS_OWN_METRICS: ReadonlySet<string> = new Set(['up'])
const ITS_OWN_LABELS: ReadonlySet<string> = new Set(['job', 'instance'])
/** Without a SPIFFE agent and revocation lists they have no samples here. */
const WITHOUT_SAMPLES: ReadonlySet<string> = new Set([
  'portcullis_own_svid_expiry_seconds',
  'portcullis_revocation_list_next_update_seconds',
])

function promtool(args: readonly string[], input?: string): { readonly ok: boolean; readonly said: string } {
  const binary = process.env['PROMTOOL_BIN']
  if (binary === undefined)
    throw new Error('PROMTOOL_BIN is not set: run `make test`, or scripts/setup-promtool.sh')
  const { status, stdout, stderr } = spawnSync(binary, args, { input, encoding: 'utf8', timeout: 30_000 })
  return { ok: status === 0, said: `${stdout}${stderr}` }
}

/** Names of metrics and labels that expressions of PromQL use. */
function usedBy(expressions: readonly string[]): ReadonlyMap<string, ReadonlySet<string>> {
  const used = new Map<string, Set<string>>()
  for (const expression of expressions) {
    const grouped = [...expression.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, labels = '']) =>
      labels.split(/,\s*/),
    )
    for (const [, metric = '', selector = ''] of expression.matchAll(
      /\b((?:portcullis|process)_[a-z_]+|up)\b(?:\{([^}]*)\})?/g,
    )) {
      const labels = used.get(metric) ?? new Set()
      for (const [, label = ''] of selector.matchAll(/([a-z_]+)\s*[=!]/g)) labels.add(label)
      for (const label of grouped) labels.add(label)
      used.set(metric, labels)
    }
  }
  return used
}

function expressionsOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(expressionsOf)
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) =>
    key === 'expr' && typeof inner === 'string' ? [inner] : expressionsOf(inner),
  )
}

const dashboard: ReturnType<typeof JSON.parse> = JSON.parse(readFileSync(DASHBOARD, 'utf8'))
const FILES = [
  { name: 'the alert rules', expressions: readFileSync(RULES, 'utf8').split(/^\s+- alert:/m) },
  { name: 'the dashboard', expressions: expressionsOf(dashboard) },
]

describe('promtool', () => {
  test('refuses rules that are none', () => {
    expect(promtool(['check', 'rules', DASHBOARD]).ok).toBe(false)
  })

  test('takes the alert rules', () => {
    const { ok, said } = promtool(['check', 'rules', RULES])
    expect(said).toMatch(/SUCCESS: \d+ rules found/)
    expect(ok).toBe(true)
  })

  test('sees the alert rules fire, and keep quiet, as their tests say', () => {
    const { ok, said } = promtool(['test', 'rules', join(REPOSITORY, 'telemetry/alerts.test.yaml')])
    expect([said.includes('FAILED'), ok]).toEqual([false, true])
  })
})

describe('a running Portcullis', () => {
  let portcullis: TestPortcullis
  let text = ''
  let keys: JwksServer

  beforeAll(async () => {
    keys = await JwksServer.start({ kind: 'serve', keys: [(await testKey('RS256', 'idp-1')).publicJwk] })
    const authority = createAuthority({ name: 'root' })
    const presented = authority.issueSvid({ spiffeId: 'spiffe://cluster.local/ns/portcullis/sa/portcullis' })
    portcullis = await startPortcullis(
      {
        'policy/shop.yaml': POLICY,
        'push.token': 'p'.repeat(40),
        'admin.token': anAdminToken(),
        'ca.pem': authority.certificatePem,
        'tls.pem': presented.chainPem,
        'tls.key': presented.keyPem,
      },
      {
        listeners: [
          {
            name: 'mesh',
            address: '127.0.0.1:0',
            peerIdentity: 'Principal',
            principalTrustDomains: ['cluster.local'],
          },
        ],
        trustDomains: { 'cluster.local': { bundle: { file: './ca.pem' } } },
        admin: {
          listen: '127.0.0.1:0',
          tls: { certificate: './tls.pem', key: './tls.key' },
          tokens: [{ name: 'ann', file: './admin.token', role: 'Admin' }],
        },
        telemetry: { traces: { endpoint: 'http://127.0.0.1:9/v1/traces' } },
        health: { listen: '127.0.0.1:0' },
        public: { listen: '127.0.0.1:0' },
        userTokens: {
          issuers: [
            { issuer: 'https://idp.example', audiences: ['shop'], jwksUri: keys.url, algorithms: ['RS256'] },
          ],
        },
        ssf: {
          transmitters: [
            {
              issuer: 'https://idp.example',
              audiences: ['https://portcullis.example'],
              jwksUri: keys.url,
              push: { tokenFile: './push.token' },
            },
          ],
        },
        audit: { sinks: [{ type: 'Stdout' }], detector: { enabled: true } },
      },
    )
    const web = { principal: 'spiffe://cluster.local/ns/shop/sa/web', service: 'shop/pay' }
    for (const path of ['/read', '/tried', '/other']) await portcullis.check({ ...web, path })
    text = await (await fetch(`http://${portcullis.running.health}/metrics`)).text()
  }, 30_000)
  afterAll(async () => {
    await portcullis.stop()
    await keys.close()
  })

  test('writes metrics in a format that promtool takes, without a complaint about names', () => {
    expect(promtool(['check', 'metrics'], text)).toEqual({ ok: true, said: '' })
  })

  test.each(FILES)('has every metric that $name asks for, with the labels', ({ expressions }) => {
    const described = new Map(
      Array.from(text.matchAll(/^# TYPE (\S+) (\S+)$/gm), ([, name = '', type = '']) => [name, type]),
    )
    const labelsOf = (metric: string): Set<string> =>
      new Set(
        [...text.matchAll(new RegExp(`^${metric}\\{(.*)\\} `, 'gm'))].flatMap(([, labels = '']) =>
          Array.from(labels.matchAll(/([a-z_]+)="/g), ([, label = '']) => label),
        ),
      )
    const problems: string[] = []
    const used = usedBy(expressions)
    expect(used.size).toBeGreaterThan(10)
    for (const [metric, labels] of used) {
      if (ITS_OWN_METRICS.has(metric)) continue
      if (!described.has(metric.replace(/_(?:bucket|sum|count)$/, '')) && !described.has(metric)) {
        problems.push(`no metric ${metric}`)
        continue
      }
      if (WITHOUT_SAMPLES.has(metric)) continue
      const known = labelsOf(metric)
      for (const label of labels) {
        if (!known.has(label) && !ITS_OWN_LABELS.has(label)) problems.push(`no label ${label} of ${metric}`)
      }
    }
    expect(problems).toEqual([])
  })

  test('has the counters that alerts grow from before anything is counted', () => {
    for (const reason of ['internal-error', 'state-unavailable', 'overloaded']) {
      expect(text).toMatch(
        new RegExp(`^portcullis_decisions_total\\{[^}]*reason="${reason}"[^}]*\\} 0$`, 'm'),
      )
    }
    expect(text).toMatch(/^portcullis_anomalies_total\{.*\} 0$/m)
  })
})

describe('the dashboard', () => {
  const panels: readonly ReturnType<typeof JSON.parse>[] = dashboard.panels

  test('has panels of its own ids that do not lie on each other', () => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, at) => `${x + (at % w)} ${y + Math.floor(at / w)}`),
    )
    expect(new Set(cells).size).toBe(cells.length)
    for (const { gridPos } of panels) expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24)
  })

  test('asks the data source that is chosen, for the job and the instance that are', () => {
    for (const { type, targets = [], datasource } of panels) {
      if (type === 'row') continue
      expect(datasource).toEqual({ type: 'prometheus', uid: '${datasource}' })
      expect(targets.length).toBeGreaterThan(0)
      for (const { expr } of targets) expect(expr).toContain('job=~"$job",instance=~"$instance"')
    }
    expect(dashboard.templating.list.map(({ name }: { name: string }) => name)).toEqual([
      'datasource',
      'job',
      'instance',
    ])
  })
})
