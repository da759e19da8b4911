import type { SpiffeId } from '../identity/spiffe-id.js'
import { compiledService } from './compiled.js'
import type { Matrix, Service } from './matrix.js'

/** The service whose document names this SPIFFE ID; it belongs to one at most. */
export function serviceOfIdentity(matrix: Matrix, id: SpiffeId): Service | undefined {
  return matrix.identities.get(id.text) ?? matrix.identityPatterns?.find(id)
}

/** The SPIFFE IDs that a service's document names without `*`. */
export function identitiesOf(service: Service): readonly SpiffeId[] {
  return compiledService(service)?.identities ?? []
}
