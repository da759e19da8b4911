import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { HTTP_STATUS_OF_REASON, REFUSED_IN_EVERY_MODE, type Reason } from '../../src/decision/reason.js'

const SOURCES = fileURLToPath(new URL('../../src/', import.meta.url))
/** The closed list itself, and the events, which only sort reasons. */
const LISTS = /^(?:decision\/reason\.ts$|audit\/)/

/** Reasons of the closed list that no source file names, so that no call can be refused for them yet. */
export function reasonsNobodyGives(): string[] {
  const code = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !LISTS.test(name))
    .map((name) => readFileSync(join(SOURCES, name), 'utf8'))
    .join('\n')
    // Comparing with a reason is not giving it.
    .replaceAll(/[!=]== '[a-z-]+'/g, '')
  return Object.keys(HTTP_STATUS_OF_REASON).filter((reason) => !isNamed(reason, code))
}

/** Refusals of both kinds of token are named in one place, `${kind}-signature` and the like. */
function isNamed(reason: string, code: string): boolean {
  if (code.includes(`'${reason}'`)) return true
  const [, suffix] = /^(?:service-token|user-token)-(.+)$/.exec(reason) ?? []
  if (suffix === undefined) return false
  return code.includes(`\`\${kind.name}-${suffix}\``) || code.includes(`'${suffix}'`)
}

export function isRefusedInEveryMode(reason: string): boolean {
  return REFUSED_IN_EVERY_MODE.has(reason as Reason)
}
