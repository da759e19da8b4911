import { RE2JS } from '@bufbuild/re2'

const MAX_PATTERN = 256
/** States: the engine writes repetitions out. */
const MAX_SIZE = 1000
const MAX_KEPT = 1000

type Pattern = { readonly test: (text: string) => boolean; readonly stepsPerCharacter: number }

/** Compiled patterns by their text, as policies write them. */
const kept = new Map<string, Pattern>()

/** A regular expression of RE2, which takes linear time; or what is wrong with it. */
export function compilePattern(text: string): Pattern | { readonly problem: string } {
  const known = kept.get(text)
  if (known) return known
  if (text.length > MAX_PATTERN) return { problem: `a pattern longer than ${MAX_PATTERN} characters` }
  const size = sizeOf(text)
  if (size > MAX_SIZE)
    return { problem: `a pattern that is longer than ${MAX_SIZE} with its repetitions written out` }
  let compiled: RE2JS
  try {
    compiled = RE2JS.compile(text)
  } catch (error) {
    if (error instanceof Error) return { problem: error.message }
    throw error
  }
  const pattern: Pattern = {
    test: (value) => compiled.test(value),
    stepsPerCharacter: 2 + size / 32,
  }
  if (kept.size >= MAX_KEPT) kept.clear()
  kept.set(text, pattern)
  return pattern
}

const REPETITION = /\{(\d+)(?:,(\d*))?\}/y
/** An escape, a class, or one other character. */
const ATOM = /\\[xpP]\{[^}]*\}|\\[^]|\[\^?\]?(?:\\[^]|\[:\^?[a-z]+:\]|[^\]\\])*\]|[^]/y

/** About how many states the engine needs, with repetitions written out. */
function sizeOf(text: string): number {
  const groups: { readonly before: number }[] = []
  let size = 0
  let last = 0
  for (let at = 0; at < text.length;) {
    REPETITION.lastIndex = at
    const repetition = REPETITION.exec(text)
    if (repetition) {
      const [whole, from = '1', to = from] = repetition
      const times = Math.max(Number(from), Number(to), 1)
      size += last * (times - 1)
      last *= times
      at += whole.length
      continue
    }
    ATOM.lastIndex = at
    const atom = ATOM.exec(text)?.[0] ?? ''
    at += Math.max(atom.length, 1)
    if (atom === '(') {
      groups.push({ before: size })
      size = 0
      last = 0
    } else if (atom === ')') {
      last = size + 1
      size = (groups.pop()?.before ?? 0) + last
    } else {
      last = 1
      size += 1
    }
  }
  return groups.reduce((sum, { before }) => sum + before, size)
}
