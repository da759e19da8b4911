/** What answers Check on a listener. Suites that touch the wire run on each. */
export const CHECK_SERVERS = ['Http2', 'GrpcJs'] as const
export type CheckServer = (typeof CHECK_SERVERS)[number]
