import { createHash, timingSafeEqual } from 'node:crypto'
import type { Actor, Role } from './ports.js'

/** A token as its file has it. */
export type TokenText = { readonly name: string; readonly role: Role; readonly text: string }

/** SHA-256 of every token there is. */
export type TokenHashes = readonly { readonly actor: Actor; readonly hash: Buffer }[]

export type HashedTokens =
  | { readonly ok: true; readonly tokens: TokenHashes }
  | {
      readonly ok: false
      /** One sentence a token, with the name of whom it is of and nothing of the token. */
      readonly problems: readonly string[]
      /** Those that nothing is wrong with. */
      readonly sound: TokenHashes
    }

const LEAST_CHARACTERS = 32
const MOST_CHARACTERS = 4096
/** What RFC 6750 2.1 lets a bearer token be made of. */
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/
/** 32 random hexadecimal digits have 14 different ones; 9 or fewer come once in 20,000. */
const LEAST_DIFFERENT = 8

/** The tokens that may be presented, from the texts of their files. One line feed or more at the end don't count. */
export function hashTokens(texts: readonly TokenText[]): HashedTokens {
  const problems: string[] = []
  const tokens: { actor: Actor; hash: Buffer; sound: boolean }[] = []
  for (const { name, role, text } of texts) {
    const token = text.replace(/[\r\n]+$/, '')
    const wrong = problemOf(token)
    if (wrong !== undefined) problems.push(`the token of \`${name}\` ${wrong}`)
    const hash = sha256(token)
    const other = tokens.find((earlier) => earlier.hash.equals(hash))
    if (other) {
      // Nobody can tell which of them it is.
      other.sound = false
      problems.push(`\`${other.actor.name}\` and \`${name}\` have the same token`)
    }
    tokens.push({ actor: { name, role }, hash, sound: wrong === undefined && !other })
  }
  const sound = tokens.filter((token) => token.sound).map(({ actor, hash }) => ({ actor, hash }))
  return problems.length > 0 ? { ok: false, problems, sound } : { ok: true, tokens: sound }
}

/** Whose token it is. Every one is compared, in the same time whatever it is. */
export function actorOfToken(presented: string, tokens: TokenHashes): Actor | undefined {
  const hash = sha256(presented)
  let found: Actor | undefined
  for (const token of tokens) if (timingSafeEqual(token.hash, hash)) found = token.actor
  return found
}

/** What follows the scheme in `Authorization: Bearer …`; undefined for anything else. Source: RFC 6750 2.1. */
export function bearerToken(authorization: string): string | undefined {
  return /^Bearer +([A-Za-z0-9._~+/-]+=*)$/i.exec(authorization)?.[1]
}

function problemOf(token: string): string | undefined {
  if (token.length < LEAST_CHARACTERS) {
    return `has ${token.length} characters, must have ${LEAST_CHARACTERS} at least`
  }
  if (token.length > MOST_CHARACTERS) return `is longer than ${MOST_CHARACTERS} characters`
  if (!TOKEN.test(token)) return 'has characters other than A-Z a-z 0-9 . _ ~ + / - and = at its end'
  if (new Set(token).size < LEAST_DIFFERENT) return 'repeats few characters and can be guessed'
  return undefined
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
