import type { NearestMiss, SuggestedChange, Why } from '../lifecycle/explain/why.js'
import type { Style } from './style.js'

/** More of what a change opens than this is counted, not told; JSON has it all. */
const MOST_WAYS = 12
const MOST_REQUESTS = 6

/** Why a call is decided as it is, for people, in lines. */
export function writeWhyText({ passed, advice, nearest, changes }: Why, style: Style): string[] {
  const lines: string[] = []
  if (passed !== undefined) lines.push('', `Why it passed: ${passed}.`)
  if (nearest) lines.push(...nearestText(nearest, style))
  if (advice !== undefined) lines.push('', `What would help: ${advice}.`)
  if (changes?.length === 0)
    lines.push('', 'No change of one or two places of the policy was found that would allow it.')
  for (const [index, change] of (changes ?? []).entries()) lines.push(...changeText(change, index, style))
  return lines
}

function nearestText({ rule, source, of, parts, unmet }: NearestMiss, style: Style): string[] {
  const whose = of === 'baseline' ? ' of the baseline' : ''
  const missing = unmet === 0 ? 'every part is met' : `${unmet} of ${parts.length} parts not met`
  return [
    '',
    `Nearest rule${whose}: ${rule} (${source}), ${missing}`,
    ...parts.map(({ part, asks, met, found }) => {
      const mark = met ? style.good('✓') : style.bad(met === undefined ? '?' : '✗')
      const had = met || found === undefined ? '' : `; here: ${found}`
      return `  ${mark} ${part.padEnd(6)}  ${asks}${had}`
    }),
  ]
}

function changeText(
  { edits, diff, opens, opensAll, then }: SuggestedChange,
  index: number,
  style: Style,
): string[] {
  const what = edits.map(({ say }) => say).join('; ')
  const lines = ['', `${index === 0 ? 'Smallest change' : 'Or'}: ${what}`]
  for (const line of diff.trimEnd().split('\n')) {
    const paint = line.startsWith('+') ? style.good : line.startsWith('-') ? style.bad : style.faint
    lines.push(line === '' ? '' : paint(line))
  }
  if (then.decision !== 'allow')
    lines.push(`  the matrix lets it in then, but ${then.reason} stays: ${then.message}`)
  if (!opensAll)
    lines.push(
      '  there is too much to tell all that it opens, or whether it takes something away: read it well',
    )
  else if (opens.length === 0) lines.push('  it opens nothing else')
  if (opens.length > 0) lines.push('  it opens also:', ...waysText(opens))
  return lines
}

/** Requests of the same caller, endpoint and calls on one line. */
function waysText(opens: SuggestedChange['opens']): string[] {
  const groups = new Map<string, { readonly before: string; readonly after: string; requests: string[] }>()
  for (const { caller, target, endpoint, request, under } of opens) {
    const where = endpoint === undefined ? '' : ` (${endpoint})`
    const before = `${caller} → ${target}`
    const after = `${where}${under === 'every call' ? '' : `, for ${under}`}`
    const key = `${before}\n${after}`
    const group = groups.get(key) ?? { before, after, requests: [] }
    group.requests.push(request)
    groups.set(key, group)
  }
  const lines = [...groups.values()].slice(0, MOST_WAYS).map(({ before, after, requests }) => {
    const more = requests.length - MOST_REQUESTS
    const shown = requests.slice(0, MOST_REQUESTS).join(', ')
    return `    ${before}  ${shown}${more > 0 ? ` and ${more} more` : ''}${after}`
  })
  if (groups.size > MOST_WAYS) lines.push(`    and ${groups.size - MOST_WAYS} more (-o json tells all)`)
  return lines
}
