import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2'
import { afterEach, describe, expect, test } from '@jest/globals'
import * as grpc from '@grpc/grpc-js'
import { type Authority, createAuthority, type Issued } from '../support/certificate-authority.js'
import { AUTHORIZATION, decodeReply, encodeCheck } from '../support/envoy-wire.js'
import { eventually } from '../support/eventually.js'
import { startPortcullis, type TestPortcullis } from '../support/portcullis.js'
import { servedSvid, WorkloadApiServer } from '../support/workload-api-server.js'
import { POLICY } from './door.js'

const SELF = 'spiffe://cluster.local/ns/portcullis/sa/portcullis'
const ENVOY = 'spiffe://cluster.local/ns/shop/sa/pay'

const stops: (() => unknown)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop()
})

const root = createAuthority({ name: 'root', trustDomain: 'cluster.local' })
const stateOf = (issuer: Authority, roots: readonly Authority[] = [issuer]) => {
  const own = issuer.issueSvid({ spiffeId: SELF })
  return { own, state: { svids: [servedSvid(SELF, own, roots)] } }
}

async function open(
  x509: Parameters<typeof WorkloadApiServer.start>[0],
  allowedClients?: readonly string[],
): Promise<{ agent: WorkloadApiServer; portcullis: TestPortcullis }> {
  const agent = await WorkloadApiServer.start(x509)
  stops.push(() => agent.stop())
  const portcullis = await startPortcullis(
    { 'policy/shop.yaml': POLICY },
    {
      listeners: [
        {
          name: 'mesh',
          address: '127.0.0.1:0',
          tls: { workloadApi: agent.address, ...(allowedClients ? { allowedClients } : {}) },
        },
      ],
      trustDomains: { 'cluster.local': { bundle: { workloadApi: agent.address } } },
    },
  )
  stops.push(() => portcullis.stop())
  return { agent, portcullis }
}

function client(portcullis: TestPortcullis, roots: string, certificate?: Issued): grpc.Client {
  const credentials = grpc.credentials.createSsl(
    Buffer.from(roots),
    certificate ? Buffer.from(certificate.keyPem) : null,
    certificate ? Buffer.from(certificate.chainPem) : null,
    // An SVID has no host name.
    { checkServerIdentity: () => undefined },
  )
  const opened = new grpc.Client(portcullis.running.listeners[0]?.address ?? '', credentials)
  stops.push(() => opened.close())
  return opened
}

/** The reason of the answer, or the gRPC status of a call that got none. */
function ask(from: grpc.Client): Promise<string> {
  return new Promise((resolve) => {
    from.makeUnaryRequest(
      AUTHORIZATION.path,
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => bytes,
      encodeCheck({ destinationPrincipal: ENVOY, path: '/api/payments/7' }),
      { deadline: Date.now() + 3000 },
      (error, reply) => {
        if (error) return resolve(grpc.status[error.code] ?? 'no status')
        const { status, denied_response: denied } = decodeReply(reply ?? Buffer.alloc(0))
        const header = denied?.headers?.find(({ header: { key } }) => key === 'x-portcullis-reason')
        resolve(status?.code === 0 ? 'allowed' : (header?.header.value ?? 'denied'))
      },
    )
  })
}

/** SHA-256 of what the listener presents on a new connection. */
async function presented(portcullis: TestPortcullis, issued: Issued): Promise<string> {
  const session: ClientHttp2Session = connectHttp2(`https://${portcullis.running.listeners[0]?.address}`, {
    rejectUnauthorized: false,
    key: issued.keyPem,
    cert: issued.chainPem,
  })
  try {
    return await new Promise((resolve, reject) => {
      session.on('error', reject)
      session.on('connect', (_session, socket) => {
        const fingerprint = 'getPeerCertificate' in socket ? socket.getPeerCertificate().fingerprint256 : ''
        resolve(fingerprint.replaceAll(':', '').toLowerCase())
      })
    })
  } finally {
    session.destroy()
  }
}

describe("a listener with the agent's SVID refuses", () => {
  const envoy = root.issueSvid({ spiffeId: ENVOY })

  test.each([
    ['clients without a certificate', undefined, undefined, 'UNAVAILABLE'],
    [
      'clients of another root',
      undefined,
      createAuthority({ name: 'evil' }).issueSvid({ spiffeId: ENVOY }),
      'UNAVAILABLE',
    ],
    [
      "clients of another trust domain, though this one's root signed",
      undefined,
      root.issueSvid({ spiffeId: 'spiffe://other.example/ns/shop/sa/pay' }),
      'PERMISSION_DENIED',
    ],
    [
      'clients that are not among those allowed',
      ['spiffe://cluster.local/ns/edge/sa/*'],
      envoy,
      'PERMISSION_DENIED',
    ],
  ])('%s', async (_name, allowedClients, certificate, code) => {
    const { portcullis } = await open(stateOf(root).state, allowedClients)
    expect(await ask(client(portcullis, root.certificatePem, certificate))).toBe(code)
  })

  test.each([
    ['stops asking', grpc.status.INVALID_ARGUMENT],
    ['does not know the method', grpc.status.UNIMPLEMENTED],
  ])('to start where the agent %s', async (_name, code) => {
    const agent = await WorkloadApiServer.start()
    stops.push(() => agent.stop())
    agent.denial = { code, details: 'no' }
    const starting = startPortcullis(
      { 'policy/shop.yaml': POLICY },
      {
        listeners: [{ name: 'mesh', address: '127.0.0.1:0', tls: { workloadApi: agent.address } }],
        trustDomains: { 'cluster.local': { bundle: { workloadApi: agent.address } } },
      },
    )
    await expect(starting).rejects.toThrow(/^listener mesh: no SVID from the SPIFFE agent unix:/)
  })
})

describe("a listener with the agent's SVID", () => {
  test('answers clients of its trust domain', async () => {
    const { portcullis } = await open(stateOf(root).state, ['spiffe://cluster.local/ns/shop/sa/*'])
    const envoy = client(portcullis, root.certificatePem, root.issueSvid({ spiffeId: ENVOY }))
    expect(await ask(envoy)).toBe('certificate-required')
  })

  test('shows each new one without ending connections', async () => {
    const before = stateOf(root)
    const { agent, portcullis } = await open(before.state)
    const envoy = root.issueSvid({ spiffeId: ENVOY })
    const old = client(portcullis, root.certificatePem, envoy)
    expect(await ask(old)).toBe('certificate-required')
    expect(await presented(portcullis, envoy)).toBe(before.own.sha256Hex)
    const after = stateOf(root)
    agent.pushX509(after.state)
    await eventually(async () => expect(await presented(portcullis, envoy)).toBe(after.own.sha256Hex))
    expect(old.getChannel().getConnectivityState(false)).toBe(grpc.connectivityState.READY)
    expect(await ask(old)).toBe('certificate-required')
  })

  test('takes clients of the new roots alone once the bundle has changed', async () => {
    const next = createAuthority({ name: 'next root', trustDomain: 'cluster.local' })
    const { agent, portcullis } = await open(stateOf(root).state)
    const oldEnvoy = root.issueSvid({ spiffeId: ENVOY })
    const newEnvoy = next.issueSvid({ spiffeId: ENVOY })
    expect(await ask(client(portcullis, root.certificatePem, oldEnvoy))).toBe('certificate-required')
    expect(await ask(client(portcullis, root.certificatePem, newEnvoy))).toBe('UNAVAILABLE')
    const after = stateOf(next)
    agent.pushX509(after.state)
    await eventually(async () => expect(await presented(portcullis, newEnvoy)).toBe(after.own.sha256Hex))
    expect(await ask(client(portcullis, next.certificatePem, newEnvoy))).toBe('certificate-required')
    expect(await ask(client(portcullis, next.certificatePem, oldEnvoy))).toBe('UNAVAILABLE')
  })

  test.each([
    ['of another root than its bundle', () => stateOf(createAuthority({ name: 'evil' }), [root]).state],
    [
      'with the key of another',
      () => {
        const other = root.issueSvid({ spiffeId: SELF }).keys
        const { own, state } = stateOf(root)
        return { svids: [servedSvid(SELF, { ...own, keys: other }, [root])].concat(state.svids) }
      },
    ],
    [
      'of another trust domain',
      () => {
        const id = 'spiffe://other.example/portcullis'
        return { svids: [servedSvid(id, root.issueSvid({ spiffeId: id }), [root])] }
      },
    ],
    ['no more', () => ({ federated_bundles: { 'spiffe://cluster.local': root.certificateDer } })],
  ])('keeps its own when the agent gives one %s', async (_name, state) => {
    const before = stateOf(root)
    const { agent, portcullis } = await open(before.state)
    const envoy = root.issueSvid({ spiffeId: ENVOY })
    agent.pushX509(state())
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(await presented(portcullis, envoy)).toBe(before.own.sha256Hex)
    const after = stateOf(root)
    agent.pushX509(after.state)
    await eventually(async () => expect(await presented(portcullis, envoy)).toBe(after.own.sha256Hex))
  })
})
