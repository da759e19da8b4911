import { Type } from '@sinclair/typebox'
import { Fields } from '../schema/fields.js'
import type { Pointer } from '../schema/problem.js'
import { parseListenAddress } from './address.js'
import { path } from './fields.js'
import type { EffectiveConfiguration } from './schema.js'

/** Judges custom resources before they are stored. */
export const WebhookSchema = Fields(
  {
    listen: Type.String({
      default: '',
      description:
        'IP address and port of the validating webhook, which judges custom resources before they are stored; "" switches it off.',
    }),
    certificate: Type.Optional(path('PEM file of the certificate chain, leaf first. Watched.')),
    key: Type.Optional(path('PEM file of its private key. Watched.')),
  },
  { default: {}, description: 'The validating webhook for custom resources. TLS only.' },
)

export type WebhookConfig = {
  /** `host` is an IP address without brackets. */
  readonly listen: { readonly host: string; readonly port: number }
  readonly certificate: string
  readonly key: string
}

/** Undefined: off. `at` makes paths absolute. Throws on what the checks refuse. */
export function webhookOf(
  { listen, certificate, key }: EffectiveConfiguration['webhook'],
  at: (path: string) => string,
): WebhookConfig | undefined {
  if (listen === '') return undefined
  const parsed = parseListenAddress(listen)
  if (!parsed.ok || parsed.address.kind !== 'tcp' || certificate === undefined || key === undefined)
    throw new Error('a wrong webhook passed the checks')
  const { host, port } = parsed.address
  return { listen: { host, port }, certificate: at(certificate), key: at(key) }
}

/** Kubernetes calls webhooks over TLS alone, and there is nothing to judge where policy comes from files. */
export function checkWebhook(
  { webhook, policy }: EffectiveConfiguration,
  tell: (pointer: Pointer, code: string, message: string, what?: 'key' | 'value') => void,
): void {
  for (const option of ['certificate', 'key'] as const) {
    if (webhook.listen === '' && webhook[option] !== undefined) {
      const message = `\`webhook.${option}\` says nothing without \`webhook.listen\``
      tell(['webhook', option], 'without-effect', message, 'key')
    }
    if (webhook.listen !== '' && webhook[option] === undefined) {
      const message = `\`webhook.listen\` needs \`webhook.${option}\`: Kubernetes calls webhooks over TLS alone`
      tell(['webhook', 'listen'], 'tls-missing', message)
    }
  }
  if (webhook.listen !== '' && !policy.kubernetes) {
    const message = '`webhook.listen` has no custom resources to judge: policy comes from files'
    tell(['webhook', 'listen'], 'without-effect', message)
  }
}
