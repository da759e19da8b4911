import type { Pointer, Problem } from '../schema/problem.js'
import { countOf, type PackedTexts, packTexts, textAt } from '../schema/packed-texts.js'
import type { Steps } from '../schema/steps.js'
import { openMatrix, type PackedMatrix, packMatrix } from '../segmentation/packed-matrix.js'
import {
  compileClassifications,
  compileRest,
  ofKind,
  type PlainDocument,
  type WrittenDocument,
} from './compile-rest.js'
import {
  type LoadedPolicy,
  type LoadOptions,
  type NameOf,
  type Policy,
  relativeTo,
  sourceOf,
  usesGrants,
} from './load-policy.js'
import type { PolicyDocument } from './read-documents.js'

/** A sound policy as plain memory, which one thread makes and another one decides with. */
export type PackedPolicy = {
  readonly matrix: PackedMatrix
  /** Documents of every other kind. */
  readonly others: PackedTexts
  readonly documents: number
  readonly warnings: readonly Problem[]
}

type Sound = Extract<LoadedPolicy, { ok: true }>
type PackedDocument = PlainDocument & {
  /** By pointer, its steps joined by `/`. */
  readonly sources: Readonly<Record<string, string>>
}

/** Takes over the memory of the policy, which must not be used after. */
export function packPolicy({ policy, claims, sources, warnings }: Sound, options: LoadOptions): PackedPolicy {
  const nameOf = relativeTo(options.directory)
  const services = sources.flatMap((document, index) =>
    document.kind === 'ServicePolicy' ? [{ ...document, index, sourceOf: sourceOf(document, nameOf) }] : [],
  )
  const others = sources.filter(({ kind }) => kind !== 'ServicePolicy')
  return {
    matrix: packMatrix(policy.matrix, claims, services),
    others: packTexts(
      others.map((document) => {
        const { kind, metadata, spec } = document
        return JSON.stringify({ kind, metadata, spec, sources: sourcesOf(document, nameOf) })
      }),
    ),
    documents: policy.documents,
    warnings,
  }
}

/** The memory to be handed over rather than copied. */
export function memoryOf({ matrix, others }: PackedPolicy): ArrayBuffer[] {
  const { found, services, calls } = matrix
  return [
    ...[found, services, others].flatMap(({ bytes, offsets }) => [bytes.buffer, offsets.buffer]),
    calls.offsets.buffer,
    calls.targets.buffer,
    calls.limits.buffer,
  ]
}

/** Of the document, of each part of its spec, and of each element of lists among them: where rules begin. */
function sourcesOf(document: PolicyDocument, nameOf: NameOf): Record<string, string> {
  const of = sourceOf(document, nameOf)
  const found: Record<string, string> = Object.create(null)
  const note = (pointer: Pointer): void => {
    found[pointer.join('/')] = of(pointer)
  }
  note([])
  note(['metadata', 'name'])
  for (const [part, value] of Object.entries(document.spec)) {
    note(['spec', part])
    if (Array.isArray(value)) for (const index of value.keys()) note(['spec', part, index])
  }
  return found
}

/** The policy of packed memory, in steps of about a service; its services are compiled when calls first ask for them. */
export function* openPolicyInSteps(
  { matrix: packed, others, documents }: PackedPolicy,
  options: LoadOptions,
): Steps<Policy> {
  const written: WrittenDocument[] = []
  for (let index = 0; index < countOf(others); index++) {
    written.push(unpacked(textAt(others, index)))
    yield
  }
  const classifications = compileClassifications(written)
  const { matrix, directory } = yield* openMatrix(packed, {
    ...options,
    baselines: ofKind(written, 'BaselinePolicy').map((document, index) => Object.assign({ index }, document)),
    dataPolicies: classifications,
  })
  yield
  const { adaptive, risk, device } = compileRest(written, directory, options.hasDevices)
  return {
    matrix,
    adaptive,
    risk,
    device,
    classifications,
    usesGrants: usesGrants(matrix, classifications),
    revision: packed.revision,
    documents,
    inert: [...adaptive.inert, ...device.inert],
  }
}

function unpacked(text: string): WrittenDocument {
  const document: PackedDocument = JSON.parse(text)
  const places = new Map(Object.entries(document.sources))
  const place = (pointer: Pointer): string => {
    const source = places.get(pointer.join('/'))
    if (source === undefined) throw new Error(`no source was packed for ${pointer.join('.')}`)
    return source
  }
  const report = (pointer: Pointer, message: string): never => {
    throw new Error(`a policy that was sound is not: ${pointer.join('.')}: ${message}`)
  }
  return Object.assign(document, { sourceOf: place, report })
}
