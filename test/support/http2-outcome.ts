import type { Demand } from './http2-demands.js'
import { checkCall, endsStream, errorOf, FRAME, FramePeer, type ReceivedFrame } from './http2-frames.js'

/** The stream of a Check that shows whether the connection goes on. */
const PROBE = 2001

/** What became of a peer's call and of its connection, in the words of the table. */
export async function outcomeOf(port: number, { play, bare }: Demand): Promise<string> {
  const peer = await (bare ? FramePeer.connect(port) : FramePeer.greeted(port))
  try {
    play(peer)
    peer.send(checkCall(PROBE))
    await peer.until((each) => each.stream === PROBE && endsStream(each))
    return told(peer)
  } finally {
    peer.destroy()
  }
}

function told({ received, socket }: FramePeer): string {
  const error = received
    .filter(({ type }) => type === FRAME.goaway)
    .map(errorOf)
    .at(-1)
  if (error !== undefined && error !== 'NO_ERROR') return 'connection error'
  const calls = received.filter(({ stream }) => stream !== PROBE && stream !== 0)
  const end = socket.destroyed ? ', then closed' : ''
  if (isAnswer(calls)) return `answered${end}`
  if (socket.destroyed) return 'closed'
  if (!isAnswer(received.filter(({ stream }) => stream === PROBE))) return 'hangs'
  const reset = calls.find(({ type }) => type === FRAME.rstStream)
  if (reset) return `stream error ${errorOf(reset)}`
  return calls.length === 0 ? 'ignored' : 'refused'
}

const isAnswer = (frames: readonly ReceivedFrame[]): boolean =>
  frames.some(({ type }) => type === FRAME.data) &&
  frames.some((each) => each.type === FRAME.headers && endsStream(each))
