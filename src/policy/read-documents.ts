import type { Static, TSchema } from '@sinclair/typebox'
import { nearestName } from '../schema/nearest-name.js'
import type { Pointer, Problem } from '../schema/problem.js'
import { matchesShape, shapeFindings, valueAt } from '../schema/shape.js'
import type { Steps } from '../schema/steps.js'
import { parseYamlDocumentsInSteps, type SourcedDocument } from '../schema/strict-yaml.js'
import { BaselinePolicySchema } from '../segmentation/baseline-policy.js'
import { ServicePolicySchema } from '../segmentation/service-policy.js'
import { API_VERSION } from '../segmentation/vocabulary.js'
import { AdaptivePolicySchema } from '../session/adaptive-schema.js'
import { DataPolicySchema } from '../data/data-schema.js'
import { DevicePolicySchema } from '../device/device-schema.js'
import { RiskPolicySchema } from '../risk/risk-policy.js'
import { API_GROUP, kinds } from './kinds.js'

/** A file's name, as problems and rule sources show it, and its content. */
export type PolicyFile = { readonly file: string; readonly text: string | Uint8Array }

/** A document that fits its kind's schema, and where it was written. */
export type PolicyDocument = { readonly source: SourcedDocument } & (
  | ({ readonly kind: 'ServicePolicy' } & Pick<Static<typeof ServicePolicySchema>, 'metadata' | 'spec'>)
  | ({ readonly kind: 'BaselinePolicy' } & Pick<Static<typeof BaselinePolicySchema>, 'metadata' | 'spec'>)
  | ({ readonly kind: 'AdaptivePolicy' } & Pick<Static<typeof AdaptivePolicySchema>, 'metadata' | 'spec'>)
  | ({ readonly kind: 'RiskPolicy' } & Pick<Static<typeof RiskPolicySchema>, 'metadata' | 'spec'>)
  | ({ readonly kind: 'DevicePolicy' } & Pick<Static<typeof DevicePolicySchema>, 'metadata' | 'spec'>)
  | ({ readonly kind: 'DataPolicy' } & Pick<Static<typeof DataPolicySchema>, 'metadata' | 'spec'>)
)

export type ReadDocuments = {
  readonly documents: readonly PolicyDocument[]
  readonly problems: readonly Problem[]
  /** A document of ours could not be read at all, so what it defines is not known. */
  readonly incomplete: boolean
}

/**
 * Reads the policy documents of files, in the order of their names. Documents of foreign API groups are left
 * out; everything else that is not a sound document of ours is a problem. A document a step.
 */
export function* readDocuments(files: readonly PolicyFile[]): Steps<ReadDocuments> {
  const documents: PolicyDocument[] = []
  const problems: Problem[] = []
  let incomplete = false
  const sorted = [...files].sort((a, b) => (a.file < b.file ? -1 : Number(a.file > b.file)))
  for (const { file, text } of sorted) {
    const parsed = yield* parseYamlDocumentsInSteps(file, text)
    problems.push(...parsed.problems)
    incomplete ||= parsed.problems.length > 0
    for (const source of parsed.documents) {
      yield
      const read = readDocument(source)
      if (read === undefined) continue
      problems.push(...read.problems)
      if (read.document) documents.push(read.document)
      else incomplete = true
    }
  }
  return { documents, problems, incomplete }
}

/** A document with problems is given too where it makes sense without what is wrong in it. */
type Read = { readonly document: PolicyDocument | undefined; readonly problems: readonly Problem[] }

/** Undefined for a document of somebody else's. */
export function readDocument(source: SourcedDocument): Read | undefined {
  const { value } = source
  const refuse = (field: string | undefined, message: string, code: string): Read => ({
    document: undefined,
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
      return fit(ServicePolicySchema, source, ({ metadata, spec }) => ({ source, kind, metadata, spec }))
    case 'BaselinePolicy':
      return fit(BaselinePolicySchema, source, ({ metadata, spec }) => ({ source, kind, metadata, spec }))
    case 'AdaptivePolicy':
      return fit(AdaptivePolicySchema, source, ({ metadata, spec }) => ({ source, kind, metadata, spec }))
    case 'RiskPolicy':
      return fit(RiskPolicySchema, source, ({ metadata, spec }) => ({ source, kind, metadata, spec }))
    case 'DevicePolicy':
      return fit(DevicePolicySchema, source, ({ metadata, spec }) => ({ source, kind, metadata, spec }))
    case 'DataPolicy':
      return fit(DataPolicySchema, source, ({ metadata, spec }) => ({ source, kind, metadata, spec }))
    case undefined:
      return refuse(undefined, '`kind` is missing', 'missing-field')
    default:
      return refuse('kind', unknownKind(kind), 'unknown-kind')
  }
}

/**
 * A document whose only misfits are fields that nobody knows is read on without them, so that whatever else is
 * wrong in it is told in the same round.
 */
function fit<Schema extends TSchema>(
  schema: Schema,
  source: SourcedDocument,
  make: (value: Static<Schema>) => PolicyDocument,
): Read {
  const { value } = source
  if (matchesShape(schema, value)) return { document: make(value), problems: [] }
  const findings = shapeFindings(schema, value)
  const problems = findings
    .filter(({ pointer }) => !source.isReported?.(pointer))
    .map(({ code, message, pointer, what }): Problem => {
      return { severity: 'error', code, message, position: source.positionOf(pointer, what) }
    })
  const sound = findings.every(({ code }) => code === 'unknown-field') ? structuredClone(value) : undefined
  for (const { pointer } of sound === undefined ? [] : findings) removeAt(sound, pointer)
  return { document: matchesShape(schema, sound) ? make(sound) : undefined, problems }
}

function removeAt(root: unknown, pointer: Pointer): void {
  const parent = valueAt(root, pointer.slice(0, -1))
  const name = pointer.at(-1)
  if (typeof parent === 'object' && parent !== null && name !== undefined)
    Reflect.deleteProperty(parent, name)
}

/** Another version of our group, or a kind of ours whose group is misspelt: skipping it would drop its forbids. */
function isMeantAsOurs(apiVersion: string, kind: string | undefined): boolean {
  const slash = apiVersion.indexOf('/')
  const group = slash < 0 ? apiVersion : apiVersion.slice(0, slash)
  if (group === API_GROUP) return true
  const isOurKind = kind !== undefined && kinds.has(kind)
  return isOurKind && nearestName(group, [API_GROUP]) !== undefined
}

function unknownKind(kind: string): string {
  if (kind === 'Configuration') return 'a Configuration belongs in portcullis.yaml, not among policies'
  const near = nearestName(kind, [...kinds.keys()])
  return `no kind \`${kind}\`${near === undefined ? '' : `; did you mean \`${near}\`?`}`
}

function textField(value: object, name: string): string | undefined {
  const field: unknown = Object.entries(value).find(([key]) => key === name)?.[1]
  return typeof field === 'string' ? field : undefined
}
