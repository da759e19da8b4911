import { describe, expect, test } from '@jest/globals'
import { actorOfToken, bearerToken, hashTokens } from '../../../src/admin/tokens.js'

const ALICE = 'alice-0123456789abcdefghijklmnopq'
const BOB = 'bob-9876543210zyxwvutsrqponmlkjih'

describe('hashTokens', () => {
  test.each([
    { name: 'empty', text: '', says: 'the token of `alice` has 0 characters, must have 32 at least' },
    { name: 'blank lines', text: '\n\n', says: 'has 0 characters' },
    { name: 'one too short', text: ALICE.slice(0, 31), says: 'has 31 characters' },
    { name: 'one too long', text: `${ALICE}${'x'.repeat(4096)}`, says: 'is longer than 4096 characters' },
    { name: 'a blank', text: `${ALICE} x`, says: 'has characters other than' },
    { name: 'two lines', text: `${ALICE}\n${ALICE}`, says: 'has characters other than' },
    {
      name: 'the default of somebody',
      text: 'changeme'.repeat(4).replaceAll(/[gm]/g, 'c'),
      says: 'repeats few characters',
    },
  ])('refuses $name', ({ text, says }) => {
    const hashed = hashTokens([{ name: 'alice', role: 'Admin', text }])
    expect(hashed).toMatchObject({ ok: false, problems: [expect.stringContaining(says)] })
    if (text.length > 8) expect(JSON.stringify(hashed)).not.toContain(text.slice(0, 8))
  })

  test('refuses one token for two people', () => {
    const hashed = hashTokens([
      { name: 'alice', role: 'Admin', text: ALICE },
      { name: 'bob', role: 'Reader', text: `${ALICE}\n` },
    ])
    expect(hashed).toEqual({ ok: false, problems: ['`alice` and `bob` have the same token'], sound: [] })
  })

  test('tells those that nothing is wrong with', () => {
    const hashed = hashTokens([
      { name: 'alice', role: 'Admin', text: '' },
      { name: 'bob', role: 'Reader', text: BOB },
      { name: 'carl', role: 'Reader', text: ALICE },
      { name: 'cleo', role: 'Reader', text: ALICE },
    ])
    const sound = hashed.ok ? [] : hashed.sound
    expect(sound.map(({ actor }) => actor.name)).toEqual(['bob'])
    expect(actorOfToken(BOB, sound)?.name).toBe('bob')
  })

  test('keeps no token', () => {
    const hashed = hashTokens([{ name: 'alice', role: 'Admin', text: ALICE }])
    expect(JSON.stringify(hashed)).not.toContain(ALICE)
  })
})

describe('actorOfToken', () => {
  const hashed = hashTokens([
    { name: 'alice', role: 'Admin', text: `${ALICE}\r\n` },
    { name: 'bob', role: 'Reader', text: BOB },
  ])
  const tokens = hashed.ok ? hashed.tokens : []
  test.each([
    { presented: '', name: undefined },
    { presented: `${ALICE}\n`, name: undefined },
    { presented: ALICE.slice(1), name: undefined },
    { presented: ALICE, name: 'alice' },
    { presented: BOB, name: 'bob' },
  ])('$presented: $name', ({ presented, name }) => {
    expect(actorOfToken(presented, tokens)?.name).toBe(name)
  })
})

test.each([
  { text: '', token: undefined },
  { text: 'Bearer', token: undefined },
  { text: 'Bearer ', token: undefined },
  { text: 'Basic abc', token: undefined },
  { text: 'Bearer a b', token: undefined },
  { text: 'Bearer a,b', token: undefined },
  { text: 'Bearer =a', token: undefined },
  { text: ' Bearer a', token: undefined },
  { text: 'bearer a', token: 'a' },
  { text: 'Bearer  a.b-c_d~e+f/g==', token: 'a.b-c_d~e+f/g==' },
])('bearerToken($text)', ({ text, token }) => {
  expect(bearerToken(text)).toBe(token)
})
