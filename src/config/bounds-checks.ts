import type { Pointer } from '../schema/problem.js'
import { parseDurationMs, parseSizeBytes } from '../schema/units.js'
import type { EffectiveConfiguration } from './schema.js'
import { boundsOfTelemetry } from './telemetry-checks.js'

type Tell = (pointer: Pointer, code: string, message: string, what?: 'key' | 'value') => void

type Bound = {
  readonly pointer: Pointer
  readonly text: string
  readonly least: string
  readonly most: string
}

/** A connection that lives shorter costs more in handshakes than in calls. */
const LEAST_AGE_MS = 10_000

/** Durations and sizes that are neither useless nor endless. */
export function checkBounds(effective: EffectiveConfiguration, tell: Tell): void {
  const { drain, certificates, serviceTokens, userTokens, jwks, limits } = effective
  const durations: Bound[] = [
    { pointer: ['drain', 'timeout'], text: drain.timeout, least: '0s', most: '1h' },
    { pointer: ['drain', 'delay'], text: drain.delay, least: '0s', most: '10m' },
    { pointer: ['certificates', 'maxLifetime'], text: certificates.maxLifetime, least: '1s', most: '100y' },
    { pointer: ['certificates', 'gracePeriod'], text: certificates.gracePeriod, least: '0s', most: '100y' },
    { pointer: ['serviceTokens', 'maxLifetime'], text: serviceTokens.maxLifetime, least: '1s', most: '1h' },
    {
      pointer: ['serviceTokens', 'jwtSvid', 'maxLifetime'],
      text: serviceTokens.jwtSvid.maxLifetime,
      least: '1s',
      most: '24h',
    },
    { pointer: ['userTokens', 'dpop', 'maxAge'], text: userTokens.dpop.maxAge, least: '1s', most: '10m' },
    { pointer: ['userTokens', 'clockSkew'], text: userTokens.clockSkew, least: '0s', most: '5m' },
    { pointer: ['jwks', 'refreshInterval'], text: jwks.refreshInterval, least: '1s', most: '7d' },
    { pointer: ['jwks', 'cooldown'], text: jwks.cooldown, least: '100ms', most: '1h' },
    { pointer: ['jwks', 'maxStale'], text: jwks.maxStale, least: '1s', most: '30d' },
    { pointer: ['jwks', 'timeout'], text: jwks.timeout, least: '10ms', most: '1m' },
    { pointer: ['grants', 'maxDuration'], text: effective.grants.maxDuration, least: '1m', most: '30d' },
    {
      pointer: ['grants', 'breakGlassMaxDuration'],
      text: effective.grants.breakGlassMaxDuration,
      least: '1m',
      most: '24h',
    },
    { pointer: ['limits', 'deadline'], text: limits.deadline, least: '1ms', most: '1m' },
    { pointer: ['limits', 'connectionAge'], text: limits.connectionAge, least: '0s', most: '30d' },
    { pointer: ['limits', 'connectionGrace'], text: limits.connectionGrace, least: '1s', most: '10m' },
    { pointer: ['limits', 'pingAfter'], text: limits.pingAfter, least: '1s', most: '1d' },
    { pointer: ['limits', 'pingWait'], text: limits.pingWait, least: '1s', most: '10m' },
  ]
  const assertion = effective.upstreamAssertion
  if (assertion) {
    const at = (option: string): Pointer => ['upstreamAssertion', option]
    durations.push(
      { pointer: at('lifetime'), text: assertion.lifetime, least: '1s', most: '1h' },
      { pointer: at('reuse'), text: assertion.reuse, least: '0s', most: '30m' },
      { pointer: at('overlap'), text: assertion.overlap, least: '0s', most: '30d' },
    )
    if ((parseDurationMs(assertion.reuse) ?? 0) * 2 > (parseDurationMs(assertion.lifetime) ?? 0)) {
      const message = '`reuse` is longer than half of `lifetime`: upstreams would get what is about to expire'
      tell(at('reuse'), 'out-of-bounds', message)
    }
  }
  durations.push(
    ...boundsOfStore(effective),
    ...boundsOfAlerts(effective),
    ...boundsOfAudit(effective),
    ...boundsOfDetector(effective),
  )
  durations.push(...boundsOfTelemetry(effective))
  for (const bound of durations) within(bound, parseDurationMs, tell)
  for (const bound of sizesOfAudit(effective)) within(bound, parseSizeBytes, tell)
  within(
    { pointer: ['limits', 'maxMessageSize'], text: limits.maxMessageSize, least: '64KiB', most: '64MiB' },
    parseSizeBytes,
    tell,
  )
  within(
    { pointer: ['limits', 'headerSize'], text: limits.headerSize, least: '8KiB', most: '1MiB' },
    parseSizeBytes,
    tell,
  )
  const ageMs = parseDurationMs(limits.connectionAge) ?? 0
  if (ageMs > 0 && ageMs < LEAST_AGE_MS) {
    tell(
      ['limits', 'connectionAge'],
      'out-of-bounds',
      `\`limits.connectionAge\` is \`${limits.connectionAge}\`, must be 0s or at least 10s`,
    )
  }
  if ((parseDurationMs(jwks.maxStale) ?? 0) < (parseDurationMs(jwks.refreshInterval) ?? 0)) {
    tell(
      ['jwks', 'maxStale'],
      'out-of-bounds',
      '`jwks.maxStale` is shorter than `jwks.refreshInterval`: keys would be too old before they are fetched again',
    )
  }
}

function boundsOfStore({ store, onUnavailable }: EffectiveConfiguration): Bound[] {
  const bounds: Bound[] = []
  const add = (pointer: Pointer, text: string | undefined, least: string, most: string): void => {
    if (text !== undefined) bounds.push({ pointer, text, least, most })
  }
  add(['store', 'commandTimeout'], store.commandTimeout, '1ms', '10s')
  add(['store', 'flushInterval'], store.flushInterval, '1ms', '1s')
  add(['onUnavailable', 'for'], onUnavailable.for, '1s', '1h')
  return bounds
}

function boundsOfAlerts({ alerts }: EffectiveConfiguration): Bound[] {
  return alerts.sinks.flatMap(({ timeout }, index) =>
    timeout === undefined
      ? []
      : [{ pointer: ['alerts', 'sinks', index, 'timeout'], text: timeout, least: '100ms', most: '1m' }],
  )
}

/** Options of a sink, with least and most. */
const AUDIT_DURATIONS = [
  ['maxAge', '1s', '10y'],
  ['flushInterval', '1ms', '1m'],
  ['checkpointInterval', '1s', '1d'],
  ['retention', '1h', '100y'],
  ['keyRotation', '1h', '1y'],
  ['timeout', '100ms', '5m'],
] as const
const AUDIT_SIZES = [
  ['maxSize', '64KiB', '10GiB'],
  ['batchSize', '4KiB', '64MiB'],
] as const

function boundsOfAudit({ audit }: EffectiveConfiguration): Bound[] {
  return audit.sinks.flatMap((sink, index) =>
    AUDIT_DURATIONS.flatMap(([option, least, most]) => {
      const text = sink[option]
      return text === undefined ? [] : [{ pointer: ['audit', 'sinks', index, option], text, least, most }]
    }),
  )
}

function boundsOfDetector({ audit: { detector } }: EffectiveConfiguration): Bound[] {
  const at = ['audit', 'detector']
  const { learn, window, lateralMovement } = detector
  return [
    { pointer: [...at, 'learn'], text: learn, least: '0s', most: '90d' },
    { pointer: [...at, 'window'], text: window, least: '1m', most: '1d' },
    {
      pointer: [...at, 'lateralMovement', 'window'],
      text: lateralMovement.window,
      least: '10s',
      most: '1d',
    },
  ]
}

function sizesOfAudit({ audit }: EffectiveConfiguration): Bound[] {
  return audit.sinks.flatMap((sink, index) => {
    const at = ['audit', 'sinks', index]
    const sizes: Bound[] = AUDIT_SIZES.flatMap(([option, least, most]) => {
      const text = sink[option]
      return text === undefined ? [] : [{ pointer: [...at, option], text, least, most }]
    })
    if (sink.spool) {
      const { maxSize } = sink.spool
      sizes.push({ pointer: [...at, 'spool', 'maxSize'], text: maxSize, least: '1MiB', most: '1024GiB' })
    }
    return sizes
  })
}

function within(
  { pointer, text, least, most }: Bound,
  parse: (text: string) => number | undefined,
  tell: Tell,
): void {
  const value = parse(text) ?? NaN
  if (!(value >= (parse(least) ?? NaN) && value <= (parse(most) ?? NaN))) {
    tell(
      pointer,
      'out-of-bounds',
      `\`${pointer.join('.')}\` is \`${text}\`, must be from ${least} to ${most}`,
    )
  }
}
