import type { NearestMiss, SuggestedChange, Why } from '../lifecycle/explain/why.js'
import type { Style } from './style.js'

/** More of what a change opens than this is counted, not told; JSON has it all. */
const MOST_WAYS = 12

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

function changeText({ edits, diff, opens, then }: SuggestedChange, index: number, style: Style): string[] {
  const what = edits.map(({ say }) => say).join('; ')
  const lines = ['', `${index === 0 ? 'Smallest change' : 'Or'}: ${what}`]
  for (const line of diff.trimEnd().split('\n')) {
    const paint = line.startsWith('+') ? style.good : line.startsWith('-') ? style.bad : style.faint
    lines.push(line === '' ? '' : paint(line))
  }
  if (then.decision !== 'allow')
    lines.push(`  the matrix lets it in then, but ${then.reason} stays: ${then.message}`)
  if (opens.length === 0) return [...lines, '  it opens nothing else']
  lines.push(`  it opens also:`)
  for (const { caller, target, endpoint, request, under } of opens.slice(0, MOST_WAYS)) {
    const where = endpoint === undefined ? '' : ` (${endpoint})`
    lines.push(
      `    ${caller} → ${target}  ${request}${where}${under === 'every call' ? '' : `, for ${under}`}`,
    )
  }
  if (opens.length > MOST_WAYS) lines.push(`    and ${opens.length - MOST_WAYS} more (-o json tells all)`)
  return lines
}
