import type { Pointer } from '../schema/problem.js'
import type { EffectiveConfiguration } from './schema.js'
import { parseAgentAddress } from './trust.js'

type Tell = (pointer: Pointer, code: string, message: string, what?: 'key' | 'value') => void

type Bundle = EffectiveConfiguration['trustDomains'][string]['bundle']
type Tls = NonNullable<EffectiveConfiguration['listeners'][number]['tls']>

/** Every bundle has one source, and each source what it needs and nothing else. */
export function checkBundles({ trustDomains }: EffectiveConfiguration, tell: Tell): void {
  for (const [trustDomain, { bundle }] of Object.entries(trustDomains)) {
    const at = ['trustDomains', trustDomain, 'bundle']
    const { file, workloadApi, url } = bundle
    const given = [file, workloadApi, url].filter((source) => source !== undefined).length
    if (given === 0) {
      tell(at, 'bundle-missing', 'a bundle needs `file`, `workloadApi` or `url`', 'key')
      continue
    }
    const bootstraps = file !== undefined && url !== undefined && workloadApi === undefined
    if (given > 1 && !bootstraps) {
      tell(at, 'bundle-twice', 'a bundle comes from one of `file`, `workloadApi` and `url`; give one', 'key')
    }
    if (workloadApi !== undefined) checkAgent(workloadApi, [...at, 'workloadApi'], tell)
    if (url === undefined) checkWithoutUrl(bundle, at, tell)
    else checkEndpoint({ trustDomain, bundle, url, known: new Set(Object.keys(trustDomains)) }, at, tell)
  }
}

/** A listener's TLS is of files or of the Workload API. */
export function checkTlsSource(tls: Tls, at: Pointer, tell: Tell): void {
  const { certificate, key, clientCa, workloadApi, allowedClients } = tls
  if (workloadApi !== undefined) {
    checkAgent(workloadApi, [...at, 'workloadApi'], tell)
    for (const [field, value] of Object.entries({ certificate, key, clientCa })) {
      if (value === undefined) continue
      const message = `\`tls.${field}\` says nothing beside \`tls.workloadApi\`, which gives certificate, key and roots`
      tell([...at, field], 'without-effect', message, 'key')
    }
    return
  }
  if (certificate === undefined || key === undefined) {
    const lacks = certificate === undefined ? (key === undefined ? 'both' : '`certificate`') : '`key`'
    const message = `\`tls\` needs \`certificate\` and \`key\`, or \`workloadApi\`; it lacks ${lacks}`
    tell(at, 'tls-incomplete', message, 'key')
  }
  if (allowedClients && clientCa === undefined) {
    tell(
      [...at, 'allowedClients'],
      'client-ca-missing',
      '`allowedClients` needs `clientCa`: without it no client certificate is verified',
      'key',
    )
  }
}

function checkAgent(text: string, at: Pointer, tell: Tell): void {
  const parsed = parseAgentAddress(text)
  if (!parsed.ok) tell(at, 'wrong-address', `\`${text}\` ${parsed.problem}`)
}

function checkWithoutUrl(bundle: Bundle, at: Pointer, tell: Tell): void {
  for (const field of ['profile', 'endpointId', 'ca'] as const) {
    if (bundle[field] === undefined) continue
    tell([...at, field], 'without-effect', `\`${field}\` says nothing without \`url\``, 'key')
  }
}

type Endpoint = {
  readonly trustDomain: string
  readonly bundle: Bundle
  readonly url: string
  readonly known: ReadonlySet<string>
}

function checkEndpoint({ trustDomain, bundle, url, known }: Endpoint, at: Pointer, tell: Tell): void {
  const { file, profile, endpointId, ca } = bundle
  checkHttps(url, [...at, 'url'], tell)
  if (profile === undefined) {
    tell(at, 'profile-missing', '`url` needs `profile`: HttpsWeb or HttpsSpiffe', 'key')
    return
  }
  const without = (field: string, reason: string): void =>
    tell([...at, field], 'without-effect', `\`${field}\` ${reason}`, 'key')
  if (profile === 'HttpsWeb') {
    if (endpointId !== undefined) without('endpointId', 'is for `profile: HttpsSpiffe`')
    if (file !== undefined) without('file', 'beside `url` is for `profile: HttpsSpiffe`')
    return
  }
  if (ca !== undefined) without('ca', 'is for `profile: HttpsWeb`')
  if (endpointId === undefined) {
    tell(
      at,
      'endpoint-id-missing',
      '`profile: HttpsSpiffe` needs `endpointId`: whom the endpoint must be',
      'key',
    )
    return
  }
  const vouching = endpointId.split('/')[2] ?? ''
  if (vouching === trustDomain) {
    if (file === undefined) {
      const message = `the endpoint is of \`${trustDomain}\` itself, so \`file\` must give a bundle that it can prove itself by at first`
      tell(at, 'bootstrap-missing', message, 'key')
    }
  } else {
    if (file !== undefined) without('file', `has no use: the bundle of \`${vouching}\` proves the endpoint`)
    if (!known.has(vouching)) {
      const message = `\`trustDomains\` has no \`${vouching}\`, by whose bundle the endpoint would be proved`
      tell([...at, 'endpointId'], 'bundle-missing', message)
    }
  }
}

function checkHttps(text: string, at: Pointer, tell: Tell): void {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol !== 'https:') tell(at, 'wrong-url', `\`${text}\` is no https URL`)
  else if (url.username !== '' || url.password !== '')
    tell(at, 'secret-in-url', 'a URL here must not hold a user name or password')
}
