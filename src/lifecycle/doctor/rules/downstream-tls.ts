import { mutualTls, TLS_1_3, TRUST, webTls } from '../as-shipped.js'
import { askingChains } from '../asks.js'
import type { Examined } from '../examined.js'
import { flagOf, isThere, member, takenAway, wordOf, type Part } from '../part.js'
import { hasTrust, validationContexts } from '../validation-contexts.js'

const CALLED = 'DownstreamTlsContext'
const TLS_VERSIONS = ['TLS_AUTO', 'TLSv1_0', 'TLSv1_1', 'TLSv1_2', 'TLSv1_3']
const ACCEPTANCE = ['VERIFY_TRUST_CHAIN', 'ACCEPT_UNTRUSTED']

/** What a caller must show before it is heard, chain by chain. */
export function downstreamTls({ asks, setup, tell, unread }: Examined): void {
  for (const chain of askingChains(asks)) {
    const { transport, part, where, listener } = chain
    const mutual = asks.some((ask) => ask.chain === chain && ask.mutual)
    if (transport.kind === 'plain' && listener.open) {
      tell({
        severity: 'error',
        code: 'no-tls',
        message: 'callers come in plaintext',
        why: mutual
          ? 'Nobody shows a certificate, so no workload is known, and anybody on the way reads and changes calls.'
          : 'Anybody on the way reads tokens and uses them.',
        where,
        at: member(part, 'transport_socket'),
        fix: { into: part, called: 'filter chain', set: { transport_socket: mutual ? mutualTls : webTls } },
      })
    }
    if (transport.kind === 'other') unread(`the transport of ${where} (${transport.type || 'of no type'})`)
    if (transport.kind !== 'tls') continue
    const { context } = transport
    const version = member(context, 'common_tls_context', 'tls_params', 'tls_minimum_protocol_version')
    if (!transport.quic && wordOf(version, TLS_VERSIONS) !== 'TLSv1_3') {
      tell({
        severity: 'warning',
        code: 'tls-version',
        message: 'TLS older than 1.3 is accepted',
        why: 'Before 1.3 certificates are readable on the way, and weak ciphers can be chosen.',
        where,
        at: version,
        fix: { into: context, called: CALLED, set: { common_tls_context: { tls_params: TLS_1_3 } } },
      })
    }
    if (mutual) mutualChain(context, where, setup.secrets, tell)
  }
}

function mutualChain(
  context: Part,
  where: string,
  secrets: ReadonlyMap<string, Part>,
  tell: Examined['tell'],
): void {
  const required = member(context, 'require_client_certificate')
  if (flagOf(required) !== true) {
    tell({
      severity: 'error',
      code: 'client-certificate',
      message: 'a client certificate is not required',
      why: 'A caller without one gets as far as Portcullis and, on a Permissive listener, past it with a token alone.',
      where,
      at: required,
      fix: { into: context, called: CALLED, set: { require_client_certificate: true } },
    })
  }
  trustAnchors(context, where, secrets, tell)
  const resumption = ['disable_stateless_session_resumption', 'disable_stateful_session_resumption']
    .map((field) => member(context, field))
    .find((flag) => flagOf(flag) !== true)
  if (!resumption) return
  tell({
    severity: 'warning',
    code: 'session-resumption',
    message: 'TLS sessions can be resumed',
    why: 'A resumed session keeps the certificate that it began with, whatever was revoked or replaced since.',
    where,
    at: resumption,
    fix: {
      into: context,
      called: CALLED,
      set: { disable_stateless_session_resumption: true, disable_stateful_session_resumption: true },
    },
  })
}

function trustAnchors(
  context: Part,
  where: string,
  secrets: ReadonlyMap<string, Part>,
  tell: Examined['tell'],
): void {
  const common = member(context, 'common_tls_context')
  const { contexts, complete } = validationContexts(common, secrets)
  const finding = {
    severity: 'error',
    code: 'trust-anchors',
    where,
  } as const
  if (complete && !contexts.some(hasTrust)) {
    tell({
      ...finding,
      message: 'there is nothing that a client certificate is verified against',
      why: 'Envoy takes any certificate, also one that the caller made itself.',
      at: contexts[0] ?? common,
      fix: {
        into: common,
        called: `common_tls_context of ${CALLED}`,
        set: { ...takenAway(common, 'validation_context', 'combined_validation_context'), ...TRUST },
      },
    })
  }
  for (const each of contexts) {
    for (const [field, isBad] of [
      ['trust_chain_verification', (flag: Part) => wordOf(flag, ACCEPTANCE) === 'ACCEPT_UNTRUSTED'],
      ['allow_expired_certificate', (flag: Part) => flagOf(flag) === true],
    ] as const) {
      const at = member(each, field)
      if (!isThere(at) || !isBad(at)) continue
      tell({
        ...finding,
        message: `${field} lets in certificates that do not verify`,
        why: 'Envoy opens the connection for a caller whose certificate is worth nothing.',
        at,
        fix: { into: each, called: 'validation context', set: { [field]: null } },
      })
    }
  }
}
