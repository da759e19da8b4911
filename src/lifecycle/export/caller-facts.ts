import type { SpiffeId } from '../../identity/spiffe-id.js'
import type { AccessRequest } from '../../request/access-request.js'
import { type Facts, NO_DEVICE, NO_SESSION, UNKNOWN_CLIENT } from '../../segmentation/facts.js'
import type { Service } from '../../segmentation/matrix.js'
import { SOMEBODY } from '../somebody.js'

const NO_PEER = { ip: '', port: 0, principal: '' }
const NO_REQUEST: AccessRequest = {
  requestId: '',
  source: { ...NO_PEER, certificate: '' },
  destination: NO_PEER,
  http: undefined,
  contextExtensions: new Map(),
  sni: '',
}

/** What the `from` of a rule looks at, for a workload that calls, alone or for a user. */
export function callerFacts(
  target: Service,
  spiffeId: SpiffeId,
  caller: Service | undefined,
  forUser: boolean,
): Facts {
  return {
    request: NO_REQUEST,
    identity: {
      workload: { spiffeId, verifiedBy: 'certificate' },
      serviceToken: undefined,
      user: forUser ? SOMEBODY : undefined,
    },
    caller,
    target: { service: target, id: target.id, spiffeId: undefined, mode: target.mode, path: '' },
    endpoint: undefined,
    gateway: false,
    riskScore: undefined,
    riskSources: [],
    riskLevel: undefined,
    client: UNKNOWN_CLIENT,
    session: NO_SESSION,
    device: NO_DEVICE,
    nowMs: 0,
  }
}
