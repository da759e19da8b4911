import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { Ajv } from 'ajv'
import { Type } from '@sinclair/typebox'
import { parseAllDocuments } from 'yaml'
import { kinds } from '../../../../src/policy/kinds.js'
import { customResourceDefinitions, pluralOf } from '../../../../src/policy/resources/crds.js'
import { structural } from '../../../../src/policy/resources/structural.js'
import { CRD_FOLDER, crdFiles } from '../../../docs/custom-resource-files.js'
import { REPOSITORY } from '../../../docs/pages.js'

type Definition = {
  readonly metadata: { readonly name: string }
  readonly spec: {
    readonly scope: string
    readonly names: {
      readonly kind: string
      readonly shortNames: readonly string[]
      readonly categories: readonly string[]
    }
    readonly versions: readonly {
      readonly subresources: unknown
      readonly additionalPrinterColumns: readonly { readonly name: string; readonly jsonPath: string }[]
      readonly schema: { readonly openAPIV3Schema: Node }
    }[]
  }
}
type Node = {
  readonly type?: string
  readonly pattern?: string
  readonly description?: string
  readonly properties?: Readonly<Record<string, Node>>
  readonly items?: Node
  readonly additionalProperties?: Node
  readonly 'x-kubernetes-validations'?: readonly { readonly rule: string }[]
}

const definitions: readonly Definition[] = JSON.parse(JSON.stringify(customResourceDefinitions()))
const schemaOf = (definition: Definition): Node => {
  const [version] = definition.spec.versions
  if (!version) throw new Error('no version')
  return version.schema.openAPIV3Schema
}

function* nodes(node: Node, way: string): Generator<readonly [string, Node]> {
  yield [way, node]
  for (const [name, inner] of Object.entries(node.properties ?? {})) yield* nodes(inner, `${way}.${name}`)
  if (node.items) yield* nodes(node.items, `${way}[]`)
  if (node.additionalProperties) yield* nodes(node.additionalProperties, `${way}{}`)
}

const KNOWN = new Set(
  (
    'type description enum pattern format minLength maxLength minimum maximum minItems maxItems minProperties ' +
    'properties required items additionalProperties ' +
    'x-kubernetes-list-type x-kubernetes-list-map-keys x-kubernetes-validations'
  ).split(' '),
)

describe('a schema that has no structural form', () => {
  test.each([
    ['a union', Type.Union([Type.String(), Type.Number()]), 'anyOf'],
    ['a constant', Type.Literal('x'), 'const'],
    ['a set', Type.Array(Type.String(), { uniqueItems: true }), 'uniqueItems'],
  ])('%s is no definition', (_name, schema, keyword) => {
    const within = Type.Object({ field: schema })
    expect(() => structural(within)).toThrow(`spec.field: no structural form of ${keyword}`)
  })
})

describe.each(definitions)('$metadata.name', (definition) => {
  test('is structural: every part has a type, and nothing but what such schemas have', () => {
    for (const [way, node] of nodes(schemaOf(definition), 'root')) {
      expect([way, node.type]).toEqual([
        way,
        expect.stringMatching(/^(?:object|array|string|integer|number|boolean)$/),
      ])
      expect([way, Object.keys(node).filter((keyword) => !KNOWN.has(keyword))]).toEqual([way, []])
      // RE2 knows no look-around.
      expect([way, node.pattern]).not.toEqual([way, expect.stringMatching(/\(\?[=!<]/)])
    }
  })

  test('has a status of its own, short name, category and columns', () => {
    const { names, scope, versions } = definition.spec
    expect(scope).toBe(names.kind === 'ServicePolicy' ? 'Namespaced' : 'Cluster')
    expect(names).toMatchObject({ shortNames: [expect.any(String)], categories: ['portcullis'] })
    expect(versions[0]?.subresources).toEqual({ status: {} })
    const columns = versions[0]?.additionalPrinterColumns.map(({ name }) => name)
    expect(columns).toEqual(expect.arrayContaining(['Accepted', 'Resolved', 'Programmed', 'Revision', 'Age']))
  })

  test('its rules name fields that are there', () => {
    for (const [way, node] of nodes(schemaOf(definition), 'root')) {
      for (const { rule } of node['x-kubernetes-validations'] ?? []) {
        for (const [, name = ''] of rule.matchAll(/self\.(\w+)/g))
          expect([way, Object.keys(node.properties ?? {})]).toEqual([way, expect.arrayContaining([name])])
      }
    }
  })
})

test('rules stand where they were meant to', () => {
  const counts = definitions.map(
    (definition) =>
      [...nodes(schemaOf(definition), 'root')].filter(([, node]) => node['x-kubernetes-validations']).length,
  )
  expect(counts).toEqual([5, 4, 2, 0, 1, 0])
})

test('the files of k8s are what the schemas write', () => {
  const names = readdirSync(`${REPOSITORY}${CRD_FOLDER}`).filter((name) => name !== 'kustomization.yaml')
  expect(names.toSorted()).toEqual([...crdFiles().keys()].toSorted())
  for (const [name, text] of crdFiles()) {
    // Else: make docs.
    expect(readFileSync(`${REPOSITORY}${CRD_FOLDER}${name}`, 'utf8') === text ? name : `${name} is not`).toBe(
      name,
    )
  }
  const kustomization = readFileSync(`${REPOSITORY}${CRD_FOLDER}kustomization.yaml`, 'utf8')
  for (const name of crdFiles().keys()) expect(kustomization).toContain(`- ${name}\n`)
})

test('the rights are to list and watch every kind and to patch its status, and no more', () => {
  const text = readFileSync(`${REPOSITORY}k8s/components/custom-resources/rights.yaml`, 'utf8')
  const roles = parseAllDocuments(text)
    .map((document): { kind: string; metadata: { name: string }; rules: unknown } => document.toJS())
    .filter(({ kind }) => kind === 'ClusterRole')
  const rulesFor = (plurals: readonly string[]) => [
    { apiGroups: ['portcullis.dev'], resources: plurals, verbs: ['list', 'watch'] },
    {
      apiGroups: ['portcullis.dev'],
      resources: plurals.map((plural) => `${plural}/status`),
      verbs: ['patch'],
    },
  ]
  const clusterWide = [...kinds.keys()].map(pluralOf).filter((plural) => plural !== 'servicepolicies')
  expect(roles.map(({ metadata, rules }) => [metadata.name, rules])).toEqual([
    ['portcullis-policy', rulesFor(clusterWide)],
    ['portcullis-service-policies', rulesFor(['servicepolicies'])],
  ])
})

test('the policy of the example mesh is valid as custom resources, without a field that would be dropped', () => {
  const validators = new Map(
    definitions.map((definition) => {
      const strict: unknown = JSON.parse(JSON.stringify(schemaOf(definition)), (_key, value: unknown) =>
        isOpenObject(value) ? { ...value, additionalProperties: false } : value,
      )
      const spec = (strict as Node).properties?.['spec']
      if (!spec) throw new Error('no spec')
      const ajv = new Ajv({ strict: false, validateFormats: false })
      return [definition.spec.names.kind, ajv.compile(spec)] as const
    }),
  )
  const folder = `${REPOSITORY}examples/mesh/policy`
  let checked = 0
  for (const name of readdirSync(folder).filter((each) => each.endsWith('.yaml'))) {
    for (const document of parseAllDocuments(readFileSync(`${folder}/${name}`, 'utf8'))) {
      const { kind, spec }: { kind: string; spec: unknown } = document.toJS()
      const validate = validators.get(kind)
      if (!validate) continue
      expect([name, validate(spec), validate.errors]).toEqual([name, true, null])
      checked++
    }
  }
  expect(checked).toBeGreaterThan(15)
})

function isOpenObject(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    'properties' in value &&
    'type' in value &&
    value.type === 'object' &&
    !('additionalProperties' in value)
  )
}
