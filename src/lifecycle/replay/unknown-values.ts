import { isSecretClaim } from '../../audit/secret-name.js'
import { REDACTED } from '../../audit/without-credentials.js'
import { readClaim } from '../../segmentation/when/claim-path.js'
import { queryParameter } from '../../segmentation/when/query.js'
import type { ReplayableCheck } from './read-record.js'

const KEY = /^(request\.body|request\.headers|request\.query|user\.claims|request\.auth\.claims)(?=$|[.[])/
const NAMES = /\[([^\]]*)\]/g

/** Whether records may lack what a condition with the key looks at. */
export function mayBeUnknown(key: string): boolean {
  return KEY.test(key)
}

/** Whether the record lacks what a condition with the key looked at: a body, or a value that was withheld. */
export function isUnknown(key: string, check: ReplayableCheck): boolean {
  const { recorded, lacksBody } = check
  const of = KEY.exec(key)?.[1]
  if (of === undefined) return false
  if (of === 'request.body') return lacksBody
  const names = Array.from(key.matchAll(NAMES), ([, name = '']) => name)
  const { http } = recorded.request
  if (of === 'request.headers') {
    const [name] = names
    return (http?.headers ?? []).some(
      ([header, value, times]) =>
        (name === undefined || header === name.toLowerCase()) && times === undefined && isWithheld(value),
    )
  }
  if (of === 'request.query') {
    const query = http?.query ?? ''
    if (!query.includes(REDACTED)) return false
    const [name] = names
    // Of what has no name nobody knows which parameter it is.
    if (name === undefined || query.split('&').some((pair) => pair.split('=')[0]?.includes(REDACTED)))
      return true
    return isWithheld(queryParameter(query, name)?.value ?? '')
  }
  const claims = recorded.identity?.user?.claims
  if (!claims) return false
  if (names.length === 0 || names.some(isSecretClaim)) return true
  const value = readClaim(claims, names)
  return typeof value === 'string' ? isWithheld(value) : JSON.stringify(value ?? '').includes(REDACTED)
}

function isWithheld(value: string | undefined): boolean {
  return value === undefined || value.includes(REDACTED)
}
