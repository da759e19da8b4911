import type { Static } from '@sinclair/typebox'
import { nearestName } from '../schema/nearest-name.js'
import type { Problem } from '../schema/problem.js'
import { checkShape, matchesShape } from '../schema/shape.js'
import { parseYamlDocuments, type SourcedDocument } from '../schema/strict-yaml.js'
import { BaselinePolicySchema } from '../segmentation/baseline-policy.js'
import { ServicePolicySchema } from '../segmentation/service-policy.js'
import { API_VERSION } from '../segmentation/vocabulary.js'
import { AdaptivePolicySchema } from '../session/adaptive-schema.js'
import { API_GROUP, kinds, UNSUPPORTED_KINDS } from './kinds.js'

/** A file's name, as problems and rule sources show it, and its content. */
export type PolicyFile = { readonly file: string; readonly text: string | Uint8Array }

/** A document that fits its kind's schema, and where it was written. */
export type PolicyDocument = { readonly source: SourcedDocument } & (
  | ({ readonly kind: 'ServicePolicy' } & Pick<Static<typeof ServicePolicySchema>, 'metadata' | 'spec'>)
  | ({ readonly kind: 'BaselinePolicy' } & Pick<Static<typeof BaselinePolicySchema>, 'metadata' | 'spec'>)
  | ({ readonly kind: 'AdaptivePolicy' } & Pick<Static<typeof AdaptivePolicySchema>, 'metadata' | 'spec'>)
)

export type ReadDocuments = {
  readonly documents: readonly PolicyDocument[]
  readonly problems: readonly Problem[]
}

/**
 * Reads the policy documents of files, in the order of their names. Documents of foreign API groups are left
 * out; everything else that is not a sound document of ours is a problem.
 */
export function readDocuments(files: readonly PolicyFile[]): ReadDocuments {
  const documents: PolicyDocument[] = []
  const problems: Problem[] = []
  const sorted = [...files].sort((a, b) => (a.file < b.file ? -1 : Number(a.file > b.file)))
  for (const { file, text } of sorted) {
    const parsed = parseYamlDocuments(file, text)
    problems.push(...parsed.problems)
    for (const source of parsed.documents) {
      const read = readDocument(source)
      if (read === undefined) continue
      if ('kind' in read) documents.push(read)
      else problems.push(...read.problems)
    }
  }
  return { documents, problems }
}

type Refused = { readonly problems: readonly Problem[] }

/** Undefined for a document of somebody else's. */
function readDocument(source: SourcedDocument): PolicyDocument | Refused | undefined {
  const { value } = source
  const refuse = (field: string | undefined, message: string, code: string): Refused => ({
    problems: [
      { severity: 'error', code, message, position: source.positionOf(field === undefined ? [] : [field]) },
    ],
  })
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return refuse(undefined, 'a document holds apiVersion, kind, metadata and spec', 'wrong-type')
  }
  const apiVersion = textField(value, 'apiVersion')
  const kind = textField(value, 'kind')
  if (apiVersion === undefined) {
    return refuse(undefined, `\`apiVersion: ${API_VERSION}\` is missing`, 'missing-field')
  }
  if (apiVersion !== API_VERSION) {
    return isMeantAsOurs(apiVersion, kind)
      ? refuse('apiVersion', `not \`${apiVersion}\`: this version reads \`${API_VERSION}\``, 'wrong-version')
      : undefined
  }
  switch (kind) {
    case 'ServicePolicy':
      return matchesShape(ServicePolicySchema, value)
        ? { source, kind, metadata: value.metadata, spec: value.spec }
        : { problems: checkShape(ServicePolicySchema, source) }
    case 'BaselinePolicy':
      return matchesShape(BaselinePolicySchema, value)
        ? { source, kind, metadata: value.metadata, spec: value.spec }
        : { problems: checkShape(BaselinePolicySchema, source) }
    case 'AdaptivePolicy':
      return matchesShape(AdaptivePolicySchema, value)
        ? { source, kind, metadata: value.metadata, spec: value.spec }
        : { problems: checkShape(AdaptivePolicySchema, source) }
    case undefined:
      return refuse(undefined, '`kind` is missing', 'missing-field')
    default:
      return UNSUPPORTED_KINDS.has(kind)
        ? refuse('kind', `${kind} is not supported by this version`, 'not-supported')
        : refuse('kind', unknownKind(kind), 'unknown-kind')
  }
}

/** Another version of our group, or a kind of ours whose group is misspelt: skipping it would drop its forbids. */
function isMeantAsOurs(apiVersion: string, kind: string | undefined): boolean {
  const slash = apiVersion.indexOf('/')
  const group = slash < 0 ? apiVersion : apiVersion.slice(0, slash)
  if (group === API_GROUP) return true
  const isOurKind = kind !== undefined && (kinds.has(kind) || UNSUPPORTED_KINDS.has(kind))
  return isOurKind && nearestName(group, [API_GROUP]) !== undefined
}

function unknownKind(kind: string): string {
  if (kind === 'Configuration') return 'a Configuration belongs in portcullis.yaml, not among policies'
  const near = nearestName(kind, [...kinds.keys(), ...UNSUPPORTED_KINDS])
  return `no kind \`${kind}\`${near === undefined ? '' : `; did you mean \`${near}\`?`}`
}

function textField(value: object, name: string): string | undefined {
  const field: unknown = Object.entries(value).find(([key]) => key === name)?.[1]
  return typeof field === 'string' ? field : undefined
}
