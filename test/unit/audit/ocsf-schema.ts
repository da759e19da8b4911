/** The JSON Schema of an OCSF 1.8 record of class 6003, as far as SPECS 6 and the published objects say it. */
const text = { type: 'string', minLength: 1 }
const id = (...values: number[]) => ({ enum: values })
const time = { type: 'integer', minimum: 0 }
const object = (
  properties: Readonly<Record<string, unknown>>,
  required: readonly string[] = [],
  atLeastOne: readonly string[] = [],
) => ({
  type: 'object',
  properties,
  required,
  additionalProperties: false,
  ...(atLeastOne.length > 0 && { anyOf: atLeastOne.map((each) => ({ required: [each] })) }),
})

const policy = object({ name: text, uid: text, version: text }, [], ['name', 'uid'])
const endpoint = object(
  {
    ip: text,
    port: { type: 'integer', minimum: 1, maximum: 65_535 },
    svc_name: text,
    uid: text,
    name: text,
    intermediate_ips: { type: 'array', items: text, minItems: 1 },
  },
  [],
  ['ip', 'uid', 'name', 'svc_name'],
)

export const OCSF_SCHEMA = {
  ...object(
    {
      time,
      class_uid: { const: 6003 },
      category_uid: { const: 6 },
      activity_id: id(0, 1, 2, 3, 4, 99),
      activity_name: text,
      type_uid: id(600_300, 600_301, 600_302, 600_303, 600_304, 600_399),
      severity_id: id(0, 1, 2, 3, 4, 5, 6, 99),
      metadata: object(
        {
          version: { const: '1.8.0' },
          product: object({ name: text, vendor_name: text }, ['vendor_name'], ['name']),
          profiles: { type: 'array', items: { enum: ['security_control', 'trace'] }, uniqueItems: true },
          uid: text,
          correlation_uid: text,
          event_code: text,
        },
        ['version', 'product', 'uid'],
      ),
      actor: object(
        {
          user: object({ uid: text, name: text }, [], ['uid', 'name']),
          session: object({ uid: text, issuer: text }, ['uid']),
          idp: object({ uid: text, name: text }, [], ['uid', 'name']),
          app_name: text,
          app_uid: text,
        },
        [],
        ['user', 'session', 'app_name', 'app_uid'],
      ),
      api: object(
        {
          operation: text,
          service: object({ name: text, uid: text }, [], ['name', 'uid']),
          request: object({ uid: text }, ['uid']),
          response: object({ error: text }),
        },
        ['operation'],
      ),
      src_endpoint: endpoint,
      dst_endpoint: endpoint,
      http_request: object({
        http_method: text,
        url: object({ path: text, hostname: text }, [], ['path', 'hostname']),
        version: text,
        uid: text,
      }),
      resources: { type: 'array', minItems: 1, items: object({ uid: text, type: text }, ['uid']) },
      status_id: id(1, 2),
      status_code: text,
      status_detail: text,
      message: text,
      action_id: id(1, 2, 3),
      disposition_id: id(1, 2, 17, 23, 26, 27),
      policy,
      authorizations: { type: 'array', items: object({ decision: text, policy }, ['decision']), minItems: 1 },
      risk_score: { type: 'integer', minimum: 0, maximum: 100 },
      risk_level_id: id(0, 1, 2, 3, 4),
      risk_details: text,
      is_alert: { type: 'boolean' },
      trace: object(
        {
          uid: { type: 'string', pattern: '^[0-9a-f]{32}$' },
          span: object(
            { uid: { type: 'string', pattern: '^[0-9a-f]{16}$' }, start_time: time, end_time: time },
            ['uid', 'start_time', 'end_time'],
          ),
        },
        ['uid'],
      ),
      unmapped: { type: 'object' },
    },
    [
      'time',
      'class_uid',
      'category_uid',
      'activity_id',
      'type_uid',
      'severity_id',
      'metadata',
      'actor',
      'api',
      'src_endpoint',
    ],
  ),
  allOf: [
    {
      if: { properties: { activity_id: { const: 99 } } },
      then: { required: ['activity_name'] },
    },
    {
      if: {
        properties: {
          metadata: { properties: { profiles: { contains: { const: 'security_control' } } } },
        },
      },
      then: { required: ['action_id', 'disposition_id', 'authorizations', 'is_alert'] },
      else: { properties: { action_id: false, disposition_id: false, authorizations: false } },
    },
    {
      if: { properties: { metadata: { properties: { profiles: { contains: { const: 'trace' } } } } } },
      then: { required: ['trace'] },
      else: { properties: { trace: false } },
    },
  ],
}
