const RIGHTS: ReadonlySet<string> = new Set([
  'roles',
  'role',
  'groups',
  'group',
  'entitlements',
  'permissions',
  'scope',
  'scopes',
  'scp',
  'amr',
])

/**
 * Whether a claim's values are rights or factors, of which nobody is given any by a signal: by the last part of its name,
 * as in `cognito:groups` and `https://shop.example/roles`.
 */
export function holdsRights(name: string): boolean {
  return RIGHTS.has(name.slice(name.search(/[^/:.]*$/)).toLowerCase())
}
