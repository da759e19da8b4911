import { kinds } from '../../policy/kinds.js'
import type { PolicyFile } from '../../policy/read-documents.js'
import { nearestName } from '../../schema/nearest-name.js'
import type { Pointer, Position, Problem } from '../../schema/problem.js'
import { checkShape, matchesShape, valueAt } from '../../schema/shape.js'
import { parseYamlDocuments, type SourcedDocument } from '../../schema/strict-yaml.js'
import { API_VERSION } from '../../segmentation/vocabulary.js'
import { type CaseFacts, PolicyTestSchema, type WrittenCase } from './case-schema.js'

/** A case as it was written, with the defaults of its file. */
export type ReadCase = {
  readonly file: string
  /** Name of the document. */
  readonly suite: string
  readonly name: string
  readonly written: WrittenCase
  readonly defaults: CaseFacts
  readonly position: Position
  /** Where a part of the case is written, in the case itself or else in the defaults. */
  readonly positionOf: (pointer: Pointer) => Position
}

export type ReadCases = { readonly cases: readonly ReadCase[]; readonly problems: readonly Problem[] }

const KIND = 'PolicyTest'

/**
 * Reads the cases of files, in the order of their names. Policy documents, configurations and documents of foreign API
 * groups that lie among them are passed over; everything else that is no sound PolicyTest is a problem.
 */
export function readCases(files: readonly PolicyFile[]): ReadCases {
  const cases: ReadCase[] = []
  const problems: Problem[] = []
  const suites = new Map<string, Position>()
  const sorted = [...files].sort((a, b) => (a.file < b.file ? -1 : Number(a.file > b.file)))
  for (const { file, text } of sorted) {
    const parsed = parseYamlDocuments(file, text)
    problems.push(...parsed.problems)
    for (const document of parsed.documents) {
      if (isSomebodyElses(document.value)) continue
      const misfits = checkShape(PolicyTestSchema, document).map((problem) => withKind(problem, document))
      problems.push(...misfits)
      const { value } = document
      if (misfits.length > 0 || !matchesShape(PolicyTestSchema, value)) continue
      const suite = value.metadata.name
      const earlier = suites.get(suite)
      if (earlier) {
        const position = document.positionOf(['metadata', 'name'])
        problems.push(wrong(`a PolicyTest \`${suite}\` stands at ${placeOf(earlier)} already`, position))
      } else suites.set(suite, document.positionOf(['metadata', 'name']))
      const names = new Set<string>()
      for (const [index, written] of value.spec.cases.entries()) {
        const { name } = written
        const position = document.positionOf(['spec', 'cases', index])
        if (names.has(name)) problems.push(wrong(`a second case is named \`${name}\``, position))
        names.add(name)
        const positionOf = placing(document, index)
        cases.push({ file, suite, name, written, defaults: value.spec.defaults ?? {}, position, positionOf })
      }
    }
  }
  if (cases.length === 0 && problems.length === 0) {
    const message = `none of the files holds a case (apiVersion: ${API_VERSION}, kind: ${KIND})`
    problems.push({ severity: 'error', code: 'no-cases', message, position: undefined })
  }
  return { cases, problems }
}

function placing(document: SourcedDocument, index: number): ReadCase['positionOf'] {
  return (pointer) => {
    const own = ['spec', 'cases', index, ...pointer]
    const inherited = ['spec', 'defaults', ...pointer]
    if (valueAt(document.value, own) === undefined && valueAt(document.value, inherited) !== undefined) {
      return document.positionOf(inherited)
    }
    return document.positionOf(own)
  }
}

function isSomebodyElses(value: unknown): boolean {
  const apiVersion = valueAt(value, ['apiVersion'])
  const kind = valueAt(value, ['kind'])
  if (typeof apiVersion !== 'string' || typeof kind !== 'string') return false
  if (kind === KIND) return false
  return kinds.has(kind) || kind === 'Configuration' || !apiVersion.startsWith('portcullis.dev/')
}

/** A kind that is nearly ours is told with the name that was meant. */
function withKind(problem: Problem, document: SourcedDocument): Problem {
  const kind = valueAt(document.value, ['kind'])
  if (typeof kind !== 'string' || kind === KIND) return problem
  const at = document.positionOf(['kind'])
  const { position } = problem
  if (position?.line !== at.line || position.column !== at.column) return problem
  const near = nearestName(kind, [KIND, ...kinds.keys()])
  const hint = near === undefined ? '' : `; did you mean \`${near}\`?`
  return { severity: 'error', code: 'unknown-kind', message: `no kind \`${kind}\`${hint}`, position }
}

export function placeOf({ file, line, column }: Position): string {
  return `${file}:${line}:${column}`
}

function wrong(message: string, position: Position): Problem {
  return { severity: 'error', code: 'duplicate-name', message, position }
}
