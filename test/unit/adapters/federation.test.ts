import { afterEach, describe, expect, test } from '@jest/globals'
import { type EndpointProfile, FederationEndpoint } from '../../../src/adapters/federation.js'
import { createAuthority } from '../../support/certificate-authority.js'
import { eventually } from '../../support/eventually.js'
import {
  type FederationBehaviour,
  FederationServer,
  webCertificate,
} from '../../support/federation-server.js'

const webRoot = createAuthority({ name: 'web root' })
const web = webCertificate(webRoot)
const WEB: EndpointProfile = { kind: 'HttpsWeb', ca: webRoot.certificatePem }
const SERVE: FederationBehaviour = { kind: 'serve', text: 'one' }

const open: { close(): void }[] = []
const servers: FederationServer[] = []
afterEach(async () => {
  for (const each of open.splice(0)) each.close()
  for (const each of servers.splice(0)) await each.stop()
})

async function serve(behaviour: FederationBehaviour, certificate = web): Promise<FederationServer> {
  const server = await FederationServer.start(certificate, behaviour)
  servers.push(server)
  return server
}

function endpointAt(
  url: string,
  profile: EndpointProfile = WEB,
  more: { readonly hint?: number; readonly refuse?: string; readonly maxBytes?: number } = {},
) {
  const taken: string[] = []
  const failures: string[] = []
  const endpoint = new FederationEndpoint({
    url,
    profile,
    accept: (text) => {
      if (more.refuse !== undefined) return { ok: false, problem: more.refuse }
      taken.push(text)
      return { ok: true, refreshHintSeconds: more.hint }
    },
    failed: (problem) => failures.push(problem),
    now: () => 1000,
    timeoutMs: 300,
    maxBytes: more.maxBytes ?? 1024,
    refreshMs: { least: 30, most: 60, byDefault: 40 },
  })
  open.push(endpoint)
  return { endpoint, taken, failures }
}

describe('FederationEndpoint refuses', () => {
  test.each<[string, FederationBehaviour, RegExp]>([
    ['another status', { kind: 'status', status: 500 }, /^answered 500$/],
    ['no content', { kind: 'status', status: 204 }, /^answered 204$/],
    ['another type', { kind: 'serve', text: '{}', contentType: 'text/html' }, /^did not answer JSON$/],
    ['too much', { kind: 'serve', text: 'x'.repeat(1025) }, /^answered more than 1024 bytes$/],
    ['silence', { kind: 'hang' }, /^no answer within 300 ms$/],
    ['drops of an answer', { kind: 'drip' }, /^no answer within 300 ms$/],
    ['a broken connection', { kind: 'break' }, /^not reachable: /],
  ])('%s', async (_name, behaviour, says) => {
    const { endpoint, taken, failures } = endpointAt((await serve(behaviour)).url)
    await endpoint.start()
    expect(failures[0]).toMatch(says)
    expect(endpoint.health).toEqual({ lastSuccessMs: undefined, problem: failures[0] })
    expect(taken).toEqual([])
  })

  test('a redirect, and goes nowhere', async () => {
    const inside = await serve(SERVE)
    const server = await serve({ kind: 'redirect', location: inside.url })
    const { endpoint, failures } = endpointAt(server.url)
    await endpoint.start()
    expect(failures).toEqual(['answered 302'])
    expect(inside.requests).toBe(0)
  })

  test('a web certificate of a root that nobody trusts', async () => {
    const server = await serve(SERVE, webCertificate(createAuthority({ name: 'evil' })))
    const { endpoint, failures } = endpointAt(server.url)
    await endpoint.start()
    expect(failures[0]).toMatch(/^not reachable: UNABLE_TO_VERIFY_LEAF_SIGNATURE|^not reachable: /)
    expect(server.requests).toBe(0)
  })

  test('a web certificate for another host', async () => {
    const server = await serve(SERVE)
    const { endpoint, failures } = endpointAt(server.url.replace('127.0.0.1', 'localhost'))
    await endpoint.start()
    expect(failures).toEqual(['not reachable: ERR_TLS_CERT_ALTNAME_INVALID'])
    expect(server.requests).toBe(0)
  })

  test('a server whose SVID is refused, before anything is sent', async () => {
    const server = await serve(SERVE)
    const profile: EndpointProfile = { kind: 'HttpsSpiffe', verify: () => Promise.resolve('not the one') }
    const { endpoint, failures } = endpointAt(server.url, profile)
    await endpoint.start()
    expect(failures).toEqual(["the endpoint's certificate: not the one"])
    expect(server.requests).toBe(0)
  })

  test('nobody there', async () => {
    const { endpoint, failures } = endpointAt('https://127.0.0.1:1/bundle')
    await endpoint.start()
    expect(failures).toEqual(['not reachable: ECONNREFUSED'])
  })

  test('what its taker refuses', async () => {
    const { endpoint, failures } = endpointAt((await serve(SERVE)).url, WEB, { refuse: 'too old' })
    await endpoint.start()
    expect(failures).toEqual(['too old'])
  })
})

describe('FederationEndpoint takes', () => {
  test('a document, and comes again', async () => {
    const server = await serve(SERVE)
    const { endpoint, taken } = endpointAt(server.url)
    await endpoint.start()
    expect(taken).toEqual(['one'])
    expect(endpoint.health).toEqual({ lastSuccessMs: 1000, problem: undefined })
    server.behaviour = { kind: 'serve', text: 'two', contentType: 'application/spiffe+json; charset=utf-8' }
    await eventually(() => expect(taken).toContain('two'))
  })

  test.each([
    ['a hint below the bounds', 0.001, 30],
    ['no hint', undefined, 40],
    ['a hint of nothing', 0, 40],
    ['a hint above the bounds', 3600, 60],
  ])('%s as the least wait it means', async (_name, hint, leastMs) => {
    const server = await serve(SERVE)
    const { endpoint, taken } = endpointAt(server.url, WEB, hint === undefined ? {} : { hint })
    await endpoint.start()
    const startedMs = performance.now()
    await eventually(() => expect(taken).toHaveLength(2))
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(leastMs - 2)
  })

  test('a document after failures; a failure after it changes nothing but health', async () => {
    const server = await serve({ kind: 'status', status: 503 })
    const { endpoint, taken, failures } = endpointAt(server.url)
    await endpoint.start()
    server.behaviour = SERVE
    await eventually(() => expect(taken).toContain('one'))
    const before = failures.length
    server.behaviour = { kind: 'status', status: 503 }
    await eventually(() => expect(failures.length).toBeGreaterThan(before))
    expect(endpoint.health).toEqual({ lastSuccessMs: 1000, problem: 'answered 503' })
  })

  test('the chain that an SVID server sends, leaf first', async () => {
    const root = createAuthority({ name: 'root' })
    const intermediate = createAuthority({ name: 'intermediate', intermediateOf: root })
    const svid = intermediate.issueSvid({ spiffeId: 'spiffe://td/endpoint' })
    const server = await serve(SERVE, svid)
    const seen: (readonly Buffer[])[] = []
    const verify = (chain: readonly Buffer[]): Promise<undefined> => {
      seen.push(chain)
      return Promise.resolve(undefined)
    }
    const { endpoint, taken } = endpointAt(server.url, { kind: 'HttpsSpiffe', verify })
    await endpoint.start()
    expect(taken).toEqual(['one'])
    expect(seen[0]?.map((der) => der.toString('base64'))).toEqual(
      [svid.certificateDer, intermediate.certificateDer].map((der) => der.toString('base64')),
    )
  })

  test('nothing after close', async () => {
    const server = await serve(SERVE)
    const { endpoint, taken, failures } = endpointAt(server.url)
    await endpoint.start()
    endpoint.close()
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(taken).toHaveLength(1)
    expect(failures).toEqual([])
  })
})
