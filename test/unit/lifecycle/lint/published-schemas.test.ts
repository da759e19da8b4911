import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from '@jest/globals'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { parseYamlDocuments } from '../../../../src/schema/strict-yaml.js'
import { runCli } from '../../../support/cli.js'

const mesh = new URL('../../../../examples/mesh/', import.meta.url)
const files = [...readdirSync(new URL('policy/', mesh)).map((name) => `policy/${name}`), 'portcullis.yaml']
const documents = files.flatMap((file) =>
  parseYamlDocuments(file, readFileSync(new URL(file, mesh))).documents.map(({ value }) => ({ file, value })),
)

test.each([
  'ServicePolicy',
  'BaselinePolicy',
  'AdaptivePolicy',
  'RiskPolicy',
  'DevicePolicy',
  'DataPolicy',
  'Configuration',
])('what an editor gets for %s takes the documents of the example mesh and no other field', async (kind) => {
  const { stdout, exitCode } = await runCli(['schema', kind])
  expect(exitCode).toBe(0)
  const validate = new Ajv2020({ strict: false, allErrors: true, validateFormats: false }).compile(
    JSON.parse(stdout),
  )
  const ofKind = documents.filter(({ value }) => JSON.stringify(value).includes(`"kind":"${kind}"`))
  expect(ofKind.length).toBeGreaterThan(0)
  for (const { file, value } of ofKind) {
    expect({ file, valid: validate(value), errors: validate.errors }).toEqual({
      file,
      valid: true,
      errors: null,
    })
    expect(validate({ ...Object(value), spek: {} })).toBe(false)
  }
})
