import { pluralOf, customResourceDefinitions } from '../../src/policy/resources/crds.js'
import { writeManifest } from '../../src/policy/resources/manifest.js'
import { kinds } from '../../src/policy/kinds.js'

/** Where the definitions lie. */
export const CRD_FOLDER = 'k8s/base/crds/'

/** Text of every file of the folder that the schemas write, by name. */
export function crdFiles(): ReadonlyMap<string, string> {
  const definitions = customResourceDefinitions()
  return new Map(
    [...kinds.keys()].map((kind, index) => {
      const definition = definitions[index]
      if (!definition) throw new Error(`no definition of ${kind}`)
      const head = '# Written by `make docs` from the schemas that `portcullis lint` checks with.\n'
      return [`${pluralOf(kind)}.yaml`, `${head}${writeManifest(definition)}`]
    }),
  )
}
