/** Wakes whoever waits for something to change; each then looks for itself whether it is enough. */
export class Change {
  #open: () => void = () => undefined;
  #next: Promise<void>;

  constructor() {
    this.#next = this.#renewed();
  }

  /** Settles at the next `tell`. */
  get next(): Promise<void> {
    return this.#next;
  }

  tell(): void {
    const open = this.#open;
    this.#next = this.#renewed();
    open();
  }

  #renewed(): Promise<void> {
    return new Promise((resolve) => {
      this.#open = resolve;
    });
  }
}
