import { isPair, isScalar, parseDocument, visit } from 'yaml'

/** What one instance of a shipped file has other than the file says. Everything not named here stays. */
export type Substitutions = {
  /** By host name or address, of every `address:`. */
  readonly addresses: ReadonlyMap<string, string>
  /** By number, of every `port_value:`. */
  readonly ports?: ReadonlyMap<number, number>
  /** Stands in for `/etc/portcullis` at the beginning of any path. */
  readonly directory: string
  /** Any other whole value, for example `payment-service`. Each must occur. */
  readonly names?: ReadonlyMap<string, string>
}

export const SHIPPED_DIRECTORY = '/etc/portcullis'

/**
 * A shipped YAML file with the addresses, ports, paths and names of one instance, comments and all.
 * Throws when the file is no YAML or a name does not occur in it, since the instance would not be what was meant.
 */
export function renderShipped(yaml: string, substitutions: Substitutions): string {
  const { addresses, ports, directory, names } = substitutions
  const document = parseDocument(yaml)
  if (document.errors.length > 0) throw document.errors[0]!
  const found = new Set<string>()
  visit(document, {
    Scalar(key, scalar, path) {
      const { value } = scalar
      const parent = path.at(-1)
      const field = key === 'value' && isPair(parent) && isScalar(parent.key) ? parent.key.value : undefined
      if (typeof value === 'number' && field === 'port_value') scalar.value = ports?.get(value) ?? value
      if (typeof value !== 'string' || key === 'key') return
      const name = names?.get(value)
      if (name !== undefined) {
        found.add(value)
        scalar.value = name
      } else if (field === 'address') {
        scalar.value = addresses.get(value) ?? value
      } else if (value === SHIPPED_DIRECTORY || value.startsWith(`${SHIPPED_DIRECTORY}/`)) {
        scalar.value = directory + value.slice(SHIPPED_DIRECTORY.length)
      }
    },
  })
  for (const name of names?.keys() ?? []) {
    if (!found.has(name)) throw new Error(`the shipped file has no value ${name}`)
  }
  return document.toString({ lineWidth: 0 })
}
