import { parseDurationMs } from '../schema/units.js'
import type { KeyLocation } from './config.js'
import type { EffectiveConfiguration } from './schema.js'

type Effective = EffectiveConfiguration['ssf']['transmitters'][number]

export type TransmitterConfig = {
  /** The exact `iss`. */
  readonly issuer: string
  readonly audiences: readonly string[]
  readonly keys: KeyLocation
  readonly algorithms: Effective['algorithms']
  readonly subjectIssuers: readonly string[]
  readonly trustDomains: readonly string[]
  readonly streamId: string | undefined
  readonly delivery:
    | { readonly kind: 'push'; readonly tokenFile: string | undefined }
    | { readonly kind: 'poll'; readonly url: string; readonly tokenFile: string; readonly intervalMs: number }
}

export type SsfConfig = {
  readonly transmitters: readonly TransmitterConfig[]
  readonly eventMaxAgeMs: number
  readonly clockSkewMs: number
}

/** `at` makes paths absolute. Throws on what the checks refuse. */
export function ssfOf(
  { transmitters, eventMaxAge, clockSkew }: EffectiveConfiguration['ssf'],
  at: (path: string) => string,
): SsfConfig {
  return {
    transmitters: transmitters.map((one) => ({
      issuer: one.issuer,
      audiences: one.audiences,
      keys: keysOf(one, at),
      algorithms: one.algorithms,
      subjectIssuers: subjectIssuersOf(one),
      trustDomains: one.trustDomains,
      streamId: one.streamId,
      delivery: deliveryOf(one, at),
    })),
    eventMaxAgeMs: parseDurationMs(eventMaxAge) ?? NaN,
    clockSkewMs: parseDurationMs(clockSkew) ?? NaN,
  }
}

export function subjectIssuersOf({
  issuer,
  subjectIssuers,
}: Pick<Effective, 'issuer' | 'subjectIssuers'>): readonly string[] {
  return subjectIssuers ?? [issuer]
}

function keysOf({ jwksFile, jwksUri }: Effective, at: (path: string) => string): KeyLocation {
  if (jwksFile !== undefined) return { kind: 'file', path: at(jwksFile) }
  if (jwksUri !== undefined) return { kind: 'url', url: jwksUri }
  throw new Error('a transmitter without keys passed the checks')
}

function deliveryOf({ push, poll }: Effective, at: (path: string) => string): TransmitterConfig['delivery'] {
  if (push) return { kind: 'push', tokenFile: push.tokenFile === undefined ? undefined : at(push.tokenFile) }
  if (!poll) throw new Error('a transmitter without delivery passed the checks')
  const { url, tokenFile, interval } = poll
  return { kind: 'poll', url, tokenFile: at(tokenFile), intervalMs: parseDurationMs(interval) ?? NaN }
}
