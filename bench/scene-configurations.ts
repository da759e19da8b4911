/** Files beside portcullis-whole.yaml. */
export const ADMIN_TOKEN = 'oscar.token'
export const SET_UP = 'set-up.json'

export type AdminCall = { readonly method: string; readonly path: string; readonly body: unknown }

export type SceneOptions = {
  /** What users' tokens are signed with; ES256 makes many of them in time. */
  readonly userTokens?: 'RS256' | 'ES256'
  /** Remembered at most, instead of the default. */
  readonly cachedTokens?: number
}

export const API_VERSION = 'portcullis.dev/v1beta1'
export const USER = '1d2f8a66-6c0e-4c5a-9a07-3f0f6a1b2c3d'
export const DEVICE = 'laptop-4711'

/** With all else by default. `cachedTokens`: other than the default. */
export function configuration(
  caller: string,
  { userTokens = 'RS256', cachedTokens }: SceneOptions = {},
): Readonly<Record<string, unknown>> {
  return {
    apiVersion: API_VERSION,
    kind: 'Configuration',
    listeners: [{ name: 'mesh', address: '127.0.0.1:0' }],
    trustDomains: { 'cluster.local': { bundle: { file: './bundle.pem' } } },
    policy: { directory: './policy' },
    health: { listen: '' },
    ...(cachedTokens !== undefined && { caches: { tokens: cachedTokens } }),
    serviceTokens: {
      maxLifetime: '1h',
      issuers: { caller: { service: caller, keyFile: './service.pem', scopes: ['items:*'] } },
    },
    userTokens: {
      issuers: [
        {
          issuer: 'https://idp.example',
          audiences: ['shop'],
          jwksFile: './idp.json',
          algorithms: [userTokens],
        },
      ],
    },
  }
}

/** With an audit log in a folder on disk: hash chain and signed checkpoints, all else by default. */
export function auditedConfiguration(caller: string, folder = 'audit'): Readonly<Record<string, unknown>> {
  const sinks = [{ type: 'File', file: `./${folder}/events.jsonl`, signingKeyFile: './audit.key' }]
  return { ...configuration(caller), audit: { sinks } }
}

/** With everything that looks at a user, a device and data. */
export function wholeConfiguration(caller: string): Readonly<Record<string, unknown>> {
  return {
    ...configuration(caller),
    policy: { directory: './policy-whole' },
    admin: {
      listen: '127.0.0.1:0',
      tokens: [{ name: 'oscar', file: `./${ADMIN_TOKEN}`, role: 'Admin' }],
    },
    public: { listen: '127.0.0.1:0' },
    ssf: {
      transmitters: [
        { issuer: 'https://idp.example', audiences: ['portcullis'], jwksFile: './idp.json', push: {} },
      ],
    },
  }
}

/** What is told to the admin API before calls come: the user's device and an approval. */
export function setUp(target: string): readonly AdminCall[] {
  const device = {
    managed: true,
    osPatched: true,
    diskEncrypted: true,
    firewall: true,
    antivirus: true,
    jailbroken: false,
    reason: 'bench',
  }
  const grant = {
    subject: { subject: USER },
    service: target,
    operations: ['Write'],
    requester: 'bob',
    ticket: 'B-1',
    reason: 'bench',
    duration: '12h',
  }
  return [
    { method: 'PUT', path: `/v1/devices/${DEVICE}`, body: device },
    { method: 'POST', path: '/v1/grants', body: grant },
  ]
}
