import type { DataPolicies } from '../../data/data-policy.js'
import type { PolicyDocument } from '../../policy/read-documents.js'
import type { Pointer } from '../../schema/problem.js'
import { matchesShape } from '../../schema/shape.js'
import { type BaselinePolicy, BaselinePolicySchema } from '../../segmentation/baseline-policy.js'
import { compileMatrix } from '../../segmentation/compile.js'
import type { Surroundings } from '../../segmentation/directory.js'
import type { Matrix } from '../../segmentation/matrix.js'
import { type ServicePolicy, ServicePolicySchema } from '../../segmentation/service-policy.js'
import { type Edit, editValue } from './edit.js'

export type Written = ServicePolicy | BaselinePolicy

/** The documents that the matrix is made of, by their index in the load, and the matrix of them. */
export type DraftPolicy = {
  readonly documents: ReadonlyMap<number, Written>
  readonly matrix: Matrix
  readonly around: Around
}

/** What the documents are compiled against. */
export type Around = Surroundings & { readonly dataPolicies: DataPolicies }

/** The policy as its documents say it. Undefined for documents that don't compile. */
export function draftOf(sources: readonly PolicyDocument[], around: Around): DraftPolicy | undefined {
  const documents = new Map<number, Written>()
  for (const [index, { source }] of sources.entries()) {
    const written = asWritten(source.value)
    if (written) documents.set(index, written)
  }
  return compiled(documents, around)
}

/** The policy with changes made to it; undefined where that is no sound policy. */
export function edited(draft: DraftPolicy, edits: readonly Edit[]): DraftPolicy | undefined {
  const documents = new Map(draft.documents)
  for (const edit of edits) {
    const written = asWritten(editValue(documents.get(edit.document), edit))
    if (!written) return undefined
    documents.set(edit.document, written)
  }
  return compiled(documents, draft.around)
}

/** The same policy with every document changed as `change` says. */
export function rewritten(
  draft: DraftPolicy,
  change: (document: Written, index: number) => Written,
): DraftPolicy | undefined {
  const documents = [...draft.documents].map(([index, document]) => [index, change(document, index)] as const)
  return compiled(new Map(documents), draft.around)
}

/** Reads what `sourceOf` wrote: which document, and where in it. */
export function placeOf(source: string | undefined): { document: number; at: Pointer } | undefined {
  const [index, ...steps] = source?.split(SEPARATOR) ?? []
  if (index === undefined || steps.length === 0) return undefined
  return {
    document: Number(index),
    at: steps.map((step) => (/^\d+$/.test(step) ? Number(step) : step)),
  }
}

/** No key of a rule's own place holds it. */
const SEPARATOR = '\n'

function compiled(documents: ReadonlyMap<number, Written>, around: Around): DraftPolicy | undefined {
  const made = compileMatrix({
    ...around,
    documents: [...documents].map(([index, document]) =>
      Object.assign({}, document, {
        index,
        sourceOf: (pointer: Pointer) => [index, ...pointer].join(SEPARATOR),
      }),
    ),
    revision: '',
  })
  return made.ok ? { documents, matrix: made.matrix, around } : undefined
}

function asWritten(value: unknown): Written | undefined {
  if (matchesShape(ServicePolicySchema, value)) return value
  return matchesShape(BaselinePolicySchema, value) ? value : undefined
}

/** The document of a service `namespace/name`, with its index. */
export function documentOf(
  { documents }: Pick<DraftPolicy, 'documents'>,
  id: string | undefined,
): { readonly index: number; readonly written: ServicePolicy } | undefined {
  for (const [index, written] of documents) {
    if (written.kind !== 'ServicePolicy') continue
    if (`${written.metadata.namespace ?? 'default'}/${written.metadata.name}` === id)
      return { index, written }
  }
  return undefined
}
