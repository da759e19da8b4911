/** Where alerts go. What it can't deliver now waits within a bound; the oldest goes first when there is no room. */
export type AlertSink = {
  /** Takes one alert as a line of JSON. Returns at once and never throws. */
  readonly send: (line: string) => void
  /** Takes nothing more and delivers what waits, for at most `withinMs`; what is left then counts as dropped. */
  readonly drain: (withinMs: number) => Promise<void>
  readonly figures: () => AlertSinkFigures
}

export type AlertSinkFigures = {
  /** Taken and neither delivered nor dropped yet. */
  readonly pending: number
  readonly delivered: number
  /** Given up: no room, refused by the receiver, or not taken within all attempts. */
  readonly dropped: number
}
