import { Type } from '@sinclair/typebox'
import { Fields, Words } from '../schema/fields.js'
import { path } from './fields.js'

/** Where a SPIFFE agent is asked. */
export const workloadApi = (description: string) =>
  Type.String({
    minLength: 1,
    description: `${description} \`unix:/path\`, or \`tcp://\` with a loopback address and port.`,
    expected: 'the address of a SPIFFE agent, such as unix:/run/spire/agent.sock',
  })

/** Where a trust domain's bundle comes from: `file`, `workloadApi` or `url`. */
export const BundleSchema = Fields({
  file: Type.Optional(
    path(
      'Roots as PEM, or a SPIFFE bundle as JSON Web Key Set. Watched. Beside `url` it is not the bundle, but what an HttpsSpiffe endpoint of this very trust domain proves itself by until its first answer.',
    ),
  ),
  workloadApi: Type.Optional(workloadApi('The SPIFFE agent that knows the bundle.')),
  url: Type.Optional(
    Type.String({ minLength: 1, description: 'https address of a SPIFFE federation endpoint.' }),
  ),
  profile: Type.Optional(
    Words(['HttpsWeb', 'HttpsSpiffe'], {
      description: 'How the endpoint proves who it is: by a web certificate, or by the SVID of `endpointId`.',
    }),
  ),
  endpointId: Type.Optional(
    Type.String({
      pattern: '^spiffe://[a-z0-9._-]{1,255}(?:/(?!\\.{1,2}(?:/|$))[A-Za-z0-9._-]+)+$',
      maxLength: 2048,
      description: "HttpsSpiffe: the endpoint's SPIFFE ID, of a trust domain named here.",
      expected: 'a SPIFFE ID such as spiffe://partner.example/bundle-endpoint',
    }),
  ),
  ca: Type.Optional(path("HttpsWeb: PEM file of roots for the endpoint instead of the system's.")),
})
