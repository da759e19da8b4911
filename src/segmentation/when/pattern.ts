/**
 * Compiles what `values` and `notValues` list: exact text, `prefix*`, `*suffix`, or `*` for anything but ''.
 * Whether one of them matches costs one set look-up plus one comparison for each pattern with a star.
 */
export function compilePatterns(written: readonly string[]): (text: string) => boolean {
  const exact = new Set<string>()
  const starts: string[] = []
  const ends: string[] = []
  let anything = false
  for (const pattern of written) {
    if (pattern === '*') anything = true
    else if (pattern.endsWith('*')) starts.push(pattern.slice(0, -1))
    else if (pattern.startsWith('*')) ends.push(pattern.slice(1))
    else exact.add(pattern)
  }
  return (text) =>
    exact.has(text) ||
    (anything && text !== '') ||
    starts.some((start) => text.startsWith(start)) ||
    ends.some((end) => text.endsWith(end))
}

/** A star stands for the rest of the text, so there is one, at one end. */
export function patternProblem(written: string): string | undefined {
  const star = written.indexOf('*')
  if (star < 0 || written === '*') return undefined
  const atOneEnd = star === written.lastIndexOf('*') && (star === 0 || star === written.length - 1)
  return atOneEnd ? undefined : `\`${written}\`: a * stands alone, first or last, and once`
}
