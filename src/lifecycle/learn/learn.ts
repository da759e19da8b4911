import { type LoadedPolicy, type LoadOptions, loadPolicy } from '../../policy/load-policy.js'
import { compileMatrix } from '../../segmentation/compile.js'
import type { Matrix } from '../../segmentation/matrix.js'
import { readTrafficLine, type TrafficEvent } from '../traffic.js'
import { Evidence, type LearnOptions } from './evidence.js'
import { type Addition, propose } from './propose.js'
import { type Suspect, Suspicion } from './suspects.js'
import type { WrittenEndpoints } from './untangle.js'
import { writeDocuments, type WrittenFile } from './write-documents.js'

export type PolicyText = { readonly file: string; readonly text: string }

/** The policy that is there; undefined files: none. */
export type Known = {
  readonly matrix: Matrix
  readonly written: ReadonlyMap<string, WrittenEndpoints>
  readonly files: readonly PolicyText[]
}

/** What is known where nobody has written a policy. */
export function nothingWritten(options: LoadOptions): Known {
  const compiled = compileMatrix({ documents: [], dataPolicies: new Map(), revision: '', ...options })
  if (!compiled.ok) throw new Error('a matrix of no documents has problems')
  return { matrix: compiled.matrix, written: new Map(), files: [] }
}

/** What a policy that loads says. */
export function whatIsWritten(
  { policy, sources }: Extract<LoadedPolicy, { ok: true }>,
  files: readonly PolicyText[],
): Known {
  const written = new Map<string, WrittenEndpoints>()
  for (const document of sources) {
    if (document.kind !== 'ServicePolicy') continue
    const { name, namespace = 'default' } = document.metadata
    written.set(`${namespace}/${name}`, document.spec.endpoints ?? [])
  }
  return { matrix: policy.matrix, written, files }
}

/**
 * Reads one line for `take`; gives what keeps it from being read. `withdraw` is told of decisions that were not given,
 * whose events came before.
 */
export function takeLine(
  line: string,
  take: (event: TrafficEvent) => void,
  withdraw?: (decisionId: string) => void,
): string | undefined {
  const read = readTrafficLine(line)
  if (read.kind === 'event') take(read.event)
  else if (read.kind === 'withdrawal') withdraw?.(read.decisionId)
  return read.kind === 'bad' ? read.problem : undefined
}

/**
 * Learns in three readings of the same events: who looks like an attacker; what the others did; whether the result lets
 * all of that pass. `events` is one reading.
 */
export class Lesson {
  readonly suspicion = new Suspicion()
  readonly #known: Known
  readonly #options: LearnOptions
  #suspects: ReadonlyMap<string, Suspect> | undefined
  #evidence: Evidence | undefined

  constructor(known: Known, options: LearnOptions) {
    this.#known = known
    this.#options = options
  }

  get suspects(): ReadonlyMap<string, Suspect> {
    return (this.#suspects ??= this.suspicion.suspects())
  }

  /** The policy that was there. */
  get knownFiles(): readonly PolicyText[] {
    return this.#known.files
  }

  /** Of the second reading. */
  get evidence(): Evidence {
    return (this.#evidence ??= new Evidence(this.#known.matrix, this.suspects, this.#options))
  }

  additions(): readonly Addition[] {
    this.evidence.finish()
    return propose(this.evidence, this.#known.matrix, this.#known.written)
  }

  files(additions: readonly Addition[]): WrittenFile[] {
    const { matrix, files } = this.#known
    const requireOf = (id: string) => matrix.services.get(id)?.require ?? matrix.defaults.require
    return writeDocuments(additions, { files, requireOf })
  }

  /** The policy with what was learned. */
  result(written: readonly WrittenFile[], options: LoadOptions): LoadedPolicy {
    const files = new Map(this.#known.files.map((each) => [each.file, each.text]))
    for (const { file, text } of written) files.set(file, text)
    return loadPolicy(
      [...files].map(([file, text]) => ({ file, text })),
      options,
    )
  }

  /** For the third reading: what it learns is still missing. */
  proof(matrix: Matrix): Evidence {
    return new Evidence(matrix, this.suspects, this.#options, this.evidence)
  }
}
