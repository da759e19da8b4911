import { describe, expect, test } from '@jest/globals'
import type { PlannedSink } from '../../../src/policy/encryption-problems.js'
import { loadPolicy } from '../../../src/policy/load-policy.js'

const POLICY = `
apiVersion: portcullis.dev/v1beta1
kind: DataPolicy
metadata: { name: restricted }
spec: { audit: { encryption: { atRest: A256GCM } } }
---
apiVersion: portcullis.dev/v1beta1
kind: DataPolicy
metadata: { name: internal }
spec: { audit: { level: Full } }
`
const file = (number: number, ...recipients: string[]): PlannedSink => ({
  name: `File ${number}`,
  recipients: new Set(recipients),
  spoolsInPlain: false,
})
const passing = (name: string, spoolsInPlain = false): PlannedSink => ({
  name,
  recipients: undefined,
  spoolsInPlain,
})

function told(auditSinks: readonly PlannedSink[] | undefined): string[] {
  const options = { localTrustDomain: 'cluster.local', trustDomains: [], auditSinks }
  const loaded = loadPolicy([{ file: 'data.yaml', text: POLICY }], options)
  const problems = loaded.ok ? loaded.warnings : loaded.problems
  return problems
    .filter(({ code }) => code === 'not-encrypted')
    .map(({ severity, message, position }) => {
      expect(position).toMatchObject({ file: 'data.yaml', line: 5, column: 30 })
      expect(loaded.ok).toBe(!problems.some((each) => each.severity === 'error'))
      return `${severity}: ${message}`
    })
}

describe('what is to be encrypted', () => {
  test.each([
    {
      name: 'a file sink without recipients',
      sinks: [file(0)],
      says: [
        "error: the audit sink `File 0` can't encrypt: it needs `recipients.restricted` or `recipients.default`",
      ],
    },
    {
      name: 'one of two file sinks, with a recipient for something else',
      sinks: [file(0, 'restricted'), file(1, 'internal')],
      says: [
        "error: the audit sink `File 1` can't encrypt: it needs `recipients.restricted` or `recipients.default`",
      ],
    },
    {
      name: 'a spool in plain text',
      sinks: [passing('Http 0', true)],
      says: [
        'error: the audit sink `Http 0` keeps waiting events on the disk as they are: it needs `spool.keyFile`',
        'warning: `Http 0` passes the events on as they are: what keeps them must encrypt them',
      ],
    },
    {
      name: 'sinks that keep nothing',
      sinks: [passing('Stdout 0'), passing('RedisStream 1')],
      says: [
        'warning: `Stdout 0`, `RedisStream 1` pass the events on as they are: what keeps them must encrypt them',
      ],
    },
    {
      name: 'nobody knows which sinks there are',
      sinks: undefined,
      says: [
        'warning: only a sink of type File with a recipient for `restricted` encrypts: what keeps the events of others must',
      ],
    },
    { name: 'a recipient of its own', sinks: [file(0, 'restricted')], says: [] },
    { name: 'the recipient of every other', sinks: [file(0, 'default')], says: [] },
  ])('$name', ({ sinks, says }) => {
    expect(told(sinks).toSorted()).toEqual(says.toSorted())
  })
})
