import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { Fields, Named, Words, publishedSchema } from '../schema/fields.js'
import { SpiffePatternSchema, TrustDomainSchema, duration, path, withOptionalDefaults } from './fields.js'
import { AdminSchema, DeviceInventorySchema, GrantsSchema } from './admin-schema.js'
import { AuditSchema } from './audit-schema.js'
import { LimitsSchema } from './limits-schema.js'
import { ListenerSchema } from './listener-schema.js'
import { AccessLogServiceSchema, AlertsSchema, GeoSchema, ThreatsSchema } from './signal-schema.js'
import { PolicySchema } from './policy-schema.js'
import { SsfSchema } from './ssf-schema.js'
import { OnUnavailableSchema, StoreSchema } from './store-schema.js'
import { LogSchema, TelemetrySchema } from './telemetry-schema.js'
import { BundleSchema } from './trust-schema.js'
import { HEADER_NAME, JwksSchema, ServiceTokensSchema, UserTokensSchema } from './token-schema.js'
import { WebhookSchema } from './webhook.js'

const upstreamHeader = (name: string, description: string) =>
  Type.String({
    default: name,
    pattern: `^(?:${HEADER_NAME})?$`,
    description,
    expected: 'a header name in lower case, or "" to leave the header out',
  })

const count = (byDefault: number, maximum: number, description: string) =>
  Type.Integer({ default: byDefault, minimum: 1, maximum, description })

/** The whole configuration once defaults are filled in. Source: FORMATS 2. */
export const EffectiveConfigurationSchema = Fields(
  {
    apiVersion: Words(['portcullis.dev/v1beta1']),
    kind: Words(['Configuration']),
    listeners: Type.Array(ListenerSchema, { minItems: 1, description: 'Where Envoys ask.' }),
    drain: Fields(
      {
        timeout: duration('20s', 'How long calls under way may take to end at shutdown.'),
        delay: duration('0s', 'How long health says NOT_SERVING before the listeners close.'),
      },
      { default: {} },
    ),
    trustDomain: Type.String({
      ...TrustDomainSchema,
      default: 'cluster.local',
      description: 'The local trust domain.',
    }),
    trustDomains: Named(Fields({ bundle: BundleSchema }), {
      default: {},
      description: 'Trusted trust domains, each with its own bundle.',
    }),
    certificates: Fields(
      {
        maxLifetime: duration(
          '24h',
          "The longest time from notBefore to notAfter of a workload's certificate.",
        ),
        gracePeriod: duration('1h', 'Added to the lifetime allowed, never to notAfter.'),
        revoked: Fields(
          {
            serials: Type.Array(
              Type.String({
                pattern: '^[0-9A-Fa-f]+(?::[0-9A-Fa-f]{2})*(?:@.+)?$',
                maxLength: 1024,
                expected: 'a serial number in hexadecimal, such as 0a:1b:2c or 0a1b2c@CN=Mesh CA,O=Shop',
              }),
              {
                default: [],
                description:
                  'Serial numbers in hexadecimal, of whatever issuer, or `SERIAL@ISSUER` of that issuer alone: `0a1b2c@CN=Mesh CA,O=Shop`.',
              },
            ),
            fingerprints: Type.Array(
              Type.String({
                pattern: '^(?:[0-9A-Fa-f]{64}|[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){31})$',
                expected: 'the SHA-256 of a certificate in hexadecimal (64 digits)',
              }),
              { default: [], description: 'SHA-256 of the whole certificate, in hexadecimal.' },
            ),
            identities: Type.Array(SpiffePatternSchema, { default: [], description: 'SPIFFE IDs.' }),
            crls: Type.Array(path('A revocation list, PEM or DER. Watched.'), {
              default: [],
              uniqueItems: true,
              maxItems: 64,
              description:
                'Files of revocation lists, each signed by a CA of a bundle. With one that has expired, all certificates of its issuer are refused.',
            }),
          },
          { default: {}, description: 'Certificates that are refused in every mode.' },
        ),
      },
      { default: {} },
    ),
    policy: PolicySchema,
    serviceTokens: ServiceTokensSchema,
    userTokens: UserTokensSchema,
    jwks: JwksSchema,
    stepUp: Fields(
      {
        status: Type.Unsafe<401 | 403>({
          type: 'integer',
          enum: [401, 403],
          default: 401,
          description: 'HTTP status of a challenge.',
        }),
        acrValues: Type.Array(
          Type.String({
            pattern: '^[!#-\\[\\]-~]+$',
            expected: 'a word without blanks, quotes and backslashes',
          }),
          {
            default: ['mfa'],
            minItems: 1,
            description:
              'acr_values of WWW-Authenticate for factor mfa (RFC 9470). A token meets it by an acr or amr of mfa, or by mfa_verified.',
          },
        ),
        realm: Type.String({
          default: 'portcullis',
          pattern: '^[ !#-\\[\\]-~]*$',
          maxLength: 200,
          description: 'realm of WWW-Authenticate; "" leaves it out.',
          expected: 'printable ASCII without quotes and backslashes',
        }),
      },
      { default: {} },
    ),
    upstreamHeaders: Fields(
      {
        userId: upstreamHeader('x-user-id', "The user's subject."),
        userRoles: upstreamHeader('x-user-roles', "The user's roles, joined by commas."),
        deviceTrust: upstreamHeader('x-device-trust', "Trust in the user's device."),
        callerService: upstreamHeader('x-caller-service', 'The calling service.'),
        callerId: upstreamHeader('x-caller-spiffe-id', "The calling workload's SPIFFE ID."),
        obligations: upstreamHeader('x-portcullis-obligations', 'What the upstream must hold to.'),
      },
      { default: {}, description: "Headers set for the upstream; a caller's own copies are removed." },
    ),
    upstreamAssertion: Type.Optional(
      Fields(
        {
          header: Type.String({
            default: 'x-portcullis-assertion',
            pattern: `^${HEADER_NAME}$`,
            description: "The request header that carries it; a caller's own copies are removed.",
            expected: 'a header name in lower case, such as x-portcullis-assertion',
          }),
          issuer: Type.String({ minLength: 1, maxLength: 256, description: 'Its iss.' }),
          lifetime: duration('30s', 'From its iat to its exp.'),
          reuse: duration(
            '0s',
            'How long one serves further calls of the same parties, at most half of its lifetime. 0s: every call gets its own, with decision_id.',
          ),
          algorithm: Words(['ES256', 'EdDSA'], {
            default: 'ES256',
            description: 'ES256: P-256. EdDSA: Ed25519.',
          }),
          keyFile: path('PEM file of the private key, not encrypted. Watched.'),
          overlap: duration('5m', 'How long a new key is published before it signs.'),
        },
        { description: 'A signed JWT that tells the upstream who was let in to what. Without it, none.' },
      ),
    ),
    store: StoreSchema,
    onUnavailable: OnUnavailableSchema,
    geo: Type.Optional(GeoSchema),
    threats: ThreatsSchema,
    accessLogService: AccessLogServiceSchema,
    admin: AdminSchema,
    webhook: WebhookSchema,
    deviceInventory: DeviceInventorySchema,
    grants: GrantsSchema,
    ssf: SsfSchema,
    alerts: AlertsSchema,
    audit: AuditSchema,
    telemetry: TelemetrySchema,
    log: LogSchema,
    health: Fields(
      {
        listen: Type.String({
          default: '[::]:8282',
          description: 'IP address and port of /livez, /readyz, /metrics; "" switches it off.',
        }),
      },
      { default: {} },
    ),
    public: Fields(
      {
        listen: Type.String({
          default: '',
          description: 'IP address and port of /.well-known/jwks.json and /ssf/events; "" switches it off.',
        }),
      },
      { default: {} },
    ),
    limits: LimitsSchema,
    caches: Fields(
      {
        tokens: count(50_000, 10_000_000, 'Verified tokens remembered, of services and users each.'),
        certificates: count(10_000, 10_000_000, 'Verified certificates remembered.'),
      },
      { default: {} },
    ),
    showMessages: Type.Boolean({
      default: false,
      description: 'Tell callers the message of a refusal beside its reason. Messages may name rules.',
    }),
  },
  { title: 'Configuration' },
)
export type EffectiveConfiguration = Static<typeof EffectiveConfigurationSchema>

/** What a user's document is checked against. */
export const WrittenConfigurationSchema = withOptionalDefaults(EffectiveConfigurationSchema)

/** JSON Schema of portcullis.yaml, for publication. */
export const configurationSchema: Record<string, unknown> = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  ...publishedSchema(WrittenConfigurationSchema),
}
