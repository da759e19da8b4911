/**
 * Fields that signals leave in records, each with the time of its event, so that order and repetition make no difference.
 * Times are milliseconds since the epoch.
 */

/** As session-limits has it: on a session, it is over; elsewhere, authentications up to then are. `max`. */
export const ENDED = 'x'
/** Of a user: authentications up to then are over where the token names no device. `max`. */
export const ENDED_WITHOUT_DEVICE = 'xd'
/** Of a user: as ENDED, where the token names no session, since one of the user's sessions was meant. `max`. */
export const ENDED_WITHOUT_SESSION = 'xs'
/** Authentications up to then show no factor any more. `max`. */
export const FACTORS_RESET = 'mr'
/** Of a user: the same, where the token names no session. `max`. */
export const FACTORS_RESET_WITHOUT_SESSION = 'ms'
/** Tokens issued up to then are refused, since they say what can't be put right here. `max`. */
export const REFRESH_NEEDED = 'tr'
/** Of a user: the same, where they name no session. `max`. */
export const REFRESH_NEEDED_WITHOUT_SESSION = 'ts'
/** A claim by its name, for tokens issued up to then: JSON. `latest`. */
export const CLAIM = 'tc:'
/** The latest of everything that narrows a user; absent: nothing does. `max`. */
export const NARROWED = 'nt'
/** Whether the account is disabled. `latest`; at one time the greater text counts, so that is no ACTIVE. */
export const ACCOUNT = 'ad'
export const ACTIVE = 'active'
/** A risk level, '1' to '3', so that at one time the higher one counts. `latest`. */
export const LEVEL = 'xl'
/** A revoked certificate by its serial number in lower-case hex. `max`. */
export const SERIAL = 'cs:'
/** Certificates valid from then or before are revoked. `max`. */
export const CERTIFICATES_BEFORE = 'cb'
