import { Type } from '@sinclair/typebox'
import { Fields, Named } from '../schema/fields.js'
import { path } from './fields.js'

export const DEFAULT_POLICY_DIRECTORY = './policy'

const NAMESPACE = '^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$'

/** Where policy comes from: one of the two. */
export const PolicySchema = Fields(
  {
    directory: Type.Optional(
      Type.String({
        ...path('Folder of policy documents. Watched. Default `./policy`, where `kubernetes` is not there.'),
      }),
    ),
    kubernetes: Type.Optional(
      Fields(
        {
          namespaces: Type.Array(
            Type.String({ pattern: NAMESPACE, maxLength: 63, expected: 'the name of a namespace' }),
            {
              default: [],
              uniqueItems: true,
              maxItems: 64,
              description: 'Whose ServicePolicies are read; empty: those of every namespace.',
            },
          ),
          grants: Named(
            Type.Array(
              Type.String({
                pattern: '^(\\*\\.)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?$',
                maxLength: 253,
                expected: 'a host name in lower case such as shop.example.com, or *.example.com',
              }),
              {
                minItems: 1,
                uniqueItems: true,
                description:
                  'Hosts that ServicePolicies of the namespace of that name may have routes of. `*.example.com` is every host below it.',
              },
            ),
            { default: {} },
          ),
          kubeconfig: Type.Optional(
            path(
              'Access to the API server, by its current context. Default: the service account of the pod.',
            ),
          ),
        },
        { description: 'Policy from custom resources instead of a folder.' },
      ),
    ),
  },
  { default: {} },
)
