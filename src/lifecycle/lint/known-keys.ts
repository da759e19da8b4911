/** Keys of `when` that have one text, and what it can be; lists and claims are not among them. */
const ONE_TEXT: ReadonlySet<string> = new Set([
  'user.id',
  'user.issuer',
  'user.email',
  'user.acr',
  'workload.id',
  'workload.trustDomain',
  'workload.namespace',
  'request.method',
  'request.path',
  'request.host',
  'request.grpc.service',
  'request.grpc.method',
  'connection.sni',
  'device.id',
  'device.trust',
  'device.tier',
  'session.id',
  'risk.level',
  'client.country',
  'target.namespace',
  'target.endpoint',
  'target.sensitivity',
])
const ONE_TEXT_BRACKETED = /^(?:request\.headers|request\.query|workload\.labels|target\.labels)\[/

export const WORDS: ReadonlyMap<string, readonly string[]> = new Map([
  ['device.trust', ['high', 'medium', 'low']],
  ['risk.level', ['low', 'medium', 'high']],
  ['target.sensitivity', ['Low', 'Medium', 'High']],
])
const ANY_CASE: ReadonlySet<string> = new Set(['request.host', 'connection.sni', 'workload.trustDomain'])

/** What numbers a key can have; whole ones where `whole`. */
export const NUMBERS: ReadonlyMap<
  string,
  { readonly min: number; readonly max: number; readonly whole: boolean }
> = new Map([
  ['risk.score', { min: 0, max: 100, whole: false }],
  ['device.risk', { min: 0, max: 100, whole: false }],
  ['destination.port', { min: 1, max: 65_535, whole: true }],
  ['time.hour', { min: 0, max: 23, whole: true }],
  ['user.authAge', { min: 0, max: Infinity, whole: false }],
  ['session.age', { min: 0, max: Infinity, whole: false }],
  ['session.idle', { min: 0, max: Infinity, whole: false }],
])

export const ADDRESSES: ReadonlySet<string> = new Set(['source.ip', 'client.ip'])

export const isOneText = (key: string): boolean => ONE_TEXT.has(key) || ONE_TEXT_BRACKETED.test(key)
export const isClaim = (key: string): boolean => key.startsWith('user.claims[')

/** One name for each key, whichever of its names is written. */
export function canonicalKey(written: string): string {
  if (written === 'remote.ip') return 'client.ip'
  if (written.startsWith('request.auth.claims['))
    return `user.claims${written.slice('request.auth.claims'.length)}`
  return written.startsWith('request.headers[') ? written.toLowerCase() : written
}

/** A value as it is compared. */
export function canonicalValue(key: string, written: string): string {
  return ANY_CASE.has(key) ? written.toLowerCase() : written
}
