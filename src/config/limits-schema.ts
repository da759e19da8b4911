import { Type } from '@sinclair/typebox'
import { Fields } from '../schema/fields.js'
import { duration, size } from './fields.js'

const count = (byDefault: number, minimum: number, maximum: number, description: string) =>
  Type.Integer({ default: byDefault, minimum, maximum, description })

/** What a Check may take, and what each listener spends on its peers. */
export const LimitsSchema = Fields(
  {
    maxMessageSize: size('4MiB', 'Larger checks are refused.'),
    deadline: duration('200ms', 'Time for a check that brings no deadline of its own.'),
    connections: count(
      10_000,
      1,
      1_000_000,
      'Connections to one listener at once; further ones are closed unanswered.',
    ),
    connectionsPerAddress: count(
      1000,
      1,
      1_000_000,
      'The same from one IP address. Unix sockets have none and are not counted.',
    ),
    newConnectionsPerAddress: count(
      50,
      1,
      100_000,
      'New connections a second from one IP address, beyond as many at once as connectionsPerAddress. A flood on a connection counts as 250 of them.',
    ),
    streams: count(
      1024,
      1,
      65_536,
      'Calls at once on one connection. Further ones are refused; after 100 refused ones the connection is closed.',
    ),
    headerSize: size(
      '64KiB',
      "HTTP/2 headers of one call to Portcullis: names, values and 32 bytes each. A call with more is reset. Not the headers of the request that is asked about, which are in the call's message.",
    ),
    headers: count(128, 16, 4096, 'How many of these. A call with more is reset.'),
    connectionAge: duration(
      '1h',
      'A connection of this age, give or take a tenth, is told to end and come again, without a failed call. 0s: never.',
    ),
    connectionGrace: duration(
      '10s',
      'How long calls under way may go on, on a connection that was told to end.',
    ),
    pingAfter: duration(
      '60s',
      'Each connection is asked this often whether its peer is still there, by a PING.',
    ),
    pingWait: duration('20s', 'It is closed when there is no answer after this time.'),
  },
  { default: {}, description: 'What a call may take, and what a listener spends on its peers.' },
)
