import { normalize } from 'node:path'
import type { Pointer } from '../schema/problem.js'
import { parseDurationMs } from '../schema/units.js'
import { parseListenAddress } from './address.js'
import { hasDeviceFeed } from './admin.js'
import type { EffectiveConfiguration } from './schema.js'

type Tell = (pointer: Pointer, code: string, message: string, what?: 'key' | 'value') => void

/** The admin API lets in named people only and shows no token to the network; grants end. */
export function checkAdmin(effective: EffectiveConfiguration, tell: Tell): void {
  const { admin, deviceInventory } = effective
  if (admin.listen === '') checkSwitchedOff(admin, tell)
  else checkListening(admin, tell)
  checkNames(admin, tell)
  if (deviceInventory.enabled === true && !hasDeviceFeed(effective)) {
    const message =
      '`deviceInventory.enabled` has nothing to know devices from: configure `admin.listen` or a transmitter of signals'
    tell(['deviceInventory', 'enabled'], 'without-effect', message)
  }
  checkGrants(effective, tell)
}

function checkSwitchedOff({ tokens, clients, tls }: EffectiveConfiguration['admin'], tell: Tell): void {
  const given = { tokens: tokens.length > 0, clients: clients.length > 0, tls: tls !== undefined }
  for (const [option, written] of Object.entries(given)) {
    const message = `\`admin.${option}\` says nothing without \`admin.listen\``
    if (written) tell(['admin', option], 'without-effect', message, 'key')
  }
}

function checkListening({ listen, tokens, clients, tls }: EffectiveConfiguration['admin'], tell: Tell): void {
  if (tokens.length === 0 && clients.length === 0) {
    const message = '`admin.listen` needs `admin.tokens` or `admin.clients`: without them nobody may call'
    tell(['admin', 'listen'], 'actors-missing', message)
  }
  const parsed = parseListenAddress(listen)
  if (parsed.ok && parsed.address.kind === 'tcp' && !isLoopback(parsed.address.host) && !tls) {
    const message = `\`${listen}\` can be reached from elsewhere, where plaintext would show tokens; give \`admin.tls\`, or listen on 127.0.0.1 or [::1]`
    tell(['admin', 'listen'], 'tls-missing', message)
  }
  if (clients.length > 0 && tls?.clientCa === undefined) {
    const message = '`admin.clients` needs `admin.tls.clientCa`: without it no client certificate is verified'
    tell(['admin', 'clients'], 'client-ca-missing', message, 'key')
  }
  if (clients.length === 0 && tls?.clientCa !== undefined) {
    const message = '`admin.tls.clientCa` says nothing without `admin.clients`'
    tell(['admin', 'tls', 'clientCa'], 'without-effect', message, 'key')
  }
}

function checkNames({ tokens, clients }: EffectiveConfiguration['admin'], tell: Tell): void {
  const names = new Set<string>()
  const files = new Set<string>()
  const identities = new Set<string>()
  const once = (seen: Set<string>, value: string, at: Pointer, code: string, what: string): void => {
    if (seen.has(value)) tell(at, code, `${what} is given twice`)
    seen.add(value)
  }
  tokens.forEach(({ name, file }, index) => {
    const at = ['admin', 'tokens', index]
    // Events of two people who differ in case alone would be told apart by nobody.
    once(names, name.toLowerCase(), [...at, 'name'], 'name-twice', `the name \`${name}\``)
    once(files, normalize(file), [...at, 'file'], 'token-twice', `the file \`${file}\``)
  })
  clients.forEach(({ name, identity }, index) => {
    const at = ['admin', 'clients', index]
    once(names, name.toLowerCase(), [...at, 'name'], 'name-twice', `the name \`${name}\``)
    once(identities, identity, [...at, 'identity'], 'identity-twice', `\`${identity}\``)
  })
}

function checkGrants({ grants }: EffectiveConfiguration, tell: Tell): void {
  if ((parseDurationMs(grants.breakGlassMaxDuration) ?? 0) <= (parseDurationMs(grants.maxDuration) ?? 0))
    return
  const message =
    '`breakGlassMaxDuration` is longer than `maxDuration`: a grant without approver would last longest'
  tell(['grants', 'breakGlassMaxDuration'], 'out-of-bounds', message)
}

function isLoopback(host: string): boolean {
  return host === '::1' || host.startsWith('127.')
}
