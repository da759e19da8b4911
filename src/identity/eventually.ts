/**
 * A port whose answer is usually at hand and sometimes a wait. A hit must not cost a promise
 * (about 10 µs a Check), so these answers stay plain values until somebody really has to wait.
 */
export type Eventually<T> = T | Promise<T>

/** Goes on with the value now when it is there, later when it isn't. */
export function andThen<A, B>(value: Eventually<A>, next: (value: A) => Eventually<B>): Eventually<B> {
  return value instanceof Promise ? value.then(next) : next(value)
}
