import { writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { join } from 'node:path'
import { TLSSocket } from 'node:tls'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { createAuthority, type Issued } from '../support/certificate-authority.js'
import { eventually } from '../support/eventually.js'
import { KubeApi } from '../support/kube-api.js'
import { startPortcullis, type TestPortcullis } from '../support/portcullis.js'

const NAME = 'portcullis-webhook.portcullis-system.svc'
const root = createAuthority({ name: 'root' })
const presented = (): Issued =>
  root.issueSvid({ spiffeId: 'spiffe://cluster.local/ns/portcullis-system/sa/portcullis', dnsNames: [NAME] })
const PAY = { endpoints: [{ name: 'Read', paths: ['/read'], methods: ['GET'] }] }

let api: KubeApi
let portcullis: TestPortcullis | undefined
beforeEach(async () => {
  api = await KubeApi.start()
  api.put('ServicePolicy', 'pay', PAY, { namespace: 'shop' })
  const { chainPem, keyPem } = presented()
  portcullis = await startPortcullis(
    {
      'pki/ca.pem': root.certificatePem,
      'webhook/tls.crt': chainPem,
      'webhook/tls.key': keyPem,
      kubeconfig: api.kubeconfig(),
    },
    {
      trustDomains: { 'cluster.local': { bundle: { file: './pki/ca.pem' } } },
      policy: { kubernetes: { kubeconfig: './kubeconfig' } },
      webhook: { listen: '127.0.0.1:0', certificate: './webhook/tls.crt', key: './webhook/tls.key' },
    },
  )
}, 30_000)
afterEach(async () => {
  await portcullis?.stop()
  await api.close()
})

type Answer = { readonly status: number; readonly body: string; readonly serial: string }

function post(
  body: string | Buffer,
  { method = 'POST', path = '/validate?timeout=5s' } = {},
): Promise<Answer> {
  const [, port] = /:(\d+)$/.exec(portcullis?.running.webhook ?? '') ?? []
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        host: '127.0.0.1',
        port: Number(port),
        method,
        path,
        ca: root.certificatePem,
        servername: NAME,
        agent: false,
        timeout: 5000,
      },
      (response) => {
        const chunks: Buffer[] = []
        const socket = response.socket
        const serial = socket instanceof TLSSocket ? socket.getPeerCertificate().serialNumber : ''
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString(), serial }),
        )
      },
    )
    asked.on('error', reject)
    asked.end(body)
  })
}

function reviewOf(name: string, spec: unknown, kind = 'ServicePolicy'): string {
  const object = {
    apiVersion: 'portcullis.dev/v1beta1',
    kind,
    metadata: { name, namespace: 'shop', uid: 'u1', generation: 1 },
    spec,
  }
  return JSON.stringify({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: 'r1',
      kind: { group: 'portcullis.dev', version: 'v1beta1', kind },
      operation: 'CREATE',
      dryRun: true,
      object,
    },
  })
}

describe('refused', () => {
  test.each([
    ['no review', '{}', {}, 400],
    ['another path', '{}', { path: '/' }, 404],
    ['another method', '', { method: 'GET' }, 405],
    ['more than 3 MiB', Buffer.alloc(3 * 1024 * 1024 + 1, ' '), {}, 413],
  ])('%s', async (_what, body, options, status) => {
    expect((await post(body, options)).status).toBe(status)
  })

  test('a broken resource, with its field', async () => {
    const { status, body } = await post(
      reviewOf('web', { endpoints: [{ name: 'A', path: '/a', methods: ['GET'] }] }),
    )
    expect(status).toBe(200)
    expect(JSON.parse(body)).toMatchObject({
      response: {
        uid: 'r1',
        allowed: false,
        status: { code: 422, message: expect.stringMatching(/^spec\.endpoints\[0\]\.path: /) },
      },
    })
  })

  test('an unknown kind', async () => {
    const { body } = await post(reviewOf('web', {}, 'Widget'))
    expect(JSON.parse(body)).toMatchObject({ response: { allowed: false } })
  })
})

test('what is sound passes, with warnings of what nothing has yet, and nothing comes of asking', async () => {
  const answers = [
    await post(reviewOf('web', { calls: [{ service: 'pay' }] })),
    await post(reviewOf('web', { calls: [{ service: 'nobody' }] })),
    // Had the first one stayed, this would be about a name that is there.
    await post(reviewOf('other', { calls: [{ service: 'web' }] })),
  ]
  expect(answers.map(({ body }) => JSON.parse(body).response)).toEqual([
    { uid: 'r1', allowed: true },
    { uid: 'r1', allowed: true, warnings: [expect.stringContaining('nobody')] },
    { uid: 'r1', allowed: true, warnings: [expect.stringContaining('web')] },
  ])
})

test('a new certificate is presented, and a broken one is not', async () => {
  const first = await post('{}')
  const directory = portcullis?.directory ?? ''
  await writeFile(join(directory, 'webhook/tls.key'), 'no key')
  const { chainPem, keyPem } = presented()
  expect((await post('{}')).serial).toBe(first.serial)
  await writeFile(join(directory, 'webhook/tls.crt'), chainPem)
  await writeFile(join(directory, 'webhook/tls.key'), keyPem)
  await eventually(async () => expect((await post('{}')).serial).not.toBe(first.serial), 3000)
})
