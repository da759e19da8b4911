import { isThere, member, textOf, type Part } from './part.js'

/** A message whose type was written beside it. */
export type Typed = {
  /** Without the prefix `type.googleapis.com/`; '' where none was written. */
  readonly type: string
  readonly message: Part
}

const STRUCTS = new Set(['xds.type.v3.TypedStruct', 'udpa.type.v1.TypedStruct'])

/** The message in an Any, also where its fields are carried as a struct. Source: xds.type.v3.TypedStruct. */
export function typed(any: Part): Typed {
  const type = shortType(textOf(member(any, '@type')))
  if (!STRUCTS.has(type)) return { type, message: any }
  return { type: shortType(textOf(member(any, 'type_url'))), message: member(any, 'value') }
}

/** The message of an extension: `{ name, typed_config }`. */
export const typedConfig = (extension: Part): Typed => typed(member(extension, 'typed_config'))

/** An extension and how it is wrapped: a matcher may leave it out for some calls. */
export type Extension = Typed & { readonly behindMatcher: boolean }

const MATCHER = 'envoy.extensions.common.matching.v3.ExtensionWithMatcher'

/** `delivered` are the extensions that came by name from elsewhere (ECDS). */
export function extensionOf(entry: Part, delivered: ReadonlyMap<string, Part>): Extension {
  const name = textOf(member(entry, 'name'))
  const discovery = member(entry, 'config_discovery')
  const found = isThere(discovery) ? delivered.get(name) : undefined
  const config = found
    ? typedConfig(found)
    : isThere(discovery)
      ? typed(member(discovery, 'default_config'))
      : typedConfig(entry)
  if (config.type !== MATCHER) return { ...config, behindMatcher: false }
  return { ...typedConfig(member(config.message, 'extension_config')), behindMatcher: true }
}

function shortType(url: string): string {
  return url.slice(url.lastIndexOf('/') + 1)
}
