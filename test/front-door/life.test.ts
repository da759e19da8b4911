import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from '@jest/globals'
import { asEnvoySends, createAuthority } from '../support/certificate-authority.js'
import { CHECK_SERVERS } from '../support/check-servers.js'
import { startPortcullis, type TestPortcullis } from '../support/portcullis.js'

const root = createAuthority({ name: 'root' })
const WEB = 'spiffe://cluster.local/ns/default/sa/web'
const READ = {
  principal: WEB,
  certificate: asEnvoySends(root.issueSvid({ spiffeId: WEB }).certificatePem),
  destinationPrincipal: 'spiffe://cluster.local/ns/default/sa/pay',
  path: '/read',
}
const document = (name: string, spec: string): string =>
  `apiVersion: portcullis.dev/v1beta1\nkind: ServicePolicy\nmetadata: { name: ${name} }\nspec: ${spec}\n`
const PAY = document('pay', '{ endpoints: [{ name: Read, paths: [/read], methods: [GET] }] }')
const FILES = {
  'policy/pay.yaml': PAY,
  'policy/web.yaml': document('web', '{ calls: [{ service: pay }] }'),
  'pki/ca.pem': root.certificatePem,
}
const CONFIGURATION = { trustDomains: { 'cluster.local': { bundle: { file: './pki/ca.pem' } } } }

let portcullis: TestPortcullis | undefined
afterEach(async () => {
  await portcullis?.stop()
  portcullis = undefined
})

async function started(
  files: Record<string, string> = FILES,
  configuration: Record<string, unknown> = CONFIGURATION,
): Promise<TestPortcullis> {
  portcullis = await startPortcullis(files, configuration)
  return portcullis
}

/** The reason of a Check once it is the expected one, at most 3 s later; else the last that was given. */
async function becomes(running: TestPortcullis, expected: string): Promise<string> {
  let reason = ''
  for (let attempt = 0; attempt < 60 && reason !== expected; attempt++) {
    if (attempt > 0) await new Promise((resolve) => setTimeout(resolve, 50))
    reason = (await running.check(READ)).reason
  }
  return reason
}

describe('does not start', () => {
  const other = createAuthority({ name: 'other' })
  const svid = root.issueSvid({ spiffeId: 'spiffe://cluster.local/ns/default/sa/portcullis' })
  const tls = { certificate: './tls/svid.pem', key: './tls/svid.key', clientCa: './pki/ca.pem' }
  const withTls = { listeners: [{ name: 'mesh', address: '127.0.0.1:0', tls }], ...CONFIGURATION }

  test.each<[string, Record<string, string>, Record<string, unknown>, RegExp[]]>([
    [
      'an empty policy directory',
      { 'policy/readme.txt': '', 'pki/ca.pem': root.certificatePem },
      CONFIGURATION,
      [/no policy file/],
    ],
    ['a missing policy directory', { 'pki/ca.pem': root.certificatePem }, CONFIGURATION, [/policy/]],
    [
      'a bundle that is none',
      { ...FILES, 'pki/ca.pem': 'nonsense' },
      CONFIGURATION,
      [/trust bundle of cluster\.local/],
    ],
    [
      'a key that is not the certificate’s',
      { ...FILES, 'tls/svid.pem': svid.chainPem, 'tls/svid.key': other.keyPem },
      withTls,
      [/listener mesh.*certificate/i],
    ],
    [
      'files that are not there',
      { ...FILES, 'policy/pay.yaml': 'kind: ServicePolicy', 'pki/ca.pem': '' },
      withTls,
      [/pay\.yaml:1:1/, /trust bundle/, /tls\.certificate/, /tls\.key/],
    ],
  ])('%s', async (_name, files, configuration, problems) => {
    const failure = await startPortcullis(files, configuration).then(
      () => 'it started',
      (error: unknown) => String(error),
    )
    for (const problem of problems) expect(failure).toMatch(problem)
  })

  test('a port in use', async () => {
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    const address = taken.address()
    const port = typeof address === 'object' && address ? address.port : 0
    const configuration = { listeners: [{ name: 'mesh', address: `127.0.0.1:${port}` }], ...CONFIGURATION }
    await expect(startPortcullis(FILES, configuration)).rejects.toThrow(
      /listener mesh: .*another program listens there/,
    )
    await new Promise((resolve) => taken.close(resolve))
  })
})

describe('policy', () => {
  test('a broken directory is refused whole and the old policy stays, a good one counts at once', async () => {
    const running = await started()
    expect(await becomes(running, 'allowed')).toBe('allowed')
    await running.write('policy/web.yaml', document('web', '{ calls: [{ service: ghost }] }'))
    await running.write('policy/extra.yaml', 'kind: [')
    await new Promise((resolve) => setTimeout(resolve, 1200))
    expect((await running.check(READ)).reason).toBe('allowed')
    await rm(join(running.directory, 'policy/extra.yaml'))
    await running.write('policy/web.yaml', document('web', '{}'))
    expect(await becomes(running, 'call-not-allowed')).toBe('call-not-allowed')
  })

  test('the symlink swap of a mounted ConfigMap', async () => {
    const files = { 'pki/ca.pem': root.certificatePem }
    const mounted = await startMounted(files)
    expect(await becomes(mounted, 'allowed')).toBe('allowed')
    const inside = join(mounted.directory, 'mount')
    await mkdir(join(inside, '..2026_2'))
    await writeFile(join(inside, '..2026_2', 'pay.yaml'), PAY)
    await writeFile(join(inside, '..2026_2', 'web.yaml'), document('web', '{}'))
    await symlink('..2026_2', join(inside, '..data_tmp'))
    await rename(join(inside, '..data_tmp'), join(inside, '..data'))
    expect(await becomes(mounted, 'call-not-allowed')).toBe('call-not-allowed')
  })
})

/** Policy in a folder as kubelet lays it out. */
async function startMounted(files: Record<string, string>): Promise<TestPortcullis> {
  portcullis = await startPortcullis(
    files,
    { ...CONFIGURATION, policy: { directory: './mount' } },
    async (directory) => {
      const mount = join(directory, 'mount')
      await mkdir(join(mount, '..2026_1'), { recursive: true })
      await writeFile(join(mount, '..2026_1', 'pay.yaml'), FILES['policy/pay.yaml'])
      await writeFile(join(mount, '..2026_1', 'web.yaml'), FILES['policy/web.yaml'])
      await symlink('..2026_1', join(mount, '..data'))
      for (const name of ['pay.yaml', 'web.yaml']) await symlink(join('..data', name), join(mount, name))
    },
  )
  return portcullis
}

describe('trust', () => {
  test('a root that left the bundle is not trusted on the next request, remembered verdicts included', async () => {
    const running = await started()
    expect(await becomes(running, 'allowed')).toBe('allowed')
    await running.write('pki/ca.pem', createAuthority({ name: 'successor' }).certificatePem)
    expect(await becomes(running, 'certificate-invalid')).toBe('certificate-invalid')
    await running.write('pki/ca.pem', root.certificatePem)
    expect(await becomes(running, 'allowed')).toBe('allowed')
  })
})

describe.each(CHECK_SERVERS)('listeners on %s', (checkServer) => {
  test('a Unix socket answers', async () => {
    const running = await started(FILES, {
      ...CONFIGURATION,
      listeners: [{ name: 'local', address: 'unix:./authz.sock', checkServer }],
    })
    expect(running.running.listeners[0]?.address).toMatch(/^unix:\//)
    expect((await running.check(READ)).reason).toBe('allowed')
  })

  test('what was accepted is written before the end', async () => {
    const running = await started(FILES, {
      ...CONFIGURATION,
      listeners: [{ name: 'mesh', address: '127.0.0.1:0', checkServer }],
    })
    await Promise.all(Array.from({ length: 200 }, () => running.check(READ)))
    await running.running.stop()
    expect(running.events()).toHaveLength(200)
  })
})
