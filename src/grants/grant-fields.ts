/**
 * Fields of a subject's record of grants, each followed by the grant's id: what it is (`latest`), when it was revoked
 * (`max`; 0: it was not), how often it was used (`add`), when last (`max`).
 */
export const GRANT = 'g:'
export const REVOKED = 'r:'
export const USES = 'u:'
export const LAST_USED = 'l:'

/** Any of them; the id is captured. */
export const GRANT_FIELD = /^[grul]:(.+)$/
