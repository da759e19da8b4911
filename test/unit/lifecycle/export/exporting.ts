import { type Exported, type ExportFormat, exportPolicy } from '../../../../src/lifecycle/export/export.js'
import { loadPolicy } from '../../../../src/policy/load-policy.js'

const HEAD = 'apiVersion: portcullis.dev/v1beta1\n'

/** A ServicePolicy; `spec` is its YAML in one line. */
export const written = (id: string, spec: string, labels = ''): string => {
  const [namespace, name] = id.split('/')
  const metadata = `{ name: ${name}, namespace: ${namespace}${labels && `, labels: ${labels}`} }`
  return `${HEAD}kind: ServicePolicy\nmetadata: ${metadata}\nspec: ${spec}\n`
}

export const baseline = (spec: string): string =>
  `${HEAD}kind: BaselinePolicy\nmetadata: { name: default }\nspec: ${spec}\n`

export const adaptive = (spec: string): string =>
  `${HEAD}kind: AdaptivePolicy\nmetadata: { name: more }\nspec: ${spec}\n`

export function loaded(...documents: string[]) {
  const read = loadPolicy([{ file: 'p.yaml', text: documents.join('---\n') }], {
    localTrustDomain: 'cluster.local',
    trustDomains: ['partner.example'],
  })
  if (!read.ok) throw new Error(JSON.stringify(read.problems))
  return read
}

/** Of `shop/target`, and of all where `all` is said. */
export function exported(format: ExportFormat, documents: readonly string[], all = false): Exported {
  const { policy, sources } = loaded(...documents)
  const target = policy.matrix.services.get('shop/target')
  return exportPolicy(format, policy, sources, {
    only: all || !target ? undefined : [target],
    podLabel: 'app',
  })
}

/** Why the target can't be said, without the places. */
export const refusals = (format: ExportFormat, documents: readonly string[]): string[] =>
  exported(format, documents).refused.flatMap(({ obstacles }) => obstacles.map(({ message }) => message))
