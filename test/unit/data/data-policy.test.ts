import { describe, expect, test } from '@jest/globals'
import { compileData, type DataDocument } from '../../../src/data/compile-data.js'
import { namesToEncrypt } from '../../../src/data/data-policy.js'
import { DataPolicySchema } from '../../../src/data/data-schema.js'
import { matchesShape, shapeFindings } from '../../../src/schema/shape.js'
import { parseYamlDocuments } from '../../../src/schema/strict-yaml.js'

const HEAD = 'apiVersion: portcullis.dev/v1beta1\nkind: DataPolicy\n'

function valueOf(text: string): unknown {
  return parseYamlDocuments('data.yaml', text).documents[0]?.value
}

const restricted = (spec: string, name = 'restricted') =>
  `${HEAD}metadata: { name: ${name} }\nspec: ${spec}\n`

describe('documents that do not fit', () => {
  test.each([
    {
      name: 'no spec',
      text: `${HEAD}metadata: { name: x }\n`,
      found: ['missing field `spec` in the document'],
    },
    {
      name: 'a misspelt field',
      text: restricted('{ acces: [] }'),
      found: ['unknown field `spec.acces`; did you mean `access`?'],
    },
    {
      name: 'an empty list of access',
      text: restricted('{ access: [] }'),
      found: ['`spec.access` is an empty list, must have at least one element'],
    },
    {
      name: 'a rule without operations',
      text: restricted('{ access: [{ role: a }] }'),
      found: ['missing field `operations` in `spec.access[0]`'],
    },
    {
      name: 'no operations',
      text: restricted('{ access: [{ role: a, operations: [] }] }'),
      found: ['`spec.access[0].operations` is an empty list, must have at least one element'],
    },
    {
      name: 'an unknown operation',
      text: restricted('{ access: [{ role: a, operations: [Reed] }] }'),
      found: [
        '`spec.access[0].operations[0]`: `Reed` is none of Read, Write, Download; did you mean `Read`?',
      ],
    },
    {
      name: 'approval as a boolean',
      text: restricted('{ access: [{ role: a, operations: [Read], approval: true }] }'),
      found: ['`spec.access[0].approval` is `true`, must be a string: quote it'],
    },
    {
      name: 'an unknown level and retention',
      text: restricted('{ audit: { level: Everything, retention: forever } }'),
      found: [
        '`spec.audit.level`: `Everything` is none of Metadata, Full',
        '`spec.audit.retention` is `forever`, must be a duration such as 30s, 15m or 8h (units: ms, s, m, h, d, y)',
      ],
    },
    {
      name: 'an unknown cipher',
      text: restricted('{ audit: { encryption: { atRest: ROT13 } } }'),
      found: ['`spec.audit.encryption.atRest`: `ROT13` is not A256GCM'],
    },
    {
      name: 'encryption without a cipher',
      text: restricted('{ audit: { encryption: { keyRotation: 30d } } }'),
      found: ['missing field `atRest` in `spec.audit.encryption`'],
    },
  ])('$name', ({ text, found }) => {
    const messages = shapeFindings(DataPolicySchema, valueOf(text)).map(({ message }) => message)
    expect(messages).toEqual(found)
  })
})

/** Compiles documents that fit, and gives the faults with their places. */
function compile(...texts: readonly string[]) {
  const faults: string[] = []
  const documents = texts.map((text, index): DataDocument => {
    const value = valueOf(text)
    if (!matchesShape(DataPolicySchema, value)) throw new Error(`does not fit: ${text}`)
    return {
      metadata: value.metadata,
      spec: value.spec,
      sourceOf: (pointer) => `${index}.yaml#${pointer.join('/')}`,
      report: (pointer, message, code) => faults.push(`${index} ${pointer.join('/')} ${code}: ${message}`),
    }
  })
  return { policies: compileData(documents), faults }
}

describe('documents that contradict themselves', () => {
  test.each([
    {
      name: 'one name twice',
      texts: [restricted('{}'), restricted('{}')],
      faults: ['1 metadata/name duplicate-name: there is a DataPolicy `restricted` already'],
    },
    {
      name: 'one role and operation in two rules',
      texts: [
        restricted(
          '{ access: [{ role: a, operations: [Read] }, { role: a, operations: [Write, Read], approval: Required }] }',
        ),
      ],
      faults: [
        '0 spec/access/1/operations/1 duplicate-access: what the role `a` needs to Read is said already',
      ],
    },
    {
      name: 'one operation twice in a rule',
      texts: [restricted('{ access: [{ role: a, operations: [Read, Read] }] }')],
      faults: [
        '0 spec/access/0/operations/1 duplicate-access: what the role `a` needs to Read is said already',
      ],
    },
  ])('$name', ({ texts, faults }) => {
    expect(compile(...texts).faults).toEqual(faults)
  })
})

test('what a document does not say is the least, and its name is recorded', () => {
  const { policies, faults } = compile(restricted('{}', 'public'))
  expect(faults).toEqual([])
  expect(policies.get('public')).toEqual({
    name: 'public',
    source: '0.yaml#',
    access: [],
    hasAccessRules: false,
    audit: {
      name: 'public',
      level: 'Metadata',
      retention: undefined,
      alert: false,
      retentionMs: undefined,
      encrypted: false,
      keyRotationMs: undefined,
    },
  })
  expect(policies.get('constructor')).toBeUndefined()
})

test('the example of FORMATS', () => {
  const { policies, faults } = compile(
    restricted(`
  access:
    - { role: data-scientist, operations: [Read], approval: Required }
    - { role: admin, operations: [Read, Write], approval: Required, mfa: Required }
  audit: { level: Full, retention: 7y, alert: true, encryption: { atRest: A256GCM, keyRotation: 30d } }`),
    restricted('{ audit: { level: Full } }', 'internal'),
  )
  expect(faults).toEqual([])
  expect(policies.get('restricted')).toEqual({
    name: 'restricted',
    source: '0.yaml#',
    access: [
      {
        role: 'data-scientist',
        operations: ['Read'],
        needsApproval: true,
        needsMfa: false,
        source: '0.yaml#spec/access/0',
      },
      {
        role: 'admin',
        operations: ['Read', 'Write'],
        needsApproval: true,
        needsMfa: true,
        source: '0.yaml#spec/access/1',
      },
    ],
    hasAccessRules: true,
    audit: {
      name: 'restricted',
      level: 'Full',
      retention: '7y',
      alert: true,
      retentionMs: 7 * 365 * 86_400_000,
      encrypted: true,
      keyRotationMs: 30 * 86_400_000,
    },
  })
  expect(namesToEncrypt(policies)).toEqual(['restricted'])
})
