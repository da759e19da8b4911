import { describe, expect, test } from '@jest/globals'
import { stringify } from 'yaml'
import { loadConfig } from '../../../src/config/load.js'
import { formatProblem } from '../../../src/schema/problem.js'

const load = (sections: object, env: Record<string, string> = {}) =>
  loadConfig({
    file: '/etc/portcullis/portcullis.yaml',
    text: stringify({
      apiVersion: 'portcullis.dev/v1beta1',
      kind: 'Configuration',
      listeners: [{ name: 'mesh', address: '127.0.0.1:0', peerIdentity: 'None' }],
      ...sections,
    }),
    env,
    flags: {},
  })
const ENDPOINT = 'https://otel.example:4318/v1/traces'

describe('refused', () => {
  test.each<{ name: string; sections: object; says: string }>([
    { name: 'a level that is none', sections: { log: { level: 'debug' } }, says: '`Debug`' },
    {
      name: 'an address without TLS',
      sections: { telemetry: { traces: { endpoint: 'http://otel.example/v1/traces' } } },
      says: 'must be https',
    },
    {
      name: 'a secret in an address',
      sections: { telemetry: { metrics: { endpoint: 'https://a:hunter2@otel.example/' } } },
      says: 'must not hold a user name or password',
    },
    {
      name: 'a ratio without a collector',
      sections: { telemetry: { traces: { sampleRatio: 0.5 } } },
      says: '`sampleRatio` says nothing without `endpoint`',
    },
    {
      name: 'headers without a collector',
      sections: { telemetry: { metrics: { headersFile: 'h' } } },
      says: '`headersFile` says nothing without `endpoint`',
    },
    {
      name: 'a ratio above 1',
      sections: { telemetry: { traces: { endpoint: ENDPOINT, sampleRatio: 1.5 } } },
      says: 'sampleRatio',
    },
    {
      name: 'an interval that is none',
      sections: { telemetry: { traces: { endpoint: ENDPOINT, interval: '0s' } } },
      says: 'must be from 10ms to 1h',
    },
  ])('$name', ({ sections, says }) => {
    const loaded = load(sections)
    const problems = 'problems' in loaded ? loaded.problems.map(formatProblem) : []
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain(says)
    expect(problems[0]).not.toContain('hunter2')
  })
})

test('everything given', () => {
  const loaded = load(
    {
      log: { level: 'Warn' },
      telemetry: {
        metrics: { endpoint: 'http://127.0.0.1:4318/v1/metrics', interval: '15s', maxServicePairs: 0 },
        traces: { endpoint: ENDPOINT, headersFile: 'otel.headers', caFile: '/ca.pem', timeout: '2s' },
      },
    },
    { PORTCULLIS__TELEMETRY__TRACES__SAMPLERATIO: '0.25' },
  )
  if ('problems' in loaded) throw new Error(loaded.problems.map(formatProblem).join())
  expect(loaded.config.log).toEqual({ level: 'warn' })
  expect(loaded.config.telemetry).toEqual({
    metrics: {
      maxServicePairs: 0,
      collector: {
        endpoint: 'http://127.0.0.1:4318/v1/metrics',
        headersFile: undefined,
        caFile: undefined,
        timeoutMs: 10_000,
        intervalMs: 15_000,
      },
    },
    traces: {
      collector: {
        endpoint: ENDPOINT,
        headersFile: '/etc/portcullis/otel.headers',
        caFile: '/ca.pem',
        timeoutMs: 2000,
        intervalMs: 1000,
      },
      sampleRatio: 0.25,
      buffer: 2048,
    },
  })
})
