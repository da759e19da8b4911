import { parseDurationMs } from '../schema/units.js'
import type { EffectiveConfiguration } from './schema.js'
import { STREAM_DEFAULTS, WEBHOOK_DEFAULTS } from './signal-schema.js'

/** What tells where a client is. */
export type GeoConfig =
  | { readonly kind: 'mmdb'; readonly path: string }
  | { readonly kind: 'table'; readonly path: string }
  /** Lower case; believed on Gateway listeners and from trusted proxies only. */
  | { readonly kind: 'header'; readonly name: string }

export type AlertSinkConfig =
  | { readonly type: 'Log' }
  | {
      readonly type: 'Webhook'
      readonly url: string
      readonly tokenFile: string | undefined
      readonly timeoutMs: number
      /** Attempts after the first. */
      readonly retries: number
    }
  | { readonly type: 'RedisStream'; readonly stream: string; readonly maxLength: number }

/** `at` makes paths absolute. */
export function geoOf(
  geo: EffectiveConfiguration['geo'],
  at: (path: string) => string,
): GeoConfig | undefined {
  if (geo?.mmdb !== undefined) return { kind: 'mmdb', path: at(geo.mmdb) }
  if (geo?.table !== undefined) return { kind: 'table', path: at(geo.table) }
  return geo?.header === undefined ? undefined : { kind: 'header', name: geo.header }
}

/** Throws on what the checks refuse. */
export function alertSinkOf(
  sink: EffectiveConfiguration['alerts']['sinks'][number],
  at: (path: string) => string,
): AlertSinkConfig {
  if (sink.type === 'Log') return { type: 'Log' }
  if (sink.type === 'RedisStream') {
    const { stream = STREAM_DEFAULTS.stream, maxLength = STREAM_DEFAULTS.maxLength } = sink
    return { type: 'RedisStream', stream, maxLength }
  }
  const { url, tokenFile, timeout = WEBHOOK_DEFAULTS.timeout, retries = WEBHOOK_DEFAULTS.retries } = sink
  if (url === undefined) throw new Error('a webhook without `url` passed the checks')
  return {
    type: 'Webhook',
    url,
    tokenFile: tokenFile === undefined ? undefined : at(tokenFile),
    timeoutMs: parseDurationMs(timeout) ?? NaN,
    retries,
  }
}
