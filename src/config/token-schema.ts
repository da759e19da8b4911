import { Type } from '@sinclair/typebox'
import { Fields, Named, Words } from '../schema/fields.js'
import { duration, path, texts } from './fields.js'

export const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const

const JwksUriSchema = Type.String({
  minLength: 1,
  description: 'URL of the JSON Web Key Set: https, or http on a loopback address.',
})

/** A lower-case header name. */
export const HEADER_NAME = '[a-z0-9](?:[a-z0-9-]*[a-z0-9])?'

export const ServiceTokensSchema = Fields(
  {
    header: Type.String({
      default: 'x-service-token',
      pattern: `^${HEADER_NAME}$`,
      description: 'The request header that carries service tokens.',
      expected: 'a header name in lower case, such as x-service-token',
    }),
    maxLifetime: duration('30s', "The longest time from a token's iat to its exp."),
    jwtSvid: Fields(
      {
        enabled: Type.Boolean({
          default: false,
          description:
            "Take JWT-SVIDs in `authorization: Bearer`, by the JWT keys of their trust domain's bundle. Without it every such header is a user's.",
        }),
        maxLifetime: duration('5m', 'The longest time from now to the exp of one.'),
      },
      { default: {}, description: 'Workloads that identify themselves by JWT-SVID.' },
    ),
    issuers: Named(
      Fields({
        service: Type.String({
          pattern: '^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?/[a-z0-9](?:[-.a-z0-9]*[a-z0-9])?$',
          maxLength: 317,
          description: 'The service that this issuer is.',
          expected: 'a service as namespace/name, such as shop/order-service',
        }),
        keyFile: Type.Optional(path('PEM public key or JSON Web Key (Set). Watched.')),
        jwksUri: Type.Optional(JwksUriSchema),
        scopes: texts(
          'The most that its tokens may claim; `payments:*` is every scope that begins with payments:.',
        ),
      }),
      { default: {}, description: 'Trusted issuers by their iss.' },
    ),
  },
  { default: {} },
)

export const UserTokensSchema = Fields(
  {
    clockSkew: duration('5s', "How far an issuer's clock may differ, for exp, nbf and iat."),
    dpop: Fields(
      {
        origins: Type.Array(Type.String({ minLength: 1 }), {
          default: [],
          uniqueItems: true,
          description:
            'What clients call, such as https://shop.example.com, with a path prefix where one is taken off on the way. Empty: scheme and authority as Envoy tells them.',
        }),
        maxAge: duration('60s', "The longest time since a proof's iat."),
        nonce: Type.Boolean({
          default: false,
          description:
            'Ask for a nonce of this server in every proof. Workers share theirs; each replica has its own.',
        }),
      },
      { default: {}, description: 'DPoP proofs (RFC 9449).' },
    ),
    issuers: Type.Array(
      Fields({
        issuer: Type.String({ minLength: 1, description: 'The exact iss.' }),
        audiences: Type.Array(Type.String({ minLength: 1 }), {
          minItems: 1,
          uniqueItems: true,
          description: 'A token must be meant for one of these.',
        }),
        jwksUri: Type.Optional(
          Type.String({
            minLength: 1,
            description:
              'URL of the JSON Web Key Set: https, or http on a loopback address. Without it and jwksFile the issuer is asked for it (OpenID Connect Discovery, RFC 8414).',
          }),
        ),
        jwksFile: Type.Optional(path('JSON Web Key Set. Watched.')),
        verifiedBy: Words(['Portcullis', 'Envoy'], {
          default: 'Portcullis',
          description:
            "Envoy: Envoy's jwt_authn filter verifies its tokens and its metadata is believed; its keys are not needed here.",
        }),
        metadataKey: Type.Optional(
          Type.String({
            minLength: 1,
            description:
              "For verifiedBy Envoy: `payload_in_metadata` of the filter's provider. Without it, whichever key holds a payload of this issuer.",
          }),
        ),
        senderConstraint: Words(['None', 'Optional', 'Required'], {
          default: 'Optional',
          description:
            'Optional: a token that is bound to a key, certificate or actor is taken only from its holder. Required: only tokens that are bound by cnf. None: bindings are not looked at.',
        }),
        algorithms: Type.Array(Words(ALGORITHMS), {
          default: ['RS256'],
          minItems: 1,
          uniqueItems: true,
          description: 'Signature algorithms that are accepted, each only with its kind of key.',
        }),
        typ: Type.Optional(
          Words(['at+jwt'], { description: "Require this type in the token's header (RFC 9068)." }),
        ),
        claims: Named(Type.String({ minLength: 1 }), {
          default: {},
          description: "Our name of a claim: the issuer's name, dots for nested ones (realm_access.roles).",
        }),
        roles: texts('The most roles it may assert; empty: any.'),
      }),
      { default: [], description: 'Trusted issuers of user tokens.' },
    ),
  },
  { default: {} },
)

export const JwksSchema = Fields(
  {
    refreshInterval: duration('10m', 'Time between two fetches of a key set.'),
    cooldown: duration('30s', 'Least time between fetches that unknown key ids cause.'),
    maxStale: duration('1h', 'How long keys are believed beyond the refresh that failed.'),
    timeout: duration('5s', 'How long one fetch may take.'),
    allowedHosts: texts(
      'Hosts that key sets may be fetched from; empty: those of the URLs in this configuration.',
    ),
  },
  { default: {}, description: 'Fetching of key sets by URL.' },
)
