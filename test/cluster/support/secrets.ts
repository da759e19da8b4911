import { createHash, randomBytes } from 'node:crypto'
import type { Pki } from '../../../demo/pki.js'
import type { Service } from '../../../demo/services.js'
import { createAuthority, type Issued, type KeyPair } from '../../support/certificate-authority.js'
import { subjectAltName } from '../../support/certificate-writer.js'

type Manifest = Readonly<Record<string, unknown>>

export function secret(
  namespace: string,
  name: string,
  stringData: Readonly<Record<string, string>>,
): Manifest {
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace }, stringData }
}

export function svidSecret(namespace: string, name: string, svid: Issued, bundlePem: string): Manifest {
  return secret(namespace, name, {
    'svid.pem': svid.chainPem,
    'svid.key': svid.keyPem,
    'bundle.pem': bundlePem,
  })
}

export function namespaceOf({ workload }: Service): string {
  return workload.split('/')[0] ?? ''
}

/** What docs/operations.md says that Redis' one user needs. */
const RIGHTS =
  '+eval +evalsha +get +set +exists +pttl +pexpireat +hgetall +hget +hscan +hset +hdel +del +time +info +publish +subscribe +ping +wait +cluster'

export function redisSecret(name: string, hosts: readonly string[]): Manifest {
  const authority = createAuthority({ name: 'Redis Root' })
  const server = authority.issue({
    subject: [['CN', name]],
    extensions: () => [subjectAltName(hosts.map((dns) => ({ dns })))],
  })
  const password = randomBytes(24).toString('hex')
  const hash = createHash('sha256').update(password).digest('hex')
  return secret('portcullis-system', name, {
    password,
    'users.acl': `user default off\nuser portcullis on #${hash} ~portcullis:* &portcullis:* ${RIGHTS}\n`,
    'tls.crt': server.chainPem,
    'tls.key': server.keyPem,
    'ca.crt': authority.certificatePem,
  })
}

export type MeshSecrets = {
  readonly pki: Pki
  readonly services: readonly Service[]
  /** Of service token issuers. */
  readonly tokenKeys: ReadonlyMap<string, KeyPair>
  readonly adminTokens: Readonly<Record<string, string>>
  readonly signalsToken: string
}

/** Everything that the example mesh wants to be given. */
export function meshSecrets({
  pki,
  services,
  tokenKeys,
  adminTokens,
  signalsToken,
}: MeshSecrets): readonly Manifest[] {
  const keys = [...tokenKeys].map(
    ([service, { publicKey }]) =>
      [`${service}.pem`, publicKey.export({ format: 'pem', type: 'spki' }).toString()] as const,
  )
  return [
    svidSecret(
      'portcullis-system',
      'portcullis-tls',
      pki.svid('portcullis-system/portcullis'),
      pki.bundlePem,
    ),
    redisSecret('portcullis-redis', ['portcullis-redis']),
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'portcullis-token-keys', namespace: 'portcullis-system' },
      data: Object.fromEntries(keys),
    },
    secret('portcullis-system', 'portcullis-admin', adminTokens),
    secret('portcullis-system', 'portcullis-ssf', { 'idp.token': signalsToken }),
    ...services.map((service) =>
      svidSecret(namespaceOf(service), `${service.name}-svid`, pki.svid(service.workload), pki.bundlePem),
    ),
    secret('edge', 'gateway-web', { 'tls.crt': pki.web.chainPem, 'tls.key': pki.web.keyPem }),
  ]
}
