import type { Pointer } from '../schema/problem.js'
import { parseDurationMs } from '../schema/units.js'
import { LOOPBACK_HOSTS } from './address.js'
import type { EffectiveConfiguration } from './schema.js'
import { subjectIssuersOf } from './ssf.js'

type Tell = (pointer: Pointer, code: string, message: string, what?: 'key' | 'value') => void
type Transmitter = EffectiveConfiguration['ssf']['transmitters'][number]

/** Every transmitter has keys, one way of delivery, and subjects that somebody here could be. */
export function checkSsf(effective: EffectiveConfiguration, tell: Tell): void {
  const { ssf } = effective
  const seen = new Set<string>()
  ssf.transmitters.forEach((transmitter, index) => {
    const at = ['ssf', 'transmitters', index]
    const { issuer } = transmitter
    if (seen.has(issuer)) tell([...at, 'issuer'], 'issuer-twice', `the issuer \`${issuer}\` is given twice`)
    seen.add(issuer)
    checkKeys(transmitter, at, tell)
    checkSubjects(transmitter, effective, at, tell)
    checkDelivery(transmitter, effective, at, tell)
  })
  within(['ssf', 'eventMaxAge'], ssf.eventMaxAge, '1m', '90d', tell)
  within(['ssf', 'clockSkew'], ssf.clockSkew, '0s', '5m', tell)
}

function checkKeys({ jwksFile, jwksUri }: Transmitter, at: Pointer, tell: Tell): void {
  if (jwksFile === undefined && jwksUri === undefined) {
    tell(at, 'keys-missing', 'needs `jwksFile` or `jwksUri`', 'key')
  } else if (jwksFile !== undefined && jwksUri !== undefined) {
    tell(at, 'keys-twice', 'has `jwksFile` and `jwksUri`; give one', 'key')
  }
}

function checkSubjects(
  transmitter: Transmitter,
  { userTokens, trustDomain, trustDomains, listeners }: EffectiveConfiguration,
  at: Pointer,
  tell: Tell,
): void {
  const issuers = new Set(userTokens.issuers.map(({ issuer }) => issuer))
  const written = transmitter.subjectIssuers
  if (written === undefined && !issuers.has(transmitter.issuer)) {
    const message = `\`${transmitter.issuer}\` is no issuer under \`userTokens\`; give \`subjectIssuers\`: those whose users it may speak about ([] for none)`
    tell([...at, 'issuer'], 'subject-issuers-missing', message)
  }
  written?.forEach((issuer, index) => {
    if (issuers.has(issuer)) return
    const message = `\`${issuer}\` is no issuer under \`userTokens\``
    tell([...at, 'subjectIssuers', index], 'unknown-issuer', message)
  })
  const known = new Set([
    trustDomain,
    ...Object.keys(trustDomains),
    ...listeners.flatMap(({ principalTrustDomains }) => principalTrustDomains),
  ])
  transmitter.trustDomains.forEach((domain, index) => {
    if (known.has(domain)) return
    tell([...at, 'trustDomains', index], 'unknown-trust-domain', `\`${domain}\` is not trusted here`)
  })
  if (subjectIssuersOf(transmitter).length === 0 && transmitter.trustDomains.length === 0) {
    const message = 'it may speak about nobody; give `subjectIssuers` or `trustDomains`'
    tell([...at, 'subjectIssuers'], 'without-effect', message)
  }
}

function checkDelivery(
  { push, poll }: Transmitter,
  { public: { listen } }: EffectiveConfiguration,
  at: Pointer,
  tell: Tell,
): void {
  if (!push && !poll) tell(at, 'delivery-missing', 'needs `push` or `poll`', 'key')
  if (push && poll) tell(at, 'delivery-twice', 'has `push` and `poll`; give one', 'key')
  if (push && listen === '') {
    const message = '`push` needs `public.listen`: that is where events are posted to'
    tell([...at, 'push'], 'public-listen-missing', message, 'key')
  }
  if (!poll) return
  within([...at, 'poll', 'interval'], poll.interval, '1s', '1h', tell)
  const pointer = [...at, 'poll', 'url']
  const url = URL.canParse(poll.url) ? new URL(poll.url) : undefined
  if (poll.url.includes('@') && (!url || url.username !== '' || url.password !== '')) {
    tell(pointer, 'secret-in-url', 'a URL here must not hold a user name or password; use `tokenFile`')
  } else if (!url || !/^https?:$/.test(url.protocol)) {
    tell(pointer, 'wrong-url', `\`${poll.url}\` is no https URL`)
  } else if (url.protocol === 'http:' && !LOOPBACK_HOSTS.has(url.hostname)) {
    tell(pointer, 'wrong-url', `\`${poll.url}\` must be https; http is for loopback addresses only`)
  }
}

function within(pointer: Pointer, text: string, least: string, most: string, tell: Tell): void {
  const value = parseDurationMs(text) ?? NaN
  if (value >= (parseDurationMs(least) ?? NaN) && value <= (parseDurationMs(most) ?? NaN)) return
  tell(pointer, 'out-of-bounds', `\`${pointer.join('.')}\` is \`${text}\`, must be from ${least} to ${most}`)
}
