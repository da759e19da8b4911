import type { Pointer } from '../schema/problem.js'
import { LOOPBACK_HOSTS } from './address.js'
import type { EffectiveConfiguration } from './schema.js'

type Tell = (pointer: Pointer, code: string, message: string, what?: 'key' | 'value') => void
type Sink = EffectiveConfiguration['alerts']['sinks'][number]

/** Whether anything in front of this listener is believed about the client. */
function believesForwarded({ role, trustedProxies }: EffectiveConfiguration['listeners'][number]): boolean {
  return role === 'Gateway' || trustedProxies.length > 0
}

/** Only what a trusted hop says counts, so options about it need one. */
export function checkPlaces({ listeners, geo }: EffectiveConfiguration, tell: Tell): void {
  listeners.forEach((listener, index) => {
    if (listener.trustedHops === 0 || believesForwarded(listener)) return
    tell(
      ['listeners', index, 'trustedHops'],
      'without-effect',
      '`trustedHops` says nothing here: x-forwarded-for counts under `role: Gateway` and from `trustedProxies` only',
      'key',
    )
  })
  if (!geo) return
  const given = [geo.mmdb, geo.table, geo.header].filter((source) => source !== undefined).length
  if (given === 0) tell(['geo'], 'geo-missing', '`geo` needs `mmdb`, `table` or `header`', 'key')
  if (given > 1) {
    tell(['geo'], 'geo-twice', 'places come from one of `mmdb`, `table` and `header`; give one', 'key')
  }
  if (geo.header !== undefined && !listeners.some(believesForwarded)) {
    tell(
      ['geo', 'header'],
      'without-effect',
      '`geo.header` is believed under `role: Gateway` and from `trustedProxies` only, and no listener has either',
      'key',
    )
  }
}

const OPTIONS_OF: Readonly<Record<Sink['type'], readonly (keyof Sink)[]>> = {
  Log: [],
  Webhook: ['url', 'tokenFile', 'timeout', 'retries'],
  RedisStream: ['stream', 'maxLength'],
}
const OPTIONS = [...OPTIONS_OF.Webhook, ...OPTIONS_OF.RedisStream]

export function checkAlerts({ alerts, store }: EffectiveConfiguration, tell: Tell): void {
  const seen = new Set<string>()
  alerts.sinks.forEach((sink, index) => {
    const at = ['alerts', 'sinks', index]
    for (const option of OPTIONS) {
      if (sink[option] === undefined || OPTIONS_OF[sink.type].includes(option)) continue
      tell(
        [...at, option],
        'without-effect',
        `\`${option}\` says nothing under \`type: ${sink.type}\``,
        'key',
      )
    }
    const target = `${sink.type} ${(sink.type === 'Webhook' ? sink.url : sink.stream) ?? ''}`
    if (seen.has(target)) tell([...at, 'type'], 'sink-twice', 'the same sink is given twice')
    seen.add(target)
    if (sink.type === 'RedisStream' && store.type !== 'Redis') {
      tell([...at, 'type'], 'redis-missing', '`type: RedisStream` needs `store.type: Redis`')
    }
    if (sink.type === 'Webhook') checkWebhook(sink.url, at, tell)
  })
}

function checkWebhook(text: string | undefined, at: Pointer, tell: Tell): void {
  if (text === undefined) {
    tell(at, 'url-missing', '`type: Webhook` needs `url`', 'key')
    return
  }
  checkHttpUrl(text, [...at, 'url'], tell)
}

/** https, or http to this machine alone, and no secret in it. */
export function checkHttpUrl(text: string, at: Pointer, tell: Tell): void {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (text.includes('@') && (!url || url.username !== '' || url.password !== '')) {
    tell(at, 'secret-in-url', 'a URL here must not hold a user name or password; use `tokenFile`')
  } else if (!url || !/^https?:$/.test(url.protocol)) {
    tell(at, 'wrong-url', `\`${text}\` is no https URL`)
  } else if (url.protocol === 'http:' && !LOOPBACK_HOSTS.has(url.hostname)) {
    tell(at, 'wrong-url', `\`${text}\` must be https; http is for loopback addresses only`)
  }
}
