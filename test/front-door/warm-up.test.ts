import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { createAuthority } from '../support/certificate-authority.js'
import { startPortcullis, type TestPortcullis } from '../support/portcullis.js'
import { POLICY } from './door.js'

/** What Portcullis decided for itself before it was ready is seen nowhere. */
const NO_SERVICE = `
apiVersion: portcullis.dev/v1beta1
kind: BaselinePolicy
metadata: { name: default }
spec: { defaults: { mode: Enforce, require: Workload } }
`
const running: TestPortcullis[] = []

beforeAll(async () => {
  for (const policy of [POLICY, NO_SERVICE]) {
    const files = { 'policy/shop.yaml': policy, 'ca.pem': createAuthority({ name: 'root' }).certificatePem }
    running.push(
      await startPortcullis(files, {
        trustDomains: { 'cluster.local': { bundle: { file: './ca.pem' } } },
        health: { listen: '127.0.0.1:0' },
        log: { level: 'Debug' },
      }),
    )
  }
}, 30_000)
afterAll(() => Promise.all(running.map((one) => one.stop())))

test('it was warmed up as far as there are services, and there is no event', () => {
  const [warm, without] = running.map((one) => one.output())
  expect(warm?.log).toMatch(/"message":"warmed up","decided":[1-9]/)
  expect(without?.log).toMatch(/"message":"warmed up","decided":0,/)
  expect(warm?.events).toBe('')
})

test('figures of decisions, credentials and state are those of one that decided nothing', async () => {
  const [warm, without] = await Promise.all(
    running.map(async ({ running: { health } }) => {
      const text = await (await fetch(`http://${health}/metrics`)).text()
      return text
        .split('\n')
        .filter((line) => /^portcullis_\w*(decision|check|state|cache|credential|alert)/.test(line))
    }),
  )
  expect(warm?.length).toBeGreaterThan(20)
  expect(warm).toEqual(without)
})
