/** Why a SET is refused, as its transmitter is told. Source: RFC 8935 2.4. */
export type SetError =
  | 'invalid_request'
  | 'invalid_key'
  | 'invalid_issuer'
  | 'invalid_audience'
  | 'authentication_failed'
  | 'access_denied'

/** `description` goes to the transmitter and the log; it repeats no value of the SET. */
export type SetRefusal = { readonly ok: false; readonly err: SetError; readonly description: string }

export function refuseSet(err: SetError, description: string): SetRefusal {
  return { ok: false, err, description }
}
