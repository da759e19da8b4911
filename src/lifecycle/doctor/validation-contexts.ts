import { flagOf, isMap, isThere, items, member, textOf, type Part } from './part.js'

export type Contexts = {
  readonly contexts: readonly Part[]
  /** False where a part of them comes from elsewhere and was not seen. */
  readonly complete: boolean
}

/** What a peer's certificate is verified by, with secrets by name where they were seen. */
export function validationContexts(common: Part, secrets: ReadonlyMap<string, Part>): Contexts {
  const combined = member(common, 'combined_validation_context')
  const delivered = [common, combined]
    .map((holder) => member(holder, 'validation_context_sds_secret_config'))
    .filter(isThere)
    .map((sds) => secrets.get(textOf(member(sds, 'name'))))
  const written = [member(common, 'validation_context'), member(combined, 'default_validation_context')]
  const found = delivered.flatMap((secret) => (secret ? [member(secret, 'validation_context')] : []))
  return {
    contexts: [...written, ...found].filter(isMap),
    complete: delivered.every((secret) => secret !== undefined),
  }
}

/** Whether it tells whose certificates are taken. */
export function hasTrust(context: Part): boolean {
  return (
    ['trusted_ca', 'ca_certificate_provider_instance', 'system_root_certs', 'custom_validator_config'].some(
      (field) => isThere(member(context, field)),
    ) || hasPins(context)
  )
}

/** Whether it tells which name of all that are trusted is meant. */
export function namesServer(context: Part): boolean {
  return (
    ['match_typed_subject_alt_names', 'match_subject_alt_names'].some(
      (field) => items(member(context, field)).length > 0,
    ) || hasPins(context)
  )
}

const hasPins = (context: Part): boolean =>
  ['verify_certificate_spki', 'verify_certificate_hash'].some(
    (field) => items(member(context, field)).length > 0,
  )

/** Whether Envoy takes names from the host that a call is for. */
export const isAutomatic = (options: Part, field: string): boolean =>
  flagOf(member(options, 'upstream_http_protocol_options', field)) === true
