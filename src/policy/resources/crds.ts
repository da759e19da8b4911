import type { TSchema } from '@sinclair/typebox'
import { API_GROUP, kinds } from '../kinds.js'
import { fieldsOf, isNamespaced } from './resource.js'
import { CONDITION_TYPES } from './status.js'
import { type Structural, structural, type Validations } from './structural.js'

type Column = {
  readonly name: string
  readonly type: 'string' | 'date' | 'integer'
  readonly jsonPath: string
  readonly description?: string
  /** 1: only with `-o wide`. */
  readonly priority?: number
}

type Names = { readonly plural: string; readonly shortName: string; readonly columns: readonly Column[] }

const MODE: Column = { name: 'Mode', type: 'string', jsonPath: '.spec.mode' }

const NAMES: Readonly<Record<string, Names>> = {
  ServicePolicy: { plural: 'servicepolicies', shortName: 'svcpol', columns: [MODE] },
  BaselinePolicy: {
    plural: 'baselinepolicies',
    shortName: 'basepol',
    columns: [{ ...MODE, jsonPath: '.spec.defaults.mode' }],
  },
  AdaptivePolicy: { plural: 'adaptivepolicies', shortName: 'adaptpol', columns: [] },
  RiskPolicy: { plural: 'riskpolicies', shortName: 'riskpol', columns: [] },
  DevicePolicy: {
    plural: 'devicepolicies',
    shortName: 'devpol',
    columns: [{ name: 'Tier', type: 'string', jsonPath: '.spec.tier' }],
  },
  DataPolicy: { plural: 'datapolicies', shortName: 'datapol', columns: [] },
}

/** In two, because the API server bounds what one rule may cost. */
const ANY_ALONE = [
  '!has(self.any) || !(has(self.services) || has(self.identities) || has(self.users))',
  '!has(self.any) || !(has(self.namespaces) || has(self.notNamespaces) || has(self.trustDomains) || has(self.selector))',
].map((rule) => ({ rule, message: 'any: true stands alone' }))
const KEY_OR_CEL = [{ rule: 'has(self.key) != has(self.cel)', message: 'a condition has a key or cel' }]

/** What lint says too, told before anything is stored. Each costs the API server little, whatever the size of a list. */
const VALIDATIONS: Readonly<Record<string, Validations>> = {
  ServicePolicy: {
    'spec.rules[].from[]': ANY_ALONE,
    'spec.rules[].when[]': KEY_OR_CEL,
    'spec.forbid[].from[]': ANY_ALONE,
    'spec.forbid[].when[]': KEY_OR_CEL,
    'spec.endpoints[]': [
      {
        rule: "!has(self.protocol) || self.protocol != 'TCP' || has(self.ports)",
        message: 'a TCP endpoint names its ports',
      },
      {
        rule: "!has(self.protocol) || self.protocol != 'TCP' || !(has(self.paths) || has(self.methods) || has(self.grpc) || has(self.userScopes) || has(self.mfa) || has(self.maxAuthAge))",
        message: 'a TCP endpoint sees a connection and no request',
      },
      {
        rule: "has(self.paths) || has(self.grpc) || (has(self.protocol) && self.protocol == 'TCP')",
        message: 'an endpoint needs paths with methods, grpc, or protocol: TCP',
      },
      { rule: 'has(self.paths) == has(self.methods)', message: 'paths and methods go together' },
      {
        rule: "!has(self.protocol) || self.protocol != 'WebSocket' || !has(self.grpc)",
        message: 'gRPC is not spoken over a WebSocket',
      },
    ],
  },
  BaselinePolicy: {
    'spec.allow[].from[]': ANY_ALONE,
    'spec.allow[].when[]': KEY_OR_CEL,
    'spec.forbid[].from[]': ANY_ALONE,
    'spec.forbid[].when[]': KEY_OR_CEL,
  },
  AdaptivePolicy: {
    'spec.rules[].when[]': KEY_OR_CEL,
    'spec.rules[]': [
      {
        rule: "!has(self.factor) || self.then == 'StepUp'",
        message: 'factor is what a StepUp asks for',
      },
    ],
  },
  DevicePolicy: {
    spec: [
      { rule: 'has(self.tier) || has(self.posture)', message: 'a DevicePolicy has a tier or posture' },
      {
        rule: 'has(self.tier) || !(has(self.match) || has(self.services) || has(self.data) || has(self.mfa) || has(self.session) || has(self.operations) || has(self.obligations))',
        message: 'what a device may belongs to a tier',
      },
    ],
  },
}

/** The plural name of a kind, as paths of the Kubernetes API have it. */
export function pluralOf(kind: string): string {
  const names = NAMES[kind]
  if (!names) throw new Error(`there is no custom resource ${kind}`)
  return names.plural
}

/** One CustomResourceDefinition a kind, in their order. */
export function customResourceDefinitions(): readonly Structural[] {
  return [...kinds].map(([kind, schema]) => definitionOf(kind, schema))
}

function definitionOf(kind: string, schema: TSchema): Structural {
  const names = NAMES[kind]
  const fields = fieldsOf(schema['properties'])
  const spec = fields?.get('spec')
  const about = fieldsOf(fields?.get('kind'))?.get('description')
  if (!names || !isSchema(spec)) throw new Error(`the kind ${kind} has no form as a custom resource`)
  const { plural, shortName, columns } = names
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${API_GROUP}`, labels: { 'app.kubernetes.io/part-of': 'portcullis' } },
    spec: {
      group: API_GROUP,
      scope: isNamespaced(kind) ? 'Namespaced' : 'Cluster',
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular: kind.toLowerCase(),
        shortNames: [shortName],
        categories: ['portcullis'],
      },
      versions: [
        {
          name: 'v1beta1',
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: [...columns, ...COLUMNS],
          schema: {
            openAPIV3Schema: {
              type: 'object',
              description: about,
              required: ['spec'],
              properties: {
                apiVersion: { type: 'string' },
                kind: { type: 'string' },
                metadata: { type: 'object' },
                spec: structural(spec, VALIDATIONS[kind]),
                status: STATUS,
              },
            },
          },
        },
      ],
    },
  }
}

function isSchema(value: unknown): value is TSchema {
  return fieldsOf(value) !== undefined
}

const condition = (type: string, field: string): string => `.status.conditions[?(@.type=="${type}")].${field}`

const COLUMNS: readonly Column[] = [
  { name: 'Accepted', type: 'string', jsonPath: condition('Accepted', 'status') },
  { name: 'Resolved', type: 'string', jsonPath: condition('ResolvedRefs', 'status') },
  { name: 'Programmed', type: 'string', jsonPath: condition('Programmed', 'status') },
  {
    name: 'Revision',
    type: 'string',
    jsonPath: '.status.revision',
    description: 'Of the first policy that this version was in force in.',
    priority: 1,
  },
  { name: 'Why', type: 'string', jsonPath: condition('Accepted', 'message'), priority: 1 },
  { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
]

const text = (description: string, maxLength: number): Structural => ({
  type: 'string',
  description,
  maxLength,
})

const STATUS: Structural = {
  type: 'object',
  description: 'What became of it. Portcullis writes it.',
  properties: {
    observedGeneration: {
      type: 'integer',
      format: 'int64',
      description: 'The generation that the conditions speak of.',
    },
    programmedGeneration: {
      type: 'integer',
      format: 'int64',
      description: 'The generation that decisions are made by.',
    },
    revision: text('Of the first policy that this version was in force in, as in events.', 128),
    conditions: {
      type: 'array',
      description: `${CONDITION_TYPES.join(', ')}.`,
      maxItems: 16,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['type'],
      items: {
        type: 'object',
        required: ['type', 'status', 'reason', 'message', 'lastTransitionTime'],
        properties: {
          type: text('What it speaks of.', 316),
          status: { type: 'string', enum: ['True', 'False', 'Unknown'] },
          reason: text('In one word.', 1024),
          message: text('For people: every problem with its field.', 32768),
          observedGeneration: { type: 'integer', format: 'int64', minimum: 0 },
          lastTransitionTime: {
            type: 'string',
            format: 'date-time',
            description: 'When the status last changed.',
          },
        },
      },
    },
  },
}
