import type { Ask } from '../asks.js'
import type { Examined } from '../examined.js'
import { flagOf, member, numberOf, wordOf, type Part } from '../part.js'

const CALLED = 'HTTP connection manager'
const AS_IT_IS = {
  normalize_path: false,
  merge_slashes: false,
  path_with_escaped_slashes_action: 'KEEP_UNCHANGED',
}
const NORMALISED = {
  normalize_path: true,
  merge_slashes: true,
  path_with_escaped_slashes_action: 'REJECT_REQUEST',
}
const ESCAPED_SLASHES = [
  'IMPLEMENTATION_SPECIFIC_DEFAULT',
  'KEEP_UNCHANGED',
  'REJECT_REQUEST',
  'UNESCAPE_AND_REDIRECT',
  'UNESCAPE_AND_FORWARD',
]

/** Each HTTP connection manager that asks, once. */
function* asking(asks: readonly Ask[]): Iterable<Ask & { readonly manager: Part; readonly place: string }> {
  const seen = new Set<unknown>()
  for (const ask of asks) {
    if (!ask.http || seen.has(ask.http)) continue
    seen.add(ask.http)
    yield { ...ask, manager: ask.http.part, place: ask.http.where }
  }
}

/**
 * Either every part of a path stays as it came, and Portcullis refuses what can be read in two ways, or Envoy
 * normalises all of it. What is left open is the choice of a build or of the runtime.
 */
export function pathNormalisation({ asks, tell }: Examined): void {
  for (const { manager, place } of asking(asks)) {
    const normalise = flagOf(member(manager, 'normalize_path'))
    // Envoy does not print what is false.
    const merge =
      flagOf(member(manager, 'merge_slashes')) ?? (manager.source.printedByEnvoy ? false : undefined)
    const escaped = wordOf(member(manager, 'path_with_escaped_slashes_action'), ESCAPED_SLASHES)
    const open = [
      normalise === undefined ? 'normalize_path' : '',
      merge === undefined ? 'merge_slashes' : '',
      escaped === '' || escaped === ESCAPED_SLASHES[0] ? 'path_with_escaped_slashes_action' : '',
    ].filter((name) => name !== '')
    if (open.length === 0 && normalise === merge) continue
    const isOff =
      normalise === true
        ? 'normalize_path is true and merge_slashes is not'
        : 'merge_slashes is true and normalize_path is not'
    tell({
      severity: 'warning',
      code: 'path-normalisation',
      message: open.length > 0 ? `${open.join(', ')} ${open.length > 1 ? 'are' : 'is'} left open` : isOff,
      why:
        open.length > 0
          ? "Envoy's build or its runtime then decides what a path becomes, so the routes, Portcullis and the application may each read another one."
          : 'A path is normalised by half: what another spelling of it means depends on who reads it.',
      where: place,
      at: member(manager, open[0] ?? (normalise === true ? 'merge_slashes' : 'normalize_path')),
      fix: { into: manager, called: CALLED, set: normalise === true ? NORMALISED : AS_IT_IS },
    })
  }
}

const FORWARDING = ['SANITIZE', 'FORWARD_ONLY', 'APPEND_FORWARD', 'SANITIZE_SET', 'ALWAYS_FORWARD_ONLY']

export function forwardedCertificate({ asks, tell }: Examined): void {
  for (const { manager, place, mutual, chain } of asking(asks)) {
    const at = member(manager, 'forward_client_cert_details')
    const mode = wordOf(at, FORWARDING)
    const proven =
      chain.transport.kind === 'tls' &&
      flagOf(member(chain.transport.context, 'require_client_certificate')) === true
    const bad =
      mode === 'ALWAYS_FORWARD_ONLY' || mode === 'FORWARD_ONLY' || (mode === 'APPEND_FORWARD' && !proven)
    if (!bad) continue
    tell({
      severity: 'error',
      code: 'forwarded-certificate',
      message: `forward_client_cert_details is ${mode}`,
      why:
        mode === 'APPEND_FORWARD'
          ? 'Callers need no certificate here, so the x-forwarded-client-cert that they write themselves goes on as it came.'
          : "The x-forwarded-client-cert that a caller writes goes on as this Envoy's word about who calls.",
      where: place,
      at,
      fix: {
        into: manager,
        called: CALLED,
        set: mutual
          ? {
              forward_client_cert_details: 'SANITIZE_SET',
              set_current_client_cert_details: { uri: true, chain: true },
            }
          : { forward_client_cert_details: 'SANITIZE' },
      },
    })
  }
}

/** At a gateway, where clients are users. */
export function clientAddress({ asks, trustedHops, tell }: Examined): void {
  for (const { manager, place, mutual } of asking(asks)) {
    if (mutual) continue
    const own = member(manager, 'use_remote_address')
    if (flagOf(own) !== true) {
      tell({
        severity: 'warning',
        code: 'client-address',
        message: 'use_remote_address is not true',
        why: 'No client certificate is asked for here, so these are users: the address in x-forwarded-for is what they write, and Portcullis refuses to take it for theirs. If workloads call here, ask for their certificates.',
        where: place,
        at: own,
        fix: { into: manager, called: CALLED, set: { use_remote_address: true } },
      })
    }
    const hops = member(manager, 'xff_num_trusted_hops')
    if ((numberOf(hops) ?? 0) === trustedHops) continue
    tell({
      severity: 'warning',
      code: 'client-address',
      message: `xff_num_trusted_hops is ${numberOf(hops) ?? 0}, and trustedHops of Portcullis ${trustedHops}`,
      why: 'They name the same proxies. Where they differ, one of them takes a proxy for the client or a client for a proxy.',
      where: place,
      at: hops,
      fix: {
        into: manager,
        called: `${CALLED}; or set trustedHops of the listener in portcullis.yaml`,
        set: { xff_num_trusted_hops: trustedHops },
      },
    })
  }
}

const UNDERSCORES = ['ALLOW', 'REJECT_REQUEST', 'DROP_HEADER']

export function underscoreHeaders({ asks, tell }: Examined): void {
  for (const { manager, place, mutual } of asking(asks)) {
    const at = member(manager, 'common_http_protocol_options', 'headers_with_underscores_action')
    const action = wordOf(at, UNDERSCORES)
    if (mutual || action === 'REJECT_REQUEST' || action === 'DROP_HEADER') continue
    tell({
      severity: 'warning',
      code: 'underscore-headers',
      message: 'headers with underscores are let in',
      why: 'Some applications read x_user_id as x-user-id, and so a name that a user wrote as one that Portcullis set.',
      where: place,
      at,
      fix: {
        into: manager,
        called: CALLED,
        set: { common_http_protocol_options: { headers_with_underscores_action: 'REJECT_REQUEST' } },
      },
    })
  }
}
