import type { PolicyDocument } from '../../policy/read-documents.js'
import type { Pointer } from '../../schema/problem.js'
import { keysOf } from '../../segmentation/when/condition.js'
import { conditionLists } from './condition-lists.js'
import type { Tell } from './finding.js'
import { canonicalKey } from './known-keys.js'
import type { Issuers, LintedMesh, LintedService } from './linted-mesh.js'
import type { Suggestions } from './suggestions.js'
import { coversText } from './text-sets.js'

const OF_USERS = /^(?:user|request\.auth)\./

/** A mesh has all of them at hand, used or not. Source: FORMATS 1. */
const CLASSES: ReadonlySet<string> = new Set(['public', 'internal', 'confidential', 'restricted'])

/** Roles that no user can have, DataPolicies that nothing is classified by, tiers of devices for targets without users. */
export function findUserFaults(
  mesh: LintedMesh,
  issuers: Issuers | undefined,
  suggestions: Suggestions,
  tell: Tell,
): void {
  const roles = issuers && assertable(issuers, mesh)
  const classified = new Set(
    mesh.documents.flatMap((document): readonly (string | undefined)[] => {
      if (document.kind === 'ServicePolicy')
        return (document.spec.endpoints ?? []).map(({ dataPolicy }) => dataPolicy)
      return document.kind === 'DevicePolicy' ? (document.spec.data ?? []) : []
    }),
  )
  for (const document of mesh.documents) {
    if (roles) findUnknownRoles(document, roles, suggestions, tell)
    if (
      document.kind === 'DataPolicy' &&
      !CLASSES.has(document.metadata.name) &&
      !classified.has(document.metadata.name)
    ) {
      tell(document.source, ['metadata', 'name'], {
        severity: 'info',
        code: 'unused-data-policy',
        message: `no endpoint and no DevicePolicy names the DataPolicy ${document.metadata.name}`,
      })
    }
    if (document.kind !== 'DevicePolicy') continue
    for (const [index, id] of (document.spec.services ?? []).entries()) {
      const service = mesh.services.get(id)
      if (!service || takesUsers(service)) continue
      tell(document.source, ['spec', 'services', index], {
        severity: 'warning',
        code: 'tier-without-users',
        message: `${id} asks for no user anywhere, so no device of one ever calls it`,
      })
    }
  }
}

/** Undefined where an issuer may assert any role. */
function assertable({ users }: Issuers, { policy }: LintedMesh): ReadonlySet<string> | undefined {
  if (users.length === 0 || users.some(({ roles }) => roles.length === 0)) return undefined
  return new Set([...users.flatMap(({ roles }) => roles), ...policy.matrix.grantOnlyRoles])
}

function findUnknownRoles(
  document: PolicyDocument,
  known: ReadonlySet<string>,
  suggestions: Suggestions,
  tell: Tell,
): void {
  const warn = (pointer: Pointer, role: string, message: string): void => {
    tell(document.source, pointer, {
      severity: 'warning',
      code: 'unknown-role',
      message,
      hint: suggestions.hint(role, known),
    })
  }
  if (document.kind === 'DataPolicy') {
    for (const [index, { role, approval }] of (document.spec.access ?? []).entries()) {
      if (known.has(role)) continue
      const approved = approval === 'Required' ? ', so there is nobody to approve' : ''
      warn(['spec', 'access', index, 'role'], role, `no issuer may assert the role ${role}${approved}`)
    }
  }
  for (const { pointer, when } of conditionLists(document)) {
    for (const [index, condition] of when.entries()) {
      const written: string | undefined = condition.key
      if (written === undefined || canonicalKey(written) !== 'user.roles') continue
      for (const [place, value] of (condition.values ?? []).entries()) {
        if (value.includes('*') ? [...known].some((role) => coversText(value, role)) : known.has(value))
          continue
        warn([...pointer, 'when', index, 'values', place], value, `no issuer may assert the role ${value}`)
      }
    }
  }
}

/** Whether a call to the service can have a user by what the service itself says. */
function takesUsers({ compiled, document }: LintedService): boolean {
  const asked = compiled.endpoints.some(
    ({ require, mfa, maxAuthAgeMs, userScopes, userForData }) =>
      require !== 'Workload' ||
      mfa !== 'None' ||
      maxAuthAgeMs !== undefined ||
      userScopes.length > 0 ||
      userForData,
  )
  return (
    asked ||
    (document.spec.rules ?? []).some(
      ({ from, when = [] }) =>
        from.some(({ users, any }) => users ?? any) ||
        when.some((condition) => keysOf(condition).some((key) => OF_USERS.test(key))),
    )
  )
}
