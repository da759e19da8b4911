import { parseJws } from '../../src/identity/jwt.js'
import { chooseKey, parseKeySet } from '../../src/identity/key-set.js'
import { verifySignature } from '../../src/identity/signature.js'
import { AGREED, casesOf, NOT_APPLICABLE, type NamedOutcome, type Outcome, type Suite } from './suite.js'

type Case = {
  readonly id: string
  readonly comment: string
  readonly header_alg: string | null
  readonly jws: unknown
  /** A JWK, or in jwk.json a set. */
  readonly key: object
  readonly result: 'valid' | 'invalid'
  /** The result contradicts another vector or RFC 7515. */
  readonly dispute?: string
}

export const jwsSuite: Suite = { file: 'jws.json', run }
export const jwkSuite: Suite = { file: 'jwk.json', run }

async function run(content: unknown): Promise<readonly NamedOutcome[]> {
  const outcomes: NamedOutcome[] = []
  for (const one of casesOf(content) as readonly Case[]) outcomes.push({ id: one.id, ...(await judge(one)) })
  return outcomes
}

async function judge({ comment, header_alg: algorithm, jws, key, result, dispute }: Case): Promise<Outcome> {
  if (dispute !== undefined) return NOT_APPLICABLE
  const problem = await problemOf(typeof jws === 'string' ? jws : JSON.stringify(jws), JSON.stringify(key))
  // A verifier without HS* must refuse every HS* case: README of the corpora.
  const mustAccept = result === 'valid' && !algorithm?.startsWith('HS')
  if (problem === undefined) return mustAccept ? AGREED : { verdict: 'wrong-accept', detail: comment }
  return mustAccept ? { verdict: 'wrong-refusal', detail: `${comment}: ${problem}` } : AGREED
}

/** The way of a token up to its signature: form, key set, choice of the key, cryptography. */
async function problemOf(jws: string, keys: string): Promise<string | undefined> {
  const parsed = parseJws(jws)
  if (!parsed.ok) return parsed.problem
  const set = parseKeySet(keys)
  if (!set.ok) return set.problem
  const key = chooseKey(set.keys, parsed.jws.kid, parsed.jws.algorithm)
  if (!key) return 'no key of that name for that algorithm'
  return (await verifySignature(parsed.jws, key)) ? undefined : 'the signature is wrong'
}
