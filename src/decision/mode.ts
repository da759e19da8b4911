/** How a target's verdict is applied. Shadow and Observe let the call pass and record what would have been. */
export const MODES = ['Enforce', 'Shadow', 'Observe'] as const
export type Mode = (typeof MODES)[number]
