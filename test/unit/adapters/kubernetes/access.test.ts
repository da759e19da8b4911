import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { type FoundAccess, inCluster } from '../../../../src/adapters/kubernetes/access.js'
import { ApiClient, type Reply } from '../../../../src/adapters/kubernetes/api-client.js'
import { ofKubeconfig } from '../../../../src/adapters/kubernetes/kubeconfig.js'
import { createAuthority } from '../../../support/certificate-authority.js'
import { webCertificate } from '../../../support/federation-server.js'
import { KubeApi } from '../../../support/kube-api.js'

const root = createAuthority({ name: 'cluster' })
const LIST = '/apis/portcullis.dev/v1beta1/servicepolicies?limit=1'
let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kube-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

async function asked(found: FoundAccess): Promise<Reply> {
  if (!found.ok) throw new Error(found.problem)
  const client = new ApiClient(found.access, Date.now)
  try {
    return await client.get(LIST, { timeoutMs: 2000, maxBytes: 1000, signal: new AbortController().signal })
  } finally {
    client.close()
  }
}

describe('a kubeconfig is refused', () => {
  const config = (cluster: string, user: string, current = 'c'): string =>
    `current-context: ${current}
clusters: [{ name: k, cluster: ${cluster} }]
users: [{ name: u, user: ${user} }]
contexts: [{ name: c, context: { cluster: k, user: u } }, { name: d, context: { cluster: k, user: ghost } }]
`
  const SERVER = '{ server: "https://127.0.0.1:1" }'
  test.each([
    ['that is no YAML', 'clusters: [', /kubeconfig:1:\d+: error: not YAML/],
    ['without a current context', 'clusters: []', /`current-context` is missing/],
    ['with a context that is not there', config(SERVER, '{}', 'x'), /there is no context `x`/],
    [
      'with a user that is not there',
      config(SERVER, '{}', 'd'),
      /names a cluster or a user that is not there/,
    ],
    ['without server', config('{}', '{}'), /`server` is no URL/],
    ['with plain http to elsewhere', config('{ server: "http://10.0.0.1" }', '{}'), /must be https/],
    [
      'that skips verification',
      config('{ server: "https://127.0.0.1:1", insecure-skip-tls-verify: true }', '{}'),
      /`insecure-skip-tls-verify` is not supported/,
    ],
    [
      'with a program for credentials',
      config(SERVER, '{ exec: { command: id } }'),
      /`exec` is not supported/,
    ],
    ['with a password', config(SERVER, '{ username: a, password: b }'), /`username` is not supported/],
  ])('%s', async (_name, text, problem) => {
    const path = join(directory, 'kubeconfig')
    await writeFile(path, text)
    const found = await ofKubeconfig(path)
    expect(found.ok ? '' : found.problem).toMatch(problem)
    expect(found.ok ? '' : found.problem).toContain(path)
  })

  test('that is not there', async () => {
    const found = await ofKubeconfig(join(directory, 'none'))
    expect(found.ok ? '' : found.problem).toMatch(/none can't be read/)
  })
})

describe('in a cluster', () => {
  test.each([
    ['outside of one', {}, /no pod of Kubernetes/],
    [
      'with a port that is none',
      { KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: 'x' },
      /no address/,
    ],
  ])('%s', (_name, env, problem) => {
    const found = inCluster(env)
    expect(found.ok ? '' : found.problem).toMatch(problem)
  })

  test('an API server of another authority is not told the token', async () => {
    const api = await KubeApi.start(webCertificate(createAuthority({ name: 'another' })))
    try {
      const reply = await asked(await serviceAccount(api))
      expect(reply).toMatchObject({
        ok: false,
        problem: expect.stringMatching(/^not reachable: .*certificate/),
      })
      expect(api.requests).toEqual([])
    } finally {
      await api.close()
    }
  })

  test('without a token file nothing is asked', async () => {
    const api = await KubeApi.start(webCertificate(root))
    try {
      const found = await serviceAccount(api)
      await rm(join(directory, 'sa', 'token'))
      expect(await asked(found)).toMatchObject({
        ok: false,
        problem: expect.stringMatching(/sa\/token can't be read/),
      })
    } finally {
      await api.close()
    }
  })

  test('the token is shown and the certificate verified', async () => {
    const api = await KubeApi.start(webCertificate(root))
    api.token = 'of-the-pod'
    try {
      expect(await asked(await serviceAccount(api))).toMatchObject({ ok: true })
    } finally {
      await api.close()
    }
  })

  async function serviceAccount(api: KubeApi): Promise<FoundAccess> {
    await mkdir(join(directory, 'sa'))
    await writeFile(join(directory, 'sa', 'token'), 'of-the-pod\n')
    await writeFile(join(directory, 'sa', 'ca.crt'), root.certificatePem)
    const { hostname, port } = new URL(api.url)
    const env = { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port }
    return inCluster(env, join(directory, 'sa'))
  }
})
