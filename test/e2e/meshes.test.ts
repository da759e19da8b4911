import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import {
  type IdentityProvider,
  startIdentityProvider,
  USER_TOKEN_ISSUER,
} from '../../demo/identity-provider.js'
import { spiffeIdOf } from '../../demo/pki.js'
import { PEOPLE } from '../../demo/tokens.js'
import type { TestPortcullis } from '../support/portcullis.js'
import { envoyGateway } from './support/gateway-like.js'
import { istioSidecar } from './support/istio-like.js'
import type { LoadedEnvoy } from './support/loaded-envoy.js'
import {
  callThrough,
  findingsOf,
  HIDDEN,
  listenerOf,
  type MeshScene,
  startMeshScene,
  WEB_HOST,
} from './support/mesh-scene.js'

const PORTCULLIS = 'portcullis-system/portcullis'
const GATEWAY = 'edge/gateway'
const forged = (workload: string): string => `Hash=${'0'.repeat(64)};URI=${spiffeIdOf(workload)}`

let scene: MeshScene
let identityProvider: IdentityProvider

beforeAll(async () => {
  scene = await startMeshScene()
  identityProvider = await startIdentityProvider()
}, 120_000)

afterAll(async () => {
  await scene.stop()
  await identityProvider.close()
})

describe('the sidecar of payment-service as k8s/overlays/istio makes it', () => {
  let portcullis: TestPortcullis
  let sidecar: LoadedEnvoy
  let withoutFilter: LoadedEnvoy

  beforeAll(async () => {
    portcullis = await scene.portcullis('base', scene.pki.svid(PORTCULLIS))
    const parts = {
      portcullis: listenerOf(portcullis, 'mesh'),
      application: scene.application,
      identity: scene.lay('payment-service', scene.pki.svid('shop/payment-service')),
    }
    ;[sidecar, withoutFilter] = await Promise.all([
      scene.run('istio', istioSidecar(parts)),
      scene.run('istio-without-filter', istioSidecar({ ...parts, patched: false })),
    ])
  }, 60_000)

  afterAll(() => portcullis.stop())

  const call = async (
    { from, path, headers }: { from: string | undefined; path: string; headers?: Record<string, string> },
    through = sidecar,
  ) => {
    const server = {
      ca: scene.pki.bundlePem,
      serverName: 'payment-service',
      serverId: spiffeIdOf('shop/payment-service'),
    }
    const svid = from === undefined ? undefined : scene.pki.svid(from)
    const { status, reason = '', echo } = await callThrough(through, server, { path, headers, from: svid })
    return { answer: `${status} ${reason}`.trim(), echo }
  }
  const PAYMENT = '/api/payments/9'

  test.each([
    { name: 'nobody', from: undefined, path: PAYMENT, answer: /^tls: / },
    {
      name: 'a caller without a rule',
      from: 'shop/checkout-service',
      path: PAYMENT,
      answer: '403 call-not-allowed',
    },
    {
      name: 'a caller that nobody knows',
      from: 'shop/stranger',
      path: PAYMENT,
      answer: '403 caller-unknown',
    },
    {
      name: 'who writes another name into x-forwarded-client-cert',
      from: 'shop/stranger',
      path: PAYMENT,
      headers: { 'x-forwarded-client-cert': forged('shop/order-service') },
      answer: '403 caller-unknown',
    },
    { name: 'below a probe', from: 'shop/stranger', path: '/healthz/', answer: '403 endpoint-not-exposed' },
    {
      name: 'past a probe',
      from: 'shop/stranger',
      path: `/healthz/..${PAYMENT}`,
      answer: '403 ambiguous-request',
    },
    {
      name: 'beside a probe',
      from: 'shop/order-service',
      path: '//healthz',
      answer: '403 ambiguous-request',
    },
  ])('refuses $name', async ({ answer, ...refused }) => {
    const made = await call(refused)
    expect(made).toEqual({ answer: expect.stringMatching(answer), echo: undefined })
  })

  test('without the EnvoyFilter the certificate is missing', async () => {
    expect(await call({ from: 'shop/order-service', path: PAYMENT }, withoutFilter)).toEqual({
      answer: '401 certificate-required',
      echo: undefined,
    })
    expect(await findingsOf(withoutFilter)).toContainEqual(expect.stringContaining('error peer-certificate'))
  })

  test.each([
    { name: 'whom a rule lets in', from: 'shop/order-service' },
    { name: 'whose intermediate only the handshake shows', from: HIDDEN },
  ])('allows a caller $name, by its certificate', async ({ from }) => {
    const { answer, echo } = await call({ from, path: PAYMENT })
    expect({ answer, path: echo?.path }).toEqual({ answer: '200', path: PAYMENT })
    // The listener takes nothing but a verified certificate for a caller's identity.
    expect(portcullis.events().at(-1)).toMatchObject({
      decision: 'allow',
      workloadId: spiffeIdOf(from),
      targetService: 'shop/payment-service',
    })
  })

  test.each(['/healthz', '/readyz', '/readyz?verbose'])('lets %s pass without a question', async (path) => {
    const before = portcullis.events().length
    expect(await call({ from: 'shop/stranger', path })).toMatchObject({ answer: '200', echo: { path } })
    expect(portcullis.events()).toHaveLength(before)
  })

  test('doctor finds only what is so on purpose, or what Istio leaves nobody to set', async () => {
    expect(await findingsOf(sidecar)).toEqual([
      // So CUSTOM policies work. What they leave out are the probes above.
      'warning can-be-off: filter_enabled_metadata decides which calls are asked about',
      // istiod takes replicas away that Kubernetes calls unready.
      'warning health-check: Envoy does not check the health of Portcullis',
      expect.stringContaining('warning panic-threshold: '),
      expect.stringContaining('warning session-resumption: '),
    ])
  })

  test('refuses while Portcullis is away', async () => {
    await portcullis.stop()
    expect(await call({ from: 'shop/order-service', path: PAYMENT })).toEqual({
      answer: '503',
      echo: undefined,
    })
    expect(await call({ from: 'shop/stranger', path: '/healthz' })).toMatchObject({ answer: '200' })
  })
})

describe('the proxy as k8s/overlays/envoy-gateway makes it', () => {
  let portcullis: TestPortcullis
  let gateway: LoadedEnvoy
  let alice: Record<string, string>
  const trusted = () => ({
    userTokens: {
      issuers: [
        {
          issuer: USER_TOKEN_ISSUER,
          audiences: ['shop'],
          jwksUri: identityProvider.jwksUri,
          algorithms: ['RS256'],
        },
      ],
    },
  })
  /** The kustomization says which DNS name the certificate needs. */
  const ownSvid = () => scene.pki.renewedSvid(PORTCULLIS, ['portcullis.portcullis-system.svc'])
  const gatewaySvid = () => scene.lay('gateway', scene.pki.svid('envoy-gateway-system/envoy-gateway'))

  beforeAll(async () => {
    alice = { authorization: `Bearer ${await identityProvider.userToken(PEOPLE.alice)}` }
    portcullis = await scene.portcullis('overlays/envoy-gateway', ownSvid(), trusted)
    const { certificate, key } = scene.lay('web', scene.pki.web)
    gateway = await scene.run(
      'gateway',
      envoyGateway({
        portcullis: listenerOf(portcullis, 'edge'),
        backend: scene.orderService,
        web: { certificate, key },
        own: gatewaySvid(),
      }),
    )
  }, 60_000)

  afterAll(() => portcullis.stop())

  const call = async (
    path: string,
    headers: Record<string, string>,
    { through = gateway, from }: { through?: LoadedEnvoy; from?: ReturnType<MeshScene['pki']['svid']> } = {},
  ) => {
    const server = { ca: scene.pki.web.rootPem, serverName: WEB_HOST }
    const { status, reason = '', echo } = await callThrough(through, server, { path, headers, from })
    return { answer: `${status} ${reason}`.trim(), echo }
  }
  const ORDERS = '/api/orders'

  test.each([
    { name: 'nobody', path: ORDERS, headers: {}, answer: '401 no-credentials' },
    {
      name: 'a name in x-forwarded-client-cert that the client wrote',
      path: ORDERS,
      headers: { 'x-forwarded-client-cert': forged(GATEWAY) },
      answer: '401 no-credentials',
    },
    { name: 'a token that nobody signed', path: ORDERS, headers: { authorization: 'Bearer e30.e30.' } },
    { name: 'an empty segment', path: `${ORDERS}//7`, headers: 'alice', answer: '403 ambiguous-request' },
    { name: 'an escaped slash', path: `${ORDERS}/a%2F7`, headers: 'alice', answer: '403 ambiguous-request' },
    { name: 'an underscore', path: ORDERS, headers: { x_user_id: 'alice' }, answer: '400' },
    { name: 'a path of no route', path: '/api/elsewhere', headers: 'alice', answer: '404' },
  ])('refuses $name', async ({ path, headers, answer = /^401 user-token-/ }) => {
    const before = portcullis.events().length
    const made = await call(path, typeof headers === 'string' ? alice : { ...headers })
    expect(made).toEqual({ answer: expect.stringMatching(answer), echo: undefined })
    const [event] = portcullis.events().slice(before)
    // What Envoy refused by itself was not asked about; all else came as it was written.
    expect(event?.['requestPath']).toBe(/^40[04]$/.test(made.answer) ? undefined : path)
  })

  test('allows a user by token, and takes away what the client says of certificates', async () => {
    const { answer, echo } = await call(ORDERS, { ...alice, 'x-forwarded-client-cert': forged(GATEWAY) })
    expect(answer).toBe('200')
    expect(echo?.headers).toMatchObject({
      'x-user-id': 'alice',
      'x-peer': `URI:${spiffeIdOf('envoy-gateway-system/envoy-gateway')}`,
    })
    expect(echo?.headers).not.toHaveProperty('x-forwarded-client-cert')
    expect(portcullis.events().at(-1)).toMatchObject({
      decision: 'allow',
      userId: 'alice',
      targetService: 'shop/order-service',
    })
    expect(portcullis.events().at(-1)).not.toHaveProperty('workloadId')
  })

  test('the path decided on is the one that the application gets', async () => {
    const { answer, echo } = await call(`${ORDERS}/x/../../orders`, alice)
    expect({ answer, path: echo?.path }).toEqual({ answer: '200', path: ORDERS })
    expect(portcullis.events().at(-1)).toMatchObject({ requestPath: ORDERS })
  })

  test('doctor finds only what is so on purpose', async () => {
    expect(await findingsOf(gateway)).toEqual([
      // Envoy Gateway takes replicas away that Kubernetes calls unready.
      'warning health-check: Envoy does not check the health of Portcullis',
      expect.stringContaining('warning panic-threshold: '),
      // It always normalises; the slashes that it keeps are for Portcullis to refuse.
      'warning path-normalisation: normalize_path is true and merge_slashes is not',
    ])
  })

  describe('with workloads from outside, on a listener with peerIdentity Principal', () => {
    let outside: TestPortcullis
    let through: LoadedEnvoy

    beforeAll(async () => {
      outside = await scene.portcullis('overlays/envoy-gateway', ownSvid(), ({ listeners }) => ({
        ...trusted(),
        listeners: listeners.map((each) =>
          each['name'] === 'edge'
            ? { ...each, peerIdentity: 'Principal', principalTrustDomains: ['cluster.local'] }
            : each,
        ),
      }))
      through = await scene.run(
        'gateway-outside',
        envoyGateway({
          portcullis: listenerOf(outside, 'edge'),
          backend: scene.orderService,
          web: scene.lay('web-outside', scene.pki.web),
          own: gatewaySvid(),
        }),
      )
    }, 60_000)

    afterAll(() => outside.stop())

    test.each([
      { name: 'no certificate', workload: undefined, answer: '401 certificate-required' },
      {
        name: 'one of a caller without a rule',
        workload: 'shop/email-service',
        answer: '403 call-not-allowed',
      },
    ])('refuses $name, whatever x-forwarded-client-cert says', async ({ workload, answer }) => {
      const from = workload === undefined ? {} : { from: scene.pki.svid(workload) }
      const headers = { ...alice, 'x-forwarded-client-cert': forged(GATEWAY) }
      expect(await call(ORDERS, headers, { through, ...from })).toEqual({ answer, echo: undefined })
    })

    test('doctor says what the certificates are taken on trust for', async () => {
      const found = (await findingsOf(through)).map((finding) => finding.replace(/:.*/, ''))
      expect(found).toEqual([
        'error client-certificate',
        'error peer-certificate',
        'warning health-check',
        'warning open-streams',
        'warning panic-threshold',
        'warning path-normalisation',
      ])
    })

    test('refuses a certificate of a root that nobody trusts', async () => {
      const { answer } = await call(ORDERS, alice, { through, from: scene.pki.foreignSvid(GATEWAY) })
      expect(answer).toMatch(/^tls: /)
    })

    test('allows a workload and a user together', async () => {
      const headers = { ...alice, 'x-forwarded-client-cert': forged('shop/email-service') }
      const { answer, echo } = await call(ORDERS, headers, { through, from: scene.pki.svid(GATEWAY) })
      expect(answer).toBe('200')
      const forwarded = String(echo?.headers['x-forwarded-client-cert'])
      expect(forwarded).toMatch(/^Hash=[0-9a-f]{64};Chain="[^"]+";URI=[^;,]+$/)
      expect(forwarded).toContain(`URI=${spiffeIdOf(GATEWAY)}`)
      expect(outside.events().at(-1)).toMatchObject({ userId: 'alice', workloadId: spiffeIdOf(GATEWAY) })
    })
  })

  test('refuses while Portcullis is away', async () => {
    await portcullis.stop()
    expect(await call(ORDERS, alice)).toEqual({ answer: '403', echo: undefined })
  })
})
