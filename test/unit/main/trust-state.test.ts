import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from '@jest/globals'
import { openFederation } from '../../../src/main/federated-bundles.js'
import { LiveAgent } from '../../../src/main/live-agent.js'
import type { Log } from '../../../src/main/log.js'
import { TrustState } from '../../../src/main/trust-state.js'
import { createAuthority } from '../../support/certificate-authority.js'
import { bundleDocument, FederationServer, webCertificate } from '../../support/federation-server.js'
import { WorkloadApiServer } from '../../support/workload-api-server.js'

const NOW_MS = Date.now()
const root = createAuthority({ name: 'root' })
const webRoot = createAuthority({ name: 'web root' })

const stops: (() => unknown)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop()
})

function newState() {
  const lines: string[] = []
  const log: Log = (level, message, fields) =>
    lines.push(`${level} ${message}: ${String(fields?.['problem'])}`)
  return { state: new TrustState(['td'], log, () => NOW_MS), lines, log }
}

describe('a federated bundle', () => {
  async function setUp() {
    const directory = await mkdtemp(join(tmpdir(), 'federated-'))
    stops.push(() => rm(directory, { recursive: true }))
    const caFile = join(directory, 'web.pem')
    await writeFile(caFile, webRoot.certificatePem)
    const server = await FederationServer.start(webCertificate(webRoot), { kind: 'hang' })
    stops.push(() => server.stop())
    const { state, lines } = newState()
    return {
      state,
      lines,
      /** One fetch of this document. */
      fetch: async (text: string) => {
        server.behaviour = { kind: 'serve', text }
        const source = { kind: 'HttpsWeb', url: server.url, caFile } as const
        const surroundings = { state, nowMs: () => NOW_MS, refusal: () => undefined }
        const endpoint = await openFederation('td', source, surroundings)
        await endpoint.start()
        endpoint.close()
        return { problem: endpoint.health.problem, sequence: state.bundles.get('td')?.sequence }
      },
    }
  }

  test('is refused where its sequence is older, and the one in force stays', async () => {
    const { fetch, state, lines } = await setUp()
    expect(await fetch(bundleDocument([root], { sequence: 5 }))).toEqual({ problem: undefined, sequence: 5 })
    const { generation } = state.bundles
    expect(await fetch(bundleDocument([webRoot], { sequence: 4 }))).toEqual({
      problem: 'its spiffe_sequence 4 is older, and 5 is in force',
      sequence: 5,
    })
    expect(state.bundles.generation).toBe(generation)
    expect(lines).toEqual([
      expect.stringMatching(
        /^warn trust bundle not renewed, the old one stays: https:.* its spiffe_sequence 4/,
      ),
    ])
    expect(state.health).toEqual([
      expect.objectContaining({ trustDomain: 'td', sequence: 5, anchors: 1, lastSuccessMs: NOW_MS }),
    ])
  })

  test('is taken with the same and with a newer sequence', async () => {
    const { fetch, state } = await setUp()
    await fetch(bundleDocument([root], { sequence: 5 }))
    expect(await fetch(bundleDocument([webRoot], { sequence: 5 }))).toEqual({
      problem: undefined,
      sequence: 5,
    })
    expect(await fetch(bundleDocument([root], { sequence: 6 }))).toEqual({ problem: undefined, sequence: 6 })
    expect(state.health[0]?.problem).toBeUndefined()
  })

  test('with no keys believes nobody from then on', async () => {
    const { fetch, state } = await setUp()
    await fetch(bundleDocument([root], { sequence: 5 }))
    await fetch(bundleDocument([], { sequence: 6 }))
    expect(state.bundles.get('td')?.anchors).toEqual([])
  })
})

test('a problem is told once, however often it comes back', () => {
  const { state, lines } = newState()
  state.fail('td', 'away')
  state.fail('td', 'away')
  state.fail('td', 'denied')
  expect(lines).toEqual([
    'warn no trust bundle yet, the trust domain is not trusted: away',
    'warn no trust bundle yet, the trust domain is not trusted: denied',
  ])
})

test('an agent without an SVID is waited for, but not for ever', async () => {
  const server = await WorkloadApiServer.start({})
  stops.push(() => server.stop())
  const { state, log } = newState()
  const target = `unix:${server.path}`
  const agent = new LiveAgent({ target, trustDomains: ['td'], jwt: false, state, log, nowMs: () => NOW_MS })
  stops.push(() => agent.close())
  expect(await agent.identity(100)).toBeUndefined()
  expect(agent.health).toEqual({
    target,
    problem: 'the SPIFFE agent gives this process no SVID',
    svid: undefined,
  })
})
