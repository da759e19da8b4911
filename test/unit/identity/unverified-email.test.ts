import { expect, test } from '@jest/globals'
import { readUserPrincipal } from '../../../src/identity/user-claims.js'

const MAPPING = { claims: new Map([['sub', 'email']]), roles: [] }
const CLAIMS = { iss: 'https://idp.example', sub: 'u1', email: 'ceo@shop.example' }

test.each([undefined, false, 'true', 1])(
  'an email whose email_verified is %p is nobody',
  (email_verified) => {
    const read = readUserPrincipal({ ...CLAIMS, email_verified }, MAPPING)
    expect(read).toMatchObject({ ok: false, problem: expect.stringContaining('`sub`') })
  },
)

test('a verified one is a subject where it is mapped so', () => {
  const read = readUserPrincipal({ ...CLAIMS, email_verified: true }, MAPPING)
  expect(read).toMatchObject({ ok: true, principal: { subject: 'ceo@shop.example' } })
})
