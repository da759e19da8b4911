import { type Static, Type } from '@sinclair/typebox'
import type { WorkloadPrincipal } from '../identity/principal.js'

/** Of the format of recorded Checks; grows when a field changes its meaning or something that decides is added. */
export const RECORD_VERSION = 1

const Text = Type.String()
const Texts = Type.Array(Text)
const Maybe = Type.Optional(Text)
const Count = Type.Optional(Type.Number())
const Peer = Type.Object({ ip: Text, port: Type.Number(), principal: Text })
const Refusal = Type.Object({
  reason: Text,
  message: Text,
  rule: Maybe,
  ruleSource: Maybe,
  mode: Maybe,
  stepUp: Type.Optional(Type.Object({ factor: Text, maxAgeSeconds: Type.Number() })),
})
/** Fields of one subject's record of state. */
const Fields = Type.Record(Text, Type.Unsafe<number | string>({ type: ['number', 'string'] }))

/** A header as `[name, value]`; without a value it was there and is not recorded; `[name, "", n]` came n times. */
const Header = Type.Unsafe<readonly [name: string, value?: string, times?: number]>({
  type: 'array',
  minItems: 1,
  maxItems: 3,
})

const UserSchema = Type.Object({
  issuer: Text,
  subject: Text,
  email: Maybe,
  roles: Texts,
  scopes: Texts,
  clientId: Maybe,
  deviceId: Maybe,
  deviceTrust: Maybe,
  riskScore: Count,
  mfaVerified: Type.Boolean(),
  sessionId: Maybe,
  acr: Maybe,
  amr: Texts,
  authTimeMs: Count,
  zone: Maybe,
  claims: Type.Record(Text, Type.Unknown()),
})
export type RecordedUser = Static<typeof UserSchema>

const HttpSchema = Type.Object({
  method: Text,
  path: Text,
  query: Text,
  host: Text,
  protocol: Text,
  upgrade: Type.Boolean(),
  grpc: Type.Boolean(),
  headers: Type.Array(Header),
  /** There was one that conditions could see. It is not recorded. */
  body: Type.Optional(Type.Boolean()),
})
export type RecordedHttp = Static<typeof HttpSchema>

/**
 * One line of `audit.record`: a Check with everything that decided it, credentials replaced by what they proved, and
 * what was decided. Source: FORMATS 5.
 */
export const RecordedCheckSchema = Type.Object({
  recordVersion: Type.Number(),
  timestamp: Text,
  decisionId: Text,
  decision: Type.Unsafe<'allow' | 'deny' | 'challenge'>({ enum: ['allow', 'deny', 'challenge'] }),
  decisionReason: Text,
  wouldBeDecision: Maybe,
  wouldBeReason: Maybe,
  mode: Text,
  callerService: Maybe,
  targetService: Maybe,
  endpoint: Maybe,
  rule: Maybe,
  ruleSource: Maybe,
  riskScore: Count,
  devicePosture: Count,
  policyRevision: Text,
  listener: Type.Object({
    name: Text,
    role: Type.Unsafe<'Sidecar' | 'Gateway'>({ enum: ['Sidecar', 'Gateway'] }),
    peerIdentity: Type.Unsafe<'Certificate' | 'Principal' | 'None'>({
      enum: ['Certificate', 'Principal', 'None'],
    }),
    mtls: Type.Unsafe<'Strict' | 'Permissive'>({ enum: ['Strict', 'Permissive'] }),
    target: Type.Array(
      Type.Unsafe<'principal' | 'extension' | 'route'>({ enum: ['principal', 'extension', 'route'] }),
    ),
  }),
  asker: Maybe,
  request: Type.Object({
    requestId: Text,
    source: Peer,
    destination: Peer,
    sni: Text,
    extensions: Type.Record(Text, Text),
    http: Type.Optional(HttpSchema),
  }),
  /** Absent: no target was found, so nobody was asked for. */
  identity: Type.Optional(
    Type.Object({
      refusal: Type.Optional(Refusal),
      workload: Type.Optional(
        Type.Object({
          spiffeId: Text,
          verifiedBy: Type.Unsafe<WorkloadPrincipal['verifiedBy']>({ type: 'string' }),
          via: Maybe,
        }),
      ),
      serviceToken: Type.Optional(Type.Object({ issuer: Text, service: Text, scopes: Texts })),
      user: Type.Optional(UserSchema),
    }),
  ),
  /** Absent: the store could not tell. */
  state: Type.Optional(
    Type.Object({
      standing: Type.Unsafe<'current' | 'last-known'>({ enum: ['current', 'last-known'] }),
      lostBeforeMs: Count,
      /** By the subject's part in the call: user, session, workload, proxy, address, device, grants, email, named. */
      records: Type.Record(Text, Fields),
    }),
  ),
  client: Type.Optional(
    Type.Object({
      ip: Maybe,
      country: Maybe,
      isPublic: Type.Boolean(),
      malicious: Type.Boolean(),
      place: Type.Optional(Type.Object({ latitude: Count, longitude: Count, country: Maybe })),
    }),
  ),
})
export type RecordedCheck = Static<typeof RecordedCheckSchema>
