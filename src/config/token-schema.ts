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
    issuers: Type.Array(
      Fields({
        issuer: Type.String({ minLength: 1, description: 'The exact iss.' }),
        audiences: Type.Array(Type.String({ minLength: 1 }), {
          minItems: 1,
          uniqueItems: true,
          description: 'A token must be meant for one of these.',
        }),
        jwksUri: Type.Optional(JwksUriSchema),
        jwksFile: Type.Optional(path('JSON Web Key Set. Watched.')),
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
    maxStale: duration('1h', "How long keys are believed when they can't be refreshed."),
    timeout: duration('5s', 'How long one fetch may take.'),
    allowedHosts: texts(
      'Hosts that key sets may be fetched from; empty: those of the URLs in this configuration.',
    ),
  },
  { default: {}, description: 'Fetching of key sets by URL.' },
)
