import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { mintServiceToken } from '../src/identity/token.js'
import { asEnvoySends, createAuthority, type Issued } from '../test/support/certificate-authority.js'
import { type CheckFields, encodeCheck } from '../test/support/envoy-wire.js'
import { jwksText, signedToken, testKey } from '../test/support/tokens.js'
import type { FloodSeed } from './flood-messages.js'
import { generateMesh, idOf, targetOf } from './mesh.js'
import {
  ADMIN_TOKEN,
  API_VERSION,
  auditedConfiguration,
  configuration,
  DEVICE,
  type SceneOptions,
  SET_UP,
  setUp,
  USER,
  wholeConfiguration,
} from './scene-configurations.js'

const RESTRICTED = {
  apiVersion: API_VERSION,
  kind: 'DataPolicy',
  metadata: { name: 'restricted' },
  spec: {
    access: [{ role: 'payment-processor', operations: ['Read', 'Write'], approval: 'Required' }],
    audit: { level: 'Full', retention: '7y', alert: true },
  },
}

/** A mesh on disk and the requests that are sent about it. */
export type Scene = {
  readonly services: number
  readonly edges: number
  /** As a policy names them. */
  readonly caller: string
  readonly target: string
  /** A certificate of any service, and what all trust. */
  readonly issue: (service: string) => Issued
  readonly bundlePem: string
  readonly userToken: string
  /** Writes another configuration with an audit log, which one process alone can write; gives its path. */
  readonly withAuditLog: (name: string) => Promise<string>
  /** The same bytes on every call: certificate, service token and user token. */
  readonly known: Buffer
  readonly withoutServiceToken: Buffer
  /** What bad calls are made from. */
  readonly flood: FloodSeed
  readonly freshServiceTokens: (count: number) => Promise<readonly Buffer[]>
  readonly freshUserTokens: (count: number) => Promise<readonly Buffer[]>
  readonly freshCertificates: (count: number) => Promise<readonly Buffer[]>
}

/** How large a mesh is. `rules`: of each service, its callers named in the last. */
export type Mesh = { readonly services: number; readonly edges: number; readonly rules: number }

export const FULL_MESH: Mesh = { services: 10_000, edges: 100_000, rules: 1 }
const DOCUMENTS_A_FILE = 1000
/** Longer than any run, so that the remembered service token stays in its time. */
const TOKEN_SECONDS = 3600

/** Headers that a browser and a mesh add; with certificate and tokens a request of about 3.7 kB. */
const USUAL_HEADERS = {
  accept: 'application/json, text/plain, */*',
  'accept-encoding': 'gzip, deflate, br, zstd',
  'accept-language': 'en-GB,en;q=0.9,de;q=0.8',
  'content-type': 'application/json',
  'content-length': '418',
  cookie: `session=${'f3a9c1d7'.repeat(12)}; preferences=${'compact.'.repeat(8)}`,
  origin: 'https://shop.example.com',
  referer: 'https://shop.example.com/basket/checkout?step=payment',
  traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
  'user-agent':
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36',
  'x-envoy-expected-rq-timeout-ms': '15000',
  'x-forwarded-for': '203.0.113.7, 10.1.2.3',
}

/** Writes policy, keys and configurations into `folder`. */
export async function prepareScene(
  folder: string,
  mesh: Mesh = FULL_MESH,
  options: SceneOptions = {},
): Promise<Scene> {
  const { services, edges } = mesh
  const root = createAuthority({ name: 'root' })
  const intermediate = createAuthority({ name: 'intermediate', intermediateOf: root })
  const serviceKey = await testKey('ES256')
  const userKey = await testKey(options.userTokens ?? 'RS256', 'idp-1')
  const caller = idOf(0)
  const target = idOf(targetOf(0, 0, services))
  await writeMesh(join(folder, 'policy'), mesh)
  await writeMesh(join(folder, 'policy-whole'), mesh, target)
  await writeFile(join(folder, 'bundle.pem'), root.certificatePem + intermediate.certificatePem)
  await writeFile(join(folder, 'service.pem'), serviceKey.publicKeyPem)
  await writeFile(join(folder, 'idp.json'), jwksText(userKey))
  await writeFile(join(folder, 'portcullis.yaml'), stringify(configuration(caller, options)))
  await writeFile(join(folder, 'portcullis-audited.yaml'), stringify(auditedConfiguration(caller)))
  const reloaded = { ...configuration(caller, options), health: { listen: '127.0.0.1:0' } }
  await writeFile(join(folder, 'portcullis-watched.yaml'), stringify(reloaded))
  const { privateKey } = generateKeyPairSync('ed25519')
  await writeFile(join(folder, 'audit.key'), privateKey.export({ format: 'pem', type: 'pkcs8' }))
  await writeFile(join(folder, ADMIN_TOKEN), randomBytes(24).toString('base64url'))
  await writeFile(join(folder, 'portcullis-whole.yaml'), stringify(wholeConfiguration(caller)))
  await writeFile(join(folder, SET_UP), JSON.stringify(setUp(target)))

  const certificate = (): string =>
    asEnvoySends(intermediate.issueSvid({ spiffeId: identityOf(caller) }).certificatePem)
  const serviceToken = (lifetimeSeconds: number): Promise<string> =>
    mintServiceToken({
      issuer: 'caller',
      audience: target,
      scopes: ['items:write'],
      key: serviceKey.privateKeyPem,
      lifetimeSeconds,
    })
  const nowSeconds = Math.floor(Date.now() / 1000)
  const userToken = (jti: string): string =>
    signedToken(userKey, {
      iss: 'https://idp.example',
      aud: 'shop',
      sub: USER,
      jti,
      iat: nowSeconds,
      exp: nowSeconds + TOKEN_SECONDS,
      email: 'alice@example.com',
      email_verified: true,
      roles: ['customer', 'payment-processor'],
      scope: 'openid profile orders:read orders:write',
      device_id: DEVICE,
      device_trust_level: 'high',
      risk_score: 12,
      mfa_verified: true,
      session_id: 'b6f7c1ce-7d0f-4b53-8a66-5a7a0c4c9d11',
      acr: 'mfa',
      amr: ['pwd', 'otp'],
      auth_time: nowSeconds - 60,
      zoneinfo: 'Europe/Berlin',
    })
  const fields = (parts: { certificate: string; user: string; service?: string }): CheckFields => ({
    certificate: parts.certificate,
    principal: identityOf(caller),
    destinationPrincipal: identityOf(target),
    service: target,
    method: 'POST',
    path: '/api/items?source=basket',
    host: 'items.shop.svc.cluster.local:8080',
    headers: {
      ...USUAL_HEADERS,
      authorization: `Bearer ${parts.user}`,
      ...(parts.service === undefined ? {} : { 'x-service-token': parts.service }),
    },
  })
  const message = (parts: Parameters<typeof fields>[0]): Buffer => encodeCheck(fields(parts))

  const known = {
    certificate: certificate(),
    user: userToken('known'),
    service: await serviceToken(TOKEN_SECONDS),
  }
  return {
    services,
    edges,
    caller,
    target,
    issue: (service) => intermediate.issueSvid({ spiffeId: identityOf(service) }),
    bundlePem: root.certificatePem + intermediate.certificatePem,
    userToken: known.user,
    withAuditLog: async (name) => {
      const file = join(folder, `portcullis-${name}.yaml`)
      await writeFile(file, stringify(auditedConfiguration(caller, name)))
      return file
    },
    known: message(known),
    withoutServiceToken: message({ certificate: known.certificate, user: known.user }),
    flood: {
      fields: fields({ certificate: known.certificate, user: known.user }),
      userToken: known.user,
      serviceToken: known.service,
    },
    freshServiceTokens: (count) =>
      times(count, async () => message({ ...known, service: await serviceToken(TOKEN_SECONDS) })),
    freshUserTokens: (count) => {
      const batch = `${performance.now()}`
      return times(count, (index) =>
        message({ certificate: known.certificate, user: userToken(`${batch}-${index}`) }),
      )
    },
    freshCertificates: (count) =>
      times(count, () => message({ certificate: certificate(), user: known.user })),
  }
}

async function times(count: number, make: (index: number) => Buffer | Promise<Buffer>): Promise<Buffer[]> {
  const made: Buffer[] = []
  for (let index = 0; index < count; index++) made.push(await make(index))
  return made
}

function identityOf(id: string): string {
  const [namespace, name] = id.split('/')
  return `spiffe://cluster.local/ns/${namespace}/sa/${name}`
}

/** As people write them. */
export async function writeMesh(
  folder: string,
  { services, edges, rules }: Mesh,
  classified?: string,
): Promise<void> {
  await mkdir(folder, { recursive: true })
  const documents = generateMesh(services, edges, rules).map(({ kind, metadata, spec }) => {
    const id = 'namespace' in metadata ? `${metadata.namespace}/${metadata.name}` : undefined
    const endpoints =
      id === classified && 'endpoints' in spec
        ? spec.endpoints?.map((endpoint) => ({ ...endpoint, dataPolicy: 'restricted' }))
        : undefined
    return stringify({
      apiVersion: API_VERSION,
      kind,
      metadata,
      spec: { ...spec, ...(endpoints && { endpoints }) },
    })
  })
  if (classified !== undefined) documents.push(stringify(RESTRICTED))
  for (let at = 0; at < documents.length; at += DOCUMENTS_A_FILE) {
    const text = documents.slice(at, at + DOCUMENTS_A_FILE).join('\n---\n')
    await writeFile(join(folder, `mesh-${at}.yaml`), text)
  }
}
