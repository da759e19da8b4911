import { mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { compactDecrypt } from 'jose'
import { asEnvoySends, createAuthority } from '../support/certificate-authority.js'
import { readAuditLog } from '../support/audit-log.js'
import { newRecipient, newSigner, until } from '../support/file-log.js'
import { startPortcullis, type TestPortcullis } from '../support/portcullis.js'

const SERVICES = `
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: vault, namespace: shop }
spec:
  endpoints:
    - { name: Records, paths: ["/records/{id}"], methods: [GET], dataPolicy: restricted }
    - { name: Notes, paths: ["/notes/{id}"], methods: [GET] }
  rules:
    - { name: web, from: [{ services: [web] }] }
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: web, namespace: shop }
spec: { calls: [{ service: vault }] }
`
const restricted = (audit: string): string => `
apiVersion: portcullis.dev/v1beta1
kind: DataPolicy
metadata: { name: restricted }
spec:
  audit: ${audit}
`
const PLAIN = restricted('{ level: Full }')
const ENCRYPTED = restricted('{ level: Full, encryption: { atRest: A256GCM } }')

const WEB = 'spiffe://cluster.local/ns/shop/sa/web'
const root = createAuthority({ name: 'root' })
const certificate = asEnvoySends(root.issueSvid({ spiffeId: WEB }).certificatePem)
const PEM = { format: 'pem', type: 'spki' } as const
const [first, second] = [newSigner(), newSigner()]
const { publicKey, privateKey } = newRecipient()
const FILES = {
  'policy/shop.yaml': SERVICES,
  'policy/data.yaml': PLAIN,
  'pki/ca.pem': root.certificatePem,
  'keys/sign.key': first.pem,
  'keys/restricted.pem': publicKey.export(PEM).toString(),
  'keys/restricted.key': privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
}

const SINK = { type: 'File', flushInterval: '20ms', signingKeyFile: './keys/sign.key' }

let log = ''
const running: TestPortcullis[] = []
beforeEach(async () => {
  log = await mkdtemp(join(tmpdir(), 'portcullis-audit-'))
})
afterEach(async () => {
  await Promise.all(running.splice(0).map(async (server) => server.stop()))
  await rm(log, { recursive: true, force: true })
})

async function started(files: Readonly<Record<string, string>>, ...sinks: object[]): Promise<TestPortcullis> {
  const server = await startPortcullis(
    { ...FILES, ...files },
    {
      trustDomains: { 'cluster.local': { bundle: { file: './pki/ca.pem' } } },
      drain: { delay: '0s', timeout: '5s' },
      audit: {
        sinks: sinks.map((sink) => Object.assign({ ...SINK, file: join(log, 'events.jsonl') }, sink)),
      },
    },
  )
  running.push(server)
  return server
}

async function stopped(server: TestPortcullis): Promise<void> {
  running.splice(running.indexOf(server), 1)
  await server.stop()
}

async function call(server: TestPortcullis, path: string): Promise<void> {
  const { outcome, reason } = await server.check({
    method: 'GET',
    path,
    host: 'vault.shop',
    certificate,
    principal: WEB,
    destinationPrincipal: 'spiffe://cluster.local/ns/shop/sa/vault',
  })
  expect([outcome, reason]).toEqual(['allow', 'allowed'])
}

describe('a start is refused', () => {
  test('with every problem of its keys', async () => {
    const recipients = {
      restricted: './keys/restricted.key',
      internal: './keys/sign.key',
      default: './no.pem',
    }
    const starting = started({}, { signingKeyFile: './keys/restricted.key', recipients })
    const problems: unknown = await starting.catch((error: unknown) => Reflect.get(Object(error), 'problems'))
    expect(problems).toEqual([
      expect.stringMatching(/^File 0: signingKeyFile: .*restricted\.key: its key is not Ed25519/),
      expect.stringMatching(/^File 0: recipients\.restricted: .*restricted\.key: it holds a private key/),
      expect.stringMatching(/^File 0: recipients\.internal: .*sign\.key: it holds a private key/),
      expect.stringMatching(/^File 0: recipients\.default: .*no\.pem can't be read/),
    ])
    expect(JSON.stringify(problems)).not.toContain('PRIVATE')
  })

  test('through a symbolic link, and while another process writes the log', async () => {
    await symlink('/dev/null', join(log, 'linked.jsonl'))
    await expect(started({}, { file: join(log, 'linked.jsonl') })).rejects.toThrow(
      /^File 0: .*linked\.jsonl: .* is a symbolic link$/,
    )
    await started({}, {})
    await expect(started({}, {})).rejects.toThrow('is written by another process, which holds events.lock')
  })

  test('where stored events are to be encrypted and a file sink has no recipient for them', async () => {
    const other = { recipients: { internal: './keys/restricted.pem' }, file: join(log, 'other.jsonl') }
    await expect(
      started({ 'policy/data.yaml': ENCRYPTED }, { recipients: { default: './keys/restricted.pem' } }, other),
    ).rejects.toThrow(
      /data\.yaml:6:37: .*the audit sink `File 1` can't encrypt: it needs `recipients\.restricted` or `recipients\.default`/,
    )
    expect((await readdir(log)).filter((name) => name.endsWith('.lock'))).toEqual([])
  })
})

describe('a running server', () => {
  test('refuses a policy that wants what its file sinks can not do, and stays with the old one', async () => {
    const server = await started({}, {})
    await server.write('policy/data.yaml', ENCRYPTED)
    await until(() => server.output().log.includes('policy refused, the old one stays'))
    expect(server.output().log).toMatch(/data\.yaml:6:37: .*can't encrypt/)
    await call(server, '/records/1')
    await stopped(server)
    const { events, problems } = await readAuditLog(log, 'events.restricted', first.publicKey)
    expect(problems).toEqual([])
    expect(events).toMatchObject([{ requestPath: '/records/1', decision: 'allow' }])
  })

  test('writes every decision, those of classified data for their recipient alone, and signs under the key of the day', async () => {
    const server = await started(
      { 'policy/data.yaml': ENCRYPTED },
      { recipients: { restricted: './keys/restricted.pem' }, checkpointInterval: '1s' },
    )
    for (const n of [1, 2, 3]) await call(server, `/records/secret-${n}`)
    await call(server, '/notes/1')
    await server.write('keys/sign.key', second.pem)
    await until(() => server.output().log.includes('audit signing key replaced'))
    await server.write('keys/sign.key', 'no key')
    await until(() => server.output().log.includes('audit key refused, the old one stays'))
    await call(server, '/notes/2')
    await stopped(server)
    const plain = await readAuditLog(log, 'events')
    expect(plain.problems).toEqual([])
    expect(plain.events).toMatchObject([{ requestPath: '/notes/1' }, { requestPath: '/notes/2' }])
    expect(plain.own[0]).toMatchObject({ reason: 'new', keyId: first.signer.keyId })
    expect(plain.own.at(-1)).toMatchObject({
      reason: 'close',
      keyId: second.signer.keyId,
      streams: { restricted: { seq: 5 } },
    })
    for (const name of await readdir(log))
      expect(await readFile(join(log, name), 'utf8')).not.toContain('secret-')
    const { events, problems } = await readAuditLog(log, 'events.restricted')
    expect(problems).toEqual([])
    const opened = await Promise.all(
      events.map(async ({ jwe }) => (await compactDecrypt(String(jwe), privateKey)).plaintext),
    )
    expect(opened.map((text) => JSON.parse(Buffer.from(text).toString()))).toMatchObject(
      [1, 2, 3].map((n) => ({ requestPath: `/records/secret-${n}`, decision: 'allow' })),
    )
    expect(server.output().log).not.toContain('PRIVATE')
  })

  test('goes on after a restart, and with fsync Always answers when the event is in the file', async () => {
    for (const n of [1, 2]) {
      const server = await started({}, { fsync: 'Always' })
      await call(server, `/notes/${n}`)
      expect((await readAuditLog(log, 'events')).events).toHaveLength(n)
      await stopped(server)
    }
    const { own, problems } = await readAuditLog(log, 'events', first.publicKey)
    expect(problems).toEqual([])
    expect(own.map(({ reason }) => reason)).toEqual(['new', 'close', 'start', 'close'])
  })
})
