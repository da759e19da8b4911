import { type GrpcListener, type GrpcListenerOptions, startGrpcListener } from '../adapters/grpc/listener.js'
import type { Config, ListenerConfig } from '../config/config.js'
import type { Check } from '../ext-authz/check.js'
import type { ClosedConnections } from './closed-connections.js'
import type { Expiries } from './expiries.js'
import { type LiveTls, type TlsMaterial, watchTls } from './listener-tls.js'
import type { LiveAgent } from './live-agent.js'
import type { Log } from './log.js'
import { orStartFailure } from './start-steps.js'

/** Starts the listener of these rules; its certificate is renewed until the watcher is closed. */
export async function listen(
  rules: ListenerConfig,
  from: GrpcListenerOptions['address'],
  liveTls: LiveTls | undefined,
  answering: Pick<GrpcListenerOptions, 'check' | 'isRevoked' | 'accessLogs' | 'turns'>,
  {
    agents,
    config,
    expiries,
    closed,
    log,
  }: {
    readonly agents: ReadonlyMap<string, LiveAgent>
    readonly config: Config
    readonly expiries: Expiries
    readonly closed: ClosedConnections
    readonly log: Log
  },
): Promise<{ listener: GrpcListener; watcher: { close(): void } | undefined }> {
  const { name, tls, checkServer } = rules
  const listener = await orStartFailure(
    `listener ${name}`,
    startGrpcListener({
      address: from,
      tls: liveTls && { ...liveTls.material, allowedClients: liveTls.allowedClients },
      ...answering,
      checkServer,
      maxMessageBytes: config.limits.maxMessageBytes,
      deadlineMs: config.limits.deadlineMs,
      limits: config.limits.listener,
      onClosed: closed.of(name),
    }),
  )
  const note = (pem: string): void => expiries.note(`listener ${name}`, pem)
  if (liveTls) note(liveTls.material.certificate)
  const update = (renewed: TlsMaterial): void => {
    listener.updateTls(renewed)
    note(renewed.certificate)
  }
  const watcher = tls && watchTls(name, tls, agents, update, log)
  return { listener, watcher }
}

/** Counts the Checks that wait for something before their answer. */
export function counted(load: { deciding: number }, check: Check): Check {
  return (message, call) => {
    const reply = check(message, call)
    if (!(reply instanceof Promise)) return reply
    load.deciding++
    return reply.finally(() => load.deciding--)
  }
}
