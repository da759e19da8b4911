import { type CheckFields, encodeCheck } from '../../test/support/envoy-wire.js'
import type { Asked } from '../../test/support/naive-conditions.js'
import type { Random } from '../../test/support/naive-mesh.js'
import type { Asking } from './reference.js'
import { type Certificate, spiffeIdOf, type World } from './world.js'

/** Whose Envoy asks: the sidecar of a service, or the gateway. */
export type Door = 'shop/orders' | 'shop/payments' | 'shop/stock' | 'gateway'

/** A Check that is ready to be sent. */
export type Prepared = {
  readonly door: Door
  readonly message: Buffer
  readonly asking: Asking
  /** Runs when it was let pass. */
  readonly onAllowed?: () => void
}

/** Makes one call of a kind. */
export type Make = (world: World, random: Random, nowMs: number) => Prepared | Promise<Prepared>

export type Presented = Pick<Certificate, 'spiffeId' | 'text' | 'gates'>

export type Over = {
  readonly fields?: CheckFields
  readonly headers?: Readonly<Record<string, string>>
  readonly asking?: Partial<Asking>
  readonly asked?: Partial<Asked>
  readonly door?: Door
}

/** A call of a workload to a service, through that service's sidecar. */
export function byWorkload(
  certificate: Presented,
  from: string,
  to: Exclude<Door, 'gateway'>,
  [method, path]: readonly [string, string],
  { fields, headers, asking, asked, door = to }: Over = {},
): Prepared {
  return {
    door,
    message: encodeCheck({
      certificate: certificate.text,
      principal: certificate.spiffeId,
      destinationPrincipal: spiffeIdOf(to),
      service: to,
      method,
      path,
      ...fields,
      ...(headers && { headers }),
    }),
    asking: {
      asked: { from, to, method, path, ...asked },
      credentials: certificate.gates,
      ...asking,
    },
  }
}

/** A call of a user through the gateway. */
export function byUser(
  to: string,
  path: string,
  token: string | undefined,
  asking: Partial<Asking>,
  asked: Partial<Asked> = {},
): Prepared {
  const method = asked.method ?? 'GET'
  return {
    door: 'gateway',
    message: encodeCheck({
      service: to,
      method,
      path,
      ...(token !== undefined && { headers: { authorization: `Bearer ${token}` } }),
    }),
    asking: {
      asked: { to, method, path, gateway: true, ...(token !== undefined && { user: {} }), ...asked },
      ...asking,
    },
  }
}

export const LIST = ['GET', '/orders'] as const
export const PAY = ['POST', '/payments'] as const
