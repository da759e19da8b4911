import { parseDurationMs } from '../schema/units.js'
import { parseListenAddress } from './address.js'
import type { EffectiveConfiguration } from './schema.js'

type Role = EffectiveConfiguration['admin']['tokens'][number]['role']

export type AdminConfig = {
  /** `host` is an IP address without brackets. */
  readonly listen: { readonly host: string; readonly port: number }
  /** Undefined: plaintext, on loopback. */
  readonly tls:
    { readonly certificate: string; readonly key: string; readonly clientCa: string | undefined } | undefined
  readonly tokens: readonly { readonly name: string; readonly file: string; readonly role: Role }[]
  /** `identity`: a SPIFFE ID. */
  readonly clients: readonly { readonly name: string; readonly identity: string; readonly role: Role }[]
}

export type GrantsConfig = { readonly maxDurationMs: number; readonly breakGlassMaxDurationMs: number }

/** Undefined: off. `at` makes paths absolute. Throws on what the checks refuse. */
export function adminOf(
  { listen, tls, tokens, clients }: EffectiveConfiguration['admin'],
  at: (path: string) => string,
): AdminConfig | undefined {
  if (listen === '') return undefined
  const parsed = parseListenAddress(listen)
  if (!parsed.ok || parsed.address.kind !== 'tcp') throw new Error('a wrong address passed the checks')
  const { host, port } = parsed.address
  return {
    listen: { host, port },
    tls: tls && {
      certificate: at(tls.certificate),
      key: at(tls.key),
      clientCa: tls.clientCa === undefined ? undefined : at(tls.clientCa),
    },
    tokens: tokens.map(({ name, file, role }) => ({ name, file: at(file), role })),
    clients,
  }
}

/** Whether something can tell of devices: the admin API, or a transmitter of signals. */
export function hasDeviceFeed({ admin, ssf }: EffectiveConfiguration): boolean {
  return admin.listen !== '' || ssf.transmitters.length > 0
}

export function grantsOf({
  maxDuration,
  breakGlassMaxDuration,
}: EffectiveConfiguration['grants']): GrantsConfig {
  return {
    maxDurationMs: parseDurationMs(maxDuration) ?? NaN,
    breakGlassMaxDurationMs: parseDurationMs(breakGlassMaxDuration) ?? NaN,
  }
}
