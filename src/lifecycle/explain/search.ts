import { type LoadOptions, loadPolicy, type Policy } from '../../policy/load-policy.js'
import type { PolicyDocument, PolicyFile } from '../../policy/read-documents.js'
import type { Facts } from '../../segmentation/facts.js'
import { type Asked, factsOn, verdictOn } from './asked.js'
import { candidates } from './candidates.js'
import { type DraftPolicy, edited } from './draft-policy.js'
import type { Edit } from './edit.js'
import { compare, type Compared, type Way } from './opened.js'
import { focused } from './focus.js'
import { unifiedDiff } from './unified-diff.js'
import { spliceYaml } from './yaml-splice.js'

/** The policy as it was loaded, and from what. */
export type Loaded = {
  readonly policy: Policy
  readonly sources: readonly PolicyDocument[]
  readonly files: readonly PolicyFile[]
  readonly options: LoadOptions
}

/** A change of the documents after which the matrix lets the call in: proven on the reloaded text. */
export type Change = {
  readonly edits: readonly Edit[]
  readonly diff: string
  /** Whole texts of the changed files. */
  readonly files: readonly { readonly file: string; readonly text: string }[]
  /** All that it opens else; nothing is lost by it. */
  readonly gained: readonly Way[]
  /** False where there was too much to look at: it may open more, or take something away. */
  readonly complete: boolean
  readonly policy: Policy
}

const MOST_TRIES = 500
/** Changes of two places are tried on those of one that get further, of which only so many. */
const MOST_STARTS = 8
const MOST_COMPARED = 6
const MOST_CHANGES = 3

type Try = { readonly edits: readonly Edit[]; readonly draft: DraftPolicy; readonly facts: Facts }

/** The smallest changes that let a refused call in, by the number of edits and then by how much else they open. */
export function findChanges(draft: DraftPolicy, asked: Asked, loaded: Loaded): readonly Change[] {
  const facts = factsOn(draft.matrix, asked)
  if (!facts || verdictOn(draft.matrix, facts).verdict.permit) return []
  const compared: (Try & Pick<Compared, 'gained' | 'complete'>)[] = []
  for (const { edits } of solutionsOf(focused(draft, facts) ?? draft, asked).slice(0, MOST_COMPARED)) {
    const solution = triedOn(draft, edits, asked)
    if (!solution) continue
    const { gained, lost, complete } = compare(draft, solution.draft, edits, facts)
    if (lost.length > 0) continue
    compared.push({ ...solution, gained, complete })
  }
  compared.sort((a, b) => Number(b.complete) - Number(a.complete) || weight(a) - weight(b))
  const changes: Change[] = []
  for (const solution of compared) {
    if (changes.length >= MOST_CHANGES) break
    const change = proven(solution, asked, loaded)
    const { gained, complete } = solution
    if (change) changes.push({ ...change, gained, complete })
  }
  return changes
}

/** Undefined where the call stays refused. */
function triedOn(draft: DraftPolicy, edits: readonly Edit[], asked: Asked): Try | undefined {
  const next = edited(draft, edits)
  const facts = next && factsOn(next.matrix, asked)
  if (!next || !facts || !verdictOn(next.matrix, facts).verdict.permit) return undefined
  return { edits, draft: next, facts }
}

function solutionsOf(draft: DraftPolicy, asked: Asked): Try[] {
  const facts = factsOn(draft.matrix, asked)
  if (!facts) return []
  let tries = 0
  const solved: Try[] = []
  let starts: Try[] = [{ edits: [], draft, facts }]
  for (let round = 0; round < 2 && solved.length === 0; round++) {
    const further: Try[] = []
    for (const start of starts.slice(0, MOST_STARTS)) {
      const { verdict, of } = verdictOn(start.draft.matrix, start.facts)
      if (round > 0 && !verdict.permit && verdict.refusal.reason === 'caller-unknown') continue
      for (const edit of candidates(start.draft, of, verdict)) {
        if (++tries > MOST_TRIES) return solved
        const next = edited(start.draft, [edit])
        const nextFacts = next && factsOn(next.matrix, asked)
        if (!next || !nextFacts) continue
        const after = verdictOn(next.matrix, nextFacts).verdict
        const found: Try = { edits: [...start.edits, edit], draft: next, facts: nextFacts }
        if (after.permit) solved.push(found)
        else if (!verdict.permit && after.refusal.message !== verdict.refusal.message) further.push(found)
      }
    }
    starts = further
  }
  return solved
}

function weight({ gained, edits }: Pick<Compared, 'gained'> & Pick<Try, 'edits'>): number {
  const removal = edits.some(({ op }) => op === 'remove') ? 0.5 : 0
  return gained.length + removal
}

function proven(
  { edits, draft }: Try,
  asked: Asked,
  { sources, files, options }: Loaded,
): Pick<Change, 'edits' | 'diff' | 'files' | 'policy'> | undefined {
  const texts = new Map(files.map(({ file, text }) => [file, textOf(text)]))
  const changed = new Map<string, string>()
  const moved: { file: string; line: number; by: number }[] = []
  for (const edit of edits) {
    const position = sources[edit.document]?.source.positionOf([])
    const text = position && texts.get(position.file)
    if (!position || text === undefined) return undefined
    const { file, line } = position
    const by = moved.reduce((sum, move) => (move.file === file && move.line < line ? sum + move.by : sum), 0)
    const next = spliceYaml(text, line + by, edit)
    if (next === undefined) return undefined
    texts.set(file, next)
    changed.set(file, next)
    moved.push({ file, line, by: linesIn(next) - linesIn(text) })
  }
  const reloaded = loadPolicy(
    files.map(({ file, text }) => ({ file, text: changed.get(file) ?? text })),
    options,
  )
  if (!reloaded.ok) return undefined
  // What was tried is what is written.
  for (const { document } of edits) {
    const written = JSON.stringify(reloaded.sources[document]?.source.value)
    if (written !== JSON.stringify(draft.documents.get(document))) return undefined
  }
  const facts = factsOn(reloaded.policy.matrix, asked)
  if (!facts || !verdictOn(reloaded.policy.matrix, facts).verdict.permit) return undefined
  const shown = [...changed].map(([file, text]) => ({ file, text }))
  const diff = shown
    .map(({ file, text }) => {
      const before = files.find((each) => each.file === file)?.text ?? ''
      return unifiedDiff(nameFrom(options.directory, file), textOf(before), text)
    })
    .join('')
  return { edits, diff, files: shown, policy: reloaded.policy }
}

function textOf(text: string | Uint8Array): string {
  return typeof text === 'string' ? text : new TextDecoder('utf-8', { ignoreBOM: true }).decode(text)
}

function linesIn(text: string): number {
  return text.split('\n').length
}

function nameFrom(directory: string | undefined, file: string): string {
  const prefix = directory === undefined || directory.endsWith('/') ? (directory ?? '') : `${directory}/`
  return (file.startsWith(prefix) ? file.slice(prefix.length) : file).replace(/^\/+/, '')
}
