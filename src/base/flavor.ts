/**
 * A flavor keeps two kinds of number apart without a cast at each addition: an `Offset` is not
 * assignable to a `Term`, while the sum of an `Offset` and 1 (a plain number) is assignable to
 * `Offset`. A brand would demand a cast after every arithmetic step, and casts hide real mix-ups.
 */
export type Flavor<Base, Name extends string> = Base & { readonly __flavor?: Name };
